//! What can go wrong, as facts. The faces add exit codes and advice.

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_core::backup::Damage;
use whimbrel_core::transfer::Refusal;

use crate::backend::{DbError, ForeignKeyViolation};
use crate::data::copy::FoundLoss;
use crate::lease::LeaseInfo;
use crate::report::FactLine;

/// A statement that the database refused, with everything needed to show it.
#[derive(Clone, Debug)]
pub struct StatementFailure {
    /// File name of the migration.
    pub migration: String,
    /// Path of the file, relative to the project; empty when the text came from the ledger.
    pub path: String,
    /// Statement, from 1.
    pub statement: usize,
    /// Of how many.
    pub statements: usize,
    /// Line of the error, or of the statement when the database gives no place, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The statement's text.
    pub text: String,
    /// Line of the statement's first character, from 1.
    pub first_line: u32,
    /// Byte offset in `text` that the database points at.
    pub offset: Option<usize>,
    /// What the database said.
    pub error: DbError,
    /// Who holds the lock that it waited for.
    pub blockers: Vec<String>,
    /// Steps of this migration that stay (0 when all of it was rolled back).
    pub steps_kept: usize,
    /// Migrations that this run finished before.
    pub finished: Vec<String>,
}

/// A step of which neither the ledger nor the catalog can tell whether it happened.
#[derive(Clone, Debug)]
pub struct Undecided {
    /// File name of the migration.
    pub migration: String,
    /// Whether it was being taken back.
    pub down: bool,
    /// Statement, from 1.
    pub statement: usize,
    /// Line in the file, from 1.
    pub line: u32,
    /// The statement's text.
    pub text: String,
    /// What is known.
    pub evidence: String,
}

/// A problem of the project's files that keeps a run from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the file, relative to the project.
    pub path: String,
    /// Line and column, from 1, where there is a place.
    pub place: Option<(u32, u32)>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A value that is not what the migration wrote any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoConflict {
    /// The table.
    pub table: String,
    /// The row, as `id = 17`.
    pub key: String,
    /// The column.
    pub column: String,
    /// What it was before the migration.
    pub old: Option<String>,
    /// What the migration wrote.
    pub new: Option<String>,
    /// What it is now.
    pub now: Option<String>,
    /// The table whose rows refer to the row and came later; the column is empty then.
    pub referrer: Option<String>,
}

/// What is wrong with an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// It cannot be reached, or does not answer in time.
    Network,
    /// The keys are not there, are wrong, or are not allowed what was asked.
    Keys,
    /// The bucket is not there.
    Bucket,
    /// Something else.
    Other,
}

/// Anything that ends a verb of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database could not be reached.
    #[error("Cannot connect to {label}: {error}")]
    Connect {
        /// The address without secrets.
        label: String,
        /// What happened.
        error: Box<DbError>,
    },
    /// A statement of our own failed.
    #[error("The database refused an operation of Whimbrel's own: {0}")]
    Database(Box<DbError>),
    /// A statement of the author's failed.
    #[error("Statement {} of `{}` failed", .0.statement, .0.migration)]
    Statement(Box<StatementFailure>),
    /// A migration ran, and what it should have made is not there.
    #[error("`{migration}` does not hold what it promises")]
    VerifyFailed {
        /// File name of the migration.
        migration: String,
        /// Facts that do not hold.
        facts: Vec<FactLine>,
        /// Whether it was rolled back.
        rolled_back: bool,
        /// Migrations that this run finished before.
        finished: Vec<String>,
    },
    /// A migration leaves rows whose parents do not exist.
    #[error("`{migration}` leaves rows without their parent")]
    ForeignKeys {
        /// File name of the migration.
        migration: String,
        /// Which.
        violations: Vec<ForeignKeyViolation>,
        /// Migrations that this run finished before.
        finished: Vec<String>,
    },
    /// Another run holds the lease.
    #[error("Another run holds the lease")]
    LeaseHeld {
        /// Who, if the database lets us see it.
        info: Option<Box<LeaseInfo>>,
        /// How long we waited.
        waited: Duration,
    },
    /// The lease was taken by another run, because this one did not renew it in time.
    #[error("The lease was lost to another run; nothing was committed after that")]
    LeaseLost,
    /// The ledger is of a later version.
    #[error("The ledger has format {found}, and this version of Whimbrel knows {known}")]
    LedgerTooNew {
        /// Format found.
        found: i64,
        /// Newest known.
        known: i64,
        /// Version of Whimbrel that wrote it.
        tool_version: String,
    },
    /// The ledger holds what no version writes.
    #[error("The ledger is damaged: {0}")]
    LedgerDamaged(String),
    /// The database has tables but no history.
    #[error("The database has {} and no history of migrations", tables_text(.tables))]
    NoHistory {
        /// Names of its tables.
        tables: Vec<String>,
    },
    /// The ledger belongs to another environment.
    #[error("This database belongs to environment `{found}`, not `{asked}`")]
    WrongEnvironment {
        /// Environment of the ledger.
        found: String,
        /// Environment of this command.
        asked: String,
    },
    /// The files cannot be used as they are.
    #[error("{}", problems_text(.0))]
    Files(Vec<Problem>),
    /// Tables that `copy` cannot bring over as they are.
    #[error("The copy cannot start: {} of the tables do not fit", .0.len())]
    CopyRefused(Vec<Refusal>),
    /// Values that the target of a copy cannot hold as they are.
    #[error("The target cannot hold all values as they are")]
    CopyValues(Vec<FoundLoss>),
    /// The target of a copy did not take a table's rows.
    #[error("The target refused rows of `{table}`: {error}")]
    CopyRefusedRows {
        /// The table at the source.
        table: String,
        /// What the database said.
        error: Box<DbError>,
    },
    /// Files of applied migrations are not what ran.
    #[error("{}", problems_text(.0))]
    Changed(Vec<Problem>),
    /// Nobody but a person can say whether a statement happened.
    #[error("Nobody knows whether statement {} of `{}` happened", .0.statement, .0.migration)]
    NeedsDecision(Box<Undecided>),
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// What was asked cannot be done.
    #[error("{0}")]
    Refused(String),
    /// Somebody asked for a stop between two batches. What is done stays.
    #[error("Stopped as asked")]
    Stopped,
    /// Too many rows were refused.
    #[error("`{migration}` stopped: {rows} rows are in quarantine, more than {max}")]
    TooManyErrors {
        /// File name of the migration.
        migration: String,
        /// Rows set aside so far, with those of the batch that is rolled back.
        rows: u64,
        /// How many are allowed.
        max: u64,
        /// What was said of the last one.
        last: String,
    },
    /// So much failed that going on would only do harm.
    #[error("`{migration}` stopped: {failed} of {all} {what} failed")]
    BreakerOpen {
        /// File name of the migration.
        migration: String,
        /// How many failed.
        failed: u64,
        /// Of how many.
        all: u64,
        /// What is counted: `rows` or `tries of batches`.
        what: &'static str,
        /// What was said of the last one.
        last: String,
    },
    /// Somebody changed what an undo would take back.
    #[error("{count} rows were changed since `{migration}` ran")]
    UndoConflicts {
        /// File name of the migration.
        migration: String,
        /// How many rows.
        count: u64,
        /// Some of the values.
        shown: Vec<UndoConflict>,
    },
    /// A destructive act without its phrase.
    #[error("The phrase `{phrase}` is needed to go on")]
    NotConfirmed {
        /// What must be typed.
        phrase: String,
    },
    /// More would be lost by now than somebody agreed to.
    #[error("`{migration}`: {found} rows would be lost by now, and {agreed} were agreed to")]
    MoreLost {
        /// File name of the migration.
        migration: String,
        /// How many rows somebody agreed to lose.
        agreed: u64,
        /// How many it would be.
        found: u64,
    },
    /// Nobody could say whether to go on.
    #[error("Nobody says whether to go on with {what}")]
    NotAnswered {
        /// What is next.
        what: String,
    },
    /// A backup is not as it was when it was made.
    #[error("The backup `{id}` cannot be trusted")]
    BackupDamaged {
        /// Its id.
        id: String,
        /// All that is wrong with it.
        damage: Vec<Damage>,
    },
    /// No key that was given opens a backup.
    #[error("{}", key_text(.id, .given))]
    BackupKey {
        /// Its id.
        id: String,
        /// Whether a key was given at all.
        given: bool,
    },
    /// Nobody knows which key signs this project's backups.
    #[error("There is no public key to check the signature of backups with ({})", path.display())]
    BackupSigner {
        /// Where it should lie.
        path: PathBuf,
    },
    /// A backup without a key for whom it is sealed.
    #[error("No key is given for whom the backup is to be sealed")]
    BackupUnsealed,
    /// The backup before `up` has no key for whom it is to be sealed.
    #[error("A backup is to be made before `up`, and there is no key for whom it is sealed")]
    BackupBeforeUp,
    /// A backup that is not kept any more.
    #[error("The backup `{id}` has expired")]
    BackupExpired {
        /// Its id.
        id: String,
    },
    /// A backup is of another database than the one whose place it is to take.
    #[error("The backup `{id}` is not one of this database")]
    OtherDatabase {
        /// Its id.
        id: String,
        /// UUID of the database that was saved, if it had a ledger.
        backup: Option<String>,
        /// UUID of the database that is there, if it has a ledger.
        database: Option<String>,
    },
    /// A program of the database that is needed is not there.
    #[error("{}", missing_text(.program, .found.as_deref()))]
    ProgramMissing {
        /// Its name, and which version it must have.
        program: String,
        /// The newest version that is there.
        found: Option<String>,
        /// Debian's package that has it.
        package: String,
    },
    /// A program of the database failed.
    #[error("`{program}` failed: {how}")]
    Program {
        /// Its name.
        program: String,
        /// How it ended.
        how: String,
        /// What it said; may be empty.
        said: String,
    },
    /// A database in which a restore was interrupted.
    #[error("{label} holds what an interrupted restore of `{id}` has left")]
    RestoreInterrupted {
        /// The database.
        label: String,
        /// The backup that was being restored.
        id: String,
    },
    /// What a backup would not hold, and nobody said that it may be left out.
    #[error("The backup would not hold everything: {}", .what.join(", "))]
    BackupLeavesOut {
        /// Names, as they can be left out.
        what: Vec<String>,
    },
    /// An object store refused something, or could not be reached.
    #[error("{store}: {reason}")]
    Store {
        /// Its address, without secrets.
        store: String,
        /// What kind of error it is.
        fault: StoreFault,
        /// What it said, or why it could not be reached.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl EngineError {
    /// What the database said, if it is the database's word.
    pub fn database(&self) -> Option<&DbError> {
        match self {
            EngineError::Statement(failure) => Some(&failure.error),
            EngineError::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DbError> for EngineError {
    fn from(error: DbError) -> EngineError {
        if error.ahead && error.message.contains(crate::lease::LOST) {
            return EngineError::LeaseLost;
        }
        EngineError::Database(Box::new(error))
    }
}

fn missing_text(program: &str, found: Option<&str>) -> String {
    match found {
        Some(found) => format!("{program} is needed; the newest that was found is {found}"),
        None => format!("{program} is needed and was not found"),
    }
}

fn key_text(id: &str, given: &bool) -> String {
    match given {
        true => format!("None of the keys opens the backup `{id}`"),
        false => format!("The backup `{id}` is sealed, and no key is given"),
    }
}

fn tables_text(tables: &[String]) -> String {
    match tables {
        [one] => format!("a table (`{one}`)"),
        [first, ..] => format!("{} tables (`{first}`, ...)", tables.len()),
        [] => "no tables".to_owned(),
    }
}

fn problems_text(problems: &[Problem]) -> String {
    match problems {
        [one] => one.message.clone(),
        many => format!("{} problems in the project's files", many.len()),
    }
}
