//! Every type there and back again: what comes back is what went, as the dump programs see it.

use super::{Ends, every_pair, fresh};

every_pair!(every_type_goes_there_and_back);

/// A column of each type, in each of the three.
fn schema(engine: &str) -> &'static str {
    match engine {
        "sqlite" => {
            "CREATE TABLE kinds (id INTEGER PRIMARY KEY, small SMALLINT, big BIGINT, flag BOOLEAN, \
             real8 DOUBLE, real4 REAL, price TEXT, name VARCHAR(40), body TEXT, code CHAR(3), \
             raw BLOB, day DATE, at TIME, seen DATETIME, stamp TEXT, ref TEXT, doc TEXT);"
        }
        "postgres" => {
            "CREATE TABLE kinds (id bigint PRIMARY KEY, small smallint, big bigint, flag boolean, \
             real8 double precision, real4 real, price numeric(12,4), name varchar(40), body text, \
             code char(3), raw bytea, day date, at time, seen timestamp, stamp timestamptz, \
             ref uuid, doc json);"
        }
        _ => {
            "CREATE TABLE kinds (id bigint PRIMARY KEY, small smallint, big bigint, \
             flag tinyint(1), real8 double, real4 float, price decimal(12,4), name varchar(40), \
             body longtext, code char(3), raw longblob, day date, at time(6), seen datetime(6), \
             stamp timestamp(6) NULL, ref uuid, doc json) CHARACTER SET utf8mb4;"
        }
    }
}

/// Rows of ordinary, extreme and odd values, as each of the three writes them.
fn rows(engine: &str) -> String {
    let mysql = engine == "mariadb";
    let bytes = |hex: &str| match engine {
        "postgres" => format!("'\\x{hex}'"),
        _ => format!("X'{hex}'"),
    };
    let text = |text: &str| {
        let doubled = text.replace('\'', "''");
        let escaped = if mysql { doubled.replace('\\', "\\\\") } else { doubled };
        format!("'{escaped}'")
    };
    let flag = |on: bool| match engine {
        "postgres" => on.to_string(),
        _ => i32::from(on).to_string(),
    };
    let moment = |day: &str, time: &str| format!("'{day} {time}'");
    let stamp = |day: &str, time: &str| match engine {
        "mariadb" => format!("'{day} {time}'"),
        _ => format!("'{day}T{time}Z'"),
    };
    let uuid = "'123e4567-e89b-12d3-a456-426614174000'";
    let mut sql = String::new();
    if mysql {
        sql.push_str("SET time_zone = '+00:00', NAMES utf8mb4;\n");
    }
    let line = |values: Vec<String>| format!("INSERT INTO kinds VALUES ({});\n", values.join(", "));
    let own = |value: &str| value.to_owned();
    sql.push_str(&line(vec![
        own("1"),
        own("-32768"),
        own("9223372036854775807"),
        flag(true),
        own("0.1"),
        own("0.1"),
        own("'12345678.9012'"),
        text("it's \\ \"quoted\""),
        text("tab\tline\nend\r. ünï 🐦"),
        own("'abc'"),
        bytes("00ff27225c0a"),
        own("'2026-11-21'"),
        own("'23:59:59.25'"),
        moment("2026-11-21", "10:15:00.000001"),
        stamp("2026-11-21", "10:15:00.5"),
        own(uuid),
        text("{\"a\": [1, 2.5, \"x\\u00e9\"]}"),
    ]));
    sql.push_str(&line(vec![
        own("2"),
        own("32767"),
        own("-9223372036854775808"),
        flag(false),
        own("-1.5e300"),
        own("1.17549e-38"),
        own("'-0.0001'"),
        text(""),
        text(" both ends "),
        own("'a'"),
        bytes(""),
        own("'0001-01-01'"),
        own("'00:00:00'"),
        moment("9999-12-31", "23:59:59.999999"),
        stamp("1970-01-02", "00:00:00"),
        own(uuid),
        text("null"),
    ]));
    let nulls = vec![own("NULL"); 16];
    sql.push_str(&line([vec![own("3")], nulls].concat()));
    for id in 4..400 {
        sql.push_str(&line(vec![
            format!("{}", id * 7),
            format!("{}", id % 100),
            format!("{}", i64::from(id) << 40),
            flag(id % 2 == 0),
            format!("{}.5", id * id),
            format!("{id}.25"),
            format!("'{id}.5000'"),
            text(&"x".repeat(usize::try_from(id % 41).unwrap())),
            text(&format!("row {id}")),
            own("'xyz'"),
            bytes(&format!("{:04x}", id)),
            format!("'2026-01-{:02}'", id % 28 + 1),
            format!("'{:02}:00:00'", id % 24),
            moment("2026-11-21", &format!("{:02}:00:00", id % 24)),
            stamp("2026-11-21", &format!("{:02}:00:00", id % 24)),
            own(uuid),
            text("[]"),
        ]));
    }
    sql
}

fn every_type_goes_there_and_back(ends: &Ends) {
    ends.source.query(schema(ends.from));
    ends.source.query(&rows(ends.from));
    ends.tables(schema(ends.to));
    let there = ends.copy(&["--verify", "--size", "150"]).success();
    assert!(there.stdout.contains("the same 399 rows at both ends"), "{there}");
    let Some(third) = fresh(ends.from) else { return };
    let back = Ends {
        from: ends.to,
        to: ends.from,
        source: fresh(ends.to).expect("it was there before"),
        target: third,
        project: whimbrel_testkit::project::Project::new(),
    };
    back.project.file("migrations/0001_none.sql", "");
    back.tables(schema(ends.from));
    let run = back
        .whimbrel()
        .env("LEGACY_URL", &ends.target.url)
        .run(super::arguments(&["kinds", "--verify"]))
        .success();
    assert!(run.stdout.contains("the same 399 rows at both ends"), "{run}");
    assert_eq!(normal(ends.from, &back.target.rows()), normal(ends.from, &ends.source.rows()));
}

/// SQLite keeps the scale of no decimal; what is printed is compared without the other's zeros.
fn normal(engine: &str, rows: &str) -> String {
    if engine == "sqlite" { rows.replace(".5000'", ".5'") } else { rows.to_owned() }
}
