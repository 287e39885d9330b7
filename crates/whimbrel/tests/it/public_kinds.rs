//! What public histories do on one engine only, and what of it a fixture cannot show.

use whimbrel_testkit::database::fresh_mariadb;

use crate::engines::{Bench, on};

#[test]
fn values_of_a_dropped_type_come_back() {
    on("postgres", |bench| {
        bench.migration(
            "0001_a.sql",
            "CREATE TYPE mood AS ENUM ('sad', 'ok');\nCREATE DOMAIN code AS int CHECK (VALUE > 0);\n\
             CREATE TABLE people (id code PRIMARY KEY, mood mood NOT NULL, moods mood[]);\n\
             INSERT INTO people VALUES (1, 'ok', '{sad,ok}'), (2, 'sad', NULL);\n",
        );
        bench.migration(
            "0002_b.sql",
            "ALTER TABLE people DROP COLUMN mood;\nALTER TABLE people DROP COLUMN moods;\n\
             DROP TYPE mood;\n",
        );
        bench.migration(
            "0002_b.down.sql",
            "CREATE TYPE mood AS ENUM ('sad', 'ok');\n\
             ALTER TABLE people ADD COLUMN mood mood NOT NULL;\n\
             ALTER TABLE people ADD COLUMN moods mood[];\n",
        );
        bench.migration("0003_c.sql", "DROP TABLE people;\nDROP DOMAIN code;\n");
        bench.migration(
            "0003_c.down.sql",
            "CREATE DOMAIN code AS int CHECK (VALUE > 0);\n\
             CREATE TABLE people (id code PRIMARY KEY);\n",
        );
        bench.whimbrel().run(["up", "--to", "0001"]).success();
        let rows = bench.database.rows();
        bench.whimbrel().run(["up"]).success();
        bench.whimbrel().run(["verify"]).success();
        bench.whimbrel().run(["down", "--steps", "2"]).success();
        assert_eq!(bench.database.rows(), rows);
    });
}

#[test]
fn a_file_may_go_on_as_another_role() {
    on("postgres", |bench| {
        let role = format!("{}_low", bench.database.name);
        let user = bench.database.query("SELECT current_user").trim().to_owned();
        bench.database.admin(&format!("CREATE ROLE {role}; GRANT {role} TO {user};"));
        bench.database.admin(&format!("GRANT USAGE, CREATE ON SCHEMA public TO {role};"));
        let take = format!("SET ROLE {role};\n");
        bench.migration("0001_a.sql", &format!("{take}CREATE TABLE a (id int PRIMARY KEY);\n"));
        bench.migration("0002_b.sql", "CREATE TABLE b (id int);\n");
        bench.migration(
            "0003_c.sql",
            &format!("BEGIN;\nSET LOCAL ROLE {role};\nCREATE TABLE c (id int);\nCOMMIT;\n"),
        );
        for group in ["--group=always", "--group=never"] {
            bench.whimbrel().run(["up", group]).success();
            let owners = "SELECT tablename, tableowner FROM pg_tables \
                          WHERE schemaname = 'public' ORDER BY 1";
            let found = bench.database.query(owners);
            let owned = |table: &str, owner: &str| {
                found.lines().any(|line| line.contains(table) && line.contains(owner))
            };
            assert!(owned("a", &role) && owned("b", &user) && owned("c", &role), "{found}");
            bench.whimbrel().run(["verify"]).success();
            bench.database.query("DROP TABLE a, b, c; DROP SCHEMA whimbrel CASCADE");
        }
        bench.database.admin(&format!("DROP OWNED BY {role}; DROP ROLE {role};"));
    });
}

#[test]
fn a_session_without_triggers_is_no_broken_cascade() {
    on("postgres", |bench| {
        // Only a superuser may say so.
        let user = bench.database.query("SELECT current_user").trim().to_owned();
        let tables = "CREATE TABLE p (id int PRIMARY KEY);\n\
                      CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);\n";
        bench.migration("0001_a.sql", tables);
        let replica =
            "ALTER ROLE {user} IN DATABASE {name} SET session_replication_role = replica;";
        let replica = replica.replace("{user}", &user).replace("{name}", &bench.database.name);
        bench.database.admin(&replica);
        let up = bench.whimbrel().run(["up"]).success();
        assert!(!up.stderr.contains("FAILED"), "{up}");
        bench.whimbrel().run(["verify"]).success();
    });
}

#[test]
fn a_file_may_go_on_in_another_database() {
    on("mariadb", |bench| {
        let Some(other) = fresh_mariadb("elsewhere") else { return };
        let away = &other.name;
        bench.migration(
            "0001_a.sql",
            &format!(
                "CREATE TABLE here (a int);\nUSE {away};\nCREATE TABLE there (a int PRIMARY KEY);\n\
                 INSERT INTO there VALUES (1), (2);\nALTER TABLE there ADD COLUMN b int DEFAULT 5;\n\
                 USE {};\nINSERT INTO here VALUES (7);\n",
                bench.database.name
            ),
        );
        bench.migration("0002_b.sql", "CREATE TABLE here_again (a int);\n");
        bench.migration("0003_c.sql", &format!("use `{away}`\nDROP TABLE there;\n"));
        bench.whimbrel().run(["up", "--to", "0002"]).success();
        assert_eq!(other.query("SELECT a, b FROM there").lines().count(), 2);
        assert_eq!(bench.database.query("SELECT a FROM here").trim(), "7");
        bench.whimbrel().run(["verify"]).success();
        bench.whimbrel().run(["up"]).success();
        assert_eq!(other.query("SHOW TABLES").trim(), "");
        assert_eq!(bench.database.query("SHOW TABLES LIKE 'here%'").lines().count(), 2);
        bench.whimbrel().run(["status", "--check"]).success();
    });
}

#[test]
fn the_database_with_the_history_is_not_dropped() {
    on("mariadb", |bench| {
        let own = &bench.database.name;
        bench.migration(
            "0001_a.sql",
            &format!("CREATE TABLE a (b int);\nDROP DATABASE IF EXISTS {own};\n"),
        );
        let up = bench.whimbrel().run(["up"]).expect_code(2);
        assert!(up.stderr.contains("in which this run and its history are"), "{up}");
        assert_eq!(bench.database.query("SHOW TABLES LIKE 'a'").trim(), "a");
    });
}

#[test]
fn a_missing_column_is_the_statements_own_error() {
    for engine in ["sqlite", "postgres", "mariadb"] {
        on(engine, |bench: &Bench| {
            bench.migration("0001_a.sql", "CREATE TABLE a (b int);\nINSERT INTO a VALUES (1);\n");
            bench.migration("0002_b.sql", "ALTER TABLE a DROP COLUMN absent_one;\n");
            let up = bench.whimbrel().run(["up"]).expect_code(1);
            assert!(up.stderr.contains("Statement 1 of `0002_b.sql` failed"), "{up}");
            assert!(up.stderr.contains("absent_one"), "{up}");
        });
    }
}
