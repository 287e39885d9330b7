//! The final pass of a statement with `source=`: after the last batch each of them is compared with
//! both ends, one after the other, and the cursor says how far that is. What is found is told; the
//! rows are there exactly once, as they were read. `account` does the same again later.

use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;

use super::aside::same_database;
use super::compare::{Ends, ReadBatch};
use super::compared::{EndsCompared, Pass};
use super::copy::POSTGRES_TEXTS;
use super::cursor::{Cursor, CursorId};
use super::job::{Job, Prepared, prepare, said};
use super::moment::moment;
use super::sources::{self, Opened, Sources};
use super::start::cursor_id;
use crate::apply::{Applier, StepWork};
use crate::backend::{DbErrorKind, Session};
use crate::error::EngineError;
use crate::event::Event;
use crate::failpoint;
use crate::ledger::{Ledger, rollback};

impl Applier<'_> {
    /// Compares one more batch, and ends the statement with the last one. Gives the cursor as it
    /// is afterwards.
    pub(super) async fn final_pass(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
    ) -> Result<Cursor, EngineError> {
        let mut next = cursor.clone();
        let mut pass = next.details.pass.take().unwrap_or_else(|| Pass {
            checked: cursor.details.batches_after,
            found: EndsCompared::of(job),
        });
        next.done = match self.compare_next(work, job, cursor, &mut pass).await {
            Err(error) if is_about_statement(&error) => {
                rollback(self.session.as_mut()).await;
                pass.found.not_source.get_or_insert_with(|| error.to_string());
                pass.found.not_target.get_or_insert_with(|| error.to_string());
                true
            }
            other => other?,
        };
        next.details.pass = Some(pass);
        failpoint::pass("compare.before_begin");
        self.begin_batch(work).await?;
        self.lease.fence(self.session.as_mut()).await?;
        let details = next.details_sql(&self.ledger);
        self.commit_batch(work, next, Some(details)).await
    }

    /// Compares the next batch; true when there is none after it. On servers both ends are read in
    /// a transaction with a batch's limits; on SQLite that would keep writers out.
    async fn compare_next(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
        pass: &mut Pass,
    ) -> Result<bool, EngineError> {
        let (ledger, id) = (self.ledger, cursor_id(work));
        let Some(table) = &cursor.details.read_table else { return Ok(true) };
        let batch = ReadBatch::after(&ledger, self.session.as_mut(), id, pass.checked).await?;
        let Some(batch) = batch else { return Ok(true) };
        let table = self.undo_table(table);
        let within = ledger.dialect != Dialect::Sqlite;
        if within {
            self.begin_batch(work).await?;
        }
        if ledger.dialect == Dialect::Postgres {
            self.session.batch(POSTGRES_TEXTS).await?;
        }
        let source = job.source.as_ref().and_then(|source| self.opened.get_mut(&source.name));
        let Some(source) = source else { return Ok(true) };
        let (source, target) = (source.as_mut(), self.session.as_mut());
        let aside = aside_sql(ledger, work.migration, job);
        let mut ends = Ends { source, target, job, table, aside, without: None };
        ends.compare(&batch, &mut pass.found).await?;
        if within {
            self.session.batch("COMMIT").await?;
        }
        pass.checked = batch.seq;
        Ok(batch.number == cursor.batches)
    }

    /// Tells what the final pass has found.
    pub(super) fn say_compared(&mut self, work: &StepWork<'_>, job: &Job, cursor: &Cursor) {
        let Some(pass) = &cursor.details.pass else { return };
        self.events.send(Event::Compared {
            migration: work.migration.name.clone(),
            statement: job.statement + 1,
            table: job.keys.shown_table(),
            found: Box::new(pass.found.clone()),
        });
    }
}

/// Whether the database has refused the statement itself: trying it again changes nothing.
fn is_about_statement(error: &EngineError) -> bool {
    error.database().is_some_and(|error| error.kind == DbErrorKind::Statement)
}

/// The query for the keys of rows that this statement or an earlier one of the file has set aside.
fn aside_sql(ledger: Ledger, migration: &PlannedMigration, job: &Job) -> String {
    format!(
        "SELECT DISTINCT q.row_key FROM {} q JOIN {} c ON c.migration = q.migration \
         AND c.statement_index = q.statement_index AND c.direction = 'up' \
         AND c.state <> 'undone' AND c.key_columns = {} AND q.at_ms >= c.began_ms \
         WHERE q.migration = {} AND q.driving = {} AND q.statement_index <= {} AND {}",
        ledger.table("quarantine"),
        ledger.table("cursors"),
        ledger.quote(&job.keys.json()),
        ledger.quote(&migration.name),
        ledger.quote(&job.keys.table),
        job.statement,
        same_database(migration, job.statement, "q")
    )
}

/// What the final pass of a statement has found, if it had one.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn recorded(
    ledger: Ledger,
    session: &mut dyn Session,
    (migration, statement): (&str, usize),
) -> Result<Option<EndsCompared>, EngineError> {
    let id = CursorId { migration, direction: "up", statement };
    let cursor = Cursor::read(&ledger, session, id).await?;
    Ok(cursor.and_then(|cursor| cursor.details.pass).map(|pass| pass.found))
}

/// Compares all batches of a statement with both ends as they are now. Nothing is written.
///
/// # Errors
/// What keeps it from being compared.
pub(crate) async fn compare_now(
    ledger: Ledger,
    session: &mut dyn Session,
    (sources, opened): (&Sources, &mut Opened),
    (migration, statement): (&PlannedMigration, usize),
) -> Result<EndsCompared, EngineError> {
    let refused = |why: &str| EngineError::Refused(why.to_owned());
    let work = StepWork::of_statement(migration, statement);
    let work = work.ok_or_else(|| refused("The statement is not in the file any more"))?;
    let id = cursor_id(&work);
    let cursor = Cursor::read(&ledger, session, id).await?;
    let Some(cursor) = cursor.filter(|cursor| cursor.hash == work.step.hash) else {
        return Err(refused("The statement was changed since it ran"));
    };
    let Some(table) = &cursor.details.read_table else {
        return Err(refused("It ran before digests were kept"));
    };
    let there = format!("SELECT 1 FROM {} LIMIT 1", ledger.table(table));
    if session.query(&there).await.is_err_and(|error| error.kind == DbErrorKind::Statement) {
        return Err(refused("What was read was purged"));
    }
    let Some(name) = said(migration, statement).source else {
        return Err(refused("It has no `source=` any more"));
    };
    let moment = moment(ledger, session, &migration.name, cursor.details.run_id.clone()).await?;
    let source = sources::open(sources, opened, &name).await?;
    let prepared = prepare(ledger, session, migration, statement, moment, Some(source)).await?;
    let job = match prepared {
        Prepared::Batches(job) => job,
        Prepared::Refused(problem) => return Err(EngineError::Files(vec![problem])),
        Prepared::Whole(reason, _) => return Err(EngineError::Refused(reason)),
        Prepared::Until(_) => return Err(refused("It does not run in batches any more")),
    };
    let mut found = EndsCompared::of(&job);
    let aside = aside_sql(ledger, migration, &job);
    let table = ledger.table(table);
    let source = sources::open(sources, opened, &name).await?.session;
    match ledger.dialect {
        Dialect::Sqlite => {}
        Dialect::Postgres => {
            session.batch(&format!("{}; {POSTGRES_TEXTS}", ledger.begin())).await?;
        }
        Dialect::Mysql => session.batch("SET time_zone = '+00:00'").await?,
    }
    let mut ends = Ends { source, target: &mut *session, job: &job, table, aside, without: None };
    let mut checked = cursor.details.batches_after;
    let compared = async {
        while let Some(batch) = ReadBatch::after(&ledger, ends.target, id, checked).await? {
            ends.compare(&batch, &mut found).await?;
            checked = batch.seq;
        }
        Ok::<(), EngineError>(())
    }
    .await;
    if ledger.dialect == Dialect::Postgres {
        rollback(session).await;
    }
    compared.map(|()| found)
}
