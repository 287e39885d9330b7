//! `materialize=true`: what a statement would write is computed once, and applied in batches.

use crate::data::{count, ledger};
use crate::engines::{Bench, every_engine};

every_engine!(
    duplicates_are_deleted_in_batches,
    values_that_are_read_and_written_are_computed_once,
    a_query_of_any_form_is_inserted_in_batches,
    what_others_change_meanwhile_is_left_and_reported,
    a_row_that_is_refused_is_tried_again_from_the_work_table,
    it_is_tried_out_without_leaving_anything,
    what_cannot_be_computed_once_is_refused,
    a_value_that_cannot_be_computed_leaves_nothing,
);

/// Rows of `words`: 400, of which each text is there twice or more, in mixed case.
fn words(bench: &Bench) {
    let rows: Vec<String> =
        (1..=400).map(|id| format!("({id}, 'w{}', {})", id * 37 % 150, id % 5)).collect();
    bench.migration(
        "0001_words.sql",
        &format!(
            "CREATE TABLE words (id INTEGER PRIMARY KEY, word VARCHAR(20), pos INTEGER);\n\
             CREATE TABLE tops (id INTEGER PRIMARY KEY, word VARCHAR(4));\n\
             INSERT INTO words VALUES {};\n",
            rows.join(", ")
        ),
    );
    bench.whimbrel().run(["up"]).success();
}

/// How many work tables there are.
fn work_tables(bench: &Bench) -> i64 {
    let sql = match bench.engine {
        "sqlite" => {
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'whimbrel!_undo!_%!_work' ESCAPE '!'"
        }
        "postgres" => {
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'whimbrel' AND tablename LIKE 'undo!_%!_work' ESCAPE '!'"
        }
        _ => {
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel!_undo!_%!_work' ESCAPE '!'"
        }
    };
    count(bench, sql)
}

const DEDUPE: &str = "DELETE FROM words WHERE id NOT IN \
                      (SELECT keep FROM (SELECT min(id) AS keep FROM words GROUP BY word ORDER BY 1 \
                      LIMIT 1000) k)";

fn duplicates_are_deleted_in_batches(bench: &Bench) {
    words(bench);
    let before = bench.database.rows();
    bench.migration("0002_dedupe.data.sql", &format!("-- whimbrel: batch size=30\n{DEDUPE};\n"));
    // Small tables run whole; what is asked for is cut all the same.
    bench.migration(
        "0002_dedupe.data.sql",
        &format!("-- whimbrel: batch size=30 materialize=true\n{DEDUPE};\n"),
    );
    let plan = bench.whimbrel().run(["plan"]).success();
    assert!(plan.stdout.contains("computed once, then in batches along words (id)"), "{plan}");
    assert!(plan.stdout.contains("without that: delete-reads-target (materialized)"), "{plan}");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM words"), 150);
    assert_eq!(count(bench, "SELECT count(DISTINCT word) FROM words"), 150);
    let batches = format!("SELECT count(*) FROM {}", ledger(bench, "batches"));
    assert_eq!(count(bench, &batches), 9, "250 rows by 30");
    assert_eq!(work_tables(bench), 0);
    let account = bench.whimbrel().run(["account", "0002"]).success();
    assert!(account.stdout.contains("holds: no row was lost"), "{account}");
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.rows(), before);
}

fn values_that_are_read_and_written_are_computed_once(bench: &Bench) {
    words(bench);
    bench.migration(
        "0002_ranks.data.sql",
        "-- whimbrel: batch size=7 materialize=true\n\
         UPDATE words SET pos = pos + (SELECT s FROM (SELECT sum(pos) AS s FROM words) q), \
         word = upper(word) WHERE id > 10;\n",
    );
    let sum = count(bench, "SELECT sum(pos) FROM words");
    let before = bench.database.rows();
    bench.whimbrel().run(["up"]).success();
    let right = format!(
        "SELECT count(*) FROM words WHERE id > 10 AND pos = id % 5 + {sum} AND word LIKE 'W%'"
    );
    assert_eq!(count(bench, &right), 390);
    assert_eq!(count(bench, "SELECT count(*) FROM words WHERE id <= 10 AND pos = id % 5"), 10);
    assert_eq!(work_tables(bench), 0);
    bench.whimbrel().run(["down", "--yes"]).success();
    assert_eq!(bench.database.rows(), before);
}

fn a_query_of_any_form_is_inserted_in_batches(bench: &Bench) {
    words(bench);
    let before = bench.database.rows();
    bench.migration(
        "0002_tops.data.sql",
        "-- whimbrel: batch size=11 materialize=true\n\
         INSERT INTO tops (id, word) SELECT id, word FROM words WHERE id <= 50 UNION ALL \
         SELECT id + 1000, word FROM words ORDER BY 1 LIMIT 120;\n\n\
         -- whimbrel: batch size=11 materialize=true\n\
         INSERT INTO tops (id, word) SELECT 5000 + row_number() OVER (ORDER BY word), word \
         FROM (SELECT DISTINCT word FROM words) d;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM tops WHERE id < 5000"), 120);
    assert_eq!(count(bench, "SELECT max(id) FROM tops WHERE id < 5000"), 1070);
    assert_eq!(count(bench, "SELECT count(DISTINCT word) FROM tops WHERE id > 5000"), 150);
    assert_eq!(count(bench, "SELECT max(id) FROM tops"), 5150);
    let account = bench.whimbrel().run(["account", "0002", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&account.stdout).expect("JSON");
    assert_eq!(value["data"]["statements"][0]["rows_read"], 120);
    assert_eq!(value["data"]["statements"][1]["rows_written"], 150);
    assert_eq!(work_tables(bench), 0);
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.rows(), before);
}

fn what_others_change_meanwhile_is_left_and_reported(bench: &Bench) {
    words(bench);
    bench.migration(
        "0002_ranks.data.sql",
        "-- whimbrel: batch size=100 materialize=true\n\
         UPDATE words SET pos = 100 + (SELECT m FROM (SELECT max(pos) AS m FROM words) q);\n",
    );
    let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", "batch.after_commit:2").run(["up"]);
    assert_ne!(killed.code, Some(0), "{killed}");
    assert_eq!(work_tables(bench), 1);
    assert_eq!(count(bench, "SELECT count(*) FROM words WHERE pos = 104"), 200);
    // One that is done, one changed, one gone, one changed where the statement does not look.
    bench.database.query("UPDATE words SET pos = 7 WHERE id IN (50, 350)");
    bench.database.query("DELETE FROM words WHERE id = 360");
    bench.database.query("UPDATE words SET word = 'new' WHERE id = 370");
    let up = bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM words WHERE pos = 104"), 397, "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM words WHERE pos = 7"), 2);
    let account = bench.whimbrel().run(["account", "0002"]).expect_code(3);
    assert!(account.to_string().contains("2 rows of words were changed or deleted"), "{account}");
    assert!(account.stdout.contains("350") && account.stdout.contains("360"), "{account}");
    assert_eq!(work_tables(bench), 0);
}

fn a_row_that_is_refused_is_tried_again_from_the_work_table(bench: &Bench) {
    words(bench);
    bench.database.query("UPDATE words SET word = 'far too long' WHERE id = 17");
    bench.migration("0002_limit.sql", "ALTER TABLE tops ADD COLUMN n INTEGER;\n");
    if bench.engine == "sqlite" {
        bench.migration(
            "0002_limit.sql",
            "DROP TABLE tops;\nCREATE TABLE tops (id INTEGER PRIMARY KEY, word VARCHAR(4) \
             CHECK (length(word) < 5), n INTEGER);\n",
        );
    }
    bench.migration(
        "0003_tops.data.sql",
        "-- whimbrel: batch size=16 materialize=true on-error=quarantine\n\
         INSERT INTO tops (id, word, n) SELECT id, word, count(*) OVER () FROM words;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM tops"), 399);
    assert_eq!(work_tables(bench), 1);
    let list = bench.whimbrel().run(["quarantine", "list"]).success();
    assert!(list.stdout.contains("the computed rows"), "{list}");
    let show = bench.whimbrel().run(["quarantine", "show", "1"]).success();
    assert!(show.stdout.contains("far too long"), "{show}");
    let purge = bench.whimbrel().run(["purge", "--older-than", "0d", "--yes"]);
    assert_eq!(work_tables(bench), 1, "{purge}");
    bench.whimbrel().run(["quarantine", "edit", "1", "--set", r#"{"word": "far"}"#]).success();
    bench.whimbrel().run(["quarantine", "retry"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM tops WHERE word = 'far' AND n = 400"), 1);
    bench.whimbrel().run(["account", "0003"]).success();
    bench.whimbrel().run(["undo", "0003"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM tops"), 0);
    assert_eq!(work_tables(bench), 0);
}

fn it_is_tried_out_without_leaving_anything(bench: &Bench) {
    words(bench);
    bench.migration(
        "0002_ranks.data.sql",
        "-- whimbrel: batch size=50 materialize=true\n\
         UPDATE words SET pos = pos + (SELECT m FROM (SELECT max(pos) AS m FROM words) q) \
         WHERE id > 100;\n\n\
         -- whimbrel: batch size=50 materialize=true\n\
         INSERT INTO tops (id, word) SELECT id, word FROM words ORDER BY word LIMIT 60;\n",
    );
    let before = bench.database.rows();
    let sample = bench.whimbrel().run(["up", "--sample", "3"]).success();
    assert!(sample.stdout.contains("id = 101"), "{sample}");
    assert_eq!(bench.database.rows(), before);
    let dry = bench.whimbrel().run(["up", "--dry-run"]).success();
    assert!(dry.stdout.contains("300"), "{dry}");
    assert_eq!(bench.database.rows(), before);
    assert_eq!(work_tables(bench), 0);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM tops"), 60);
}

fn what_cannot_be_computed_once_is_refused(bench: &Bench) {
    words(bench);
    let many: Vec<String> = (401..=1_500).map(|id| format!("({id}, 'x', 0)")).collect();
    bench.database.query(&format!("INSERT INTO words VALUES {}", many.join(", ")));
    for (directive, sql, reason) in [
        ("materialize=true", "UPDATE words SET id = id + 5000", "writes-batch-key"),
        ("materialize=true until=no-rows undo=off", DEDUPE, "again and again"),
        (
            "materialize=true skips=\"id = 1\"",
            "INSERT INTO tops (id, word) SELECT id, word FROM words LIMIT 3",
            "Leave `skips=` out",
        ),
        (
            "materialize=true by=id",
            "INSERT INTO tops (id, word) SELECT id, word FROM words LIMIT 3",
            "by-not-usable",
        ),
    ] {
        bench.migration("0002_no.data.sql", &format!("-- whimbrel: batch {directive}\n{sql};\n"));
        let up = bench.whimbrel().run(["up"]);
        assert_ne!(up.code, Some(0), "{sql}: {up}");
        assert!(up.to_string().contains(reason), "{sql}: {up}");
    }
    let sql = "DELETE FROM words WHERE id IN (SELECT x FROM (SELECT max(id) AS x FROM words) y)";
    bench.migration("0002_no.data.sql", &format!("{sql};\n"));
    let up = bench.whimbrel().run(["up"]);
    assert!(up.stderr.contains("materialize=true"), "it is offered: {up}");
}

fn a_value_that_cannot_be_computed_leaves_nothing(bench: &Bench) {
    words(bench);
    let bad = match bench.engine {
        "sqlite" => "abs(-9223372036854775807 - CASE WHEN id = 300 THEN 1 ELSE 0 END)",
        "postgres" => "1 / (300 - id)",
        _ => "CASE WHEN id = 300 THEN 99999999999 ELSE 0 END",
    };
    let before = bench.database.rows();
    bench.migration(
        "0002_bad.data.sql",
        &format!("-- whimbrel: batch materialize=true\nUPDATE words SET pos = {bad};\n"),
    );
    let up = bench.whimbrel().run(["up"]);
    assert_ne!(up.code, Some(0), "{up}");
    assert_eq!(bench.database.rows(), before);
    let cursors = format!("SELECT count(*) FROM {}", ledger(bench, "cursors"));
    assert_eq!(count(bench, &cursors), 0);
    bench.migration(
        "0002_bad.data.sql",
        "-- whimbrel: batch materialize=true\nUPDATE words SET pos = 1;\n",
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM words WHERE pos = 1"), 400);
}
