//! Statements that MariaDB executes from a text.

use crate::engines::on;

const TABLE: &str = "CREATE TABLE a (x INTEGER PRIMARY KEY, created INTEGER);";

#[test]
fn a_prepared_schema_change_inside_of_a_transaction_is_applied_as_by_the_client() {
    on("mariadb", |bench| {
        bench.migration("0001_a.sql", TABLE);
        let text = "BEGIN;\nINSERT INTO a VALUES (1, 1);\n\
             SET @s = IF((SELECT COUNT(*) FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = 'a' AND column_name = 'y') = 0,\n  \
             'ALTER TABLE a ADD COLUMN y INTEGER', 'SELECT 1');\n\
             PREPARE s FROM @s;\nEXECUTE s;\nDEALLOCATE PREPARE s;\n\
             INSERT INTO a VALUES (2, 2, 2);\n\
             EXECUTE IMMEDIATE 'CREATE TABLE b (x INTEGER)';\nCOMMIT;\n";
        bench.migration("0002_b.sql", text);
        bench.whimbrel().run(["up"]).success();
        let (schema, rows) = (bench.database.schema(), bench.database.rows());
        assert_eq!(bench.database.query("SELECT count(*) FROM b").trim(), "0");
        bench.whimbrel().run(["verify"]).success();
        // The database's own client.
        bench.database.query(&format!("DROP TABLE a, b; {TABLE}"));
        bench.database.query(text);
        assert_eq!((bench.database.schema(), bench.database.rows()), (schema, rows));
    });
}

#[test]
fn prepared_rows_stay_in_the_transaction_that_is_rolled_back() {
    on("mariadb", |bench| {
        bench.migration("0001_a.sql", TABLE);
        bench.migration(
            "0002_b.sql",
            "PREPARE s FROM 'INSERT INTO a (x, created) VALUES (?, 1)';\nSET @x = 1;\n\
             BEGIN;\nEXECUTE s USING @x;\nROLLBACK;\nSET @x = 2;\n\
             BEGIN;\nEXECUTE s USING @x;\nCOMMIT;\n",
        );
        bench.whimbrel().run(["up"]).success();
        assert_eq!(bench.database.query("SELECT x FROM a").trim(), "2");
    });
}

#[test]
fn a_hidden_commit_is_told_as_what_it_is() {
    on("mariadb", |bench| {
        bench.migration("0001_a.sql", TABLE);
        bench.migration("0002_b.sql", "CREATE PROCEDURE p() ALTER TABLE a ADD COLUMN y INTEGER;");
        bench.migration("0003_c.sql", "BEGIN;\nINSERT INTO a VALUES (1, 1);\nCALL p();\nCOMMIT;");
        let up = bench.whimbrel().run(["up"]).expect_code(1);
        assert!(up.stderr.contains("what ran up to it stays"), "{up}");
    });
}
