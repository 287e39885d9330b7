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
