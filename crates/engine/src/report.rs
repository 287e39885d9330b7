//! Results that faces show.

use whimbrel_core::verify::Verdict;

/// One verified fact, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactLine {
    /// What kind of fact: `table`, `column`, `foreign key`, ...
    pub kind: &'static str,
    /// What it is about: `chats`, `chats.user_id`, ...
    pub subject: String,
    /// The rest: a type, columns, a foreign key.
    pub detail: String,
    /// Whether it does.
    pub verdict: Verdict,
}

/// One migration that a run finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// File name.
    pub name: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u128,
}

/// What came of trying one statement of a data migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// The statement, from 1.
    pub statement: usize,
    /// Its line in the file, from 1.
    pub line: u32,
    /// `update`, `delete` or `insert`, where it runs in batches.
    pub kind: &'static str,
    /// The driving table, where it runs in batches.
    pub table: String,
    /// It ran once, in one piece.
    pub whole: bool,
    /// Driving rows that were tried.
    pub rows_read: u64,
    /// Rows changed, deleted or inserted.
    pub rows_written: u64,
    /// Driving rows that the database or a rule refused.
    pub rows_bad: u64,
    /// Some of them, with the reason.
    pub bad: Vec<String>,
    /// Why it would not run, and what lifts that.
    pub refused: Option<(String, Option<String>)>,
    /// What the database said where it failed as a whole.
    pub error: Option<String>,
    /// The rows of a sample that changed.
    pub rows: Vec<RehearsedRow>,
}

impl Rehearsed {
    /// Whether something must be looked at before it runs.
    pub fn has_findings(&self) -> bool {
        self.rows_bad > 0 || self.refused.is_some() || self.error.is_some()
    }
}

/// A row that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RehearsedRow {
    /// Its key, as `id = 17`; of an inserted row, the key of the row that it comes from.
    pub key: String,
    /// The columns that changed; of deleted and inserted rows all.
    pub values: Vec<RehearsedValue>,
}

/// A value before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RehearsedValue {
    /// The column.
    pub column: String,
    /// What it was; `None` for NULL, and for rows that were not there.
    pub before: Option<String>,
    /// What it became.
    pub after: Option<String>,
}

impl FactLine {
    /// Whether it certainly does not hold.
    pub fn fails(&self) -> bool {
        matches!(self.verdict, Verdict::Fails { .. })
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Its id; empty when there was nothing to do.
    pub run_id: String,
    /// The backup that was made before it.
    pub backup: Option<String>,
    /// What it finished, in order.
    pub finished: Vec<Finished>,
    /// Whether it stopped early because it was asked to.
    pub interrupted: bool,
    /// Who cancelled it, if somebody did so by `run cancel`.
    pub cancelled_by: Option<String>,
    /// The migration before which it stopped because nobody answered whether to go on.
    pub paused_before: Option<String>,
    /// Facts of committed migrations that do not hold (non-transactional ones).
    pub unverified: Vec<(String, FactLine)>,
}

impl RunReport {
    /// Adds what another part of the same run did.
    pub(crate) fn add(&mut self, part: RunReport) {
        self.finished.extend(part.finished);
        self.unverified.extend(part.unverified);
        self.interrupted |= part.interrupted;
        self.cancelled_by = self.cancelled_by.take().or(part.cancelled_by);
        self.paused_before = self.paused_before.take().or(part.paused_before);
    }
}
