//! Results that faces show.

use whimbrel_core::verify::Verdict;

/// One verified fact, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactLine {
    /// What it is about: `table chats`, `column chats.user_id`, ...
    pub subject: String,
    /// What must hold.
    pub claim: String,
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

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Its id; empty when there was nothing to do.
    pub run_id: String,
    /// What it finished, in order.
    pub finished: Vec<Finished>,
    /// Whether it stopped early because it was asked to.
    pub interrupted: bool,
    /// Facts of committed migrations that do not hold (non-transactional ones).
    pub unverified: Vec<(String, FactLine)>,
}
