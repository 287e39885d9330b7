//! What a data migration owes to rows that it did not write, and how it counts rows that several
//! of its statements see.

use crate::engines::{Bench, every_engine};

every_engine!(
    rows_that_came_later_are_not_deleted_by_an_undo,
    rows_that_hang_on_skipped_ones_stay,
    a_value_that_fits_no_column_can_be_edited,
    a_row_set_aside_by_a_later_statement_is_not_missing,
    a_row_set_aside_is_left_alone_by_the_statements_that_follow,
    nothing_runs_where_a_later_statement_cannot,
);

fn count(bench: &Bench, sql: &str) -> i64 {
    bench.database.query(sql).trim().parse().expect("a number")
}

fn rows_that_came_later_are_not_deleted_by_an_undo(bench: &Bench) {
    bench.migration(
        "0001_tables.sql",
        "CREATE TABLE old_users (id INTEGER PRIMARY KEY, name VARCHAR(20), boss INTEGER);\n\
         CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20), boss INTEGER, \
         FOREIGN KEY (boss) REFERENCES users (id) ON DELETE CASCADE);\n\
         CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, \
         FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);\n\
         INSERT INTO old_users VALUES (1, 'Ann', NULL), (2, 'Bob', 1), (3, 'Cem', 1), (4, 'Dan', 3);\n",
    );
    bench.migration(
        "0002_move.data.sql",
        "INSERT INTO users (id, name, boss) SELECT id, name, boss FROM old_users;\n\n\
         INSERT INTO posts (id, user_id) SELECT id, id FROM old_users;\n",
    );
    bench.project.file("whimbrel.toml", "[project]\nforeign-keys = true\n");
    bench.whimbrel().run(["up"]).success();
    // Nothing but the migration's own rows: all of it goes, trees and children too.
    bench.whimbrel().run(["undo", "0002", "--dry-run"]).success();
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM users"), 0);
    bench.whimbrel().run(["up"]).success();
    // The application's own rows hang on two of them.
    bench.database.query("INSERT INTO posts VALUES (100, 2)");
    bench.database.query("INSERT INTO users VALUES (50, 'Eve', 4)");
    let plan = bench.whimbrel().run(["undo", "0002", "--dry-run"]).expect_code(3);
    assert!(plan.to_string().contains("posts refer to it"), "{plan}");
    let undo = bench.whimbrel().run(["undo", "0002"]).expect_code(4);
    assert!(undo.stderr.contains("(id = 2): rows of"), "{undo}");
    assert!(undo.stderr.contains("(id = 4): rows of"), "{undo}");
    assert_eq!(count(bench, "SELECT count(*) FROM users"), 5);
    // In a tree the rows above those would have to stay, too.
    let skip = bench.whimbrel().run(["undo", "0002", "--on-conflict", "skip"]).expect_code(2);
    assert!(skip.stderr.contains("refer to each other"), "{skip}");
    assert_eq!(count(bench, "SELECT count(*) FROM users"), 5);
    bench.database.query("DELETE FROM users WHERE id = 50");
    bench.database.query("UPDATE users SET boss = NULL");
    let force = bench.whimbrel().run(["undo", "0002", "--on-conflict", "force"]).success();
    assert_eq!(count(bench, "SELECT count(*) FROM users"), 0, "{force}");
}

fn rows_that_hang_on_skipped_ones_stay(bench: &Bench) {
    bench.migration(
        "0001_tables.sql",
        "CREATE TABLE old_users (id INTEGER PRIMARY KEY, name VARCHAR(20));\n\
         CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20));\n\
         CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER, body VARCHAR(20), \
         FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);\n\
         CREATE TABLE notes (id INTEGER PRIMARY KEY, user_id INTEGER, \
         FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL);\n\
         INSERT INTO old_users VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cem'), (4, 'Dan');\n",
    );
    bench.migration(
        "0002_move.data.sql",
        "-- whimbrel: batch size=1\n\
         INSERT INTO users (id, name) SELECT id, name FROM old_users;\n\n\
         INSERT INTO posts (id, user_id, body) SELECT id, id, name FROM old_users;\n",
    );
    bench.project.file("whimbrel.toml", "[project]\nforeign-keys = true\n");
    bench.whimbrel().run(["up"]).success();
    bench.database.query("INSERT INTO notes VALUES (7, 3)");
    bench.database.query("UPDATE posts SET body = 'mine' WHERE id = 2");
    bench.whimbrel().run(["undo", "0002"]).expect_code(4);
    bench.whimbrel().run(["undo", "0002", "--on-conflict", "skip"]).success();
    assert_eq!(bench.database.query("SELECT id, user_id FROM posts").trim(), "2|2");
    assert_eq!(bench.database.query("SELECT id, user_id FROM notes").trim(), "7|3");
    assert_eq!(count(bench, "SELECT sum(id) FROM users"), 2 + 3);
}

fn a_value_that_fits_no_column_can_be_edited(bench: &Bench) {
    bench.migration(
        "0001_tables.sql",
        "CREATE TABLE old_users (id INTEGER PRIMARY KEY, name VARCHAR(90), age VARCHAR(9));\n\
         CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(9) NOT NULL \
         CHECK (length(name) < 10), age INTEGER NOT NULL);\n\
         INSERT INTO old_users VALUES (1, 'Ann', '7'), (2, 'a name too long', '8'), \
         (3, NULL, '9');\n",
    );
    bench.migration(
        "0002_move.data.sql",
        "-- whimbrel: on-error=quarantine\n\
         INSERT INTO users (id, name, age) SELECT id, name, CAST(age AS DECIMAL) FROM old_users;\n",
    );
    bench.whimbrel().run(["up"]).success();
    let list = bench.whimbrel().run(["quarantine", "list"]).success();
    assert!(!list.stdout.contains("whimbrel_c"), "{list}");
    for id in ["1", "2"] {
        let set = r#"{"name": "short"}"#;
        bench.whimbrel().run(["quarantine", "edit", id, "--set", set]).success();
        bench.whimbrel().run(["quarantine", "retry", id]).success();
    }
    bench.whimbrel().run(["account", "0002"]).success();
    assert_eq!(count(bench, "SELECT sum(age) FROM users WHERE name = 'short'"), 17);
}

fn a_row_set_aside_by_a_later_statement_is_not_missing(bench: &Bench) {
    bench.migration(
        "0001_tables.sql",
        "CREATE TABLE events (id INTEGER PRIMARY KEY, kind VARCHAR(10), n INTEGER);\n\
         CREATE TABLE views (id INTEGER PRIMARY KEY);\n\
         CREATE TABLE scores (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);\n\
         INSERT INTO events VALUES (1, 'view', 1), (2, 'score', 5), (3, 'score', NULL);\n",
    );
    bench.migration(
        "0002_move.data.sql",
        "-- whimbrel: on-error=quarantine\n\
         INSERT INTO views (id) SELECT id FROM events WHERE kind = 'view';\n\n\
         INSERT INTO scores (id, n) SELECT id, n FROM events WHERE kind = 'score';\n",
    );
    bench.whimbrel().run(["up"]).success();
    let account = bench.whimbrel().run(["account", "0002"]).expect_code(3);
    assert!(account.stdout.contains("1 rows are in quarantine"), "{account}");
    assert!(!account.stdout.contains("not accounted for"), "{account}");
    let list = bench.whimbrel().run(["quarantine", "list"]).success();
    assert!(list.stdout.contains("statement 2  events 3: "), "{list}");
    bench.whimbrel().run(["quarantine", "edit", "1", "--set", r#"{"n": 7}"#]).success();
    bench.whimbrel().run(["quarantine", "retry"]).success();
    bench.whimbrel().run(["account", "0002"]).success();
    assert_eq!(count(bench, "SELECT sum(n) FROM scores"), 12);
}

fn a_row_set_aside_is_left_alone_by_the_statements_that_follow(bench: &Bench) {
    bench.migration(
        "0001_tables.sql",
        "CREATE TABLE legacy (id INTEGER PRIMARY KEY, name VARCHAR(20), street VARCHAR(20));\n\
         CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL);\n\
         CREATE TABLE homes (user_id INTEGER PRIMARY KEY, street VARCHAR(20));\n\
         INSERT INTO legacy VALUES (1, 'Ann', 'a'), (2, NULL, 'b'), (3, NULL, 'c'), \
         (4, 'Dan', 'd'), (5, 'Eve', 'e');\n",
    );
    bench.migration(
        "0002_move.data.sql",
        "-- whimbrel: on-error=quarantine size=2\n\
         INSERT INTO users (id, name) SELECT id, name FROM legacy;\n\n\
         INSERT INTO homes (user_id, street) SELECT id, street FROM legacy;\n",
    );
    bench.whimbrel().run(["up"]).success();
    let homes = "SELECT count(*) FROM homes";
    assert_eq!(count(bench, homes), 3, "the homes of rows that are not users");
    let list = bench.whimbrel().run(["quarantine", "list"]).success();
    assert_eq!(list.stdout.lines().filter(|line| line.contains("statement")).count(), 2, "{list}");
    bench.whimbrel().run(["account", "0002"]).expect_code(3);
    // A retry does what every statement of the file makes of the row.
    bench.database.query("UPDATE legacy SET name = 'Bob' WHERE id = 2");
    bench.whimbrel().run(["quarantine", "retry"]).expect_code(3);
    assert_eq!(bench.database.query("SELECT street FROM homes WHERE user_id = 2").trim(), "b");
    assert_eq!(count(bench, homes), 4);
    bench.whimbrel().run(["quarantine", "edit", "2", "--set", r#"{"name": "Cem"}"#]).success();
    bench.whimbrel().run(["quarantine", "retry"]).success();
    assert_eq!(count(bench, homes), 5);
    bench.whimbrel().run(["account", "0002"]).success();
    bench.whimbrel().run(["undo", "0002"]).success();
    assert_eq!(
        count(bench, "SELECT (SELECT count(*) FROM homes) + (SELECT count(*) FROM users)"),
        0
    );
}

fn nothing_runs_where_a_later_statement_cannot(bench: &Bench) {
    let rows: Vec<String> = (1..=1_500).map(|id| format!("({id}, {})", id % 90)).collect();
    bench.migration(
        "0001_tables.sql",
        &format!(
            "CREATE TABLE c (id INTEGER PRIMARY KEY, age INTEGER);\nINSERT INTO c VALUES {};\n",
            rows.join(", ")
        ),
    );
    bench.migration(
        "0002_c.data.sql",
        "UPDATE c SET age = age + 1000;\n\n\
         DELETE FROM c WHERE id IN (SELECT m FROM (SELECT max(id) AS m FROM c GROUP BY age) x);\n",
    );
    let up = bench.whimbrel().run(["up"]).expect_code(2);
    assert!(up.stderr.contains("0002_c.data.sql:3"), "{up}");
    assert_eq!(count(bench, "SELECT count(*) FROM c WHERE age >= 1000"), 0);
}
