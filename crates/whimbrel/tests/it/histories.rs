//! Each history of `fixtures/histories` ends in the same schema and rows with Whimbrel as with the
//! database's own client, one process per file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(feature = "mysql")]
use whimbrel_testkit::database::fresh_mariadb;
#[cfg(feature = "postgres")]
use whimbrel_testkit::database::fresh_postgres;
use whimbrel_testkit::database::{TestDatabase, fresh_sqlite};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

const GROUPS: [&str; 3] = ["--group=auto", "--group=never", "--group=always"];

/// How a kind of database is used by its own client, and what its dumps do not show.
struct Kind {
    prefix: &'static str,
    fresh: fn(&str) -> Option<TestDatabase>,
    client_options: &'static [&'static str],
    extras: &'static str,
}

const SQLITE: Kind = Kind {
    prefix: "sqlite-",
    fresh: |_| Some(fresh_sqlite()),
    client_options: &[],
    extras: "PRAGMA user_version; PRAGMA application_id; PRAGMA foreign_key_check; \
             PRAGMA integrity_check; SELECT type, name FROM sqlite_schema \
             WHERE tbl_name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' AND name NOT IN ('sqlite_sequence', 'sqlite_stat4') \
             ORDER BY 1, 2;",
};

#[cfg(feature = "postgres")]
const POSTGRES: Kind = Kind {
    prefix: "postgres-",
    fresh: fresh_postgres,
    client_options: &[],
    extras: "SELECT n.nspname, c.relname, c.relacl, c.relrowsecurity FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN \
             ('pg_catalog', 'pg_toast', 'information_schema', 'whimbrel') ORDER BY 1, 2; \
             SELECT nspname, nspacl FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' \
             AND nspname <> 'whimbrel' ORDER BY 1; \
             SELECT c.relname, i.indisvalid, i.indisclustered FROM pg_index i \
             JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'whimbrel') ORDER BY 1;",
};

#[cfg(feature = "mysql")]
const MARIADB: Kind = Kind {
    prefix: "mariadb-",
    fresh: fresh_mariadb,
    client_options: &["--default-character-set=utf8mb4"],
    extras: "SELECT event_name, event_definition, interval_value, interval_field, status, sql_mode \
             FROM information_schema.events WHERE event_schema = DATABASE() ORDER BY 1; \
             SELECT table_name, table_collation, create_options FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name NOT LIKE 'whimbrel\\_%' ORDER BY 1; \
             SELECT routine_name, sql_mode, character_set_client FROM information_schema.routines \
             WHERE routine_schema = DATABASE() ORDER BY 1; \
             SELECT trigger_name, sql_mode FROM information_schema.triggers \
             WHERE trigger_schema = DATABASE() ORDER BY 1;",
};

#[test]
fn sqlite_histories_end_as_with_sqlite3() {
    check_all(&SQLITE);
}

#[cfg(feature = "postgres")]
#[test]
fn postgres_histories_end_as_with_psql() {
    check_all(&POSTGRES);
}

#[cfg(feature = "mysql")]
#[test]
fn mariadb_histories_end_as_with_mariadb() {
    check_all(&MARIADB);
}

/// Applies each history in every way, and says which of them end otherwise.
fn check_all(kind: &Kind) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/histories");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| file_name(path).starts_with(kind.prefix));
    folders.sort();
    assert!(folders.len() >= 4, "{folders:?}");
    let mut wrong = Vec::new();
    for folder in folders {
        let Some(expected) = (kind.fresh)("by_client") else { return };
        by_client(kind, &expected, &folder);
        for group in GROUPS {
            if let Err(problem) = check(kind, &folder, &expected, group) {
                wrong.push(format!("==== {} {group}\n{problem}", file_name(&folder)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(kind: &Kind, folder: &Path, expected: &TestDatabase, group: &str) -> Result<(), String> {
    let Some(database) = (kind.fresh)("by_whimbrel") else { return Ok(()) };
    let project = Project::new();
    project.folder("migrations");
    for file in sql_files(folder) {
        let bytes = std::fs::read(&file).unwrap();
        project.bytes(&format!("migrations/{}", file_name(&file)), &bytes);
    }
    let whimbrel = Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path())
        .env("DATABASE_URL", &database.url);
    let run = |arguments: &[&str]| {
        let output = whimbrel.run(arguments);
        if output.code == Some(0) { Ok(output) } else { Err(format!("{arguments:?}\n{output}")) }
    };
    run(&["up", group])?;
    same("schema", &expected.schema(), &database.schema())?;
    same("rows", &expected.rows(), &database.rows())?;
    same("extras", &extras(kind, expected), &extras(kind, &database))?;
    run(&["verify"])?;
    let again = run(&["up", group])?;
    if !again.stdout.contains("Nothing to do") {
        return Err(format!("a second `up`:\n{again}"));
    }
    run(&["status", "--check"])?;
    same("schema after a second `up`", &expected.schema(), &database.schema())
}

fn extras(kind: &Kind, database: &TestDatabase) -> String {
    let found = database.query(kind.extras).replace(&database.name, "DATABASE");
    let sequences = "SELECT name, seq FROM sqlite_sequence \
                     WHERE name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' ORDER BY 1;";
    match kind.prefix {
        "sqlite-" => {
            format!("{found}\n{}", database.try_query(sequences).unwrap_or_default())
        }
        _ => found,
    }
}

/// Runs each file in a process of the client's own.
fn by_client(kind: &Kind, database: &TestDatabase, folder: &Path) {
    for file in sql_files(folder) {
        let mut command: Command = database.client_command();
        command.args(kind.client_options).stdin(Stdio::from(File::open(&file).unwrap()));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", file.display());
    }
}

fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let missing = expected.lines().filter(|line| !found.lines().any(|other| other == *line));
    let added = found.lines().filter(|line| !expected.lines().any(|other| other == *line));
    let lines: Vec<String> = missing
        .map(|line| format!("- {line}"))
        .chain(added.map(|line| format!("+ {line}")))
        .collect();
    Err(format!("{what} differs ({} lines):\n{}", lines.len(), lines.join("\n")))
}

/// The history's files, by number, suffix and name.
fn sql_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort_by_key(|path| {
        let name = file_name(path);
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = name[..digits].parse().unwrap();
        let suffix: String =
            name[digits..].chars().take_while(char::is_ascii_alphanumeric).collect();
        (number, suffix, name)
    });
    files
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
