//! Keeping what a destructive statement removes, so that `down` can bring it back.
//!
//! What goes is copied into an undo table right before the statement, in the same transaction where
//! there is one. A table without rows needs no copy.

use whimbrel_core::ddl::{Change, ObjectKind, ObjectName};
use whimbrel_core::destructive::{Removal, Removed, removals};
use whimbrel_core::directive::Keep;
use whimbrel_core::ledger::Direction;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::snapshot::{Column, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;
use whimbrel_core::sqltype::is_built_in;

use super::Applier;
use super::migration::StepWork;
use crate::error::EngineError;
use crate::event::Event;
use crate::ledger::{UndoEntry, number};

/// One copy to be made.
pub(crate) struct Copy {
    kind: &'static str,
    object: String,
    pub(super) table: ObjectName,
    columns: Vec<String>,
    /// Those of the columns whose type a later migration may drop, which a copy must not hinder:
    /// they are kept as text.
    as_text: Vec<String>,
    keys: Vec<String>,
    kept_as: String,
}

impl Applier<'_> {
    /// Makes the empty tables for what a step's statements remove, where making a table inside the
    /// transaction would commit it.
    pub(super) async fn prepare_copies(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        self.prepared.clear();
        if self.ledger.dialect != Dialect::Mysql {
            return Ok(());
        }
        for index in work.step.statements.clone() {
            for copy in self.copies(work, index).await? {
                self.session.batch(&self.copy_sql(&copy, true)).await?;
                self.prepared.push((index, copy));
            }
        }
        Ok(())
    }

    /// Copies what statement `index` removes, inside the open transaction.
    pub(super) async fn keep(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<(), EngineError> {
        if self.ledger.dialect == Dialect::Mysql {
            return self.fill_copies(work, index).await;
        }
        self.check_losses(work, index).await?;
        for copy in self.copies(work, index).await? {
            if self.ledger.dialect == Dialect::Postgres {
                let table = sql_name(&copy.table, self.ledger.dialect);
                self.session.batch(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await?;
            }
            if self.is_virtual(&copy.table).await? {
                if !self.copied_if_readable(&copy).await? {
                    continue;
                }
            } else {
                self.session.batch(&self.copy_sql(&copy, false)).await?;
            }
            let rows = self.kept_rows(&copy).await?;
            let row = self.kept_sql(work, index, &copy, rows);
            self.session.batch(&row).await?;
            self.say_kept(work, &copy, rows);
        }
        Ok(())
    }

    /// Whether it is a virtual table of SQLite.
    async fn is_virtual(&mut self, table: &ObjectName) -> Result<bool, EngineError> {
        if self.ledger.dialect != Dialect::Sqlite {
            return Ok(false);
        }
        let sql = format!(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage = 0 \
             AND name = {} COLLATE NOCASE",
            self.ledger.quote(&table.name)
        );
        Ok(!self.session.query(&sql).await?.is_empty())
    }

    /// An index over another table (`content=`) holds no rows of its own, and cannot be read once
    /// that table is gone. There is nothing to keep then.
    async fn copied_if_readable(&mut self, copy: &Copy) -> Result<bool, EngineError> {
        self.session.batch("SAVEPOINT whimbrel_copy").await?;
        let copied = self.session.batch(&self.copy_sql(copy, false)).await;
        let end = match &copied {
            Ok(()) => "RELEASE whimbrel_copy",
            Err(_) => "ROLLBACK TO whimbrel_copy; RELEASE whimbrel_copy",
        };
        self.session.batch(end).await?;
        Ok(copied.is_ok())
    }

    async fn fill_copies(&mut self, work: &StepWork<'_>, index: usize) -> Result<(), EngineError> {
        let prepared = std::mem::take(&mut self.prepared);
        let (now, later): (Vec<_>, Vec<_>) =
            prepared.into_iter().partition(|(statement, _)| *statement == index);
        self.prepared = later;
        for (_, copy) in now {
            let undo = self.undo_table(&copy.kept_as);
            self.session.batch(&format!("INSERT INTO {undo} {}", self.select_sql(&copy))).await?;
            let rows = self.kept_rows(&copy).await?;
            let row = self.kept_sql(work, index, &copy, rows);
            self.session.batch(&row).await?;
            self.say_kept(work, &copy, rows);
        }
        Ok(())
    }

    /// The same where a schema change commits by itself: the copy's table is made and noted first,
    /// then filled while nobody else can write.
    pub(super) async fn keep_outside(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<bool, EngineError> {
        self.instead = None;
        if work.direction == Direction::Down {
            return self.check_losses(work, index).await;
        }
        let copies = self.copies(work, index).await?;
        let mut locks = Vec::new();
        for copy in &copies {
            self.session.batch(&self.copy_sql(copy, true)).await?;
            locks.push(format!("{} WRITE", sql_name(&copy.table, self.ledger.dialect)));
            locks.push(format!("{} WRITE", self.undo_table(&copy.kept_as)));
        }
        let rows: Vec<String> =
            copies.iter().map(|copy| self.kept_sql(work, index, copy, 0)).collect();
        if rows.is_empty() {
            return Ok(false);
        }
        self.write_rows(&rows).await?;
        locks.extend(self.lock_others(work, index, &copies).await?);
        locks.dedup();
        self.session.batch(&format!("LOCK TABLES {}", locks.join(", "))).await?;
        for copy in &copies {
            let fill =
                format!("INSERT INTO {} {}", self.undo_table(&copy.kept_as), self.select_sql(copy));
            self.session.batch(&fill).await?;
            let rows = self.kept_rows(copy).await?;
            self.say_kept(work, copy, rows);
        }
        Ok(true)
    }

    fn say_kept(&mut self, work: &StepWork<'_>, copy: &Copy, rows: i64) {
        self.events.send(Event::Kept {
            migration: work.migration.name.clone(),
            what: format!("{} {}", copy.kind, copy.object),
            rows,
            kept_as: copy.kept_as.clone(),
        });
    }

    /// What statement `index` removes that is worth a copy.
    async fn copies(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<Vec<Copy>, EngineError> {
        let asked = work.migration.script.statement_options.get(index).and_then(|one| one.keep);
        let changes = work.migration.changes.get(index).map_or(&[][..], Vec::as_slice);
        // What is removed in another database is not ours to keep.
        let harmless = !changes.iter().any(may_remove) || self.elsewhere.is_some();
        if harmless || work.direction == Direction::Down || asked == Some(Keep::Off) {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        for removal in removals_of(work.migration, index, self.ledger.dialect) {
            let Some(name) = table_of(&removal.what, asked) else { continue };
            let scope = [(ObjectKind::Table, name.clone())];
            let snapshot = self.session.inspect(Some(&scope)).await?;
            let Some(table) = snapshot.table(name, self.ledger.dialect) else { continue };
            self.copies_made += 1;
            let suffix = format!("{index}_{}", self.copies_made);
            let Some(mut copy) = copy_of(&removal.what, table, &self.undo_name(&suffix)) else {
                continue;
            };
            if self.ledger.dialect == Dialect::Postgres {
                let own = |column: &&Column| !is_built_in(&column.type_name);
                let names = table.columns.iter().filter(own).map(|column| column.name.clone());
                copy.as_text = names.collect();
            }
            let there = |name: &String| table.columns.iter().any(|column| column.name == *name);
            if !copy.columns.iter().all(there) {
                // `DROP COLUMN IF EXISTS`; without it, the statement itself says what is missing.
                continue;
            }
            if !self.is_virtual(&copy.table).await? && !self.has_rows(&copy.table).await? {
                continue;
            }
            if asked != Some(Keep::Force) {
                self.check_size(work, &copy).await?;
            }
            out.push(copy);
        }
        Ok(out)
    }

    async fn has_rows(&mut self, table: &ObjectName) -> Result<bool, EngineError> {
        let name = sql_name(table, self.ledger.dialect);
        Ok(!self.session.query(&format!("SELECT 1 FROM {name} LIMIT 1")).await?.is_empty())
    }

    /// Above the limit somebody must say what is wanted.
    async fn check_size(&mut self, work: &StepWork<'_>, copy: &Copy) -> Result<(), EngineError> {
        let name = sql_name(&copy.table, self.ledger.dialect);
        let sql = match self.ledger.dialect {
            Dialect::Postgres => {
                format!("SELECT pg_total_relation_size({}::regclass)", self.ledger.quote(&name))
            }
            Dialect::Mysql => format!(
                "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = {}",
                self.ledger.quote(&copy.table.name)
            ),
            // The file is the upper bound of each of its tables.
            Dialect::Sqlite => "SELECT p.page_count * s.page_size FROM pragma_page_count() p, \
                 pragma_page_size() s"
                .to_owned(),
        };
        let bytes = self.session.query(&sql).await?.first().map_or(0, |row| number(row, 0));
        let max = self.options.keep_bytes_max;
        if u64::try_from(bytes).unwrap_or(0) <= max {
            return Ok(());
        }
        Err(EngineError::Refused(format!(
            "`{}` removes {} {}, which may hold {} MiB, more than `keep-max` ({} MiB). Write \
             `-- whimbrel: keep=force` before the statement to keep a copy all the same, or \
             `keep=off` to keep none",
            work.migration.name,
            copy.kind,
            copy.object,
            bytes >> 20,
            max >> 20
        )))
    }

    fn undo_name(&self, suffix: &str) -> String {
        let run = self.lease.run_id.get(24..).unwrap_or("run");
        format!("undo_{run}_{suffix}")
    }

    /// The undo table as it stands in SQL.
    pub(crate) fn undo_table(&self, kept_as: &str) -> String {
        self.ledger.table(kept_as)
    }

    fn select_sql(&self, copy: &Copy) -> String {
        let dialect = self.ledger.dialect;
        let item = |name: &String| {
            let quoted = quote_ident(name, dialect);
            match copy.as_text.contains(name) {
                true => format!("{quoted}::pg_catalog.text AS {quoted}"),
                false => quoted,
            }
        };
        let columns: Vec<String> = copy.columns.iter().map(item).collect();
        format!("SELECT {} FROM {}", columns.join(", "), sql_name(&copy.table, dialect))
    }

    fn copy_sql(&self, copy: &Copy, empty: bool) -> String {
        let limit = if empty { " LIMIT 0" } else { "" };
        let undo = self.undo_table(&copy.kept_as);
        format!("CREATE TABLE {undo} AS {}{limit}", self.select_sql(copy))
    }

    async fn kept_rows(&mut self, copy: &Copy) -> Result<i64, EngineError> {
        let sql = format!("SELECT count(*) FROM {}", self.undo_table(&copy.kept_as));
        Ok(self.session.query(&sql).await?.first().map_or(0, |row| number(row, 0)))
    }

    fn kept_sql(&self, work: &StepWork<'_>, index: usize, copy: &Copy, rows: i64) -> String {
        self.ledger.undo_sql(&UndoEntry {
            run_id: &self.lease.run_id,
            migration: &work.migration.name,
            statement_index: index,
            event: "kept",
            kind: copy.kind,
            object: &copy.object,
            kept_as: &copy.kept_as,
            key_columns: &copy.keys,
            columns: &copy.columns,
            rows_kept: rows,
            token: self.lease.token,
        })
    }
}

/// A table's name as it stands in SQL.
pub(crate) fn sql_name(name: &ObjectName, dialect: Dialect) -> String {
    match &name.schema {
        Some(schema) => {
            format!("{}.{}", quote_ident(schema, dialect), quote_ident(&name.name, dialect))
        }
        None => quote_ident(&name.name, dialect),
    }
}

/// Whether a change is of a kind that can remove something, before the whole file is looked at.
fn may_remove(change: &Change) -> bool {
    matches!(
        change,
        Change::DropTable { .. }
            | Change::DropColumn { .. }
            | Change::Truncate { .. }
            | Change::DeleteRows { .. }
            | Change::UpdateRows { .. }
    )
}

/// The removals of the whole migration that belong to statement `index`.
pub(super) fn removals_of(
    migration: &PlannedMigration,
    index: usize,
    dialect: Dialect,
) -> Vec<Removal> {
    let changes = &migration.changes;
    let first: usize = changes.iter().take(index).map(Vec::len).sum();
    let count = changes.get(index).map_or(0, Vec::len);
    let flat: Vec<_> = changes.iter().flatten().cloned().collect();
    let mut out = removals(&flat, dialect);
    out.retain(|removal| (first..first + count).contains(&removal.change));
    out
}

/// The table of which a copy is wanted. Rows that are deleted or overwritten are kept on request.
fn table_of(what: &Removed, asked: Option<Keep>) -> Option<&ObjectName> {
    let wanted = matches!(asked, Some(Keep::On | Keep::Force));
    match what {
        Removed::Table { name, .. } => Some(name),
        Removed::Column { table, .. } | Removed::AllRows { table, .. } => Some(table),
        Removed::Rebuild { table, .. } => Some(table),
        Removed::DeletedRows { table } | Removed::OverwrittenRows { table } if wanted => {
            Some(table)
        }
        Removed::DeletedRows { .. }
        | Removed::OverwrittenRows { .. }
        | Removed::Partition { .. }
        | Removed::Schema { .. }
        | Removed::Dependents { .. } => None,
    }
}

/// What is copied: all columns of a table that goes, the key and the column that goes else.
fn copy_of(what: &Removed, table: &Table, kept_as: &str) -> Option<Copy> {
    let stored = |table: &Table| -> Vec<String> {
        let plain = table.columns.iter().filter(|column| column.generated.is_none());
        plain.map(|column| column.name.clone()).collect()
    };
    let keys = key_of(table);
    let name = table.name.to_string();
    let (kind, object, columns) = match what {
        Removed::Table { .. } => ("table", name, stored(table)),
        Removed::AllRows { .. } | Removed::DeletedRows { .. } => ("rows", name, stored(table)),
        Removed::OverwrittenRows { .. } => ("values", name, stored(table)),
        Removed::Column { column, .. } => {
            let mut columns = keys.clone();
            columns.push(column.clone());
            ("column", format!("{name}.{column}"), columns)
        }
        Removed::Rebuild { .. } => {
            let lost = what.lost_columns(&stored(table), Dialect::Sqlite);
            if lost.is_empty() {
                return None;
            }
            let mut columns = keys.clone();
            columns.extend(lost);
            ("column", name, columns)
        }
        Removed::Partition { .. } | Removed::Schema { .. } | Removed::Dependents { .. } => {
            return None;
        }
    };
    let table = table.name.clone();
    let as_text = Vec::new();
    Some(Copy { kind, object, table, columns, as_text, keys, kept_as: kept_as.to_owned() })
}

/// The columns by which a row is found again.
fn key_of(table: &Table) -> Vec<String> {
    if !table.primary_key.is_empty() {
        return table.primary_key.clone();
    }
    let nullable =
        |name: &String| table.columns.iter().any(|column| column.name == *name && column.nullable);
    let unique = table.indexes.iter().find(|index| {
        index.unique
            && index.predicate.is_none()
            && index.columns.iter().all(|name| {
                !nullable(name) && table.columns.iter().any(|column| column.name == *name)
            })
    });
    unique.map_or_else(Vec::new, |index| index.columns.clone())
}
