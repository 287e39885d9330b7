//! What Whimbrel does.
//!
//! Opens databases, takes the lease, carries out plans step by step, verifies what they made, and
//! writes it all into the ledger. It emits events and returns results; it never prints.

mod apply;
pub mod backend;
#[cfg(feature = "sqlite")]
mod backup;
mod data;
mod error;
pub mod event;
pub mod failpoint;
pub mod files;
mod interop;
mod jitter;
mod lease;
pub mod ledger;
mod owner;
mod project;
mod report;
mod tables;
mod threads;
mod verify;

pub use apply::{ApplyOptions, StopFlag};
#[cfg(feature = "sqlite")]
pub use backup::{
    Apart, BackupBefore, BackupLine, BackupOptions, BackupPlace, BackupReport, BackupStore,
    BackupWhat, LostRows, Meter, OpenWith, PrunePlan, RestoreOptions, STORE_VARIABLES, SealFor,
};
pub use data::compared::{EndsCompared, FoundRows};
pub use data::copy::{
    CopiedTable, CopyOptions, CopyPhase, CopyProgress, CopyReport, Differing, FoundLoss,
    PlannedColumn, PlannedCopy,
};
pub use error::{EngineError, Problem, StatementFailure, StoreFault, Undecided, UndoConflict};
pub use interop::Mirror;
pub use lease::{LEASE_MS, LeaseInfo};
pub use owner::Owner;
pub use project::{
    Account, AccountLine, Answer, BackupsLine, BatchLine, Broken, Check, CurrentRun, DataProgress,
    DownPlan, DownSelection, FakeOptions, FakeReport, Faked, HistoryLine, Judged, KeptDatabase,
    KeptSpace, LastBackup, Loss, MissingRows, PlanReport, PlannedBatches, PlannedLine,
    PlannedStatement, Project, ProjectOptions, PurgeItem, PurgePlan, QuarantineFilter,
    QuarantinedRow, Rehearsal, Retried, Rollback, RollbackHow, RollbackReport, RollbackStage,
    RollbackStep, RunLine, RunOptions, Selection, StatusLine, StatusReport, Target, UndoPlan,
    UndoStatement, ValidateOptions, ValidateReport, VerifyReport, Wish,
};
#[cfg(feature = "sqlite")]
pub use project::{InPlacePlan, InPlaceReport, TakeBack};
pub use report::{FactLine, Finished, Rehearsed, RehearsedRow, RehearsedValue, RunReport};
