//! From entries to a directory.

use std::collections::HashMap;

use super::decode::decode;
use super::issue::{DirectoryIssue, IssueCode, companion_path, shown};
use super::names::{self, Companion, Name, Role};
use super::orphans::orphans;
use super::sections;
use super::{Directory, EntryKind, FileEntry};
use crate::format::{Format, Layout, Place};
use crate::migration::{Encoding, Kind, Migration, MigrationId, SourceText};

type Issues = Vec<DirectoryIssue>;

pub(super) fn build(layout: Layout, entries: Vec<FileEntry>) -> (Directory, Issues) {
    let mut issues = case_collisions(&layout, &entries);
    let mut migrations = Vec::new();
    let mut unreadable = Vec::new();
    let mut companions = Vec::new();
    for entry in entries {
        match names::read(&layout, entry.place, &entry.path) {
            name if entry.kind != EntryKind::File => {
                let wanted = !matches!(name, Name::Nothing(_));
                issues.extend(not_a_file(&layout, &entry, wanted));
                if let Name::Migration(id) = name {
                    unreadable.push(id);
                }
            }
            Name::Nothing(issue) => issues.push(*issue),
            Name::Migration(id) => match read_text(&layout, entry, &mut issues) {
                None => unreadable.push(id),
                Some((place, up)) => {
                    let mut migration = Migration { id, up, down: None, verify: None };
                    take_sections(&layout, place, &mut migration, &mut issues);
                    migrations.push(migration);
                }
            },
            Name::Companion(companion) => {
                let path = layout.path(entry.place, &entry.path);
                let text = read_text(&layout, entry, &mut issues);
                issues.extend(text.as_ref().and_then(|(_, text)| nested_section(&layout, text)));
                companions.push((companion, path, text.map(|(_, text)| text)));
            }
        }
    }
    migrations.sort_by(|a, b| a.id.cmp(&b.id));
    unreadable.sort();
    let by_name = migrations.iter().enumerate();
    let by_name = by_name.map(|(index, m)| (m.id.file_name.clone(), index)).collect();
    let mut directory = Directory { layout, migrations, unreadable, by_name };
    attach(&mut directory, companions, &mut issues);
    issues.extend(duplicates(&directory));
    issues.extend(other_order(&directory));
    issues.extend(quoted_names(&directory));
    issues.sort_by(|a, b| (&a.path, a).cmp(&(&b.path, b)));
    (directory, issues)
}

/// Decodes an entry; `None` after an error.
fn read_text(
    layout: &Layout,
    entry: FileEntry,
    issues: &mut Issues,
) -> Option<(Place, SourceText)> {
    let path = layout.path(entry.place, &entry.path);
    let Some(bytes) = entry.bytes else {
        let message = format!("`{}` was not read", shown(&path));
        issues.push(DirectoryIssue::error(IssueCode::NotAFile, &path, message));
        return None;
    };
    let (text, encoding) = match decode(bytes) {
        Ok(decoded) => decoded,
        Err(error) => {
            let message = format!("`{}` {}", shown(&path), error.message);
            let issue = DirectoryIssue::error(IssueCode::Encoding, &path, message);
            issues.push(issue.hinted(error.hint));
            return None;
        }
    };
    let said = match encoding {
        Encoding::Utf8 => None,
        Encoding::Utf8Bom => Some("begins with a byte order mark, which is left out"),
        Encoding::Utf16Le => Some("is encoded as UTF-16 (low byte first) and is read as such"),
        Encoding::Utf16Be => Some("is encoded as UTF-16 (high byte first) and is read as such"),
    };
    if let Some(said) = said {
        let message = format!("`{}` {said}", shown(&path));
        let note = DirectoryIssue::note(IssueCode::ByteOrderMark, &path, message);
        issues.push(note.hinted("Save it as UTF-8 without a mark: other tools may not read it"));
    }
    if text.trim().is_empty() {
        let message = format!("`{}` is empty: it holds no statement", shown(&path));
        issues.push(DirectoryIssue::note(IssueCode::Empty, &path, message));
    }
    Some((entry.place, SourceText { path, text, lines_before: 0, encoding }))
}

/// Moves `-- whimbrel: down` and `verify` sections out of the up text.
fn take_sections(layout: &Layout, place: Place, migration: &mut Migration, issues: &mut Issues) {
    let path = migration.up.path.clone();
    let (up, sections) = sections::split(&migration.up.text, layout.dialect);
    if sections.is_empty() {
        return;
    }
    let mut parts: Vec<(Role, SourceText)> = Vec::new();
    for section in sections {
        let role = section.role;
        if layout.format.is_foreign() && place == Place::Migrations {
            let id = &migration.id;
            let target = companion_path(layout, id.stem(), id.kind, role);
            let (tool, role) = (layout.format.name(), role.name());
            let (shown, line) = (shown(&path), section.line);
            let message =
                format!("{tool} would run the `{role}` section of `{shown}`, line {line}");
            let issue = DirectoryIssue::error(IssueCode::MisplacedCompanion, &path, message);
            issues.push(issue.hinted(format!("Move it to `{target}`")));
            continue;
        }
        if parts.iter().any(|(taken, _)| *taken == role) {
            let (role, line) = (role.name(), section.line);
            let message =
                format!("`{}` has a second `{role}` section in line {line}", shown(&path));
            issues.push(DirectoryIssue::error(IssueCode::DuplicateCompanion, &path, message));
            continue;
        }
        let (path, text) = (path.clone(), section.text.to_owned());
        let encoding = migration.up.encoding;
        let text = SourceText { path, text, lines_before: section.lines_before, encoding };
        parts.push((role, text));
    }
    let up = up.len();
    migration.up.text.truncate(up);
    for (role, text) in parts {
        *part(migration, role) = Some(text);
    }
}

/// A companion is one section already.
fn nested_section(layout: &Layout, text: &SourceText) -> Option<DirectoryIssue> {
    let (_, sections) = sections::split(&text.text, layout.dialect);
    let section = sections.first()?;
    let (role, line) = (section.role.name(), section.line);
    let message = format!("`{}` has a `{role}` section in line {line}", shown(&text.path));
    let issue = DirectoryIssue::error(IssueCode::DuplicateCompanion, &text.path, message);
    Some(issue.hinted("Sections stand in the file of the migration: remove the line"))
}

fn part(migration: &mut Migration, role: Role) -> &mut Option<SourceText> {
    match role {
        Role::Down => &mut migration.down,
        Role::Verify => &mut migration.verify,
    }
}

/// Gives companions to their migrations.
fn attach(
    directory: &mut Directory,
    companions: Vec<(Companion, String, Option<SourceText>)>,
    issues: &mut Issues,
) {
    let mut by_stem: HashMap<(String, Kind), usize> = HashMap::new();
    if !companions.is_empty() {
        let stems = directory.migrations.iter().map(|m| (m.id.stem().to_owned(), m.id.kind));
        by_stem.extend(stems.zip(0..));
    }
    let mut lost = Vec::new();
    for (companion, path, text) in companions {
        let key = (companion.stem, companion.kind);
        let migration = by_stem.get(&key).and_then(|at| directory.migrations.get_mut(*at));
        let Some(migration) = migration else {
            lost.push((key, path));
            continue;
        };
        let slot = part(migration, companion.role);
        if let Some(first) = slot {
            let (first, role) = (shown(&first.path), companion.role.name());
            let message = format!("`{}` and `{first}` both hold a `{role}`", shown(&path));
            let issue = DirectoryIssue::error(IssueCode::DuplicateCompanion, &path, message);
            issues.push(issue.hinted("Keep one of them"));
        } else {
            *slot = text;
        }
    }
    issues.extend(orphans(directory, lost));
}

/// Migrations of one number: an error in our own format, a note where another tool allows them.
fn duplicates(directory: &Directory) -> Issues {
    let mut groups: HashMap<(&str, &str), Vec<&MigrationId>> = HashMap::new();
    let mut ids: Vec<&MigrationId> = directory.ids().filter(|id| !id.number.is_absent()).collect();
    ids.sort();
    for id in ids {
        groups.entry((id.number.value(), &id.suffix)).or_default().push(id);
    }
    let mut issues = Vec::new();
    for group in groups.into_values() {
        for pair in group.windows(2) {
            let [first, second] = pair else { continue };
            if !is_pair(directory.layout.format, first, second) {
                issues.push(duplicate(directory, first, second));
            }
        }
    }
    issues
}

/// A schema migration and the data migration of the same number that belongs to it.
fn is_pair(format: Format, first: &MigrationId, second: &MigrationId) -> bool {
    first.kind != second.kind && (format.is_foreign() || first.stem() == second.stem())
}

fn duplicate(directory: &Directory, first: &MigrationId, second: &MigrationId) -> DirectoryIssue {
    let layout = &directory.layout;
    let place = |id: &MigrationId| match id.kind {
        Kind::Data if layout.companions.is_some() => Place::Companions,
        Kind::Data | Kind::Schema => Place::Migrations,
    };
    let a = layout.path(place(first), &first.file_name);
    let b = layout.path(place(second), &second.file_name);
    let number = second.version();
    let message = format!("`{}` and `{}` both have the number {number}", shown(&a), shown(&b));
    let next = directory.next_in_sequence();
    if layout.format.is_foreign() {
        let note = DirectoryIssue::note(IssueCode::DuplicateNumber, &b, message);
        return note.hinted(match layout.format {
            Format::Supabase => {
                "Supabase notes versions by number alone: rename one of them".to_owned()
            }
            Format::Own | Format::Wrangler => {
                format!("They run in the order of their names; the next free number is {next}")
            }
        });
    }
    DirectoryIssue::error(IssueCode::DuplicateNumber, &b, message)
        .hinted(format!("Rename the one that has run nowhere: the next free number is {next}"))
}

/// Supabase goes by the letters of the names, in which `10_b` comes before `9_a`.
fn other_order(directory: &Directory) -> Option<DirectoryIssue> {
    if directory.layout.format != Format::Supabase {
        return None;
    }
    let schema = directory.migrations.iter().filter(|migration| migration.id.kind == Kind::Schema);
    let ids: Vec<&MigrationId> = schema.map(|migration| &migration.id).collect();
    let wrong = ids.windows(2).find_map(|pair| match pair {
        [first, second] if first.file_name > second.file_name => Some((first, second)),
        _ => None,
    })?;
    let (first, second) = (shown(&wrong.0.file_name), shown(&wrong.1.file_name));
    let path = directory.layout.path(Place::Migrations, &wrong.1.file_name);
    let message = format!("Supabase runs `{second}` before `{first}`, Whimbrel after it");
    let note = DirectoryIssue::note(IssueCode::OtherOrder, &path, message);
    Some(note.hinted("Write all numbers with the same count of digits"))
}

/// wrangler writes a name into its INSERT as it is.
fn quoted_names(directory: &Directory) -> Issues {
    let layout = &directory.layout;
    let quoted = directory.ids().filter(|id| {
        layout.format == Format::Wrangler && id.kind == Kind::Schema && id.file_name.contains('\'')
    });
    let note = |id: &MigrationId| {
        let path = layout.path(Place::Migrations, &id.file_name);
        let message = format!("wrangler fails on the quotation mark in `{}`", shown(&path));
        DirectoryIssue::note(IssueCode::UnreadableName, &path, message).hinted("Rename it")
    };
    quoted.map(note).collect()
}

/// Names that are one name where file systems do not tell letter case.
fn case_collisions(layout: &Layout, entries: &[FileEntry]) -> Issues {
    let mut seen: HashMap<(Place, String), &str> = HashMap::new();
    let mut issues = Vec::new();
    for entry in entries {
        if matches!(names::read(layout, entry.place, &entry.path), Name::Nothing(_)) {
            continue;
        }
        let first = seen.insert((entry.place, entry.path.to_lowercase()), &entry.path);
        if let Some(first) = first {
            let path = layout.path(entry.place, &entry.path);
            let first = layout.path(entry.place, first);
            let (shown_path, first) = (shown(&path), shown(&first));
            let message = format!("`{first}` and `{shown_path}` differ only in letter case");
            let issue = DirectoryIssue::error(IssueCode::CaseCollision, &path, message);
            issues.push(issue.hinted("They are one file on macOS and Windows: rename one"));
        }
    }
    issues
}

/// What is no file: an error where a migration is expected, else nothing to run.
fn not_a_file(layout: &Layout, entry: &FileEntry, wanted: bool) -> Option<DirectoryIssue> {
    let path = layout.path(entry.place, &entry.path);
    let file_name = entry.path.rsplit('/').next().unwrap_or(&entry.path);
    if let Some(reason) = names::junk(file_name) {
        return Some(DirectoryIssue::ignored(&path, reason));
    }
    let looks_wanted = wanted
        || file_name.to_ascii_lowercase().ends_with(".sql")
        || (entry.place == Place::Migrations
            && file_name.starts_with(|c: char| c.is_ascii_digit()));
    let what = match &entry.kind {
        EntryKind::File => return None,
        // Where each migration has a folder, a folder is nothing to speak of.
        EntryKind::Folder if layout.depth_max() > 1 && !file_name.ends_with(".sql") => return None,
        EntryKind::Folder => "is a folder".to_owned(),
        EntryKind::SymlinkLoop => "is a symbolic link that leads back to itself".to_owned(),
        EntryKind::SymlinkBroken => "is a symbolic link to nothing".to_owned(),
        EntryKind::NameNotUtf8 => "has a name that is not UTF-8".to_owned(),
        EntryKind::Unreadable(reason) => format!("cannot be read: {}", shown(reason)),
        EntryKind::Other => "is a socket, a pipe or a device".to_owned(),
    };
    if !looks_wanted {
        return Some(DirectoryIssue::ignored(&path, &format!("it {what}")));
    }
    let hint = match entry.kind {
        EntryKind::Folder => "A migration is a file: rename the folder, or move it away",
        EntryKind::NameNotUtf8 => "Rename it",
        _ => "Put the file itself there",
    };
    let message = format!("`{}` {what}, where a migration is expected", shown(&path));
    Some(DirectoryIssue::error(IssueCode::NotAFile, &path, message).hinted(hint))
}
