//! What is known of a data migration before its first batch, and what is done after its last.

use std::fmt::Write as _;

use whimbrel_testkit::database::sqlite_in;
use whimbrel_testkit::project::Project;
use whimbrel_testkit::proof::fault::disk::{self, Disk};

use crate::data::{count, people};
use crate::engines::{Bench, every_engine, on};

every_engine!(batches_go_along_the_index, the_room_for_undo_is_estimated);

/// A table of words whose key is an index of its own.
fn words(bench: &Bench) {
    let mut sql = String::from(
        "CREATE TABLE words (id INTEGER PRIMARY KEY, word VARCHAR(30) NOT NULL, filler VARCHAR(200), n INTEGER);\n\
         CREATE UNIQUE INDEX words_word ON words (word);\n",
    );
    for chunk in 0..8 {
        let values: Vec<String> = (0..250)
            .map(|at| chunk * 250 + at)
            .map(|id| format!("({id}, 'w{id:06}', '{}', 0)", "f".repeat(150)))
            .collect();
        let _ = writeln!(sql, "INSERT INTO words VALUES {};", values.join(", "));
    }
    bench.migration("0001_words.sql", &sql);
    bench.whimbrel().run(["up"]).success();
    bench.migration(
        "0002_count.data.sql",
        "-- whimbrel: batch size=20 by=word\nUPDATE words SET n = n + 1;\n",
    );
}

fn batches_go_along_the_index(bench: &Bench) {
    words(bench);
    let analyze = if bench.engine == "mariadb" { "ANALYZE TABLE words" } else { "ANALYZE words" };
    bench.database.query(analyze);
    let plan = bench.whimbrel().run(["plan"]).success();
    assert!(!plan.stdout.contains("key-index-unused"), "{plan}");
    // Now each engine is kept from its index.
    match bench.engine {
        "sqlite" => bench.migration(
            "0002_count.data.sql",
            "-- whimbrel: batch size=20 by=word\nUPDATE words NOT INDEXED SET n = n + 1;\n",
        ),
        "postgres" => {
            let name = &bench.database.name;
            bench.database.admin(&format!(
                "ALTER DATABASE {name} SET enable_indexscan = off; \
                 ALTER DATABASE {name} SET enable_bitmapscan = off;"
            ));
        }
        _ => {
            bench.database.query("ALTER TABLE words ALTER INDEX words_word IGNORED");
        }
    }
    let plan = bench.whimbrel().run(["plan"]).success();
    assert!(plan.stdout.contains("key-index-unused"), "{plan}");
    let up = bench.whimbrel().run(["up"]).success();
    assert!(up.stderr.contains("warning: Each batch would read all of"), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM words WHERE n = 1"), 2_000);
}

fn the_room_for_undo_is_estimated(bench: &Bench) {
    words(bench);
    bench.migration("0003_gone.data.sql", "-- whimbrel: batch by=word\nDELETE FROM words;\n");
    let plan = bench.whimbrel().run(["plan", "--json"]).success();
    let value: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    let bytes = |migration: usize| {
        value["data"]["migrations"][migration]["statements"][0]["batches"]["undo_bytes"]
            .as_u64()
            .expect("a number")
    };
    // An UPDATE keeps a number twice, a DELETE the whole row once.
    assert!(bytes(0) < bytes(1), "{plan}");
    assert!(bytes(1) >= 2_000 * 157 && bytes(1) < 2_000 * 400, "{plan}");
}

#[test]
fn a_migration_for_whose_undo_the_disk_has_no_room_is_refused() {
    if let Some(why) = disk::unavailable() {
        panic!("a small disk cannot be made: {why}");
    }
    let disk = Disk::mount(8_192).expect("a disk");
    let bench =
        Bench { engine: "sqlite", database: sqlite_in(disk.path()), project: Project::new() };
    words(&bench);
    bench.migration("0003_gone.data.sql", "DELETE FROM words;\n");
    bench.whimbrel().run(["up", "--to", "0002"]).success();
    // Enough for the ledger, and not for the rows.
    let files = std::fs::read_dir(disk.path()).expect("a folder");
    let used: u64 = files.flatten().filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum();
    let kib = usize::try_from(used / 1_024).expect("small") + 200;
    disk.resize(kib).expect("a smaller disk");
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("would keep about"), "{up}");
    assert_eq!(count(&bench, "SELECT count(*) FROM words"), 2_000);
    disk.resize(8_192).expect("room");
    bench.whimbrel().run(["up"]).success();
    assert_eq!(count(&bench, "SELECT count(*) FROM words"), 0);
}

#[test]
fn the_planner_of_postgres_is_told() {
    on("postgres", |bench| {
        people(bench, 1_300);
        bench.database.query("ALTER TABLE people SET (autovacuum_enabled = false)");
        let known = "SELECT count(*) FROM pg_stats WHERE tablename = 'people'";
        let before = count(bench, known);
        bench.migration("0002_count.data.sql", "UPDATE people SET visits = visits + 1;\n");
        bench.whimbrel().run(["up"]).success();
        assert_eq!(before, 0, "autovacuum was quicker");
        assert!(count(bench, known) > 0);
    });
}
