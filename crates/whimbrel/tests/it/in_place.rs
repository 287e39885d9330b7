//! Backups of SQLite databases, restored into the place of the present one.

use std::process::{Command, Stdio};

use whimbrel_engine::failpoint;
use whimbrel_testkit::database::TestDatabase;

use crate::backup::{Bench, dump};

/// A database with pages enough for several pieces, a backup of it, and rows written since: three
/// that are lost with a restore.
struct Saved {
    bench: Bench,
    id: String,
    /// All but Whimbrel's own tables, as it was saved and as it is now.
    old: String,
    now: String,
}

/// The phrase for the rows that [`Saved`] has written since.
const PHRASE: &str = "LOSE 3 ROWS";

impl Saved {
    fn new(mode: &str) -> Saved {
        let bench = Bench::empty();
        bench.file(
            "migrations/0001_all.sql",
            "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE);\n\
             CREATE TABLE pairs (a TEXT, b TEXT, PRIMARY KEY (a)) WITHOUT ROWID;\n\
             CREATE TABLE big (id INTEGER PRIMARY KEY, v);\n",
        );
        bench.database.query(&format!(
            "PRAGMA page_size = 512; PRAGMA journal_mode = {mode}; \
                                 CREATE TABLE first (x); DROP TABLE first;"
        ));
        bench.whimbrel().run(["up"]).success();
        bench.database.query(
            "INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob'), (3, NULL);
             INSERT INTO pairs VALUES ('x', '1');
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO big SELECT i, zeroblob(450) FROM n;",
        );
        let id = bench.create(&["--no-encrypt"]);
        let old = rows(&bench.database);
        bench.database.query(
            "UPDATE people SET name = 'ADA' WHERE id = 1; DELETE FROM people WHERE id = 2;
             INSERT INTO pairs VALUES ('y', '2');",
        );
        let now = rows(&bench.database);
        assert_ne!(old, now);
        Saved { bench, id, old, now }
    }

    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["backup", "restore", &self.id, "--in-place"], more].concat()
    }
}

/// All rows of the user's tables, and that nothing is wrong with the file.
fn rows(database: &TestDatabase) -> String {
    assert_eq!(database.query("PRAGMA integrity_check").trim(), "ok");
    database.query(
        "SELECT * FROM people; SELECT * FROM pairs; SELECT count(*), sum(length(v)) FROM big;
         SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'whimbrel%' ORDER BY name;",
    )
}

fn number(database: &TestDatabase, sql: &str) -> i64 {
    database.query(sql).trim().parse().expect("a number")
}

const TOKEN: &str = "SELECT token FROM whimbrel_fence";

#[test]
fn the_saved_database_takes_the_place_of_the_present_one_and_back() {
    for mode in ["DELETE", "WAL"] {
        let saved = Saved::new(mode);
        let database = &saved.bench.database;
        let dry = saved.bench.whimbrel().run(saved.words(&["--dry-run"])).success();
        assert!(dry.stderr.contains("people: 1 row changed, 1 row removed"), "{dry}");
        assert!(dry.stderr.contains("pairs: 1 row added"), "{dry}");
        let without = saved.bench.whimbrel().run(saved.words(&[])).expect_code(6);
        assert!(without.stderr.contains(PHRASE), "{without}");
        let other = saved.words(&["--confirm", "LOSE 2 ROWS"]);
        saved.bench.whimbrel().run(other).expect_code(6);
        assert_eq!(rows(database), saved.now);

        // A run that the backup does not know of.
        saved.bench.file("migrations/0002_late.sql", "CREATE TABLE late (id INTEGER);\n");
        saved.bench.whimbrel().run(["up"]).success();
        let (token, runs) = (number(database, TOKEN), number(database, RUNS));
        let restore = saved.words(&["--confirm", PHRASE]);
        let done = saved.bench.whimbrel().run(restore).success();
        assert!(done.stdout.contains("Restored"), "{done}");
        assert_eq!(rows(database), saved.old);
        assert_eq!(number(database, RUNS), runs + 2, "the runs of both, and this one");
        assert!(number(database, TOKEN) > token + 1, "above the restore's own token");
        assert_eq!(database.query("SELECT owner, expires_ms FROM whimbrel_lease").trim(), "NULL|0");
        let audit = "SELECT count(*) FROM whimbrel_audit WHERE action = 'restore'";
        assert_eq!(number(database, audit), 1);
        assert_eq!(database.query("PRAGMA journal_mode").trim(), mode.to_lowercase());
        let status = saved.bench.whimbrel().run(["status"]).success();
        assert!(status.stdout.contains("1 applied, 1 pending"), "{status}");

        // Somebody works with it, and then it is taken back.
        saved.bench.whimbrel().run(["up"]).success();
        database.query("INSERT INTO people VALUES (9, 'since the restore')");
        let back = saved.words(&["--take-back"]);
        let asked = saved.bench.whimbrel().run(back).expect_code(6);
        assert!(asked.stderr.contains("LOSE 1 ROWS"), "{asked}");
        let token = number(database, TOKEN);
        let back = saved.words(&["--take-back", "--confirm", "LOSE 1 ROWS"]);
        saved.bench.whimbrel().run(back).success();
        let late = "CREATE TABLE late (id INTEGER)\n";
        assert_eq!(rows(database).replace(late, ""), saved.now);
        assert!(number(database, TOKEN) > token + 1);
        saved.bench.whimbrel().run(["status", "--check"]).success();
        saved.bench.whimbrel().run(["verify"]).success();
    }
}

const RUNS: &str = "SELECT count(*) FROM whimbrel_runs";

#[test]
fn a_kill_anywhere_leaves_the_old_one_or_the_new_one() {
    for mode in ["DELETE", "WAL"] {
        for (at, name) in failpoint::IN_PLACE.iter().enumerate() {
            // What comes before the pages has nothing to do with the journal's mode.
            if mode == "WAL" && !(4..7).contains(&at) {
                continue;
            }
            let saved = Saved::new(mode);
            let database = &saved.bench.database;
            let restore = saved.words(&["--confirm", PHRASE]);
            let killed = saved.bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(&restore);
            assert_eq!(killed.signal, Some(9), "{name}: {killed}");
            let new = at >= 6;
            let case = format!("{mode} {name}");
            assert_eq!(rows(database) == saved.old, new, "{case}");
            assert_eq!(rows(database) == saved.now, !new, "{case}");
            let status = saved.bench.whimbrel().run(["status"]).success();
            let seen = status.stdout.contains(&saved.id) && status.stdout.contains("interrupted");
            assert_eq!(seen, (1..7).contains(&at), "{case}: {status}");
            if at % 2 == 0 {
                // The same command goes on, or finds it done.
                let again = saved.bench.whimbrel().run(&restore).success();
                assert_eq!(again.stdout.contains("Nothing to do"), name == &"in_place.replaced");
                assert_eq!(rows(database), saved.old, "{case}");
            } else if at > 0 {
                let back = saved.words(&["--take-back"]);
                saved.bench.whimbrel().run(back).success();
                assert_eq!(rows(database), saved.now, "{case}");
            }
            let status = saved.bench.whimbrel().run(["status"]).success();
            assert!(!status.stdout.contains("interrupted"), "{case}: {status}");
            // The lease of the dead run is in nobody's way.
            saved.bench.file("migrations/0002_next.sql", "CREATE TABLE next (id INTEGER);\n");
            saved.bench.whimbrel().run(["up", "--wait", "0s"]).success();
            assert_eq!(number(database, "SELECT count(*) FROM next"), 0);
        }
    }
}

#[test]
fn a_killed_way_back_goes_on_with_the_same_command() {
    for (at, name) in failpoint::IN_PLACE.iter().enumerate() {
        let saved = Saved::new("WAL");
        let database = &saved.bench.database;
        saved.bench.whimbrel().run(saved.words(&["--confirm", PHRASE])).success();
        let back = saved.words(&["--take-back"]);
        let killed = saved.bench.whimbrel().env("WHIMBREL_FAILPOINT", name).run(&back);
        assert_eq!(killed.signal, Some(9), "{name}: {killed}");
        let is_back = at >= 6;
        assert_eq!(rows(database) == saved.now, is_back, "{name}");
        if name == &"in_place.done" {
            // That one is over: the same words would take back what it did.
            continue;
        }
        let again = saved.bench.whimbrel().run(&back).success();
        assert_eq!(again.stdout.contains("Nothing to do"), is_back, "{name}: {again}");
        assert_eq!(rows(database), saved.now, "{name}");
        let status = saved.bench.whimbrel().run(["status"]).success();
        assert!(!status.stdout.contains("interrupted"), "{name}: {status}");
    }
}

#[test]
fn others_are_locked_out_and_what_they_hold_open_is_waited_for() {
    let saved = Saved::new("WAL");
    let mut other = Command::new("sqlite3")
        .arg(&saved.bench.database.name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3");
    let input = other.stdin.as_mut().expect("a pipe");
    std::io::Write::write_all(input, b"SELECT count(*) FROM people;\n").expect("written");
    let mut line = [0; 2];
    let output = other.stdout.as_mut().expect("a pipe");
    std::io::Read::read_exact(output, &mut line).expect("an answer");
    let restore = saved.words(&["--confirm", PHRASE]);
    let open = saved.bench.whimbrel().run(&restore).expect_code(2);
    assert!(open.stderr.contains("Another process has"), "{open}");
    assert_eq!(rows(&saved.bench.database), saved.now);
    drop(other.stdin.take());
    other.wait().expect("its end");

    // While the rows are counted and replaced nobody can write.
    let stopped = saved
        .bench
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", "in_place.prepared")
        .env("WHIMBREL_FAILPOINT_ACTION", "sleep:1500")
        .spawn(&restore);
    let restores = saved.bench.at(".whimbrel/restores");
    while !restores.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let writer = Command::new("sqlite3")
        .args([&saved.bench.database.name, "INSERT INTO people VALUES (77, 'lost?')"])
        .output()
        .expect("sqlite3");
    assert!(String::from_utf8_lossy(&writer.stderr).contains("locked"), "{writer:?}");
    stopped.wait().success();
    assert_eq!(rows(&saved.bench.database), saved.old);
}

#[test]
fn what_is_not_of_this_database_is_refused() {
    let (saved, other) = (Saved::new("DELETE"), Saved::new("DELETE"));
    let folder = other.bench.at(".whimbrel/backups").display().to_string();
    let signer = other.bench.signer();
    let foreign =
        ["backup", "restore", &other.id, "--in-place", "--dir", &folder, "--signer", &signer];
    let refused = saved.bench.whimbrel().run(foreign).expect_code(2);
    assert!(refused.stderr.contains("is not one of this database"), "{refused}");
    assert!(refused.stderr.contains("--to"), "{refused}");
    let unsigned = saved.bench.whimbrel().run(&foreign[..6]).expect_code(1);
    assert!(unsigned.stderr.contains("signed with the key"), "{unsigned}");
    // Neither is a database without a ledger, nor one that is not there.
    for name in ["empty.db", "none.db"] {
        let path = saved.bench.at(name);
        if name == "empty.db" {
            let made = Command::new("sqlite3").arg(&path).arg("CREATE TABLE t (a)").status();
            assert!(made.expect("sqlite3").success());
        }
        let url = format!("sqlite:{}", path.display());
        let restore = saved.words(&[]);
        let refused = saved.bench.whimbrel().env("DATABASE_URL", url).run(restore).expect_code(2);
        assert!(refused.stderr.contains("is not one of this database"), "{refused}");
    }
    assert!(!saved.bench.at("none.db").exists());
    // A damaged one, and one that no key opens.
    let chunk = saved.bench.at(&format!(".whimbrel/backups/{}/chunks/000001.zst", saved.id));
    let mut bytes = std::fs::read(&chunk).expect("a chunk");
    bytes[100] ^= 1;
    std::fs::write(&chunk, bytes).expect("written");
    let damaged = saved.bench.whimbrel().run(saved.words(&["--yes"])).expect_code(1);
    assert!(damaged.stderr.contains("000001.zst"), "{damaged}");
    assert_eq!(rows(&saved.bench.database), saved.now);
    let left = saved.bench.files();
    assert!(!left.iter().any(|file| file.contains(".tmp-") || file.contains("restores")));
}

/// Pages of another size, a schema that has changed, columns and tables that came since.
#[test]
fn a_changed_schema_goes_back_too() {
    let saved = Saved::new("WAL");
    let database = &saved.bench.database;
    saved.bench.file(
        "migrations/0002_more.sql",
        "ALTER TABLE people ADD COLUMN age INTEGER DEFAULT 5;\n\
         CREATE TABLE extra (id INTEGER PRIMARY KEY);\n\
         CREATE VIRTUAL TABLE notes USING fts5 (body);\n",
    );
    saved.bench.whimbrel().run(["up"]).success();
    database.query("PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM;");
    database.query("PRAGMA journal_mode = WAL; UPDATE people SET age = 7 WHERE id = 3;");
    database.query("INSERT INTO extra VALUES (1), (2); INSERT INTO notes VALUES ('a note');");
    let dry = saved.bench.whimbrel().run(saved.words(&["--dry-run", "--json"])).success();
    let value: serde_json::Value = serde_json::from_str(&dry.stdout).expect("JSON");
    assert_eq!(value["rows"], 7, "{dry}");
    let restore = saved.words(&["--confirm", "LOSE 7 ROWS"]);
    saved.bench.whimbrel().run(restore).success();
    assert_eq!(rows(database), saved.old);
    assert_eq!(database.query("PRAGMA page_size").trim(), "512");
}

/// Nothing was written since: nothing is asked, and all comes back but the ledger's own rows.
#[test]
fn without_rows_to_lose_nothing_is_asked() {
    let bench = Bench::new();
    let before = dump(&bench.database);
    let id = bench.create(&["--no-encrypt"]);
    bench.whimbrel().run(["backup", "restore", &id, "--in-place"]).success();
    let lines = |text: &str| -> Vec<String> {
        let own = ["INSERT INTO whimbrel_runs", "INSERT INTO whimbrel_audit"];
        let kept = |line: &&str| !own.iter().any(|start| line.starts_with(start));
        text.lines().filter(kept).map(str::to_owned).collect()
    };
    assert_eq!(lines(&dump(&bench.database)), lines(&before));
}

/// Wherever the disk is full: the old database, or the new one, and nothing in between.
#[test]
fn a_full_disk_leaves_the_old_one() {
    let saved = Saved::new("WAL");
    let database = &saved.bench.database;
    let program = env!("CARGO_BIN_EXE_whimbrel");
    let (mut failed, mut done) = (0, 0);
    // The files are between three and four megabytes; `ulimit` counts in 512 bytes.
    for blocks in [2_000, 6_000, 6_500, 6_700, 6_900, 7_100, 7_300, 7_500, 9_000] {
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; \
             exec '{program}' backup restore {} --in-place --confirm '{PHRASE}'",
            saved.id
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("DATABASE_URL", &database.url)
            .current_dir(saved.bench.at("."))
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            assert_eq!(rows(database), saved.old, "{blocks}: {said}");
            done += 1;
            break;
        }
        failed += 1;
        assert!(output.status.code().is_some(), "{blocks}: {said}");
        assert_eq!(rows(database), saved.now, "{blocks}: {said}");
        let status = saved.bench.whimbrel().run(["status"]).success();
        assert!(!status.stdout.contains("interrupted"), "{blocks}: {status}");
    }
    assert!(failed > 1 && done == 1, "{failed} failed, {done} done");
}

/// The local file of a D1 database, and wrangler's own history in it.
#[test]
fn a_local_d1_database_goes_back_too() {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/d1-webapp");
    let project = whimbrel_testkit::project::Project::copy_of(example);
    let whimbrel =
        whimbrel_testkit::run::Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path());
    whimbrel.run(["up", "--steps", "10"]).success();
    let created = whimbrel.run(["backup", "create", "--no-encrypt", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&created.stdout).expect("JSON");
    let id = value["data"]["manifest"]["id"].as_str().expect("an id");
    let applied = whimbrel.run(["status"]).success();
    whimbrel.run(["up"]).success();
    let restore = ["backup", "restore", id, "--in-place", "--yes"];
    whimbrel.run(restore).success();
    let counts = |text: &str| text.lines().last().map(str::to_owned);
    let status = whimbrel.run(["status"]).success();
    assert_eq!(counts(&status.stdout), counts(&applied.stdout), "{status}");
    whimbrel.run(["up"]).success();
    whimbrel.run(["verify"]).success();
}
