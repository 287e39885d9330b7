//! Rules of a table, in the batches that write it.

use crate::engines::{Bench, every_engine};

every_engine!(a_row_that_breaks_a_rule_is_set_aside, an_update_is_judged_before_its_commit);

const RULES: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "id": { "type": "integer" },
    "email": { "type": "string", "format": "email" },
    "age": { "type": "integer", "minimum": 0, "maximum": 150 }
  },
  "required": ["id", "email"]
}"#;

fn users(bench: &Bench) {
    bench.migration(
        "0001_users.sql",
        "CREATE TABLE legacy (id INTEGER PRIMARY KEY, mail VARCHAR(60), age INTEGER);\n\
         CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(60), age INTEGER);\n\
         INSERT INTO legacy VALUES (1, 'a@example.org', 20), (2, 'no mail', 30), \
         (3, 'c@example.org', 400), (4, 'd@example.org', NULL), (5, NULL, 5);\n",
    );
    bench.whimbrel().run(["up"]).success();
    bench.project.file("rules/users.schema.json", RULES);
}

fn a_row_that_breaks_a_rule_is_set_aside(bench: &Bench) {
    users(bench);
    bench.migration(
        "0002_move.data.sql",
        "-- whimbrel: batch on-error=quarantine\n\
         INSERT INTO users (id, email, age) SELECT id, mail, age FROM legacy;\n",
    );
    bench.whimbrel().run(["up"]).success();
    let ids = bench.database.query("SELECT id FROM users ORDER BY id");
    assert_eq!(ids.split_whitespace().collect::<Vec<_>>(), ["1", "4"]);
    let list = bench.whimbrel().run(["quarantine", "list"]).success();
    assert_eq!(list.stdout.lines().count(), 3, "{list}");
    assert!(list.stdout.contains("age"), "{list}");
    bench.whimbrel().run(["validate", "users"]).success();
    bench.database.query("UPDATE legacy SET mail = 'b@example.org' WHERE id = 2");
    bench.whimbrel().run(["quarantine", "retry"]).expect_code(3);
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "3");
    bench.whimbrel().run(["quarantine", "drop", "--migration", "0002"]).success();
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(bench.database.query("SELECT count(*) FROM users").trim(), "0");
}

fn an_update_is_judged_before_its_commit(bench: &Bench) {
    users(bench);
    bench.database.query("INSERT INTO users VALUES (7, 'x@example.org', 100)");
    bench.migration("0002_older.data.sql", "UPDATE users SET age = age + 51;\n");
    let up = bench.whimbrel().run(["up"]).expect_code(1);
    assert!(up.stderr.contains("id = 7"), "{up}");
    assert!(up.stderr.contains("rules/users.schema.json"), "{up}");
    assert_eq!(bench.database.query("SELECT age FROM users").trim(), "100");
}
