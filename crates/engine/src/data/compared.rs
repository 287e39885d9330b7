//! What a second reading of both ends of a statement with `source=` has found.

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::key::Key;

/// Keys of one kind of difference that are named; all are counted.
const SHOWN_MAX: usize = 20;
/// Characters of a key that are shown.
const KEY_CHARS_MAX: usize = 200;

/// Driving rows of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRows {
    /// How many.
    pub rows: u64,
    /// The keys of the first of them, as `id = 17`.
    pub keys: Vec<String>,
}

impl FoundRows {
    pub(super) fn add(&mut self, job: &Job, key: Vec<String>) {
        self.rows += 1;
        if self.keys.len() < SHOWN_MAX {
            let shown = job.keys.shown(&Key::of_texts(key));
            self.keys.push(shown.chars().take(KEY_CHARS_MAX).collect());
        }
    }
}

/// What a second reading of both ends of a statement with `source=` has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndsCompared {
    /// The environment of the source.
    pub source: String,
    /// Batches that were compared.
    pub batches: u64,
    /// Rows that the query gave when they were read.
    pub rows: u64,
    /// Driving rows of which something else comes now.
    pub changed: FoundRows,
    /// Driving rows of which something comes now, and nothing did then.
    pub added: FoundRows,
    /// Driving rows of which nothing comes any more.
    pub gone: FoundRows,
    /// Rows that were looked for at the target.
    pub target_rows: u64,
    /// Driving rows whose row at the target is not what was read.
    pub target_changed: FoundRows,
    /// Driving rows whose row is not at the target.
    pub target_gone: FoundRows,
    /// Why the source was not compared, if it was not.
    pub not_source: Option<String>,
    /// Why the target was not compared, if it was not.
    pub not_target: Option<String>,
}

impl EndsCompared {
    /// Before anything was compared; says what cannot be.
    pub(super) fn of(job: &Job) -> EndsCompared {
        let source = job.source.as_ref();
        let differs = source.and_then(|source| source.read.differs.as_ref());
        let not_target = "no key of the target by which each row is found again is among the \
                          columns that are written, or the statement may change rows that exist";
        EndsCompared {
            source: source.map(|source| source.name.clone()).unwrap_or_default(),
            not_source: differs.map(|name| format!("`{name}` gives another value each time")),
            not_target: (!job.finds_written_rows()).then(|| not_target.to_owned()),
            ..EndsCompared::default()
        }
    }

    /// Whether both ends are what was read, as far as they were compared.
    pub fn is_same(&self) -> bool {
        let all = [&self.changed, &self.added, &self.gone, &self.target_changed, &self.target_gone];
        all.iter().all(|found| found.rows == 0)
    }
}

/// How far the comparison of a statement is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    /// The `batches.seq` of the last batch that was compared.
    pub(super) checked: i64,
    pub(super) found: EndsCompared,
}
