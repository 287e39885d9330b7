//! What `doctor` shows and the lease keeps.

use std::time::{SystemTime, UNIX_EPOCH};

use super::others::BACKEND_START;
use super::pooler;
use super::session::{PgSession, unexpected_answer};
use crate::backend::{DbError, ServerFacts, Session};

/// Rows for `doctor`: name and expression.
const SETTINGS: &[(&str, &str)] = &[
    ("lock_timeout", "current_setting('lock_timeout', true)"),
    ("statement_timeout", "current_setting('statement_timeout', true)"),
    (
        "idle_in_transaction_session_timeout",
        "current_setting('idle_in_transaction_session_timeout', true)",
    ),
    ("default_transaction_isolation", "current_setting('default_transaction_isolation', true)"),
    ("default_transaction_read_only", "current_setting('default_transaction_read_only', true)"),
    ("search_path", "current_setting('search_path', true)"),
    ("server_encoding", "current_setting('server_encoding', true)"),
    ("max_locks_per_transaction", "current_setting('max_locks_per_transaction', true)"),
    ("standby", "CASE WHEN pg_is_in_recovery() THEN 'yes' ELSE 'no' END"),
    ("superuser", "CASE WHEN current_setting('is_superuser') = 'on' THEN 'yes' ELSE 'no' END"),
    (
        "may create schemas",
        "CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN 'yes' ELSE 'no' END",
    ),
    (
        "may create in schema public",
        "CASE WHEN to_regnamespace('public') IS NULL THEN 'there is no such schema' \
         WHEN has_schema_privilege('public', 'CREATE') THEN 'yes' ELSE 'no' END",
    ),
];

/// Columns in front of the settings.
const HEAD: usize = 6;

pub(super) async fn facts(session: &mut PgSession) -> Result<ServerFacts, DbError> {
    let expressions: Vec<&str> = SETTINGS.iter().map(|(_, expression)| *expression).collect();
    let sql = format!(
        "SELECT version(), current_database(), current_user, pg_backend_pid(), \
         (SELECT {BACKEND_START} FROM pg_catalog.pg_stat_activity a \
         WHERE a.pid = pg_backend_pid()), \
         (extract(epoch FROM clock_timestamp()) * 1000)::bigint, {}",
        expressions.join(", ")
    );
    let before_ms = now_ms();
    let rows = session.query(&sql).await?;
    let after_ms = now_ms();
    let row = rows.into_iter().next().ok_or_else(|| unexpected_answer("itself"))?;
    let text = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let names = SETTINGS.iter().enumerate();
    let mut settings: Vec<(String, String)> =
        names.map(|(index, (name, _))| ((*name).to_owned(), text(HEAD + index))).collect();
    let server_ms: i64 = text(5).parse().unwrap_or_default();
    let ahead_ms = server_ms - i64::midpoint(before_ms, after_ms);
    settings.push(("server clock ahead of this one".to_owned(), format!("{ahead_ms} ms")));
    settings.push(("TLS".to_owned(), tls(session)));
    let pid = text(3);
    let pooled = pooler::find(session, &pid).await?;
    // Behind a pooler the backend is somebody else's in the next moment.
    let named = pooled.is_none() && !text(4).is_empty();
    Ok(ServerFacts {
        version: short_version(&text(0)),
        database: text(1),
        user: Some(text(2)),
        session: named.then(|| format!("{pid}/{}", text(4))),
        pooled,
        settings,
    })
}

fn tls(session: &PgSession) -> String {
    match &session.tls {
        Some(facts) => format!("{}, {}", facts.version, facts.cipher),
        None => "off".to_owned(),
    }
}

/// `PostgreSQL 15.18 (Debian 15.18-0+deb12u1)`, without the machine and the compiler.
fn short_version(version: &str) -> String {
    version.split(" on ").next().unwrap_or(version).to_owned()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
