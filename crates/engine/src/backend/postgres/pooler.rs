//! Whether a pooler that does not keep sessions lies between us and the server.
//!
//! A pooler in transaction mode gives each transaction another server session: settings, temporary
//! tables and prepared statements do not last, and a backend's pid says nothing about us. The URL
//! tells it for the known services; for all others there are two questions:
//!
//! 1. **Is there something in between?** At the start of a connection the server says its
//!    backend's pid, so that the client can cancel a statement. A pooler must put a number of its
//!    own there, as it does not know yet which server session it will use. If the number is that of
//!    `pg_backend_pid()`, we speak with the server itself (or through something that only passes
//!    bytes on). This costs no round trip, and is certain.
//! 2. If the numbers differ: **does it keep our session?** A second connection holds a transaction
//!    open while the first runs another one. Whoever shares sessions gives the session that the
//!    first has just left to the second; then two open connections name one pid, or the first one's
//!    pid changes. A few rounds make up for the traffic of others.

use whimbrel_core::database_url::{DatabaseUrl, PgUrl, PoolerMode};

use super::session::PgSession;
use crate::backend::{DbError, Session};

/// How often the two connections are compared.
const ROUNDS: usize = 5;

/// Why `session` is not kept, if it is not. `backend_pid` is what `pg_backend_pid()` says.
pub(super) async fn find(
    session: &mut PgSession,
    backend_pid: &str,
) -> Result<Option<String>, DbError> {
    if let Some(known) = session.backend.known.pooled.get() {
        return Ok(known.clone());
    }
    let found = match by_url(&session.backend.url) {
        Some(reason) => Some(reason),
        None if session.announced_pid().to_string() == backend_pid => None,
        None => by_trial(session).await?,
    };
    Ok(session.backend.known.pooled.get_or_init(|| found).clone())
}

/// The services that say it in the host's name or the port.
fn by_url(url: &PgUrl) -> Option<String> {
    let hint = DatabaseUrl::Postgres(Box::new(url.clone())).pooler_hint()?;
    if hint.mode != PoolerMode::Transaction {
        return None;
    }
    let pooler = hint.pooler;
    let mut reason =
        format!("the address is {pooler}, which gives each transaction another session");
    if let Some(direct) = hint.direct {
        reason.push_str(&format!("; the direct address is {direct}"));
    }
    Some(reason)
}

/// Holds transactions open on a second connection and compares the pids.
async fn by_trial(session: &mut PgSession) -> Result<Option<String>, DbError> {
    let mut other = session.backend.open().await?;
    let first = backend_pid(session).await?;
    for _ in 0..ROUNDS {
        other.batch("BEGIN").await?;
        let others = backend_pid(&mut other).await;
        let ours = backend_pid(session).await;
        other.batch("ROLLBACK").await?;
        let (others, ours) = (others?, ours?);
        if others == ours || others == first || ours != first {
            return Ok(Some("a pooler gives each transaction another session".to_owned()));
        }
    }
    Ok(None)
}

async fn backend_pid(session: &mut PgSession) -> Result<Option<String>, DbError> {
    let rows = session.query("SELECT pg_catalog.pg_backend_pid()").await?;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}
