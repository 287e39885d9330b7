//! `source=`: the query runs in the other database, the rest is as for any data migration.

use whimbrel_engine::failpoint;

use super::{Ends, every_pair};

every_pair!(
    rows_come_with_account_and_undo,
    bad_rows_are_set_aside,
    a_kill_at_every_place_changes_nothing,
    conflicts_are_merged,
    numbers_come_with_all_their_digits,
);

/// People at the source, in an order that is not the key's, and a table for them here.
pub(super) fn begin(ends: &Ends, rows: u32) {
    ends.project.file("whimbrel.toml", "[environments.legacy]\nurl = \"env:LEGACY_URL\"\n");
    ends.source.query(
        "CREATE TABLE people (id integer PRIMARY KEY, first varchar(20) NOT NULL, \
         last varchar(20), gone integer NOT NULL)",
    );
    let values: Vec<String> = (0..rows)
        .map(|at| (at * 7919) % rows)
        .map(|id| format!("({id}, 'F{id}', 'L''{id}', {})", i32::from(id % 10 == 0)))
        .collect();
    ends.source.query(&format!("INSERT INTO people VALUES {}", values.join(", ")));
    ends.tables(
        "CREATE TABLE persons (id integer PRIMARY KEY, name varchar(40) NOT NULL, \
         CHECK (length(name) < 30));\n",
    );
}

/// The statement, in the source's SQL.
pub(super) fn statement(ends: &Ends, directive: &str, rest: &str) -> String {
    let name = match ends.from {
        "mariadb" => "CONCAT(p.first, ' ', p.`last`)",
        _ => "p.first || ' ' || p.last",
    };
    format!(
        "-- whimbrel: batch source=legacy size=40 {directive}\n\
         INSERT INTO persons (id, name) SELECT p.id, {name} FROM people p {rest};\n"
    )
}

pub(super) fn people(ends: &Ends) -> i64 {
    ends.count("SELECT count(*) FROM persons")
}

fn rows_come_with_account_and_undo(ends: &Ends) {
    begin(ends, 200);
    let text = statement(ends, "skips=\"gone = 1\"", "WHERE p.gone = 0");
    ends.project.file("migrations/0002_people.data.sql", &text);
    let plan = ends.whimbrel().run(["plan"]).success();
    assert!(plan.stdout.contains("people"), "{plan}");
    ends.whimbrel().run(["up"]).success();
    assert_eq!(people(ends), 180);
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 17").trim(), "F17 L'17");
    let account = ends.whimbrel().run(["account", "0002"]).success();
    assert!(account.stdout.contains("holds: no row was lost"), "{account}");
    ends.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(people(ends), 0);
    let text = statement(ends, "", "WHERE p.gone = 0");
    ends.project.file("migrations/0002_people.data.sql", &text);
    ends.whimbrel().run(["up"]).success();
    let account = ends.whimbrel().run(["account", "0002"]).expect_code(3);
    assert!(account.stdout.contains("20 rows of"), "{account}");
}

fn bad_rows_are_set_aside(ends: &Ends) {
    begin(ends, 100);
    // One that the target's CHECK refuses; one that NOT NULL refuses.
    ends.source.query(&format!("UPDATE people SET last = '{}' WHERE id = 41", "x".repeat(20)));
    ends.source.query(&format!("UPDATE people SET first = '{}' WHERE id = 41", "y".repeat(20)));
    ends.source.query("UPDATE people SET last = NULL WHERE id = 77");
    let text = statement(ends, "on-error=quarantine", "");
    ends.project.file("migrations/0002_people.data.sql", &text);
    ends.whimbrel().run(["up"]).success();
    assert_eq!(people(ends), 98);
    let list = ends.whimbrel().run(["quarantine", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let rows = value["data"]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{list}");
    assert_eq!(rows[0]["row"]["id"], 41, "{list}");
    ends.source.query("UPDATE people SET first = 'ok', last = 'ok' WHERE id = 41");
    ends.whimbrel().run(["quarantine", "retry"]).expect_code(3);
    let second = rows[1]["id"].to_string();
    let edit = r#"{"name": "edited"}"#;
    ends.whimbrel().run(["quarantine", "edit", &second, "--set", edit]).success();
    ends.whimbrel().run(["quarantine", "retry"]).success();
    assert_eq!(people(ends), 100);
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 41").trim(), "ok ok");
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 77").trim(), "edited");
    ends.whimbrel().run(["account", "0002"]).success();
}

/// The target has no key: a row that came twice would stay.
fn a_kill_at_every_place_changes_nothing(ends: &Ends) {
    begin(ends, 200);
    let mut version = 2;
    for point in failpoint::BATCHES {
        let table = format!("t{version}");
        let make = format!("CREATE TABLE {table} (id integer, name varchar(40));\n");
        ends.project.file(&format!("migrations/{version:04}_make.sql"), &make);
        ends.whimbrel().run(["up"]).success();
        version += 1;
        let text =
            statement(ends, "undo=off", "").replace("INTO persons", &format!("INTO {table}"));
        ends.project.file(&format!("migrations/{version:04}_fill.data.sql"), &text);
        let killed = ends.whimbrel().env("WHIMBREL_FAILPOINT", *point).run(["up"]);
        assert_eq!(killed.code, None, "{point}: {killed}");
        ends.whimbrel().run(["up"]).success();
        let right = format!("SELECT count(*) FROM (SELECT DISTINCT id, name FROM {table}) x");
        assert_eq!(ends.count(&right), 200, "after {point}");
        assert_eq!(ends.count(&format!("SELECT count(*) FROM {table}")), 200, "after {point}");
        version += 1;
    }
}

fn conflicts_are_merged(ends: &Ends) {
    begin(ends, 100);
    ends.target.query("INSERT INTO persons VALUES (5, 'old'), (1000, 'stays')");
    let rest = match ends.to {
        "mariadb" => "ON DUPLICATE KEY UPDATE name = VALUES(name)",
        _ => "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    };
    let text = statement(ends, "undo=off", &format!("WHERE p.id >= 0 {rest}"));
    ends.project.file("migrations/0002_people.data.sql", &text);
    ends.whimbrel().run(["up"]).success();
    assert_eq!(people(ends), 101);
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 5").trim(), "F5 L'5");
    assert_eq!(ends.target.query("SELECT name FROM persons WHERE id = 1000").trim(), "stays");
}

#[test]
fn a_value_that_does_not_fit_is_a_refused_row() {
    super::between("mariadb", "postgres", |ends| {
        ends.project.file("whimbrel.toml", "[environments.legacy]\nurl = \"env:LEGACY_URL\"\n");
        ends.source.query(
            "SET sql_mode = ''; CREATE TABLE days (id integer PRIMARY KEY, day date); \
             INSERT INTO days VALUES (1, '2026-11-21'), (2, '0000-00-00'), (3, NULL)",
        );
        ends.tables("CREATE TABLE days (id bigint PRIMARY KEY, day date);\n");
        ends.project.file(
            "migrations/0002_days.data.sql",
            "-- whimbrel: batch source=legacy on-error=quarantine\n\
             INSERT INTO days (id, day) SELECT id, day FROM days;\n",
        );
        ends.whimbrel().run(["up"]).success();
        assert_eq!(
            ends.target.query("SELECT id, day FROM days ORDER BY id"),
            "1|2026-11-21\n3|NULL"
        );
        let list = ends.whimbrel().run(["quarantine", "list"]).success();
        assert!(list.stdout.contains("0000-00-00"), "{list}");
        ends.project.file(
            "migrations/0003_more.data.sql",
            "-- whimbrel: batch source=nowhere\nINSERT INTO days (id) SELECT id + 10 FROM days;\n",
        );
        let up = ends.whimbrel().run(["up"]).expect_code(2);
        assert!(up.stderr.contains("nowhere"), "{up}");
    });
}

/// MySQL prints a number of four bytes with six digits.
fn numbers_come_with_all_their_digits(ends: &Ends) {
    ends.project.file("whimbrel.toml", "[environments.legacy]\nurl = \"env:LEGACY_URL\"\n");
    let four = |of: &str| if of == "mariadb" { "float" } else { "real" };
    let eight = |of: &str| if of == "sqlite" { "real" } else { "double precision" };
    let (from, into) = (four(ends.from), eight(ends.to));
    ends.source.query(&format!(
        "CREATE TABLE readings (id integer PRIMARY KEY, four {from}); \
         INSERT INTO readings VALUES (1, 123456.5), (2, -0.0078125), (3, NULL)"
    ));
    ends.tables(&format!(
        "CREATE TABLE numbers (id integer PRIMARY KEY, four {into}, again {into});\n"
    ));
    ends.project.file(
        "migrations/0002_numbers.data.sql",
        "-- whimbrel: batch source=legacy\n\
         INSERT INTO numbers (id, four, again) SELECT r.id, r.four, r.four FROM readings r;\n",
    );
    ends.whimbrel().run(["up"]).success();
    let same = "SELECT count(*) FROM numbers WHERE four = again AND \
                (id = 1 AND four = 123456.5 OR id = 2 AND four = -0.0078125)";
    assert_eq!(ends.count(same), 2);
    assert_eq!(ends.count("SELECT count(*) FROM numbers WHERE four IS NULL"), 1);
    ends.whimbrel().run(["account", "0002"]).success();
}
