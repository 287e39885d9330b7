//! Ledgers as older versions of Whimbrel made them, by the SQL that they sent.

use std::path::Path;

use crate::engines::{Bench, every_engine};

every_engine!(old_ledgers_are_read_and_brought_up_to_date);

fn old_ledgers_are_read_and_brought_up_to_date(bench: &Bench) {
    for format in [1, 2, 3] {
        bench.project.file("migrations/0001_users.sql", "CREATE TABLE users (id INTEGER);\n");
        make(bench, format);
        let before = bench.database.rows();
        let status = bench.whimbrel().run(["status", "--check"]).success();
        assert!(status.stdout.contains("1 applied, 0 pending"), "{status}");
        bench.whimbrel().run(["up"]).success();
        assert_eq!(bench.database.rows(), before, "nothing to do writes nothing");
        bench.migration("0002_posts.sql", "CREATE TABLE posts (id INTEGER);\n");
        bench.migration("0002_posts.down.sql", "DROP TABLE posts;\n");
        bench.whimbrel().run(["up"]).success();
        let ledger = |table: &str| crate::data::ledger(bench, table);
        let formats = bench.database.query(&format!(
            "SELECT database_id, ledger_format FROM {} ORDER BY seq",
            ledger("identity")
        ));
        let expected = [format!("the-id|{format}"), "the-id|4".to_owned()];
        let shown: Vec<String> =
            formats.trim().lines().map(|line| line.replace('\t', "|")).collect();
        assert_eq!(shown, expected);
        bench.database.query(&format!("SELECT digest FROM {}", ledger("batches")));
        for table in ["cursors", "batches", "quarantine", "control", "backups", "parts"] {
            bench.database.query(&format!("SELECT count(*) FROM {}", ledger(table)));
        }
        bench.whimbrel().run(["status", "--check"]).success();
        let undo = bench.whimbrel().run(["down", "--steps", "2", "--yes"]).success();
        assert!(undo.stdout.contains("Took back 2"), "{undo}");
        clear(bench);
    }
}

/// A ledger of an old format, with one migration that has run.
fn make(bench: &Bench, format: u32) {
    let engine = if bench.engine == "mariadb" { "mysql" } else { bench.engine };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/ledgers");
    for one in 1..=format {
        let path = folder.join(format!("format-{one}.{engine}.sql"));
        bench.database.query(&std::fs::read_to_string(path).expect("the old SQL"));
    }
    let ledger = |table: &str| crate::data::ledger(bench, table);
    bench.database.query(&format!(
        "INSERT INTO {} (database_id, environment, ledger_format, tool_version, at_ms) \
         VALUES ('the-id', '', {format}, '0.0.1', 1);",
        ledger("identity")
    ));
    // The checksums of the file, as another run of this version says them.
    let text = "CREATE TABLE users (id INTEGER);\n";
    let sums = sums(text);
    bench.database.query(&format!(
        "{text} INSERT INTO {} (name, version, kind, event, text_checksum, token_checksum, up_text, \
         down_text, run_id, actor, after_attempt, duration_ms, at_ms, token) VALUES \
         ('0001_users.sql', '0001', 'schema', 'up', '{}', '{}', '{}', 'DROP TABLE users;', \
         'r', 'ann', 0, 1, 1, 1);",
        ledger("migrations"),
        sums.0,
        sums.1,
        text.trim_end(),
    ));
}

fn sums(text: &str) -> (String, String) {
    use whimbrel_core::checksum::{text_checksum, token_checksum};
    use whimbrel_core::sql::dialect::Dialect;
    (text_checksum(text), token_checksum(text, Dialect::Sqlite))
}

fn clear(bench: &Bench) {
    bench.project.remove("migrations/0002_posts.sql").remove("migrations/0002_posts.down.sql");
    if bench.engine == "postgres" {
        bench.database.query("DROP SCHEMA whimbrel CASCADE");
        return;
    }
    let all = "identity runs attempts migrations undo audit fence lease cursors batches quarantine \
               control backups parts";
    for table in all.split_whitespace() {
        bench.database.query(&format!("DROP TABLE whimbrel_{table}"));
    }
}
