//! The words before a directive's keys.

/// A word before the keys, which begins a section of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// What follows takes the migration back.
    Down,
    /// What follows are queries that must return no row.
    Verify,
    /// How the next statement of a data migration is cut into batches. It begins no section.
    Batch,
}

impl Verb {
    /// Whether a section of the file begins with it.
    pub fn begins_section(self) -> bool {
        self != Verb::Batch
    }
}

/// Every verb, as written, with its documentation.
pub const VERBS: &[(Verb, &str, &str)] = &[
    (
        Verb::Down,
        "down",
        "Begins the section that takes the migration back, up to the next section or the end.",
    ),
    (Verb::Verify, "verify", "Begins the section of checks: each statement must return no row."),
    (
        Verb::Batch,
        "batch",
        "Its keys are about the batches of the next statement alone, also before the first one.",
    ),
];
