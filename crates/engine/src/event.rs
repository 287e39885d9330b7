//! What happens during a run, told to whoever shows it. The engine itself never prints.

use whimbrel_core::rules::Violation;

use crate::backend::Notice;
use crate::data::compared::EndsCompared;
use crate::data::copy::CopyProgress;
use crate::lease::LeaseInfo;
use crate::project::{Answer, PurgeItem, RollbackStage};
use crate::report::FactLine;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Another run holds the lease; we wait.
    LeaseWaiting {
        /// Who, if the database lets us see it.
        holder: Option<Box<LeaseInfo>>,
    },
    /// The other tool's history table and the ledger were brought together.
    Reconciled {
        /// Name of the other tool.
        tool: &'static str,
        /// Migrations that it alone had applied.
        taken_over: Vec<String>,
        /// Migrations that we alone had applied, written into its table.
        written: Vec<String>,
    },
    /// A step of which nobody knew whether it had happened was looked into.
    Recovered {
        /// File name of the migration.
        migration: String,
        /// The statement, from 1.
        statement: usize,
        /// Whether it had happened.
        happened: bool,
        /// What showed it.
        evidence: String,
    },
    /// A migration begins.
    MigrationStarted {
        /// File name.
        name: String,
        /// Position among those of this run, from 1.
        index: usize,
        /// How many there are.
        total: usize,
        /// Steps of it that an earlier run has done already.
        steps_done: usize,
        /// Whether it is taken back.
        down: bool,
    },
    /// A statement that is not sent, with the reason.
    StatementSkipped {
        /// File name of the migration.
        migration: String,
        /// Line, from 1.
        line: u32,
        /// Why.
        reason: String,
    },
    /// What a statement removes was copied first.
    Kept {
        /// File name of the migration.
        migration: String,
        /// `table users`, `column users.nickname`, ...
        what: String,
        /// Rows in the copy.
        rows: i64,
        /// Name of the copy.
        kept_as: String,
    },
    /// What an earlier run had kept is back.
    Restored {
        /// File name of the migration.
        migration: String,
        /// `table users`, `column users.nickname`, ...
        what: String,
        /// Rows that came back.
        rows: i64,
    },
    /// A step is being done.
    StepStarted {
        /// File name of the migration.
        migration: String,
        /// The step, from 1.
        step: usize,
        /// Of how many.
        steps: usize,
        /// Its first statement's leading words.
        what: String,
    },
    /// The database said something along with a statement.
    Notice {
        /// File name of the migration.
        migration: String,
        /// Line of the statement, from 1.
        line: u32,
        /// What it said.
        notice: Notice,
    },
    /// A lock was not granted in time, or the server ended a deadlock; the step is tried again.
    Retrying {
        /// File name of the migration.
        migration: String,
        /// The next try, from 2.
        attempt: u32,
        /// In how many milliseconds.
        delay_ms: u128,
        /// Why.
        reason: String,
        /// Who holds the lock.
        blockers: Vec<String>,
    },
    /// Something holds the run between two batches; told when it begins and at each further look.
    Held {
        /// File name of the migration.
        migration: String,
        /// `paused`, or the name of the throttle's signal.
        signal: &'static str,
        /// What it is now.
        value: String,
        /// What ends it.
        threshold: String,
        /// For how long already, in milliseconds.
        held_ms: u128,
    },
    /// It does so no more.
    Released {
        /// File name of the migration.
        migration: String,
        /// What held it.
        signal: &'static str,
        /// For how long, in milliseconds.
        held_ms: u128,
    },
    /// A statement of a data migration runs in one go, with the reason.
    RunsWhole {
        /// File name of the migration.
        migration: String,
        /// Line, from 1.
        line: u32,
        /// Why.
        reason: String,
    },
    /// Batches of a data migration begin, or one more is committed.
    Batch(Box<BatchProgress>),
    /// A row was set aside.
    Quarantined {
        /// File name of the migration.
        migration: String,
        /// The driving table.
        table: String,
        /// Its key, in words.
        key: String,
        /// What the database or the rule said.
        reason: String,
    },
    /// The connection was lost and made again.
    Reconnected {
        /// What the connection had said.
        reason: String,
    },
    /// A migration is in the database, or out of it again.
    MigrationDone {
        /// File name.
        name: String,
        /// How long it took, in milliseconds.
        duration_ms: u128,
        /// How many statements it sent.
        statements: usize,
        /// What was verified.
        facts: Vec<FactLine>,
        /// Whether it was taken back.
        down: bool,
    },
    /// A group of migrations was rolled back and is run again one by one.
    GroupAgain {
        /// How many.
        migrations: usize,
        /// Why.
        reason: String,
    },
    /// The database was saved before a run.
    BackedUp {
        /// Id of the backup.
        id: String,
        /// Bytes of its files.
        bytes: u64,
        /// Until when it is kept, in milliseconds since 1970.
        expires_ms: i64,
        /// Why it was not restored and compared, if it was not.
        unproven: Option<String>,
    },
    /// Both ends of a statement with `source=` were read again after its last batch.
    Compared {
        /// File name of the migration.
        migration: String,
        /// The statement, from 1.
        statement: usize,
        /// The driving table.
        table: String,
        /// What differs by now.
        found: Box<EndsCompared>,
    },
    /// Rows are being judged.
    Judging {
        /// The table, or the file of the check.
        what: String,
        /// Rows so far.
        rows: u64,
    },
    /// A table is being filled with rows for testing.
    Faking {
        /// The table.
        table: String,
        /// Rows so far.
        rows: u64,
        /// How many are wanted.
        wanted: u64,
    },
    /// What a rollback takes back next.
    RollingBack(Box<RollbackStage>),
    /// An undo table is gone.
    Purged(Box<PurgeItem>),
    /// A row breaks a rule.
    Violated(Box<Violation>),
    /// A table on its way to another database.
    Copying(Box<CopyProgress>),
}

/// How far a statement that runs in batches is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchProgress {
    /// File name of the migration.
    pub migration: String,
    /// The statement, from 1.
    pub statement: usize,
    /// The driving table.
    pub table: String,
    /// Whether it begins or goes on now, before its next batch.
    pub begins: bool,
    /// Whether it is done.
    pub done: bool,
    /// Batches that are committed.
    pub batches: u64,
    /// Driving rows that are done.
    pub rows_read: u64,
    /// Rows changed, deleted or inserted.
    pub rows_written: u64,
    /// Driving rows set aside.
    pub rows_quarantined: u64,
    /// Driving rows that produced nothing so far and were not declared to.
    pub rows_missing: u64,
    /// About how many driving rows there are.
    pub rows_estimated: u64,
    /// Driving rows of the next batch.
    pub batch_size: u64,
}

/// Who listens.
pub trait Events: Send {
    /// Takes one event.
    fn send(&mut self, event: Event);

    /// Whether the run may go on with migration `next`, where somebody wanted to be asked. Asked
    /// again and again until there is an answer.
    fn may_go_on(&mut self, _next: &str) -> Option<bool> {
        Some(true)
    }

    /// Whether this stage of a rollback may be taken back. Asked again and again until there is an
    /// answer.
    fn agrees(&mut self, _stage: &RollbackStage) -> Option<Answer> {
        Some(Answer::Missing)
    }
}

/// Sends what a worker has to say to who listens.
pub(crate) struct Sender(pub(crate) std::sync::mpsc::Sender<Event>);

impl Events for Sender {
    fn send(&mut self, event: Event) {
        // Who listens is there until the last worker has ended.
        let _ = self.0.send(event);
    }
}

/// Nobody listens.
pub struct Silent;

impl Events for Silent {
    fn send(&mut self, _event: Event) {}
}
