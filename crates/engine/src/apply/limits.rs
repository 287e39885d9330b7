//! How long statements wait for locks and how long they run: by directive, else by setting.
//!
//! The limits are ours and not the role's or the database's: a `statement_timeout` that somebody
//! gave a role for its queries must not end a migration. Where a file sets a limit itself by `SET`,
//! its own word counts. The limit on the running time holds for the author's statements only, not
//! for copies, checks and rows of ours.

use std::time::Duration;

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::statement::StatementClass;

use super::Applier;
use super::migration::StepWork;
use crate::backend::Limits;
use crate::error::EngineError;
use crate::failpoint;

/// Settings of the three databases that bound the waiting for locks.
const LOCK_WORDS: &[&str] = &["lock_timeout", "lock_wait_timeout", "busy_timeout"];
/// Settings of the three databases that bound the running time.
const STATEMENT_WORDS: &[&str] = &["statement_timeout", "max_statement_time", "max_execution_time"];

impl Applier<'_> {
    /// The limits of statement `index`.
    fn limits_of(&self, work: &StepWork<'_>, index: usize) -> Limits {
        let script = &work.migration.script;
        let asked = script.statement_options.get(index).unwrap_or(&script.options);
        let own = asked.lock_timeout != script.options.lock_timeout;
        let lock_ms = (own || !sets_itself(work, index, LOCK_WORDS))
            .then(|| asked.lock_timeout.map_or(self.options.lock_timeout_ms, millis));
        let own = asked.statement_timeout != script.options.statement_timeout;
        let statement_ms = (own || !sets_itself(work, index, STATEMENT_WORDS))
            .then(|| asked.statement_timeout.map_or(self.options.statement_timeout_ms, millis));
        Limits { lock_ms, statement_ms }
    }

    /// What holds from the beginning of a step: no statement of the author's runs yet.
    fn limits_at_start(&self, work: &StepWork<'_>) -> Limits {
        let limits = self.limits_of(work, work.step.statements.start);
        Limits { statement_ms: limits.statement_ms.map(|_| 0), ..limits }
    }

    /// Limits of a step, where they belong to the session.
    pub(super) async fn limit_before_begin(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<(), EngineError> {
        self.in_force = None;
        if self.ledger.dialect == Dialect::Postgres {
            return Ok(());
        }
        let limits = self.limits_at_start(work);
        self.send_limits(limits).await
    }

    /// Limits of a step, where they belong to the transaction that has just begun.
    pub(super) async fn limit_after_begin(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<(), EngineError> {
        if self.ledger.dialect != Dialect::Postgres {
            return Ok(());
        }
        let limits = self.limits_at_start(work);
        self.send_limits(limits).await
    }

    /// Limits of a group's transaction, before each member asks for its own.
    pub(super) async fn limit_group(&mut self) -> Result<(), EngineError> {
        let limits = self.limits_of_group();
        self.send_limits(limits).await
    }

    fn limits_of_group(&self) -> Limits {
        Limits { lock_ms: Some(self.options.lock_timeout_ms), statement_ms: Some(0) }
    }

    /// Begins a step's transaction with its limits and the fence.
    pub(super) async fn begin_step(&mut self, work: &StepWork<'_>) -> Result<(), EngineError> {
        self.limit_before_begin(work).await?;
        let limits = self.limits_at_start(work);
        self.begin(limits).await
    }

    /// Begins a group's transaction with its limits and the fence.
    pub(super) async fn begin_group(&mut self) -> Result<(), EngineError> {
        let limits = self.limits_of_group();
        if self.ledger.dialect != Dialect::Postgres {
            self.send_limits(limits).await?;
        }
        self.begin(limits).await
    }

    /// BEGIN, limits that belong to the transaction, and the fence.
    async fn begin(&mut self, limits: Limits) -> Result<(), EngineError> {
        let mut before = self.ledger.begin().to_owned();
        if let Some(text) = self.session.limit_text(limits) {
            self.in_force = Some(limits);
            before.push_str(&format!("; {text}"));
        }
        self.lease.fence_ahead(&before, self.session.as_mut()).await?;
        failpoint::pass("transaction.after_begin");
        Ok(())
    }

    /// Limits of a batch, which has its own for locks.
    pub(crate) async fn limit_batch(
        &mut self,
        work: &StepWork<'_>,
        limits: Limits,
    ) -> Result<(), EngineError> {
        self.session.limit(limits, true).await?;
        // The limit for locks that the author asks for is about steps; so it counts as sent.
        let lock_ms = self.limits_of(work, work.step.statements.start).lock_ms;
        self.in_force = Some(Limits { lock_ms, ..limits });
        Ok(())
    }

    /// Limits of one statement inside of a transaction; only what differs is sent. Returns whether
    /// the running time is bounded now.
    pub(super) async fn limit_statement(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
    ) -> Result<bool, EngineError> {
        // Else it is the author's own BEGIN, or a statement outside of any transaction.
        let Some(in_force) = self.in_force else { return Ok(false) };
        let mut limits = self.limits_of(work, index);
        limits.lock_ms = limits.lock_ms.filter(|ms| in_force.lock_ms != Some(*ms));
        limits.statement_ms = limits.statement_ms.filter(|ms| *ms > 0);
        self.send_limits(limits).await?;
        Ok(limits.statement_ms.is_some())
    }

    /// Takes the bound of the running time away again.
    pub(super) async fn unlimit_statement(&mut self, succeeded: bool) -> Result<(), EngineError> {
        let limits = Limits { lock_ms: None, statement_ms: Some(0) };
        match self.ledger.dialect {
            // It ends with the transaction that failed.
            Dialect::Postgres if !succeeded => Ok(()),
            _ if succeeded => self.send_limits(limits).await,
            _ => {
                // What the statement itself said is worth more.
                let _ = self.send_limits(limits).await;
                Ok(())
            }
        }
    }

    /// Limits of a statement outside of any transaction. Returns those that were in force.
    pub(super) async fn limit_bare(&mut self, work: &StepWork<'_>) -> Result<Limits, EngineError> {
        let index = work.step.statements.start;
        self.in_force = None;
        let script = &work.migration.script;
        if script.infos.get(index).is_some_and(|info| info.settings) {
            // It may set just what would be put back.
            return Ok(Limits::default());
        }
        let before = self.session.limits().await?;
        let mut limits = self.limits_of(work, index);
        // A time-out would leave an INVALID index each time.
        if script.statement(index).to_ascii_uppercase().contains("CONCURRENTLY") {
            limits.lock_ms = limits.lock_ms.map(|_| 0);
        }
        if self.ledger.dialect != Dialect::Postgres {
            let start = Limits { statement_ms: limits.statement_ms.map(|_| 0), ..limits };
            self.send_limits(start).await?;
            return Ok(before);
        }
        self.session.limit(limits, false).await?;
        Ok(Limits {
            lock_ms: limits.lock_ms.and(before.lock_ms),
            statement_ms: limits.statement_ms.and(before.statement_ms),
        })
    }

    /// Puts back what was in force. The statement's own outcome is worth more than a failure here,
    /// which can only be a lost connection.
    pub(super) async fn unlimit_bare(&mut self, before: Limits) {
        let _ = self.session.limit(before, false).await;
    }

    async fn send_limits(&mut self, limits: Limits) -> Result<(), EngineError> {
        self.session.limit(limits, true).await?;
        let before = self.in_force.unwrap_or_default();
        self.in_force = Some(Limits {
            lock_ms: limits.lock_ms.or(before.lock_ms),
            statement_ms: limits.statement_ms.or(before.statement_ms),
        });
        Ok(())
    }
}

/// Whether the file has set one of these itself by the time that statement `index` runs: for the
/// session, or in the same step.
fn sets_itself(work: &StepWork<'_>, index: usize, words: &[&str]) -> bool {
    let script = &work.migration.script;
    (0..index).any(|before| {
        let Some(info) = script.infos.get(before) else { return false };
        let lasts = info.settings || work.step.statements.contains(&before);
        let sets = info.class == StatementClass::Setting || info.settings;
        lasts && sets && {
            let text = script.statement(before).to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        }
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
