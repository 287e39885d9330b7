//! The MariaDB backend against a real server.

mod catalog;
mod sessions;

use whimbrel_core::database_url::{DatabaseUrl, MyUrl};
use whimbrel_engine::backend::mysql::MysqlBackend;
use whimbrel_engine::backend::{Backend, DbError, DbErrorKind, Notice, Session};
use whimbrel_testkit::database::{TestDatabase, fresh_mariadb};

pub(crate) fn backend(url: &str) -> MysqlBackend {
    MysqlBackend::new(parsed(url))
}

fn parsed(url: &str) -> MyUrl {
    match DatabaseUrl::parse(url) {
        Ok(DatabaseUrl::Mysql(url)) => *url,
        other => panic!("{other:?}"),
    }
}

async fn open(database: &TestDatabase) -> Box<dyn Session> {
    backend(&database.url).connect().await.unwrap()
}

async fn fresh(hint: &str) -> Option<(TestDatabase, Box<dyn Session>)> {
    let database = fresh_mariadb(hint)?;
    let session = open(&database).await;
    Some((database, session))
}

/// The account of the tests.
fn user(database: &TestDatabase) -> String {
    parsed(&database.url).user.unwrap_or_default()
}

/// The only value of the only row.
async fn value(session: &mut dyn Session, sql: &str) -> String {
    let rows = session.query(sql).await.unwrap();
    rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
}

async fn fails(session: &mut dyn Session, sql: &str) -> DbError {
    session.run(sql, None).await.unwrap_err()
}

fn codes(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.code.as_deref().unwrap_or("")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn statements_count_their_rows() {
    let Some((_database, mut session)) = fresh("my_rows").await else { return };
    let run = async |session: &mut Box<dyn Session>, sql: &str| {
        session.run(sql, None).await.unwrap().rows_affected
    };
    assert_eq!(run(&mut session, "CREATE TABLE t (a int PRIMARY KEY, b blob)").await, Some(0));
    assert_eq!(run(&mut session, "INSERT INTO t VALUES (1, 'x'), (2, NULL)").await, Some(2));
    assert_eq!(run(&mut session, "UPDATE t SET b = 0xFF00 WHERE a = 1").await, Some(1));
    assert_eq!(run(&mut session, "SELECT * FROM t").await, None);
    let rows = session.query("SELECT a, b, 1.50, 'é😀' FROM t ORDER BY a").await.unwrap();
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(rows[0], [text("1"), text("ff00"), text("1.50"), text("é😀")]);
    assert_eq!(rows[1][1], None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_result_of_a_call_is_read() {
    let Some((_database, mut session)) = fresh("my_call").await else { return };
    session.run("CREATE TABLE t (a int)", None).await.unwrap();
    let body = "CREATE PROCEDURE p(fail int) BEGIN SELECT 1; SELECT 2, 3 FROM seq_1_to_2000; \
                INSERT INTO t VALUES (1), (2); IF fail THEN SIGNAL SQLSTATE '45000' \
                SET MESSAGE_TEXT = 'on purpose'; END IF; SELECT 4; END";
    session.run(body, None).await.unwrap();
    session.run("CALL p(0)", None).await.unwrap();
    assert_eq!(session.query("CALL p(0)").await.unwrap(), [[Some("4".to_owned())]]);
    // The error comes behind two result sets.
    let error = fails(session.as_mut(), "CALL p(1)").await;
    assert_eq!((error.code.as_deref(), error.message.as_str()), (Some("1644 45000"), "on purpose"));
    assert_eq!(value(session.as_mut(), "SELECT count(*) FROM t").await, "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_batch_stops_at_an_error_of_a_later_statement() {
    let Some((_database, mut session)) = fresh("my_batch").await else { return };
    let session = session.as_mut();
    let error = session
        .batch(
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1); INSERT INTO nope VALUES (1); \
             INSERT INTO t VALUES (2)",
        )
        .await
        .unwrap_err();
    assert_eq!(error.code.as_deref(), Some("1146 42S02"));
    assert_eq!(error.kind, DbErrorKind::Statement);
    assert_eq!(value(session, "SELECT group_concat(a) FROM t").await, "1");
    // Twice the same batch, now with rows in front of the error.
    let error = session.batch("SELECT * FROM t; SELECT * FROM nope").await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("1146 42S02"));
    assert_eq!(value(session, "SELECT 7").await, "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_open_transaction_is_known_after_every_answer() {
    let Some((_database, mut session)) = fresh("my_trx").await else { return };
    let session = session.as_mut();
    assert_eq!(session.in_transaction(), Some(false));
    session.batch("CREATE TABLE t (a int PRIMARY KEY)").await.unwrap();
    session.batch("START TRANSACTION").await.unwrap();
    assert_eq!(session.in_transaction(), Some(true));
    session.run("INSERT INTO t VALUES (1)", None).await.unwrap();
    let error = fails(session, "INSERT INTO t VALUES (1)").await;
    assert_eq!(error.code.as_deref(), Some("1062 23000"));
    assert_eq!(session.in_transaction(), Some(true), "an error of a statement keeps it open");
    session.query("SELECT * FROM t").await.unwrap();
    assert_eq!(session.in_transaction(), Some(true));
    session.run("CREATE TABLE u (a int)", None).await.unwrap();
    assert_eq!(session.in_transaction(), Some(false), "DDL commits");
    session.batch("START TRANSACTION; INSERT INTO t VALUES (2)").await.unwrap();
    session.batch("ROLLBACK").await.unwrap();
    assert_eq!(session.in_transaction(), Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn warnings_come_as_notices() {
    let Some((_database, mut session)) = fresh("my_warn").await else { return };
    let session = session.as_mut();
    session.batch("CREATE TABLE t (v varchar(3), n tinyint, e enum('a'), d int)").await.unwrap();
    let outcome = session.run("CREATE TABLE IF NOT EXISTS t (a int)", None).await.unwrap();
    assert_eq!(codes(&outcome.notices), ["1050"]);
    assert_eq!(outcome.notices[0].severity, "Note");
    // Not strict: the server keeps something else and warns.
    session.batch("SET SESSION sql_mode = ''").await.unwrap();
    for (sql, code) in [
        ("INSERT INTO t (v) VALUES ('abcdef')", "1265"),
        ("INSERT INTO t (n) VALUES (300)", "1264"),
        ("INSERT INTO t (e) VALUES ('zzz')", "1265"),
        ("INSERT INTO t (d) VALUES ('abc')", "1366"),
        ("INSERT INTO t (d) SELECT 'abc' FROM seq_1_to_50", "1366"),
    ] {
        let outcome = session.run(sql, None).await.unwrap();
        assert!(codes(&outcome.notices).contains(&code), "{sql}: {:?}", outcome.notices);
        assert!(outcome.rows_affected > Some(0));
    }
    // Behind a thousand notes of another kind, a cut value is still seen.
    session.batch("CREATE TABLE k (a int PRIMARY KEY, v varchar(3))").await.unwrap();
    session.batch("INSERT INTO k SELECT seq, 'x' FROM seq_1_to_900").await.unwrap();
    let sql = "INSERT IGNORE INTO k SELECT seq, 'abcdef' FROM seq_1_to_901";
    let outcome = session.run(sql, None).await.unwrap();
    assert!(codes(&outcome.notices).contains(&"1265"), "{:?}", outcome.notices);
    assert!(outcome.notices.len() < 30, "{}", outcome.notices.len());
    // Strict: the same is an error.
    session.batch("SET SESSION sql_mode = 'STRICT_ALL_TABLES'").await.unwrap();
    let error = fails(session, "INSERT INTO t (v) VALUES ('abcdef')").await;
    assert_eq!(error.code.as_deref(), Some("1406 22001"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn errors_point_into_the_statement() {
    let Some((_database, mut session)) = fresh("my_offset").await else { return };
    let session = session.as_mut();
    session.batch("CREATE TABLE t (a int)").await.unwrap();
    for (sql, at) in [
        ("SELEC 1", "SELEC"),
        ("CREATE TABLE q (\n a int,\n b int refs t(a)\n);", "t(a)"),
        ("CREATE TABLE q (a int,\n b int,,\n c int)", "c int"),
        ("SELECT 'é😀' FRM t WHERE a = 'é😀'", "t WHERE"),
        ("CREATE PROCEDURE p() BEGIN\nSELECT 1;\nSELCT 2;\nEND", "2;"),
        ("SELECT (1", ""),
        ("SELECT nme FROM t", "nme"),
        ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM nowhere)", "nowhere"),
        ("ALTER TABLE t DROP COLUMN gone", "gone"),
        ("ALTER TABLE t ADD INDEX x (b)", "b)"),
    ] {
        let error = fails(session, sql).await;
        let offset = error.offset.unwrap_or_else(|| panic!("{sql}: {error:?}"));
        assert!(sql[offset..].starts_with(at), "{sql}: {offset}: {error}");
        assert!(!at.is_empty() || offset == sql.len(), "{sql}: {offset}");
    }
    let long = format!("SELECT 1 FRM t WHERE a IN ({})", vec!["12345"; 100].join(", "));
    assert_eq!(fails(session, &long).await.offset, long.find("t WHERE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn more_of_an_error_is_in_its_detail() {
    let Some((_database, mut session)) = fresh("my_detail").await else { return };
    let session = session.as_mut();
    session.batch("CREATE TABLE p (a int)").await.unwrap();
    let sql = "CREATE TABLE c (a int, FOREIGN KEY (a) REFERENCES p (a))";
    let error = fails(session, sql).await;
    assert_eq!(error.code.as_deref(), Some("1005 HY000"));
    let detail = error.detail.unwrap_or_default();
    assert!(detail.contains("There is no index in the referenced table"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn long_statements_are_refused_in_words() {
    let Some((database, mut session)) = fresh("my_long").await else { return };
    let session = session.as_mut();
    let most: usize = value(session, "SELECT @@max_allowed_packet").await.parse().unwrap();
    let sql = |bytes: usize| format!("SELECT 1 /*{}*/", "x".repeat(bytes - 13));
    // The longest that is sent is taken by the server.
    session.run(&sql(most - 2), None).await.unwrap();
    let error = fails(session, &sql(most - 1)).await;
    assert_eq!(error.kind, DbErrorKind::Statement);
    assert!(error.message.contains("max_allowed_packet"), "{error}");
    assert_eq!(value(session, "SELECT DATABASE()").await, database.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn local_files_are_refused() {
    let Some((_database, mut session)) = fresh("my_infile").await else { return };
    let session = session.as_mut();
    session.batch("CREATE TABLE t (a text)").await.unwrap();
    let error = fails(session, "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t").await;
    assert_eq!(error.kind, DbErrorKind::Statement);
    assert!(error.message.contains("Nothing was loaded"), "{error}");
    assert_eq!(value(session, "SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reset_brings_the_session_back_to_its_start() {
    let Some((database, mut session)) = fresh("my_reset").await else { return };
    let session = session.as_mut();
    let facts = session.facts().await.unwrap();
    session
        .batch(
            "SET SESSION sql_mode = 'ANSI_QUOTES', foreign_key_checks = 0, autocommit = 0, \
             lock_wait_timeout = 3; SET NAMES latin1; SET @x = 1; USE information_schema; \
             SET time_zone = '+05:00'",
        )
        .await
        .unwrap();
    session.reset().await.unwrap();
    let rows = session
        .query(
            "SELECT @@sql_mode = @@global.sql_mode, @@foreign_key_checks, @@autocommit, \
             @@lock_wait_timeout = @@global.lock_wait_timeout, @@character_set_client, \
             @x IS NULL, DATABASE(), @@time_zone = @@global.time_zone, 'é'",
        )
        .await
        .unwrap();
    let found: Vec<&str> = rows[0].iter().map(|value| value.as_deref().unwrap()).collect();
    assert_eq!(found, ["1", "1", "1", "1", "utf8mb4", "1", &database.name, "1", "é"]);
    assert_eq!(session.facts().await.unwrap().session, facts.session, "still the same session");
}
