//! Facts about a session, ending others, and who blocks whom.

use whimbrel_engine::backend::{Backend, Session};
use whimbrel_testkit::servers::{PASSWORD, PLAIN_ONLY_ROLE, ROLE};

use super::{backend, fresh, open, run, value};

async fn name(session: &mut Box<dyn Session>) -> String {
    session.facts().await.unwrap().session.unwrap()
}

#[tokio::test]
async fn facts_are_the_servers() {
    let Some((database, _)) = fresh("pg_facts").await else { return };
    let backend = backend(&database.url);
    let mut session = backend.connect().await.unwrap();
    let facts = session.facts().await.unwrap();
    let version = value(&mut session, "SHOW server_version").await;
    assert_eq!(facts.version, format!("PostgreSQL {version}"));
    assert_eq!(facts.database, database.name);
    assert_eq!(facts.user.as_deref(), Some(ROLE));
    assert_eq!(facts.pooled, None);
    let setting = |name: &str| {
        let found = facts.settings.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("{name}")).1.as_str()
    };
    for (name, want) in [
        ("lock_timeout", "0"),
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("default_transaction_isolation", "read committed"),
        ("server_encoding", "UTF8"),
        ("max_locks_per_transaction", "64"),
        ("superuser", "no"),
        ("may create schemas", "yes"),
        ("may create in schema public", "yes"),
        ("TLS", "off"),
    ] {
        assert_eq!(setting(name), want, "{name}");
    }
    let ahead = setting("server clock ahead of this one").trim_end_matches(" ms");
    assert!(ahead.parse::<i64>().unwrap().abs() < 200, "{ahead}");
    // The session's name does not depend on the session's time zone.
    let before = name(&mut session).await;
    run(&mut session, "SET timezone = 'Asia/Kathmandu'").await;
    assert_eq!(name(&mut session).await, before);
    assert_eq!(value(&mut session, "SHOW application_name").await, "whimbrel");
    assert!(backend.capabilities().enum_value_in_transaction);
}

#[tokio::test]
async fn another_session_of_ours_is_ended() {
    let Some((database, mut session)) = fresh("pg_end").await else { return };
    let mut other = open(&database).await;
    let text = name(&mut other).await;
    let busy = tokio::spawn(async move { other.run("SELECT pg_sleep(30)", None).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    // It is called inside the transaction that takes the lease over.
    session.batch("BEGIN").await.unwrap();
    run(&mut session, "CREATE TABLE kept (a int)").await;
    assert!(session.end_session(&text).await.unwrap());
    assert!(busy.await.unwrap().is_err());
    assert!(session.end_session(&text).await.unwrap(), "it is gone already");
    session.batch("COMMIT").await.unwrap();
    assert_eq!(value(&mut session, "SELECT count(*) FROM kept").await, "0");
}

#[tokio::test]
async fn a_reused_pid_and_our_own_session_are_left_alone() {
    let Some((database, mut session)) = fresh("pg_reused").await else { return };
    let mut other = open(&database).await;
    let (pid, _) =
        name(&mut other).await.split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(session.end_session(&format!("{pid}/2001-02-03T04:05:06.000007")).await.unwrap());
    assert_eq!(value(&mut other, "SELECT 1").await, "1");
    let own = name(&mut session).await;
    assert!(session.end_session(&own).await.unwrap());
    assert_eq!(value(&mut session, "SELECT 1").await, "1");
    for nobody in ["", "nonsense", "4000000/2001-02-03T04:05:06.000007"] {
        assert!(session.end_session(nobody).await.unwrap(), "{nobody}");
    }
}

#[tokio::test]
async fn a_session_that_may_not_be_ended_stays_and_the_transaction_too() {
    let Some((database, mut session)) = fresh("pg_forbidden").await else { return };
    let text = name(&mut session).await;
    let url = database.url.replacen(&format!("//{ROLE}:"), &format!("//{PLAIN_ONLY_ROLE}:"), 1);
    assert!(url.contains(PASSWORD));
    let mut stranger = backend(&url).connect().await.unwrap();
    stranger.batch("BEGIN").await.unwrap();
    assert!(!stranger.end_session(&text).await.unwrap());
    assert_eq!(value(&mut stranger, "SELECT 7").await, "7");
    assert_eq!(value(&mut session, "SELECT 7").await, "7");
}

#[tokio::test]
async fn blockers_are_named() {
    let Some((database, mut session)) = fresh("pg_blockers").await else { return };
    run(&mut session, "CREATE TABLE t (a int)").await;
    let mut holder = open(&database).await;
    holder.batch("BEGIN; SELECT * FROM t").await.unwrap();
    let holder_name = name(&mut holder).await;
    let mut waiter = open(&database).await;
    let waiter_name = name(&mut waiter).await;
    assert!(session.blockers(&waiter_name).await.unwrap().is_empty());
    let waiting = tokio::spawn(async move { waiter.run("ALTER TABLE t ADD b int", None).await });
    let mut found = Vec::new();
    for _ in 0..50 {
        found = session.blockers(&waiter_name).await.unwrap();
        if !found.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let pid = holder_name.split('/').next().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let start = format!("pid {pid} (user {ROLE}, whimbrel, idle in transaction since ");
    assert!(found[0].starts_with(&start), "{found:?}");
    holder.batch("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();
    assert!(session.blockers("nonsense").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_role_named_like_the_ledgers_schema_does_not_work_in_it() {
    let Some((database, _)) = fresh("pg_named").await else { return };
    database.admin(&format!(
        "DO $$ BEGIN CREATE ROLE whimbrel LOGIN PASSWORD '{PASSWORD}'; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
         CREATE SCHEMA whimbrel AUTHORIZATION whimbrel; GRANT CREATE ON SCHEMA public TO whimbrel;"
    ));
    let url = database.url.replacen(&format!("//{ROLE}:"), "//whimbrel:", 1);
    let mut session = backend(&url).connect().await.unwrap();
    assert_eq!(value(&mut session, "SELECT current_schema()").await, "public");
    session.reset().await.unwrap();
    assert_eq!(value(&mut session, "SELECT current_schema()").await, "public");
    let all = session.inspect(None).await.unwrap();
    assert_eq!(all.default_schema.as_deref(), Some("public"));
}
