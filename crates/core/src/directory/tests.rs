mod one_name;

use proptest::prelude::*;

use self::one_name::read;
use super::*;
use crate::format::{Format, Pattern};
use crate::migration::Encoding;
use crate::sql::dialect::Dialect;

const SQL: &str = "SELECT 1;\n";

fn layout(format: Format) -> Layout {
    Layout { dialect: Some(Dialect::Sqlite), ..Layout::new(format) }
}

/// `path` in the migrations' folder, `whimbrel:path` among the companions.
fn entry(name: &str, bytes: &[u8]) -> FileEntry {
    match name.strip_prefix("whimbrel:") {
        Some(path) => FileEntry::companion(path, bytes),
        None => FileEntry::file(name, bytes),
    }
}

fn build(format: Format, names: &[&str]) -> (Directory, Vec<DirectoryIssue>) {
    let entries = names.iter().map(|name| entry(name, SQL.as_bytes())).collect();
    Directory::build(layout(format), entries)
}

/// Migrations with their parts, then issues, one a line.
fn told((directory, issues): &(Directory, Vec<DirectoryIssue>)) -> Vec<String> {
    let mut lines = Vec::new();
    for migration in &directory.migrations {
        let mut line = migration.id.file_name.clone();
        for (name, part) in [("down", &migration.down), ("verify", &migration.verify)] {
            if let Some(part) = part {
                line += &format!(" {name}={}", part.path);
            }
        }
        lines.push(line);
    }
    lines.extend(directory.unreadable.iter().map(|id| format!("unreadable {id}")));
    for issue in issues {
        let hint = issue.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        lines.push(format!("{:?} {}: {}{hint}", issue.severity, issue.code.name(), issue.message));
    }
    lines
}

#[track_caller]
fn check(format: Format, names: &[&str], want: &[&str]) {
    assert_eq!(told(&build(format, names)), want, "{names:?}");
}

#[test]
fn migrations_are_ordered_and_have_their_companions() {
    check(
        Format::Own,
        &[
            "0010_z.sql",
            "0003b_b.sql",
            "0003_a.sql",
            "0003_a.down.sql",
            "0003_a.verify.sql",
            "0007_c.data.sql",
            "0007_c.data.down.sql",
            "0007_c.data.verify.sql",
        ],
        &[
            "0003_a.sql down=migrations/0003_a.down.sql verify=migrations/0003_a.verify.sql",
            "0003b_b.sql",
            "0007_c.data.sql down=migrations/0007_c.data.down.sql \
             verify=migrations/0007_c.data.verify.sql",
            "0010_z.sql",
        ],
    );
    check(
        Format::Wrangler,
        &[
            "0001_a.sql",
            "0002_b.sql",
            "whimbrel:0001_a.down.sql",
            "whimbrel:0001_x.data.sql",
            "z.sql",
        ],
        &["0001_a.sql down=whimbrel/0001_a.down.sql", "0001_x.data.sql", "0002_b.sql", "z.sql"],
    );
    // A data migration may have the number of the schema migration that it belongs to.
    check(Format::Own, &["1_a.data.sql", "1_a.sql"], &["1_a.sql", "1_a.data.sql"]);
    check(Format::Own, &[], &[]);
}

#[test]
fn duplicates_name_both_files_and_the_next_number() {
    check(
        Format::Own,
        &["0003_a.sql", "3_b.sql", "0007_c.sql"],
        &[
            "0003_a.sql",
            "3_b.sql",
            "0007_c.sql",
            "Error duplicate-number: `migrations/0003_a.sql` and `migrations/3_b.sql` both have the \
             number 3 (Rename the one that has run nowhere: the next free number is 0008)",
        ],
    );
    check(
        Format::Own,
        &["0003_a.sql", "0003_b.data.sql"],
        &[
            "0003_a.sql",
            "0003_b.data.sql",
            "Error duplicate-number: `migrations/0003_a.sql` and `migrations/0003_b.data.sql` both \
             have the number 0003 (Rename the one that has run nowhere: the next free number is 0004)",
        ],
    );
    check(
        Format::Wrangler,
        &["0003_a.sql", "0003_b.sql"],
        &[
            "0003_a.sql",
            "0003_b.sql",
            "Note duplicate-number: `migrations/0003_a.sql` and `migrations/0003_b.sql` both have \
             the number 0003 (They run in the order of their names; the next free number is 0004)",
        ],
    );
    check(Format::Own, &["0003_a.sql", "0003b_b.sql"], &["0003_a.sql", "0003b_b.sql"]);
}

#[test]
fn companions_without_a_migration_are_errors() {
    for (names, want) in [
        (
            &["0001_init.sql", "0001_initial.down.sql"][..],
            "`migrations/0001_initial.down.sql` belongs to no migration (Did you mean `0001_init`?)",
        ),
        (
            &["0001_init.sql", "0010_init.down.sql"],
            "`migrations/0010_init.down.sql` belongs to no migration (Did you mean `0001_init`?)",
        ),
        (
            &["0001_a.sql", "0001_a.data.down.sql"],
            "`migrations/0001_a.data.down.sql` belongs to no migration (Its migration is a schema \
             migration: leave out `.data`)",
        ),
        (
            &["0001_a.data.sql", "0001_a.down.sql"],
            "`migrations/0001_a.down.sql` belongs to no migration (Its migration is a data \
             migration: put `.data` before the last part)",
        ),
        (
            &["0002_b.verify.sql"],
            "`migrations/0002_b.verify.sql` belongs to no migration (Name it like its migration, or \
             move it out of the folder)",
        ),
    ] {
        let told = told(&build(Format::Own, names));
        assert_eq!(told.last().unwrap(), &format!("Error orphan-companion: {want}"));
    }
    check(
        Format::Wrangler,
        &["0001_a.sql", "0001_a.down.sql"],
        &[
            "0001_a.sql",
            "Error misplaced-companion: wrangler would run `migrations/0001_a.down.sql` as a \
             migration (Move it to `whimbrel/0001_a.down.sql`)",
        ],
    );
}

#[test]
fn other_tools_differences_are_said() {
    let supabase = told(&build(Format::Supabase, &["9_a.sql", "10_b.sql"]));
    assert_eq!(supabase[..2], ["9_a.sql", "10_b.sql"]);
    assert!(supabase[2].starts_with("Note other-order: Supabase runs `10_b.sql` before `9_a.sql`"));
    let wrangler = told(&build(Format::Wrangler, &["0001_it's.sql"]));
    assert!(wrangler[1].starts_with("Note unreadable-name: wrangler fails on the quotation mark"));
    let letter_case = told(&build(Format::Own, &["0001_A.sql", "0001_a.sql"]));
    assert!(letter_case.iter().any(|line| line.starts_with("Error case-collision")));
}

#[test]
fn what_is_no_file_is_said() {
    for (name, kind, want) in [
        (
            "0001_a.sql",
            EntryKind::Folder,
            "Error not-a-file: `migrations/0001_a.sql` is a folder, where",
        ),
        ("0001_a", EntryKind::Folder, "Error not-a-file"),
        ("a.sql", EntryKind::Folder, "Error not-a-file"),
        (
            "archive",
            EntryKind::Folder,
            "Ignored not-a-migration: `migrations/archive` is ignored: it is a",
        ),
        (
            ".git",
            EntryKind::Folder,
            "Ignored not-a-migration: `migrations/.git` is ignored: a hidden",
        ),
        (
            "0001_a.sql",
            EntryKind::SymlinkLoop,
            "Error not-a-file: `migrations/0001_a.sql` is a symbolic",
        ),
        ("0001_a.sql", EntryKind::SymlinkBroken, "Error not-a-file"),
        ("0001_a.down.sql", EntryKind::SymlinkBroken, "Error not-a-file"),
        ("loop", EntryKind::SymlinkLoop, "Ignored not-a-migration"),
        (".#0001_a.sql", EntryKind::SymlinkBroken, "Ignored not-a-migration"),
        ("0001_a.sql", EntryKind::Other, "Error not-a-file: `migrations/0001_a.sql` is a socket"),
        ("0001_\u{fffd}.sql", EntryKind::NameNotUtf8, "Error not-a-file"),
        (
            "0001_a.sql",
            EntryKind::Unreadable("Permission denied".into()),
            "Error not-a-file: `migrations/0001_a.sql` cannot be read: Permission denied",
        ),
        ("0001_a.sql", EntryKind::File, "Error not-a-file: `migrations/0001_a.sql` was not read"),
    ] {
        let built =
            Directory::build(layout(Format::Own), vec![FileEntry::other(name, kind.clone())]);
        assert!(built.0.migrations.is_empty() && built.1.len() == 1, "{built:?}");
        assert!(
            told(&built).last().unwrap().starts_with(want),
            "{name} {kind:?}: {:?}",
            told(&built)
        );
    }
    // The migration is known to be there, so that the ledger does not miss it.
    let link = FileEntry::other("0001_a.sql", EntryKind::SymlinkLoop);
    let (directory, _) = Directory::build(layout(Format::Own), vec![link]);
    assert_eq!(directory.unreadable.len(), 1);
    assert_eq!(directory.next_number("20240101000000").unwrap().digits(), "0002");
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn encodings() {
    let sql = "SELECT 'ä😀';\r\n";
    let le = utf16(sql, u16::to_le_bytes);
    let be = utf16(sql, u16::to_be_bytes);
    let bom = [b"\xef\xbb\xbf", sql.as_bytes()].concat();
    for (bytes, encoding, notes) in [
        (sql.as_bytes().to_vec(), Encoding::Utf8, 0),
        (bom, Encoding::Utf8Bom, 1),
        (le.clone(), Encoding::Utf16Le, 1),
        (be, Encoding::Utf16Be, 1),
    ] {
        let (directory, issues) =
            Directory::build(layout(Format::Own), vec![FileEntry::file("1_a.sql", bytes)]);
        let up = &directory.migrations[0].up;
        assert_eq!((up.text.as_str(), up.encoding), (sql, encoding));
        assert_eq!(issues.len(), notes, "{issues:?}");
        assert!(issues.iter().all(|issue| issue.severity == Severity::Note));
    }
    let unmarked = utf16(sql, u16::to_le_bytes)[2..].to_vec();
    for (bytes, want) in [
        (b"a\nb\nc\xe4d".to_vec(), "is not UTF-8: byte 0xE4 at offset 5, line 3"),
        (b"\xef\xbb\xbfa\xff".to_vec(), "is not UTF-8: byte 0xFF at offset 4, line 1"),
        (b"a\n\0b".to_vec(), "holds a NUL character in line 2"),
        (b"\xff\xfe\x00\xd8a\x00".to_vec(), "is not valid UTF-16 in line 1"),
        (le[..le.len() - 1].to_vec(), "is not valid UTF-16 in line 1"),
        (b"\xff\xfe\0\0a\0\0\0".to_vec(), "is encoded as UTF-32"),
        (unmarked, "is encoded as UTF-16 without a byte order mark"),
    ] {
        let built = Directory::build(layout(Format::Own), vec![FileEntry::file("1_a.sql", bytes)]);
        let want = format!("`migrations/1_a.sql` {want}");
        assert_eq!((built.1.len(), &built.1[0].message), (1, &want));
        assert_eq!((built.1[0].severity, built.0.unreadable.len()), (Severity::Error, 1));
    }
    for empty in ["", " \n\t\r\n"] {
        let built = Directory::build(layout(Format::Own), vec![FileEntry::file("1_a.sql", empty)]);
        assert_eq!((built.0.migrations.len(), built.1[0].code), (1, IssueCode::Empty));
    }
}

fn sections(format: Format, text: &str) -> (Directory, Vec<DirectoryIssue>) {
    Directory::build(layout(format), vec![FileEntry::file("0001_a.sql", text)])
}

#[test]
fn sections_of_a_file() {
    let text = "CREATE TABLE t(a);\n-- whimbrel: down\nDROP TABLE t;\n\n  -- whimbrel: verify\r\nSELECT 1;\n";
    let (directory, issues) = sections(Format::Own, text);
    let migration = &directory.migrations[0];
    let part = |part: &Option<crate::migration::SourceText>| {
        part.as_ref().map(|part| (part.text.clone(), part.lines_before))
    };
    assert_eq!(migration.up.text, "CREATE TABLE t(a);\n");
    assert_eq!(part(&migration.down), Some(("DROP TABLE t;\n\n".to_owned(), 2)));
    assert_eq!(part(&migration.verify), Some(("SELECT 1;\n".to_owned(), 5)));
    assert!(issues.is_empty());

    // A line inside a string or a comment is no marker.
    for text in ["SELECT '\n-- whimbrel: down\n';\n", "/*\n-- whimbrel: down\n*/ SELECT 1;\n"] {
        let (directory, issues) = sections(Format::Own, text);
        assert_eq!(directory.migrations[0].up.text, text);
        assert!(directory.migrations[0].down.is_none() && issues.is_empty());
    }
    for (text, want) in [
        ("-- whimbrel: down\n-- whimbrel: down\n", "has a second `down` section in line 2"),
        (
            "a\n-- whimbrel: verify\n-- whimbrel: down\n-- whimbrel: verify",
            "has a second `verify` section in line 4",
        ),
    ] {
        let (_, issues) = sections(Format::Own, text);
        assert!(issues.iter().any(|issue| issue.message.ends_with(want)), "{issues:?}");
    }
    let (_, issues) = sections(Format::Wrangler, "SELECT 1;\n-- whimbrel: down\nSELECT 2;");
    assert_eq!(
        issues[0].message,
        "wrangler would run the `down` section of `migrations/0001_a.sql`, line 2"
    );
    assert_eq!(issues[0].hint.as_deref(), Some("Move it to `whimbrel/0001_a.down.sql`"));

    let both = vec![
        FileEntry::file("1_a.sql", "SELECT 1;\n-- whimbrel: down\nSELECT 2;"),
        FileEntry::file("1_a.down.sql", SQL),
    ];
    let (_, issues) = Directory::build(layout(Format::Own), both);
    assert_eq!(
        issues[0].message,
        "`migrations/1_a.down.sql` and `migrations/1_a.sql` both hold a `down`"
    );

    let nested = vec![
        FileEntry::file("1_a.sql", SQL),
        FileEntry::file("1_a.down.sql", "SELECT 1;\n-- whimbrel: verify\n"),
    ];
    let (_, issues) = Directory::build(layout(Format::Own), nested);
    assert_eq!(issues[0].message, "`migrations/1_a.down.sql` has a `verify` section in line 2");
}

#[test]
fn a_missing_down_is_said_when_asked() {
    let (directory, issues) = build(Format::Wrangler, &["0001_a.sql", "whimbrel:0002_b.data.sql"]);
    assert!(issues.is_empty());
    let [issue] = directory.missing_down().try_into().unwrap();
    assert_eq!(issue.message, "`migrations/0001_a.sql` has no way back");
    assert_eq!(issue.hint.as_deref(), Some("Write it into `whimbrel/0001_a.down.sql`"));
}

#[test]
fn migrations_are_found_by_what_people_type() {
    let (directory, _) = build(Format::Own, &["0003_a.sql", "0003_a.data.sql", "0003b_b.sql"]);
    for (text, want) in [
        ("0003_a.sql", &["0003_a.sql"][..]),
        ("3", &["0003_a.sql", "0003_a.data.sql"]),
        ("0003", &["0003_a.sql", "0003_a.data.sql"]),
        ("3b", &["0003b_b.sql"]),
        ("0003b_b", &["0003b_b.sql"]),
        ("3c", &[]),
        ("", &[]),
        ("b", &[]),
    ] {
        let got: Vec<_> = directory.find(text).iter().map(|m| m.id.file_name.as_str()).collect();
        assert_eq!(got, want, "{text}");
    }
}

#[test]
fn the_next_migration_gets_a_name() {
    let now = "20261121100000";
    for (format, names, name, want) in [
        (Format::Own, &[][..], "Add owner", "0001_add_owner.sql"),
        (Format::Own, &["0009_a.sql"], "x", "0010_x.sql"),
        (Format::Own, &["9999_a.sql"], "x", "10000_x.sql"),
        (Format::Own, &["1_a.sql", "2_b.sql"], "x", "3_x.sql"),
        (Format::Own, &["007_a.sql"], "x", "008_x.sql"),
        (Format::Own, &["20240101000000_a.sql"], "x", "20261121100000_x.sql"),
        (Format::Own, &["20301231235959_a.sql"], "x", "20301231235960_x.sql"),
        (Format::Supabase, &[], "--Hello,  World!--", "20261121100000_hello_world.sql"),
        (Format::Wrangler, &["0001_a.sql", "whimbrel:0005_b.data.sql"], "x", "0006_x.sql"),
    ] {
        let (directory, _) = build(format, names);
        assert_eq!(directory.new_file_name(name, Kind::Schema, now).unwrap(), want);
    }
    let (directory, _) = build(Format::Own, &[]);
    assert_eq!(directory.new_file_name("c", Kind::Data, now).unwrap(), "0001_c.data.sql");
    for name in ["", "---", "größe".replace(['g', 'r', 'e'], "").as_str(), "../.."] {
        assert!(matches!(slug(name), Err(NameError::NothingLeft(_))), "{name}");
    }
    let (directory, _) = build(Format::Supabase, &[]);
    for now in ["", "2026", "2026112110000x", "99991121100000"] {
        assert!(directory.next_number(now).is_err(), "{now}");
    }
    let nested = Layout { pattern: Pattern::parse("*/migration.sql"), ..layout(Format::Wrangler) };
    let (directory, _) =
        Directory::build(nested, vec![FileEntry::file("0000_a/migration.sql", SQL)]);
    assert_eq!(directory.new_file_name("b", Kind::Schema, now).unwrap(), "0001_b/migration.sql");
}

#[test]
fn many_files_do_not_take_quadratic_time() {
    let files = |suffix: &str| {
        (0..10_000)
            .map(|n| FileEntry::file(format!("{n:05}_m{suffix}.sql"), SQL))
            .collect::<Vec<_>>()
    };
    let mut entries = files("");
    entries.extend(files(".down"));
    entries.extend(files("x.down"));
    let start = std::time::Instant::now();
    let (directory, issues) = Directory::build(layout(Format::Own), entries);
    assert_eq!((directory.migrations.len(), issues.len()), (10_000, 10_000));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn any_folder_becomes_a_directory(
        names in prop::collection::vec("[0-9a-bA-B_. ~'\u{e9}\u{663}]{0,8}(\\.data)?(\\.down)?(\\.sql)?", 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        for format in [Format::Own, Format::Wrangler, Format::Supabase] {
            let entries: Vec<FileEntry> = names
                .iter()
                .flat_map(|name| {
                    [FileEntry::file(name, bytes.clone()), FileEntry::companion(name, SQL)]
                })
                .collect();
            let count = entries.len();
            let (directory, issues) = Directory::build(layout(format), entries);
            // Nothing is passed over: each entry is a migration, a part of one, or an issue.
            let parts = directory.migrations.iter().map(|m| {
                1 + usize::from(m.down.is_some()) + usize::from(m.verify.is_some())
            });
            prop_assert!(parts.sum::<usize>() + issues.len() + directory.unreadable.len() >= count);
            let sorted = directory.migrations.is_sorted_by(|a, b| a.id <= b.id);
            prop_assert!(sorted);
            let number = directory.next_number("20261121100000");
            let number = number.unwrap();
            prop_assert!(directory.ids().all(|id| id.number.is_absent() || number > id.number));
        }
    }

    #[test]
    fn a_slug_can_be_read_back(name in "\\PC{0,40}", number in 0u64..1_000_000) {
        if let Ok(slug) = slug(&name) {
            let file = format!("{number:04}_{slug}.sql");
            let said = read(&layout(Format::Own), &file);
            prop_assert_eq!(said, format!("schema {number:04}||{slug}"));
        }
    }
}
