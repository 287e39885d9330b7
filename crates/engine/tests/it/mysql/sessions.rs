//! Connecting, and other sessions: ending them, and seeing who blocks whom.

use std::time::{Duration, Instant};

use super::*;

/// A query that runs for minutes.
const ENDLESS: &str = "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_10000 b";

/// An account of its own with all rights, dropped at the end.
struct Administrator<'a> {
    database: &'a TestDatabase,
    name: String,
}

impl<'a> Administrator<'a> {
    fn new(database: &'a TestDatabase) -> Self {
        let name = format!("adm_{}", std::process::id() as u64 * 1000 + line_number());
        database.admin(&format!(
            "CREATE OR REPLACE USER {name}@'%' IDENTIFIED BY 'a:b/c@d%e f'; \
             GRANT ALL PRIVILEGES ON *.* TO {name}@'%';"
        ));
        Administrator { database, name }
    }

    fn url(&self) -> String {
        let (_, place) = self.database.url.rsplit_once('@').unwrap();
        format!("mysql://{}:a%3Ab%2Fc%40d%25e%20f@{place}", self.name)
    }
}

impl Drop for Administrator<'_> {
    fn drop(&mut self) {
        let _ = self.database.admin(&format!("DROP USER {}@'%';", self.name));
    }
}

fn line_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

async fn session_name(session: &mut dyn Session) -> String {
    session.facts().await.unwrap().session.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_fails_says_why_without_the_password() {
    let Some(database) = fresh_mariadb("my_connect") else { return };
    let (_, place) = database.url.rsplit_once('@').unwrap();
    let (server, _) = place.split_once('/').unwrap();
    for (url, kind, word) in [
        (format!("mysql://{}:s3cr%20et@{place}", user(&database)), DbErrorKind::Permission, "1045"),
        (database.url.replace(&database.name, "whimbrel_none"), DbErrorKind::Statement, "1049"),
        (database.url.replace(&database.name, "sys"), DbErrorKind::Permission, "1044"),
        (format!("mysql://u:s3cr%20et@{server}"), DbErrorKind::Statement, "names no database"),
        ("mysql://u:s3cr%20et@127.0.0.1:1/x".to_owned(), DbErrorKind::Connection, "refused"),
        (
            "mysql://u:s3cr%20et@h/x?socket=/nowhere.sock".to_owned(),
            DbErrorKind::Connection,
            "No such file",
        ),
        (format!("mysql://u:s3cr%20et@{place}?ssl-mode=required"), DbErrorKind::Connection, "TLS"),
    ] {
        let backend = backend(&url);
        let Err(error) = backend.connect().await else { panic!("{url}") };
        let text = format!("{error} {error:?} {} {backend:?}", backend.label());
        assert_eq!(error.kind, kind, "{text}");
        assert!(text.contains(word), "{text}");
        assert!(error.hint.is_some(), "{text}");
        assert!(!text.contains("s3cr"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_does_not_answer_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let began = Instant::now();
    let backend = backend(&format!("mysql://u:p@127.0.0.1:{port}/x?connect-timeout=1"));
    let Err(error) = backend.connect().await else { panic!("connected") };
    assert_eq!(error.kind, DbErrorKind::Connection);
    assert!(error.message.contains("within 1 s"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn facts_name_server_session_and_settings() {
    let Some((database, mut session)) = fresh("my_facts").await else { return };
    let facts = session.facts().await.unwrap();
    assert!(facts.version.contains("MariaDB"), "{facts:?}");
    assert_eq!(facts.database, database.name);
    assert!(facts.user.unwrap().starts_with(&format!("{}@", user(&database))));
    let of = |name: &str| {
        let found = facts.settings.iter().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("{name}: {:?}", facts.settings)).1.clone()
    };
    assert!(of("sql_mode").contains("STRICT_TRANS_TABLES"));
    assert_eq!(of("strict"), "yes, for transactional tables");
    assert_eq!(of("tls"), "not encrypted");
    assert!(of("grants").contains("ALL PRIVILEGES ON `whimbrel%`.*"), "{}", of("grants"));
    assert!(!of("grants").contains("IDENTIFIED"), "{}", of("grants"));
    let clock: i64 = of("clock").split(' ').next().unwrap().parse().unwrap();
    assert!(clock.abs() < 1_000, "{}", of("clock"));
    // The start of the server is the same for all its sessions.
    let own = facts.session.unwrap();
    let other = session_name(open(&database).await.as_mut()).await;
    assert_ne!(own, other);
    assert_eq!(own.split_once('/').unwrap().1, other.split_once('/').unwrap().1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_is_ended_and_the_callers_transaction_goes_on() {
    let Some((database, mut session)) = fresh("my_end").await else { return };
    let session = session.as_mut();
    session
        .batch("CREATE TABLE t (a int); CREATE TABLE u (a int); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let mut other = open(&database).await;
    let name = session_name(other.as_mut()).await;
    other.batch("START TRANSACTION; UPDATE t SET a = 2").await.unwrap();
    let running = tokio::spawn(async move {
        let error = other.run(ENDLESS, None).await.unwrap_err();
        (error, other.in_transaction())
    });
    tokio::time::sleep(Duration::from_millis(300)).await;

    session.batch("START TRANSACTION; INSERT INTO u VALUES (10)").await.unwrap();
    let began = Instant::now();
    assert!(session.end_session(&name).await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(session.in_transaction(), Some(true));
    session.batch("ROLLBACK").await.unwrap();
    let left = "SELECT (SELECT group_concat(a) FROM t), (SELECT count(*) FROM u)";
    let left = session.query(left).await.unwrap();
    assert_eq!(left[0], [Some("1".to_owned()), Some("0".to_owned())], "nobody committed");
    let (error, in_transaction) = running.await.unwrap();
    assert_eq!((error.kind, in_transaction), (DbErrorKind::Connection, None), "{error:?}");
    assert!(session.end_session(&name).await.unwrap(), "it is still gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_of_another_start_or_account_is_left_alone() {
    let Some((database, mut session)) = fresh("my_end2").await else { return };
    let session = session.as_mut();
    let mut other = open(&database).await;
    let name = session_name(other.as_mut()).await;
    let parts: Vec<&str> = name.split('/').collect();
    let earlier: u64 = parts[1].parse::<u64>().unwrap() - 100;
    let before_restart = format!("{}/{earlier}/{}", parts[0], parts[2]);
    assert!(session.end_session(&before_restart).await.unwrap(), "gone with its server");
    assert_eq!(value(other.as_mut(), "SELECT 1").await, "1", "the one of the same number lives");
    assert!(!session.end_session("nonsense").await.unwrap());

    let administrator = Administrator::new(&database);
    let mut foreign = backend(&administrator.url()).connect().await.unwrap();
    let name = session_name(foreign.as_mut()).await;
    assert!(!session.end_session(&name).await.unwrap(), "not ours to end");
    assert_eq!(value(foreign.as_mut(), "SELECT 1").await, "1");
    // The other way round is allowed.
    let own = session_name(session).await;
    assert!(foreign.end_session(&own).await.unwrap());
    let error = session.query("SELECT 1").await.unwrap_err();
    assert_eq!((error.kind, session.in_transaction()), (DbErrorKind::Connection, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_holds_a_row_is_named() {
    let Some((database, mut session)) = fresh("my_rowlock").await else { return };
    let administrator = Administrator::new(&database);
    let mut watcher = backend(&administrator.url()).connect().await.unwrap();
    session
        .batch("CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 1)")
        .await
        .unwrap();
    session.batch("START TRANSACTION; UPDATE t SET b = 2 WHERE a = 1").await.unwrap();
    let holder = session_name(session.as_mut()).await;
    let mut waiter = open(&database).await;
    let name = session_name(waiter.as_mut()).await;
    assert!(watcher.blockers(&name).await.unwrap().is_empty(), "it does not wait yet");
    let waiting = tokio::spawn(async move {
        waiter.batch("SET SESSION innodb_lock_wait_timeout = 3; START TRANSACTION").await.unwrap();
        let error = waiter.run("UPDATE t SET b = 3 WHERE a = 1", None).await.unwrap_err();
        (error, waiter.in_transaction())
    });
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let found = watcher.blockers(&name).await.unwrap();
    let want = format!("connection {} ({}@", holder.split('/').next().unwrap(), user(&database));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&want) && found[0].contains("Sleep"), "{found:?}");
    let (error, in_transaction) = waiting.await.unwrap();
    assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Locked, Some("1205 HY000")));
    assert_eq!(in_transaction, Some(true), "a wait that timed out ends the statement only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_holds_a_table_is_named_or_guessed() {
    let Some((database, mut session)) = fresh("my_metalock").await else { return };
    session.batch("CREATE TABLE t (a int PRIMARY KEY)").await.unwrap();
    session.batch("START TRANSACTION; SELECT * FROM t").await.unwrap();
    let holder = session_name(session.as_mut()).await;
    let mut waiter = open(&database).await;
    let name = session_name(waiter.as_mut()).await;
    let waiting = tokio::spawn(async move {
        waiter.batch("SET SESSION lock_wait_timeout = 3").await.unwrap();
        waiter.run("ALTER TABLE t ADD COLUMN b int", None).await.unwrap_err()
    });
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let id = holder.split('/').next().unwrap();
    // Without the PROCESS privilege, and with it.
    let administrator = Administrator::new(&database);
    for url in [&database.url, &administrator.url()] {
        let mut watcher = backend(url).connect().await.unwrap();
        let found = watcher.blockers(&name).await.unwrap();
        let want = format!("connection {id} ({}@", user(&database));
        let named = |line: &String| line.contains(&want);
        assert!(found.iter().any(named), "{found:?}");
    }
    let error = waiting.await.unwrap();
    assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Locked, Some("1205 HY000")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_deadlock_is_locked_and_ends_the_transaction() {
    let Some((database, mut session)) = fresh("my_deadlock").await else { return };
    let sql = "CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 0), (2, 0)";
    session.batch(sql).await.unwrap();
    let mut other = open(&database).await;
    // The one that has changed more rows survives.
    session.batch("CREATE TABLE u (a int)").await.unwrap();
    session.batch("START TRANSACTION; INSERT INTO u SELECT seq FROM seq_1_to_100").await.unwrap();
    session.batch("UPDATE t SET b = 1 WHERE a = 1").await.unwrap();
    other.batch("START TRANSACTION; UPDATE t SET b = 2 WHERE a = 2").await.unwrap();
    let first = tokio::spawn(async move {
        session.run("UPDATE t SET b = 1 WHERE a = 2", None).await.map(|_| session)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = fails(other.as_mut(), "UPDATE t SET b = 2 WHERE a = 1").await;
    assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Locked, Some("1213 40001")));
    assert_eq!(other.in_transaction(), Some(false), "the server rolled it back");
    let session = first.await.unwrap().unwrap();
    assert_eq!(session.in_transaction(), Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn statements_that_run_too_long_or_are_not_allowed_have_their_kinds() {
    let Some((_database, mut session)) = fresh("my_kinds").await else { return };
    let session = session.as_mut();
    session.batch("SET SESSION max_statement_time = 0.2").await.unwrap();
    let error = fails(session, ENDLESS).await;
    assert_eq!((error.kind, error.code.as_deref()), (DbErrorKind::Timeout, Some("1969 70100")));
    session.batch("SET SESSION max_statement_time = 0").await.unwrap();
    for sql in ["CREATE USER nobody_x", "SELECT * FROM mysql.user", "CREATE DATABASE other_x"] {
        assert_eq!(fails(session, sql).await.kind, DbErrorKind::Permission, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reset_gives_the_role_back() {
    let Some(database) = fresh_mariadb("my_role") else { return };
    let administrator = Administrator::new(&database);
    let role = format!("{}_role", administrator.name);
    database.admin(&format!(
        "CREATE OR REPLACE ROLE {role}; GRANT {role} TO {}@'%';",
        administrator.name
    ));
    let mut session = backend(&administrator.url()).connect().await.unwrap();
    session.batch(&format!("SET ROLE {role}")).await.unwrap();
    assert_eq!(value(session.as_mut(), "SELECT CURRENT_ROLE()").await, role);
    session.reset().await.unwrap();
    assert_eq!(value(session.as_mut(), "SELECT CURRENT_ROLE()").await, "NULL");
    database.admin(&format!("DROP ROLE {role};"));
}
