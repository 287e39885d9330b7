//! What is reported when something goes wrong, and where it points.

use whimbrel_engine::backend::{Backend, DbErrorKind};
use whimbrel_testkit::servers::PASSWORD;

use super::{backend, fails, fresh, open, run, value};

/// The text behind the place that the error points at.
fn pointed(sql: &str, offset: Option<usize>) -> &str {
    &sql[offset.unwrap()..]
}

#[tokio::test]
async fn errors_point_into_the_statement() {
    let Some((_database, mut session)) = fresh("pg_offsets").await else { return };
    let sql = "SELECT 'é😀ü', nonsense FROM pg_class";
    let error = fails(&mut session, sql).await;
    assert_eq!(pointed(sql, error.offset), "nonsense FROM pg_class");
    assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Statement, Some("42703")));
    let sql = "CREATE TABLE é (a int,, b int)";
    assert_eq!(pointed(sql, fails(&mut session, sql).await.offset), ", b int)");
    let sql = "SELECT (1";
    assert_eq!(pointed(sql, fails(&mut session, sql).await.offset), "");
    let sql = "SELECT count(*) FROM pg_class WHERE relnam = 'é'";
    let error = fails(&mut session, sql).await;
    assert_eq!(pointed(sql, error.offset), "relnam = 'é'");
    assert!(error.hint.unwrap().contains("pg_class.relname"));
    // Inside the body of a DO block.
    let sql = "DO $$ BEGIN /* é */ PERFORM nothing(1); END $$";
    let error = fails(&mut session, sql).await;
    assert_eq!(error.code.as_deref(), Some("42883"));
    assert!(error.detail.unwrap().contains("line 1 at PERFORM"));
    let sql = "DO $$ BEGIN /* é */ SELEKT 1; END $$";
    let error = fails(&mut session, sql).await;
    assert_eq!(pointed(sql, error.offset), "SELEKT 1; END $$");
}

#[tokio::test]
async fn errors_have_their_kinds() {
    let Some((database, mut session)) = fresh("pg_kinds").await else { return };
    run(&mut session, "CREATE TABLE t (a int PRIMARY KEY)").await;
    run(&mut session, "INSERT INTO t VALUES (1)").await;
    let error = fails(&mut session, "INSERT INTO t VALUES (1)").await;
    assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Statement, Some("23505")));
    assert_eq!(error.detail.as_deref(), Some("Key (a)=(1) already exists."));
    assert_eq!(fails(&mut session, "CREATE ROLE x SUPERUSER").await.kind, DbErrorKind::Permission);
    run(&mut session, "SET statement_timeout = 50").await;
    assert_eq!(fails(&mut session, "SELECT pg_sleep(5)").await.kind, DbErrorKind::Timeout);
    run(&mut session, "RESET statement_timeout").await;

    let mut other = open(&database).await;
    other.batch("BEGIN; LOCK TABLE t").await.unwrap();
    run(&mut session, "SET lock_timeout = 50").await;
    let error = fails(&mut session, "ALTER TABLE t ADD b int").await;
    assert_eq!(error.kind, DbErrorKind::Locked);
    assert!(error.is_transient());
    other.batch("ROLLBACK").await.unwrap();
    let error = fails(&mut session, "SELECT 1, '\0'").await;
    assert_eq!((error.kind, error.offset), (DbErrorKind::Statement, Some(11)));
    // A full table of locks is trouble of the server's, not of the statement.
    let sql = "DO $$ BEGIN RAISE SQLSTATE '53200'; END $$";
    assert_eq!(fails(&mut session, sql).await.kind, DbErrorKind::Storage);
}

#[tokio::test]
async fn a_lost_connection_says_why() {
    let Some((database, mut session)) = fresh("pg_lost").await else { return };
    let pid = value(&mut session, "SELECT pg_backend_pid()").await;
    database.admin(&format!("SELECT pg_terminate_backend({pid});"));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    for _ in 0..2 {
        let error = fails(&mut session, "SELECT 1").await;
        assert_eq!(error.kind, DbErrorKind::Connection);
        assert_eq!(error.code.as_deref(), Some("57P01"), "{error}");
        assert!(error.message.contains("administrator command"), "{error}");
    }
    // While a statement runs.
    let mut session = open(&database).await;
    let pid = value(&mut session, "SELECT pg_backend_pid()").await;
    let busy = tokio::spawn(async move { fails(&mut session, "SELECT pg_sleep(20)").await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    database.admin(&format!("SELECT pg_terminate_backend({pid});"));
    assert_eq!(busy.await.unwrap().kind, DbErrorKind::Connection);
}

#[tokio::test]
async fn mistakes_in_the_url_are_told_without_the_password() {
    let Some((database, _session)) = fresh("pg_mistakes").await else { return };
    let wrong = |from: &str, to: &str| database.url.replacen(from, to, 1);
    let port = database.url.split(['@', ':', '/']).nth(6).unwrap().to_owned();
    let name = database.name.as_str();
    for (url, code, message, hint) in [
        (wrong(PASSWORD, "secret-9%40"), Some("28P01"), "password authentication", "password"),
        (wrong(&format!("/{name}"), "/nowhere"), Some("3D000"), "does not exist", "createdb"),
        (wrong(&format!(":{port}/"), ":1/"), None, "refused", "running"),
        (wrong("127.0.0.1", "no-such-host.invalid"), None, "cannot be found", "spelling"),
        (wrong(&format!(":{PASSWORD}"), ""), None, "none was given", ""),
        ("postgres://u:secret-9@%2Fno%2Fsocket/x".to_owned(), None, "no such socket", "folder"),
        (format!("{}?options=-c%20nonsense%3D1", database.url), Some("42704"), "nonsense", ""),
    ] {
        let error = backend(&url).connect().await.err().unwrap();
        let shown = format!("{error} {error:?} {}", backend(&url).label());
        assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Connection, code), "{shown}");
        assert!(error.message.contains(message), "{shown}");
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{shown}");
        assert!(!shown.contains("secret-9") && !shown.contains(PASSWORD), "{shown}");
    }
}

#[tokio::test]
async fn hosts_are_tried_in_turn() {
    let Some((database, _session)) = fresh("pg_hosts").await else { return };
    let server = database.url.split(['@', '/']).nth(3).unwrap();
    let several = database.url.replacen(server, &format!("127.0.0.1:1,{server}"), 1);
    assert!(backend(&several).connect().await.is_ok());
    let primary = backend(&format!("{several}?target_session_attrs=primary"));
    assert!(primary.connect().await.is_ok());
    let standby = backend(&format!("{several}?target_session_attrs=prefer-standby"));
    assert!(standby.connect().await.is_ok());
    let error = backend(&format!("{several}?target_session_attrs=standby")).connect().await;
    let error = error.err().unwrap();
    assert!(
        error.message.contains("refused") && error.message.contains("not a standby"),
        "{error}"
    );
    // A listener that never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("postgres://u@{address}/x?connect_timeout=1");
    let error = backend(&url).connect().await.err().unwrap();
    assert!(error.message.contains("within 1 seconds"), "{error}");
}

#[tokio::test]
async fn a_database_without_encoding_counts_in_bytes() {
    let Some((database, mut session)) = fresh("pg_ascii").await else { return };
    let name = format!("{}_a", database.name);
    let sql = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    run(&mut session, &sql).await;
    let url = database.url.replacen(&format!("/{}", database.name), &format!("/{name}"), 1);
    let mut ascii = backend(&url).connect().await.unwrap();
    let sql = "SELECT 'é😀', nonsense";
    assert_eq!(pointed(sql, fails(&mut ascii, sql).await.offset), "nonsense");
    drop(ascii);
    run(&mut session, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
