//! `CREATE INDEX`, and the indexes written inside a MariaDB table.

use super::change::Change;
use super::cursor::Cursor;
use super::name::ObjectName;
use super::parts::{CreateIndex, IndexPart};
use crate::sql::lexer::TokenKind;

/// Reads what follows `CREATE [UNIQUE] INDEX`.
pub(super) fn create_index(cursor: &mut Cursor<'_>, unique: bool) -> Option<Change> {
    let mut index = CreateIndex { unique, ..CreateIndex::default() };
    index.concurrently = cursor.is_postgres() && cursor.eat("CONCURRENTLY");
    index.if_not_exists = cursor.eat("IF NOT EXISTS");
    if !cursor.at("ON") {
        index.name = cursor.object_name();
    }
    skip_type(cursor);
    if !cursor.eat("ON") {
        return None;
    }
    cursor.eat("ONLY");
    index.table = cursor.object_name()?;
    skip_type(cursor);
    index.columns = parts(cursor);
    if !cursor.is_mysql() && cursor.skip_to(&["WHERE"]) {
        cursor.bump();
        index.partial = Some(cursor.text());
    }
    Some(Change::CreateIndex(Box::new(index)))
}

/// Whether an index definition of MariaDB or MySQL starts here.
pub(super) fn starts_inline_index(cursor: &Cursor<'_>) -> bool {
    cursor.is_mysql() && cursor.at_any(&["KEY", "INDEX", "FULLTEXT", "SPATIAL", "VECTOR"])
}

/// Reads `KEY name (a, b)` and its kin.
pub(super) fn inline_index(cursor: &mut Cursor<'_>, table: &ObjectName) -> CreateIndex {
    cursor.eat_any(&["FULLTEXT", "SPATIAL", "VECTOR"]);
    cursor.eat_any(&["KEY", "INDEX"]);
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    skip_type(cursor);
    let name = if cursor.is_kind(TokenKind::LParen) { None } else { cursor.object_name() };
    skip_type(cursor);
    CreateIndex {
        name,
        table: table.clone(),
        columns: parts(cursor),
        if_not_exists,
        ..CreateIndex::default()
    }
}

fn skip_type(cursor: &mut Cursor<'_>) {
    if cursor.eat("USING") {
        cursor.bump();
    }
}

/// Reads the parts in parentheses.
fn parts(cursor: &mut Cursor<'_>) -> Vec<IndexPart> {
    let Some(group) = cursor.group() else { return Vec::new() };
    group.items().into_iter().map(part).collect()
}

/// A column with its options (length, collation, operator class, direction) or an expression.
fn part(item: Cursor<'_>) -> IndexPart {
    let mut rest = item;
    let column = rest.ident().filter(|_| match rest.kind(0) {
        None | Some(TokenKind::Word) => true,
        Some(TokenKind::LParen) => rest.is_mysql() && rest.kind(1) == Some(TokenKind::Number),
        Some(_) => false,
    });
    // A quoted operator class ("public"."gin_trgm_ops") is no expression either.
    let column = column.or_else(|| {
        let mut rest = item;
        rest.ident().filter(|_| rest.is_postgres() && rest.is_kind(TokenKind::QuotedIdent))
    });
    IndexPart { text: item.text(), column }
}
