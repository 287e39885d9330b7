//! What a run will do, decided before anything is sent.

use crate::ddl::Change;
use crate::migration::Kind;
use crate::step::Script;

/// Whether consecutive migrations share a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupMode {
    /// Only in a database that had no table of the user's when the run began.
    #[default]
    Auto,
    /// Wherever the migrations allow it.
    Always,
    /// Each migration in its own transaction.
    Never,
}

/// What an undo does with values that somebody changed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is taken back while there is one.
    #[default]
    Stop,
    /// They stay; the rest is taken back.
    Skip,
    /// They are taken back too.
    Force,
}

/// A migration that a run will apply or take back.
#[derive(Clone, Debug)]
pub struct PlannedMigration {
    /// File name, its identity.
    pub name: String,
    /// Leading digits and suffix as written.
    pub version: String,
    /// Schema or data.
    pub kind: Kind,
    /// Path relative to the project; empty when the text comes from the ledger.
    pub path: String,
    /// How many lines of the file come before the text.
    pub lines_before: u32,
    /// What will be sent.
    pub script: Script,
    /// What each statement of `script` changes, as far as it is understood.
    pub changes: Vec<Vec<Change>>,
    /// The text of the way up, as it will stand in the ledger.
    pub up_text: String,
    /// The text of the way back, if there is one.
    pub down_text: Option<String>,
    /// Queries that must return no row afterwards, with the name of their file.
    pub verify_script: Option<(String, Script)>,
    /// SHA-256 of the normalised up text.
    pub text_checksum: String,
    /// SHA-256 of the up text's code tokens.
    pub token_checksum: String,
    /// Whether what it makes is verified.
    pub verify: bool,
    /// Its way back is to undo what its batches changed.
    pub undo: Option<OnConflict>,
}

impl PlannedMigration {
    /// Whether it only adds to the schema, so that no existing row can lose its parent by it.
    pub fn only_adds(&self) -> bool {
        self.changes.iter().flatten().all(|change| {
            matches!(
                change,
                Change::CreateTable(_)
                    | Change::CreateIndex(_)
                    | Change::CreateView { .. }
                    | Change::CreateTrigger { .. }
            )
        })
    }

    /// Whether it may share a transaction with its neighbours (group commit).
    pub fn is_groupable(&self, resettable: bool) -> bool {
        let plain = self.script.is_one_transaction() && !self.script.adds_enum_value();
        plain && (resettable || !self.script.changes_session()) && !self.script.may_roll_back()
    }

    /// How many tables it makes.
    pub fn tables_made(&self) -> usize {
        self.changes
            .iter()
            .flatten()
            .filter(|change| matches!(change, Change::CreateTable(_)))
            .count()
    }
}
