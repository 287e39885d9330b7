use super::{changes, holds, live, says};
use crate::ddl::{ObjectKind, ObjectName};
use crate::sql::dialect::Dialect::{Mysql, Postgres, Sqlite};
use crate::verify::{Expected, Verdict};

const CHATS: &str = "CREATE TABLE chats (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    query TEXT NOT NULL, metadata JSONB, score INT CHECK (score BETWEEN 1 AND 5),
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now());
CREATE INDEX IF NOT EXISTS idx_chats_user_id ON chats(user_id);
CREATE INDEX idx_chats_created_at ON chats(created_at DESC);
";

const CHATS_LIVE: &str = "CREATE TABLE chats (
    id uuid NOT NULL PRIMARY KEY, user_id uuid NOT NULL, query text NOT NULL, metadata jsonb,
    score integer, created_at timestamp with time zone,
    CONSTRAINT chats_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE,
    CONSTRAINT chats_score_check CHECK (((score >= 1) AND (score <= 5))));
CREATE INDEX idx_chats_user_id ON chats (user_id);
CREATE INDEX idx_chats_created_at ON chats (created_at);
";

#[test]
fn a_table_with_all_it_has_holds() {
    assert_eq!(holds(Postgres, CHATS, CHATS_LIVE), 15);
}

#[test]
fn each_difference_is_found() {
    let swaps = [
        (
            "ON DELETE CASCADE,",
            ",",
            "FAILS chats: foreign key (user_id) -> users(id) ON DELETE CASCADE ON UPDATE NO \
            ACTION <- ON DELETE NO ACTION ON UPDATE NO ACTION",
        ),
        (
            "users(id)",
            "people(id)",
            "FAILS chats: foreign key (user_id) -> users(id) ON DELETE CASCADE ON UPDATE NO \
            ACTION <- (user_id) -> people(id) ON DELETE CASCADE ON UPDATE NO ACTION",
        ),
        ("query text NOT NULL", "query text", "FAILS chats.query: not null <- it may be NULL"),
        ("score integer", "score bigint", "FAILS chats.score: column INT <- type bigint"),
        ("metadata jsonb,", "", "FAILS chats.metadata: column JSONB <- no such column"),
        (
            "(score <= 5)",
            "(score <= 6)",
            "? chats: check (score BETWEEN 1 AND 5) <- no check with this text; the server \
            may print it in other words",
        ),
        (
            "ON chats (created_at)",
            "ON chats (query)",
            "FAILS chats: index `idx_chats_created_at` (created_at) <- (query)",
        ),
        (
            "CREATE INDEX idx_chats_created_at",
            "CREATE UNIQUE INDEX idx_chats_created_at",
            "FAILS chats: index `idx_chats_created_at` (created_at) <- it is unique",
        ),
        (
            "idx_chats_created_at",
            "other",
            "FAILS chats: index `idx_chats_created_at` (created_at) <- no such index",
        ),
        (
            "idx_chats_user_id",
            "other",
            "? chats: index `idx_chats_user_id` (user_id) <- no such index; declared with IF \
            NOT EXISTS, so an older one may have stayed",
        ),
    ];
    for (from, to, want) in swaps {
        says(Postgres, CHATS, &CHATS_LIVE.replace(from, to), &[want]);
    }
    let table = "CREATE TABLE chats (";
    let renamed = CHATS_LIVE.replace(table, "CREATE TABLE chat (").replace("ON chats", "ON chat");
    says(
        Postgres,
        CHATS,
        &renamed,
        &[
            "FAILS chats: table <- no such table",
            "? chats: index `idx_chats_user_id` (user_id) <- no such index; declared with IF \
            NOT EXISTS, so an older one may have stayed",
            "FAILS chats: index `idx_chats_created_at` (created_at) <- no such index",
        ],
    );
}

#[test]
fn an_invalid_index_fails() {
    let mut schema = live(CHATS_LIVE, Postgres);
    schema.tables[0].indexes[1].valid = false;
    let facts = Expected::fold(&changes(CHATS, Postgres), Postgres).check(&schema);
    let failed: Vec<_> =
        facts.iter().filter(|f| matches!(f.verdict, Verdict::Fails { .. })).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0].to_string(),
        "FAILS chats: index `idx_chats_created_at` (created_at) <- it is INVALID"
    );
}

#[test]
fn if_not_exists_on_an_older_table_is_no_failure() {
    let history = CHATS.replace("CREATE TABLE chats", "CREATE TABLE IF NOT EXISTS chats");
    says(
        Postgres,
        &history,
        &CHATS_LIVE.replace("query text NOT NULL", "query text"),
        &["? chats.query: not null <- it may be NULL; declared with IF NOT EXISTS, so an \
            older one may have stayed"],
    );
    // Known tables make it a no-op.
    let twice = format!("{CHATS}CREATE TABLE IF NOT EXISTS chats (other int);\n");
    holds(Postgres, &twice, CHATS_LIVE);
    // A table that was dropped before is certainly new.
    let again = "CREATE TABLE t (a int);\nDROP TABLE t;\nCREATE TABLE IF NOT EXISTS t (b int);\n";
    says(
        Postgres,
        again,
        "CREATE TABLE t (a int);\n",
        &["FAILS t.b: column int <- no such column"],
    );
}

#[test]
fn later_migrations_undo_earlier_ones() {
    let history = "CREATE TABLE a (id int PRIMARY KEY, x text UNIQUE, y int);
CREATE INDEX a_y ON a (y);
CREATE TABLE b (a_id int REFERENCES a(id));
---
ALTER TABLE a DROP COLUMN y, DROP CONSTRAINT a_x_key, ALTER x SET NOT NULL;
DROP TABLE b;
---
ALTER TABLE a RENAME COLUMN x TO z;
ALTER TABLE a RENAME TO c;
ALTER TABLE c ALTER z TYPE varchar(10);
";
    holds(
        Postgres,
        history,
        "CREATE TABLE c (id int NOT NULL PRIMARY KEY, z varchar(10) NOT NULL);\n",
    );
    says(
        Postgres,
        history,
        "CREATE TABLE c (id integer NOT NULL PRIMARY KEY, z varchar(10), x text, y \
        int);\nCREATE TABLE a (b int);\n",
        &[
            "FAILS c.z: not null <- it may be NULL",
            "FAILS c.y: absent column <- it is there",
            "FAILS c.x: absent column <- it is there",
            "FAILS a: absent table <- it is there",
        ],
    );
}

#[test]
fn foreign_keys_follow_renames() {
    let history = "CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (p_id int, CONSTRAINT fk FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE SET NULL);
ALTER TABLE p RENAME TO parent;
ALTER TABLE parent RENAME id TO key;
ALTER TABLE c RENAME COLUMN p_id TO parent_key;
";
    let schema = "CREATE TABLE parent (key int NOT NULL PRIMARY KEY);
CREATE TABLE c (parent_key int REFERENCES parent (key) ON DELETE SET NULL);
";
    holds(Postgres, history, schema);
    let wrong = schema.replace("SET NULL", "CASCADE");
    says(
        Postgres,
        history,
        &wrong,
        &["FAILS c: foreign key (parent_key) -> parent(key) ON DELETE SET NULL ON UPDATE NO \
            ACTION <- ON DELETE CASCADE ON UPDATE NO ACTION"],
    );
}

#[test]
fn a_sqlite_rebuild_keeps_the_name() {
    let history = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT);
CREATE INDEX ix ON users (email);
CREATE TABLE posts (u INTEGER REFERENCES users (id) ON DELETE CASCADE);
---
CREATE TABLE `__new_users` (`id` integer PRIMARY KEY, `email` text NOT NULL, `org` text);
INSERT INTO `__new_users` SELECT id, email, NULL FROM users;
DROP TABLE users;
ALTER TABLE `__new_users` RENAME TO users;
CREATE UNIQUE INDEX ix2 ON users (email);
";
    let schema = "CREATE TABLE Users (id INTEGER PRIMARY KEY, email TEXT NOT NULL, org TEXT);
CREATE TABLE posts (u INTEGER REFERENCES users (id) ON DELETE CASCADE);
CREATE UNIQUE INDEX ix2 ON Users (email);
";
    holds(Sqlite, history, schema);
}

#[test]
fn code_that_came_later_makes_earlier_facts_uncertain() {
    let history = "CREATE TABLE a (x int);
CREATE TABLE b (y int);
---
DO $$ BEGIN ALTER TABLE a DROP COLUMN x; END $$;
---
CREATE TABLE c (z int);
";
    let schema = "CREATE TABLE a (q int);\nCREATE TABLE b (q int);\nCREATE TABLE c (q int);\n";
    says(
        Postgres,
        history,
        schema,
        &[
            "? a.x: column int <- no such column; a `DO` that came later may have changed it",
            "FAILS b.y: column int <- no such column",
            "FAILS c.z: column int <- no such column",
            "? `DO` statement: not derived <- its text does not say what it does",
        ],
    );
    let dynamic = history.replace("ALTER TABLE a DROP COLUMN x", "EXECUTE some_text");
    let (_, others) = super::verify(Postgres, &dynamic, schema);
    assert_eq!(others.iter().filter(|line| line.starts_with("FAILS")).count(), 1);
}

#[test]
fn schemas_and_search_paths_are_told_apart() {
    let history = "CREATE SCHEMA app;
CREATE TABLE public.users (id int);
CREATE TABLE app.users (id bigint);
ALTER TABLE users ADD COLUMN a text;
---
SET search_path TO app, public;
ALTER TABLE users ADD COLUMN b text;
CREATE TABLE t (x int);
---
CREATE TABLE u (x int);
DROP TABLE app.users;
";
    let schema = "CREATE SCHEMA app;
CREATE TABLE users (id integer, a text);
CREATE TABLE app.t (x integer);
CREATE TABLE public.u (x integer);
";
    holds(Postgres, history, schema);
}

#[test]
fn a_bare_drop_may_mean_another_schemas_table() {
    let history = "CREATE TABLE app.users (id int);\n---\nDROP TABLE IF EXISTS users;\n";
    says(
        Postgres,
        history,
        "CREATE TABLE t (x int);\n",
        &["? app.users: table <- no such table; a table of this name was dropped, perhaps \
            this one"],
    );
    says(
        Postgres,
        history,
        "CREATE TABLE app.users (id integer);\n",
        &["? users: absent table <- one of this name is there, perhaps another one"],
    );
}

#[test]
fn cascade_takes_foreign_keys_and_perhaps_views() {
    let history = "CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (a_id int REFERENCES a, c int);
CREATE VIEW v AS SELECT 1;
DROP TABLE a CASCADE;
";
    says(
        Postgres,
        history,
        "CREATE TABLE b (a_id int, c int);\n",
        &["? v: view <- no such view; a DROP ... CASCADE may have taken it"],
    );
}

#[test]
fn partitions_go_with_their_parent() {
    let history = "CREATE TABLE p (id int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2);
CREATE TABLE p2 (id int);
ALTER TABLE p ATTACH PARTITION p2 DEFAULT;
DROP TABLE p;
";
    holds(Postgres, history, "CREATE TABLE other (id int);\n");
}

#[test]
fn other_objects_must_exist() {
    let history = "CREATE TYPE mood AS ENUM ('a');
CREATE TABLE t (m mood, n public.mood);
CREATE VIEW v AS SELECT 1;
CREATE FUNCTION f() RETURNS trigger LANGUAGE sql AS '';
CREATE TRIGGER trg BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE SEQUENCE s;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
";
    let schema = "CREATE TYPE mood AS ENUM ('a');
CREATE TABLE t (m mood, n mood);
CREATE VIEW v AS SELECT 1;
CREATE FUNCTION f() RETURNS trigger LANGUAGE sql AS '';
CREATE TRIGGER trg BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE SEQUENCE s;
CREATE EXTENSION pgcrypto;
";
    assert_eq!(holds(Postgres, history, schema), 9);
    says(
        Postgres,
        history,
        "CREATE TABLE t (m mood, n mood);\n",
        &[
            "FAILS mood: type <- no such type",
            "FAILS v: view <- no such view",
            "FAILS f: routine <- no such routine",
            "FAILS trg: trigger on t <- no such trigger",
            "FAILS s: sequence <- no such sequence",
            "FAILS pgcrypto: extension <- no such extension",
        ],
    );
    let dropped = format!(
        "{history}DROP TRIGGER trg ON t;\nDROP FUNCTION f();\nDROP VIEW v;\nALTER SEQUENCE s \
        RENAME TO s2;\n"
    );
    says(
        Postgres,
        &dropped,
        schema,
        &[
            "FAILS s2: sequence <- no such sequence",
            "FAILS trg: absent trigger <- it is there",
            "FAILS v: absent view <- it is there",
        ],
    );
}

#[test]
fn mysql_tables_hold_as_the_server_prints_them() {
    let history = "CREATE TABLE t (id INT UNSIGNED NOT NULL AUTO_INCREMENT, ok BOOL, d \
    NUMERIC(5), Name VARCHAR(20),
  o INT REFERENCES other (id), PRIMARY KEY (id), UNIQUE KEY uq (name), KEY (ok), CONSTRAINT \
    fk FOREIGN KEY (o) REFERENCES Other (id) ON DELETE RESTRICT);
ALTER TABLE t MODIFY ok TINYINT NOT NULL, ADD ts TIMESTAMP, MODIFY ts TIMESTAMP, CHANGE d e \
    DECIMAL(6,2);
";
    let schema = "CREATE TABLE t (id int(10) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, ok \
    tinyint(4) NOT NULL, e decimal(6,2), name varchar(20), o int(11), ts timestamp NOT NULL,
  UNIQUE KEY uq (name), CONSTRAINT fk FOREIGN KEY (o) REFERENCES other (id));
CREATE INDEX ok ON t (ok);
";
    says(Mysql, history, schema, &[]);
    let dropped = format!(
        "{history}ALTER TABLE t DROP FOREIGN KEY fk, DROP INDEX uq, DROP PRIMARY KEY, DROP \
        COLUMN o;\n"
    );
    says(
        Mysql,
        &dropped,
        schema,
        &[
            "FAILS t.fk: absent constraint <- it is there",
            "FAILS t: absent primary key <- it is there",
            "FAILS t.o: absent column <- it is there",
        ],
    );
}

#[test]
fn one_statement_alone_can_be_probed() {
    let before = "CREATE TABLE t (a int(11), b int(11));\n";
    for (statement, after) in [
        ("ALTER TABLE t ADD c INT", "CREATE TABLE t (a int(11), b int(11), c int(11));\n"),
        ("ALTER TABLE t DROP b", "CREATE TABLE t (a int(11));\n"),
        (
            "ALTER TABLE t CHANGE b c INT NOT NULL",
            "CREATE TABLE t (a int(11), c int(11) NOT NULL);\n",
        ),
        (
            "ALTER TABLE t ALTER a SET DEFAULT 1",
            "CREATE TABLE t (a int(11) DEFAULT 1, b int(11));\n",
        ),
        ("ALTER TABLE t RENAME TO u", "CREATE TABLE u (a int(11), b int(11));\n"),
        ("CREATE INDEX i ON t (a)", "CREATE TABLE t (a int(11));\nCREATE INDEX i ON t (a);\n"),
        ("DROP TABLE t", ""),
    ] {
        let expected = Expected::fold(&changes(statement, Mysql), Mysql);
        let happened = |schema: &str| {
            let facts = expected.check(&live(schema, Mysql));
            assert!(!facts.is_empty(), "{statement}");
            facts.iter().all(|fact| fact.verdict == Verdict::Holds)
        };
        assert!(happened(after), "{statement}: {:?}", expected.check(&live(after, Mysql)));
        assert!(!happened(before), "{statement}");
    }
}

#[test]
fn touched_names_what_must_be_looked_at() {
    let history = "CREATE TABLE a (x int);\nDROP TABLE b;\nCREATE VIEW v AS SELECT 1;\n";
    let touched = Expected::fold(&changes(history, Sqlite), Sqlite).touched();
    let want = [(ObjectKind::Table, "a"), (ObjectKind::Table, "b"), (ObjectKind::View, "v")];
    assert_eq!(touched, want.map(|(kind, name)| (kind, ObjectName::bare(name))));
}

#[test]
fn views_altered_as_tables_are_no_failure() {
    let history = "CREATE VIEW v AS SELECT 1 AS a;
ALTER TABLE v RENAME COLUMN a TO b;
ALTER TABLE v OWNER TO x;
ALTER TABLE v ALTER b SET DEFAULT 1;
ALTER TABLE v RENAME TO w;
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a;
";
    let schema = "CREATE VIEW w AS SELECT 1;\nCREATE MATERIALIZED VIEW mv AS SELECT 1;\n";
    holds(Postgres, history, schema);
    let unknown = "ALTER TABLE v RENAME COLUMN a TO b;\n";
    says(
        Postgres,
        unknown,
        "CREATE VIEW v AS SELECT 1;\n",
        &["? v: table <- not among the tables; it may be a view or a foreign table"],
    );
}

#[test]
fn temporary_tables_leave_no_facts() {
    let history = "CREATE TEMP TABLE t (a int);
ALTER TABLE t ADD b int;
CREATE INDEX i ON t (a);
DROP TABLE t;
CREATE TABLE u (a int);
";
    assert_eq!(holds(Sqlite, history, "CREATE TABLE u (a int);\n"), 2);
}

#[test]
fn alter_if_exists_may_have_met_nothing() {
    let history = "ALTER TABLE IF EXISTS gone ADD COLUMN a int;\n";
    says(
        Postgres,
        history,
        "CREATE TABLE gone (b int);\n",
        &["? gone.a: column int <- no such column; `ALTER TABLE IF EXISTS` may have met no \
        table"],
    );
}

// Found by comparing random histories with what real servers made of them.

#[test]
fn renaming_to_the_same_name_changes_nothing() {
    let history = "CREATE TABLE t (a int);
CREATE INDEX i ON t (a);
ALTER TABLE t RENAME TO t, RENAME INDEX i TO i, RENAME COLUMN a TO a;
";
    holds(Mysql, history, "CREATE TABLE t (a int(11));\nCREATE INDEX i ON t (a);\n");
    let case = "CREATE TABLE t (a int);\nALTER TABLE t RENAME TO T;\n";
    holds(Sqlite, case, "CREATE TABLE T (a int);\n");
}

#[test]
fn a_column_takes_the_constraints_written_at_it() {
    let history = "CREATE TABLE p (id INTEGER PRIMARY KEY);
CREATE TABLE t (a int, b int REFERENCES p (id));
ALTER TABLE t DROP COLUMN b;
";
    holds(Sqlite, history, "CREATE TABLE p (id INTEGER PRIMARY KEY);\nCREATE TABLE t (a int);\n");
    let history = "CREATE TABLE t (a int, b int CHECK (b > 0), CHECK (a > 0));
ALTER TABLE t MODIFY b bigint;
";
    let schema = "CREATE TABLE t (a int(11), b bigint(20), CHECK (a > 0));\n";
    let want = "? t: check (b > 0) <- no check with this text; the server may print it in other \
                words";
    says(Mysql, history, schema, &[want]);
}

#[test]
fn what_was_dropped_from_a_dropped_table_is_forgotten() {
    let history = "CREATE TABLE t (a int, b int);
ALTER TABLE t DROP COLUMN b;
DROP TABLE t;
CREATE TABLE s.t (b int);
---
ALTER TABLE u DROP COLUMN b;
CREATE TABLE s.u (b int);
";
    let schema = "CREATE TABLE s.t (b integer);\nCREATE TABLE s.u (b integer);\n";
    let another = "one of this name is there, perhaps another one";
    let table = format!("? t: absent table <- {another}");
    let column = format!("? u.b: absent column <- {another}");
    says(Postgres, history, schema, &[&table, &column]);
}
