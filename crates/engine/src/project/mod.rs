//! A project: its files and its database, with one method for each verb of the user.

mod account;
mod account_ends;
mod alone;
#[cfg(feature = "sqlite")]
mod backup;
#[cfg(feature = "sqlite")]
mod backups;
mod baseline;
#[cfg(feature = "sqlite")]
mod before_up;
mod control;
mod copy;
mod doctor;
mod down;
mod fake;
mod history;
#[cfg(feature = "sqlite")]
mod in_place;
mod load;
mod new;
mod order;
mod parents;
mod plan;
mod plan_data;
mod pooled;
#[cfg(feature = "sqlite")]
mod prune;
mod purge;
mod quarantine;
mod rehearse;
#[cfg(feature = "sqlite")]
mod replaced;
mod requires;
mod rollback;
mod run_rows;
mod sources;
mod status;
mod undo;
mod up;
mod validate;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_core::database_url::DatabaseUrl;
use whimbrel_core::directive::BatchSize;
use whimbrel_core::format::Layout;
use whimbrel_core::history::HistoryTable;
use whimbrel_core::plan::GroupMode;
use whimbrel_core::retry::Retries;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::throttle::Throttle;

pub use self::account::{Account, AccountLine, MissingRows};
pub use self::control::{BatchLine, CurrentRun, Wish};
pub use self::doctor::Check;
pub use self::down::{DownPlan, DownSelection, Loss};
pub use self::fake::{FakeOptions, FakeReport, Faked};
pub use self::history::{HistoryLine, RunLine};
#[cfg(feature = "sqlite")]
pub use self::in_place::{InPlacePlan, InPlaceReport, TakeBack};
pub use self::plan::{PlanReport, PlannedLine, PlannedStatement};
pub use self::plan_data::PlannedBatches;
pub use self::purge::{KeptSpace, PurgeItem, PurgePlan};
pub use self::quarantine::{QuarantineFilter, QuarantinedRow, Retried};
pub use self::rehearse::Rehearsal;
pub use self::rollback::{
    Answer, Rollback, RollbackHow, RollbackReport, RollbackStage, RollbackStep,
};
pub use self::status::{
    BackupsLine, DataProgress, KeptDatabase, LastBackup, StatusLine, StatusReport,
};
pub use self::undo::{UndoPlan, UndoStatement};
pub use self::validate::{Broken, Judged, ValidateOptions, ValidateReport};
pub use self::verify::VerifyReport;
use crate::apply::StopFlag;
use crate::backend::{self, Backend, Session};
use crate::data::sources::Sources;
use crate::error::EngineError;
use crate::interop::Mirror;
use crate::ledger::Ledger;
use crate::owner::Owner;

/// The database of a project.
#[derive(Clone, Debug)]
pub enum Target {
    /// By its address.
    Url(DatabaseUrl),
    /// wrangler's local copy of a D1 database.
    LocalD1(PathBuf),
}

/// Everything a project needs to know; the faces find it out from flags, environment and files.
#[derive(Clone, Debug)]
pub struct ProjectOptions {
    /// The project's folder.
    pub root: PathBuf,
    /// Where its files lie.
    pub layout: Layout,
    /// Its database.
    pub target: Target,
    /// Name of the environment; empty without one.
    pub environment: String,
    /// Destructive acts need more than a yes.
    pub protected: bool,
    /// SQLite enforces foreign keys.
    pub foreign_keys: bool,
    /// Another tool's history table that is kept true.
    pub history: Option<HistoryTable>,
    /// Name of the account, for the ledger.
    pub user: String,
    /// Up to how many bytes a removed table or column is kept without being asked.
    pub keep_bytes_max: u64,
    /// How long a statement waits for a lock before its step is tried again, in milliseconds.
    pub lock_timeout_ms: u64,
    /// How long a statement may run, in milliseconds; 0 is no limit.
    pub statement_timeout_ms: u64,
    /// The folder of the rules for rows, relative to the project; `None` for `rules`, which may be
    /// missing.
    pub rules: Option<PathBuf>,
    /// The same of checks: `checks`.
    pub checks: Option<PathBuf>,
    /// How many driving rows a batch has where no directive says it.
    pub batch_size: BatchSize,
    /// How often a batch is tried again.
    pub retries: Retries,
    /// What holds a data migration between two batches.
    pub throttle: Throttle,
    /// The folder of backups.
    pub backups: PathBuf,
    /// The object store in which they lie, in place of the folder.
    #[cfg(feature = "sqlite")]
    pub backup_store: Option<crate::BackupStore>,
}

/// How a run goes about it.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How long to wait for another run.
    pub wait: Duration,
    /// Whether migrations share transactions.
    pub group: GroupMode,
    /// Asked to stop.
    pub stop: StopFlag,
    /// Somebody is asked before each further migration ([`crate::event::Events::may_go_on`]).
    pub ask_between: bool,
    /// The database is saved before anything is applied.
    #[cfg(feature = "sqlite")]
    pub backup: Option<Box<crate::backup::BackupBefore>>,
}

/// Which of the pending migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Up to and with this version, or back to it.
    pub to: Option<String>,
    /// At most so many.
    pub steps: Option<usize>,
    /// Migrations that come before an applied one are run even if both touch the same objects.
    pub out_of_order: bool,
}

/// A project with its database's address. Nothing is opened before a verb asks for it.
pub struct Project {
    options: ProjectOptions,
    backend: Box<dyn Backend>,
    ledger: Ledger,
    mirror: Option<Mirror>,
    owner: Owner,
    /// What `source=` may name.
    sources: Sources,
}

impl Project {
    /// A project.
    ///
    /// # Errors
    /// When the kind of database is not built in, or its address cannot be used.
    pub fn new(options: ProjectOptions) -> Result<Project, EngineError> {
        let backend = backend::open(&options)?;
        let dialect = backend.capabilities().dialect;
        let mirror = options.history.clone().map(Mirror::new);
        let owner = Owner::this_process(&options.user);
        let (ledger, sources) = (Ledger { dialect }, Sources::new());
        Ok(Project { options, backend, ledger, mirror, owner, sources })
    }

    /// What the project was made with.
    pub fn options(&self) -> &ProjectOptions {
        &self.options
    }

    /// The database's address without any secret.
    pub fn label(&self) -> String {
        self.backend.label()
    }

    /// The database's SQL.
    pub fn dialect(&self) -> Dialect {
        self.ledger.dialect
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Session>, EngineError> {
        self.backend.connect().await.map_err(|error| EngineError::Connect {
            label: self.backend.label(),
            error: Box::new(error),
        })
    }

    /// Opens a connection for looking only; `None` when there is no database yet.
    pub(crate) async fn connect_to_read(&self) -> Result<Option<Box<dyn Session>>, EngineError> {
        if self.backend.is_missing() {
            return Ok(None);
        }
        self.connect().await.map(Some)
    }
}
