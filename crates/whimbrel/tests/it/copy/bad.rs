//! What does not fit is said before the start, with key and column.

use serde_json::Value;

use super::Ends;

/// A table at both ends and a row; the copy must refuse it with this word.
fn refused(from: &'static str, to: &'static str, cases: &[(&str, &str, &str, &str)]) {
    super::between(from, to, |ends| {
        let mut tables = String::new();
        for (at, (source, target, value, _)) in cases.iter().enumerate() {
            ends.source.query(&format!("CREATE TABLE t{at} (id integer PRIMARY KEY, v {source});"));
            let mode = if from == "mariadb" { "SET sql_mode = '';" } else { "" };
            ends.source.query(&format!("{mode} INSERT INTO t{at} VALUES (17, {value});"));
            tables.push_str(&format!("CREATE TABLE t{at} (id integer PRIMARY KEY, v {target});\n"));
        }
        ends.tables(&tables);
        let plan = ends.copy(&["--dry-run", "--json"]).expect_code(3);
        let line = plan.stdout.lines().last().expect("a line");
        let value: Value = serde_json::from_str(line).expect("JSON");
        let losses = value["losses"].as_array().expect("a list");
        for (at, (source, target, sent, code)) in cases.iter().enumerate() {
            let table = format!("t{at}");
            let named = |loss: &&Value| loss["table"].as_str().unwrap_or("").ends_with(&table);
            let found = losses.iter().find(named);
            let found = found.unwrap_or_else(|| panic!("{sent} as {source} to {target}: {plan}"));
            assert_eq!(found["code"], *code, "{sent} as {source} to {target}");
            assert_eq!(found["keys"][0], "id = 17");
        }
        for more in [&[][..], &["--no-scan"][..]] {
            let copy = ends.copy(more).expect_code(1);
            assert!(copy.stderr.contains("id = 17"), "{copy}");
            nothing_is_there(ends, cases.len());
        }
    });
}

fn nothing_is_there(ends: &Ends, tables: usize) {
    for at in 0..tables {
        assert_eq!(ends.count(&format!("SELECT count(*) FROM t{at}")), 0);
    }
}

#[test]
fn from_sqlite() {
    let cases = [
        ("INTEGER", "bigint", "'twelve'", "text-as-number"),
        ("INTEGER", "smallint", "40000", "out-of-range"),
        ("TEXT", "text", "'a' || char(0) || 'b'", "nul-byte"),
        ("TEXT", "text", "CAST(X'ff41' AS TEXT)", "not-utf-8"),
        ("TEXT", "varchar(3)", "'abcd'", "too-long"),
        ("DATE", "date", "'2026-02-30'", "no-time"),
        ("DATETIME", "timestamp", "1700000000", "wrong-type"),
        ("DATETIME", "timestamptz", "'2026-11-21 10:15:00'", "time-zone"),
        ("BOOLEAN", "boolean", "2", "out-of-range"),
        ("NUMERIC", "numeric(4,1)", "1.25", "digits"),
        ("TEXT", "uuid", "'nope'", "wrong-type"),
    ];
    refused("sqlite", "postgres", &cases);
}

#[test]
fn from_mariadb() {
    let cases = [
        ("date", "date", "'0000-00-00'", "zero-date"),
        ("datetime", "timestamp", "'0000-00-00 00:00:00'", "zero-date"),
        ("timestamp NULL", "timestamptz", "0", "zero-date"),
        ("bigint unsigned", "bigint", "18446744073709551615", "out-of-range"),
        ("int unsigned", "integer", "4000000000", "out-of-range"),
        ("time", "time", "'838:59:59'", "no-time"),
        ("datetime", "timestamptz", "'2026-11-21 10:15:00'", "time-zone"),
        ("varchar(9)", "text", "CONCAT('a', CHAR(0))", "nul-byte"),
    ];
    refused("mariadb", "postgres", &cases);
}

#[test]
fn from_postgres() {
    let cases = [
        ("timestamp", "datetime(6)", "'infinity'", "out-of-range"),
        ("date", "date", "'0044-03-15 BC'", "out-of-range"),
        ("timestamp", "datetime(3)", "'2026-11-21 10:15:00.123456'", "digits"),
        ("timestamptz", "timestamp", "'2040-01-01Z'", "out-of-range"),
        ("double precision", "double", "'NaN'", "not-a-number"),
        ("numeric", "decimal(10,2)", "1.005", "digits"),
        ("text", "varchar(3)", "'ünïcode'", "too-long"),
        ("integer", "smallint", "40000", "out-of-range"),
    ];
    refused("postgres", "mariadb", &cases);
    let cases = [
        ("numeric", "NUMERIC", "0.12345678901234567890", "digits"),
        ("text", "INTEGER", "'12'", "number-like"),
        ("double precision", "REAL", "'Infinity'", "not-a-number"),
    ];
    refused("postgres", "sqlite", &cases);
}

#[test]
fn what_does_not_belong_together_is_said() {
    super::between("sqlite", "postgres", |ends| {
        ends.source.query(
            "CREATE TABLE users (id integer PRIMARY KEY, name TEXT, old TEXT); \
             CREATE TABLE only_here (id integer PRIMARY KEY); \
             CREATE TABLE blobs (id integer PRIMARY KEY, v BLOB); \
             INSERT INTO users VALUES (1, 'a', 'x');",
        );
        ends.tables(
            "CREATE TABLE users (id bigint PRIMARY KEY, name text, must text NOT NULL, \
             upper_name text GENERATED ALWAYS AS (upper(name)) STORED);\n\
             CREATE TABLE blobs (id bigint PRIMARY KEY, v inet);\n",
        );
        let refused = ends.copy(&[]).expect_code(1);
        for part in [
            "`users`: its column `old` is not at the target",
            "`users`: the target's column `must` is NOT NULL",
            "`only_here`: there is no such table at the target",
            "`blobs`: its column `v` is `BLOB` and at the target `inet`",
            "--leave-out users.old",
        ] {
            assert!(refused.stderr.contains(part), "{part}: {refused}");
        }
        ends.target.query("ALTER TABLE users ALTER COLUMN must SET DEFAULT 'd'");
        ends.copy(&["users", "--leave-out", "users.old", "--verify"]).success();
        assert_eq!(ends.target.query("SELECT * FROM users").trim(), "1|a|d|A");
        let url = ends.source.url.clone();
        let same = ends.whimbrel().env("DATABASE_URL", url).run(super::arguments(&[]));
        assert!(same.expect_code(2).stderr.contains("the same database"));
    });
}

#[test]
fn a_table_with_rows_of_others_is_left_alone() {
    super::between("postgres", "mariadb", |ends| {
        ends.source.query("CREATE TABLE t (id integer PRIMARY KEY)");
        ends.source.query("INSERT INTO t VALUES (1), (2)");
        ends.tables("CREATE TABLE t (id integer PRIMARY KEY);");
        ends.target.query("INSERT INTO t VALUES (9)");
        let refused = ends.copy(&[]).expect_code(2);
        assert!(refused.stderr.contains("has rows already"), "{refused}");
        assert_eq!(ends.count("SELECT count(*) FROM t"), 1);
    });
}
