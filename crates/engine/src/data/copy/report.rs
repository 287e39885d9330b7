//! What `copy` plans, tells and reports.

use whimbrel_core::transfer::{Grade, Loss};

/// What is being done to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPhase {
    /// Its values are looked through.
    Scan,
    /// Its rows are copied.
    Copy,
    /// Its rows are compared.
    Verify,
}

impl CopyPhase {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            CopyPhase::Scan => "scan",
            CopyPhase::Copy => "copy",
            CopyPhase::Verify => "verify",
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is being done.
    pub phase: CopyPhase,
    /// The table at the source.
    pub table: String,
    /// Rows read so far, those of earlier runs too.
    pub rows: u64,
    /// Rows that are committed at the target.
    pub written: u64,
    /// Rows at the source when the copy began.
    pub rows_total: u64,
    /// This table is done.
    pub done: bool,
}

/// A value that the target cannot hold as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLoss {
    /// The table at the source.
    pub table: String,
    /// The column at the source.
    pub column: String,
    /// Why.
    pub loss: Loss,
    /// How many such values there are; 1 where the search ended with the first.
    pub count: u64,
    /// Keys of the first rows, as `id = 17`; empty where the table has no key.
    pub keys: Vec<String>,
}

/// A column that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedColumn {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// What can be lost.
    pub grade: Grade,
    /// How values go.
    pub how: &'static str,
}

/// A table that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCopy {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// Rows at the source.
    pub rows: u64,
    /// Its columns.
    pub columns: Vec<PlannedColumn>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// A table after the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name at the source.
    pub table: String,
    /// Rows read, those of earlier runs too.
    pub rows_read: u64,
    /// Rows that the target took.
    pub rows_written: u64,
    /// Transactions.
    pub batches: u64,
    /// It had been copied by an earlier run.
    pub was_done: bool,
}

/// What differs between the two ends of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// The table at the source.
    pub table: String,
    /// Rows at the source.
    pub source_rows: u64,
    /// Rows at the target.
    pub target_rows: u64,
    /// Digest of all rows at the source.
    pub source_digest: String,
    /// Digest of all rows at the target.
    pub target_digest: String,
    /// Rows that are only at the source, by their keys; the first of them.
    pub missing: Vec<String>,
    /// Rows that are only at the target.
    pub extra: Vec<String>,
    /// Rows whose values differ.
    pub changed: Vec<String>,
    /// How many rows differ in one of these ways.
    pub count: u64,
}

/// What `copy` did, or would do.
#[derive(Clone, Debug, Default)]
pub struct CopyReport {
    /// The source's address without secrets.
    pub source: String,
    /// The target's.
    pub target: String,
    /// What belongs together, in the order of filling.
    pub planned: Vec<PlannedCopy>,
    /// Values that do not fit; nothing was copied if there are some.
    pub losses: Vec<FoundLoss>,
    /// The tables that were copied.
    pub tables: Vec<CopiedTable>,
    /// What the comparison of both ends found; one for each table, with or without differences.
    pub compared: Vec<Differing>,
    /// It was asked to stop; the same command goes on.
    pub interrupted: bool,
}
