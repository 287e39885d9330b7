//! What is said about a directory.

use super::names::Role;
use crate::format::{Layout, Place};
use crate::migration::{Kind, Migration};

/// How much an issue matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing can be run before it is put right.
    Error,
    /// Worth knowing.
    Note,
    /// Something that is no migration, with the reason why it is taken for none.
    Ignored,
}

/// What an issue is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssueCode {
    /// Two migrations of one number.
    DuplicateNumber,
    /// A name that tells no number, or tells something unclear.
    UnreadableName,
    /// Two names that differ only in the case of letters.
    CaseCollision,
    /// A companion without its migration.
    OrphanCompanion,
    /// A companion where another tool would run it.
    MisplacedCompanion,
    /// Two ways back, or two sets of checks, for one migration.
    DuplicateCompanion,
    /// A folder, link, pipe or unreadable file where a migration is expected.
    NotAFile,
    /// Bytes that are no text.
    Encoding,
    /// A byte order mark.
    ByteOrderMark,
    /// No text at all.
    Empty,
    /// No way back.
    MissingDown,
    /// The other tool orders its files differently.
    OtherOrder,
    /// No migration.
    NotAMigration,
}

impl IssueCode {
    /// The stable word used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            IssueCode::DuplicateNumber => "duplicate-number",
            IssueCode::UnreadableName => "unreadable-name",
            IssueCode::CaseCollision => "case-collision",
            IssueCode::OrphanCompanion => "orphan-companion",
            IssueCode::MisplacedCompanion => "misplaced-companion",
            IssueCode::DuplicateCompanion => "duplicate-companion",
            IssueCode::NotAFile => "not-a-file",
            IssueCode::Encoding => "encoding",
            IssueCode::ByteOrderMark => "byte-order-mark",
            IssueCode::Empty => "empty",
            IssueCode::MissingDown => "missing-down",
            IssueCode::OtherOrder => "other-order",
            IssueCode::NotAMigration => "not-a-migration",
        }
    }
}

/// One thing to say about a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryIssue {
    /// How much it matters.
    pub severity: Severity,
    /// The path, relative to the project.
    pub path: String,
    /// What it is about.
    pub code: IssueCode,
    /// What is the case.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl DirectoryIssue {
    pub(super) fn error(code: IssueCode, path: &str, message: String) -> DirectoryIssue {
        let path = path.to_owned();
        DirectoryIssue { severity: Severity::Error, path, code, message, hint: None }
    }

    pub(super) fn note(code: IssueCode, path: &str, message: String) -> DirectoryIssue {
        DirectoryIssue { severity: Severity::Note, ..DirectoryIssue::error(code, path, message) }
    }

    pub(super) fn ignored(path: &str, reason: &str) -> DirectoryIssue {
        let message = format!("`{}` is ignored: {reason}", shown(path));
        let issue = DirectoryIssue::error(IssueCode::NotAMigration, path, message);
        DirectoryIssue { severity: Severity::Ignored, ..issue }
    }

    pub(super) fn hinted(mut self, hint: impl Into<String>) -> DirectoryIssue {
        self.hint = Some(hint.into());
        self
    }
}

/// A path as printed: what could move the cursor or reorder the line is escaped.
pub(super) fn shown(path: &str) -> String {
    path.chars()
        .flat_map(|c| {
            let plain = !c.is_control() && !is_formatting(c);
            let escaped = (!plain).then(|| c.escape_unicode());
            escaped.into_iter().flatten().chain(plain.then_some(c))
        })
        .collect()
}

/// Invisible characters that change how a line reads, or that make two names look the same.
pub(super) fn is_formatting(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{61c}' | '\u{ad}' | '\u{fffd}')
}

/// Where the companion of a migration belongs.
pub(super) fn companion_path(layout: &Layout, stem: &str, kind: Kind, role: Role) -> String {
    let data = if kind == Kind::Data { ".data" } else { "" };
    let place = match layout.companions {
        Some(_) => Place::Companions,
        None => Place::Migrations,
    };
    layout.path(place, &format!("{stem}{data}.{}.sql", role.name()))
}

pub(super) fn missing_down(layout: &Layout, migration: &Migration) -> DirectoryIssue {
    let id = &migration.id;
    let path = companion_path(layout, id.stem(), id.kind, Role::Down);
    let message = format!("`{}` has no way back", shown(&migration.up.path));
    let note = DirectoryIssue::note(IssueCode::MissingDown, &migration.up.path, message);
    note.hinted(format!("Write it into `{}`", shown(&path)))
}
