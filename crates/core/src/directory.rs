//! The directory: all migrations of a project, ordered, with their companions.
//!
//! [`Directory::build`] is total: whatever lies in the folders becomes a migration, a part of one,
//! or an issue that says why not. Nothing is passed over in silence.
//!
//! The engine lists the folders, asks [`wants_bytes`] which files to read, reads each once and
//! hands all entries over.

mod build;
mod decode;
mod issue;
mod names;
mod next;
mod orphans;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use issue::{DirectoryIssue, IssueCode, Severity};
pub use next::{NameError, slug};

use crate::format::{Layout, Place};
use crate::migration::{Kind, Migration, MigrationId, Number};

/// One thing that lies in a folder of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Which folder.
    pub place: Place,
    /// The path below that folder, with `/` between names; invalid UTF-8 replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The contents, of files that [`wants_bytes`] asks for.
    pub bytes: Option<Vec<u8>>,
}

/// What an entry of a folder is, symbolic links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file, or a link to one.
    File,
    /// A folder, or a link to one.
    Folder,
    /// A link that leads back to itself.
    SymlinkLoop,
    /// A link to nothing.
    SymlinkBroken,
    /// A file whose name is not UTF-8.
    NameNotUtf8,
    /// A file that cannot be read, with the system's reason.
    Unreadable(String),
    /// A socket, pipe or device.
    Other,
}

impl FileEntry {
    /// A file in the folder of migrations.
    pub fn file(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> FileEntry {
        let bytes = Some(bytes.into());
        FileEntry { place: Place::Migrations, path: path.into(), kind: EntryKind::File, bytes }
    }

    /// A file in the folder of companions.
    pub fn companion(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> FileEntry {
        FileEntry { place: Place::Companions, ..FileEntry::file(path, bytes) }
    }

    /// Something else than a file.
    pub fn other(path: impl Into<String>, kind: EntryKind) -> FileEntry {
        FileEntry { place: Place::Migrations, path: path.into(), kind, bytes: None }
    }
}

/// Whether a file of that name must be read: it is a migration or a part of one.
pub fn wants_bytes(layout: &Layout, place: Place, path: &str) -> bool {
    match names::read(layout, place, path) {
        names::Name::Migration(_) | names::Name::Companion(_) => true,
        names::Name::Nothing(_) => false,
    }
}

/// All migrations of a project, ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where they lie and how they are named.
    pub layout: Layout,
    /// The migrations, in order.
    pub migrations: Vec<Migration>,
    /// Migrations that are there and cannot be read; each has an error among the issues.
    pub unreadable: Vec<MigrationId>,
    by_name: HashMap<String, usize>,
}

impl Directory {
    /// Makes a directory of what lies in the folders, and says what is wrong with it.
    ///
    /// The issues are sorted by path. With an error among them nothing may be run.
    pub fn build(layout: Layout, entries: Vec<FileEntry>) -> (Directory, Vec<DirectoryIssue>) {
        build::build(layout, entries)
    }

    /// The migration of that file name.
    pub fn get(&self, file_name: &str) -> Option<&Migration> {
        self.migrations.get(*self.by_name.get(file_name)?)
    }

    /// The migrations that a user may mean by `text`: a file name, a stem, or a version.
    ///
    /// `3`, `0003` and `0003b` are versions; a version may be that of several.
    pub fn find(&self, text: &str) -> Vec<&Migration> {
        if let Some(exact) = self.get(text) {
            return vec![exact];
        }
        let stems: Vec<&Migration> =
            self.migrations.iter().filter(|migration| migration.id.stem() == text).collect();
        if !stems.is_empty() {
            return stems;
        }
        let number = Number::leading(text);
        let suffix = text.get(number.digits().len()..).unwrap_or("");
        let same = |id: &MigrationId| id.number == number && id.suffix == suffix;
        let found = self.migrations.iter().filter(|migration| same(&migration.id));
        if number.is_absent() { Vec::new() } else { found.collect() }
    }

    /// The identities of all migrations, readable or not.
    pub fn ids(&self) -> impl Iterator<Item = &MigrationId> {
        self.migrations.iter().map(|migration| &migration.id).chain(&self.unreadable)
    }

    /// Schema migrations without a way back, for those who want one. Data migrations are undone.
    pub fn missing_down(&self) -> Vec<DirectoryIssue> {
        let without = self
            .migrations
            .iter()
            .filter(|migration| migration.down.is_none() && migration.id.kind == Kind::Schema);
        without.map(|migration| issue::missing_down(&self.layout, migration)).collect()
    }
}
