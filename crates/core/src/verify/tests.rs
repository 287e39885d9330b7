//! Histories, the schema that is live afterwards, and what `verify` says of it.

use super::{Expected, Fact, Verdict};
use crate::ddl::{Change, ColumnDef, Constraint, CreateTable, ObjectName, read};
use crate::snapshot::{
    Column, Index, IndexOrigin, Routine, Snapshot, Table, Trigger, TypeDef, Unique, View,
};
use crate::sql::dialect::Dialect;

mod histories;
mod public;

/// The changes of statements that end with `;` at the end of a line.
fn changes(sql: &str, dialect: Dialect) -> Vec<Change> {
    sql.split(";\n").flat_map(|statement| read(statement, dialect)).collect()
}

/// A live schema, written down as the statements that the catalog would print.
fn live(sql: &str, dialect: Dialect) -> Snapshot {
    let schema = (dialect == Dialect::Postgres).then(|| "public".to_owned());
    let mut live = Snapshot { default_schema: schema.clone(), ..Snapshot::default() };
    let in_schema = |name: &ObjectName| ObjectName {
        schema: name.schema.clone().or_else(|| schema.clone()),
        name: name.name.clone(),
    };
    for change in changes(sql, dialect) {
        match change {
            Change::CreateTable(table) => {
                live.tables.push(live_table(&table, in_schema(&table.name)));
            }
            Change::CreateIndex(index) => {
                let columns = index.columns.iter();
                let columns =
                    columns.map(|part| part.column.clone().unwrap_or(part.text.clone())).collect();
                let made = Index {
                    name: index.name.unwrap().name,
                    columns,
                    unique: index.unique,
                    valid: true,
                    predicate: index.partial,
                    origin: IndexOrigin::Created,
                };
                let of = in_schema(&index.table);
                let table = live.tables.iter_mut().find(|table| table.name == of).unwrap();
                table.indexes.push(made);
            }
            Change::CreateView { name, materialized, .. } => {
                let name = in_schema(&name);
                live.views.push(View { name, materialized, ..View::default() });
            }
            Change::CreateTrigger { name, table, .. } => {
                let (name, table) = (name.name, in_schema(&table));
                live.triggers.push(Trigger { name, table, ..Trigger::default() });
            }
            Change::CreateRoutine { name, arguments, .. } => {
                let name = in_schema(&name);
                live.routines.push(Routine { name, arguments, ..Routine::default() });
            }
            Change::CreateType { name, .. } => {
                live.types.push(TypeDef { name: in_schema(&name), ..TypeDef::default() });
            }
            Change::CreateSequence { name, .. } => live.sequences.push(in_schema(&name)),
            Change::CreateSchema { name, .. } => live.schemas.push(name),
            Change::CreateExtension { name, .. } => live.extensions.push(name),
            other => panic!("not a live schema: {other}"),
        }
    }
    live
}

fn live_table(table: &CreateTable, name: ObjectName) -> Table {
    let mut live = Table { name, ..Table::default() };
    for column in &table.columns {
        let ColumnDef { name, type_text, not_null, default, identity, .. } = column.clone();
        live.columns.push(Column {
            name: name.clone(),
            type_name: type_text,
            nullable: !not_null,
            default,
            identity,
            ..Column::default()
        });
        if column.primary_key {
            live.primary_key.push(name.clone());
        }
        if column.unique {
            let name = column.key_name.clone();
            live.uniques.push(Unique { name, columns: vec![column.name.clone()] });
        }
        live.foreign_keys.extend(column.references.clone());
        live.checks.extend(column.checks.clone());
    }
    for constraint in table.constraints.clone() {
        match constraint {
            Constraint::PrimaryKey { columns, .. } => live.primary_key = columns,
            Constraint::Unique { name, columns } => live.uniques.push(Unique { name, columns }),
            Constraint::ForeignKey(key) => live.foreign_keys.push(key),
            Constraint::Check(check) => live.checks.push(check),
            Constraint::Other { .. } => {}
        }
    }
    live
}

/// What is said of a live schema after a history; facts that hold are only counted.
fn verify(dialect: Dialect, history: &str, schema: &str) -> (usize, Vec<String>) {
    let mut expected = Expected::new(dialect);
    for migration in history.split("\n---\n") {
        expected.apply(&changes(migration, dialect));
    }
    let facts = expected.check(&live(schema, dialect));
    let holding = facts.iter().filter(|fact| fact.verdict == Verdict::Holds).count();
    let others = facts.iter().filter(|fact| fact.verdict != Verdict::Holds);
    (holding, others.map(Fact::to_string).collect())
}

#[track_caller]
fn holds(dialect: Dialect, history: &str, schema: &str) -> usize {
    let (holding, others) = verify(dialect, history, schema);
    assert!(others.is_empty(), "{others:#?}\nafter: {history}");
    assert!(holding > 0, "no facts after: {history}");
    holding
}

#[track_caller]
fn says(dialect: Dialect, history: &str, schema: &str, want: &[&str]) {
    let (_, others) = verify(dialect, history, schema);
    assert_eq!(others, want, "after: {history}");
}
