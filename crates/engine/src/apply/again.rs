//! When a step is sent once more: after a lock was not granted, or in another way than before.

use super::migration::StepWork;
use super::{Applier, LOCK_TRIES_MAX};
use crate::error::EngineError;
use crate::event::Event;

impl Applier<'_> {
    /// Whether the step should be tried again after a lock was not granted; waits before it says
    /// so.
    pub(super) async fn wait_for_lock(
        &mut self,
        work: &StepWork<'_>,
        error: &EngineError,
        tries: &mut u32,
    ) -> bool {
        let database = match error {
            EngineError::Statement(failure) => &failure.error,
            EngineError::Database(error) => error,
            _ => return false,
        };
        if !database.is_transient() || *tries >= LOCK_TRIES_MAX || self.options.stop.is_set() {
            return false;
        }
        *tries += 1;
        let base = 50 * u64::from((*tries).min(20));
        let delay = crate::jitter::between_ms(base, base * 3);
        self.events.send(Event::Retrying {
            migration: work.migration.name.clone(),
            attempt: *tries,
            delay_ms: delay.as_millis(),
            reason: database.to_string(),
            blockers: self.lease.progress.blockers(),
        });
        tokio::time::sleep(delay).await;
        true
    }
}

/// Whether PostgreSQL refused the statement only because of the transaction around it: a procedure
/// that commits by itself (`invalid_transaction_termination`), or that calls what cannot be in a
/// transaction (`active_sql_transaction`).
pub(super) fn wants_no_transaction(error: &EngineError) -> bool {
    match error {
        EngineError::Statement(failure) => {
            matches!(failure.error.code.as_deref(), Some("2D000" | "25001"))
        }
        _ => false,
    }
}

/// Whether PostgreSQL refused to change a table because of rows written before it in the same
/// transaction, whose deferred constraints are still to be checked (`object_in_use`). A client that
/// commits each statement by itself does not meet that: there every check follows its statement.
pub(super) fn wants_checks_now(error: &EngineError) -> bool {
    match error {
        EngineError::Statement(failure) => failure.error.code.as_deref() == Some("55006"),
        _ => false,
    }
}
