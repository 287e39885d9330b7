//! The ways in which a step is committed.

use std::time::Instant;

use whimbrel_core::ledger::{AttemptEvent, Direction};
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;

use super::again::{wants_checks_now, wants_no_transaction};
use super::migration::StepWork;
use super::{Applier, Done};
use crate::backend::{DbError, DbErrorKind, Notice};
use crate::error::EngineError;
use crate::event::Event;
use crate::failpoint;
use crate::ledger::{Attempt, rollback};
use crate::verify;

/// The ledger's rows of a step that are sent in one message, in bytes.
const TOGETHER_BYTES_MAX: usize = 64 * 1024;

impl Applier<'_> {
    /// A statement that only changes the session.
    pub(super) async fn session_step(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        self.in_force = None;
        for index in work.step.statements.clone() {
            self.statement(work, index).await?;
        }
        Ok(())
    }

    /// Statements in a transaction of ours, tried again while locks are not granted.
    pub(crate) async fn transaction(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Option<Done>, EngineError> {
        let mut tries = 1;
        let mut immediate = false;
        loop {
            let error = match self.transaction_once(work, immediate).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            rollback(self.session.as_mut()).await;
            if !immediate && wants_checks_now(&error) {
                immediate = true;
                continue;
            }
            if work.step.statements.len() == 1 && wants_no_transaction(&error) {
                self.bare(work).await?;
                return Ok(None);
            }
            if !self.wait_for_lock(work, &error, &mut tries).await {
                return Err(self.record_failure(work, error).await);
            }
        }
    }

    /// With `immediate`, deferrable constraints are checked after each statement.
    async fn transaction_once(
        &mut self,
        work: &StepWork<'_>,
        immediate: bool,
    ) -> Result<Option<Done>, EngineError> {
        failpoint::pass("transaction.before_begin");
        let violations = self.violations_before(work).await?;
        self.prepare_copies(work).await?;
        let whole = self.whole.clone();
        if let Some(whole) = &whole {
            self.whole_outside(whole).await?;
        }
        self.begin_step(work).await?;
        if let Some(whole) = &whole {
            self.whole_before(whole).await?;
        }
        if immediate {
            self.session.ahead("SET CONSTRAINTS ALL IMMEDIATE").await?;
        }
        failpoint::pass("statement.before_first");
        let mut rows = 0;
        for (count, index) in work.step.statements.clone().enumerate() {
            if count > 0 {
                failpoint::pass("statement.between");
            }
            self.keep(work, index).await?;
            rows += self.statement(work, index).await?;
        }
        failpoint::pass("statement.after_last");
        self.still_in_transaction(work)?;
        self.leave_role(work.migration).await?;
        if let Some(whole) = &whole {
            self.whole_after(work, whole, rows).await?;
        }
        if work.last {
            self.restore(work).await?;
        }
        let facts = self.verify_in_transaction(work).await?;
        if let Some(before) = violations {
            self.check_foreign_keys(work, &before).await?;
        }
        self.commit(work, "COMMIT", rows).await?;
        Ok(done_if_last(work, facts))
    }

    /// The author's own transaction: as written, with the ledger's rows before its COMMIT.
    pub(super) async fn own_transaction(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Option<Done>, EngineError> {
        match self.own_transaction_once(work).await {
            Ok(done) => Ok(done),
            Err(error) => {
                rollback(self.session.as_mut()).await;
                Err(self.record_failure(work, error).await)
            }
        }
    }

    async fn own_transaction_once(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Option<Done>, EngineError> {
        let script = &work.migration.script;
        let end = work.step.statements.end;
        let last = end.saturating_sub(1);
        let ends_itself = script.infos.get(last).is_some_and(|info| info.control.is_some());
        let body = if ends_itself {
            work.step.statements.start..last
        } else {
            work.step.statements.clone()
        };
        let violations = self.violations_before(work).await?;
        self.lease.renew(self.session.as_mut()).await?;
        self.prepare_copies(work).await?;
        self.limit_before_begin(work).await?;
        failpoint::pass("transaction.before_begin");
        let mut rows = 0;
        for (count, index) in body.enumerate() {
            self.keep(work, index).await?;
            rows += self.statement(work, index).await?;
            if count == 0 {
                self.limit_after_begin(work).await?;
                failpoint::pass("transaction.after_begin");
            } else {
                failpoint::pass("statement.between");
            }
        }
        failpoint::pass("statement.after_last");
        self.still_in_transaction(work)?;
        self.leave_role(work.migration).await?;
        if work.last {
            self.restore(work).await?;
        }
        let facts = self.verify_in_transaction(work).await?;
        if let Some(before) = violations {
            self.check_foreign_keys(work, &before).await?;
        }
        // SET TRANSACTION must come before any query, so the fence is locked at the end here.
        self.lease.fence(self.session.as_mut()).await?;
        let commit =
            if ends_itself { script.statement(last).to_owned() } else { "COMMIT".to_owned() };
        self.commit(work, &commit, rows).await?;
        Ok(done_if_last(work, facts))
    }

    /// The author's own transaction that the author rolls back: it leaves nothing, so it may be
    /// repeated, and its row is written afterwards.
    pub(super) async fn own_rollback(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        if let Err(error) = self.own_rollback_once(work).await {
            rollback(self.session.as_mut()).await;
            return Err(self.record_failure(work, error).await);
        }
        let row = self.attempt_row(work, AttemptEvent::Done, None, None, None);
        self.write_rows(&[row]).await
    }

    async fn own_rollback_once(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        self.limit_before_begin(work).await?;
        for (count, index) in work.step.statements.clone().enumerate() {
            self.statement(work, index).await?;
            if count == 0 {
                self.limit_after_begin(work).await?;
            }
        }
        Ok(())
    }

    /// One statement outside of any transaction: intent, statement, done.
    pub(super) async fn bare(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        let index = work.step.statements.start;
        let mut tries = 1;
        loop {
            let fingerprint = self.fingerprint(work).await?;
            let intent =
                self.attempt_row(work, AttemptEvent::Intent, None, None, Some(&fingerprint));
            self.write_rows(&[intent]).await?;
            failpoint::pass("history.after_intent");
            let limits = self.prepare_bare(work).await?;
            let locked = match self.ledger.dialect {
                Dialect::Mysql => match self.keep_outside(work, index).await {
                    Err(error @ EngineError::MoreLost { .. }) => {
                        return Err(self.record_failure(work, error).await);
                    }
                    locked => locked?,
                },
                Dialect::Sqlite | Dialect::Postgres => false,
            };
            failpoint::pass("statement.before_first");
            let result = self.statement(work, index).await;
            if locked {
                self.session.batch("UNLOCK TABLES").await?;
            }
            self.unlimit_bare(limits).await;
            let error = match result {
                Ok(rows) => {
                    failpoint::pass("statement.after_last");
                    let row = self.attempt_row(work, AttemptEvent::Done, Some(rows), None, None);
                    return self.write_rows(&[row]).await;
                }
                Err(error) => error,
            };
            if super::lost_connection(&error).is_some() {
                return Err(error);
            }
            let again = self.wait_for_lock(work, &error, &mut tries).await;
            let error = self.record_failure(work, error).await;
            if !again {
                return Err(error);
            }
        }
    }

    /// Sends one statement and tells what the database said with it.
    pub(super) async fn statement(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<u64, EngineError> {
        let script = &work.migration.script;
        self.lease.progress.busy(true);
        let text = match (work.migration.kind, work.direction) {
            (Kind::Data, Direction::Up) => {
                let moment = self.moment(&work.migration.name).await?;
                Some(moment.fill(script.statement(index), self.ledger.dialect))
            }
            _ => match self.instead.take() {
                Some(text) => Some(text),
                None => self.text_back(work, index).await?,
            },
        };
        let sent = text.as_deref().unwrap_or_else(|| script.statement(index));
        let limited = self.limit_statement(work, index).await?;
        let away = self.go_there(work.migration, index).await?;
        let outcome = self.session.run(sent, script.copy_data(index)).await;
        self.lease.progress.busy(false);
        if away {
            let back = self.come_back().await;
            // What the statement itself said is worth more.
            outcome.is_ok().then_some(back).transpose()?;
        }
        if limited {
            self.unlimit_statement(outcome.is_ok()).await?;
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(mut error) => {
                let notices = self.session.said_before_error();
                self.name_orphans(script.statement(index), &mut error).await;
                let error = self.failure(work.migration, index, error, work.kept);
                // A statement that is sent once more says it once more.
                if !wants_no_transaction(&error) {
                    notices.into_iter().for_each(|notice| self.tell(work, index, notice));
                }
                return Err(error);
            }
        };
        self.said(work, index, outcome)
    }

    /// Sends the author's statement `index` as it was rewritten.
    pub(crate) async fn send_rewritten(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
        sql: &str,
    ) -> Result<u64, EngineError> {
        let limited = self.limit_statement(work, index).await?;
        self.lease.progress.busy(true);
        let outcome = self.session.run(sql, None).await;
        self.lease.progress.busy(false);
        if limited {
            self.unlimit_statement(outcome.is_ok()).await?;
        }
        match outcome {
            Ok(outcome) => self.said(work, index, outcome),
            Err(mut error) => {
                // The place is one of the rewritten text.
                error.offset = None;
                Err(self.failure(work.migration, index, error, work.kept))
            }
        }
    }

    /// Tells what the database said along with a statement. A value cut short is an error.
    fn said(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
        outcome: crate::backend::Outcome,
    ) -> Result<u64, EngineError> {
        for notice in outcome.notices {
            if verify::is_truncation(self.ledger.dialect, &notice) {
                let mut error = DbError::new(DbErrorKind::Statement, notice.message);
                error.code = notice.code;
                error.detail = Some("A value would be cut short; this is never allowed".to_owned());
                return Err(self.failure(work.migration, index, error, work.kept));
            }
            self.tell(work, index, notice);
        }
        Ok(outcome.rows_affected.unwrap_or(0))
    }

    /// Tells what the database said with statement `index`.
    fn tell(&mut self, work: &StepWork<'_>, index: usize, notice: Notice) {
        let statement = work.migration.script.statements.get(index);
        let line = statement.map_or(1, |one| one.line) + work.migration.lines_before;
        let migration = work.migration.name.clone();
        self.events.send(Event::Notice { migration, line, notice });
    }

    /// Writes the step's rows and commits it, all in one transaction.
    async fn commit(
        &mut self,
        work: &StepWork<'_>,
        commit: &str,
        rows: u64,
    ) -> Result<(), EngineError> {
        failpoint::pass("ledger.before_write");
        let mut sql = vec![self.attempt_row(work, AttemptEvent::Done, Some(rows), None, None)];
        if work.last {
            sql.extend(self.finishing_sql(work.migration, work.direction, work.began));
        }
        // One message, unless it may be longer than a server takes at once.
        let short = sql.iter().map(String::len).sum::<usize>() < TOGETHER_BYTES_MAX;
        for sql in if short { vec![sql.join(";\n")] } else { sql } {
            self.session.ahead(&sql).await?;
        }
        failpoint::pass("ledger.after_write");
        failpoint::pass("transaction.before_commit");
        if let Err(error) = self.session.batch(commit).await {
            let last = work.step.statements.end.saturating_sub(1);
            return Err(self.failure(work.migration, last, error, work.kept));
        }
        failpoint::pass("transaction.after_commit");
        Ok(())
    }

    /// SQLite ends a transaction by itself after some errors and statements; going on would commit
    /// the rest, and the ledger's rows, without what was rolled back.
    fn still_in_transaction(&self, work: &StepWork<'_>) -> Result<(), EngineError> {
        if self.session.in_transaction() == Some(false) {
            let last = work.step.statements.end.saturating_sub(1);
            let message = match self.ledger.dialect {
                Dialect::Mysql => {
                    "A statement committed the transaction that it is part of; what ran up to it \
                     stays. Write it outside of BEGIN and COMMIT"
                }
                Dialect::Sqlite | Dialect::Postgres => {
                    "The database ended the transaction by itself; nothing of this step stays"
                }
            };
            let error = DbError::new(DbErrorKind::Statement, message);
            return Err(self.failure(work.migration, last, error, work.kept));
        }
        Ok(())
    }

    /// Rows that are made to prove a cascade can meet a deadlock, which ends the whole transaction.
    pub(super) fn survived_verification(&self) -> Result<(), EngineError> {
        if self.session.in_transaction() == Some(false) {
            let message = "The database ended the transaction while its result was verified";
            return Err(DbError::new(DbErrorKind::Locked, message).into());
        }
        Ok(())
    }

    /// Writes the failure into the ledger and gives it back. What the row says is evidence, not
    /// state, so an error while writing it does not replace the first one.
    pub(crate) async fn record_failure(
        &mut self,
        work: &StepWork<'_>,
        error: EngineError,
    ) -> EngineError {
        if super::lost_connection(&error).is_some() || matches!(error, EngineError::LeaseLost) {
            return error;
        }
        let message = match &error {
            EngineError::Statement(failure) => failure.error.to_string(),
            other => other.to_string(),
        };
        let row = self.attempt_row(work, AttemptEvent::Failed, None, Some(&message), None);
        match self.write_rows(&[row]).await {
            // Then the step failed because another run has done it already.
            Err(EngineError::LeaseLost) => EngineError::LeaseLost,
            _ => error,
        }
    }

    pub(crate) fn attempt_row(
        &self,
        work: &StepWork<'_>,
        event: AttemptEvent,
        rows_affected: Option<u64>,
        error: Option<&str>,
        fingerprint: Option<&str>,
    ) -> String {
        self.ledger.attempt_sql(&Attempt {
            run_id: &self.lease.run_id,
            migration: &work.migration.name,
            direction: work.direction,
            statement_index: work.step.statements.start,
            statement_hash: &work.step.hash,
            event,
            rows_affected,
            error,
            fingerprint,
            started_ms_ago: work.began.elapsed().as_millis(),
            token: self.lease.token,
        })
    }

    /// The ledger is not the author's: for the rest of the transaction, leaves the role that a
    /// statement of the file took on. The session takes it on again with the commit.
    pub(super) async fn leave_role(
        &mut self,
        migration: &PlannedMigration,
    ) -> Result<(), EngineError> {
        if self.ledger.dialect == Dialect::Postgres && migration.script.takes_role() {
            let sql = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL role TO DEFAULT";
            self.session.ahead(sql).await?;
        }
        Ok(())
    }

    /// Verifies the whole migration before the transaction that finishes it is committed.
    async fn verify_in_transaction(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Vec<crate::report::FactLine>, EngineError> {
        if !work.last || work.direction == Direction::Down || !work.migration.verify {
            return Ok(Vec::new());
        }
        let facts =
            verify::after(self.session.as_mut(), self.ledger.dialect, work.migration).await?;
        self.survived_verification()?;
        // Of a migration in several steps the earlier ones stay in any case: it is told afterwards.
        let atomic = work.migration.script.is_whole();
        if atomic && facts.iter().any(|fact| fact.fails()) {
            return Err(EngineError::VerifyFailed {
                migration: work.migration.name.clone(),
                facts: facts.into_iter().filter(|fact| fact.fails()).collect(),
                rolled_back: true,
                finished: self.finished_names(),
            });
        }
        Ok(facts)
    }
}

fn done_if_last(work: &StepWork<'_>, facts: Vec<crate::report::FactLine>) -> Option<Done> {
    let began: Instant = work.began;
    work.last.then(|| Done { duration_ms: began.elapsed().as_millis(), facts })
}
