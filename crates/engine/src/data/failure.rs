//! What follows a batch that failed: another try, or the end.

use whimbrel_core::retry::Tries;

use crate::apply::{Applier, StepWork};
use crate::error::EngineError;
use crate::event::Event;

/// The tries of a statement's batches in this process.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// Further tries of the batch in progress.
    again: u32,
    tries: Tries,
}

impl Trials {
    /// Another batch begins.
    pub(super) fn begin(&mut self) {
        self.again = 0;
    }

    /// A batch is committed.
    pub(super) fn done(&mut self) {
        self.tries.note(false);
    }
}

impl Applier<'_> {
    /// Waits before the batch is tried again. Only what another try can change is tried again: a
    /// lock that was not granted, a deadlock, a serialization failure, a busy database. A lost
    /// connection is made again by whoever called.
    ///
    /// # Errors
    /// The error itself where no further try follows, or what stopped the run meanwhile. It is in
    /// the ledger then.
    pub(super) async fn after_failure(
        &mut self,
        work: &StepWork<'_>,
        error: EngineError,
        trials: &mut Trials,
    ) -> Result<(), EngineError> {
        match self.try_again(&work.migration.name, error, trials).await {
            Err(EngineError::Stopped) => Err(EngineError::Stopped),
            Err(error) => Err(self.record_failure(work, error).await),
            Ok(()) => Ok(()),
        }
    }

    /// The same without a word in the ledger.
    pub(super) async fn try_again(
        &mut self,
        migration: &str,
        error: EngineError,
        trials: &mut Trials,
    ) -> Result<(), EngineError> {
        trials.tries.note(true);
        let Some((reason, true)) =
            error.database().map(|error| (error.to_string(), error.is_transient()))
        else {
            return Err(error);
        };
        if trials.tries.too_many() {
            return Err(EngineError::BreakerOpen {
                migration: migration.to_owned(),
                failed: trials.tries.failed,
                all: trials.tries.all,
                what: "tries of batches",
                last: reason,
            });
        }
        let Some((shortest, longest)) = self.options.retries.wait_ms(trials.again + 1) else {
            return Err(error);
        };
        trials.again += 1;
        let delay = crate::jitter::between_ms(shortest, longest);
        self.events.send(Event::Retrying {
            migration: migration.to_owned(),
            attempt: trials.again + 1,
            delay_ms: delay.as_millis(),
            reason,
            blockers: self.lease.progress.blockers(),
        });
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.gate(migration, delay_ms).await.map(|_| ())
    }

    /// Says that a batch ran into a time-out and is tried again with fewer rows.
    pub(super) fn say_smaller(&mut self, work: &StepWork<'_>, error: &EngineError, rows: u64) {
        let said = error.database().map_or_else(|| error.to_string(), ToString::to_string);
        self.events.send(Event::Retrying {
            migration: work.migration.name.clone(),
            attempt: 2,
            delay_ms: 0,
            reason: format!("{said}; batches of {rows} rows now"),
            blockers: Vec::new(),
        });
    }
}
