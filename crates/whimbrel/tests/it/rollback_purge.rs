//! `purge` on every engine: what was kept for the way back goes, once, and everybody says so.

use serde_json::Value;
use whimbrel_engine::failpoint;

use crate::data::{count, ledger};
use crate::engines::{Bench, every_engine};
use crate::rollback::prepared;

every_engine!(
    what_is_kept_is_listed_and_goes,
    what_is_purged_does_not_come_back_and_it_is_said,
    what_is_half_way_keeps_what_it_needs,
    a_kill_at_every_place_purges_once,
    a_protected_environment_wants_the_phrase,
);

fn plan(bench: &Bench, age: &str) -> Value {
    let words = ["purge", "--older-than", age, "--dry-run", "--json"];
    let output = bench.whimbrel().run(words).success();
    serde_json::from_str(output.stdout.lines().next().expect("a line")).expect("JSON")
}

fn tables(bench: &Bench) -> i64 {
    let sql = match bench.engine {
        "sqlite" => {
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' \
                     AND name LIKE 'whimbrel_undo_%'"
        }
        "postgres" => {
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'whimbrel' \
                       AND tablename LIKE 'undo\\_%'"
        }
        _ => {
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
              AND table_name LIKE 'whimbrel\\_undo\\_%'"
        }
    };
    count(bench, sql)
}

fn what_is_kept_is_listed_and_goes(bench: &Bench) {
    prepared(bench, 60);
    let rows = count(bench, "SELECT count(*) FROM people");
    bench.whimbrel().run(["up"]).success();
    let status = bench.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("kept for the way back: 2 undo tables"), "{status}");
    let nothing = bench.whimbrel().run(["purge", "--yes"]).success();
    assert!(nothing.stdout.contains("nothing is kept longer than 30d"), "{nothing}");
    let plan = plan(bench, "0s");
    assert_eq!(plan["items"].as_array().map(Vec::len), Some(2), "{plan}");
    assert_eq!(plan["items"][0]["rows"], rows, "{plan}");
    assert!(plan["items"][0]["bytes"].as_u64() > Some(0), "{plan}");
    assert_eq!(plan["migrations"][1]["migration"], "0004_handles.data.sql", "{plan}");
    let unasked = bench.whimbrel().run(["purge", "--older-than", "0"]).expect_code(6);
    assert!(unasked.stderr.contains("--yes"), "{unasked}");
    assert_eq!(tables(bench), 2);
    bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
    assert_eq!(tables(bench), 0);
    let status = bench.whimbrel().run(["status"]).success();
    assert!(!status.stdout.contains("undo table"), "{status}");
    // What was taken back is not needed any more, and goes without harm.
    bench.whimbrel().run(["up"]).success();
}

fn what_is_purged_does_not_come_back_and_it_is_said(bench: &Bench) {
    prepared(bench, 40);
    bench.migration("0006_gone.sql", "DROP TABLE cards;\n");
    bench.migration("0006_gone.down.sql", crate::data::CARDS);
    bench.whimbrel().run(["up"]).success();
    bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
    let undo = bench.whimbrel().run(["undo", "0004"]).expect_code(2);
    assert!(undo.stderr.contains("was purged"), "{undo}");
    let words = ["rollback", "last", "--how", "partial", "--yes"];
    let partial = bench.whimbrel().run(words).expect_code(2);
    assert!(partial.stderr.contains("was purged"), "{partial}");
    let down = bench.whimbrel().run(["down", "--dry-run"]).success();
    assert!(down.stderr.contains("as it was purged: table"), "{down}");
    let words = ["rollback", "last", "--how", "staged", "--steps", "1", "--yes"];
    let staged = bench.whimbrel().run(words).success();
    assert!(staged.stderr.contains("as it was purged: table"), "{staged}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 0);
    // Kept anew, it comes back.
    bench.database.query("INSERT INTO cards VALUES (1, 'one')");
    bench.whimbrel().run(["up"]).success();
    let down = bench.whimbrel().run(["down", "--yes"]).success();
    assert!(!down.stderr.contains("purged"), "{down}");
    assert_eq!(count(bench, "SELECT count(*) FROM cards"), 1);
}

fn what_is_half_way_keeps_what_it_needs(bench: &Bench) {
    prepared(bench, 100);
    let rows = bench.database.rows();
    let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", "batch.after_commit:2").run(["up"]);
    assert_eq!(killed.code, None, "{killed}");
    let half = bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
    assert!(half.stderr.contains("0003_cards.data.sql is half-way"), "{half}");
    assert_eq!(tables(bench), 1);
    bench.whimbrel().run(["up"]).success();
    let words = ["rollback", "last", "--how", "staged", "--yes"];
    let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", "batch.before_commit:1").run(words);
    assert_eq!(killed.code, None, "{killed}");
    let half = bench.whimbrel().run(["purge", "--older-than", "0", "--yes"]).success();
    assert!(half.stderr.contains("0004_handles.data.sql is half-way"), "{half}");
    bench.whimbrel().run(["undo", "0004"]).success();
    let undone = "SELECT count(*) FROM people WHERE visits <> 0";
    assert_eq!(count(bench, undone), 0);
    assert_ne!(bench.database.rows(), rows, "the cards are there, and cannot be undone any more");
}

fn a_kill_at_every_place_purges_once(bench: &Bench) {
    prepared(bench, 40);
    for point in failpoint::PURGE {
        bench.whimbrel().run(["up"]).success();
        let before = purged(bench);
        let words = ["purge", "--older-than", "0", "--yes"];
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", format!("{point}:2")).run(words);
        assert_eq!(killed.code, None, "{point}: {killed}");
        bench.whimbrel().run(words).success();
        assert_eq!(tables(bench), 0, "after {point}");
        assert_eq!(purged(bench), before + 2, "after {point}");
        // For the next round there must be something to keep again.
        bench.database.query("DELETE FROM cards; UPDATE people SET handle = NULL, visits = 0");
        let migrations = ledger(bench, "migrations");
        assert!(count(bench, &format!("SELECT count(*) FROM {migrations}")) > 0);
        let (one, two) = (format!("10{before:02}"), format!("20{before:02}"));
        bench.migration(
            &format!("{one}_cards.data.sql"),
            "INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p;\n",
        );
        bench.migration(&format!("{two}_up.data.sql"), "UPDATE people SET visits = 9;\n");
    }
}

fn purged(bench: &Bench) -> i64 {
    let undo = ledger(bench, "undo");
    count(bench, &format!("SELECT count(*) FROM {undo} WHERE event = 'purged'"))
}

fn a_protected_environment_wants_the_phrase(bench: &Bench) {
    prepared(bench, 20);
    let url = &bench.database.url;
    bench.project.file(
        "whimbrel.toml",
        &format!("[environments.live]\nurl = \"{url}\"\nprotected = true\n"),
    );
    let live = |words: &[&str]| bench.whimbrel().run([&["--env", "live"][..], words].concat());
    live(&["up", "--no-backup"]).success();
    let asked = live(&["purge", "--older-than", "0", "--yes"]).expect_code(6);
    assert!(asked.stderr.contains("`PURGE 2 TABLES IN live`"), "{asked}");
    bench.database.query("INSERT INTO cards VALUES (900001, 'mine')");
    let staged = live(&["rollback", "last", "--how", "staged", "--yes"]).expect_code(6);
    assert!(staged.stderr.contains("`LOSE 1 ROWS IN live`"), "{staged}");
    live(&["purge", "--older-than", "0", "--confirm", "PURGE 2 TABLES IN live"]).success();
    assert_eq!(tables(bench), 0);
}
