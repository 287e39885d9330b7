//! What a file is by its name alone.

use super::issue::{DirectoryIssue, IssueCode, is_formatting, shown};
use crate::config::nearest;
use crate::format::{Format, Layout, Place};
use crate::migration::{Kind, MigrationId, Number};

/// What a name says.
pub(super) enum Name {
    /// A migration.
    Migration(MigrationId),
    /// A part of a migration.
    Companion(Companion),
    /// Neither; the issue says why.
    Nothing(Box<DirectoryIssue>),
}

/// A part of a migration that lies in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Companion {
    /// The stem of the migration.
    pub(super) stem: String,
    /// Whether that is a schema or a data migration.
    pub(super) kind: Kind,
    /// What it is for.
    pub(super) role: Role,
}

/// What a companion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Down,
    Verify,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Down => "down",
            Role::Verify => "verify",
        }
    }
}

/// Reads a name.
pub(super) fn read(layout: &Layout, place: Place, path: &str) -> Name {
    let full = layout.path(place, path);
    let nothing = |issue: DirectoryIssue| Name::Nothing(Box::new(issue));
    let file_name = path.rsplit('/').next().unwrap_or(path);
    if let Some(reason) = junk(file_name) {
        return nothing(DirectoryIssue::ignored(&full, reason));
    }
    if path.chars().any(|c| c.is_control() || is_formatting(c)) {
        let message = format!("The name `{}` holds an invisible character", shown(&full));
        let issue = DirectoryIssue::error(IssueCode::UnreadableName, &full, message);
        return nothing(issue.hinted("Rename it"));
    }
    let Some(stem) = file_name.strip_suffix(".sql") else {
        return nothing(no_sql(layout, place, &full, file_name));
    };
    let (stem, part) = split_part(stem);
    let read = match place {
        Place::Companions => read_companion(path, stem, part, &full),
        Place::Migrations if layout.format.is_foreign() => read_foreign(layout, path, stem, part),
        Place::Migrations => read_own(path, stem, part, &full),
    };
    read.unwrap_or_else(Name::Nothing)
}

/// What is no migration in any folder.
pub(super) fn junk(file_name: &str) -> Option<&'static str> {
    let lower = file_name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    match lower.as_str() {
        ".ds_store" => return Some("Finder keeps its view of the folder there"),
        "thumbs.db" | "desktop.ini" => return Some("Windows keeps its view of the folder there"),
        _ => {}
    }
    if lower.starts_with("._") {
        return Some("macOS keeps attributes of another file there");
    }
    if ends(&[".swp", ".swo", ".swx", "~"]) || lower.starts_with(".#") {
        return Some("an editor's backup or lock");
    }
    if lower.starts_with('#') && lower.ends_with('#') {
        return Some("an editor's backup or lock");
    }
    if ends(&[".bak", ".orig", ".rej", ".tmp", ".old"]) {
        return Some("a backup by its name");
    }
    if ends(&[".disabled", ".disable", ".skip"]) {
        return Some("disabled by its name");
    }
    lower.starts_with('.').then_some("a hidden file")
}

/// What ends in something else than `.sql`.
fn no_sql(layout: &Layout, place: Place, full: &str, file_name: &str) -> DirectoryIssue {
    let lower = file_name.to_ascii_lowercase();
    if lower.ends_with(".sql") {
        let message = format!("`{}` does not end in `.sql` in small letters", shown(full));
        let hint = "Rename it: file systems differ on whether that is the same";
        let issue = if layout.format.is_foreign() && place == Place::Migrations {
            DirectoryIssue::note(IssueCode::UnreadableName, full, message)
        } else {
            DirectoryIssue::error(IssueCode::UnreadableName, full, message)
        };
        return issue.hinted(hint);
    }
    if file_name.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("`{}` has a number and does not end in `.sql`", shown(full));
        return DirectoryIssue::note(IssueCode::UnreadableName, full, message)
            .hinted("If it is a migration, rename it; else move it out of the folder");
    }
    DirectoryIssue::ignored(full, "it does not end in `.sql`")
}

/// What stands between the stem and `.sql`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing that means something.
    Up,
    /// `.data`
    Data,
    /// `.down`, `.verify`, `.data.down`, `.data.verify`
    Companion(Kind, Role),
    /// Something that reads like one of these.
    Unclear(&'static str),
}

fn split_part(stem: &str) -> (&str, Part) {
    let Some((before, last)) = stem.rsplit_once('.') else { return (stem, Part::Up) };
    let role = match last {
        "data" => return (before, Part::Data),
        "down" => Role::Down,
        "verify" => Role::Verify,
        "up" => return (before, Part::Unclear("`.up.sql` is another tool's name for `.sql`")),
        _ => {
            let near = nearest(last, ["data", "down", "verify"]);
            // `.date` and `.dawn` may be anything, but not what runs a file the wrong way round.
            return match near {
                Some("data") => (stem, Part::Unclear("it reads like `.data.sql`")),
                Some("down") => (stem, Part::Unclear("it reads like `.down.sql`")),
                Some(_) => (stem, Part::Unclear("it reads like `.verify.sql`")),
                None => (stem, Part::Up),
            };
        }
    };
    match before.strip_suffix(".data") {
        Some(before) => (before, Part::Companion(Kind::Data, role)),
        None => (before, Part::Companion(Kind::Schema, role)),
    }
}

type Read = Result<Name, Box<DirectoryIssue>>;

fn read_own(path: &str, stem: &str, part: Part, full: &str) -> Read {
    match part {
        Part::Companion(kind, role) => {
            Ok(Name::Companion(Companion { stem: stem.to_owned(), kind, role }))
        }
        Part::Unclear(reason) => Err(unreadable(full, &format!("is not clear: {reason}"))),
        Part::Up | Part::Data => {
            let kind = if part == Part::Data { Kind::Data } else { Kind::Schema };
            numbered(path, stem, kind, full).map(Name::Migration)
        }
    }
}

/// A data migration or a companion in `whimbrel/`.
fn read_companion(path: &str, stem: &str, part: Part, full: &str) -> Read {
    match part {
        Part::Companion(kind, role) => {
            Ok(Name::Companion(Companion { stem: stem.to_owned(), kind, role }))
        }
        Part::Data => numbered(path, stem, Kind::Data, full).map(Name::Migration),
        Part::Unclear(reason) => Err(unreadable(full, &format!("is not clear: {reason}"))),
        Part::Up => {
            let message = format!("`{}` is neither data migration nor companion", shown(full));
            let issue = DirectoryIssue::error(IssueCode::MisplacedCompanion, full, message);
            Err(Box::new(issue.hinted(
                "Schema migrations belong into the other tool's folder; here lie `.data.sql`, \
                 `.down.sql` and `.verify.sql`",
            )))
        }
    }
}

/// A file that the other tool reads by its own rules.
fn read_foreign(layout: &Layout, path: &str, stem: &str, part: Part) -> Read {
    let full = layout.path(Place::Migrations, path);
    let tool = layout.format.name();
    let is_data = part == Part::Data && path.starts_with(|c: char| c.is_ascii_digit());
    if is_data || matches!(part, Part::Companion(..)) {
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let folder = layout.folder(Place::Companions);
        let message = format!("{tool} would run `{}` as a migration", shown(&full));
        let issue = DirectoryIssue::error(IssueCode::MisplacedCompanion, &full, message);
        return Err(Box::new(issue.hinted(format!("Move it to `{folder}/{}`", shown(file_name)))));
    }
    if let Some(pattern) = &layout.pattern
        && !pattern.matches(path)
    {
        let issue = DirectoryIssue::note(
            IssueCode::NotAMigration,
            &full,
            format!(
                "`{}` does not match `migrations_pattern`: {tool} does not run it",
                shown(&full)
            ),
        );
        return Err(Box::new(issue));
    }
    // What names the migration is its folder where each has one.
    let named = match path.split_once('/') {
        Some((folder, _)) => folder,
        None => path.strip_suffix(".sql").unwrap_or(stem),
    };
    let id = parse_stem(named, path, Kind::Schema);
    if layout.format == Format::Supabase {
        if !supabase_runs(named) {
            let message = format!("Supabase does not run `{}`", shown(&full));
            let note = DirectoryIssue::note(IssueCode::NotAMigration, &full, message);
            return Err(Box::new(note.hinted("It runs `<digits>_<name>.sql`")));
        }
        if is_legacy_supabase_init(&id) {
            let reason = "the Supabase CLI passes over an `_init` from before December 2021";
            return Err(Box::new(DirectoryIssue::ignored(&full, reason)));
        }
    }
    Ok(Name::Migration(id))
}

fn supabase_runs(stem: &str) -> bool {
    let digits = Number::leading(stem);
    !digits.is_absent() && stem.get(digits.digits().len()..).is_some_and(|r| r.starts_with('_'))
}

fn is_legacy_supabase_init(id: &MigrationId) -> bool {
    id.name == "init" && id.number.is_timestamp() && id.number < Number::leading("20211209000000")
}

/// A name that must begin with a number.
fn numbered(
    path: &str,
    stem: &str,
    kind: Kind,
    full: &str,
) -> Result<MigrationId, Box<DirectoryIssue>> {
    let id = parse_stem(stem, path, kind);
    if id.number.is_absent() {
        let other_digit = stem.chars().next().is_some_and(char::is_numeric);
        let what = match stem.chars().next() {
            _ if other_digit => "begins with a digit other than 0 to 9",
            Some('V' | 'v' | 'U' | 'R') if stem.contains("__") => {
                "begins with no number: it reads like a migration of Flyway"
            }
            _ => "begins with no number",
        };
        return Err(unreadable(full, what));
    }
    let used = id.number.digits().len() + id.suffix.len();
    match stem.get(used..).and_then(|rest| rest.chars().next()) {
        None => Ok(id),
        Some('_' | '-') => Ok(id),
        Some(_) => Err(unreadable(full, "has no `_` after its number")),
    }
}

fn unreadable(full: &str, what: &str) -> Box<DirectoryIssue> {
    let message = format!("The name `{}` {what}", shown(full));
    let issue = DirectoryIssue::error(IssueCode::UnreadableName, full, message);
    Box::new(issue.hinted("Write `0001_name.sql`, or move the file out of the folder"))
}

/// Number, suffix and name of a stem; never fails, the number may be absent.
fn parse_stem(stem: &str, path: &str, kind: Kind) -> MigrationId {
    let number = Number::leading(stem);
    let rest = stem.get(number.digits().len()..).unwrap_or("");
    let suffix_end = match number.is_absent() {
        true => 0,
        false => rest.bytes().take_while(u8::is_ascii_alphanumeric).count(),
    };
    let (suffix, rest) = rest.split_at_checked(suffix_end).unwrap_or(("", rest));
    let name =
        if number.is_absent() { rest } else { rest.trim_start_matches(['_', '-', '.', ' ']) };
    let (suffix, name) = (suffix.to_owned(), name.to_owned());
    MigrationId { number, suffix, name, kind, file_name: path.to_owned() }
}
