//! Through a real pgbouncer that gives each transaction another session.

use whimbrel_testkit::run::Whimbrel;

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
