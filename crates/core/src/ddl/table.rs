//! `CREATE TABLE`: the list of columns and constraints, and what stands around it.

use super::change::Change;
use super::column::column_def;
use super::constraint::{starts_constraint, table_constraint};
use super::cursor::Cursor;
use super::index::{inline_index, starts_inline_index};
use super::parts::{Constraint, CreateIndex, CreateTable, TableSource};
use super::rows::copied_table;
use crate::sql::lexer::TokenKind;

/// How the statement began, before the word TABLE.
#[derive(Clone, Copy, Default)]
pub(super) struct Prelude {
    pub(super) or_replace: bool,
    pub(super) temporary: bool,
}

/// Reads what follows `CREATE TABLE`. Indexes written inside come as changes of their own.
pub(super) fn create_table(cursor: &mut Cursor<'_>, prelude: Prelude) -> Option<Vec<Change>> {
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let name = cursor.object_name()?;
    let temporary = prelude.temporary || name.is_temporary(cursor.dialect());
    let mut table = CreateTable {
        name,
        if_not_exists,
        temporary,
        or_replace: prelude.or_replace,
        ..CreateTable::default()
    };
    let mut indexes = Vec::new();
    head(cursor, &mut table);
    if opens_list(cursor)
        && let Some(group) = cursor.group()
    {
        list(group, &mut table, &mut indexes);
    }
    tail(cursor, &mut table);
    let ended = temporary;
    let if_not_exists = table.if_not_exists;
    let mut changes = vec![Change::CreateTable(Box::new(table))];
    if !ended {
        changes.extend(indexes.into_iter().map(|index| {
            let if_not_exists = if_not_exists || index.if_not_exists;
            Change::CreateIndex(Box::new(CreateIndex { if_not_exists, ..index }))
        }));
    }
    Some(changes)
}

/// What says before the list where the columns come from.
fn head(cursor: &mut Cursor<'_>, table: &mut CreateTable) {
    if cursor.eat("PARTITION OF") {
        table.source = TableSource::PartitionOf(cursor.object_name().unwrap_or_default());
    } else if cursor.is_postgres() && cursor.eat("OF") {
        table.source = TableSource::OfType(cursor.object_name().unwrap_or_default());
    } else if cursor.eat("LIKE") {
        table.source = TableSource::Like(cursor.object_name().unwrap_or_default());
    }
}

/// Whether the parentheses here are the list, not a query in parentheses.
fn opens_list(cursor: &Cursor<'_>) -> bool {
    cursor.is_kind(TokenKind::LParen)
        && !["SELECT", "WITH", "VALUES"].iter().any(|word| cursor.word_at(1, word))
}

fn list(group: Cursor<'_>, table: &mut CreateTable, indexes: &mut Vec<CreateIndex>) {
    for mut item in group.items() {
        if item.at("LIKE") && !item.is_sqlite() {
            item.bump();
            table.source = TableSource::Like(item.object_name().unwrap_or_default());
        } else if starts_inline_index(&item) {
            indexes.push(inline_index(&mut item, &table.name));
        } else if starts_constraint(&item) {
            while !item.at_end() {
                push_constraint(table, table_constraint(&mut item));
            }
        } else if let Some(column) = column_def(&mut item) {
            table.columns.push(column);
        }
    }
}

fn push_constraint(table: &mut CreateTable, constraint: Constraint) {
    // A list cut short by damaged text gives empty keys; they say nothing.
    let empty = match &constraint {
        Constraint::PrimaryKey { columns, .. } => columns.is_empty(),
        Constraint::Unique { name, columns } => columns.is_empty() && name.is_none(),
        Constraint::ForeignKey(key) => key.columns.is_empty() || key.to_table.name.is_empty(),
        Constraint::Check(_) | Constraint::Other { .. } => false,
    };
    if !empty {
        table.constraints.push(constraint);
    }
}

/// Options, inheritance, and a query at the end.
fn tail(cursor: &mut Cursor<'_>, table: &mut CreateTable) {
    let start = *cursor;
    while !cursor.at_end() {
        let query = cursor.at("AS")
            || cursor.at("SELECT")
            || (cursor.at("WITH") && cursor.kind(1) == Some(TokenKind::Word))
            || (cursor.is_kind(TokenKind::LParen) && !opens_list(cursor));
        if query && !at_table_option(cursor) {
            table.options = cursor.text_since(start);
            cursor.eat("AS");
            table.source = TableSource::AsSelect { copies: copied_table(*cursor) };
            return;
        }
        if cursor.eat("INHERITS") {
            let parents = cursor.group().map(Cursor::items).unwrap_or_default();
            table.inherits.extend(parents.into_iter().filter_map(|mut p| p.object_name()));
        } else {
            cursor.skip();
        }
    }
    table.options = start.text();
}

/// Words that look like the start of a query but are options.
fn at_table_option(cursor: &Cursor<'_>) -> bool {
    cursor.at("WITH SYSTEM") || cursor.at("WITH OIDS") || cursor.at("WITH OPTIONS")
}

/// Reads what follows `CREATE VIRTUAL TABLE`.
pub(super) fn create_virtual_table(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let name = cursor.object_name()?;
    cursor.eat("USING");
    let module = cursor.ident().unwrap_or_default();
    let temporary = name.is_temporary(cursor.dialect());
    Some(vec![Change::CreateTable(Box::new(CreateTable {
        name,
        if_not_exists,
        temporary,
        source: TableSource::Virtual(module),
        options: cursor.text(),
        ..CreateTable::default()
    }))])
}
