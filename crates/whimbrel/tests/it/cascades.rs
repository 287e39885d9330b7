//! Foreign keys: to tables that are nowhere, and cascades that are proven on rows.

use crate::engines::{Bench, every_engine, on};

every_engine!(
    a_key_to_a_table_that_is_nowhere_is_refused,
    a_cascade_is_proven_and_leaves_nothing,
    a_cascade_that_cannot_be_tried_is_declared,
);

const PARENT: &str = "CREATE TABLE parent (id INTEGER NOT NULL PRIMARY KEY, \
                      name VARCHAR(20) NOT NULL, kind_id INTEGER NOT NULL, \
                      FOREIGN KEY (kind_id) REFERENCES kind (id));";
const KIND: &str =
    "CREATE TABLE kind (id INTEGER NOT NULL PRIMARY KEY, label VARCHAR(9) NOT NULL);";
const CHILD: &str = "CREATE TABLE child (id INTEGER NOT NULL PRIMARY KEY, \
                     parent_id INTEGER NOT NULL, at DATE NOT NULL, \
                     FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE);";

fn enforce(bench: &Bench) {
    bench.project.file("whimbrel.toml", "[project]\nforeign-keys = true\n");
}

fn a_key_to_a_table_that_is_nowhere_is_refused(bench: &Bench) {
    enforce(bench);
    bench.migration("0001_a.sql", "CREATE TABLE a (x INTEGER);");
    bench.migration("0002_child.sql", &format!("\n{CHILD}"));
    for verb in ["plan", "up"] {
        let output = bench.whimbrel().run([verb]).expect_code(2);
        assert!(output.stderr.contains("0002_child.sql:2:1"), "{output}");
        assert!(output.stderr.contains("refers to the table `parent`"), "{output}");
    }
    assert!(bench.database.try_query("SELECT * FROM a").is_err(), "something ran");
    // Made by an earlier file.
    bench.migration("0001_a.sql", &format!("{KIND}\n{PARENT}"));
    bench.whimbrel().run(["up"]).success();
}

fn a_cascade_is_proven_and_leaves_nothing(bench: &Bench) {
    enforce(bench);
    bench.migration("0001_kind.sql", &format!("{KIND}\n{PARENT}"));
    bench.migration("0002_child.sql", CHILD);
    let up = bench.whimbrel().run(["up"]).success();
    assert!(up.stderr.contains("1 cascade"), "{up}");
    assert!(!up.stderr.contains("not exercised"), "{up}");
    let before = (bench.database.schema(), bench.database.rows());
    let verify = bench.whimbrel().run(["verify", "--json"]).success();
    assert!(verify.stdout.contains("\"cascade\""), "{verify}");
    assert!(!verify.stdout.contains("not exercised"), "{verify}");
    assert_eq!((bench.database.schema(), bench.database.rows()), before);
    for table in ["kind", "parent", "child"] {
        assert_eq!(bench.database.query(&format!("SELECT count(*) FROM {table}")).trim(), "0");
    }
}

fn a_cascade_that_cannot_be_tried_is_declared(bench: &Bench) {
    enforce(bench);
    let checked = CHILD.replace("at DATE NOT NULL", "at INTEGER NOT NULL, CHECK (at < 0)");
    bench.migration("0001_kind.sql", &format!("{KIND}\n{PARENT}\n{checked}"));
    let up = bench.whimbrel().run(["up"]).success();
    assert!(up.stderr.contains("1 cascade declared, not exercised"), "{up}");
    let trigger = match bench.engine {
        "sqlite" => "CREATE TRIGGER t AFTER DELETE ON child BEGIN SELECT 1; END;",
        "postgres" => {
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';\n\
             CREATE TRIGGER t AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION f();"
        }
        _ => "CREATE TRIGGER t AFTER DELETE ON child FOR EACH ROW SET @x = 1;",
    };
    bench.migration("0002_trigger.sql", trigger);
    bench.whimbrel().run(["up"]).success();
    let verify = bench.whimbrel().run(["verify", "--json"]).success();
    assert!(verify.stdout.contains("child has triggers"), "{verify}");
}

#[test]
fn without_foreign_keys_a_cascade_of_sqlite_is_only_declared() {
    on("sqlite", |bench| {
        // Also a key to nowhere is as in the `sqlite3` shell.
        bench.migration("0001_a.sql", &format!("{CHILD}\nCREATE TABLE b (x REFERENCES nowhere);"));
        let up = bench.whimbrel().run(["up"]).success();
        assert!(up.stderr.contains("1 cascade declared, not exercised"), "{up}");
        let verify = bench.whimbrel().run(["verify", "--json"]).success();
        let words = "declared; foreign keys are off on this connection";
        assert!(verify.stdout.contains(words), "{verify}");
    });
}

#[test]
fn a_later_file_may_make_the_parent_on_sqlite() {
    on("sqlite", |bench| {
        enforce(bench);
        bench.migration("0001_child.sql", CHILD);
        bench.migration("0002_parent.sql", &format!("{PARENT}\n{KIND}"));
        bench.whimbrel().run(["up", "--to", "0001"]).success();
        bench.whimbrel().run(["up"]).success();
    });
}

#[test]
fn a_proof_uses_up_no_number_on_mariadb() {
    on("mariadb", |bench| {
        let numbered = "INTEGER UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY";
        bench.migration(
            "0001_a.sql",
            &format!(
                "CREATE TABLE p (id {numbered}, e ENUM('x', 'y') NOT NULL);\n\
                 CREATE TABLE c (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
                 p_id INTEGER UNSIGNED NOT NULL REFERENCES p (id) ON DELETE CASCADE);\n\
                 INSERT INTO p (e) VALUES ('x'), ('y'), ('x');\n\
                 INSERT INTO c (p_id) VALUES (1), (1), (1);"
            ),
        );
        let up = bench.whimbrel().run(["up"]).success();
        assert!(up.stderr.contains("1 cascade"), "{up}");
        assert!(!up.stderr.contains("not exercised"), "{up}");
        bench.whimbrel().run(["verify"]).success();
        bench.database.query("INSERT INTO p (e) VALUES ('y'); INSERT INTO c (p_id) VALUES (2)");
        assert_eq!(bench.database.query("SELECT max(id) FROM p").trim(), "4");
        assert_eq!(bench.database.query("SELECT max(id) FROM c").trim(), "4");
        // At 2 the server would move the counter.
        bench.database.query("DELETE FROM p; ALTER TABLE p AUTO_INCREMENT = 2");
        let verify = bench.whimbrel().run(["verify", "--json"]).success();
        assert!(verify.stdout.contains("would use up a number"), "{verify}");
        bench.database.query("INSERT INTO p (e) VALUES ('y')");
        assert_eq!(bench.database.query("SELECT max(id) FROM p").trim(), "2");
        // Keys that the server does not look at.
        bench.migration(
            "0002_b.sql",
            "CREATE TABLE m (id INTEGER, FOREIGN KEY (id) REFERENCES nowhere (id)) ENGINE=MyISAM;\n\
             SET foreign_key_checks = 0;\n\
             CREATE TABLE n (id INTEGER, FOREIGN KEY (id) REFERENCES nowhere (id));",
        );
        bench.whimbrel().run(["up"]).success();
    });
}
