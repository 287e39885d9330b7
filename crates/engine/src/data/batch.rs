//! The loop over batches, and one batch.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use whimbrel_core::data::DataKind;
use whimbrel_core::directive::OnError;
use whimbrel_core::ledger::AttemptEvent;
use whimbrel_core::pace::{Pace, Windows};
use whimbrel_core::retry::too_many;
use whimbrel_core::sql::dialect::Dialect;

use super::cursor::{BatchRow, Cursor, Tally};
use super::failure::Trials;
use super::insert::is_about_rows;
use super::job::{Job, Prepared};
use super::key::{Key, Range, Rows};
use super::signals::LOCK_WAITS;
use super::sources;
use super::start::cursor_id;
use crate::apply::{Applier, Done, StepWork};
use crate::backend::{DbError, DbErrorKind, Limits};
use crate::error::EngineError;
use crate::failpoint;

/// How long a batch waits for a lock, in milliseconds: shorter than PostgreSQL's deadlock time-out.
pub(super) const BATCH_LOCK_TIMEOUT_MS: u64 = 500;

impl Applier<'_> {
    /// Runs one statement of a data migration, in batches where it can be cut.
    pub(crate) async fn batches(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Option<Done>, EngineError> {
        let mut trials = Trials::default();
        let mut job = match self.prepare_patiently(work, &mut trials).await? {
            Prepared::Whole(reason, whole) => {
                self.say_whole(work, reason);
                self.whole = match whole {
                    Some(whole) => self.begin_whole(work, *whole).await?,
                    None => None,
                };
                let done = self.transaction(work).await;
                self.whole = None;
                return done;
            }
            Prepared::Batches(job) => job,
            Prepared::Until(until) => return self.until_no_rows(work, &until).await,
            Prepared::Refused(problem) => return Err(EngineError::Files(vec![problem])),
        };
        if job.work.is_none() {
            self.open_temporary(&job).await?;
        }
        let reads = job.work.is_some() || job.workers > 1 || job.source.is_some();
        let mut cursor = loop {
            match self.cursor(work, &job).await {
                Err(error) if reads && error.database().is_some() => {
                    self.after_failure(work, error, &mut trials).await?;
                }
                other => break other?,
            }
        };
        if job.work.is_some() {
            // It may have columns of the work table, which is there now.
            self.open_temporary(&job).await?;
        }
        job.keys.aside = self.keys_aside(work, &job).await?;
        self.watch_waiters().await?;
        self.say_progress(work, &cursor, true);
        if cursor.details.parts > 0 && !cursor.done {
            self.run_parts(work, &job, &cursor).await?;
            let ledger = self.ledger;
            let seen = Cursor::of_seq(&ledger, self.session.as_mut(), cursor.seq).await?;
            cursor = seen.unwrap_or(cursor);
            // What is left is its end.
            cursor.last.clone_from(&cursor.upper);
        }
        self.run_range(work, &job, &mut cursor, None).await?;
        self.session.batch(&job.drop_temporary_sql()).await?;
        self.drop_ended_work(&job, &cursor).await?;
        self.say_compared(work, &job, &cursor);
        self.analyze(&job, &cursor).await?;
        Ok(None)
    }

    /// Understands a statement and looks at its first batch, and waits for locks that others hold,
    /// on this database or the source.
    async fn prepare_patiently(
        &mut self,
        work: &StepWork<'_>,
        trials: &mut Trials,
    ) -> Result<Prepared, EngineError> {
        loop {
            let error = match self.prepare_and_look(work).await {
                Err(error) if error.database().is_some_and(DbError::is_transient) => error,
                other => return other,
            };
            self.after_failure(work, error, trials).await?;
        }
    }

    async fn prepare_and_look(&mut self, work: &StepWork<'_>) -> Result<Prepared, EngineError> {
        let prepared = self.prepare(work).await?;
        if let Prepared::Batches(job) = &prepared {
            self.look_ahead(work, job).await?;
        }
        Ok(prepared)
    }

    /// Runs batches until the cursor's range is done. Where several connections do so at a time,
    /// one after the other looks for what holds the run: who has the `turn`.
    pub(super) async fn run_range(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &mut Cursor,
        turn: Option<&Mutex<()>>,
    ) -> Result<(), EngineError> {
        let name = &work.migration.name;
        let (mut pace, mut trials) = (job.pace(cursor), Trials::default());
        let (mut windows, mut pause_ms) = (Windows::default(), 0);
        while !cursor.done {
            let held = match turn {
                Some(turn) => {
                    self.wait(Duration::from_millis(pause_ms)).await?;
                    let _mine = turn.lock().await;
                    self.gate(name, 0).await?
                }
                None => self.gate(name, pause_ms).await?,
            };
            if held == Some(LOCK_WAITS) {
                pace.timed_out();
            }
            let began = Instant::now();
            self.one_batch(work, job, (cursor, &mut pace), &mut trials).await?;
            pause_ms = self.pause_after(&mut windows, began.elapsed(), job.settled.pause_ms);
        }
        Ok(())
    }

    /// One batch, tried again where that may help.
    async fn one_batch(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        (cursor, pace): (&mut Cursor, &mut Pace),
        trials: &mut Trials,
    ) -> Result<(), EngineError> {
        let mut divided = false;
        trials.begin();
        loop {
            let error = match self.try_batch(work, job, (cursor, pace), divided).await {
                Ok(next) => {
                    *cursor = next;
                    trials.done();
                    self.reconnects = 0;
                    return Ok(());
                }
                Err(error) => error,
            };
            crate::ledger::rollback(self.session.as_mut()).await;
            let dialect = self.ledger.dialect;
            let rows_at_fault = matches!(
                &error,
                EngineError::Statement(failure) if is_about_rows(&failure.error, dialect)
            );
            if rows_at_fault && !divided {
                divided = true;
                continue;
            }
            if error.database().is_some_and(|error| error.kind == DbErrorKind::Timeout)
                && pace.timed_out()
            {
                self.say_smaller(work, &error, pace.rows());
                continue;
            }
            self.after_failure(work, error, trials).await?;
        }
    }

    /// One batch in one transaction. Gives the cursor as it is afterwards.
    async fn try_batch(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        (cursor, pace): (&Cursor, &mut Pace),
        divided: bool,
    ) -> Result<Cursor, EngineError> {
        if job.source.is_some() && cursor.is_at_end() {
            return self.final_pass(work, job, cursor).await;
        }
        failpoint::pass("batch.before_begin");
        self.begin_batch(work).await?;
        if job.pooled {
            self.open_temporary(job).await?;
        }
        let began = Instant::now();
        self.lease.fence(self.session.as_mut()).await?;
        let mut next = cursor.before_batch();
        let driving = sources::driving(self.session, &mut self.opened, job);
        let next_range = job.keys.next(driving, cursor, pace.rows()).await?;
        let Some((after, last, rows)) = next_range else {
            next.done = true;
            let row = if next.ends() { self.end_work(work, job, &mut next) } else { None };
            return self.commit_batch(work, next, row).await;
        };
        next.done = Some(&last) == cursor.upper.as_ref() && job.source.is_none();
        let mut tally = if divided {
            self.divide(work, job, cursor, (after.clone(), last.clone(), rows)).await?
        } else {
            self.range(work, job, cursor, Rows::Range(after.as_ref(), &last)).await?
        };
        failpoint::pass("batch.after_statement");
        tally.read = rows - self.count_aside(job, after.as_ref(), &last).await?.min(rows);
        if job.source.is_some() {
            // All of its rows may have been set aside.
            tally.digest.get_or_insert_default();
        }
        next.add_batch(tally, last.clone());
        let elapsed = began.elapsed();
        pace.done(rows, elapsed.as_secs_f64() * 1_000.0);
        next.size = pace.rows();
        let row = BatchRow {
            run_id: &self.lease.run_id,
            id: cursor_id(work),
            number: next.number(&self.ledger),
            after: after.as_ref(),
            last: &last,
            tally,
            duration_ms: elapsed.as_millis(),
            token: self.lease.token,
        };
        let mut row = row.sql(&self.ledger);
        if next.ends()
            && let Some(end) = self.end_work(work, job, &mut next)
        {
            row = format!("{row}; {end}");
        }
        self.commit_batch(work, next, Some(row)).await
    }

    /// Opens a batch's transaction with its limits.
    pub(super) async fn begin_batch(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        let lock_ms = match self.ledger.dialect {
            // The transaction begins with all the lock that there is.
            Dialect::Sqlite => None,
            Dialect::Postgres | Dialect::Mysql => Some(BATCH_LOCK_TIMEOUT_MS),
        };
        self.session.batch(self.ledger.begin_batch()).await?;
        self.limit_batch(work, Limits { lock_ms, statement_ms: Some(0) }).await
    }

    /// Does the work of some driving rows.
    pub(super) async fn range(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
        rows: Rows<'_>,
    ) -> Result<Tally, EngineError> {
        let details = &cursor.details;
        let tally = match job.batchable.kind {
            DataKind::Insert => self.insert_range(work, job, cursor, rows).await?,
            DataKind::Update | DataKind::Delete => {
                let undo = details.undo_table.as_deref();
                let written = self.change_range(work, job, undo, rows).await?;
                match job.work {
                    Some(_) => self.account_frozen(job, details, rows, written).await?,
                    None => Tally { written, produced: written, ..Tally::default() },
                }
            }
        };
        self.judge_range(work, job, rows).await?;
        if self.ledger.dialect == Dialect::Postgres
            && let Err(error) = self.session.batch("SET CONSTRAINTS ALL IMMEDIATE").await
        {
            return Err(self.failure(work.migration, job.statement, error, work.kept));
        }
        Ok(tally)
    }

    /// Does the work of a range in which a row is at fault: the range is halved until the row
    /// stands alone. All of it stays in the batch's transaction.
    pub(super) async fn divide(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
        whole: Range,
    ) -> Result<Tally, EngineError> {
        let mut total = Tally::default();
        let whole_rows = whole.2;
        let before = self.done_before(cursor).await?;
        let mut open = vec![whole];
        while let Some((after, last, rows)) = open.pop() {
            self.session.batch("SAVEPOINT whimbrel_range").await?;
            let error =
                match self.range(work, job, cursor, Rows::Range(after.as_ref(), &last)).await {
                    Ok(tally) => {
                        self.session.batch("RELEASE SAVEPOINT whimbrel_range").await?;
                        total.add(tally);
                        continue;
                    }
                    Err(error) => error,
                };
            let EngineError::Statement(failure) = &error else { return Err(error) };
            if !is_about_rows(&failure.error, self.ledger.dialect) {
                return Err(error);
            }
            self.session
                .batch("ROLLBACK TO SAVEPOINT whimbrel_range; RELEASE SAVEPOINT whimbrel_range")
                .await?;
            if rows > 1 {
                let half = rows / 2;
                let driving = sources::driving(self.session, &mut self.opened, job);
                let middle = job.keys.nth(driving, after.as_ref(), &last, half).await?;
                if let Some(middle) = middle.filter(|middle| *middle != last) {
                    open.push((Some(middle.clone()), last, rows - half));
                    open.push((after, middle, half));
                    continue;
                }
            }
            if job.settled.on_error == OnError::Stop {
                return Err(named(error, job, &last));
            }
            let failure = match error {
                EngineError::Statement(failure) => failure,
                other => return Err(other),
            };
            self.quarantine(work, job, &last, &failure.error).await?;
            total.quarantined += 1;
            let bad = before.quarantined + total.quarantined;
            let (max, all) = (job.settled.errors_max(), before.read + whole_rows);
            let migration = work.migration.name.clone();
            let last = failure.error.to_string();
            if bad > max {
                return Err(EngineError::TooManyErrors { migration, rows: bad, max, last });
            }
            if job.settled.errors_max.is_none() && too_many(bad, all) {
                let what = "rows";
                return Err(EngineError::BreakerOpen { migration, failed: bad, all, what, last });
            }
        }
        Ok(total)
    }

    /// What the batches of a statement did so far. Where several connections work, what the others
    /// do just now is not in it.
    async fn done_before(&mut self, cursor: &Cursor) -> Result<Tally, EngineError> {
        let whole = self.whole_of(cursor).await?;
        Ok(whole.map_or(cursor.total, |whole| whole.total))
    }

    /// The cursor of the statement whose part this is; none where it is the statement's own.
    async fn whole_of(&mut self, cursor: &Cursor) -> Result<Option<Cursor>, EngineError> {
        let ledger = self.ledger;
        match cursor.part {
            Some(_) => Ok(Cursor::of_seq(&ledger, self.session.as_mut(), cursor.seq).await?),
            None => Ok(None),
        }
    }

    /// Writes the cursor and the row of the batch, and commits.
    pub(super) async fn commit_batch(
        &mut self,
        work: &StepWork<'_>,
        next: Cursor,
        row: Option<String>,
    ) -> Result<Cursor, EngineError> {
        let mut sql = next.advance_sql(&self.ledger, self.lease.token);
        if let Some(row) = row {
            sql.push_str("; ");
            sql.push_str(&row);
        }
        if next.ends() {
            let written = Some(next.total.written);
            sql.push_str("; ");
            sql.push_str(&self.attempt_row(work, AttemptEvent::Done, written, None, None));
        }
        self.session.batch(&sql).await?;
        let whole = self.whole_of(&next).await?;
        failpoint::pass("batch.before_commit");
        self.session.batch("COMMIT").await?;
        failpoint::pass("batch.after_commit");
        self.say_progress(work, whole.as_ref().unwrap_or(&next), false);
        Ok(next)
    }
}

/// The failure of a statement with the row at fault.
fn named(error: EngineError, job: &Job, key: &Key) -> EngineError {
    let EngineError::Statement(mut failure) = error else { return error };
    let row =
        format!("The row at fault is `{}` of {}", job.keys.shown(key), job.keys.shown_table());
    failure.error.detail = Some(match failure.error.detail.take() {
        Some(detail) => format!("{row}. {detail}"),
        None => row,
    });
    EngineError::Statement(failure)
}
