//! Poolers in between are found out.

use whimbrel_engine::backend::Backend;
use whimbrel_testkit::database::fresh_postgres;

use super::postgres::{backend, value};

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_found() {
    let Some(database) = fresh_postgres("pg_pooled") else { return };
    let pooled = backend(&database.pooled_url());
    let mut session = pooled.connect().await.unwrap();
    let facts = session.facts().await.unwrap();
    let reason = facts.pooled.unwrap();
    assert!(reason.contains("gives each transaction another session"), "{reason}");
    assert_eq!(facts.session, None, "the backend is not ours alone");
    assert_eq!(facts.database, database.name);
    // Nothing of the shared session is thrown away.
    session.batch("CREATE TABLE t (a int, b text)").await.unwrap();
    session.reset().await.unwrap();
    // Statements, pictures and copies work.
    let outcome = session.run("INSERT INTO t VALUES (1, 'x')", None).await.unwrap();
    assert_eq!(outcome.rows_affected, Some(1));
    session.batch("BEGIN").await.unwrap();
    let outcome = session.run("COPY t FROM stdin", Some("2\ty\n3\tz\n")).await.unwrap();
    assert_eq!(outcome.rows_affected, Some(2));
    session.batch("COMMIT").await.unwrap();
    assert_eq!(session.inspect(None).await.unwrap().tables[0].columns.len(), 2);
    assert_eq!(value(&mut session, "SELECT count(*) FROM t").await, "3");
    // Asked once, known to all connections of the backend.
    let mut second = pooled.connect().await.unwrap();
    assert!(second.facts().await.unwrap().pooled.is_some());
}

#[tokio::test]
async fn a_pooler_is_found_while_others_use_it() {
    let Some(database) = fresh_postgres("pg_busy_pool") else { return };
    let url = database.pooled_url();
    let mut others = Vec::new();
    for _ in 0..3 {
        let backend = backend(&url);
        others.push(tokio::spawn(async move {
            let mut session = backend.connect().await.unwrap();
            loop {
                let _ = session.query("SELECT pg_sleep(0.003)").await;
            }
        }));
    }
    for _ in 0..10 {
        let mut session = backend(&url).connect().await.unwrap();
        assert!(session.facts().await.unwrap().pooled.is_some());
    }
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_server_itself_is_no_pooler() {
    let Some(database) = fresh_postgres("pg_direct") else { return };
    let mut session = backend(&database.url).connect().await.unwrap();
    assert_eq!(session.facts().await.unwrap().pooled, None);
    // No second connection is needed to know it.
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    assert_eq!(value(&mut session, sql).await, "1");
}

#[tokio::test]
async fn known_services_are_told_by_their_address() {
    let Some(database) = fresh_postgres("pg_known") else { return };
    // The host's name is only looked at: `hostaddr` says where it is.
    let rest = database.url.split('@').nth(1).unwrap();
    let port = rest.split([':', '/']).nth(1).unwrap();
    let user = database.url.split('@').next().unwrap();
    let host = "ep-x-1-pooler.eu-central-1.aws.neon.tech";
    let url = format!("{user}@{host}:{port}/{}?hostaddr=127.0.0.1", database.name);
    let mut session = backend(&url).connect().await.unwrap();
    let reason = session.facts().await.unwrap().pooled.unwrap();
    assert!(reason.contains("Neon") && reason.contains("ep-x-1.eu-central-1"), "{reason}");
}
