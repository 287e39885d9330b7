//! `materialize=true`: what a statement would write is computed once, into a work table, and then
//! applied from there in batches.
//!
//! The work table is filled in the transaction that makes the cursor, so there is never a part of
//! it. It goes with the last batch, unless rows are in quarantine that are tried again from it.

use whimbrel_core::data::{self, BatchOptions, Batchable, Catalog, FROZEN_TEMPORARY, Refusal};
use whimbrel_core::ddl::ObjectName;
use whimbrel_core::directive::BatchSettings;
use whimbrel_core::sql::dialect::Dialect;

use super::cursor::{Cursor, Details, Tally};
use super::image::IMAGE;
use super::job::Job;
use super::key::{ALIAS, Keys, Rows};
use super::moment::Moment;
use super::start::cursor_id;
use crate::apply::keep::sql_name;
use crate::apply::{Applier, StepWork};
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::{UndoEntry, number, table, text};

/// What a work table is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkName {
    /// A table beside the ledger's, as the cursor names it.
    Kept(String),
    /// One that goes with the session: a statement is tried out.
    Temporary,
}

impl WorkName {
    /// A name for looking only.
    pub(super) fn for_plan() -> WorkName {
        WorkName::Kept("undo_work".to_owned())
    }

    fn object(&self, dialect: Dialect) -> ObjectName {
        match (self, dialect) {
            (WorkName::Kept(name), dialect) => {
                let full = table(dialect, name);
                match full.split_once('.') {
                    Some((schema, name)) => ObjectName::in_schema(schema, name),
                    None => ObjectName::bare(full),
                }
            }
            (WorkName::Temporary, Dialect::Sqlite) => {
                ObjectName::in_schema("temp", FROZEN_TEMPORARY)
            }
            (WorkName::Temporary, Dialect::Postgres) => {
                ObjectName::in_schema("pg_temp", FROZEN_TEMPORARY)
            }
            (WorkName::Temporary, Dialect::Mysql) => ObjectName::bare(FROZEN_TEMPORARY),
        }
    }
}

/// The work table of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    name: WorkName,
    /// As it stands in SQL.
    pub(super) sql: String,
    create: Vec<String>,
    /// The query that is run once, into it.
    pub(crate) fill: String,
}

impl Work {
    /// The name that the cursor keeps.
    pub(super) fn kept_as(&self) -> Option<String> {
        match &self.name {
            WorkName::Kept(name) => Some(name.clone()),
            WorkName::Temporary => None,
        }
    }
}

/// What `materialize=true` cannot stand beside: the message and what to do.
pub(super) fn conflict(said: &BatchSettings) -> Option<(&'static str, &'static str)> {
    if said.materialize != Some(true) {
        return None;
    }
    if said.source.is_some() {
        let message = "`materialize=true` computes in the database that is written, and `source=` \
                       reads another one";
        return Some((message, "Copy the table first, with an earlier statement or migration"));
    }
    if said.until_no_rows == Some(true) {
        let message = "`materialize=true` computes the rows once, and `until=no-rows` again and \
                       again";
        return Some((message, "Leave one of the two out"));
    }
    if said.skips.is_some() {
        let message = "With `materialize=true` every row that was computed is written, so there \
                       is none that `skips=` could declare";
        return Some((message, "Leave `skips=` out"));
    }
    None
}

/// Cuts a statement in two: into its work table, and what is applied from there.
pub(super) fn analyse(
    text: &str,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
    moment: &Moment,
) -> Result<(Batchable, Option<Work>), Refusal> {
    let name = moment.work.object(catalog.dialect);
    let found = data::freeze(text, catalog, options, &name)?;
    let work = Work {
        name: moment.work.clone(),
        sql: sql_name(&name, catalog.dialect),
        create: found.create,
        fill: found.fill,
    };
    Ok((found.apply, Some(work)))
}

impl Applier<'_> {
    /// The work table's name: the one that an earlier run has filled, or a new one.
    pub(super) async fn work_name(
        &mut self,
        work: &StepWork<'_>,
        rehearses: bool,
    ) -> Result<WorkName, EngineError> {
        let (ledger, id) = (self.ledger, cursor_id(work));
        let cursor = Cursor::read(&ledger, self.session.as_mut(), id).await?;
        Ok(match cursor.and_then(|cursor| cursor.details.work_table) {
            Some(name) => WorkName::Kept(name),
            None if rehearses => WorkName::Temporary,
            None => WorkName::Kept(format!("undo_{}_work", self.kept_suffix(id.statement))),
        })
    }

    /// Makes the empty work table.
    pub(super) async fn make_work(&mut self, frozen: &Work) -> Result<(), EngineError> {
        if self.ledger.dialect == Dialect::Mysql && frozen.name != WorkName::Temporary {
            // A try whose query was refused has left it.
            self.session.batch(&format!("DROP TABLE IF EXISTS {}", frozen.sql)).await?;
        }
        for sql in &frozen.create {
            self.session.batch(sql).await?;
        }
        failpoint::pass("freeze.made");
        Ok(())
    }

    /// Computes the rows and values into the work table, and gives how many rows they are.
    pub(super) async fn fill_work(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        frozen: &Work,
    ) -> Result<u64, EngineError> {
        self.author_reads(work, job, &frozen.fill).await?;
        if self.ledger.dialect == Dialect::Postgres {
            // Else its planner takes the new table for an empty one.
            self.session.batch(&format!("ANALYZE {}", frozen.sql)).await?;
        }
        if let Some(name) = frozen.kept_as() {
            let row = self.beside_row(work, (job, &name), "work", "kept");
            self.session.batch(&row).await?;
            failpoint::pass("freeze.filled");
        }
        self.count(&frozen.sql).await
    }

    /// A row of the ledger about a table that is kept beside a statement (`work`, `read`); where
    /// one says `purged`, nobody asks for the table any more, and `purge` drops it if it is still
    /// there.
    pub(super) fn beside_row(
        &self,
        work: &StepWork<'_>,
        (job, name): (&Job, &str),
        kind: &str,
        event: &str,
    ) -> String {
        self.ledger.undo_sql(&UndoEntry {
            run_id: &self.lease.run_id,
            migration: &work.migration.name,
            statement_index: job.statement,
            event,
            kind,
            object: &job.target.name.to_string(),
            kept_as: name,
            key_columns: &job.key_names(),
            columns: &job.batchable.written,
            rows_kept: 0,
            token: self.lease.token,
        })
    }

    /// Counts the rows of `from`: a table, with a condition where there is one.
    async fn count(&mut self, from: &str) -> Result<u64, EngineError> {
        let rows = self.session.query(&format!("SELECT count(*) FROM {from}")).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
    }

    /// What came of the frozen rows of one range: those that the batch has captured are changed,
    /// the others were changed or deleted by somebody else since, and are noted.
    pub(super) async fn account_frozen(
        &mut self,
        job: &Job,
        details: &Details,
        rows: Rows<'_>,
        written: u64,
    ) -> Result<Tally, EngineError> {
        let image = job.temporary(IMAGE);
        let produced = self.count(&image).await?;
        let columns = job.keys.of(ALIAS);
        let same = Keys::same(&columns, &job.keys.names_in("whimbrel_i"));
        let left = format!(
            "{} {ALIAS} WHERE {} AND NOT EXISTS (SELECT 1 FROM {image} whimbrel_i \
             WHERE {same})",
            job.keys.walked(),
            job.keys.among(&columns, rows)?
        );
        let missing = match &details.missing_table {
            Some(missing) => {
                let (missing, columns) = (self.undo_table(missing), columns.join(", "));
                let sql = format!("INSERT INTO {missing} SELECT {columns} FROM {left}");
                self.session.run(&sql, None).await?.rows_affected.unwrap_or(0)
            }
            None => self.count(&left).await?,
        };
        Ok(Tally { written, produced, staged: written, missing, ..Tally::default() })
    }

    /// What ends the work table in the last batch's transaction; nothing where rows that were set
    /// aside will be tried again from it.
    pub(super) fn end_work(
        &self,
        work: &StepWork<'_>,
        job: &Job,
        next: &mut Cursor,
    ) -> Option<String> {
        let frozen = job.work.as_ref()?;
        if next.total.quarantined > 0 || !job.keys.aside.is_empty() {
            return None;
        }
        let name = next.details.work_table.take()?;
        let row = self.beside_row(work, (job, &name), "work", "purged");
        let details = next.details_sql(&self.ledger);
        Some(match self.ledger.dialect {
            // It would end the transaction, so it comes after that.
            Dialect::Mysql => format!("{row}; {details}"),
            Dialect::Sqlite | Dialect::Postgres => {
                format!("{row}; {details}; DROP TABLE {}", frozen.sql)
            }
        })
    }

    /// Drops a work table whose end the ledger knows; if this is not reached, `purge` does it.
    pub(super) async fn drop_ended_work(
        &mut self,
        job: &Job,
        cursor: &Cursor,
    ) -> Result<(), EngineError> {
        let ended = job.work.as_ref().filter(|_| cursor.details.work_table.is_none());
        let Some(frozen) = ended.filter(|_| self.ledger.dialect == Dialect::Mysql) else {
            return Ok(());
        };
        failpoint::pass("freeze.before_drop");
        Ok(self.session.batch(&format!("DROP TABLE IF EXISTS {}", frozen.sql)).await?)
    }

    /// Drops the tables beside the statements of a migration that was taken back.
    pub(super) async fn drop_beside(&mut self, migration: &str) -> Result<(), EngineError> {
        let (undo, ledger) = (self.ledger.table("undo"), self.ledger);
        let sql = format!(
            "SELECT u.kept_as, u.statement_index, u.object, u.kind FROM {undo} u \
             WHERE u.migration = {} AND u.kind IN ('work', 'read') AND u.event = 'kept' \
             AND NOT EXISTS (SELECT 1 FROM {undo} p \
             WHERE p.kept_as = u.kept_as AND p.event = 'purged')",
            ledger.quote(migration)
        );
        for found in self.session.query(&sql).await? {
            let name = text(&found, 0);
            let row = ledger.undo_sql(&UndoEntry {
                run_id: &self.lease.run_id,
                migration,
                statement_index: usize::try_from(number(&found, 1)).unwrap_or(0),
                event: "purged",
                kind: &text(&found, 3),
                object: &text(&found, 2),
                kept_as: &name,
                key_columns: &[],
                columns: &[],
                rows_kept: 0,
                token: self.lease.token,
            });
            self.write_rows(&[row]).await?;
            let drop = format!("DROP TABLE IF EXISTS {}", self.undo_table(&name));
            self.session.batch(&drop).await?;
        }
        Ok(())
    }

    /// The work table of a statement that is tried out.
    pub(super) async fn rehearse_work(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        sample: Option<u64>,
    ) -> Result<(), EngineError> {
        let temporary = job.work.as_ref().filter(|frozen| frozen.name == WorkName::Temporary);
        let Some(frozen) = temporary else { return Ok(()) };
        if job.pooled && sample.is_none() {
            return Err(EngineError::Refused(
                "Through a transaction pooler a statement with `materialize=true` can be tried \
                 with `--sample` only; connect to the server itself for `--dry-run`"
                    .to_owned(),
            ));
        }
        let temporary = match self.ledger.dialect {
            Dialect::Mysql => "TEMPORARY ",
            Dialect::Sqlite | Dialect::Postgres => "",
        };
        self.session.batch(&format!("DROP {temporary}TABLE IF EXISTS {}", frozen.sql)).await?;
        self.make_work(frozen).await?;
        self.fill_work(work, job, frozen).await?;
        Ok(())
    }
}
