//! `source=`: what was read is held against both ends after the last batch, and by `account`.

use serde_json::Value;
use whimbrel_testkit::run::Output;

use super::source::{begin, people, statement};
use super::{Ends, between, every_pair};

every_pair!(
    what_changed_at_the_source_is_named,
    what_changed_at_the_target_is_named,
    a_kill_in_the_final_pass_is_gone_on_from,
);

/// What `account --json` says of the first statement's ends.
fn account(ends: &Ends, code: i32) -> Value {
    let out = ends.whimbrel().run(["account", "0002", "--json"]).expect_code(code);
    let value: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let data = &value["data"];
    assert_eq!(data["holds"], true, "{out}");
    data["statements"][0]["ends"].clone()
}

fn file(ends: &Ends, directive: &str, rest: &str) {
    let text = statement(ends, directive, rest);
    ends.project.file("migrations/0002_people.data.sql", &text);
}

/// Kinds of differences with their keys, as they stand in JSON.
fn differences(found: &Value) -> Vec<(&'static str, u64, String)> {
    let kinds = ["changed", "added", "gone", "target_changed", "target_gone"];
    let one = |kind: &'static str| {
        let rows = found[kind]["rows"].as_u64().expect("a number");
        (kind, rows, found[kind]["keys"].to_string())
    };
    kinds.into_iter().map(one).filter(|(_, rows, _)| *rows > 0).collect()
}

fn kill(ends: &Ends, point: &str) -> Output {
    let killed = ends.whimbrel().env("WHIMBREL_FAILPOINT", point).run(["up"]);
    assert_eq!(killed.code, None, "{point}: {killed}");
    killed
}

fn what_changed_at_the_source_is_named(ends: &Ends) {
    begin(ends, 200);
    file(ends, "", "WHERE p.gone < 2");
    // Two batches of forty are there, and others go on writing at the source.
    kill(ends, "batch.after_commit:2");
    ends.source.query("UPDATE people SET last = 'new' WHERE id IN (17, 150)");
    ends.source.query("DELETE FROM people WHERE id = 18");
    ends.source.query("UPDATE people SET gone = 2 WHERE id = 19");
    ends.source.query("INSERT INTO people VALUES (-5, 'Late', 'One', 0), (900, 'Too', 'Late', 0)");
    let up = ends.whimbrel().run(["up"]).success().to_string();
    for line in ["source `legacy` changed since (200 rows then)", "1 row changed:", "id = 17"] {
        assert!(up.contains(line), "{line}: {up}");
    }
    // Each was written once, as it was read; what came behind the bound is not this run's.
    assert_eq!(people(ends), 200);
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 17").trim(), "F17 L'17");
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 150").trim(), "F150 new");
    let found = account(ends, 3);
    assert_eq!(
        differences(&found),
        [
            ("changed", 1, "[\"id = 17\"]".to_owned()),
            ("added", 1, "[\"id = -5\"]".to_owned()),
            ("gone", 2, "[\"id = 18\",\"id = 19\"]".to_owned()),
        ],
        "{found}"
    );
    assert_eq!((&found["batches"], &found["rows"]), (&5.into(), &200.into()));
    assert_eq!(found["target_rows"], 200);
    let kept = ends.whimbrel().run(["account", "0002", "--no-compare"]).expect_code(3);
    assert!(kept.stdout.contains("id = -5"), "{kept}");
    // Put back, it is the same again, and `account` says so.
    ends.source.query("UPDATE people SET last = 'L''17' WHERE id = 17");
    ends.source.query("INSERT INTO people VALUES (18, 'F18', 'L''18', 0)");
    ends.source.query("UPDATE people SET gone = 0 WHERE id = 19");
    ends.source.query("DELETE FROM people WHERE id = -5");
    assert_eq!(differences(&account(ends, 0)), []);
    let shown = ends.whimbrel().run(["account", "0002"]).success();
    assert!(shown.stdout.contains("source `legacy` unchanged since (200 rows)"), "{shown}");
    assert!(shown.stdout.contains("target holds what was read (200 rows)"), "{shown}");
}

fn what_changed_at_the_target_is_named(ends: &Ends) {
    begin(ends, 100);
    file(ends, "", "");
    ends.whimbrel().run(["up"]).success();
    assert_eq!(differences(&account(ends, 0)), []);
    ends.target.query("UPDATE persons SET name = 'x' WHERE id IN (33, 34)");
    ends.target.query("DELETE FROM persons WHERE id = 99");
    ends.target.query("INSERT INTO persons VALUES (5000, 'mine')");
    let found = account(ends, 3);
    assert_eq!(
        differences(&found),
        [
            ("target_changed", 2, "[\"id = 33\",\"id = 34\"]".to_owned()),
            ("target_gone", 1, "[\"id = 99\"]".to_owned()),
        ]
    );
    // What a trigger makes of a row is found at once.
    ends.target.query("DELETE FROM persons");
    let undo = ends.whimbrel().run(["undo", "0002", "--on-conflict", "skip"]);
    assert_eq!(undo.code, Some(0), "{undo}");
    ends.whimbrel().run(["up"]).success();
    assert_eq!((people(ends), differences(&account(ends, 0))), (100, vec![]));
}

fn a_kill_in_the_final_pass_is_gone_on_from(ends: &Ends) {
    begin(ends, 200);
    file(ends, "", "");
    for nth in [1, 3] {
        let killed = kill(ends, &format!("compare.before_begin:{nth}"));
        assert_eq!(people(ends), 200, "{killed}");
        let status = ends.whimbrel().run(["account", "0002", "--no-compare"]).expect_code(3);
        assert!(status.stdout.contains("is not finished"), "{status}");
    }
    ends.source.query("DELETE FROM people WHERE id = 199");
    let up = ends.whimbrel().run(["up"]).success().to_string();
    assert!(up.contains("id = 199"), "{up}");
    assert_eq!(people(ends), 200);
    let found = account(ends, 3);
    assert_eq!((&found["batches"], &found["rows"]), (&5.into(), &200.into()));
    assert_eq!(differences(&found), [("gone", 1, "[\"id = 199\"]".to_owned())]);
}

#[test]
fn what_cannot_be_compared_is_said() {
    between("sqlite", "postgres", |ends| {
        begin(ends, 100);
        ends.target.query("ALTER TABLE persons ADD at text");
        ends.project.file(
            "migrations/0002_people.data.sql",
            "-- whimbrel: batch source=legacy undo=off\n\
             INSERT INTO persons (id, name, at) SELECT id, first, datetime('now') FROM people \
             ON CONFLICT (id) DO NOTHING;\n",
        );
        ends.whimbrel().run(["up"]).success();
        let found = account(ends, 0);
        assert!(found["not_source"].to_string().contains("datetime"), "{found}");
        assert!(found["not_target"].is_string(), "{found}");
        let gone = ends.whimbrel().env("LEGACY_URL", "sqlite:nowhere.db");
        let text = gone.run(["account", "0002"]).success();
        assert!(
            text.stdout.contains("not compared: `source=legacy`: There is no database"),
            "{text}"
        );
        ends.whimbrel().run(["purge", "--older-than", "0s", "--yes"]).success();
        let purged = ends.whimbrel().run(["account", "0002"]).success();
        assert!(purged.stdout.contains("was purged"), "{purged}");
    });
}

#[test]
fn rows_that_were_set_aside_are_not_compared() {
    between("sqlite", "postgres", |ends| {
        begin(ends, 4);
        ends.source.query("UPDATE people SET last = NULL WHERE id = 2");
        let text = statement(ends, "on-error=quarantine errors-max=5", "");
        let text = text.replace("size=40", "size=1");
        ends.project.file("migrations/0002_people.data.sql", &text);
        ends.whimbrel().run(["up"]).success();
        ends.source.query("UPDATE people SET last = 'x' WHERE id = 2");
        ends.whimbrel().run(["quarantine", "retry"]).success();
        ends.source.query("UPDATE people SET last = 'y' WHERE id IN (1, 2)");
        let found = account(ends, 3);
        assert_eq!(differences(&found), [("changed", 1, "[\"id = 1\"]".to_owned())], "{found}");
        assert_eq!((&found["batches"], &found["rows"]), (&4.into(), &3.into()));
    });
}

/// One driving row gives several rows, or none; a row that two others join is one finding each.
#[test]
fn rows_are_held_together_by_the_driving_row() {
    between("mariadb", "postgres", |ends| {
        begin(ends, 60);
        ends.source.query(
            "CREATE TABLE pets (id integer PRIMARY KEY, person integer, name varchar(20)); \
             INSERT INTO pets SELECT id, id % 10, CONCAT('P', id) FROM people",
        );
        ends.target.query("CREATE TABLE pets (id integer, whose text)");
        ends.project.file(
            "migrations/0002_pets.data.sql",
            "-- whimbrel: batch source=legacy size=7 undo=off skips=\"id > 9\" by=p.id\n\
             INSERT INTO pets (id, whose) SELECT q.id, p.first FROM people p \
             JOIN pets q ON q.person = p.id;\n",
        );
        ends.whimbrel().run(["up"]).success();
        assert_eq!(ends.count("SELECT count(*) FROM pets"), 60);
        ends.source.query("UPDATE people SET first = 'other' WHERE id IN (3, 4)");
        ends.source.query("DELETE FROM pets WHERE person = 5");
        let out = ends.whimbrel().run(["account", "0002", "--json"]).expect_code(3);
        let value: Value = serde_json::from_str(&out.stdout).expect("JSON");
        let found = &value["data"]["statements"][0]["ends"];
        assert_eq!(
            differences(found),
            [
                ("changed", 2, "[\"id = 3\",\"id = 4\"]".to_owned()),
                ("gone", 1, "[\"id = 5\"]".to_owned()),
            ],
            "{out}"
        );
    });
}

/// Memory that a run may take, in KiB; 80 MiB of rows held at once would be above it.
const MEMORY_KIB_MAX: u64 = 96 * 1024;

/// 80 rows of 1 MiB in one batch; then one long row.
fn rows_are_never_all_in_memory(to: &'static str, long: u64) {
    between("sqlite", to, |ends| {
        ends.project.file("whimbrel.toml", "[environments.legacy]\nurl = \"env:LEGACY_URL\"\n");
        ends.source.query(
            "CREATE TABLE docs (id integer PRIMARY KEY, body text); \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80) \
             INSERT INTO docs SELECT i, hex(randomblob(524288)) FROM n",
        );
        let text = if to == "mariadb" { "longtext" } else { "text" };
        ends.tables(&format!("CREATE TABLE docs (id bigint PRIMARY KEY, body {text});\n"));
        ends.project.file(
            "migrations/0002_docs.data.sql",
            "-- whimbrel: batch source=legacy size=1000 undo=off\n\
             INSERT INTO docs (id, body) SELECT id, body FROM docs;\n",
        );
        let mut running = ends.whimbrel().spawn(["up"]);
        let mut peak = 0;
        while running.is_running() {
            peak = peak.max(running.peak_memory_kib().unwrap_or(0));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        running.wait().success();
        assert_eq!(ends.count("SELECT count(*) FROM docs"), 80);
        assert!(peak > 0 && peak < MEMORY_KIB_MAX, "{peak} KiB");
        ends.source.query(&format!("INSERT INTO docs VALUES (1000, hex(zeroblob({})))", long / 2));
        ends.project.file(
            "migrations/0003_long.data.sql",
            "-- whimbrel: batch source=legacy undo=off skips=\"id < 1000\"\n\
             INSERT INTO docs (id, body) SELECT id, body FROM docs WHERE id = 1000;\n",
        );
        ends.whimbrel().run(["up"]).success();
        assert_eq!(
            ends.count("SELECT length(body) FROM docs WHERE id = 1000"),
            i64::try_from(long).expect("a length")
        );
        ends.whimbrel().run(["account", "0003"]).success();
    });
}

#[test]
fn rows_are_never_all_in_memory_sqlite() {
    rows_are_never_all_in_memory("sqlite", 20_000_000);
}

#[test]
fn rows_are_never_all_in_memory_postgres() {
    rows_are_never_all_in_memory("postgres", 20_000_000);
}

/// The server takes no statement above `max_allowed_packet`, which is 16 MiB.
#[test]
fn rows_are_never_all_in_memory_mariadb() {
    rows_are_never_all_in_memory("mariadb", 12_000_000);
}
