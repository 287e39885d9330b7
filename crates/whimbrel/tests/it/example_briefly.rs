//! `examples/briefly`: from one PostgreSQL database to another, with everything around it.

use std::path::Path;

use serde_json::Value;
use whimbrel_testkit::database::{TestDatabase, fresh_postgres};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

use crate::guide;

/// The new application's tables, with how many rows the old backend has of each.
const TABLES: [(&str, i64); 8] = [
    ("users", 101),
    ("file_metadata", 201),
    ("document_chunks", 1000),
    ("conversations", 160),
    ("chat_messages", 601),
    ("oauth_tokens", 121),
    ("usage_logs", 500),
    ("user_settings", 100),
];
/// How many of them cannot be moved as they are.
const BROKEN: [i64; 8] = [1, 1, 0, 0, 1, 1, 0, 0];

/// The example with an empty database for the new application and one for the old backend.
struct Briefly {
    project: Project,
    new: TestDatabase,
    old: TestDatabase,
}

impl Briefly {
    fn begin() -> Option<Briefly> {
        let (new, old) = (fresh_postgres("briefly")?, fresh_postgres("backend")?);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/briefly");
        Some(Briefly { project: Project::copy_of(folder), new, old })
    }

    /// As far as the page is before it validates.
    fn filled() -> Option<Briefly> {
        let briefly = Briefly::begin()?;
        briefly.old.query(&briefly.project.read("legacy/schema.sql"));
        let rows = briefly.project.read("README.md");
        let mut lines = rows.lines();
        let fake = lines.find(|line| line.starts_with("whimbrel --env legacy fake"));
        let fake = fake.expect("a command");
        briefly.run(fake.split_whitespace().skip(1).collect::<Vec<_>>().as_slice(), 0);
        briefly.old.query(&briefly.project.read("legacy/broken.sql"));
        briefly.run(&["up", "--to", "0001"], 0);
        Some(briefly)
    }

    fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(Path::new(env!("CARGO_BIN_EXE_whimbrel")), self.project.path())
            .env("DATABASE_URL", &self.new.url)
            .env("LEGACY_URL", &self.old.url)
            .env("MIGRATION_BATCH_SIZE", "100")
            .env("MIGRATION_RETRY_DELAY", "40")
    }

    fn run(&self, arguments: &[&str], code: i32) -> Output {
        self.whimbrel().run(arguments).expect_code(code)
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), code);
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    /// How many rows each of the new tables has.
    fn counts(&self) -> Vec<i64> {
        TABLES.iter().map(|(table, _)| count(&self.new, table)).collect()
    }
}

fn count(database: &TestDatabase, table: &str) -> i64 {
    let rows = database.query(&format!("SELECT count(*) FROM {table}"));
    rows.trim().parse().expect("a number")
}

/// What should be in the new tables when all that can be moved was moved.
fn moved() -> Vec<i64> {
    TABLES.iter().zip(BROKEN).map(|((_, rows), broken)| rows - broken).collect()
}

#[test]
fn the_readme_can_be_followed() {
    let Some(briefly) = Briefly::begin() else { return };
    let Briefly { project, new, old } = &briefly;
    let variables = [("DATABASE_URL", new.url.as_str()), ("LEGACY_URL", old.url.as_str())];
    let output = guide::follow(&project.read("README.md"), project.path(), &variables);
    assert!(output.stdout.contains("Made 2780 rows in 8 tables"), "{output}");
    assert!(output.stdout.contains("4 violations"), "{output}");
    assert!(output.stdout.contains("The account holds"), "{output}");
    assert!(output.stdout.contains("source `legacy` unchanged since"), "{output}");
    assert!(output.stdout.contains("target holds what was read"), "{output}");
    // Four rows went into quarantine, each once.
    let aside = project.read("quarantine.ndjson");
    let keys = ["0001", "0002", "0003"].map(|end| format!("00000000-0000-4000-8000-00000000{end}"));
    assert_eq!(aside.lines().count(), 4, "{aside}");
    assert!(keys.iter().all(|key| aside.contains(key)), "{aside}");
    assert!(aside.contains("oauth_tokens_user_id_fkey"), "{aside}");
    // In the end all is taken back but the row that was changed since.
    assert_eq!(new.query("SELECT email FROM users").trim(), "nobody@example.com");
    assert_eq!(count(new, "chat_messages"), 0);
    assert_eq!(count(old, "users"), 101);
}

#[test]
fn both_databases_are_judged_and_nothing_is_written() {
    let Some(briefly) = Briefly::filled() else { return };
    let before = (briefly.old.rows(), briefly.new.rows());
    let validated = briefly.json(&["--env", "legacy", "validate"], 3);
    let data = &validated["data"];
    let all = [&data["tables"], &data["checks"]].map(|part| part.as_array().expect("a list"));
    let mut found = Vec::new();
    for judged in all.into_iter().flatten() {
        for broken in judged["broken"].as_array().expect("a list") {
            let first = &broken["first"][0];
            let said = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            found.push([
                said(&judged["name"]),
                said(&broken["rule"]),
                said(&first["key"][0]["value"]),
                said(&first["column"]),
                said(&first["value"]),
            ]);
        }
    }
    let key = |end| format!("00000000-0000-4000-8000-00000000000{end}");
    let (user, file, message) = (key(1), key(2), key(3));
    let wanted = [
        ["file_metadata", "json-schema required at /required", &file, "filename", "NULL"],
        [
            "users",
            "json-schema format at /properties/email/format",
            &user,
            "email",
            "nobody at example.com",
        ],
        ["legacy/checks/orphans.sql", "file orphans", "121", "-", "-"],
        ["legacy/checks/roles.sql", "file roles", &message, "-", "-"],
    ];
    assert_eq!(found, wanted, "{validated}");
    // The same rows, as the statements make them and the new tables take them.
    let tried = briefly.json(&["up", "--to", "0002", "--dry-run"], 3);
    let statements = tried["data"]["tried"][0]["statements"].as_array().expect("a list");
    for (name, wanted) in [
        ("rows_bad", BROKEN.to_vec()),
        ("rows_read", TABLES.iter().map(|(_, rows)| *rows).collect()),
        ("rows_written", moved()),
    ] {
        let said: Vec<i64> =
            statements.iter().map(|one| one[name].as_i64().expect("a number")).collect();
        assert_eq!(said, wanted, "{name}: {tried}");
    }
    let reasons: Vec<i64> =
        statements.iter().map(|one| one["bad"].as_array().expect("a list").len() as i64).collect();
    assert_eq!(reasons, BROKEN, "{tried}");
    assert_eq!((briefly.old.rows(), briefly.new.rows()), before);
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let Some(briefly) = Briefly::filled() else { return };
    let before = briefly.old.rows();
    let (all, mut done) = (moved().iter().sum::<i64>(), 0);
    for point in ["batch.after_commit:2", "batch.before_commit:9", "batch.after_statement:5"] {
        let killed =
            briefly.whimbrel().env("WHIMBREL_FAILPOINT", point).run(["up", "--to", "0002"]);
        assert_eq!(killed.code, None, "{point}: {killed}");
        let now: i64 = briefly.counts().iter().sum();
        assert!(now > done && now < all, "{point}: {now} after {done}");
        done = now;
    }
    // Somebody holds a lock at the source: the batch waits, and is tried again.
    let holder = briefly.old.hold("LOCK TABLE usage_logs IN ACCESS EXCLUSIVE MODE");
    let running = briefly.whimbrel().spawn(["up", "--to", "0002", "--json"]);
    running.wait_until(|out, _| out.contains("\"event\":\"retrying\""));
    drop(holder);
    running.wait().success();
    assert_eq!(briefly.counts(), moved());
    let batches = "FROM whimbrel.batches WHERE migration = '0002_move.data.sql'";
    let most = briefly.new.query(&format!("SELECT max(rows_read), sum(rows_read) {batches}"));
    assert_eq!(most.trim(), "100|2784");
    // The values are those of the source: numbers with all their digits, documents, times.
    for sql in [
        "SELECT c.id, c.content, c.embedding FROM document_chunks c ORDER BY c.id",
        "SELECT s.user_id, s.settings FROM user_settings s ORDER BY s.user_id",
    ] {
        assert_eq!(briefly.new.query(sql), briefly.old.query(sql));
    }
    assert_eq!(
        briefly
            .new
            .query("SELECT id, created_at AT TIME ZONE 'UTC' FROM conversations ORDER BY id"),
        briefly.old.query("SELECT id, created_at FROM conversations ORDER BY id")
    );
    let account = briefly.json(&["account", "0002"], 3);
    for statement in account["data"]["statements"].as_array().expect("a list") {
        let ends = &statement["ends"];
        for kind in ["changed", "added", "gone", "target_changed", "target_gone"] {
            assert_eq!(ends[kind]["rows"], 0, "{account}");
        }
        assert!(ends["not_source"].is_null() && ends["not_target"].is_null(), "{account}");
    }
    briefly.run(&["up"], 2);
    assert_eq!(briefly.old.rows(), before, "the source is only read");
}

#[test]
fn the_breaker_opens_when_most_rows_are_bad() {
    let Some(briefly) = Briefly::filled() else { return };
    briefly.old.query("UPDATE users SET email = 'none' || id");
    let text = briefly.project.read("migrations/0002_move.data.sql");
    briefly.project.file("migrations/0002_move.data.sql", &text.replace(" errors-max=50", ""));
    let up = briefly.run(&["up", "--to", "0002"], 1);
    assert!(up.stderr.contains("rows failed"), "{up}");
    assert_eq!(briefly.counts(), vec![0; 8]);
}
