//! What must exist after the migrations that were applied, and whether it does.
//!
//! [`Expected`] folds the changes of all applied migrations, in order, into facts; checking them
//! against a live [`Snapshot`] gives a verdict for each. A wrong "fails" would roll back somebody's
//! migration, so every fact carries its doubt: where the text alone does not settle it
//! (`IF NOT EXISTS`, a `DO` block that came later, an engine that ignores the clause), a mismatch
//! is [`Verdict::NotChecked`] with the reason.

mod check;
mod check_keys;
mod expected;
mod fold;
mod fold_columns;
mod fold_objects;
mod fold_tables;
mod outlives;
mod parts;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

pub use expected::Expected;

use crate::snapshot::Snapshot;

/// One thing that must be so, and whether it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about: `users`, `users.email`.
    pub subject: String,
    /// What must be so.
    pub kind: FactKind,
    /// The rest of the statement: a type, columns, a foreign key.
    pub detail: String,
    /// Whether it is so.
    pub verdict: Verdict,
}

/// The kinds of fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactKind {
    /// The table exists.
    Table,
    /// The column exists, with its type where it is known.
    Column,
    /// The column may not be NULL.
    NotNull,
    /// The column may be NULL.
    Nullable,
    /// The column has a default.
    HasDefault,
    /// The column has no default.
    NoDefault,
    /// The primary key's columns.
    PrimaryKey,
    /// These columns together are unique.
    Unique,
    /// The index exists, is valid and is over these columns.
    Index,
    /// The foreign key exists with its actions.
    ForeignKey,
    /// The check exists.
    Check,
    /// The view exists.
    View,
    /// The trigger exists on its table.
    Trigger,
    /// The function or procedure exists.
    Routine,
    /// The type or domain exists.
    Type,
    /// The sequence exists.
    Sequence,
    /// The schema exists.
    Schema,
    /// The extension is installed.
    Extension,
    /// The object is gone.
    Absent,
    /// A statement whose effect its text does not say.
    NotDerived,
}

impl FactKind {
    /// The lower-case words used in messages and JSON.
    pub fn words(self) -> &'static str {
        match self {
            FactKind::Table => "table",
            FactKind::Column => "column",
            FactKind::NotNull => "not null",
            FactKind::Nullable => "nullable",
            FactKind::HasDefault => "default",
            FactKind::NoDefault => "no default",
            FactKind::PrimaryKey => "primary key",
            FactKind::Unique => "unique",
            FactKind::Index => "index",
            FactKind::ForeignKey => "foreign key",
            FactKind::Check => "check",
            FactKind::View => "view",
            FactKind::Trigger => "trigger",
            FactKind::Routine => "routine",
            FactKind::Type => "type",
            FactKind::Sequence => "sequence",
            FactKind::Schema => "schema",
            FactKind::Extension => "extension",
            FactKind::Absent => "absent",
            FactKind::NotDerived => "not derived",
        }
    }
}

/// Whether a fact holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Holds,
    /// It is certainly not so.
    Fails {
        /// What is there instead.
        found: String,
    },
    /// This could not be settled.
    NotChecked {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match &self.verdict {
            Verdict::Holds => "ok",
            Verdict::Fails { .. } => "FAILS",
            Verdict::NotChecked { .. } => "?",
        };
        write!(f, "{sign} {}: {}", self.subject, self.kind.words())?;
        if !self.detail.is_empty() {
            write!(f, " {}", self.detail)?;
        }
        match &self.verdict {
            Verdict::Holds => Ok(()),
            Verdict::Fails { found } => write!(f, " <- {found}"),
            Verdict::NotChecked { reason } => write!(f, " <- {reason}"),
        }
    }
}

impl Expected {
    /// Judges every fact against the live schema.
    pub fn check(&self, live: &Snapshot) -> Vec<Fact> {
        check::check(self, live)
    }
}
