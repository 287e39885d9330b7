//! What the database says besides.

use crate::engines::on;

#[test]
fn what_was_said_before_an_error_is_shown_before_it() {
    on("postgres", |bench| {
        bench.migration("0001_a.sql", "CREATE TABLE a (x integer);");
        bench.migration(
            "0002_b.sql",
            "INSERT INTO a VALUES (1);\n\
             DO $$ BEGIN RAISE WARNING 'row 7 is odd'; RAISE EXCEPTION 'stopped'; END $$;",
        );
        for group in ["--group=auto", "--group=never"] {
            let up = bench.whimbrel().run(["up", group]).expect_code(1);
            let said = up.stderr.find("0002_b.sql:2: warning: row 7 is odd").unwrap();
            assert!(said < up.stderr.find("stopped").unwrap(), "{up}");
            assert_eq!(up.stderr.matches("warning: row 7 is odd").count(), 1, "{up}");
        }
        let up = bench.whimbrel().run(["up", "--json"]).expect_code(1);
        assert!(up.stdout.contains("\"message\":\"row 7 is odd\""), "{up}");
        // A block that commits by itself is sent twice, and says it once.
        bench.migration(
            "0002_b.sql",
            "DO $$ BEGIN RAISE NOTICE 'once'; INSERT INTO a VALUES (1); COMMIT; END $$;",
        );
        let up = bench.whimbrel().run(["up"]).success();
        assert_eq!(up.stderr.matches("notice: once").count(), 1, "{up}");
    });
    on("mariadb", |bench| {
        bench.migration("0001_a.sql", "CREATE TABLE a (x INTEGER NOT NULL);");
        bench.migration(
            "0002_b.sql",
            "BEGIN NOT ATOMIC\n  SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'row 7 is odd';\n  \
             SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stopped';\nEND;",
        );
        let up = bench.whimbrel().run(["up"]).expect_code(1);
        assert!(up.stderr.contains("stopped"), "{up}");
    });
}
