//! `source=` where the source is not there, is locked, is shared, or cannot make anything of a row.

use serde_json::Value;
use whimbrel_testkit::run::Whimbrel;

use super::source::{begin, people, statement};
use super::{Ends, between};

fn file(ends: &Ends, text: &str) {
    ends.project.file("migrations/0002_people.data.sql", text);
}

/// The program where the variable of the source's address is not set.
fn alone(ends: &Ends) -> Whimbrel {
    ends.whimbrel().env("LEGACY_URL", "")
}

#[test]
fn what_does_not_need_the_source_goes_on_without_it() {
    between("postgres", "sqlite", |ends| {
        begin(ends, 20);
        file(ends, &statement(ends, "", ""));
        ends.whimbrel().run(["up"]).success();
        for command in
            [&["status"][..], &["up"], &["history"], &["quarantine", "list"], &["verify"]]
        {
            alone(ends).run(command).success();
        }
        let account = alone(ends).run(["account", "0002"]).success();
        let why = "not compared: `source=legacy`: The variable `LEGACY_URL` is not set";
        assert!(account.stdout.contains(why), "{account}");
        // What needs it is refused before anything runs.
        ends.project.file("migrations/0003_more.sql", "CREATE TABLE more (id integer);\n");
        ends.project.file(
            "migrations/0004_more.data.sql",
            "-- whimbrel: source=legacy undo=off\nINSERT INTO more (id) SELECT p.id FROM people p;\n",
        );
        let refused = alone(ends).run(["up"]).expect_code(2);
        assert!(refused.stderr.contains("`LEGACY_URL` is not set"), "{refused}");
        assert!(ends.target.try_query("SELECT 1 FROM more").is_err());
        ends.whimbrel().run(["up"]).success();
        assert_eq!(ends.count("SELECT count(*) FROM more"), 20);
    });
}

/// It would be the database that is written.
#[test]
fn an_environment_without_an_address_is_no_source() {
    between("sqlite", "sqlite", |ends| {
        begin(ends, 20);
        ends.target.query("CREATE TABLE people (id integer PRIMARY KEY, first text, last text)");
        ends.target.query("INSERT INTO people VALUES (1, 'not', 'this')");
        ends.project.file("whimbrel.toml", "[environments.legacy]\nprotected = true\n");
        file(ends, &statement(ends, "", ""));
        for verb in ["plan", "up"] {
            let refused = ends.whimbrel().run([verb]).expect_code(2);
            assert!(refused.stderr.contains("`legacy` has no `url` of its own"), "{refused}");
        }
        assert_eq!(people(ends), 0);
    });
}

/// Values must not slip into the next column, or the next row.
#[test]
fn a_query_with_other_columns_is_refused() {
    for (from, to) in [("sqlite", "sqlite"), ("postgres", "mariadb"), ("mariadb", "postgres")] {
        between(from, to, |ends| {
            begin(ends, 20);
            for (query, words) in [
                ("p.id", "The query gives 1 values for 2 columns"),
                ("p.id, p.first, p.first", "The query gives 3 values for 2 columns"),
                ("p.id, p.nothing", "`legacy` refuses the query"),
            ] {
                file(
                    ends,
                    &format!(
                        "-- whimbrel: source=legacy\n\
                         INSERT INTO persons (id, name) SELECT {query} FROM people p;\n"
                    ),
                );
                for verb in ["plan", "up"] {
                    let output = ends.whimbrel().run([verb]);
                    assert!(output.to_string().contains(words), "{output}");
                }
                ends.whimbrel().run(["up"]).expect_code(2);
                assert_eq!(people(ends), 0);
            }
            // A `*` becomes another while the run is on.
            ends.source.query("CREATE TABLE two (id integer PRIMARY KEY, name varchar(20))");
            ends.source.query("INSERT INTO two SELECT id, first FROM people");
            let all = "-- whimbrel: source=legacy size=5\n\
                       INSERT INTO persons (id, name) SELECT * FROM two;\n";
            file(ends, all);
            let killed =
                ends.whimbrel().env("WHIMBREL_FAILPOINT", "batch.after_commit:2").run(["up"]);
            assert_eq!(killed.code, None, "{killed}");
            ends.source.query("ALTER TABLE two ADD more integer");
            let refused = ends.whimbrel().run(["up"]).expect_code(2);
            assert!(refused.stderr.contains("3 values for 2 columns"), "{refused}");
            assert_eq!(people(ends), 10);
        });
    }
}

/// Through a pooler, what we set for reading would be set for the next client.
#[test]
fn a_shared_session_is_no_source() {
    between("postgres", "postgres", |ends| {
        begin(ends, 20);
        file(ends, &statement(ends, "", ""));
        let pooled = || ends.whimbrel().env("LEGACY_URL", ends.source.pooled_url());
        for verb in ["plan", "up"] {
            let refused = pooled().run([verb]).expect_code(2);
            assert!(refused.stderr.contains("a session of its own"), "{refused}");
        }
        assert_eq!(people(ends), 0);
        // The target may be behind one.
        let target = ends.whimbrel().env("DATABASE_URL", ends.target.pooled_url());
        target.run(["up"]).success();
        assert_eq!(people(ends), 20);
        ends.whimbrel().run(["account", "0002"]).success();
    });
}

/// Somebody holds a lock at the source that lets nobody read.
fn a_locked_source_is_tried_again(from: &'static str, lock: &str) {
    between(from, "postgres", |ends| {
        begin(ends, 400);
        file(ends, &statement(ends, "", "").replace("size=40", "size=4 pause-ms=30"));
        let quick = |max: &str| {
            let program = ends.whimbrel().env("MIGRATION_RETRY_DELAY", "40");
            program.env("MIGRATION_MAX_RETRIES", max)
        };
        let running = quick("1").spawn(["up", "--json"]);
        running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 2);
        let holder = ends.source.hold(lock).expect("a lock");
        let failed = running.wait().expect_code(1);
        assert_eq!(failed.stdout.matches("\"event\":\"retrying\"").count(), 1, "{failed}");
        let done = people(ends);
        assert!(done > 0 && done < 400, "{done}");
        drop(holder);
        let running = quick("50").spawn(["up", "--json"]);
        running.wait_until(|out, _| out.matches("\"event\":\"batch\"").count() > 2);
        let holder = ends.source.hold(lock).expect("a lock");
        running.wait_until(|out, _| out.matches("\"event\":\"retrying\"").count() > 1);
        drop(holder);
        running.wait().success();
        assert_eq!(people(ends), 400);
        ends.whimbrel().run(["account", "0002"]).success();
    });
}

#[test]
fn a_locked_source_is_tried_again_postgres() {
    a_locked_source_is_tried_again("postgres", "LOCK TABLE people IN ACCESS EXCLUSIVE MODE");
}

#[test]
fn a_locked_source_is_tried_again_mariadb() {
    a_locked_source_is_tried_again("mariadb", "LOCK TABLES people WRITE");
}

#[test]
fn a_lost_source_is_connected_to_again() {
    between("postgres", "postgres", |ends| {
        begin(ends, 400);
        // A row that came twice would stay.
        ends.target.query("CREATE TABLE twice (id integer, name text)");
        let text = statement(ends, "pause-ms=30 undo=off", "").replace("size=40", "size=4");
        file(ends, &text.replace("INTO persons", "INTO twice"));
        let running = ends.whimbrel().spawn(["up", "--json"]);
        for nth in 1..=3 {
            running.wait_until(|out, _| {
                let after = out.rsplit("\"event\":\"reconnected\"").next().unwrap_or_default();
                out.matches("\"event\":\"reconnected\"").count() == nth - 1
                    && after.matches("\"event\":\"batch\"").count() > 3
            });
            ends.source.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        }
        running.wait().success();
        assert_eq!(ends.count("SELECT count(*) FROM twice"), 400);
        assert_eq!(ends.count("SELECT count(DISTINCT id) FROM twice"), 400);
        ends.whimbrel().run(["account", "0002"]).success();
    });
}

/// The source cannot compute `number` of some rows.
fn what_the_source_cannot_compute(from: &'static str, to: &'static str, number: &str) {
    between(from, to, |ends| {
        begin(ends, 100);
        ends.source.query("ALTER TABLE people ADD note varchar(20)");
        ends.source.query("UPDATE people SET note = '7'");
        ends.source.query("UPDATE people SET note = 'seven' WHERE id IN (3, 44)");
        ends.target.query("CREATE TABLE numbers (id integer PRIMARY KEY, n integer NOT NULL)");
        let text = format!(
            "-- whimbrel: batch source=legacy size=40 on-error=quarantine\n\
             INSERT INTO numbers (id, n) SELECT p.id, {number} FROM people p;\n"
        );
        file(ends, &text);
        let tried = ends.whimbrel().run(["up", "--dry-run"]).expect_code(3);
        assert!(tried.stdout.contains("2 rows"), "{tried}");
        ends.whimbrel().run(["up"]).success();
        assert_eq!(ends.count("SELECT sum(n) FROM numbers"), 98 * 7);
        let list = ends.whimbrel().run(["quarantine", "list", "--json"]).success();
        let value: Value = serde_json::from_str(&list.stdout).expect("JSON");
        let rows = value["data"]["rows"].as_array().expect("rows");
        let ids: Vec<&Value> = rows.iter().map(|row| &row["row"]["id"]).collect();
        assert_eq!(ids, [3, 44], "{list}");
        let code = rows[0]["code"].as_str().expect("a code");
        assert!(code.starts_with("source "), "{list}");
        // One is mended at the source; of the other somebody says what shall come of it.
        ends.source.query("UPDATE people SET note = '8' WHERE id = 3");
        ends.whimbrel().run(["quarantine", "retry"]).expect_code(3);
        let second = rows[1]["id"].to_string();
        let edit = r#"{"n": 9}"#;
        ends.whimbrel().run(["quarantine", "edit", &second, "--set", edit]).success();
        ends.whimbrel().run(["quarantine", "retry"]).success();
        assert_eq!(ends.count("SELECT sum(n) FROM numbers"), 98 * 7 + 8 + 9);
        let account = ends.whimbrel().run(["account", "0002"]).success();
        assert!(account.stdout.contains("holds: no row was lost"), "{account}");
        assert!(account.stdout.contains("`legacy` unchanged since (98 rows)"), "{account}");
        ends.whimbrel().run(["undo", "0002"]).success();
        assert_eq!(ends.count("SELECT count(*) FROM numbers"), 0);
    });
}

#[test]
fn what_postgres_cannot_compute_is_set_aside() {
    for to in ["postgres", "sqlite", "mariadb"] {
        what_the_source_cannot_compute("postgres", to, "CAST(p.note AS integer)");
    }
}

#[test]
fn what_sqlite_cannot_compute_is_set_aside() {
    what_the_source_cannot_compute("sqlite", "postgres", "json_extract(p.note, '$')");
}

#[test]
fn a_value_that_does_not_fit_can_be_written_by_hand() {
    between("mariadb", "postgres", |ends| {
        begin(ends, 3);
        ends.source.query(
            "SET sql_mode = ''; ALTER TABLE people ADD day date; \
             UPDATE people SET day = '2026-11-21'; \
             UPDATE people SET day = '0000-00-00' WHERE id = 2",
        );
        ends.target.query("CREATE TABLE days (id integer PRIMARY KEY, day date, name text)");
        file(
            ends,
            "-- whimbrel: batch source=legacy on-error=quarantine\n\
             INSERT INTO days (id, day, name) SELECT p.id, p.day, p.first FROM people p;\n",
        );
        ends.whimbrel().run(["up"]).success();
        let edit = r#"{"day": "1970-01-01"}"#;
        ends.whimbrel().run(["quarantine", "edit", "1", "--set", edit]).success();
        ends.whimbrel().run(["quarantine", "retry"]).success();
        let row = ends.target.query("SELECT day, name FROM days WHERE id = 2");
        assert_eq!(row.trim(), "1970-01-01|F2");
    });
}
