//! Before the first batch: whether it goes along the key's index, and how much room undo takes.

use whimbrel_core::data::DataKind;
use whimbrel_core::directive::BatchSize;
use whimbrel_core::pace::BATCH_ROWS_FIRST;
use whimbrel_core::sql::dialect::Dialect;

use super::cursor::Cursor;
use super::job::Job;
use super::key::ALIAS;
use super::sources;
use crate::apply::{Applier, StepWork};
use crate::backend::{DbErrorKind, Notice, Row, Session};
use crate::error::EngineError;
use crate::event::Event;

/// A table of so many batches must be gone through by its index; in a smaller one a scan is right.
const BATCHES_MIN: u64 = 10;
/// How many rows are measured to know how long rows are.
const MEASURED_ROWS: u32 = 1_000;
/// What a row takes beyond its values, in bytes: about what the three databases need.
const ROW_BYTES: u64 = 40;
/// From so many changed rows on, the planner of PostgreSQL is told.
const ANALYZE_ROWS_MIN: u64 = 1_000;
/// How long that waits for its lock, in milliseconds.
const ANALYZE_LOCK_MS: u32 = 500;

impl Job {
    /// What is wrong with the database's plan of the first batch: it reads the whole driving table
    /// for each batch. None where it goes along an index, or the table is small.
    pub(crate) async fn scans(
        &self,
        session: &mut dyn Session,
        rows: u64,
    ) -> Result<Option<String>, EngineError> {
        let size = match self.settled.size {
            BatchSize::Auto => BATCH_ROWS_FIRST,
            BatchSize::Rows(size) => size,
        };
        if rows < size.saturating_mul(BATCHES_MIN) {
            return Ok(None);
        }
        let Some(sql) = self.first_batch(session, rows).await? else { return Ok(None) };
        let explain = match self.keys.dialect {
            Dialect::Sqlite => "EXPLAIN QUERY PLAN",
            Dialect::Postgres | Dialect::Mysql => "EXPLAIN",
        };
        let plan = match session.query(&format!("{explain} {sql}")).await {
            Ok(plan) => plan,
            // What cannot be explained (MySQL's older versions) may still run.
            Err(error) if error.kind == DbErrorKind::Statement => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !plan.iter().any(|row| self.is_scan(row)) {
            return Ok(None);
        }
        let advice = match self.keys.dialect {
            Dialect::Sqlite => "see `EXPLAIN QUERY PLAN`",
            Dialect::Postgres => "run `ANALYZE` on it, or see `EXPLAIN`",
            Dialect::Mysql => "run `ANALYZE TABLE` on it, or see `EXPLAIN`",
        };
        let at = self.source.as_ref().map_or_else(String::new, |one| format!(" at `{}`", one.name));
        Ok(Some(format!(
            "Each batch would read all of `{}`{at}, about {rows} rows, and not its index on {}: \
             {advice}",
            self.keys.shown_table(),
            self.key_names().join(", ")
        )))
    }

    /// Whether a line of the plan reads the whole driving table.
    fn is_scan(&self, row: &Row) -> bool {
        let cell = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
        let (name, alias) = (&self.batchable.driving.name, &self.batchable.driving_qualifier);
        let plain = |text: &str| text.trim_matches(['"', '`', '[', ']']).to_owned();
        let (name, alias) = (plain(name), plain(alias));
        match self.keys.dialect {
            // `SCAN p`, also `SCAN p USING COVERING INDEX ...`.
            Dialect::Sqlite => {
                cell(3).strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next())
                    == Some(alias.as_str())
            }
            // `->  Seq Scan on people p  (cost=...`; the alias only where it differs.
            Dialect::Postgres => {
                let line = cell(0).replace('"', "");
                let Some((_, rest)) = line.split_once("Seq Scan on ") else { return false };
                let what = rest.split("  (").next().unwrap_or_default();
                what == name && alias == name || what == format!("{name} {alias}")
            }
            // id, select_type, table, type: `ALL` reads rows, `index` reads a whole index.
            Dialect::Mysql => cell(2) == alias && matches!(cell(3), "ALL" | "index"),
        }
    }

    /// About how many bytes the values before and after will take that are kept for `undo`. None
    /// where nothing is kept, or that is not known before (INSERT).
    pub(crate) async fn undo_bytes(
        &self,
        session: &mut dyn Session,
        rows: u64,
    ) -> Result<Option<u64>, EngineError> {
        let times = match self.batchable.kind {
            _ if !self.undo => return Ok(None),
            DataKind::Insert => return Ok(None),
            DataKind::Update => 2,
            DataKind::Delete => 1,
        };
        let length = |column: &String| {
            let column = format!("{ALIAS}.{column}");
            match self.keys.dialect {
                Dialect::Sqlite => format!("coalesce(length(CAST({column} AS BLOB)), 0)"),
                Dialect::Postgres => format!("coalesce(pg_column_size({column}), 0)"),
                Dialect::Mysql => format!("coalesce(length({column}), 0)"),
            }
        };
        let columns: Vec<String> = self.quoted(&self.image_columns()).iter().map(length).collect();
        let sql = format!(
            "SELECT coalesce(avg(bytes), 0) FROM (SELECT {} AS bytes FROM {} {ALIAS} \
             LIMIT {MEASURED_ROWS}) whimbrel_m",
            columns.join(" + "),
            self.target_sql()
        );
        let found = session.query(&sql).await?;
        let bytes = found
            .first()
            .and_then(|row| row.first()?.as_deref()?.split('.').next()?.parse::<u64>().ok())
            .unwrap_or(0);
        Ok(Some(bytes.saturating_mul(times).saturating_add(ROW_BYTES).saturating_mul(rows)))
    }
}

impl Applier<'_> {
    /// Before the first batch of a statement: a warning where batches would read the whole table,
    /// and a refusal where the disk has no room for what undo keeps.
    pub(super) async fn look_ahead(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
    ) -> Result<(), EngineError> {
        let id = super::start::cursor_id(work);
        let ledger = self.ledger;
        // What is computed first is looked at when it is there.
        let begun = Cursor::read(&ledger, self.session.as_mut(), id).await?.is_some();
        if begun || job.work.is_some() {
            return Ok(());
        }
        let driving = sources::driving(self.session, &mut self.opened, job);
        let rows = job.estimate(driving).await?;
        if let Some(message) = job.scans(driving, rows).await? {
            let line =
                work.migration.script.statements.get(job.statement).map_or(1, |one| one.line);
            self.events.send(Event::Notice {
                migration: work.migration.name.clone(),
                line: line + work.migration.lines_before,
                notice: Notice { severity: "WARNING".to_owned(), code: None, message },
            });
        }
        self.check_room(work, job, rows).await
    }

    /// Refuses where the disk has no room for what undo keeps of so many rows.
    pub(super) async fn check_room(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        rows: u64,
    ) -> Result<(), EngineError> {
        let Some(free) = self.backend.free_bytes() else { return Ok(()) };
        let needed = job.undo_bytes(self.session.as_mut(), rows).await?.unwrap_or(0);
        if needed <= free {
            return Ok(());
        }
        Err(EngineError::Refused(format!(
            "Statement {} of `{}` would keep about {needed} bytes for `undo`, and the disk has \
             {free} left. Make room, or write `undo=off`",
            job.statement + 1,
            work.migration.name
        )))
    }

    /// Tells PostgreSQL's planner of what a statement has changed; the others see it themselves.
    pub(super) async fn analyze(&mut self, job: &Job, cursor: &Cursor) -> Result<(), EngineError> {
        if self.ledger.dialect != Dialect::Postgres || cursor.total.written < ANALYZE_ROWS_MIN {
            return Ok(());
        }
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = {ANALYZE_LOCK_MS}; ANALYZE {}; COMMIT",
            job.target_sql()
        );
        match self.session.batch(&sql).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind == DbErrorKind::Connection => Err(error.into()),
            // Autovacuum does it later.
            Err(_) => {
                crate::ledger::rollback(self.session.as_mut()).await;
                Ok(())
            }
        }
    }
}
