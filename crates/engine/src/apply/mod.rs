//! Carrying out a plan: lease in hand, one migration after the other.

mod again;
mod elsewhere;
mod failure;
mod group;
pub(crate) mod keep;
mod limits;
mod locked;
mod loss;
mod migration;
mod orphans;
mod recover;
mod restore;
mod step;

pub(crate) use loss::Agreed;
pub(crate) use migration::StepWork;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use whimbrel_core::ledger::{Direction, LedgerState, MigrationEvent};
use whimbrel_core::plan::{GroupMode, PlannedMigration};
use whimbrel_core::retry::Retries;
use whimbrel_core::throttle::Throttle;

use crate::backend::{Backend, DbError, Limits, Session};
use crate::data::judge::RuleText;
use crate::data::sources::{Opened, Sources};
use crate::data::whole::Whole;
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::interop::Mirror;
use crate::lease::Lease;
use crate::ledger::{Ledger, MigrationEntry};
use crate::report::{FactLine, Finished, RunReport};

/// How often a step is tried while locks are not granted.
pub(crate) const LOCK_TRIES_MAX: u32 = 30;
/// How often somebody who was asked is looked at for an answer, in milliseconds.
pub(crate) const ASK_LOOK_MS: u64 = 500;
/// How often a lost connection is made again within one run.
const RECONNECTS_MAX: u32 = 5;

/// Asked from outside to stop after the step in progress.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks for a clean stop.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How a plan is carried out.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Whether migrations share transactions.
    pub group: GroupMode,
    /// How long a statement waits for a lock before its step is tried again, in milliseconds.
    pub lock_timeout_ms: u64,
    /// How long a statement may run, in milliseconds; 0 is no limit.
    pub statement_timeout_ms: u64,
    /// Up to how many bytes a removed table or column is kept without being asked.
    pub keep_bytes_max: u64,
    /// Rules of tables, for the rows that data migrations write.
    pub(crate) rules: Vec<RuleText>,
    /// Asked to stop.
    pub stop: StopFlag,
    /// Somebody is asked before each further migration.
    pub ask_between: bool,
    /// How often a batch is tried again.
    pub retries: Retries,
    /// What holds a run between two batches.
    pub throttle: Throttle,
    /// The project's folder.
    pub root: PathBuf,
    /// What somebody agreed to lose on the way back; nothing where nobody was asked for a number.
    pub(crate) agreed: Option<Agreed>,
}

/// One run of a plan.
pub(crate) struct Applier<'a> {
    pub(crate) backend: &'a dyn Backend,
    pub(crate) session: &'a mut Box<dyn Session>,
    pub(crate) ledger: Ledger,
    pub(crate) lease: &'a mut Lease,
    pub(crate) actor: &'a str,
    pub(crate) mirror: Option<&'a Mirror>,
    pub(crate) options: &'a ApplyOptions,
    pub(crate) events: &'a mut dyn Events,
    pub(crate) report: RunReport,
    pub(crate) position: (usize, usize),
    pub(crate) reconnects: u32,
    /// When it was looked for what holds the run.
    pub(crate) looked: Option<Instant>,
    /// When the throttle's signals were measured last.
    pub(crate) measured: Option<Instant>,
    /// When a lease without heartbeat was renewed between two batches.
    pub(crate) renewed: Option<Instant>,
    /// Copies whose empty tables are made, by statement.
    pub(crate) prepared: Vec<(usize, keep::Copy)>,
    /// What is kept of the data statement that runs in one go just now.
    pub(crate) whole: Option<Whole>,
    /// The limits that were sent last; nothing where a transaction has not been bounded yet.
    pub(crate) in_force: Option<Limits>,
    /// The databases that `source=` may name, and those that are open.
    pub(crate) sources: &'a Sources,
    pub(crate) opened: Opened,
    /// How many copies this run has begun, so that each has a name of its own.
    pub(crate) copies_made: u32,
    /// The database that the file has gone to by `USE`, and ours.
    pub(crate) elsewhere: Option<elsewhere::Elsewhere>,
    /// What is sent in place of the next statement, as `LOCK TABLES` asks for it.
    pub(crate) instead: Option<String>,
    /// Rows whose values were overwritten by an undo, of those that somebody agreed to lose.
    pub(crate) overwritten: u64,
}

/// What an applier works with.
pub(crate) struct Tools<'a> {
    pub(crate) backend: &'a dyn Backend,
    pub(crate) session: &'a mut Box<dyn Session>,
    pub(crate) ledger: Ledger,
    pub(crate) lease: &'a mut Lease,
    pub(crate) actor: &'a str,
    pub(crate) options: &'a ApplyOptions,
    pub(crate) events: &'a mut dyn Events,
    pub(crate) sources: &'a Sources,
}

impl<'a> Applier<'a> {
    /// One that has done nothing yet, of the run that has the lease; no other tool's history is
    /// kept true.
    pub(crate) fn new(tools: Tools<'a>) -> Applier<'a> {
        let Tools { backend, session, ledger, lease, actor, options, events, sources } = tools;
        let report = RunReport { run_id: lease.run_id.clone(), ..RunReport::default() };
        Applier {
            backend,
            session,
            ledger,
            lease,
            actor,
            mirror: None,
            options,
            events,
            report,
            position: (0, 0),
            reconnects: 0,
            looked: None,
            measured: None,
            renewed: None,
            prepared: Vec::new(),
            whole: None,
            in_force: None,
            sources,
            opened: Opened::new(),
            copies_made: 0,
            elsewhere: None,
            instead: None,
            overwritten: 0,
        }
    }
}

/// A migration that is finished, whose row is committed or about to be.
pub(crate) struct Done {
    duration_ms: u128,
    facts: Vec<FactLine>,
}

impl Applier<'_> {
    /// Applies the migrations in their order and stops at the first that fails.
    pub(crate) async fn up(
        &mut self,
        plan: &[PlannedMigration],
        state: &LedgerState,
        fresh: bool,
    ) -> Result<(), EngineError> {
        let mut grouped = match self.options.group {
            GroupMode::Never => false,
            GroupMode::Always => self.backend.capabilities().transactional_ddl,
            GroupMode::Auto => fresh && self.backend.capabilities().transactional_ddl,
        };
        if grouped && self.has_deferrable().await? {
            grouped = false;
        }
        let mut index = 0;
        while let Some(migration) = plan.get(index) {
            if !self.goes_on(migration).await? {
                return Ok(());
            }
            self.position = (index, plan.len());
            let run = if grouped { self.group_length(&plan[index..], state) } else { 0 };
            if run > 1 {
                index += self.group(&plan[index..index + run]).await?;
                continue;
            }
            self.started(migration, state, false);
            match self.one(migration, state, Direction::Up).await {
                Err(EngineError::Stopped) => {
                    self.report.interrupted = true;
                    return Ok(());
                }
                ended => ended?,
            }
            let defers = self.ledger.dialect == whimbrel_core::sql::dialect::Dialect::Postgres
                && migration.script.defers();
            grouped = grouped && !defers;
            index += 1;
        }
        Ok(())
    }

    /// Whether the run goes on with a migration: nobody asked for a stop, and whoever wanted to be
    /// asked says so. A run that is paused waits here.
    async fn goes_on(&mut self, next: &PlannedMigration) -> Result<bool, EngineError> {
        let gate = if self.report.finished.is_empty() {
            self.wait(Duration::ZERO).await
        } else {
            self.gate(&next.name, 0).await.map(|_| ())
        };
        let asked = match gate {
            Ok(()) if self.options.ask_between && !self.report.finished.is_empty() => {
                self.ask(&next.name).await
            }
            other => other,
        };
        match asked {
            Err(EngineError::Stopped) => {
                self.report.interrupted = self.report.paused_before.is_none();
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// Waits until somebody says whether to go on; the lease is kept meanwhile.
    async fn ask(&mut self, next: &str) -> Result<(), EngineError> {
        loop {
            match self.events.may_go_on(next) {
                Some(true) => return Ok(()),
                Some(false) => {
                    self.report.paused_before = Some(next.to_owned());
                    return Err(EngineError::Stopped);
                }
                None => {
                    self.gate(next, ASK_LOOK_MS).await?;
                }
            }
        }
    }

    /// Takes the migrations back in the order given.
    pub(crate) async fn down(
        &mut self,
        plan: &[PlannedMigration],
        state: &LedgerState,
    ) -> Result<(), EngineError> {
        for (index, migration) in plan.iter().enumerate() {
            if self.options.stop.is_set() {
                self.report.interrupted = true;
                return Ok(());
            }
            self.position = (index, plan.len());
            self.started(migration, state, true);
            match self.one(migration, state, Direction::Down).await {
                Err(EngineError::Stopped) => {
                    self.report.interrupted = true;
                    return Ok(());
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Runs one migration through lost connections until it is done or fails for good.
    async fn one(
        &mut self,
        migration: &PlannedMigration,
        state: &LedgerState,
        direction: Direction,
    ) -> Result<(), EngineError> {
        let mut partial = state.partial(&migration.name, direction).cloned();
        let began = Instant::now();
        loop {
            let error = match self.migration(migration, direction, partial.as_ref(), began).await {
                Ok(done) => {
                    self.finished(migration, direction, done);
                    return Ok(());
                }
                Err(error) => error,
            };
            let Some(reason) = lost_connection(&error) else { return Err(error) };
            // What happened is in the ledger, not in what we remember.
            let now = self.reconnect(&reason, error).await?;
            let undo = migration.undo.is_some();
            if !undo && now.is_applied(&migration.name) == (direction == Direction::Up) {
                let done = Done { duration_ms: began.elapsed().as_millis(), facts: Vec::new() };
                self.finished(migration, direction, done);
                return Ok(());
            }
            partial = now.partial(&migration.name, direction).cloned();
        }
    }

    fn started(&mut self, migration: &PlannedMigration, state: &LedgerState, down: bool) {
        let direction = if down { Direction::Down } else { Direction::Up };
        let steps_done =
            state.partial(&migration.name, direction).map_or(0, |partial| partial.done_count());
        let (index, total) = self.position;
        self.events.send(Event::MigrationStarted {
            name: migration.name.clone(),
            index: index + 1,
            total,
            steps_done,
            down,
        });
        for (statement, reason) in &migration.script.skipped {
            let line = migration.script.statements.get(*statement).map_or(1, |one| one.line);
            self.events.send(Event::StatementSkipped {
                migration: migration.name.clone(),
                line,
                reason: (*reason).to_owned(),
            });
        }
    }

    fn finished(&mut self, migration: &PlannedMigration, direction: Direction, done: Done) {
        for fact in done.facts.iter().filter(|fact| fact.fails()) {
            self.report.unverified.push((migration.name.clone(), fact.clone()));
        }
        self.report
            .finished
            .push(Finished { name: migration.name.clone(), duration_ms: done.duration_ms });
        self.events.send(Event::MigrationDone {
            name: migration.name.clone(),
            duration_ms: done.duration_ms,
            statements: migration.script.statements.len(),
            facts: done.facts,
            down: direction == Direction::Down,
        });
    }

    /// The rows that say that the migration is applied or taken back, ours and the other tool's.
    fn finishing_sql(
        &self,
        migration: &PlannedMigration,
        direction: Direction,
        began: Instant,
    ) -> Vec<String> {
        let event = match direction {
            Direction::Up => MigrationEvent::Up,
            Direction::Down => MigrationEvent::Down,
        };
        let mut out = vec![self.ledger.migration_sql(&MigrationEntry {
            name: &migration.name,
            version: &migration.version,
            kind: migration.kind.name(),
            event,
            text_checksum: &migration.text_checksum,
            token_checksum: &migration.token_checksum,
            up_text: Some(&migration.up_text),
            down_text: migration.down_text.as_deref(),
            run_id: &self.lease.run_id,
            actor: self.actor,
            duration_ms: began.elapsed().as_millis(),
            token: self.lease.token,
        })];
        if let Some(mirror) = self.mirror {
            out.push(match direction {
                Direction::Up => mirror.applied_sql(migration, self.ledger.dialect),
                Direction::Down => mirror.removed_sql(&migration.name, &migration.version),
            });
        }
        out
    }

    /// Makes a new connection after the old one was lost, and reads what the ledger says now.
    ///
    /// # Errors
    /// The error that the lost connection gave, when no new one can be made, or the lease is gone.
    async fn reconnect(
        &mut self,
        reason: &str,
        cause: EngineError,
    ) -> Result<LedgerState, EngineError> {
        loop {
            self.reconnects += 1;
            if self.reconnects > RECONNECTS_MAX {
                return Err(cause);
            }
            let delay = 250 * u64::from(self.reconnects);
            tokio::time::sleep(crate::jitter::between_ms(delay, delay * 2)).await;
            let Ok(session) = self.backend.connect().await else { continue };
            *self.session = session;
            // It may have been a source's connection that was lost.
            self.opened.clear();
            match self.lease.move_to(self.backend, self.session.as_mut()).await {
                Ok(()) => break,
                Err(error) if lost_connection(&error).is_some() => {}
                Err(error) => return Err(error),
            }
        }
        self.events.send(Event::Reconnected { reason: reason.to_owned() });
        self.ledger.read(self.session.as_mut()).await
    }
}

/// The message of a lost connection, if the error is one.
pub(crate) fn lost_connection(error: &EngineError) -> Option<String> {
    let database: &DbError = match error {
        EngineError::Database(error) => error,
        EngineError::Statement(failure) => &failure.error,
        _ => return None,
    };
    (database.kind == crate::backend::DbErrorKind::Connection).then(|| database.to_string())
}
