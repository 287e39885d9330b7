//! Long data migrations under control: statements that are run again, pauses and ends by command.

use std::time::{Duration, Instant};

use whimbrel_testkit::run::{Running, Whimbrel};

use crate::data::{count, ledger, people};
use crate::engines::{Bench, every_engine};

every_engine!(
    a_statement_with_a_limit_is_run_until_it_changes_nothing,
    such_a_statement_goes_on_after_a_kill,
    one_that_would_never_end_is_stopped,
    a_run_is_paused_looked_at_resumed_and_cancelled,
    a_run_stops_between_migrations_where_nobody_can_be_asked,
    at_a_terminal_somebody_is_asked_between_migrations,
    batches_are_listed_afterwards,
);

/// The keys of the next rows that were not done, as a sub-query that MariaDB takes as well.
fn next_rows(rows: u32) -> String {
    format!("(SELECT id FROM (SELECT id FROM people WHERE visits = 0 ORDER BY id LIMIT {rows}) x)")
}

fn a_statement_with_a_limit_is_run_until_it_changes_nothing(bench: &Bench) {
    people(bench, 1_200);
    let rows = count(bench, "SELECT count(*) FROM people");
    let delete = match bench.engine {
        "mariadb" => "DELETE FROM people WHERE visits = 0 ORDER BY id LIMIT 90".to_owned(),
        _ => format!("DELETE FROM people WHERE id IN {}", next_rows(90)),
    };
    let write = |directive: &str| {
        bench.migration("0002_gone.data.sql", &format!("{directive}\n{delete};\n"));
    };
    write("-- no directive");
    let refused = bench.whimbrel().run(["up"]).expect_code(2);
    if bench.engine == "mariadb" {
        assert!(refused.stderr.contains("until=no-rows undo=off"), "{refused}");
    }
    write("-- whimbrel: batch until=no-rows");
    let refused = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(refused.stderr.contains("0002_gone.data.sql:2:1"), "{refused}");
    assert!(refused.stderr.contains("Write `until=no-rows undo=off`"), "{refused}");
    write("-- whimbrel: batch until=no-rows undo=off on-error=quarantine");
    bench.whimbrel().run(["up"]).expect_code(2);
    write("-- whimbrel: batch until=no-rows undo=off");
    let plan = bench.whimbrel().run(["plan"]).success();
    assert!(plan.stdout.contains("until it changes no row"), "{plan}");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people"), 0);
    let batches = ledger(bench, "batches");
    assert_eq!(count(bench, &format!("SELECT count(*) FROM {batches}")), (rows + 89) / 90);
    assert_eq!(count(bench, &format!("SELECT sum(rows_written) FROM {batches}")), rows);
    bench.whimbrel().run(["status", "--check"]).success();
    let again = bench.whimbrel().run(["up"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again}");
    bench.whimbrel().run(["account", "0002"]).success();
    let down = bench.whimbrel().run(["down"]).expect_code(2);
    assert!(down.stderr.contains("undo=off"), "{down}");
}

fn such_a_statement_goes_on_after_a_kill(bench: &Bench) {
    people(bench, 200);
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.migration(
        "0002_count.data.sql",
        &format!(
            "-- whimbrel: batch until=no-rows undo=off\n\
             UPDATE people SET visits = visits + 1, handle = :run_id WHERE id IN {};\n",
            next_rows(30)
        ),
    );
    for point in ["batch.after_statement:2", "batch.before_commit:1", "batch.after_commit:1"] {
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", point).run(["up"]);
        assert_eq!(killed.code, None, "{point}: {killed}");
    }
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("interrupted"), "{status}");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
    assert_eq!(count(bench, "SELECT count(DISTINCT handle) FROM people"), 1);
}

fn one_that_would_never_end_is_stopped(bench: &Bench) {
    people(bench, 40);
    bench.migration(
        "0002_endless.data.sql",
        "-- whimbrel: batch until=no-rows undo=off pause-ms=0\n\
         UPDATE people SET visits = visits + 1 WHERE id IN \
         (SELECT id FROM (SELECT id FROM people ORDER BY id LIMIT 400) x);\n",
    );
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("would never end"), "{up}");
    bench.whimbrel().run(["status", "--check"]).expect_code(3);
}

/// Starts a migration of many small batches and waits until some of them are done.
fn slow_run(bench: &Bench) -> Running {
    people(bench, 400);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=10 pause-ms=40\nUPDATE people SET visits = visits + 1;\n",
    );
    let running = bench.whimbrel().spawn(["up", "--json"]);
    running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 2);
    running
}

/// Waits until the lease of the run was renewed.
pub(crate) fn lease_is_renewed(bench: &Bench) {
    let sql = format!("SELECT expires_ms FROM {}", ledger(bench, "lease"));
    let before = count(bench, &sql);
    let deadline = Instant::now() + Duration::from_secs(60);
    while count(bench, &sql) <= before {
        assert!(Instant::now() < deadline, "the lease was not renewed");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn a_run_is_paused_looked_at_resumed_and_cancelled(bench: &Bench) {
    let running = slow_run(bench);
    bench.whimbrel().run(["run", "pause"]).success();
    running.wait_until(|out, _| out.contains("\"event\":\"held\""));
    assert!(running.stdout_so_far().contains("\"signal\":\"paused\""));
    let done = count(bench, "SELECT count(*) FROM people WHERE visits = 1");
    lease_is_renewed(bench);
    let status = bench.whimbrel().run(["run", "status"]).success();
    assert!(status.stdout.contains("held by paused"), "{status}");
    assert!(status.stdout.contains("asked last: pause"), "{status}");
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("held by paused"), "{status}");
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), done);
    bench.whimbrel().run(["run", "resume"]).success();
    running.wait_until(|out, _| {
        out.split_once("\"event\":\"released\"")
            .is_some_and(|(_, after)| after.contains("\"event\":\"batch\""))
    });
    let json = bench.whimbrel().run(["run", "cancel", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(value["data"]["run"]["verb"], "up", "{json}");
    let ended = running.wait().expect_code(130);
    assert!(ended.stdout.contains("\"cancelled_by\":\""), "{ended}");
    let runs = ledger(bench, "runs");
    let outcome =
        format!("SELECT outcome FROM {runs} WHERE event = 'end' ORDER BY seq DESC LIMIT 1");
    assert_eq!(bench.database.query(&outcome).trim(), "interrupted");
    let audit = ledger(bench, "audit");
    let acts =
        format!("SELECT count(*) FROM {audit} WHERE action IN ('pause', 'resume', 'cancel')");
    assert_eq!(count(bench, &acts), 3);
    let none = bench.whimbrel().run(["run", "status"]).success();
    assert!(none.stdout.contains("No run is in progress"), "{none}");
    bench.whimbrel().run(["run", "pause"]).expect_code(2);
    let rows = count(bench, "SELECT count(*) FROM people");
    assert!(count(bench, "SELECT count(*) FROM people WHERE visits = 1") < rows);
    // What was asked of that run is not asked of the next.
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rows);
}

fn a_run_stops_between_migrations_where_nobody_can_be_asked(bench: &Bench) {
    for name in ["a", "b", "c"] {
        bench.migration(
            &format!("000{}_{name}.sql", name.as_bytes()[0] - b'a' + 1),
            &format!("CREATE TABLE {name} (x INTEGER);\n"),
        );
    }
    let first = bench.whimbrel().run(["up", "--pause-between"]).success();
    assert!(first.stdout.contains("Applied 1 migration"), "{first}");
    assert!(first.stderr.contains("Stopped before `0002_b.sql`"), "{first}");
    let json = bench.whimbrel().run(["up", "--pause-between", "--json"]).success();
    assert!(json.stdout.contains("\"paused_before\":\"0003_c.sql\""), "{json}");
    let last = bench.whimbrel().run(["up", "--pause-between"]).success();
    assert!(!last.stderr.contains("Stopped"), "{last}");
    bench.whimbrel().run(["status", "--check"]).success();
}

fn at_a_terminal_somebody_is_asked_between_migrations(bench: &Bench) {
    for (number, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let text = format!("CREATE TABLE {name} (x INTEGER);\n");
        bench.migration(&format!("000{}_{name}.sql", number + 1), &text);
    }
    // `script` gives the program a terminal; one line is typed, then the input ends.
    let command = format!("{} up --pause-between", env!("CARGO_BIN_EXE_whimbrel"));
    let terminal = Whimbrel::new("/usr/bin/script", bench.project.path())
        .env("DATABASE_URL", &bench.database.url)
        .stdin("\n");
    let up = terminal.run(["-qec", &command, "/dev/null"]).success();
    assert!(up.stdout.contains("Next is 0002_b.sql"), "{up}");
    assert!(up.stdout.contains("Stopped before `0003_c.sql`"), "{up}");
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("2 applied, 2 pending"), "{status}");
}

fn batches_are_listed_afterwards(bench: &Bench) {
    people(bench, 120);
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=50\nUPDATE people SET visits = visits + 1;\n",
    );
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.whimbrel().run(["up"]).success();
    let text = bench.whimbrel().run(["history", "0002", "--batches"]).success();
    assert!(text.stdout.contains("0002_count.data.sql"), "{text}");
    assert!(!text.stdout.contains("0001_people.sql"), "{text}");
    assert!(text.stdout.contains("batch 1"), "{text}");
    let json = bench.whimbrel().run(["history", "0002", "--batches", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let batches = value["data"]["batches"].as_array().expect("batches");
    let sizes: Vec<i64> = batches.iter().filter_map(|one| one["rows_read"].as_i64()).collect();
    assert_eq!(sizes, [50, 50, rows - 100], "{json}");
    assert!(batches.iter().all(|one| one["duration_ms"].is_u64()), "{json}");
    bench.whimbrel().run(["undo", "0002"]).success();
    let undone = bench.whimbrel().run(["history", "0002", "--batches"]).success();
    assert!(undone.stdout.contains("undo of statement 1"), "{undone}");
    bench.whimbrel().run(["history", "--batches"]).expect_code(2);
}
