//! Through a real pgbouncer that gives each transaction another session.

use whimbrel_testkit::run::Whimbrel;

use crate::data::{CARDS, count, people};
use crate::engines::{Bench, on};

fn pooled(bench: &Bench) -> Whimbrel {
    bench.whimbrel().env("DATABASE_URL", bench.database.pooled_url())
}

#[test]
fn what_needs_a_session_is_refused_before_anything_runs() {
    on("postgres", |bench| {
        bench.migration("0001_a.sql", "CREATE TABLE a (x integer);");
        for (text, words) in [
            ("\nSET search_path = public;\nCREATE TABLE b (x integer);", "SET LOCAL"),
            ("\nCREATE TEMP TABLE t AS SELECT 1;\nCOMMIT;\nDROP TABLE t;", "ON COMMIT DROP"),
            ("\nLISTEN news;", "direct"),
            ("\nPREPARE p AS SELECT 1;", "direct"),
            ("\nSELECT pg_advisory_lock(7);", "pg_advisory_xact_lock"),
            ("\nCREATE INDEX CONCURRENTLY i ON a (x);", "direct"),
            ("\nVACUUM;", "direct"),
        ] {
            bench.migration("0002_b.sql", text);
            for verb in ["plan", "up"] {
                let output = pooled(bench).run([verb]).expect_code(2);
                assert!(output.stderr.contains("0002_b.sql:2:1"), "{output}");
                assert!(output.stderr.contains("through this pooler"), "{output}");
                let hint = words.replace("direct", "connect to the server itself");
                assert!(output.stderr.contains(&hint), "{output}");
            }
            let found = bench.database.query("SELECT to_regclass('a')");
            assert_eq!(found.trim(), "NULL", "{text}");
        }
        // The direct address takes it.
        bench.migration("0002_b.sql", "CREATE INDEX CONCURRENTLY i ON a (x);");
        bench.whimbrel().run(["up"]).success();
        bench.migration("0002_b.down.sql", "DROP INDEX CONCURRENTLY i;");
        let down = pooled(bench).run(["down", "--from-file"]).expect_code(2);
        assert!(down.stderr.contains("through this pooler"), "{down}");
    });
}

#[test]
fn what_ends_with_its_transaction_runs_and_leaves_nothing_in_the_pool() {
    on("postgres", |bench| {
        bench.migration(
            "0001_a.sql",
            "SET LOCAL search_path = public;\nCREATE TEMP TABLE t ON COMMIT DROP AS SELECT 7 AS x;\n\
             SELECT pg_advisory_xact_lock(7);\nCREATE TABLE a AS SELECT x FROM t;",
        );
        bench.migration("0002_b.sql", "BEGIN;\nINSERT INTO a VALUES (8);\nCOMMIT;");
        bench.migration(
            "0003_c.sql",
            "-- whimbrel: lock-timeout=700ms statement-timeout=9s\n\
             CREATE TABLE c AS SELECT current_setting('lock_timeout') AS l, \
             current_setting('statement_timeout') AS s;",
        );
        bench.migration(
            "0004_d.sql",
            "-- whimbrel: transaction=never lock-timeout=700ms\nINSERT INTO a VALUES (9);",
        );
        pooled(bench).run(["up"]).success();
        assert_eq!(bench.database.query("SELECT sum(x) FROM a").trim(), "24");
        assert_eq!(bench.database.query("SELECT l, s FROM c").trim(), "700ms|9s");
        pooled(bench).run(["verify"]).success();
        bench.migration(
            "0005_e.sql",
            "CREATE TABLE e AS SELECT current_setting('lock_timeout') AS l, \
             current_setting('statement_timeout') AS s;",
        );
        // A setting that had stayed in the pool would be seen now.
        pooled(bench).run(["up"]).success();
        assert_eq!(bench.database.query("SELECT l, s FROM e").trim(), "2s|0");
    });
}

/// Each batch is a transaction by itself, so that several connections may share the sessions.
#[test]
fn several_connections_go_through_the_parts_of_a_table() {
    on("postgres", |bench| {
        people(bench, 400);
        bench.migration("0002_cards.sql", CARDS);
        pooled(bench).run(["up"]).success();
        let before = bench.database.rows();
        // Batches write one row of the ledger; that the database wants more must not matter.
        let isolation = "default_transaction_isolation = 'repeatable read'";
        bench.database.query(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
            isolation.replace('\'', "''")
        ));
        let work: Vec<String> = [
            "UPDATE people SET visits = visits + 1",
            "INSERT INTO cards (person_id, label) SELECT p.id, p.nick FROM people p",
            "DELETE FROM people WHERE id % 3 = 0",
        ]
        .iter()
        .map(|sql| format!("-- whimbrel: batch size=10 parallel=3\n{sql};\n"))
        .collect();
        bench.migration("0003_work.data.sql", &work.join("\n"));
        let plan = pooled(bench).run(["plan"]).success();
        assert!(plan.stdout.contains("3 connections"), "{plan}");
        let rows = count(bench, "SELECT count(*) FROM people");
        let rest = count(bench, "SELECT count(*) FROM people WHERE id % 3 <> 0");
        for point in ["batch.after_commit:5", "batch.before_commit:9", "batch.after_statement:20"] {
            let killed = pooled(bench).env("WHIMBREL_FAILPOINT", point).run(["up"]);
            assert_eq!(killed.code, None, "{point}: {killed}");
            assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits > 1"), 0, "{point}");
        }
        pooled(bench).run(["up"]).success();
        assert_eq!(count(bench, "SELECT count(*) FROM people WHERE visits = 1"), rest);
        assert_eq!(count(bench, "SELECT count(*) FROM people"), rest);
        assert_eq!(count(bench, "SELECT count(DISTINCT person_id) FROM cards"), rows);
        assert_eq!(count(bench, "SELECT count(*) FROM cards"), rows);
        let parts = "SELECT count(*) FROM whimbrel.parts WHERE state = 'done'";
        assert_eq!(count(bench, parts), 9);
        let account = pooled(bench).run(["account", "0003"]).success();
        assert!(account.stdout.contains("holds: no row was lost"), "{account}");
        pooled(bench).run(["undo", "0003"]).success();
        assert_eq!(bench.database.rows(), before);
    });
}
