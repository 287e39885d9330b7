//! Data migrations that are tried on real rows and leave nothing behind.

use crate::data::{CARDS, count, ledger, people};
use crate::engines::{Bench, every_engine};

every_engine!(
    a_sample_shows_values_before_and_after,
    a_dry_run_tries_all_rows,
    what_was_begun_is_tried_from_where_it_stands,
    rows_that_refer_to_each_other_are_tried_together,
);

/// Everything that could remain: rows, schema, and every table of the ledger.
fn everything(bench: &Bench) -> String {
    let mut all = bench.database.rows() + &bench.database.schema();
    for table in [
        "identity",
        "runs",
        "attempts",
        "migrations",
        "undo",
        "audit",
        "fence",
        "lease",
        "cursors",
        "batches",
        "quarantine",
        "control",
    ] {
        all += &bench.database.query(&format!("SELECT * FROM {}", ledger(bench, table)));
    }
    let tables = match bench.engine {
        "sqlite" => "SELECT name FROM sqlite_schema ORDER BY name",
        "postgres" => {
            "SELECT table_schema, table_name FROM information_schema.tables \
             WHERE table_schema IN ('public', 'whimbrel') ORDER BY table_schema, table_name"
        }
        _ => {
            "SELECT table_name FROM information_schema.tables \
             WHERE table_schema = DATABASE() ORDER BY table_name"
        }
    };
    all + &bench.database.query(tables)
}

fn prepare(bench: &Bench) {
    people(bench, 150);
    bench.migration(
        "0002_cards.sql",
        &CARDS.replace("NOT NULL);", "NOT NULL, CHECK (length(label) < 9));"),
    );
    bench.whimbrel().run(["up"]).success();
    bench.migration(
        "0003_all.data.sql",
        "-- whimbrel: batch size=40\n\
         UPDATE people SET handle = upper(nick), visits = 7;\n\n\
         -- whimbrel: batch size=30\n\
         INSERT INTO cards (person_id, label) SELECT id, handle FROM people;\n\n\
         DELETE FROM people WHERE visits < 7;\n",
    );
}

fn a_sample_shows_values_before_and_after(bench: &Bench) {
    prepare(bench);
    let before = everything(bench);
    let first = count(bench, "SELECT min(id) FROM people");
    let text = bench.whimbrel().run(["up", "--sample", "3"]).success();
    assert!(text.stdout.contains("tried and rolled back"), "{text}");
    let lines: Vec<&str> = text.stdout.lines().collect();
    let row =
        lines.iter().position(|line| line.contains(&format!("id = {first} "))).expect("a row");
    let handle = format!("-> 'NICK{first}'");
    assert!(lines[row].contains("handle") && lines[row].contains("NULL"), "{text}");
    assert!(lines[row].contains(&handle), "{text}");
    assert!(lines[row + 1].contains("visits") && lines[row + 1].contains("-> '7'"), "{text}");
    assert!(text.stdout.contains("(new)"), "{text}");
    let json = bench.whimbrel().run(["up", "--sample", "3", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let statements = &value["data"]["tried"][0]["statements"];
    assert_eq!(statements[0]["rows_read"], 3, "{json}");
    assert_eq!(statements[0]["rows"][2]["values"][1]["after"], "7", "{json}");
    // The second statement sees what the first did.
    assert_eq!(statements[1]["rows"][0]["values"][1]["after"], format!("NICK{first}"), "{json}");
    // Of its first three rows none is to be deleted any more.
    assert_eq!(statements[2]["rows_written"], 0, "{json}");
    assert_eq!(everything(bench), before);
    bench.whimbrel().run(["up", "--sample", "0"]).expect_code(2);
}

fn a_dry_run_tries_all_rows(bench: &Bench) {
    prepare(bench);
    bench.database.query("UPDATE people SET handle = 'far too long' WHERE id % 10 = 1");
    let rows = count(bench, "SELECT count(*) FROM people");
    let bad = count(bench, "SELECT count(*) FROM people WHERE handle IS NOT NULL");
    bench.migration("0004_later.sql", "CREATE TABLE later (x INTEGER);\n");
    bench.migration("0005_later.data.sql", "UPDATE later SET x = 1;\n");
    let before = everything(bench);
    let text = bench.whimbrel().run(["up", "--dry-run"]).expect_code(3);
    assert!(text.stdout.contains("first batch"), "{text}");
    assert!(text.stdout.contains("0005_later.data.sql was not tried"), "{text}");
    let json = bench.whimbrel().run(["up", "--dry-run", "--json"]).expect_code(3);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let statements = &value["data"]["tried"][0]["statements"];
    assert_eq!(statements[0]["rows_written"], rows, "{json}");
    // Each statement sees the rows as they are: handles are NULL, and NULL is no label.
    assert_eq!(statements[1]["rows_bad"], rows, "{json}");
    assert_eq!(statements[2]["rows_written"], rows, "{json}");
    assert!(bad > 0);
    assert_eq!(everything(bench), before);
}

fn what_was_begun_is_tried_from_where_it_stands(bench: &Bench) {
    people(bench, 120);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=25\nUPDATE people SET visits = visits + 1;\n",
    );
    let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", "batch.after_commit:2").run(["up"]);
    assert_eq!(killed.code, None, "{killed}");
    let left = count(bench, "SELECT count(*) FROM people WHERE visits = 0");
    let before = everything(bench);
    let json = bench.whimbrel().run(["up", "--dry-run", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(value["data"]["tried"][0]["statements"][0]["rows_read"], left, "{json}");
    assert_eq!(everything(bench), before);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits <> 1"), 0);
}

/// A child is refused without its parent: what is tried by itself would say that all of them are.
fn rows_that_refer_to_each_other_are_tried_together(bench: &Bench) {
    people(bench, 150);
    bench.migration(
        "0002_tables.sql",
        "CREATE TABLE members (id INTEGER PRIMARY KEY, nick VARCHAR(40) NOT NULL, \
         chief INTEGER, FOREIGN KEY (chief) REFERENCES members (id), CHECK (length(nick) < 12));\n\
         CREATE TABLE badges (id INTEGER PRIMARY KEY, member INTEGER NOT NULL, \
         FOREIGN KEY (member) REFERENCES members (id));\n",
    );
    bench.whimbrel().run(["up"]).success();
    let nth =
        |nth: u32| count(bench, &format!("SELECT id FROM people ORDER BY id LIMIT 1 OFFSET {nth}"));
    let (first, bad, child) = (nth(0), nth(5), nth(90));
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.database.query("UPDATE people SET handle = nick");
    let long = format!("UPDATE people SET handle = 'far too long a name' WHERE id = {bad}");
    bench.database.query(&long);
    bench.migration(
        "0003_all.data.sql",
        &format!(
            "-- whimbrel: size=40 on-error=quarantine\n\
             INSERT INTO members (id, nick, chief) SELECT id, handle, \
             CASE WHEN id = {child} THEN {bad} WHEN id > {first} THEN {first} END FROM people;\n\n\
             INSERT INTO badges (id, member) SELECT id, id FROM people;\n"
        ),
    );
    if bench.engine == "sqlite" {
        bench.project.file("whimbrel.toml", "[project]\nforeign-keys = true\n");
    }
    let before = everything(bench);
    let json = bench.whimbrel().run(["up", "--dry-run", "--json"]).expect_code(3);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let statements = &value["data"]["tried"][0]["statements"];
    assert_eq!(statements[0]["rows_written"], rows - 2, "{json}");
    assert_eq!(statements[0]["rows_bad"], 2, "{json}");
    assert_eq!(statements[1]["rows_written"], rows - 2, "{json}");
    assert_eq!(statements[1]["rows_bad"], 2, "{json}");
    assert_eq!(everything(bench), before);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM badges"), rows - 2);
}
