//! What stands between two batches: a stop, a pause that somebody asked for, the throttle.

use std::time::{Duration, Instant};

use whimbrel_core::pace::Windows;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::throttle::look_after_ms;

use crate::apply::Applier;
use crate::backend::DbError;
use crate::error::EngineError;
use crate::event::Event;
use crate::ledger::text;

/// How often somebody who waits looks for a stop, in milliseconds.
const STOP_LOOK_MS: u64 = 100;
/// How often a run that is held looks whether it was told something else, in milliseconds.
const CONTROL_LOOK_MS: u64 = 500;
/// How often a lease without heartbeat is renewed while the run is held, in milliseconds.
const RENEW_MS: u64 = 5_000;

/// How often a run that nothing holds looks for what holds it, in milliseconds: small migrations
/// take less time than the look.
const LOOK_MS: u128 = 50;

/// The signal of a run that somebody lets wait.
const PAUSED: &str = "paused";

/// What somebody wants of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Go,
    Pause(String),
    Cancel(String),
}

/// Why a run is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// Its name: `paused`, or that of the setting.
    pub(crate) name: &'static str,
    /// What it is now.
    pub(crate) value: String,
    /// What ends it.
    pub(crate) threshold: String,
}

/// A run that is held.
struct Hold {
    signal: Signal,
    began: Instant,
    /// The step as it was called before.
    step: String,
    looks: u32,
    next_look: Instant,
}

impl Applier<'_> {
    /// Waits between two batches for `pause_ms` milliseconds and as long as anything holds the run.
    /// Gives the name of the signal that held it last.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] when somebody asks for the end; else what the database said.
    pub(crate) async fn gate(
        &mut self,
        migration: &str,
        pause_ms: u64,
    ) -> Result<Option<&'static str>, EngineError> {
        self.wait(Duration::from_millis(pause_ms)).await?;
        let mut hold: Option<Hold> = None;
        let outcome = loop {
            match self.look(hold.as_ref()).await {
                Ok(None) => break Ok(()),
                Ok(Some(signal)) => self.hold(migration, &mut hold, signal),
                Err(error) => break Err(error),
            }
            if let Err(error) = self.wait(Duration::from_millis(CONTROL_LOOK_MS)).await {
                break Err(error);
            }
        };
        if let Some(hold) = &hold {
            self.release(migration, hold);
        }
        outcome.map(|()| hold.map(|hold| hold.signal.name))
    }

    /// How long to pause after a batch so that others get at their rows, in milliseconds.
    pub(super) fn pause_after(&self, windows: &mut Windows, took: Duration, pause_ms: u64) -> u64 {
        // Where no pause is wanted, nobody else is there.
        if self.ledger.dialect != Dialect::Sqlite || pause_ms == 0 {
            return pause_ms;
        }
        let window_ms = windows.pause_ms(took.as_secs_f64() * 1_000.0, pause_ms);
        if self.session.is_alone() { pause_ms } else { window_ms }
    }

    /// Sleeps, but not through a stop, and keeps the lease.
    pub(crate) async fn wait(&mut self, time: Duration) -> Result<(), EngineError> {
        let end = Instant::now() + time;
        loop {
            if self.options.stop.is_set() {
                return Err(EngineError::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(Duration::from_millis(STOP_LOOK_MS))).await;
            self.keep_lease().await?;
        }
    }

    /// Renews a lease that no heartbeat renews. Somebody else may be writing; there is time.
    async fn keep_lease(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        let renewed = *self.renewed.get_or_insert(now);
        if now.duration_since(renewed).as_millis() < u128::from(RENEW_MS) {
            return Ok(());
        }
        match self.lease.renew(self.session.as_mut()).await {
            Ok(()) => self.renewed = Some(now),
            Err(error) if is_busy(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What holds the run now; nothing lets it go on.
    async fn look(&mut self, hold: Option<&Hold>) -> Result<Option<Signal>, EngineError> {
        self.lease.check_lost()?;
        let now = Instant::now();
        let recent = |at: Instant| now.duration_since(at).as_millis() < LOOK_MS;
        if hold.is_none() && self.looked.is_some_and(recent) {
            return Ok(None);
        }
        self.looked = Some(now);
        let paused = hold.filter(|hold| hold.signal.name == PAUSED);
        match self.wanted().await {
            // Somebody writes just now; what holds goes on to hold.
            Err(error) if is_busy(&error) => match paused {
                Some(hold) => return Ok(Some(hold.signal.clone())),
                None => return Ok(None),
            },
            Err(error) => return Err(error),
            Ok(Wanted::Go) => {}
            Ok(Wanted::Cancel(actor)) => {
                self.report.cancelled_by = Some(actor);
                return Err(EngineError::Stopped);
            }
            Ok(Wanted::Pause(actor)) => {
                let threshold = "`whimbrel run resume`".to_owned();
                let value = format!("by {actor}");
                return Ok(Some(Signal { name: PAUSED, value, threshold }));
            }
        }
        let held = hold.filter(|hold| hold.signal.name != PAUSED);
        if let Some(hold) = held.filter(|hold| Instant::now() < hold.next_look) {
            return Ok(Some(hold.signal.clone()));
        }
        match self.throttled(held.map(|hold| hold.signal.name)).await {
            Err(error) if is_busy(&error) => {
                let (value, threshold) = (error.to_string(), "an answer".to_owned());
                Ok(Some(Signal { name: "busy", value, threshold }))
            }
            other => other,
        }
    }

    /// What somebody wrote for this run.
    async fn wanted(&mut self) -> Result<Wanted, EngineError> {
        let sql = format!(
            "SELECT wanted, actor FROM {} WHERE id = 1 AND run_id = {}",
            self.ledger.table("control"),
            self.ledger.quote(&self.lease.run_id)
        );
        let rows = self.session.query(&sql).await?;
        let Some(row) = rows.first() else { return Ok(Wanted::Go) };
        let actor = text(row, 1);
        Ok(match text(row, 0).as_str() {
            "pause" => Wanted::Pause(actor),
            "cancel" => Wanted::Cancel(actor),
            _ => Wanted::Go,
        })
    }

    /// Takes note of a signal and says it, when it is new and each time it was looked at.
    fn hold(&mut self, migration: &str, hold: &mut Option<Hold>, signal: Signal) {
        let now = Instant::now();
        let known = hold.as_ref().is_some_and(|hold| hold.signal.name == signal.name);
        if !known {
            let step = match hold.take() {
                Some(before) => before.step,
                None => self.lease.progress.now().step,
            };
            // Others see it in the lease, which is written at once.
            self.renewed = now.checked_sub(2 * Duration::from_millis(RENEW_MS));
            *hold = Some(Hold { signal, began: now, step, looks: 0, next_look: now });
        } else if let Some(hold) = hold {
            hold.signal = signal;
        }
        let Some(hold) = hold else { return };
        let looked = now >= hold.next_look && (!known || hold.signal.name != PAUSED);
        if !looked {
            return;
        }
        hold.looks += 1;
        let about = look_after_ms(hold.looks);
        hold.next_look = now + crate::jitter::between_ms(about * 3 / 4, about);
        let Signal { name, value, threshold } = hold.signal.clone();
        let words = format!("held by {name}: {value} ({threshold}); {}", hold.step);
        self.lease.progress.say(&words);
        let held_ms = hold.began.elapsed().as_millis();
        let migration = migration.to_owned();
        self.events.send(Event::Held { migration, signal: name, value, threshold, held_ms });
    }

    fn release(&mut self, migration: &str, hold: &Hold) {
        self.lease.progress.say(&hold.step);
        self.events.send(Event::Released {
            migration: migration.to_owned(),
            signal: hold.signal.name,
            held_ms: hold.began.elapsed().as_millis(),
        });
    }
}

/// Whether a lock was not granted: another look may be.
fn is_busy(error: &EngineError) -> bool {
    error.database().is_some_and(DbError::is_transient)
}
