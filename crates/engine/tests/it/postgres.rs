//! The PostgreSQL backend against a real server.

mod catalog;
mod errors;
mod sessions;

use whimbrel_core::database_url::{DatabaseUrl, PgUrl};
use whimbrel_engine::backend::postgres::PostgresBackend;
use whimbrel_engine::backend::{Backend, DbError, Outcome, Session};
use whimbrel_testkit::database::{TestDatabase, fresh_postgres};

pub(crate) fn parsed(url: &str) -> PgUrl {
    match DatabaseUrl::parse(url) {
        Ok(DatabaseUrl::Postgres(url)) => *url,
        other => panic!("{other:?}"),
    }
}

/// A backend that finds no certificates in anybody's home.
pub(crate) fn backend(url: &str) -> PostgresBackend {
    PostgresBackend::new(parsed(url)).with_home("/nonexistent")
}

async fn open(database: &TestDatabase) -> Box<dyn Session> {
    backend(&database.url).connect().await.unwrap()
}

async fn fresh(hint: &str) -> Option<(TestDatabase, Box<dyn Session>)> {
    let database = fresh_postgres(hint)?;
    let session = open(&database).await;
    Some((database, session))
}

async fn run(session: &mut Box<dyn Session>, sql: &str) -> Outcome {
    session.run(sql, None).await.unwrap()
}

/// The only value of the only row.
pub(crate) async fn value(session: &mut Box<dyn Session>, sql: &str) -> String {
    let rows = session.query(sql).await.unwrap();
    rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
}

async fn fails(session: &mut Box<dyn Session>, sql: &str) -> DbError {
    session.run(sql, None).await.unwrap_err()
}

#[tokio::test]
async fn statements_count_their_rows() {
    let Some((_database, mut session)) = fresh("pg_rows").await else { return };
    for (sql, want) in [
        ("CREATE TABLE t (a int PRIMARY KEY, b text)", None),
        ("INSERT INTO t VALUES (1, 'x'), (2, NULL)", Some(2)),
        ("UPDATE t SET b = 'y' WHERE a = 9", Some(0)),
        ("UPDATE t SET b = 'y' RETURNING a", Some(2)),
        ("SELECT * FROM t", None),
        ("WITH n AS (SELECT 3 AS a) SELECT * FROM n", None),
        ("WITH n AS (SELECT 3 AS a) INSERT INTO t SELECT a FROM n", Some(1)),
        ("CREATE TABLE u AS SELECT * FROM t", Some(3)),
        ("/* old */ DELETE FROM t WHERE a = 3", Some(1)),
        ("COPY t TO STDOUT", None),
        ("VACUUM t", None),
        ("-- nothing", None),
    ] {
        assert_eq!(run(&mut session, sql).await.rows_affected, want, "{sql}");
    }
    let rows = session.query("SELECT a, b, NULL, 1.50, 'é😀' FROM t ORDER BY a").await.unwrap();
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(rows[0], [text("1"), text("y"), None, text("1.50"), text("é😀")]);
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn a_query_gives_the_rows_of_the_last_statement_that_has_rows() {
    let Some((_database, mut session)) = fresh("pg_last").await else { return };
    let sql = "SELECT 1; CREATE TABLE t (a int); SELECT 2, 3; INSERT INTO t VALUES (1)";
    let rows = session.query(sql).await.unwrap();
    assert_eq!(rows, [[Some("2".to_owned()), Some("3".to_owned())]]);
    assert!(session.query("SELECT 1; SELECT 2 WHERE false").await.unwrap().is_empty());
    session.batch("").await.unwrap();
}

#[tokio::test]
async fn many_rows_are_not_kept() {
    let Some((_database, mut session)) = fresh("pg_stream").await else { return };
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 300000)";
    assert_eq!(run(&mut session, sql).await, Outcome::default());
}

#[tokio::test]
async fn notices_come_with_their_statement() {
    let Some((_database, mut session)) = fresh("pg_notices").await else { return };
    // What our own statements are told does not count.
    session.batch("DROP TABLE IF EXISTS nothing").await.unwrap();
    assert!(run(&mut session, "SELECT 1").await.notices.is_empty());
    let two = "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING HINT = 'look'; END $$";
    let notices = run(&mut session, two).await.notices;
    let lines: Vec<_> = notices.iter().map(|n| (n.severity.as_str(), n.message.as_str())).collect();
    assert_eq!(lines, [("NOTICE", "one"), ("WARNING", "two (hint: look)")]);
    assert_eq!(notices[1].code.as_deref(), Some("01000"));
    run(&mut session, "CREATE TABLE a (id int PRIMARY KEY)").await;
    run(&mut session, "CREATE VIEW b AS SELECT * FROM a").await;
    let notices = run(&mut session, "DROP TABLE a CASCADE").await.notices;
    assert_eq!(notices[0].message, "drop cascades to view b");
    let long = format!("CREATE TABLE {} (a int)", "n".repeat(70));
    assert_eq!(run(&mut session, &long).await.notices[0].code.as_deref(), Some("42622"));
    assert!(run(&mut session, "SELECT 1").await.notices.is_empty());
    // Those of a loop are counted, not kept.
    let loops = "DO $$ BEGIN FOR i IN 1..3000 LOOP RAISE NOTICE '%', i; END LOOP; END $$";
    let notices = run(&mut session, loops).await.notices;
    assert_eq!(notices.len(), 1001);
    assert_eq!(notices[1000].message, "2000 further messages are not shown");
}

#[tokio::test]
async fn copied_rows_follow_their_statement() {
    let Some((database, mut session)) = fresh("pg_copy").await else { return };
    run(&mut session, "CREATE TABLE t (a int PRIMARY KEY, b text)").await;
    let copy = "-- rows\nCOPY t (a, b) FROM stdin;";
    let rows: String = (0..60_000).map(|n| format!("{n}\trow é {n}\n")).collect();
    assert!(rows.len() > 3 * 256 * 1024);
    let outcome = session.run(copy, Some(&rows)).await.unwrap();
    assert_eq!(outcome.rows_affected, Some(60_000));
    assert_eq!(database.query("SELECT count(*), max(b) FROM t;"), "60000|row é 9999");
    // No rows at all, and the connection is still good.
    assert_eq!(session.run(copy, None).await.unwrap().rows_affected, Some(0));
    let bad = format!("90000\tfine\nnonsense\tx\n{rows}");
    let error = session.run(copy, Some(&bad)).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("22P02"));
    assert!(error.detail.unwrap().contains("line 2, column a"));
    assert_eq!(value(&mut session, "SELECT count(*) FROM t").await, "60000");
    let error = session.run("COPY t (a, nope) FROM stdin", Some("1\t2\n")).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("42703"));
    assert_eq!(value(&mut session, "SELECT count(*) FROM pg_prepared_statements").await, "0");
}

#[tokio::test]
async fn a_session_is_as_new_after_a_reset() {
    let Some((_database, mut session)) = fresh("pg_reset").await else { return };
    let dirty = "SET search_path = pg_catalog; SET lock_timeout = 77; CREATE TEMP TABLE x (a int); \
                 SELECT pg_advisory_lock(5)";
    let clean = "SELECT current_setting('search_path') || current_setting('lock_timeout') || \
                 (to_regclass('pg_temp.x') IS NULL) || (SELECT count(*) FROM pg_locks \
                 WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
    let want = "\"$user\", public0true0";
    assert_eq!(value(&mut session, clean).await, want);
    session.batch(dirty).await.unwrap();
    session.reset().await.unwrap();
    assert_eq!(value(&mut session, clean).await, want);
    let reset = session.reset_in_transaction().unwrap();
    let in_transaction = format!("BEGIN; {dirty}; {reset}");
    session.batch(&in_transaction).await.unwrap();
    assert_eq!(value(&mut session, clean).await, want);
    session.batch("COMMIT").await.unwrap();
    assert_eq!(value(&mut session, clean).await, want);
    assert_eq!(session.in_transaction(), None);
}
