//! What the application has written, and what a database should still have of it.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::GONE;
use crate::proof::{Verdict, ensure};

/// A table and a key.
pub(super) type Key = (&'static str, i64);
/// What the tables hold: for each row its columns.
pub(super) type Rows = BTreeMap<Key, BTreeMap<&'static str, String>>;

/// A value that the application wrote.
type Cell = (Key, &'static str);

/// What the application has written.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Values that must be there.
    live: BTreeMap<Cell, String>,
    /// Values that a migration has overwritten or deleted since.
    under: BTreeMap<Cell, String>,
    /// Rows that the application has deleted.
    gone: BTreeSet<Key>,
}

impl Model {
    /// The application has written a value, perhaps with the row.
    pub(super) fn wrote(&mut self, key: Key, column: &'static str, value: &str) {
        self.gone.remove(&key);
        self.under.remove(&(key, column));
        self.live.insert((key, column), value.to_owned());
    }

    /// The application has deleted a row.
    pub(super) fn deleted(&mut self, key: Key) {
        self.live.retain(|(row, _), _| *row != key);
        self.under.retain(|(row, _), _| *row != key);
        self.gone.insert(key);
    }

    /// After an `up`: what its migrations change by their text may be gone, nothing else.
    pub(super) fn after_up(&mut self, rows: &Rows) -> Verdict<()> {
        for (cell, value) in self.missing(rows) {
            ensure(!covered_by(cell).is_empty(), || format!("`up` lost {cell:?} = {value}"))?;
            self.live.remove(&cell);
            self.under.insert(cell, value);
        }
        self.gone.retain(|key| !rows.contains_key(key));
        Ok(())
    }

    /// After a rollback: the rows of which something is lost, be it that they were deleted. They
    /// count as lost only once.
    pub(super) fn after_rollback(&mut self, rows: &Rows) -> usize {
        let missing = self.missing(rows);
        let mut lost: BTreeSet<Key> = missing.iter().map(|((key, _), _)| *key).collect();
        lost.extend(self.gone.iter().filter(|key| rows.contains_key(*key)));
        self.gone.retain(|key| !rows.contains_key(key));
        for (cell, _) in missing {
            self.live.remove(&cell);
        }
        lost.len()
    }

    /// After a rollback that is done: what the migrations had changed that are not applied any more
    /// is what the application had written before them.
    pub(super) fn come_back(&mut self, rows: &Rows, applied: &[String]) -> Verdict<usize> {
        let is_back = |cell: &Cell| {
            let of = covered_by(*cell);
            !applied.iter().any(|name| of.iter().any(|version| name.starts_with(version)))
        };
        let back: Vec<Cell> = self.under.keys().filter(|cell| is_back(cell)).copied().collect();
        for cell in &back {
            let Some(value) = self.under.remove(cell) else { continue };
            let now = rows.get(&cell.0).and_then(|row| row.get(cell.1));
            ensure(now == Some(&value), || format!("{cell:?} was {value} before, and is {now:?}"))?;
            self.live.insert(*cell, value);
        }
        Ok(back.len())
    }

    fn missing(&self, rows: &Rows) -> Vec<(Cell, String)> {
        let is_there = |(key, column): &Cell, value: &String| {
            rows.get(key).and_then(|row| row.get(column)) == Some(value)
        };
        let missing = self.live.iter().filter(|(cell, value)| !is_there(cell, value));
        missing.map(|(cell, value)| (*cell, value.clone())).collect()
    }
}

/// The migrations that change a value by their text.
fn covered_by(((table, id), column): Cell) -> Vec<&'static str> {
    let mut out = Vec::new();
    if table != "items" {
        return out;
    }
    match column {
        "note" if id % 4 != 1 => out.push("0004"),
        "slug" if id % 2 == 0 => out.push("0006"),
        _ => {}
    }
    if id % GONE.0 == GONE.1 {
        out.push("0007");
    }
    out
}
