//! How long statements wait for locks and how long they run.

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

use crate::engines::{Bench, every_engine, on};

every_engine!(
    a_directive_ends_a_slow_statement,
    the_setting_ends_a_slow_statement_and_a_directive_lets_it_run,
);

/// A statement that takes more than a second.
fn slow(bench: &Bench) -> &'static str {
    match bench.engine {
        "sqlite" => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000) \
             SELECT count(*) FROM n;"
        }
        "postgres" => "SELECT pg_sleep(1.5);",
        _ => "SELECT sleep(1.5);",
    }
}

fn a_directive_ends_a_slow_statement(bench: &Bench) {
    let slow = slow(bench);
    bench.migration("0001_a.sql", "CREATE TABLE a (x INTEGER);");
    bench.migration(
        "0002_slow.sql",
        &format!("INSERT INTO a VALUES (1);\n-- whimbrel: statement-timeout=200ms\n{slow}\n"),
    );
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains("0002_slow.sql:3"), "{up}");
    assert!(up.stderr.contains("statement-timeout"), "{up}");
    assert_eq!(bench.database.query("SELECT count(*) FROM a").trim(), "0");
    // The limit is that statement's alone.
    bench.migration(
        "0002_slow.sql",
        &format!(
            "-- why\n\n{slow}\n-- whimbrel: statement-timeout=200ms\nINSERT INTO a VALUES (1);"
        ),
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM a").trim(), "1");
}

fn the_setting_ends_a_slow_statement_and_a_directive_lets_it_run(bench: &Bench) {
    let slow = slow(bench);
    bench.project.file("whimbrel.toml", "[project]\nstatement-timeout = \"200ms\"\n");
    bench.migration("0001_a.sql", "CREATE TABLE a (x INTEGER);");
    bench.migration("0002_slow.sql", &format!("INSERT INTO a VALUES (1);\n{slow}\n"));
    bench.whimbrel().run(["up"]).expect_code(1);
    bench.whimbrel().run(["up", "--statement-timeout", "1m"]).success();
    bench.migration(
        "0003_slow.sql",
        &format!("-- whimbrel: transaction=never statement-timeout=0\n{slow}\n"),
    );
    bench.whimbrel().run(["up"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM a").trim(), "1");
}

const WAYS: &[(&str, &str)] = &[
    ("0001_plain.sql", "CREATE TABLE a (x INTEGER); SLEEP;"),
    ("0002_own.sql", "BEGIN; INSERT INTO a VALUES (1); SLEEP; COMMIT;"),
    ("0003_bare.sql", "-- whimbrel: transaction=never\nSLEEP;"),
    ("0004_rolled_back.sql", "BEGIN; SLEEP; ROLLBACK;"),
];

#[track_caller]
fn runs_in_every_way(url: &str, sleep: &str) {
    let project = Project::new();
    for (name, text) in WAYS {
        project.file(&format!("migrations/{name}"), &text.replace("SLEEP", sleep));
    }
    let program = env!("CARGO_BIN_EXE_whimbrel");
    Whimbrel::new(program, project.path()).env("DATABASE_URL", url).run(["up"]).success();
}

#[test]
fn a_limit_of_the_database_does_not_count_on_postgres() {
    let Some(database) = fresh_postgres("limits") else { return };
    let name = &database.name;
    database.admin(&format!("ALTER DATABASE {name} SET statement_timeout = '300ms';"));
    runs_in_every_way(&database.url, "SELECT pg_sleep(0.6)");
}

#[test]
fn a_limit_of_the_account_does_not_count_on_mariadb() {
    let Some(database) = fresh_mariadb("limits") else { return };
    let name = &database.name;
    let user = format!("slow{}", name.rsplit('_').take(2).collect::<String>());
    database.admin(&format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'slow' WITH MAX_STATEMENT_TIME 0.5;\n\
         GRANT ALL ON `{name}`.* TO '{user}'@'%';"
    ));
    let (_, server) = database.url.split_once('@').unwrap();
    runs_in_every_way(&format!("mysql://{user}:slow@{server}"), "SELECT 1 / (1 - sleep(1))");
    database.admin(&format!("DROP USER '{user}'@'%';"));
}

#[test]
fn a_limit_that_the_file_sets_counts() {
    on("postgres", |bench| {
        let texts = [
            "SET LOCAL statement_timeout = '200ms';\nSELECT pg_sleep(2);",
            "SET statement_timeout = '200ms';\nSELECT pg_sleep(2);",
            "BEGIN; SET statement_timeout = '200ms'; COMMIT; SELECT pg_sleep(2);",
        ];
        for text in texts {
            bench.migration("0001_own.sql", text);
            let up = bench.whimbrel().run(["up"]).expect_code(1);
            assert!(up.stderr.contains("57014"), "{up}");
            bench.database.query("TRUNCATE whimbrel.attempts");
        }
        // And it ends with the file.
        bench.migration("0001_own.sql", "SET statement_timeout = '200ms';\nSELECT 1;");
        bench.migration("0002_next.sql", "SELECT pg_sleep(0.5);");
        bench.whimbrel().run(["up"]).success();
    });
}

#[test]
fn a_session_is_as_it_was_after_a_statement_outside_of_transactions() {
    on("postgres", |bench| {
        bench.migration(
            "0001_bare.sql",
            "-- whimbrel: transaction=never\n\
             SET lock_timeout = '77s';\n\
             -- whimbrel: lock-timeout=5s statement-timeout=9s\n\
             CREATE TABLE a AS SELECT current_setting('lock_timeout') AS l, \
             current_setting('statement_timeout') AS s;\n\
             INSERT INTO a SELECT current_setting('lock_timeout'), \
             current_setting('statement_timeout');",
        );
        bench.whimbrel().run(["up"]).success();
        let found = bench.database.query("SELECT l, s FROM a ORDER BY l");
        assert_eq!(found.trim(), "5s|9s\n77s|0");
    });
}

#[track_caller]
fn waits_by_directive(database: &TestDatabase, bench: &Bench) {
    let holder = database.hold("INSERT INTO a VALUES (7)").unwrap();
    let running = bench.whimbrel().spawn(["up", "--lock-timeout", "100s"]);
    running.wait_until(|_, stderr| stderr.contains("try 2 in"));
    drop(holder);
    running.wait().success();
}

#[test]
fn a_statement_has_its_own_limit_for_locks() {
    for engine in ["postgres", "mariadb"] {
        on(engine, |bench| {
            bench.migration("0001_a.sql", "CREATE TABLE a (x INTEGER);");
            bench.whimbrel().run(["up"]).success();
            bench.migration(
                "0002_b.sql",
                "CREATE TABLE b (x INTEGER);\n-- whimbrel: lock-timeout=300ms\n\
                 ALTER TABLE a ADD COLUMN y INTEGER;",
            );
            waits_by_directive(&bench.database, bench);
        });
    }
}
