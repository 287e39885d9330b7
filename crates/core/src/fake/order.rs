//! In which order tables are filled: parents before children.

use super::FakeError;
use crate::ddl::ForeignKey;
use crate::snapshot::{Snapshot, Table};
use crate::sql::dialect::Dialect;

/// A table, when it is its turn.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// The table.
    pub table: &'a Table,
    /// Foreign keys (their places in the table) that are NULL at first, because their parents come
    /// later.
    pub later: Vec<usize>,
}

/// Puts tables into an order in which each finds its parents. A circle is opened at a foreign key
/// whose columns may be NULL.
///
/// # Errors
/// When every key of a circle needs a value.
pub fn order<'a>(
    tables: &[&'a Table],
    snapshot: &'a Snapshot,
    dialect: Dialect,
) -> Result<Vec<Turn<'a>>, FakeError> {
    let mut waiting: Vec<&'a Table> = tables.to_vec();
    let mut out: Vec<Turn<'a>> = Vec::new();
    while !waiting.is_empty() {
        // Keys to tables that are not filled yet, except to the table itself.
        let open = |table: &Table| -> Vec<usize> {
            let is_open = |key: &ForeignKey| {
                let parent = snapshot.table(&key.to_table, dialect);
                parent.is_some_and(|parent| {
                    parent.name != table.name && waiting.iter().any(|one| one.name == parent.name)
                })
            };
            let keys = table.foreign_keys.iter().enumerate();
            keys.filter(|(_, key)| is_open(key)).map(|(at, _)| at).collect()
        };
        let may_wait = |table: &Table| {
            let keys = open(table);
            keys.iter()
                .all(|at| table.foreign_keys.get(*at).is_some_and(|key| can_be_null(table, key)))
        };
        let free = waiting.iter().position(|table| open(table).is_empty());
        let next = free.or_else(|| waiting.iter().position(|table| may_wait(table)));
        let Some(next) = next else { return Err(circle(&waiting)) };
        let later = waiting.get(next).map(|table| open(table)).unwrap_or_default();
        let table = waiting.remove(next);
        out.push(Turn { table, later });
    }
    Ok(out)
}

/// Whether the key can be left open: one column of it that is NULL is enough.
pub(super) fn can_be_null(table: &Table, key: &ForeignKey) -> bool {
    let nullable =
        |name: &String| table.columns.iter().any(|column| column.name == *name && column.nullable);
    key.columns.iter().any(nullable)
        && !key.columns.iter().any(|name| table.primary_key.contains(name))
}

fn circle(tables: &[&Table]) -> FakeError {
    let names: Vec<String> = tables.iter().map(|table| format!("`{}`", table.name)).collect();
    FakeError {
        message: format!(
            "{} refer to each other by columns that must have a value, so none can be first",
            names.join(", ")
        ),
        hint: "Insert some rows into one of them by hand, then name the other tables".to_owned(),
    }
}
