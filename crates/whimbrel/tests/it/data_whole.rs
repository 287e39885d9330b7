//! Statements that cannot be cut and run in one go: what they change is kept all the same.

use crate::data::{count, people};
use crate::engines::{Bench, every_engine};

every_engine!(
    what_runs_in_one_go_is_taken_back,
    a_change_of_somebody_else_is_a_conflict,
    a_killed_undo_goes_on,
    what_cannot_be_kept_is_not_said_to_be_taken_back,
);

/// Statements that no key cuts, each of another kind.
const SEED: &str = "\
    INSERT INTO people (id, nick, handle) VALUES (100000, 'seed', 'S'), (100001, 'two', NULL);\n\n\
    UPDATE people SET handle = 'H', visits = 7 + (SELECT count(*) FROM (SELECT visits FROM people) p \
    WHERE p.visits > 6) WHERE id > 10 AND nick <> 'two';\n\n\
    DELETE FROM people WHERE id IN (SELECT x.id FROM (SELECT id FROM people ORDER BY id LIMIT 3) x);\n";
const ALL: &str = "SELECT id, nick, handle, visits FROM people ORDER BY id";

fn what_runs_in_one_go_is_taken_back(bench: &Bench) {
    people(bench, 20);
    let before = bench.database.query(ALL);
    bench.migration("0002_seed.data.sql", SEED);
    let up = bench.whimbrel().run(["up"]).success();
    assert!(!up.to_string().contains("batch"), "{up}");
    let after = bench.database.query(ALL);
    assert_eq!(count(bench, "SELECT count(*) FROM people"), 19);
    assert!(after.contains("seed"), "{after}");
    let plan = bench.whimbrel().run(["undo", "0002", "--dry-run"]).success();
    assert!(plan.to_string().contains("people"), "{plan}");
    assert_eq!(bench.database.query(ALL), after, "{plan}");
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.query(ALL), before);
    bench.whimbrel().run(["up"]).success();
    assert_eq!(bench.database.query(ALL), after);
    bench.whimbrel().run(["down", "--yes"]).success();
    assert_eq!(bench.database.query(ALL), before);
}

fn a_change_of_somebody_else_is_a_conflict(bench: &Bench) {
    people(bench, 20);
    let seed = SEED.split_once("\n\nDELETE").expect("the last statement").0;
    bench.migration("0002_seed.data.sql", seed);
    bench.whimbrel().run(["up"]).success();
    // A column that the migration did not assign is nobody's conflict.
    bench.database.query(
        "UPDATE people SET nick = 'mine' WHERE id = (SELECT m FROM \
        (SELECT max(id) AS m FROM people WHERE id < 100000) x)",
    );
    bench.database.query("UPDATE people SET handle = 'mine' WHERE id = 100001");
    let undo = bench.whimbrel().run(["undo", "0002"]).expect_code(4);
    assert!(undo.stderr.contains("id = 100001"), "{undo}");
    assert_eq!(undo.stderr.matches("(id = ").count(), 1, "{undo}");
    bench.whimbrel().run(["undo", "0002", "--on-conflict", "skip"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 7"), 0);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE nick = 'mine'"), 1);
    assert_eq!(count(bench, "SELECT count(*) FROM people WHERE id > 50000"), 1);
}

fn a_killed_undo_goes_on(bench: &Bench) {
    people(bench, 20);
    let before = bench.database.query(ALL);
    bench.migration("0002_seed.data.sql", SEED);
    bench.whimbrel().run(["up"]).success();
    for nth in [1, 2] {
        let point = format!("batch.after_statement:{nth}");
        let killed = bench.whimbrel().env("WHIMBREL_FAILPOINT", &point).run(["undo", "0002"]);
        assert_eq!(killed.code, None, "{point}: {killed}");
    }
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.query(ALL), before);
}

fn what_cannot_be_kept_is_not_said_to_be_taken_back(bench: &Bench) {
    people(bench, 20);
    let more = match bench.engine {
        "mariadb" => "ON DUPLICATE KEY UPDATE visits = 9",
        _ => "ON CONFLICT (id) DO UPDATE SET visits = 9",
    };
    let id = count(bench, "SELECT min(id) FROM people");
    let upsert = format!("INSERT INTO people (id, nick) VALUES ({id}, 'x') {more};\n");
    let off = "-- whimbrel: batch undo=off\nINSERT INTO people (id, nick) VALUES (100000, 'x');\n";
    for (name, text) in [("0002_upsert.data.sql", upsert.as_str()), ("0003_off.data.sql", off)] {
        bench.migration(name, text);
        bench.whimbrel().run(["up"]).success();
        let after = bench.database.query(ALL);
        let number = &name[..4];
        for verb in [&["undo", number, "--dry-run"][..], &["undo", number], &["down", "--yes"]] {
            let output = bench.whimbrel().run(verb).expect_code(2);
            assert!(output.stderr.contains("Statement 1"), "{output}");
            assert!(output.stderr.contains("in one go"), "{output}");
        }
        assert_eq!(bench.database.query(ALL), after);
    }
}
