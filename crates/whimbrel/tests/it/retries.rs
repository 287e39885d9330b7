//! Batches that fail: which are tried again, how often, and when the run gives up.

use whimbrel_testkit::run::{Running, Whimbrel};

use crate::data::{CARDS, count, people};
use crate::engines::{Bench, every_engine};

every_engine!(
    a_batch_is_tried_again_when_a_lock_is_not_granted,
    tries_end_and_a_later_run_goes_on,
    an_undo_is_tried_again_too,
    an_error_about_rows_is_never_tried_again,
    the_breaker_opens_when_most_rows_are_bad,
    a_time_out_halves_the_batch,
    the_size_of_batches_is_a_setting,
);

const SLOW: &str =
    "-- whimbrel: batch size=10 pause-ms=40\nUPDATE people SET visits = visits + 1;\n";

fn quick_retries(bench: &Bench, max: u32) -> Whimbrel {
    bench
        .whimbrel()
        .env("MIGRATION_RETRY_DELAY", "40")
        .env("MIGRATION_MAX_RETRIES", max.to_string())
}

/// Starts the migration, and a session that locks what it comes to.
fn blocked(bench: &Bench, program: &Whimbrel) -> (Running, impl Sized + use<>) {
    people(bench, 300);
    bench.migration("0002_count.data.sql", SLOW);
    let running = program.spawn(["up", "--json"]);
    running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 2);
    // SQLite's shell gives up at once when somebody else is writing just then.
    let lock = "UPDATE people SET nick = nick WHERE visits = 0";
    let holder = loop {
        if let Ok(holder) = bench.database.hold(lock) {
            break holder;
        }
    };
    (running, holder)
}

fn a_batch_is_tried_again_when_a_lock_is_not_granted(bench: &Bench) {
    let (running, holder) = blocked(bench, &quick_retries(bench, 50));
    running.wait_until(|out, _| out.matches("\"event\":\"retrying\"").count() > 1);
    drop(holder);
    running.wait().success();
    let rows = count(bench, "SELECT count(*) FROM people");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn tries_end_and_a_later_run_goes_on(bench: &Bench) {
    let (running, holder) = blocked(bench, &quick_retries(bench, 1));
    let failed = running.wait().expect_code(1);
    assert_eq!(failed.stdout.matches("\"event\":\"retrying\"").count(), 1, "{failed}");
    drop(holder);
    let rows = count(bench, "SELECT count(*) FROM people");
    let done = count(bench, "SELECT count(*) FROM people WHERE visits = 1");
    assert!(done > 0 && done < rows, "{done} of {rows}");
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains(&format!("{done} of about {rows} rows")), "{status}");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn an_undo_is_tried_again_too(bench: &Bench) {
    people(bench, 300);
    let before = bench.database.rows();
    bench.migration("0002_count.data.sql", "UPDATE people SET visits = visits + 1;\n");
    bench.whimbrel().run(["up"]).success();
    // SQLite lets nobody begin to write then, so the lease is waited for, and the batch not at all.
    let lock = "UPDATE people SET nick = nick WHERE visits = 1";
    let holder = (bench.engine != "sqlite").then(|| bench.database.hold(lock).expect("a lock"));
    let running = quick_retries(bench, 50).spawn(["undo", "0002", "--json"]);
    if let Some(holder) = holder {
        running.wait_until(|out, _| out.matches("\"event\":\"retrying\"").count() > 1);
        drop(holder);
    }
    running.wait().success();
    assert_eq!(bench.database.rows(), before);
}

fn too_long(bench: &Bench, directive: &str) {
    bench.migration(
        "0003_cards.data.sql",
        &format!(
            "-- whimbrel: batch size=20 {directive}\n\
             INSERT INTO cards (person_id, label) SELECT id, nick FROM people;\n"
        ),
    );
}

fn cards(bench: &Bench) -> String {
    bench.migration(
        "0002_cards.sql",
        &CARDS.replace("NOT NULL);", "NOT NULL, CHECK (length(label) < 9));"),
    );
    bench.whimbrel().run(["up", "--to", "0002"]).success();
    "UPDATE people SET nick = 'far too long'".to_owned()
}

fn an_error_about_rows_is_never_tried_again(bench: &Bench) {
    people(bench, 100);
    let spoil = cards(bench);
    bench.database.query(&spoil);
    too_long(bench, "");
    let up = quick_retries(bench, 5).run(["up", "--json"]).expect_code(1);
    assert!(!up.stdout.contains("retrying"), "{up}");
}

fn the_breaker_opens_when_most_rows_are_bad(bench: &Bench) {
    people(bench, 200);
    let spoil = cards(bench);
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.database.query(&format!("{spoil} WHERE id % 3 <> 0"));
    let bad = count(bench, "SELECT count(*) FROM people WHERE nick = 'far too long'");
    too_long(bench, "on-error=quarantine");
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains("rows failed"), "{up}");
    assert!(up.stderr.contains("errors-max="), "{up}");
    let aside =
        count(bench, "SELECT count(*) FROM people") - count(bench, "SELECT count(*) FROM cards");
    assert!(aside > 25, "{aside}");
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("rows failed"), "{status}");
    let json = bench.whimbrel().run(["status", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let progress = &value["data"]["migrations"][2]["progress"];
    assert_eq!(progress["statement"], 1, "{json}");
    assert!(progress["rows_quarantined"].as_u64().is_some_and(|rows| rows > 0), "{json}");
    assert!(progress["stopped_by"].as_str().is_some_and(|why| why.contains("failed")), "{json}");
    // Who says how many bad rows there may be is believed.
    too_long(bench, "on-error=quarantine errors-max=1000");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows - bad);
}

fn a_time_out_halves_the_batch(bench: &Bench) {
    people(bench, 120);
    let rows = count(bench, "SELECT count(*) FROM people");
    let slow = match bench.engine {
        "postgres" => "coalesce(length(pg_sleep(0.02)::text), 0)",
        "mariadb" => "sleep(0.02)",
        _ => {
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000 + \
             people.id % 2) SELECT count(*) - count(*) FROM n)"
        }
    };
    bench.migration(
        "0002_slow.data.sql",
        &format!(
            "-- whimbrel: batch size=100 statement-timeout=600ms\n\
             UPDATE people SET visits = visits + 1 + {slow};\n"
        ),
    );
    let up = bench.whimbrel().run(["up", "--json"]).success();
    assert!(up.stdout.contains("rows now"), "{up}");
    let smallest = up
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "batch" && event["batches"].as_u64() > Some(0))
        .filter_map(|event| event["batch_size"].as_u64())
        .min();
    assert!(smallest.is_some_and(|size| size <= 50), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn the_size_of_batches_is_a_setting(bench: &Bench) {
    people(bench, 90);
    bench.migration("0002_count.data.sql", "UPDATE people SET visits = visits + 1;\n");
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.project.file("whimbrel.toml", "[project]\nbatch-size = 70\n");
    let wrong = bench.whimbrel().env("MIGRATION_BATCH_SIZE", "many").run(["up"]).expect_code(2);
    assert!(wrong.stderr.contains("MIGRATION_BATCH_SIZE"), "{wrong}");
    bench.whimbrel().env("MIGRATION_BATCH_SIZE", "40").run(["up"]).success();
    let batches = format!("SELECT count(*) FROM {}", crate::data::ledger(bench, "batches"));
    assert_eq!(count(bench, &batches), (rows + 39) / 40);
    let explained = bench.whimbrel().run(["doctor", "--explain"]).success();
    assert!(explained.stdout.contains("batch-size"), "{explained}");
}
