//! `until=no-rows`: a statement with a LIMIT of its own, run again until it changes no row.

use std::time::Instant;

use whimbrel_core::ddl::ObjectName;
use whimbrel_core::directive::{OnError, UndoMode};
use whimbrel_core::ledger::AttemptEvent;
use whimbrel_core::pace::Windows;
use whimbrel_core::sql::dialect::Dialect;

use super::cursor::{BatchRow, Cursor, Details, Tally};
use super::failure::Trials;
use super::job::Settled;
use super::key::Key;
use super::moment::Moment;
use super::start::{check_resumable, cursor_id};
use crate::apply::keep::sql_name;
use crate::apply::{Applier, Done, StepWork};
use crate::backend::DbErrorKind;
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::number;

/// How many times as many rows as there are in its tables one process lets a statement change
/// before it takes it for one that never ends.
const TIMES_MAX: u64 = 10;
/// Rows that it may change in any case.
const ROWS_MIN: u64 = 1_000;
/// Such a statement has no key.
const NO_KEY: &str = "[]";

/// A statement that is run again until it changes no row.
pub(crate) struct Until {
    /// Its text with the parameters filled in.
    pub(super) text: String,
    pub(super) settled: Settled,
    /// Tables that it names.
    pub(super) relations: Vec<ObjectName>,
    pub(super) moment: Moment,
}

impl Until {
    /// What such a statement is called where others have a driving table.
    fn driving(&self) -> String {
        self.relations.first().map_or_else(String::new, ToString::to_string)
    }
}

/// What else is said about the statement that cannot be: the message and what to do.
pub(super) fn conflict(settled: &Settled) -> Option<(String, &'static str)> {
    if settled.undo != UndoMode::Off {
        let message = "With `until=no-rows` nothing is known of the rows before they change, so \
                       nothing could be kept for an undo";
        return Some((message.to_owned(), "Write `until=no-rows undo=off`"));
    }
    if settled.on_error == OnError::Quarantine {
        let message = "With `until=no-rows` there is no key by which a row could be set aside";
        return Some((message.to_owned(), "Leave `on-error=quarantine` out"));
    }
    None
}

impl Applier<'_> {
    /// Runs a statement, each time in a transaction with the cursor, until it changes no row.
    pub(super) async fn until_no_rows(
        &mut self,
        work: &StepWork<'_>,
        until: &Until,
    ) -> Result<Option<Done>, EngineError> {
        let mut cursor = self.until_cursor(work, until).await?;
        let most = cursor.total.written.saturating_add(self.rows_at_most(until).await?);
        let mut trials = Trials::default();
        self.say_progress(work, &cursor, true);
        let (mut windows, mut pause_ms) = (Windows::default(), 0);
        while !cursor.done {
            self.gate(&work.migration.name, pause_ms).await?;
            let began = Instant::now();
            trials.begin();
            cursor = loop {
                let error = match self.round(work, until, &cursor).await {
                    Ok(next) => break next,
                    Err(error) => error,
                };
                crate::ledger::rollback(self.session.as_mut()).await;
                self.after_failure(work, error, &mut trials).await?;
            };
            trials.done();
            self.reconnects = 0;
            pause_ms = self.pause_after(&mut windows, began.elapsed(), until.settled.pause_ms);
            if cursor.total.written > most {
                let error = EngineError::Refused(format!(
                    "Statement {} of `{}` has changed {} rows in {} rounds, far more than its \
                     tables have: it would never end. Let its WHERE leave out rows that are done",
                    work.step.statements.start + 1,
                    work.migration.name,
                    cursor.total.written,
                    cursor.batches
                ));
                return Err(self.record_failure(work, error).await);
            }
        }
        Ok(None)
    }

    async fn round(
        &mut self,
        work: &StepWork<'_>,
        until: &Until,
        cursor: &Cursor,
    ) -> Result<Cursor, EngineError> {
        failpoint::pass("batch.before_begin");
        self.begin_batch(work).await?;
        let began = Instant::now();
        self.lease.fence(self.session.as_mut()).await?;
        let index = work.step.statements.start;
        let written = self.send_rewritten(work, index, &until.text).await?;
        if self.ledger.dialect == Dialect::Postgres
            && let Err(error) = self.session.batch("SET CONSTRAINTS ALL IMMEDIATE").await
        {
            return Err(self.failure(work.migration, index, error, work.kept));
        }
        failpoint::pass("batch.after_statement");
        let mut next = cursor.clone();
        next.done = written == 0;
        if next.done {
            return self.commit_batch(work, next, None).await;
        }
        let tally = Tally { read: written, written, produced: written, ..Tally::default() };
        next.total.add(tally);
        next.batches += 1;
        next.size = written;
        let row = BatchRow {
            run_id: &self.lease.run_id,
            id: cursor_id(work),
            number: next.number(&self.ledger),
            after: None,
            last: &Key::none(),
            tally,
            duration_ms: began.elapsed().as_millis(),
            token: self.lease.token,
        };
        let row = row.sql(&self.ledger);
        self.commit_batch(work, next, Some(row)).await
    }

    async fn until_cursor(
        &mut self,
        work: &StepWork<'_>,
        until: &Until,
    ) -> Result<Cursor, EngineError> {
        let (ledger, id) = (self.ledger, cursor_id(work));
        if let Some(cursor) = Cursor::read(&ledger, self.session.as_mut(), id).await? {
            check_resumable(work, &cursor, (&until.driving(), NO_KEY))?;
            return Ok(cursor);
        }
        let cursor = Cursor {
            seq: 0,
            hash: work.step.hash.clone(),
            done: false,
            driving: until.driving(),
            key_columns: NO_KEY.to_owned(),
            last: None,
            upper: None,
            details: Details { run_id: until.moment.run_id.clone(), ..Details::default() },
            batches: 0,
            total: Tally::default(),
            size: 0,
            began_ms: until.moment.began_ms,
            part: None,
        };
        let rows = [
            cursor.insert_sql(&ledger, id, self.lease.token),
            self.attempt_row(work, AttemptEvent::Begun, None, None, None),
        ];
        self.write_rows(&rows).await?;
        Cursor::read(&ledger, self.session.as_mut(), id)
            .await?
            .ok_or_else(|| EngineError::LedgerDamaged("a cursor is not there".to_owned()))
    }

    /// How many rows the statement may change in this process before it counts as endless.
    async fn rows_at_most(&mut self, until: &Until) -> Result<u64, EngineError> {
        let mut rows = 0_u64;
        for name in &until.relations {
            let sql = format!("SELECT count(*) FROM {}", sql_name(name, self.ledger.dialect));
            match self.session.query(&sql).await {
                Ok(found) => {
                    let count = found.first().map_or(0, |row| number(row, 0));
                    rows = rows.saturating_add(u64::try_from(count).unwrap_or(0));
                }
                // A name of the statement's own (a CTE).
                Err(error) if error.kind == DbErrorKind::Statement => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rows.saturating_mul(TIMES_MAX).saturating_add(ROWS_MIN))
    }
}
