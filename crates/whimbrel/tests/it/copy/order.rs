//! Foreign keys, their circles, counters that follow.

use super::{Ends, every_pair};

every_pair!(parents_come_first, circles_and_counters);

fn parents_come_first(ends: &Ends) {
    for sql in [
        "CREATE TABLE a_leaf (id integer PRIMARY KEY, branch integer REFERENCES b_branch (id));",
        "CREATE TABLE b_branch (id integer PRIMARY KEY, root integer REFERENCES c_root (id));",
        "CREATE TABLE c_root (id integer PRIMARY KEY);",
    ]
    .iter()
    .rev()
    {
        ends.source.query(sql);
    }
    ends.source.query("INSERT INTO c_root VALUES (1), (2)");
    ends.source.query("INSERT INTO b_branch VALUES (5, 2), (6, 1), (7, NULL)");
    ends.source.query("INSERT INTO a_leaf VALUES (1, 7), (2, 5)");
    ends.tables(
        "CREATE TABLE c_root (id integer PRIMARY KEY);\n\
         CREATE TABLE b_branch (id integer PRIMARY KEY, root integer REFERENCES c_root (id));\n\
         CREATE TABLE a_leaf (id integer PRIMARY KEY, branch integer REFERENCES b_branch (id));\n",
    );
    let copy = ends.copy(&["--verify", "--json"]).success();
    let order: Vec<usize> = ["c_root", "b_branch", "a_leaf"]
        .iter()
        .map(|name| copy.stdout.find(&format!("\"phase\":\"copy\",\"table\":\"{name}")))
        .map(|place| place.or_else(|| copy.stdout.find("copy")).expect("an event"))
        .collect();
    assert!(order.is_sorted(), "{order:?}: {copy}");
    assert_eq!(ends.count("SELECT count(*) FROM a_leaf"), 2);
    assert_eq!(ends.count("SELECT count(*) FROM b_branch"), 3);
}

/// A table that points to itself, against the order of its key, and counters behind gaps.
fn circles_and_counters(ends: &Ends) {
    let counted = |engine: &str| match engine {
        "sqlite" => "INTEGER PRIMARY KEY AUTOINCREMENT",
        "postgres" => "integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
        _ => "integer PRIMARY KEY AUTO_INCREMENT",
    };
    let schema = |engine: &str| {
        format!(
            "CREATE TABLE nodes (id {}, next_id integer REFERENCES nodes (id), name varchar(9));\n",
            counted(engine)
        )
    };
    ends.source.query(&schema(ends.from));
    for at in 1..=50 {
        ends.source.query(&format!("INSERT INTO nodes (name) VALUES ('n{at}')"));
    }
    ends.source.query("UPDATE nodes SET next_id = id + 1 WHERE id < 50");
    ends.source.query("UPDATE nodes SET next_id = 1 WHERE id >= 30 AND id <= 40");
    ends.source.query("DELETE FROM nodes WHERE id <= 40 AND id > 30");
    // The greatest number was given to a row that is gone.
    ends.source.query("INSERT INTO nodes (name) VALUES ('gone')");
    ends.source.query("DELETE FROM nodes WHERE name = 'gone'");
    ends.tables(&schema(ends.to));
    let copy = ends.copy(&["--verify", "--size", "7"]).success();
    assert!(copy.stdout.contains("the same 40 rows"), "{copy}");
    ends.target.query("INSERT INTO nodes (name) VALUES ('new')");
    assert_eq!(ends.count("SELECT max(id) FROM nodes"), 52, "{} to {}", ends.from, ends.to);
}

#[test]
fn a_circle_of_two_needs_deferrable_keys_on_postgres() {
    super::between("sqlite", "postgres", |ends| {
        ends.source.query(
            "CREATE TABLE men (id integer PRIMARY KEY, wife integer); \
             CREATE TABLE women (id integer PRIMARY KEY, husband integer); \
             INSERT INTO men VALUES (1, 2), (3, NULL); INSERT INTO women VALUES (2, 1);",
        );
        ends.tables(
            "CREATE TABLE men (id integer PRIMARY KEY, wife integer);\n\
             CREATE TABLE women (id integer PRIMARY KEY, husband integer \
             CONSTRAINT of_men REFERENCES men (id));\n\
             ALTER TABLE men ADD CONSTRAINT of_women FOREIGN KEY (wife) REFERENCES women (id);\n",
        );
        let refused = ends.copy(&[]).expect_code(1);
        assert!(refused.stderr.contains("ALTER CONSTRAINT of_women DEFERRABLE"), "{refused}");
        assert_eq!(ends.count("SELECT count(*) FROM men"), 0);
        for (table, name) in [("men", "of_women"), ("women", "of_men")] {
            ends.target.query(&format!("ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE"));
        }
        let copy = ends.copy(&["--verify"]).success();
        assert!(copy.stdout.contains("the same 2 rows"), "{copy}");
    });
}
