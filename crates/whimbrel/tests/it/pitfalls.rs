//! The pitfalls of data migrations that other tools fell into, by number. Those that other tests
//! cover:
//!
//! - 1 (kill at every statement), 2 (two at the same time), 13 (an undo interrupted): `batches`
//! - 4 (order on disk against order of the key), 6 (kinds of keys): `data`, `equality`
//! - 10 (a throttle that never ends), 15 (a statement that takes too long): with the signals and
//!   limits of batches
//! - 11 (going on after the first batch failed), 12 (an undo after somebody's change): `data`
//! - 16 (schema changes that commit by themselves): `crash`, plan `between` on MariaDB
//! - 17 (foreign keys of a table that is rebuilt on SQLite): `cascades`, `conformance`
//! - 19 (what a digest must see): with copies between databases
//! - 20 (a clock that jumps): leases go by the server's clock; `races` takes one over

use std::fmt::Write as _;
use std::time::Duration;

use crate::engines::{Bench, every_engine};

every_engine!(
    pitfall_3_a_run_ends_though_rows_keep_coming,
    pitfall_5_many_rows_with_an_equal_leading_column,
    pitfall_7_rows_of_the_range_are_deleted_meanwhile,
    pitfall_8_one_bad_row_is_set_aside_and_no_other,
    pitfall_9_duplicates_lose_nothing,
    pitfall_14_a_trigger_writes_the_same_table,
    pitfall_18_wide_rows_do_not_fill_the_memory,
);

fn count(bench: &Bench, sql: &str) -> i64 {
    bench.database.query(sql).trim().parse().expect("a number")
}

/// A table `item` with the ids 1 to `rows`, each with `n` 0.
fn items(bench: &Bench, rows: usize) {
    let mut sql =
        "CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, name VARCHAR(40));\n"
            .to_owned();
    let ids: Vec<usize> = (1..=rows).collect();
    for chunk in ids.chunks(500) {
        let values: Vec<String> = chunk.iter().map(|id| format!("({id}, 0, 'n{id}')")).collect();
        let _ = writeln!(sql, "INSERT INTO item VALUES {};", values.join(", "));
    }
    bench.migration("0001_item.sql", &sql);
    bench.whimbrel().run(["up"]).success();
}

const COUNT: &str = "UPDATE item SET n = n + 1;\n";

fn pitfall_3_a_run_ends_though_rows_keep_coming(bench: &Bench) {
    items(bench, 200);
    let text = format!("-- whimbrel: batch size=10 pause-ms=20\n{COUNT}");
    bench.migration("0002_count.data.sql", &text);
    let mut running = bench.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.contains("\"event\":\"batch\""));
    let mut id = 1_000;
    while running.is_running() {
        // As many new rows as a batch has, for each of its pauses.
        let values: Vec<String> = (0..20).map(|at| format!("({}, 0, NULL)", id + at)).collect();
        bench.database.query(&format!("INSERT INTO item VALUES {};", values.join(", ")));
        id += 20;
    }
    running.wait().success();
    assert!(id > 1_040, "rows kept coming");
    assert_eq!(count(bench, "SELECT count(*) FROM item WHERE id <= 200 AND n = 1"), 200);
    assert_eq!(count(bench, "SELECT count(*) FROM item WHERE id > 200 AND n > 1"), 0);
    let late = count(bench, "SELECT count(*) FROM item WHERE id > 200 AND n = 0");
    assert!(late > 0, "rows that came after the beginning are not this run's");
}

fn pitfall_5_many_rows_with_an_equal_leading_column(bench: &Bench) {
    let mut sql = "CREATE TABLE item (kind INTEGER NOT NULL, id INTEGER NOT NULL, n INTEGER, \
                   PRIMARY KEY (kind, id));\n"
        .to_owned();
    for from in (0..3_000).step_by(500) {
        let values: Vec<String> =
            (from..from + 500).map(|id| format!("(7, {}, 0)", id * 7 % 3_001)).collect();
        let _ = writeln!(sql, "INSERT INTO item VALUES {};", values.join(", "));
    }
    bench.migration("0001_item.sql", &sql);
    bench.whimbrel().run(["up"]).success();
    let text = format!("-- whimbrel: batch by=item.kind size=100\n{COUNT}");
    bench.migration("0002_count.data.sql", &text);
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("kind"), "{up}");
    bench.migration("0002_count.data.sql", &format!("-- whimbrel: batch size=100\n{COUNT}"));
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM item WHERE n = 1"), 3_000);
    let batches = if bench.engine == "postgres" { "whimbrel.batches" } else { "whimbrel_batches" };
    assert_eq!(count(bench, &format!("SELECT count(*) FROM {batches}")), 30);
}

fn pitfall_7_rows_of_the_range_are_deleted_meanwhile(bench: &Bench) {
    items(bench, 300);
    let text = format!("-- whimbrel: batch size=10 pause-ms=60\n{COUNT}");
    bench.migration("0002_count.data.sql", &text);
    let running = bench.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 4);
    running.signal("INT");
    running.wait().expect_code(130);
    // The row at which the next batch begins, one in the middle, and the greatest key of all.
    let last = count(bench, "SELECT max(id) FROM item WHERE n = 1");
    let gone = format!("DELETE FROM item WHERE id IN ({last}, {}, 250, 300)", last + 1);
    bench.database.query(&gone);
    bench.database.query("INSERT INTO item VALUES (301, 0, 'late')");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM item WHERE id <= 300 AND n = 1"), 296);
    assert_eq!(count(bench, "SELECT n FROM item WHERE id = 301"), 0);
}

fn pitfall_8_one_bad_row_is_set_aside_and_no_other(bench: &Bench) {
    items(bench, 5_000);
    let name = "VARCHAR(40) NOT NULL, CHECK (length(name) < 20)";
    let copy = format!("CREATE TABLE copy (item_id INTEGER NOT NULL PRIMARY KEY, name {name});\n");
    bench.migration("0002_copy.sql", &copy);
    bench.whimbrel().run(["up"]).success();
    bench.database.query("UPDATE item SET name = 'this one is far too long' WHERE id = 3141");
    bench.migration(
        "0003_copy.data.sql",
        "-- whimbrel: batch on-error=quarantine\n\
         INSERT INTO copy (item_id, name) SELECT id, name FROM item;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM copy"), 4_999);
    let list = bench.whimbrel().run(["quarantine", "list", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    let rows = value["data"]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 1, "{list}");
    assert_eq!(rows[0]["row"]["id"].to_string().trim_matches('"'), "3141", "{list}");
}

fn pitfall_9_duplicates_lose_nothing(bench: &Bench) {
    items(bench, 300);
    bench.database.query("UPDATE item SET name = 'n7' WHERE id = 207");
    bench.migration(
        "0002_copy.sql",
        "CREATE TABLE copy (item_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL);\n\
         CREATE UNIQUE INDEX copy_name ON copy (name);\n",
    );
    let insert = "INSERT INTO copy (item_id, name) SELECT id, name FROM item;\n";
    bench.migration("0003_copy.data.sql", &format!("-- whimbrel: batch size=40\n{insert}"));
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains("id = 207"), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM copy"), 200, "whole batches, up to the row");
    bench.whimbrel().run(["undo", "0003"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM copy"), 0);
    let text = format!("-- whimbrel: batch size=40 on-error=quarantine\n{insert}");
    bench.migration("0003_copy.data.sql", &text);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM copy"), 299);
    let account = bench.whimbrel().run(["account", "0003"]).expect_code(3);
    assert!(account.stdout.contains("1 rows are in quarantine"), "{account}");
    // The index that finds duplicates in what is there already takes nothing away.
    bench.migration("0004_index.sql", "CREATE UNIQUE INDEX item_name ON item (name);\n");
    bench.whimbrel().run(["up"]).expect_code(1);
    assert_eq!(count(bench, "SELECT count(*) FROM item"), 300);
}

fn pitfall_14_a_trigger_writes_the_same_table(bench: &Bench) {
    items(bench, 120);
    let trigger = match bench.engine {
        "sqlite" => {
            "CREATE TRIGGER touch AFTER UPDATE OF n ON item BEGIN \
             UPDATE item SET touched = touched + 1 WHERE id = NEW.id; END;\n"
        }
        "postgres" => {
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             NEW.touched := OLD.touched + 1; RETURN NEW; END $$;\n\
             CREATE TRIGGER touch BEFORE UPDATE OF n ON item FOR EACH ROW EXECUTE FUNCTION touch();\n"
        }
        _ => {
            "CREATE TRIGGER touch BEFORE UPDATE ON item FOR EACH ROW \
             SET NEW.touched = OLD.touched + 1;\n"
        }
    };
    let column = "ALTER TABLE item ADD COLUMN touched INTEGER NOT NULL DEFAULT 0;\n";
    bench.migration("0002_touch.sql", &format!("{column}{trigger}"));
    bench.migration("0003_count.data.sql", &format!("-- whimbrel: batch size=10\n{COUNT}"));
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("trigger") && up.stderr.contains("undo=best-effort"), "{up}");
    let text = format!("-- whimbrel: batch size=10 undo=best-effort\n{COUNT}");
    bench.migration("0003_count.data.sql", &text);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM item WHERE n = 1 AND touched = 1"), 120);
}

fn pitfall_18_wide_rows_do_not_fill_the_memory(bench: &Bench) {
    /// Rows of 1 MB.
    const ROWS: usize = 100;
    /// What the program may have of them at once, in KiB.
    const MEMORY_MAX: u64 = 96 * 1024;
    items(bench, ROWS);
    let (long, wide) = match bench.engine {
        "mariadb" => ("LONGTEXT", "repeat('x', 1000000)"),
        "postgres" => ("TEXT", "repeat(md5(id::text), 31250)"),
        _ => ("TEXT", "hex(zeroblob(500000))"),
    };
    bench.migration("0002_body.sql", &format!("ALTER TABLE item ADD COLUMN body {long};\n"));
    bench.whimbrel().run(["up"]).success();
    bench.database.query(&format!("UPDATE item SET body = {wide}"));
    bench.migration("0003_wide.data.sql", "UPDATE item SET n = n + 1, body = lower(body);\n");
    let mut running = bench.whimbrel().spawn(["up"]);
    let mut peak = 0;
    while running.is_running() {
        peak = peak.max(running.peak_memory_kib().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    running.wait().success();
    assert_eq!(count(bench, "SELECT count(*) FROM item WHERE n = 1"), ROWS as i64);
    assert!(peak > 0 && peak < MEMORY_MAX, "{peak} KiB");
}
