//! `ALTER TABLE` and the other `ALTER` statements.

use super::change::Change;
use super::column::{column_def, default_expr, type_text};
use super::constraint::{starts_constraint, table_constraint};
use super::cursor::{Cursor, unquoted};
use super::index::{inline_index, starts_inline_index};
use super::name::ObjectName;
use super::parts::{ColumnAction, CreateIndex, ObjectKind};
use crate::sql::lexer::TokenKind;

/// Reads what follows `ALTER`; none if it is not understood.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    cursor.eat_any(&["ONLINE", "OFFLINE"]);
    cursor.eat("IGNORE");
    if cursor.eat("TABLE") || cursor.eat("FOREIGN TABLE") {
        return alter_table(cursor);
    }
    if cursor.eat("INDEX") {
        return alter_index(cursor);
    }
    if cursor.eat("TYPE") {
        return alter_type(cursor);
    }
    let kind = if cursor.eat("MATERIALIZED VIEW") || cursor.eat("VIEW") {
        ObjectKind::View
    } else if cursor.eat("SEQUENCE") {
        ObjectKind::Sequence
    } else if cursor.eat("DOMAIN") {
        ObjectKind::Type
    } else if cursor.eat_any(&["FUNCTION", "PROCEDURE", "AGGREGATE", "ROUTINE"]) {
        ObjectKind::Routine
    } else if cursor.eat("TRIGGER") {
        ObjectKind::Trigger
    } else if cursor.is_postgres() && cursor.eat("SCHEMA") {
        ObjectKind::Schema
    } else {
        return None;
    };
    cursor.eat("IF EXISTS");
    let from = cursor.object_name()?;
    cursor.group();
    if cursor.eat("ON") {
        cursor.object_name();
    }
    renamed(cursor, kind, from).map(|change| vec![change])
}

/// `RENAME TO name` or `SET SCHEMA name`.
fn renamed(cursor: &mut Cursor<'_>, kind: ObjectKind, from: ObjectName) -> Option<Change> {
    let to = new_name(cursor, &from)?;
    Some(Change::RenameObject { kind, from, to })
}

/// The name after `RENAME TO` or `SET SCHEMA`; a bare new name stays in the old schema.
fn new_name(cursor: &mut Cursor<'_>, from: &ObjectName) -> Option<ObjectName> {
    if cursor.eat("SET SCHEMA") {
        return Some(ObjectName::in_schema(cursor.ident()?, from.name.clone()));
    }
    if !cursor.eat("RENAME TO") {
        return None;
    }
    let to = cursor.object_name()?;
    Some(ObjectName { schema: to.schema.or_else(|| from.schema.clone()), name: to.name })
}

fn alter_index(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    cursor.eat("IF EXISTS");
    let from = cursor.object_name()?;
    let to = cursor.eat("RENAME TO").then(|| cursor.ident())??;
    Some(vec![Change::RenameIndex { table: None, from, to }])
}

fn alter_type(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    let name = cursor.object_name()?;
    if cursor.eat("ADD VALUE") {
        let if_not_exists = cursor.eat("IF NOT EXISTS");
        let value = unquoted(cursor.peek(0));
        return Some(vec![Change::AddEnumValue { name, value, if_not_exists }]);
    }
    renamed(cursor, ObjectKind::Type, name).map(|change| vec![change])
}

fn alter_table(cursor: &mut Cursor<'_>) -> Option<Vec<Change>> {
    if cursor.at("ALL IN TABLESPACE") {
        return None;
    }
    let if_exists = cursor.eat("IF EXISTS");
    cursor.eat("ONLY");
    let table = cursor.object_name()?;
    cursor.eat_text("*");
    if cursor.is_mysql() && cursor.at_any(&["WAIT", "NOWAIT"]) {
        if cursor.eat("WAIT") {
            cursor.bump();
        }
        cursor.eat("NOWAIT");
    }
    let mut changes = Vec::new();
    if if_exists {
        changes.push(Change::OnlyIfTableExists { table: table.clone() });
    }
    for mut item in cursor.items() {
        let start = item;
        let read = action(&mut item, &table);
        changes.extend(read.unwrap_or_else(|| {
            vec![Change::OtherTableChange { table: table.clone(), action: start.text() }]
        }));
    }
    // All actions of one statement name the table as it was before.
    changes.sort_by_key(|change| matches!(change, Change::RenameTable { .. }));
    Some(changes)
}

fn action(item: &mut Cursor<'_>, table: &ObjectName) -> Option<Vec<Change>> {
    if item.eat("ADD") {
        return add(item, table);
    }
    if item.eat("DROP") {
        return drop(item, table).map(|change| vec![change]);
    }
    if item.eat("ALTER") {
        return alter_column(item, table).map(|change| vec![change]);
    }
    if item.at("RENAME") || item.at("SET SCHEMA") {
        return rename(item, table).map(|change| vec![change]);
    }
    if !item.is_mysql() {
        return None;
    }
    if item.eat("MODIFY") {
        item.eat("COLUMN");
        item.eat("IF EXISTS");
        let column = column_def(item)?;
        return Some(vec![redefined(table, column)]);
    }
    if item.eat("CHANGE") {
        item.eat("COLUMN");
        item.eat("IF EXISTS");
        let from = item.ident()?;
        let column = column_def(item)?;
        let mut changes = Vec::new();
        if from != column.name {
            let to = column.name.clone();
            changes.push(Change::RenameColumn { table: table.clone(), from, to });
        }
        changes.push(redefined(table, column));
        return Some(changes);
    }
    None
}

fn redefined(table: &ObjectName, column: super::parts::ColumnDef) -> Change {
    Change::AlterColumn {
        table: table.clone(),
        column: column.name.clone(),
        action: ColumnAction::Redefine(Box::new(column)),
    }
}

fn add(item: &mut Cursor<'_>, table: &ObjectName) -> Option<Vec<Change>> {
    if starts_inline_index(item) {
        let index = inline_index(item, table);
        return Some(vec![Change::CreateIndex(Box::new(index))]);
    }
    if item.is_mysql() && item.at_any(&["PARTITION", "SYSTEM", "PERIOD"]) {
        return None;
    }
    if let Some(index) = unique_index(*item, table) {
        return Some(vec![Change::CreateIndex(Box::new(index))]);
    }
    if starts_constraint(item) {
        let renamed = renamed_by_using(*item, table);
        let mut probe = *item;
        let if_not_exists = probe.eat("CONSTRAINT IF NOT EXISTS");
        let constraint = if if_not_exists {
            let name = probe.ident();
            named(table_constraint(&mut probe), name)
        } else {
            table_constraint(item)
        };
        let table = table.clone();
        let added = Change::AddConstraint { table, constraint, if_not_exists };
        return Some(renamed.into_iter().chain([added]).collect());
    }
    item.eat("COLUMN");
    let if_not_exists = item.eat("IF NOT EXISTS");
    let columns = if item.is_kind(TokenKind::LParen) {
        let parts = item.group().map(Cursor::items).unwrap_or_default();
        parts.into_iter().filter_map(|mut part| column_def(&mut part)).collect()
    } else {
        vec![column_def(item)?]
    };
    let added = |column| Change::AddColumn {
        table: table.clone(),
        column: Box::new(column),
        if_not_exists,
    };
    Some(columns.into_iter().map(added).collect())
}

/// `ADD CONSTRAINT name PRIMARY KEY USING INDEX index`: the index gets the constraint's name.
fn renamed_by_using(mut item: Cursor<'_>, table: &ObjectName) -> Option<Change> {
    if !item.is_postgres() || !item.eat("CONSTRAINT") {
        return None;
    }
    let name = item.ident()?;
    let using = item.eat_any(&["PRIMARY KEY USING INDEX", "UNIQUE USING INDEX"]);
    let from = using.then(|| item.ident())??;
    (from != name).then(|| Change::RenameIndex {
        table: Some(table.clone()),
        from: ObjectName::bare(from),
        to: name,
    })
}

/// MariaDB's `ADD UNIQUE INDEX IF NOT EXISTS name (...)`.
fn unique_index(mut item: Cursor<'_>, table: &ObjectName) -> Option<CreateIndex> {
    let found = item.is_mysql()
        && (item.eat("UNIQUE INDEX IF NOT EXISTS") || item.eat("UNIQUE KEY IF NOT EXISTS"));
    found.then(|| {
        let index = inline_index(&mut item, table);
        CreateIndex { unique: true, if_not_exists: true, ..index }
    })
}

fn named(constraint: super::parts::Constraint, given: Option<String>) -> super::parts::Constraint {
    use super::parts::Constraint;
    match constraint {
        Constraint::PrimaryKey { columns, .. } => Constraint::PrimaryKey { name: given, columns },
        Constraint::Unique { columns, .. } => Constraint::Unique { name: given, columns },
        Constraint::ForeignKey(mut key) => {
            key.name = given;
            Constraint::ForeignKey(key)
        }
        Constraint::Check(mut check) => {
            check.name = given;
            Constraint::Check(check)
        }
        Constraint::Other { text, .. } => Constraint::Other { name: given, text },
    }
}

fn drop(item: &mut Cursor<'_>, table: &ObjectName) -> Option<Change> {
    let table = table.clone();
    if item.is_mysql() {
        if item.at_any(&["PARTITION", "SYSTEM", "PERIOD"]) {
            return None;
        }
        if item.eat("PRIMARY KEY") {
            return Some(Change::DropPrimaryKey { table });
        }
        if item.eat("FOREIGN KEY") {
            let if_exists = item.eat("IF EXISTS");
            return Some(Change::DropForeignKey { table, name: item.ident()?, if_exists });
        }
        if item.eat_any(&["INDEX", "KEY"]) {
            let if_exists = item.eat("IF EXISTS");
            let name = ObjectName::bare(item.ident()?);
            let concurrently = false;
            return Some(Change::DropIndex { name, table: Some(table), if_exists, concurrently });
        }
    }
    if item.eat("CONSTRAINT") || (item.is_mysql() && item.eat("CHECK")) {
        let if_exists = item.eat("IF EXISTS");
        let name = item.ident()?;
        let cascade = item.eat("CASCADE");
        return Some(Change::DropConstraint { table, name, if_exists, cascade });
    }
    item.eat("COLUMN");
    let if_exists = item.eat("IF EXISTS");
    let column = item.ident()?;
    let cascade = item.eat("CASCADE");
    Some(Change::DropColumn { table, column, if_exists, cascade })
}

fn alter_column(item: &mut Cursor<'_>, table: &ObjectName) -> Option<Change> {
    if item.at_any(&["CONSTRAINT", "INDEX", "CHECK"]) {
        return None;
    }
    item.eat("COLUMN");
    item.eat("IF EXISTS");
    let column = item.ident()?;
    let action = if item.eat("SET NOT NULL") {
        ColumnAction::SetNotNull
    } else if item.eat("DROP NOT NULL") {
        ColumnAction::DropNotNull
    } else if item.eat("DROP DEFAULT") {
        ColumnAction::DropDefault
    } else if item.eat("SET DEFAULT") {
        ColumnAction::SetDefault(default_expr(item))
    } else if item.eat("TYPE") || item.eat("SET DATA TYPE") {
        ColumnAction::Type(type_text(item))
    } else {
        ColumnAction::Other(item.text())
    };
    Some(Change::AlterColumn { table: table.clone(), column, action })
}

fn rename(item: &mut Cursor<'_>, table: &ObjectName) -> Option<Change> {
    if item.at("RENAME TO") || item.at("SET SCHEMA") {
        let to = new_name(item, table)?;
        return Some(Change::RenameTable { from: table.clone(), to });
    }
    item.bump();
    let table = table.clone();
    if item.eat("CONSTRAINT") {
        let (from, to) = pair(item)?;
        return Some(Change::RenameConstraint { table, from, to });
    }
    if item.is_mysql() && item.eat_any(&["INDEX", "KEY"]) {
        let (from, to) = pair(item)?;
        let from = ObjectName::bare(from);
        return Some(Change::RenameIndex { table: Some(table), from, to });
    }
    let column = item.eat("COLUMN");
    if column || item.word_at(1, "TO") {
        item.eat("IF EXISTS");
        let (from, to) = pair(item)?;
        return Some(Change::RenameColumn { table, from, to });
    }
    if !item.eat("AS") {
        item.eat_text("=");
    }
    let to = item.object_name()?;
    let schema = to.schema.or_else(|| table.schema.clone());
    Some(Change::RenameTable { from: table, to: ObjectName { schema, name: to.name } })
}

fn pair(item: &mut Cursor<'_>) -> Option<(String, String)> {
    let from = item.ident()?;
    if !item.eat("TO") {
        return None;
    }
    Some((from, item.ident()?))
}
