use super::*;
use Dialect::{Mysql, Postgres, Sqlite};

/// `verb | class, need, control, repeatable, settings`, where the usual values are left out.
fn shown(sql: &str, dialect: Dialect) -> String {
    let info = classify(sql, dialect);
    let mut out = format!("{} | {:?}", info.verb, info.class);
    if info.transaction != TransactionNeed::Any {
        out += &format!(" {:?}", info.transaction);
    }
    if let Some(control) = info.control {
        out += &format!(" {control:?}");
    }
    if info.repeatable {
        out += " repeatable";
    }
    if info.settings {
        out += " settings";
    }
    out
}

/// Lines of `statement -> what it is`; a line without the arrow goes on in the next.
#[track_caller]
fn check(dialect: Dialect, table: &str) {
    let mut wrong = Vec::new();
    let mut begun = String::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let whole = format!("{begun}{line}");
        let Some((sql, want)) = whole.split_once(" -> ") else {
            begun = whole + " ";
            continue;
        };
        begun.clear();
        let got = shown(sql.trim(), dialect);
        if got != want {
            wrong.push(format!("{sql}\n  want {want}\n  got  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{dialect:?}:\n{}", wrong.join("\n"));
}

#[test]
fn sqlite() {
    check(
        Sqlite,
        "
        CREATE TABLE a (x) -> CREATE TABLE | Ddl
        CREATE TABLE IF NOT EXISTS a (x) -> CREATE TABLE | Ddl repeatable
        create temp table a as select 1 -> CREATE TEMP TABLE | Ddl
        CREATE UNIQUE INDEX i ON a (x) -> CREATE UNIQUE INDEX | Ddl
        CREATE VIRTUAL TABLE f USING fts5(x) -> CREATE VIRTUAL TABLE | Ddl
        CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END -> CREATE TRIGGER | Ddl
        DROP TABLE IF EXISTS a -> DROP TABLE | Ddl repeatable
        DROP TABLE a -> DROP TABLE | Ddl
        ALTER TABLE a ADD COLUMN y -> ALTER TABLE | Ddl
        INSERT INTO a VALUES (1) -> INSERT | Dml
        INSERT OR REPLACE INTO a VALUES (1) -> INSERT OR REPLACE | Dml
        REPLACE INTO a VALUES (1) -> REPLACE | Dml
        WITH c AS (SELECT 1) DELETE FROM a -> DELETE | Dml
        WITH RECURSIVE c(n) AS (VALUES(1)) SELECT n FROM c -> SELECT | Query
        SELECT f(1) -> SELECT | Query
        VALUES (1) -> VALUES | Query repeatable
        EXPLAIN QUERY PLAN DELETE FROM a -> EXPLAIN | Query repeatable
        BEGIN -> BEGIN | Control Begin
        BEGIN IMMEDIATE TRANSACTION -> BEGIN | Control Begin
        COMMIT -> COMMIT | Control Commit
        END TRANSACTION -> END | Control Commit
        ROLLBACK -> ROLLBACK | Control Rollback
        ROLLBACK TRANSACTION TO SAVEPOINT a -> ROLLBACK | Control RollbackTo
        ROLLBACK TO a -> ROLLBACK TO | Control RollbackTo
        SAVEPOINT a -> SAVEPOINT | Control Savepoint
        RELEASE a -> RELEASE | Control Release
        VACUUM -> VACUUM | Maintenance Never repeatable
        VACUUM INTO 'x' -> VACUUM INTO | Maintenance Never
        ANALYZE -> ANALYZE | Maintenance repeatable
        REINDEX -> REINDEX | Maintenance repeatable
        ATTACH 'x' AS y -> ATTACH | Setting Never settings
        DETACH y -> DETACH | Setting Never settings
        PRAGMA foreign_keys -> PRAGMA | Query repeatable
        PRAGMA foreign_keys=OFF -> PRAGMA | Setting Never repeatable settings
        pragma main.journal_mode = WAL -> PRAGMA | Setting Never repeatable settings
        PRAGMA foreign_keys(1) -> PRAGMA | Setting Never repeatable settings
        PRAGMA defer_foreign_keys = true -> PRAGMA | Setting repeatable settings
        PRAGMA user_version = 3 -> PRAGMA | Setting repeatable
        PRAGMA table_info(a) -> PRAGMA | Query repeatable
        PRAGMA foreign_key_check -> PRAGMA | Query repeatable
        PRAGMA wal_checkpoint -> PRAGMA | Maintenance Never repeatable
        PRAGMA optimize -> PRAGMA | Maintenance repeatable
        NONSENSE x -> NONSENSE | Unknown
        ",
    );
}

#[test]
fn postgres_transactions() {
    check(
        Postgres,
        "
        BEGIN ISOLATION LEVEL SERIALIZABLE -> BEGIN | Control Begin
        START TRANSACTION READ ONLY -> START TRANSACTION | Control Begin
        COMMIT WORK -> COMMIT | Control Commit
        COMMIT AND CHAIN -> COMMIT | Control Other
        COMMIT AND NO CHAIN -> COMMIT | Control Commit
        END -> END | Control Commit
        ABORT -> ABORT | Control Rollback
        ROLLBACK WORK TO SAVEPOINT a -> ROLLBACK | Control RollbackTo
        ROLLBACK TO a -> ROLLBACK TO | Control RollbackTo
        RELEASE SAVEPOINT a -> RELEASE | Control Release
        PREPARE TRANSACTION 'x' -> PREPARE TRANSACTION | Control Other
        COMMIT PREPARED 'x' -> COMMIT PREPARED | Control Never Other
        SET TRANSACTION READ ONLY -> SET TRANSACTION | Control Other
        LOCK TABLE a IN ACCESS EXCLUSIVE MODE -> LOCK TABLE | Control
        CREATE INDEX CONCURRENTLY i ON a (x) -> CREATE INDEX | Ddl Never
        CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (x) -> CREATE UNIQUE INDEX | Ddl Never
        CREATE INDEX IF NOT EXISTS i ON a (x) -> CREATE INDEX | Ddl repeatable
        DROP INDEX CONCURRENTLY i -> DROP INDEX | Ddl Never
        DROP INDEX CONCURRENTLY IF EXISTS i -> DROP INDEX | Ddl Never repeatable
        REINDEX TABLE a -> REINDEX | Maintenance repeatable
        REINDEX INDEX CONCURRENTLY i -> REINDEX | Maintenance Never repeatable
        REINDEX (VERBOSE, CONCURRENTLY) TABLE a -> REINDEX | Maintenance Never repeatable
        REINDEX (VERBOSE) SCHEMA s -> REINDEX | Maintenance Never repeatable
        REINDEX DATABASE d -> REINDEX | Maintenance Never repeatable
        REFRESH MATERIALIZED VIEW CONCURRENTLY v
          -> REFRESH MATERIALIZED VIEW | Maintenance repeatable
        VACUUM (FULL, ANALYZE) a -> VACUUM | Maintenance Never repeatable
        ANALYZE a -> ANALYZE | Maintenance repeatable
        CLUSTER -> CLUSTER | Maintenance Never repeatable
        CLUSTER VERBOSE -> CLUSTER | Maintenance Never repeatable
        CLUSTER a USING i -> CLUSTER | Maintenance repeatable
        CREATE DATABASE d -> CREATE DATABASE | Ddl Never
        DROP DATABASE IF EXISTS d -> DROP DATABASE | Ddl Never repeatable
        ALTER DATABASE d SET TABLESPACE t -> ALTER DATABASE | Ddl Never repeatable
        ALTER DATABASE d SET timezone = 'UTC' -> ALTER DATABASE | Ddl repeatable
        CREATE TABLESPACE t LOCATION '/x' -> CREATE TABLESPACE | Ddl Never
        ALTER SYSTEM SET work_mem = '1MB' -> ALTER SYSTEM | Setting Never repeatable settings
        CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p -> CREATE SUBSCRIPTION | Ddl Never
        CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (create_slot = false)
          -> CREATE SUBSCRIPTION | Ddl
        ALTER SUBSCRIPTION s REFRESH PUBLICATION -> ALTER SUBSCRIPTION | Ddl Never
        DISCARD ALL -> DISCARD ALL | Setting Never repeatable settings
        ALTER TABLE a DETACH PARTITION b CONCURRENTLY -> ALTER TABLE | Ddl Never
        ALTER TABLE a DETACH PARTITION b -> ALTER TABLE | Ddl
        ALTER TYPE e ADD VALUE 'x' -> ALTER TYPE | Ddl
        ALTER TYPE e ADD VALUE IF NOT EXISTS 'x' -> ALTER TYPE | Ddl repeatable
        CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous) AS SELECT 1
          -> CREATE MATERIALIZED VIEW | Ddl Never
        ",
    );
}

#[test]
fn postgres_classes() {
    check(
        Postgres,
        "
        CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'x'
          -> CREATE OR REPLACE FUNCTION | Ddl repeatable
        CREATE OR REPLACE VIEW v AS SELECT 1 -> CREATE OR REPLACE VIEW | Ddl repeatable
        CREATE UNLOGGED TABLE a (x int) -> CREATE UNLOGGED TABLE | Ddl
        CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()
          -> CREATE EVENT TRIGGER | Ddl
        CREATE TEXT SEARCH CONFIGURATION c (COPY = english)
          -> CREATE TEXT SEARCH CONFIGURATION | Ddl
        CREATE FOREIGN DATA WRAPPER w -> CREATE FOREIGN DATA WRAPPER | Ddl
        CREATE OPERATOR CLASS o FOR TYPE int USING btree AS STORAGE int
          -> CREATE OPERATOR CLASS | Ddl
        CREATE USER MAPPING FOR u SERVER s -> CREATE USER MAPPING | Ddl
        CREATE EXTENSION IF NOT EXISTS citext -> CREATE EXTENSION | Ddl repeatable
        CREATE POLICY p ON a USING (true) -> CREATE POLICY | Ddl
        CREATE ROLE r -> CREATE ROLE | Privilege
        ALTER USER u PASSWORD 'x' -> ALTER USER | Privilege
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r
          -> ALTER DEFAULT PRIVILEGES | Privilege repeatable
        DROP OWNED BY r -> DROP OWNED | Privilege
        GRANT SELECT ON a TO r -> GRANT | Privilege repeatable
        ALTER TABLE a ADD COLUMN IF NOT EXISTS x int, DROP COLUMN IF EXISTS y
          -> ALTER TABLE | Ddl repeatable
        ALTER TABLE IF EXISTS ONLY s.a ADD COLUMN IF NOT EXISTS x int, ADD y int
          -> ALTER TABLE | Ddl
        ALTER TABLE a ENABLE ROW LEVEL SECURITY -> ALTER TABLE | Ddl repeatable
        ALTER TABLE a VALIDATE CONSTRAINT c -> ALTER TABLE | Ddl repeatable
        ALTER TABLE a RENAME TO b -> ALTER TABLE | Ddl
        COMMENT ON TABLE a IS 'x' -> COMMENT ON | Ddl repeatable
        TRUNCATE a -> TRUNCATE | Ddl repeatable
        IMPORT FOREIGN SCHEMA s FROM SERVER r INTO p -> IMPORT FOREIGN SCHEMA | Ddl
        SELECT 1 INTO a -> SELECT | Ddl
        SELECT x FROM a -> SELECT | Query repeatable
        (SELECT x FROM a) UNION SELECT 1 -> SELECT | Query repeatable
        SELECT pg_catalog.set_config('search_path', '', false) -> SELECT | Query settings
        SELECT setval('s', 1) -> SELECT | Query
        WITH d AS (DELETE FROM a RETURNING x) SELECT * FROM d -> SELECT | Dml
        WITH c AS MATERIALIZED (SELECT 1) INSERT INTO a SELECT * FROM c -> INSERT | Dml
        MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE -> MERGE | Dml
        COPY a FROM STDIN -> COPY | Dml
        COPY a TO STDOUT -> COPY | Query repeatable
        EXPLAIN SELECT 1 -> EXPLAIN | Query repeatable
        EXPLAIN ANALYZE DELETE FROM a -> EXPLAIN | Dml
        EXPLAIN (ANALYZE, BUFFERS) UPDATE a SET x = 1 -> EXPLAIN | Dml
        EXPLAIN (COSTS off) UPDATE a SET x = 1 -> EXPLAIN | Query repeatable
        DO $$ BEGIN END $$ -> DO | Routine
        CALL p() -> CALL | Routine
        SET search_path = x -> SET | Setting repeatable settings
        SET LOCAL lock_timeout = '1s' -> SET | Setting repeatable
        SET CONSTRAINTS ALL IMMEDIATE -> SET CONSTRAINTS | Setting repeatable
        SET ROLE r -> SET ROLE | Setting repeatable settings
        RESET ALL -> RESET | Setting repeatable settings
        ",
    );
}

#[test]
fn mysql_transactions() {
    check(
        Mysql,
        "
        BEGIN -> BEGIN | Control Begin
        BEGIN WORK -> BEGIN | Control Begin
        BEGIN NOT ATOMIC SELECT 1; END -> BEGIN NOT ATOMIC | Routine
        BEGIN NOT ATOMIC ALTER TABLE a ADD x int; END -> BEGIN NOT ATOMIC | Routine ImplicitCommit
        START TRANSACTION WITH CONSISTENT SNAPSHOT -> START TRANSACTION | Control Begin
        COMMIT -> COMMIT | Control Commit
        COMMIT RELEASE -> COMMIT | Control Other
        COMMIT NO RELEASE -> COMMIT | Control Commit
        ROLLBACK AND CHAIN -> ROLLBACK | Control Other
        RELEASE SAVEPOINT a -> RELEASE | Control Release
        XA START 'x' -> XA | Control Other
        LOCK TABLES a WRITE -> LOCK TABLES | Control ImplicitCommit Other
        UNLOCK TABLES -> UNLOCK TABLES | Control Other
        SET autocommit = 0 -> SET | Control Other settings
        SET SESSION TRANSACTION READ ONLY -> SET | Control Other settings
        SET @x = 1, @@session.autocommit = 1 -> SET | Control Other settings
        SET @x = 1 -> SET | Setting repeatable settings
        SET PASSWORD FOR 'a' = 'b' -> SET PASSWORD | Privilege ImplicitCommit repeatable
        SET DEFAULT ROLE r TO 'a' -> SET | Setting ImplicitCommit repeatable settings
        SET STATEMENT max_statement_time = 1 FOR ALTER TABLE a ADD x int -> SET | Ddl ImplicitCommit
        CREATE TABLE a (x int) -> CREATE TABLE | Ddl ImplicitCommit
        CREATE TEMPORARY TABLE a (x int) -> CREATE TEMPORARY TABLE | Ddl
        CREATE OR REPLACE TEMPORARY TABLE a (x int) -> CREATE OR REPLACE TEMPORARY TABLE | Ddl
        DROP TEMPORARY TABLE IF EXISTS a -> DROP TEMPORARY TABLE | Ddl repeatable
        DROP TABLE a -> DROP TABLE | Ddl ImplicitCommit
        RENAME TABLE a TO b -> RENAME TABLE | Ddl ImplicitCommit
        TRUNCATE TABLE a -> TRUNCATE | Ddl ImplicitCommit repeatable
        GRANT SELECT ON *.* TO 'a' -> GRANT | Privilege ImplicitCommit repeatable
        RENAME USER 'a' TO 'b' -> RENAME USER | Privilege ImplicitCommit
        ANALYZE TABLE a -> ANALYZE TABLE | Maintenance ImplicitCommit repeatable
        ANALYZE UPDATE a SET x = 1 -> ANALYZE | Dml
        OPTIMIZE TABLE a -> OPTIMIZE TABLE | Maintenance ImplicitCommit repeatable
        FLUSH PRIVILEGES -> FLUSH | Maintenance ImplicitCommit repeatable
        ",
    );
}

#[test]
fn mysql_classes() {
    check(
        Mysql,
        "
        /*!40101 SET NAMES utf8mb4 */ -> SET | Setting repeatable settings
        /*!40000 ALTER TABLE `a` DISABLE KEYS */ -> ALTER TABLE | Ddl ImplicitCommit repeatable
        /*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON
          x FOR EACH ROW SET @a=1 */ -> CREATE TRIGGER | Ddl ImplicitCommit
        CREATE OR REPLACE DEFINER=CURRENT_USER() FUNCTION f() RETURNS INT RETURN 1
          -> CREATE OR REPLACE FUNCTION | Ddl ImplicitCommit repeatable
        CREATE ALGORITHM = MERGE DEFINER = table@localhost SQL SECURITY INVOKER VIEW v AS
          SELECT 1 -> CREATE VIEW | Ddl ImplicitCommit
        CREATE OR REPLACE TABLE a (x int) -> CREATE OR REPLACE TABLE | Ddl ImplicitCommit
        ALTER TABLE a ADD COLUMN IF NOT EXISTS x int -> ALTER TABLE | Ddl ImplicitCommit repeatable
        ALTER TABLE a ENGINE = InnoDB -> ALTER TABLE | Ddl ImplicitCommit repeatable
        CREATE USER IF NOT EXISTS 'a' -> CREATE USER | Privilege ImplicitCommit repeatable
        ALTER EVENT e DISABLE -> ALTER EVENT | Ddl ImplicitCommit
        USE db -> USE | Setting repeatable settings
        INSERT INTO a VALUES (1) -> INSERT | Dml
        LOAD DATA INFILE 'x' INTO TABLE a -> LOAD DATA | Dml
        SELECT 1 INTO @x -> SELECT | Query
        SHOW WARNINGS -> SHOW | Query repeatable
        PREPARE s FROM 'SELECT 1' -> PREPARE | Setting settings
        EXECUTE s -> EXECUTE | Routine
        DEALLOCATE PREPARE s -> DEALLOCATE | Setting settings
        DROP PREPARE s -> DROP PREPARE | Setting settings
        CALL p() -> CALL | Routine
        IF 1 THEN SELECT 1; END IF -> IF | Routine
        SIGNAL SQLSTATE '45000' -> SIGNAL | Routine
        ",
    );
}

#[test]
fn enum_values() {
    let adds = |sql| adds_enum_value(sql, Postgres);
    assert!(adds("ALTER TYPE public.e ADD VALUE IF NOT EXISTS 'x' BEFORE 'y'"));
    assert!(adds("/* x */ alter type \"e\" add value 'x'"));
    assert!(!adds("ALTER TYPE e RENAME VALUE 'x' TO 'y'"));
    assert!(!adds("ALTER TABLE e ADD value int"));
    assert!(!adds_enum_value("ALTER TYPE e ADD VALUE 'x'", Mysql));
    assert!(adds("DO $$ BEGIN ALTER TYPE e ADD\n  VALUE 'x'; EXCEPTION WHEN others THEN END $$"));
    assert!(!adds("DO $$ BEGIN INSERT INTO added (value) VALUES (1); END $$"));
    assert!(!adds("SELECT 'add value'"));
}

#[test]
fn switching_keys_on() {
    for sql in
        ["PRAGMA foreign_keys = ON", "pragma main.foreign_keys(1)", "PRAGMA foreign_keys='yes'"]
    {
        assert!(switches_keys_on(sql), "{sql}");
    }
    for sql in ["PRAGMA foreign_keys", "PRAGMA foreign_keys=OFF", "PRAGMA defer_foreign_keys=on"] {
        assert!(!switches_keys_on(sql), "{sql}");
    }
}

#[test]
fn a_long_insert_is_read_only_at_its_start() {
    let sql = format!("INSERT INTO a VALUES {}", "(1,'x;'),".repeat(10_000));
    assert_eq!(Words::read(&sql, Mysql).len(), 64);
    assert_eq!(shown(&sql, Mysql), "INSERT | Dml");
}

proptest::proptest! {
    #[test]
    fn any_text_is_something(
        sql in "\\PC*",
        verb in "(CREATE|ALTER TABLE|SET|WITH|PRAGMA|CLUSTER|REINDEX|EXPLAIN|ROLLBACK|) ?",
    ) {
        for dialect in Dialect::ALL {
            let info = classify(&format!("{verb}{sql}"), dialect);
            proptest::prop_assert_eq!(info.verb.trim_matches(' '), info.verb.as_str());
        }
    }
}
