//! What a statement does to the schema, read from its text alone.
//!
//! One reader for the three dialects, on top of the lexer. It never fails and never guesses: a
//! statement that it does not understand is [`Change::Unknown`], one whose effect its text does not
//! say is [`Change::Dynamic`]. It serves probes (which objects does a statement touch), `verify`
//! (what must exist now), the keeping of what destructive statements remove, and `history`.

mod alter;
mod change;
mod column;
mod constraint;
mod create;
mod cursor;
mod drop;
mod index;
pub mod name;
mod parts;
mod rows;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod touched;

pub use change::Change;
pub use name::ObjectName;
pub use parts::{
    Check, ColumnAction, ColumnDef, Constraint, CreateIndex, CreateTable, ForeignKey, IndexPart,
    ObjectKind, ReferentialAction, RoutineKind, TableCopy, TableSource, TypeKind,
};

use crate::sql::dialect::Dialect;
use cursor::{Cursor, Source, unquoted};

/// Reads the changes that one statement makes, in their order. Never fails.
///
/// A statement that changes nothing in this model gives one [`Change::Unknown`]; a text without
/// any statement gives nothing.
pub fn read(statement_sql: &str, dialect: Dialect) -> Vec<Change> {
    let source = Source::new(statement_sql, dialect);
    let mut all = source.cursor();
    while all.eat_text(";") {}
    let statement = all.until_semicolon();
    if statement.at_end() {
        return Vec::new();
    }
    if source.runs_only_on_some_servers() {
        let verb = statement.peek(0).to_ascii_uppercase();
        return vec![Change::Dynamic { verb, text: all.text() }];
    }
    let mut cursor = statement;
    understood(&mut cursor).unwrap_or_else(|| vec![not_understood(statement, all)])
}

/// Reads a statement; none if it is not understood.
fn understood(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    if cursor.eat("CREATE") {
        return create::create(cursor);
    }
    if cursor.eat("ALTER") {
        return alter::alter(cursor);
    }
    if cursor.eat("DROP") {
        return drop::drop(cursor);
    }
    if cursor.eat("TRUNCATE") {
        return rows::truncate(cursor).map(|change| vec![change]);
    }
    if cursor.eat("RENAME TABLE") || cursor.eat("RENAME TABLES") {
        return drop::rename_tables(cursor);
    }
    if cursor.eat("COMMENT ON") {
        return Some(vec![Change::Comment]);
    }
    if let Some(path) = search_path(*cursor) {
        return Some(vec![path]);
    }
    let whole = *cursor;
    let changes = rows::rows(cursor)?;
    let by_hand = changes.iter().find_map(|change| match change {
        Change::InsertRows { table, .. }
        | Change::UpdateRows { table }
        | Change::DeleteRows { table }
            if is_catalog(table, whole) =>
        {
            let verb = whole.peek(0).to_ascii_uppercase();
            Some(Change::Dynamic { verb, text: whole.text() })
        }
        _ => None,
    });
    Some(by_hand.map_or(changes, |change| vec![change]))
}

/// Whether rows of this table are the schema itself: `UPDATE sqlite_master SET sql = ...`.
fn is_catalog(table: &ObjectName, cursor: Cursor<'_>) -> bool {
    let lower = table.name.to_lowercase();
    match cursor.dialect() {
        Dialect::Sqlite => matches!(
            lower.as_str(),
            "sqlite_master" | "sqlite_schema" | "sqlite_temp_master" | "sqlite_temp_schema"
        ),
        Dialect::Postgres => {
            table.schema.as_deref() == Some("pg_catalog")
                || (table.schema.is_none() && lower.starts_with("pg_"))
        }
        Dialect::Mysql => false,
    }
}

/// `SET search_path`, `SELECT set_config('search_path', ...)`, `USE`.
fn search_path(mut cursor: Cursor<'_>) -> Option<Change> {
    if cursor.is_mysql() && cursor.eat("USE") {
        return Some(Change::SearchPath { schemas: vec![cursor.ident()?] });
    }
    if !cursor.is_postgres() {
        return None;
    }
    if cursor.eat_any(&["RESET search_path", "RESET ALL", "DISCARD ALL"]) {
        return Some(Change::SearchPath { schemas: Vec::new() });
    }
    if cursor.eat("SELECT") {
        return set_config(cursor);
    }
    if !cursor.eat("SET") {
        return None;
    }
    cursor.eat_any(&["LOCAL", "SESSION"]);
    if !cursor.eat("search_path") && !cursor.eat("SCHEMA") {
        return None;
    }
    let _ = cursor.eat_text("=") || cursor.eat("TO");
    let names = cursor
        .items()
        .into_iter()
        .map(|mut item| item.ident().unwrap_or_else(|| unquoted(item.peek(0))));
    Some(Change::SearchPath { schemas: path_schemas(names) })
}

/// `set_config('search_path', 'a, b', false)`, with or without `pg_catalog.`.
fn set_config(mut cursor: Cursor<'_>) -> Option<Change> {
    let name = cursor.object_name()?;
    if name.name != "set_config" {
        return None;
    }
    let arguments = cursor.group()?.items();
    let mut values = arguments.iter().map(|argument| unquoted(argument.peek(0)));
    if !values.next()?.eq_ignore_ascii_case("search_path") {
        return None;
    }
    let path = values.next()?;
    let names = path.split(',').map(|part| part.trim().trim_matches('"').to_owned());
    Some(Change::SearchPath { schemas: path_schemas(names) })
}

/// The schemas of a path in which a new object may be made.
fn path_schemas(names: impl Iterator<Item = String>) -> Vec<String> {
    names.filter(|name| !matches!(name.as_str(), "" | "$user" | "default" | "pg_catalog")).collect()
}

/// The change for a statement that was not understood: a riddle, or merely not modelled.
fn not_understood(statement: Cursor<'_>, whole: Cursor<'_>) -> Change {
    let first = statement.peek(0).to_ascii_uppercase();
    let block = statement.at("BEGIN NOT ATOMIC") || statement.at("DECLARE");
    if block || matches!(first.as_str(), "DO" | "CALL" | "EXECUTE" | "EXEC" | "PREPARE") {
        return Change::Dynamic { verb: first, text: whole.text() };
    }
    Change::Unknown { verb: verb(statement) }
}

/// The words that name a statement: two where one says too little.
fn verb(statement: Cursor<'_>) -> String {
    let first = short_upper(statement.peek(0));
    let two = statement.at_any(&["CREATE", "ALTER", "DROP", "SET", "REFRESH", "LOCK", "SECURITY"]);
    let second = statement.kind(1) == Some(crate::sql::lexer::TokenKind::Word);
    if !two || !second {
        return first;
    }
    let mut rest = statement;
    rest.bump();
    if rest.eat("OR REPLACE") || rest.at_any(&["TEMP", "TEMPORARY"]) {
        // The word behind these says what it is.
        rest.eat_any(&["TEMP", "TEMPORARY"]);
    }
    format!("{first} {}", short_upper(rest.peek(0)))
}

/// At most 40 characters, so that damaged text does not become a long message.
fn short_upper(word: &str) -> String {
    word.chars().take(40).collect::<String>().to_uppercase()
}

/// A table made by a query that copies nobody knows what.
fn created_as_select(name: ObjectName, temporary: bool) -> Change {
    Change::CreateTable(Box::new(CreateTable {
        name,
        temporary,
        source: TableSource::AsSelect { copies: None },
        ..CreateTable::default()
    }))
}

impl Change {
    /// The object that this change brings into being, for lists of what a migration made.
    pub fn created(&self) -> Option<(ObjectKind, ObjectName)> {
        match self {
            Change::CreateTable(table) if !table.temporary => {
                Some((ObjectKind::Table, table.name.clone()))
            }
            Change::CreateIndex(index) => Some((ObjectKind::Index, index.name.clone()?)),
            Change::CreateView { name, temporary: false, .. } => {
                Some((ObjectKind::View, name.clone()))
            }
            Change::CreateTrigger { name, temporary: false, .. } => {
                Some((ObjectKind::Trigger, name.clone()))
            }
            Change::CreateRoutine { name, .. } => Some((ObjectKind::Routine, name.clone())),
            Change::CreateType { name, .. } => Some((ObjectKind::Type, name.clone())),
            Change::CreateSequence { name, temporary: false, .. } => {
                Some((ObjectKind::Sequence, name.clone()))
            }
            Change::CreateSchema { name, .. } => {
                Some((ObjectKind::Schema, ObjectName::bare(name.clone())))
            }
            Change::CreateExtension { name, .. } => {
                Some((ObjectKind::Extension, ObjectName::bare(name.clone())))
            }
            _ => None,
        }
    }
}
