//! Keeping what a statement changes that cannot be cut and runs in one go: the table as it was is
//! held against the table as it is afterwards, in the same transaction.

use whimbrel_core::data::{
    self, Catalog, DataKind, FunctionFacts, Volatility, same_value, stamped_columns,
};
use whimbrel_core::ddl::name::same_column_name;
use whimbrel_core::directive::UndoMode;
use whimbrel_core::snapshot::{Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;

use super::image::{KeyIndex, new_name, old_name, temporary, temporary_table_sql};
use super::job::{Settled, quote_column};
use super::key::{Keys, key_columns};
use super::start::empty;
use crate::apply::keep::sql_name;
use crate::apply::{Applier, StepWork};
use crate::error::EngineError;
use crate::ledger::{UndoEntry, number};

/// Rows of a table that is held against itself, at most. Statements that run in one go have small
/// tables behind them, but `INSERT ... VALUES` may add to a large one.
const TABLE_ROWS_MAX: u64 = 100_000;
/// The temporary table with the rows as they were.
const BEFORE: &str = "whimbrel_before";

/// What will be kept of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    kind: DataKind,
    target: Table,
    keys: Keys,
    /// The columns whose values are kept.
    columns: Vec<String>,
    /// The table that keeps them; it has its name when the statement is about to run.
    undo_table: String,
}

impl Applier<'_> {
    /// Names the table that keeps; `None` where the statement's own table is too large.
    pub(super) async fn begin_whole(
        &mut self,
        work: &StepWork<'_>,
        whole: Whole,
    ) -> Result<Option<Whole>, EngineError> {
        let large = format!("SELECT 1 FROM {} LIMIT 1 OFFSET {TABLE_ROWS_MAX}", whole.keys.table);
        if !self.session.query(&large).await?.is_empty() {
            return Ok(None);
        }
        let undo_table = format!("undo_{}", self.kept_suffix(work.step.statements.start));
        Ok(Some(Whole { undo_table, ..whole }))
    }

    /// What must happen before the transaction begins.
    pub(crate) async fn whole_outside(&mut self, whole: &Whole) -> Result<(), EngineError> {
        if self.ledger.dialect == Dialect::Mysql {
            // Making a table would end the transaction; an empty one that is left over is harmless.
            let undo = self.undo_table(&whole.undo_table);
            self.session.batch(&format!("DROP TABLE IF EXISTS {undo}")).await?;
            self.session.batch(&whole.undo_table_sql(&undo)).await?;
            // Rows that others insert meanwhile are not seen, or wait.
            self.session.batch("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        }
        Ok(())
    }

    /// Takes the picture of the table right before the statement.
    pub(crate) async fn whole_before(&mut self, whole: &Whole) -> Result<(), EngineError> {
        let dialect = self.ledger.dialect;
        if dialect == Dialect::Postgres {
            let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", whole.keys.table);
            self.session.batch(&lock).await?;
        }
        for sql in whole.before_sql() {
            self.session.batch(&sql).await?;
        }
        if dialect != Dialect::Mysql {
            let undo = self.undo_table(&whole.undo_table);
            self.session.batch(&whole.undo_table_sql(&undo)).await?;
        }
        Ok(())
    }

    /// Keeps what the statement has changed, `rows` rows by its own account.
    pub(crate) async fn whole_after(
        &mut self,
        work: &StepWork<'_>,
        whole: &Whole,
        rows: u64,
    ) -> Result<(), EngineError> {
        let undo = self.undo_table(&whole.undo_table);
        let sql = format!("INSERT INTO {undo} {}", whole.changed_sql());
        let kept = self.session.run(&sql, None).await?.rows_affected.unwrap_or(0);
        let exact = match whole.kind {
            DataKind::Insert | DataKind::Delete => kept == rows,
            DataKind::Update => {
                let found = self.session.query(&whole.same_rows_sql()).await?;
                let count = |at| found.first().map_or(-1, |row| number(row, at));
                count(0) == count(1) && count(0) == count(2)
            }
        };
        let end = match self.ledger.dialect {
            Dialect::Mysql => format!("DROP TEMPORARY TABLE {BEFORE}"),
            Dialect::Sqlite | Dialect::Postgres => {
                format!("DROP TABLE {}", temporary(self.ledger.dialect, BEFORE))
            }
        };
        self.session.batch(&end).await?;
        if !exact {
            // Something else has changed rows as well: a way back is refused.
            let end = match self.ledger.dialect {
                Dialect::Mysql => format!("DELETE FROM {undo}"),
                Dialect::Sqlite | Dialect::Postgres => format!("DROP TABLE {undo}"),
            };
            return Ok(self.session.batch(&end).await?);
        }
        let row = self.ledger.undo_sql(&UndoEntry {
            run_id: &self.lease.run_id,
            migration: &work.migration.name,
            statement_index: work.step.statements.start,
            event: "kept",
            kind: whole.kind.word(),
            object: &whole.target.name.to_string(),
            kept_as: &whole.undo_table,
            key_columns: &whole.key_names(),
            columns: &whole.columns,
            rows_kept: i64::try_from(kept).unwrap_or(i64::MAX),
            token: self.lease.token,
        });
        Ok(self.session.batch(&row).await?)
    }
}

impl Whole {
    /// What can be kept of a statement that runs in one go; `None` where it cannot be all, so that
    /// a way back is refused.
    pub(super) fn of(text: &str, settled: &Settled, catalog: &Catalog<'_>) -> Option<Whole> {
        let Catalog { dialect, snapshot, functions } = *catalog;
        let writes = data::writes(text, dialect).filter(|_| settled.undo != UndoMode::Off)?;
        let target = snapshot.table(&writes.target, dialect)?;
        let columns = kept_columns(target, writes.kind, &writes.assigned, dialect)?;
        let key = data::row_key(target, dialect);
        let writes_key =
            writes.kind == DataKind::Update && key.iter().any(|name| columns.contains(name));
        if key.is_empty() || writes_key {
            return None;
        }
        let may_write =
            |facts: &FunctionFacts| facts.volatility == Volatility::Volatile && facts.reads_tables;
        let more = functions.values().any(may_write)
            || writes_more((target, writes.kind), snapshot, dialect);
        if more && settled.undo != UndoMode::BestEffort {
            return None;
        }
        let keys = Keys::new(dialect, sql_name(&target.name, dialect), key_columns(target, &key));
        let (kind, target, undo_table) = (writes.kind, target.clone(), String::new());
        Some(Whole { kind, target, keys, columns, undo_table })
    }

    fn key_names(&self) -> Vec<String> {
        self.keys.columns.iter().map(|column| column.name.clone()).collect()
    }

    fn column(&self, at: usize) -> String {
        let name = self.columns.get(at).map_or("", String::as_str);
        format!("whimbrel_t.{}", quote_column(name, self.keys.dialect))
    }

    /// Expressions of the kept columns: `value AS name`.
    fn named(&self, name: fn(usize) -> String) -> Vec<String> {
        (0..self.columns.len()).map(|at| format!("{} AS {}", self.column(at), name(at))).collect()
    }

    /// What is needed of the rows as they were.
    fn old_items(&self) -> Vec<String> {
        let mut items = vec![self.keys.aliased(&self.keys.of("whimbrel_t"))];
        if self.kind != DataKind::Insert {
            items.extend(self.named(old_name));
        }
        items
    }

    fn before_sql(&self) -> Vec<String> {
        let select =
            format!("SELECT {} FROM {} whimbrel_t", self.old_items().join(", "), self.keys.table);
        let index = KeyIndex {
            names: &self.keys.names().join(", "),
            is_indexed: self.keys.may_be_indexed(),
            in_aria: false,
        };
        let mut sql = temporary_table_sql(self.keys.dialect, (BEFORE, &select), &index, true);
        let lock = if self.keys.dialect == Dialect::Mysql { " FOR UPDATE" } else { "" };
        let before = temporary(self.keys.dialect, BEFORE);
        sql.push(format!("INSERT INTO {before} {select}{lock}"));
        sql
    }

    fn undo_table_sql(&self, undo: &str) -> String {
        let mut items = self.old_items();
        if self.kind != DataKind::Delete {
            items.extend(self.named(new_name));
        }
        let end = empty(self.keys.dialect);
        let (items, table) = (items.join(", "), &self.keys.table);
        format!("CREATE TABLE {undo} AS SELECT {items} FROM {table} whimbrel_t{end}")
    }

    fn same_key(&self) -> String {
        Keys::same(&self.keys.of("whimbrel_t"), &self.keys.names_in("whimbrel_b"))
    }

    /// The rows for the undo table.
    fn changed_sql(&self) -> String {
        let (table, same) = (&self.keys.table, self.same_key());
        let before = temporary(self.keys.dialect, BEFORE);
        let old = (0..self.columns.len()).map(|at| format!("whimbrel_b.{}", old_name(at)));
        let mut items = self.keys.names_in("whimbrel_b");
        match self.kind {
            DataKind::Insert => {
                let mut items = vec![self.keys.aliased(&self.keys.of("whimbrel_t"))];
                items.extend(self.named(new_name));
                format!(
                    "SELECT {} FROM {table} whimbrel_t WHERE NOT EXISTS (SELECT 1 FROM {before} \
                     whimbrel_b WHERE {same})",
                    items.join(", ")
                )
            }
            DataKind::Delete => {
                items.extend(old);
                format!(
                    "SELECT {} FROM {before} whimbrel_b WHERE NOT EXISTS (SELECT 1 FROM {table} \
                     whimbrel_t WHERE {same})",
                    items.join(", ")
                )
            }
            DataKind::Update => {
                let is = |at: usize| {
                    let before = format!("whimbrel_b.{}", old_name(at));
                    same_value(&self.column(at), &before, self.keys.dialect)
                };
                let unchanged: Vec<String> = (0..self.columns.len()).map(is).collect();
                items.extend(old);
                items.extend(self.named(new_name));
                format!(
                    "SELECT {} FROM {before} whimbrel_b JOIN {table} whimbrel_t ON {same} \
                     WHERE NOT ({})",
                    items.join(", "),
                    unchanged.join(" AND ")
                )
            }
        }
    }

    /// How many rows there were, are, and are the same ones.
    fn same_rows_sql(&self) -> String {
        let (table, same) = (&self.keys.table, self.same_key());
        let before = temporary(self.keys.dialect, BEFORE);
        format!(
            "SELECT whimbrel_x.a, (SELECT count(*) FROM {table}), whimbrel_x.b FROM \
             (SELECT count(*) AS a, count({}) AS b FROM {before} whimbrel_b \
             LEFT JOIN {table} whimbrel_t ON {same}) whimbrel_x",
            self.keys.of("whimbrel_t").first().map_or("*", String::as_str)
        )
    }
}

/// The columns whose values are kept; `None` when one is not there.
fn kept_columns(
    target: &Table,
    kind: DataKind,
    assigned: &[String],
    dialect: Dialect,
) -> Option<Vec<String>> {
    let stored = target.columns.iter().filter(|column| column.generated.is_none());
    if kind != DataKind::Update {
        return Some(stored.map(|column| column.name.clone()).collect());
    }
    let names: Vec<&str> = stored.map(|column| column.name.as_str()).collect();
    let mut out: Vec<String> = Vec::new();
    for name in assigned.iter().map(String::as_str).chain(stamped_columns(target)) {
        let known = names.iter().find(|one| same_column_name(one, name, dialect))?;
        if !out.iter().any(|one| one == known) {
            out.push((*known).to_owned());
        }
    }
    Some(out)
}

/// Whether rows of other tables may change as well: by triggers, or by foreign keys.
fn writes_more((target, kind): (&Table, DataKind), snapshot: &Snapshot, dialect: Dialect) -> bool {
    let triggers = snapshot.triggers.iter().any(|one| one.table.matches(&target.name, dialect));
    let mut keys = snapshot.tables.iter().flat_map(|table| &table.foreign_keys);
    let changes = keys.any(|key| {
        key.to_table.matches(&target.name, dialect)
            && match kind {
                DataKind::Insert => false,
                DataKind::Update => key.on_update.changes_children(),
                DataKind::Delete => key.on_delete.changes_children(),
            }
    });
    triggers || changes
}
