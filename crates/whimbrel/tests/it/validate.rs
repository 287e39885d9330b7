//! `validate` on every engine alike.

mod files;
mod peers;
mod size;

use serde_json::Value;

use crate::engines::{Bench, every_engine};

every_engine!(
    rows_are_judged_by_schema_foreign_keys_and_checks,
    a_clean_database_is_clean,
    every_violation_is_a_line,
    columns_come_as_the_schema_wants_them,
    only_named_tables_are_judged,
    an_environment_has_rules_of_its_own,
    files_that_cannot_be_used_are_told_with_their_place,
    nothing_is_written,
);

/// The rules of the users: what zod prints for them.
const USERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "id": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
    "email": {"type": "string", "format": "email",
      "pattern": "^(?:[A-Za-z0-9_'+\\-]+\\.)*[A-Za-z0-9_'+\\-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"},
    "tier": {"type": "string", "enum": ["free", "pro"]},
    "api_token": {"anyOf": [{"type": "string", "minLength": 8}, {"type": "null"}]}
  },
  "required": ["id", "email", "tier", "api_token"],
  "additionalProperties": false
}"#;

fn schema(bench: &Bench) {
    bench.database.query(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(100), tier VARCHAR(20), \
         api_token VARCHAR(50))",
    );
    bench.database.query(match bench.engine {
        "postgres" => "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER, n INTEGER)",
        _ => {
            "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER, n INTEGER, \
             CONSTRAINT n_is_small CHECK (n < 100), \
             CONSTRAINT post_owner FOREIGN KEY (user_id) REFERENCES users (id))"
        }
    });
    std::fs::create_dir_all(bench.project.path().join("migrations")).unwrap();
    bench.project.file("rules/users.schema.json", USERS);
}

fn good_rows(bench: &Bench) {
    bench.database.query(
        "INSERT INTO users VALUES (1, 'a@example.org', 'free', NULL), \
         (2, 'b.c+d@mail.example.org', 'pro', '12345678')",
    );
    bench.database.query("INSERT INTO posts VALUES (10, 1, 5), (11, NULL, NULL)");
}

/// Rows that the database lets in when it is told not to look.
fn bad_rows(bench: &Bench) {
    bench.database.query(
        "INSERT INTO users VALUES (3, 'nobody', 'free', 'hunter2'), (4, NULL, 'gold', NULL)",
    );
    let posts = "INSERT INTO posts VALUES (12, 99, 1), (13, 1, 100)";
    bench.database.query(&match bench.engine {
        "postgres" => format!(
            "{posts}; ALTER TABLE posts ADD CONSTRAINT post_owner FOREIGN KEY (user_id) \
             REFERENCES users (id) NOT VALID; \
             ALTER TABLE posts ADD CONSTRAINT n_is_small CHECK (n < 100) NOT VALID"
        ),
        "sqlite" => format!("PRAGMA ignore_check_constraints = 1; {posts}"),
        _ => format!("SET foreign_key_checks = 0; SET check_constraint_checks = 0; {posts}"),
    });
}

fn document(bench: &Bench, code: i32) -> Value {
    let output = bench.whimbrel().run(["validate", "--json"]).expect_code(code);
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// `table rule count`, of everything that is broken.
fn broken(document: &Value) -> Vec<String> {
    let data = &document["data"];
    let all = [&data["tables"], &data["checks"]].map(|part| part.as_array().unwrap().clone());
    let mut out = Vec::new();
    for judged in all.concat() {
        for one in judged["broken"].as_array().unwrap() {
            let name = judged["name"].as_str().unwrap();
            out.push(format!("{name}: {} x{}", one["rule"].as_str().unwrap(), one["count"]));
        }
    }
    out.sort();
    out
}

fn rows_are_judged_by_schema_foreign_keys_and_checks(bench: &Bench) {
    schema(bench);
    good_rows(bench);
    bad_rows(bench);
    bench.project.file(
        "checks/pro_has_token.sql",
        "-- A user who pays has a token.\nSELECT id, api_token FROM users WHERE id = 2;\n",
    );
    let document = document(bench, 3);
    assert_eq!(
        broken(&document),
        [
            "checks/pro_has_token.sql: file pro_has_token x1",
            "posts: check n_is_small x1",
            "posts: foreign-key user_id -> users x1",
            "users: json-schema anyOf at /properties/api_token/anyOf x1",
            "users: json-schema enum at /properties/tier/enum x1",
            "users: json-schema format at /properties/email/format x1",
            "users: json-schema pattern at /properties/email/pattern x1",
            "users: json-schema required at /required x1",
        ]
    );
    assert_eq!(document["data"]["holds"], false);
    assert_eq!(document["data"]["violations"], 8);
    let users = document["data"]["tables"].as_array().unwrap();
    let users = users.iter().find(|one| one["name"] == "users").unwrap();
    assert_eq!((&users["rows"], &users["rules"]), (&4.into(), &"rules/users.schema.json".into()));

    let text = bench.whimbrel().run(["validate"]).expect_code(3);
    assert!(text.stdout.contains("id=3  email `nobody`: The value is not a `email`"), "{text}");
    assert!(text.stdout.contains("id=12  user_id `99`: The row of `users`"), "{text}");
    assert!(text.stdout.contains("id=13  n `100`: The CHECK `n_is_small`"), "{text}");
    assert!(text.stdout.contains("id=2 api_token=***"), "{text}");
    assert!(text.stdout.contains("8 violations in"), "{text}");
    for output in [text.stdout, document.to_string()] {
        assert!(!output.contains("hunter2") && !output.contains("12345678"), "{output}");
    }
}

fn a_clean_database_is_clean(bench: &Bench) {
    schema(bench);
    good_rows(bench);
    bench.project.file("checks/none.sql", "SELECT id FROM users WHERE id < 0;\n");
    let output = bench.whimbrel().run(["validate"]).success();
    assert!(output.stdout.contains("No violation in"), "{output}");
    assert_eq!(document(bench, 0)["data"]["holds"], true);
}

fn every_violation_is_a_line(bench: &Bench) {
    schema(bench);
    let rows: Vec<String> = (1..=40).map(|id| format!("({id}, 'x', 'free', NULL)")).collect();
    bench.database.query(&format!("INSERT INTO users VALUES {}", rows.join(", ")));
    let output = bench.whimbrel().run(["validate", "--format", "ndjson"]).expect_code(3);
    let lines: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, violations) = lines.split_last().unwrap();
    // The format and zod's pattern are two rules.
    assert_eq!(violations.len(), 80, "{output}");
    assert!(violations.iter().all(|line| line["event"] == "violation"), "{output}");
    let first = &violations[0];
    assert_eq!(first["table"], "users");
    assert_eq!(first["key"], serde_json::json!([{"column": "id", "value": "1"}]));
    assert_eq!((&first["column"], &first["value"]), (&"email".into(), &"x".into()));
    assert_eq!(end["event"], "end");
    assert_eq!((&end["violations"], &end["command"]), (&80.into(), &"validate".into()));
    let text = bench.whimbrel().run(["validate", "--max", "2"]).expect_code(3);
    assert!(text.stdout.contains("and 38 more"), "{text}");
}

/// One row of awkward values, and a schema that wants each in its own way.
fn columns_come_as_the_schema_wants_them(bench: &Bench) {
    let (types, values) = match bench.engine {
        "postgres" => (
            "big BIGINT, price NUMERIC(30,2), ok BOOLEAN, at TIMESTAMPTZ, plain TIMESTAMP, \
             day DATE, doc JSONB, tags TEXT[], uid UUID, data BYTEA, mood mood, f REAL",
            "9007199254740993, 12345678901234567890.12, true, '2026-11-21 12:15:00+02', \
             '2026-11-21 10:15:00.5', '2026-11-21', '{\"a\": [1]}', '{x,\"y z\"}', \
             '123e4567-e89b-12d3-a456-426614174000', '\\x00ff', 'ok', 0.1",
        ),
        "mariadb" => (
            "big BIGINT UNSIGNED, price DECIMAL(30,2), ok BOOLEAN, at TIMESTAMP, \
             plain DATETIME(1), day DATE, doc JSON, tags JSON, uid CHAR(36), data BLOB, \
             mood ENUM('ok'), f FLOAT",
            "9007199254740993, 12345678901234567890.12, true, '2026-11-21 10:15:00', \
             '2026-11-21 10:15:00.5', '2026-11-21', '{\"a\": [1]}', '[\"x\",\"y z\"]', \
             '123e4567-e89b-12d3-a456-426614174000', X'00ff', 'ok', 0.1",
        ),
        _ => (
            "big BIGINT, price TEXT, ok BOOLEAN, at DATETIME, plain DATETIME, day DATE, \
             doc JSON, tags TEXT, uid TEXT, data BLOB, mood TEXT, f REAL",
            "9007199254740993, '12345678901234567890.12', 1, '2026-11-21 10:15:00', \
             '2026-11-21 10:15:00.5', '2026-11-21', '{\"a\": [1]}', '[\"x\",\"y z\"]', \
             '123e4567-e89b-12d3-a456-426614174000', X'00ff', 'ok', 0.1",
        ),
    };
    if bench.engine == "postgres" {
        bench.database.query("CREATE TYPE mood AS ENUM ('ok')");
    }
    bench.database.query(&format!("CREATE TABLE things (id INTEGER PRIMARY KEY, {types})"));
    let utc = if bench.engine == "mariadb" { "SET time_zone = '+00:00'; " } else { "" };
    bench.database.query(&format!("{utc}INSERT INTO things VALUES (1, {values})"));
    std::fs::create_dir_all(bench.project.path().join("migrations")).unwrap();
    bench.project.file(
        "rules/things.schema.json",
        r#"{"type": "object", "additionalProperties": false, "properties": {
          "id": {"type": "string", "const": "1"},
          "big": {"type": "integer", "const": 9007199254740993},
          "price": {"type": "string", "const": "12345678901234567890.12"},
          "ok": {"type": "boolean", "const": true},
          "at": {"type": "string", "format": "date-time", "const": "2026-11-21T10:15:00Z"},
          "plain": {"type": "string", "format": "date-time", "const": "2026-11-21T10:15:00.5Z"},
          "day": {"type": "string", "format": "date", "const": "2026-11-21"},
          "doc": {"type": "object", "properties": {"a": {"const": [1]}}, "required": ["a"]},
          "tags": {"type": "array", "items": {"type": "string"}, "const": ["x", "y z"]},
          "uid": {"type": "string", "format": "uuid"},
          "data": {"type": "string", "const": "AP8="},
          "mood": {"type": "string", "const": "ok"},
          "f": {"type": "number", "const": 0.1},
          "gone": {"type": "string"}},
          "required": ["id", "big", "price", "ok", "at", "plain", "day", "doc", "tags", "uid",
            "data", "mood", "f"]}"#,
    );
    bench.whimbrel().run(["validate"]).success();
}

fn only_named_tables_are_judged(bench: &Bench) {
    schema(bench);
    bad_rows(bench);
    bench.project.file("checks/all.sql", "SELECT id FROM users;\n");
    let output = bench.whimbrel().run(["validate", "posts", "--json"]).expect_code(3);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(broken(&document).iter().all(|line| line.starts_with("posts: ")), "{output}");
    assert_eq!(document["data"]["checks"], Value::Array(Vec::new()));
    let unknown = bench.whimbrel().run(["validate", "nothing"]).expect_code(2);
    assert!(unknown.stderr.contains("There is no table `nothing`"), "{unknown}");
}

/// The source of a data migration has other tables, or others of the same name.
fn an_environment_has_rules_of_its_own(bench: &Bench) {
    schema(bench);
    good_rows(bench);
    let text = "[environments.old]\nurl = \"env:DATABASE_URL\"\nrules = \"old/rules\"\n\
                checks = \"old/checks\"\n";
    bench.project.file("whimbrel.toml", text);
    let old =
        |arguments: &[&str]| bench.whimbrel().run([&["--env", "old"][..], arguments].concat());
    let missing = old(&["validate"]).expect_code(2);
    assert!(missing.stderr.contains("old/rules"), "{missing}");
    bench.project.file(
        "old/rules/users.schema.json",
        r#"{"properties": {"tier": {"const": "free"}}, "required": ["tier"]}"#,
    );
    bench.project.file("old/checks/none.sql", "SELECT id FROM posts WHERE user_id IS NULL;\n");
    bench.project.file("checks/unknown.sql", "SELECT nothing FROM nowhere;\n");
    let output = old(&["validate", "--json"]).expect_code(3);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        broken(&document),
        [
            "old/checks/none.sql: file none x1",
            "users: json-schema const at /properties/tier/const x1"
        ]
    );
    let users = &document["data"]["tables"].as_array().unwrap()[1];
    assert_eq!(users["rules"], "old/rules/users.schema.json", "{output}");
    // What is asked for on the command line counts more.
    let asked = old(&["validate", "users", "--rules", "rules"]).success();
    assert!(asked.stdout.contains("rules/users.schema.json"), "{asked}");
    let explained = old(&["doctor", "--explain"]);
    assert!(explained.stdout.contains("old/checks"), "{explained}");
    // Rows for testing are made by the same rules.
    bench.database.query("DELETE FROM posts");
    bench.database.query("DELETE FROM users");
    old(&["fake", "users=20", "--seed", "1"]).success();
    assert_eq!(bench.database.query("SELECT DISTINCT tier FROM users").trim(), "free");
}

fn files_that_cannot_be_used_are_told_with_their_place(bench: &Bench) {
    schema(bench);
    bench.project.file("rules/nothing.schema.json", "{\"properties\": {\"a\": {}}}");
    bench.project.file("checks/bad.sql", "-- why\nDELETE FROM users;\n");
    let output = bench.whimbrel().run(["validate"]).expect_code(2);
    assert!(output.stderr.contains("A check is a query that only reads"), "{output}");
    assert!(output.stderr.contains("--> checks/bad.sql:2:1"), "{output}");
    bench.project.file("checks/bad.sql", "-- why\nSELECT nothing FROM users;\n");
    let output = bench.whimbrel().run(["validate"]).expect_code(2);
    assert!(output.stderr.contains("The database has no table `nothing`"), "{output}");
    std::fs::remove_file(bench.project.path().join("rules/nothing.schema.json")).unwrap();
    let output = bench.whimbrel().run(["validate"]).expect_code(2);
    assert!(output.stderr.contains("checks/bad.sql:2"), "{output}");
    assert!(output.stderr.contains("The database refuses the query"), "{output}");
}

fn nothing_is_written(bench: &Bench) {
    schema(bench);
    good_rows(bench);
    let (schema, rows) = (bench.database.schema(), bench.database.rows());
    if bench.engine == "postgres" {
        bench.database.query(
            "CREATE FUNCTION hit() RETURNS integer LANGUAGE sql AS \
             'UPDATE users SET tier = NULL RETURNING 1'",
        );
        bench.project.file("checks/sly.sql", "SELECT hit();\n");
        let output = bench.whimbrel().run(["validate"]).expect_code(2);
        assert!(output.stderr.contains("read-only"), "{output}");
    } else {
        bench.whimbrel().run(["validate"]).success();
        assert_eq!(bench.database.schema(), schema);
    }
    assert_eq!(bench.database.rows(), rows);
}
