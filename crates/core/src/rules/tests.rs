//! Rules on rows.

mod properties;
mod verdicts;

use crate::ddl::ObjectName;
use crate::rows::{Cell, Chunk, ColumnHead, ColumnKind};
use crate::rules::{Judge, RowSchema, RuleError, Scope, TableRules, Violation};
use crate::snapshot::{Column, Snapshot, Table};
use crate::sql::dialect::Dialect;

/// A table with these columns; the first is the key.
fn table(columns: &[&str]) -> Table {
    let column =
        |name: &&str| Column { name: (*name).to_owned(), nullable: true, ..Column::default() };
    Table {
        name: ObjectName::bare("users"),
        columns: columns.iter().map(column).collect(),
        primary_key: columns.first().map(|name| (*name).to_owned()).into_iter().collect(),
        ..Table::default()
    }
}

fn heads(columns: &[(&str, ColumnKind)]) -> Vec<ColumnHead> {
    let head = |(name, kind): &(&str, ColumnKind)| ColumnHead {
        name: (*name).to_owned(),
        type_name: String::new(),
        kind: *kind,
    };
    columns.iter().map(head).collect()
}

fn read(schema: &str, columns: &[&str]) -> Result<RowSchema, RuleError> {
    RowSchema::read(schema, &table(columns), Dialect::Postgres)
}

fn judge(schema: &str, columns: &[(&str, ColumnKind)]) -> Judge {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let schema = read(schema, &names).expect("a good schema");
    TableRules::of(&table(&names), &Snapshot::default(), Dialect::Postgres, Scope::Own)
        .with_schema(schema)
        .judge(&heads(columns))
}

fn violations(judge: &Judge, cells: &[Cell<'_>]) -> Vec<Violation> {
    let mut chunk = Chunk::default();
    chunk.clear(cells.len());
    cells.iter().for_each(|cell| chunk.push(*cell));
    judge.judge(chunk.row(0).expect("one row"))
}

/// `column: keyword at path`, one for each violation.
fn broken(judge: &Judge, cells: &[Cell<'_>]) -> Vec<String> {
    violations(judge, cells)
        .into_iter()
        .map(|one| format!("{}: {}", one.column.unwrap_or_default(), one.rule))
        .collect()
}
