//! `CREATE` statements other than tables and indexes, and the words before the object's kind.

use super::change::Change;
use super::cursor::{Cursor, unquoted};
use super::drop::routine_kind;
use super::index::create_index;
use super::name::ObjectName;
use super::parts::TypeKind;
use super::table::{Prelude, create_table, create_virtual_table};
use crate::sql::lexer::TokenKind;

/// Reads what follows `CREATE`; none if it is not understood.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    let prelude = prelude(cursor);
    if cursor.is_postgres() && cursor.eat("RULE") {
        return create_rule(cursor, prelude);
    }
    if cursor.eat("VIRTUAL TABLE") {
        return create_virtual_table(cursor);
    }
    if cursor.eat("TABLE") {
        return create_table(cursor, prelude);
    }
    let unique = cursor.eat("UNIQUE");
    cursor.eat_any(&["FULLTEXT", "SPATIAL", "VECTOR"]);
    if cursor.eat("INDEX") {
        return create_index(cursor, unique).map(|change| vec![change]);
    }
    let change = if cursor.at_any(&["MATERIALIZED", "RECURSIVE", "VIEW"]) {
        create_view(cursor, prelude)
    } else if cursor.eat_any(&["CONSTRAINT TRIGGER", "TRIGGER"]) {
        create_trigger(cursor, prelude)
    } else if cursor.eat("SEQUENCE") {
        create_sequence(cursor, prelude)
    } else if cursor.eat("TYPE") {
        create_type(cursor)
    } else if cursor.eat("DOMAIN") {
        cursor.object_name().map(|name| Change::CreateType { name, kind: TypeKind::Domain })
    } else if cursor.eat("SCHEMA") || (cursor.is_mysql() && cursor.eat("DATABASE")) {
        return create_schema(cursor);
    } else if cursor.eat("EXTENSION") {
        let if_not_exists = cursor.eat("IF NOT EXISTS");
        cursor.ident().map(|name| Change::CreateExtension { name, if_not_exists })
    } else {
        create_routine(cursor)
    };
    change.map(|change| vec![change])
}

/// Words between CREATE and the object's kind.
fn prelude(cursor: &mut Cursor<'_>) -> Prelude {
    let mut prelude = Prelude::default();
    loop {
        if cursor.eat("OR REPLACE") {
            prelude.or_replace = true;
        } else if cursor.eat_any(&["TEMPORARY", "TEMP"]) {
            prelude.temporary = true;
        } else if cursor.at_any(&["DEFINER", "ALGORITHM"]) && cursor.is_mysql() {
            cursor.bump();
            let kinds = ["SQL", "VIEW", "TRIGGER", "FUNCTION", "PROCEDURE", "EVENT", "AGGREGATE"];
            cursor.skip_to(&[&kinds[..], &["DEFINER", "TABLE"]].concat());
        } else if cursor.eat("SQL SECURITY") {
            cursor.bump();
        } else if !cursor.eat_any(&["GLOBAL", "LOCAL", "UNLOGGED"]) {
            return prelude;
        }
    }
}

fn create_view(cursor: &mut Cursor<'_>, prelude: Prelude) -> Option<Change> {
    let materialized = cursor.eat("MATERIALIZED");
    cursor.eat("RECURSIVE");
    if !cursor.eat("VIEW") {
        return None;
    }
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let name = cursor.object_name()?;
    let temporary = prelude.temporary || name.is_temporary(cursor.dialect());
    let or_replace = prelude.or_replace;
    Some(Change::CreateView { name, or_replace, if_not_exists, materialized, temporary })
}

/// A rule `"_RETURN"` makes a view of an empty table, as old dumps do it; other rules make nothing.
fn create_rule(cursor: &mut Cursor<'_>, prelude: Prelude) -> Option<Vec<Change>> {
    let returns = cursor.ident()? == "_RETURN";
    if !returns || !cursor.eat("AS ON SELECT TO") {
        return None;
    }
    let name = cursor.object_name()?;
    let gone = Change::DropTable { name: name.clone(), if_exists: false, cascade: false };
    let (or_replace, if_not_exists) = (prelude.or_replace, false);
    let (materialized, temporary) = (false, prelude.temporary);
    let view = Change::CreateView { name, or_replace, if_not_exists, materialized, temporary };
    Some(vec![gone, view])
}

fn create_trigger(cursor: &mut Cursor<'_>, prelude: Prelude) -> Option<Change> {
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let name = cursor.object_name()?;
    if !cursor.skip_to(&["ON"]) {
        return None;
    }
    cursor.bump();
    let table = cursor.object_name()?;
    let temporary = prelude.temporary || name.is_temporary(cursor.dialect());
    Some(Change::CreateTrigger { name, table, if_not_exists, temporary })
}

fn create_sequence(cursor: &mut Cursor<'_>, prelude: Prelude) -> Option<Change> {
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let name = cursor.object_name()?;
    Some(Change::CreateSequence { name, if_not_exists, temporary: prelude.temporary })
}

fn create_type(cursor: &mut Cursor<'_>) -> Option<Change> {
    let name = cursor.object_name()?;
    let kind = if cursor.eat("AS ENUM") {
        let items = cursor.group().map(Cursor::items).unwrap_or_default();
        TypeKind::Enum(items.into_iter().map(|item| unquoted(item.peek(0))).collect())
    } else if cursor.at("AS") && cursor.kind(1) == Some(TokenKind::LParen) {
        TypeKind::Composite
    } else {
        TypeKind::Other
    };
    Some(Change::CreateType { name, kind })
}

fn create_schema(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let named = !cursor.at("AUTHORIZATION");
    cursor.eat("AUTHORIZATION");
    if !named && cursor.at_any(&["CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"]) {
        // Its name is not written.
        return None;
    }
    let name = cursor.ident()?;
    if named && cursor.eat("AUTHORIZATION") {
        cursor.ident();
    }
    let mut changes = vec![Change::CreateSchema { name, if_not_exists }];
    if cursor.at_any(&["CREATE", "GRANT"]) {
        changes.push(Change::Unknown { verb: "CREATE SCHEMA elements".to_owned() });
    }
    Some(changes)
}

fn create_routine(cursor: &mut Cursor<'_>) -> Option<Change> {
    let kind = routine_kind(cursor)?;
    cursor.eat("IF NOT EXISTS");
    let name: ObjectName = cursor.object_name()?;
    let arguments = cursor.group().map(|group| group.text()).unwrap_or_default();
    Some(Change::CreateRoutine { kind, name, arguments })
}
