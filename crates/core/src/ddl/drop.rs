//! `DROP` statements, and MariaDB's `RENAME TABLE`.

use super::change::Change;
use super::cursor::Cursor;
use super::name::ObjectName;
use super::parts::RoutineKind;
use crate::sql::lexer::TokenKind;

/// Reads what follows `DROP`; none if it is not understood.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    let temporary = cursor.is_mysql() && cursor.eat("TEMPORARY");
    if cursor.eat_any(&["TABLE", "TABLES", "FOREIGN TABLE"]) {
        let (if_exists, names, cascade) = names(cursor)?;
        if temporary {
            return Some(Vec::new());
        }
        let change = |name| Change::DropTable { name, if_exists, cascade };
        return Some(names.into_iter().map(change).collect());
    }
    if cursor.eat("INDEX") {
        return drop_index(cursor);
    }
    let materialized = cursor.eat("MATERIALIZED");
    if cursor.eat("VIEW") {
        let (if_exists, names, cascade) = names(cursor)?;
        let change = |name| Change::DropView { name, if_exists, materialized, cascade };
        return Some(names.into_iter().map(change).collect());
    }
    if cursor.eat("TRIGGER") {
        let if_exists = cursor.eat("IF EXISTS");
        let name = cursor.object_name()?;
        let table = if cursor.eat("ON") { cursor.object_name() } else { None };
        return Some(vec![Change::DropTrigger { name, table, if_exists }]);
    }
    if cursor.eat_any(&["SCHEMA", "DATABASE"]) {
        let whole = cursor.is_mysql();
        let (if_exists, names, cascade) = names(cursor)?;
        let cascade = cascade || whole;
        let change = |name: ObjectName| Change::DropSchema { name: name.name, if_exists, cascade };
        return Some(names.into_iter().map(change).collect());
    }
    drop_other(cursor)
}

fn drop_other(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    if cursor.eat_any(&["TYPE", "DOMAIN"]) {
        let (if_exists, names, cascade) = names(cursor)?;
        let change = |name| Change::DropType { name, if_exists, cascade };
        return Some(names.into_iter().map(change).collect());
    }
    if cursor.eat("SEQUENCE") {
        let (if_exists, names, _) = names(cursor)?;
        let change = |name| Change::DropSequence { name, if_exists };
        return Some(names.into_iter().map(change).collect());
    }
    if cursor.eat("EXTENSION") {
        let (_, names, cascade) = names(cursor)?;
        let change = |name: ObjectName| Change::DropExtension { name: name.name, cascade };
        return Some(names.into_iter().map(change).collect());
    }
    routine_kind(cursor).and_then(|kind| drop_routine(cursor, kind))
}

/// Steps over FUNCTION, PROCEDURE, AGGREGATE or ROUTINE.
pub(super) fn routine_kind(cursor: &mut Cursor<'_>) -> Option<RoutineKind> {
    let kind = if cursor.eat_any(&["AGGREGATE FUNCTION", "FUNCTION"]) {
        RoutineKind::Function
    } else if cursor.eat("PROCEDURE") {
        RoutineKind::Procedure
    } else if cursor.eat("AGGREGATE") {
        RoutineKind::Aggregate
    } else if cursor.eat("ROUTINE") {
        RoutineKind::Routine
    } else {
        return None;
    };
    Some(kind)
}

fn drop_routine(cursor: &mut Cursor<'_>, kind: RoutineKind) -> Option<Vec<Change>> {
    let if_exists = cursor.eat("IF EXISTS");
    let mut routines = Vec::new();
    loop {
        let name = cursor.object_name()?;
        routines.push((name, cursor.group().map(|group| group.text())));
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
    }
    let cascade = cursor.eat("CASCADE");
    let change =
        |(name, arguments)| Change::DropRoutine { kind, name, arguments, if_exists, cascade };
    Some(routines.into_iter().map(change).collect())
}

fn drop_index(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    let concurrently = cursor.is_postgres() && cursor.eat("CONCURRENTLY");
    let if_exists = cursor.eat("IF EXISTS");
    let mut names = vec![cursor.object_name()?];
    while cursor.eat_kind(TokenKind::Comma) {
        names.extend(cursor.object_name());
    }
    let table = if cursor.eat("ON") { cursor.object_name() } else { None };
    let change = |name| Change::DropIndex { name, table: table.clone(), if_exists, concurrently };
    Some(names.into_iter().map(change).collect())
}

/// `[IF EXISTS] a, b [CASCADE]`.
fn names(cursor: &mut Cursor<'_>) -> Option<(bool, Vec<ObjectName>, bool)> {
    let if_exists = cursor.eat("IF EXISTS");
    let mut names = vec![cursor.object_name()?];
    while cursor.eat_kind(TokenKind::Comma) {
        names.extend(cursor.object_name());
    }
    let cascade = cursor.is_postgres() && cursor.eat("CASCADE");
    Some((if_exists, names, cascade))
}

/// Reads what follows `RENAME TABLE`.
pub(super) fn rename_tables(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    cursor.eat("IF EXISTS");
    let mut changes = Vec::new();
    while !cursor.at_end() {
        let mut item = cursor.item();
        let from = item.object_name()?;
        if item.eat("WAIT") {
            item.bump();
        }
        item.eat("NOWAIT");
        let to = item.eat("TO").then(|| item.object_name())??;
        let schema = to.schema.or_else(|| from.schema.clone());
        changes.push(Change::RenameTable { from, to: ObjectName { schema, name: to.name } });
    }
    Some(changes)
}
