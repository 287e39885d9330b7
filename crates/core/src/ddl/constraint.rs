//! Constraints in a table's list or after `ADD`, and what follows `REFERENCES`.

use super::cursor::Cursor;
use super::parts::{Check, Constraint, ForeignKey, ReferentialAction};
use crate::sql::lexer::TokenKind;

/// Whether a constraint starts here rather than a column.
///
/// A column may be called like a keyword that its dialect does not reserve, so most keywords
/// count only together with what follows them.
pub(super) fn starts_constraint(cursor: &Cursor<'_>) -> bool {
    let opens = cursor.kind(1) == Some(TokenKind::LParen);
    cursor.at("CONSTRAINT")
        || cursor.at("PRIMARY KEY")
        || cursor.at("FOREIGN KEY")
        || cursor.at("UNIQUE")
        || (cursor.at("CHECK") && opens)
        || cursor.at("PERIOD FOR")
        || (cursor.is_postgres() && (cursor.at("EXCLUDE USING") || (cursor.at("EXCLUDE") && opens)))
}

/// Reads one constraint; steps behind it as far as it is understood.
pub(super) fn table_constraint(cursor: &mut Cursor<'_>) -> Constraint {
    let start = *cursor;
    let mut name = None;
    if cursor.eat("CONSTRAINT") && !body_starts(cursor) {
        name = cursor.ident();
    }
    if cursor.eat("PRIMARY KEY") {
        if cursor.is_postgres() && cursor.eat("USING INDEX") {
            let index = cursor.ident();
            skip_rest(cursor);
            return Constraint::PrimaryKey { name: name.or(index), columns: Vec::new() };
        }
        skip_index_type(cursor);
        let columns = key_columns(cursor);
        skip_rest(cursor);
        return Constraint::PrimaryKey { name, columns };
    }
    if cursor.eat("UNIQUE") {
        return unique(cursor, name);
    }
    if cursor.eat("FOREIGN KEY") {
        return foreign_key(cursor, name);
    }
    if cursor.at("CHECK") {
        cursor.bump();
        let expr = cursor.group().map(|group| group.text()).unwrap_or_default();
        skip_rest(cursor);
        return Constraint::Check(Check { name, expr });
    }
    while !cursor.at_end() {
        cursor.skip();
    }
    Constraint::Other { name, text: cursor.text_since(start) }
}

/// Whether an unnamed constraint's body follows the word CONSTRAINT (MariaDB allows that).
fn body_starts(cursor: &Cursor<'_>) -> bool {
    cursor.is_mysql()
        && (cursor.at("PRIMARY KEY")
            || cursor.at("FOREIGN KEY")
            || cursor.at_any(&["UNIQUE", "CHECK"]))
}

fn unique(cursor: &mut Cursor<'_>, mut name: Option<String>) -> Constraint {
    cursor.eat_any(&["KEY", "INDEX"]);
    cursor.eat("IF NOT EXISTS");
    cursor.eat_any(&["NULLS NOT DISTINCT", "NULLS DISTINCT"]);
    if cursor.eat("USING INDEX") {
        let index = cursor.ident();
        skip_rest(cursor);
        return Constraint::Unique { name: name.or(index), columns: Vec::new() };
    }
    skip_index_type(cursor);
    if !cursor.is_kind(TokenKind::LParen) {
        name = cursor.ident().or(name);
    }
    skip_index_type(cursor);
    let columns = key_columns(cursor);
    skip_rest(cursor);
    Constraint::Unique { name, columns }
}

fn foreign_key(cursor: &mut Cursor<'_>, name: Option<String>) -> Constraint {
    cursor.eat("IF NOT EXISTS");
    // MySQL's own index name; the constraint's name wins.
    let index = if cursor.is_kind(TokenKind::LParen) { None } else { cursor.ident() };
    let columns = name_list(cursor);
    let mut key = ForeignKey::default();
    if cursor.eat("REFERENCES") {
        key = references(cursor);
    }
    key.columns = columns;
    key.name = name.or(index.filter(|_| cursor.is_mysql()));
    Constraint::ForeignKey(key)
}

fn skip_index_type(cursor: &mut Cursor<'_>) {
    if cursor.at_any(&["USING"]) {
        cursor.bump();
        cursor.bump();
    }
}

/// `(a, b(10) DESC, c COLLATE x)` as column names.
fn key_columns(cursor: &mut Cursor<'_>) -> Vec<String> {
    let Some(group) = cursor.group() else { return Vec::new() };
    group.items().into_iter().filter_map(|mut item| item.ident()).collect()
}

/// A list of names in parentheses; nothing if there is none.
pub(super) fn name_list(cursor: &mut Cursor<'_>) -> Vec<String> {
    key_columns(cursor)
}

/// What follows the word REFERENCES.
pub(super) fn references(cursor: &mut Cursor<'_>) -> ForeignKey {
    let mut key = ForeignKey {
        to_table: cursor.object_name().unwrap_or_default(),
        to_columns: name_list(cursor),
        ..ForeignKey::default()
    };
    loop {
        if cursor.eat("ON DELETE") {
            key.on_delete = action(cursor);
        } else if cursor.eat("ON UPDATE") {
            key.on_update = action(cursor);
        } else if cursor.eat("MATCH") {
            cursor.bump();
        } else if !cursor.eat_any(CONSTRAINT_SUFFIXES) {
            return key;
        }
    }
}

fn action(cursor: &mut Cursor<'_>) -> ReferentialAction {
    let action = if cursor.eat("CASCADE") {
        ReferentialAction::Cascade
    } else if cursor.eat("RESTRICT") {
        ReferentialAction::Restrict
    } else if cursor.eat("SET NULL") {
        ReferentialAction::SetNull
    } else if cursor.eat("SET DEFAULT") {
        ReferentialAction::SetDefault
    } else {
        cursor.eat("NO ACTION");
        ReferentialAction::NoAction
    };
    // PostgreSQL 15: SET NULL (column, ...).
    cursor.group();
    action
}

/// What may follow a constraint and changes no fact about it.
pub(super) const CONSTRAINT_SUFFIXES: &[&str] = &[
    "NOT DEFERRABLE",
    "DEFERRABLE",
    "INITIALLY DEFERRED",
    "INITIALLY IMMEDIATE",
    "NOT VALID",
    "NOT ENFORCED",
    "ENFORCED",
    "NO INHERIT",
    "ON CONFLICT ROLLBACK",
    "ON CONFLICT ABORT",
    "ON CONFLICT FAIL",
    "ON CONFLICT IGNORE",
    "ON CONFLICT REPLACE",
];

/// Steps to the next constraint: SQLite needs no comma between two of them.
fn skip_rest(cursor: &mut Cursor<'_>) {
    while !cursor.at_end() {
        if cursor.is_sqlite() && starts_constraint(cursor) {
            return;
        }
        if !cursor.eat_any(CONSTRAINT_SUFFIXES) {
            cursor.skip();
        }
    }
}
