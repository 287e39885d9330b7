//! PostgreSQL: a database takes the name of another one, which is kept under a third name.
//!
//! The session that holds the locks is the last one in the old database. It ends while another one
//! is about to rename: from then on until the end of that transaction nobody can connect, and if
//! the process dies, the transaction is gone and everything is as it was.

use std::time::{Duration, Instant};

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use super::postgres;
use crate::backend::Session;
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::{rollback, text};

/// How often all tables are tried to be locked.
const LOCK_TRIES_MAX: u32 = 10;
/// How long a lock is waited for at least, in milliseconds: an autovacuum gives way after
/// `deadlock_timeout`, which is one second.
const LOCK_MS_MIN: u64 = 2_000;
/// How long the others are given to end: `ALTER DATABASE ... RENAME` waits 5 seconds for them.
const CLEAR_MAX: Duration = Duration::from_secs(4);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the rename waits for sessions that are just connecting, in milliseconds.
const RENAME_LOCK_MS: u32 = 4_000;

/// Why this database cannot be renamed by us, each as a query that returns no row where it can, and
/// what is then said before and behind the first value.
const REFUSALS: [(&str, &str, &str); 8] = [
    (
        "SELECT datname FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database() \
         AND (datistemplate OR datname IN ('postgres', 'template0', 'template1'))",
        "The database `",
        "` is one that the server itself needs, and keeps its name; restore into another one with \
         `--to`, and let the application use that",
    ),
    (
        "SELECT current_user FROM pg_catalog.pg_roles WHERE rolname = current_user \
         AND NOT rolsuper AND NOT rolcreatedb",
        "The role `",
        "` may not make or rename databases; a superuser can let it: `ALTER ROLE ... CREATEDB`",
    ),
    (
        "SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database \
         WHERE datname = pg_catalog.current_database() \
         AND NOT pg_catalog.pg_has_role(datdba, 'USAGE')",
        "Only its owner may rename the database: connect as `",
        "`, or as a role that has been granted it",
    ),
    (
        "SELECT pg_catalog.string_agg(DISTINCT a.usename, '`, `') \
         FROM pg_catalog.pg_stat_activity a \
         JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid, pg_catalog.pg_roles me \
         WHERE me.rolname = current_user AND a.datname = pg_catalog.current_database() \
         AND a.pid <> pg_catalog.pg_backend_pid() AND NOT me.rolsuper \
         AND (r.rolsuper OR NOT (pg_catalog.pg_has_role(r.oid, 'USAGE') \
         OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))) HAVING count(*) > 0",
        "Sessions of `",
        "` are in the database, and this role may not end them; stop them, or let it: \
         `GRANT pg_signal_backend TO ...` (a superuser's only end by themselves)",
    ),
    (
        "SELECT slot_name FROM pg_catalog.pg_replication_slots \
         WHERE database = pg_catalog.current_database() LIMIT 1",
        "The replication slot `",
        "` belongs to the database and would follow the one that is replaced; drop it first",
    ),
    (
        "SELECT gid FROM pg_catalog.pg_prepared_xacts \
         WHERE database = pg_catalog.current_database() LIMIT 1",
        "The prepared transaction `",
        "` is open; end it first with `COMMIT PREPARED` or `ROLLBACK PREPARED`",
    ),
    (
        "SELECT count(*) FROM pg_catalog.pg_subscription WHERE subdbid = (SELECT oid \
         FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         HAVING count(*) > 0",
        "The database has subscriptions (",
        "), which no backup holds; drop them first, and make them again afterwards",
    ),
    (
        "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0",
        "The database has large objects (",
        "), which no backup holds; restore into another one with `--to`, and bring them there",
    ),
];

/// What is renamed.
pub(crate) struct Swap<'a> {
    /// The name that the application knows.
    pub(crate) name: &'a str,
    /// Under which name the old database is kept.
    pub(crate) kept: &'a str,
    /// The database that takes the place.
    pub(crate) made: &'a str,
    /// What is then said to the server about the new one, in the same transaction.
    pub(crate) then: &'a [String],
    /// The tables that are locked.
    pub(crate) locked: &'a [String],
}

/// Refuses a database that this role cannot rename, or must not.
pub(crate) async fn refuse(session: &mut dyn Session) -> Result<(), EngineError> {
    if let Some(reason) = session.facts().await?.pooled {
        let message = format!(
            "A restore in place needs the server itself, and this is a pooler: {reason}; name the \
             server's own address"
        );
        return Err(EngineError::Refused(message));
    }
    for (sql, before, behind) in REFUSALS {
        if let Some(row) = session.query(sql).await?.first() {
            return Err(EngineError::Refused(format!("{before}{}{behind}", text(row, 0))));
        }
    }
    Ok(())
}

/// Locks all tables against everybody who writes, until the end of the session; their names.
/// Readers may go on.
pub(crate) async fn lock(
    session: &mut dyn Session,
    lock_timeout_ms: u64,
) -> Result<Vec<String>, EngineError> {
    let wait_ms = lock_timeout_ms.clamp(LOCK_MS_MIN, i32::MAX.unsigned_abs().into());
    let mut tries = 0;
    loop {
        let names = names(session).await?;
        let tables: Vec<String> = names.iter().map(|name| format!("ONLY {name}")).collect();
        let mut sql = format!(
            "BEGIN; SET LOCAL lock_timeout = {wait_ms}; SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0"
        );
        if !tables.is_empty() {
            sql.push_str(&format!("; LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", ")));
        }
        match session.batch(&sql).await {
            Ok(()) => return Ok(names),
            Err(error) => {
                rollback(session).await;
                tries += 1;
                if !error.is_transient() || tries >= LOCK_TRIES_MAX {
                    return Err(error.into());
                }
            }
        }
        tokio::time::sleep(crate::jitter::between_ms(50, 300)).await;
    }
}

async fn names(session: &mut dyn Session) -> Result<Vec<String>, EngineError> {
    let tables = postgres::tables(session).await?;
    Ok(tables.iter().map(|table| postgres::ident(&table.rows)).collect())
}

/// Renames. `own` is the session that holds the locks, `admin` one in another database.
///
/// # Errors
/// Then nothing was renamed, unless the connection was lost while it was committed.
pub(crate) async fn swap(
    admin: &mut dyn Session,
    own: Box<dyn Session>,
    swap: &Swap<'_>,
) -> Result<(), EngineError> {
    let rename = |from, to| format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to));
    let begin = format!(
        "BEGIN; SET LOCAL lock_timeout = {RENAME_LOCK_MS}; SET LOCAL statement_timeout = 0; {}",
        rename(swap.name, swap.kept)
    );
    let (renamed, cleared) = tokio::join!(admin.batch(&begin), clear(own, swap.locked));
    let result = async {
        cleared?;
        renamed?;
        failpoint::pass("in_place.renamed");
        admin.batch(&rename(swap.made, swap.name)).await?;
        for statement in swap.then {
            admin.batch(statement).await?;
        }
        failpoint::pass("in_place.before_commit");
        Ok::<(), EngineError>(admin.batch("COMMIT").await?)
    };
    let result = result.await;
    if result.is_err() {
        rollback(admin).await;
    }
    result
}

/// Ends all other sessions of the database, once nobody can connect to it any more, and then this
/// one. What they had not committed is rolled back; of the tables that are locked it is nothing.
async fn clear(mut own: Box<dyn Session>, locked: &[String]) -> Result<(), EngineError> {
    let began = Instant::now();
    loop {
        // What is known of the others else stays the same until the end of the transaction.
        own.query("SELECT pg_catalog.pg_stat_clear_snapshot()").await?;
        if own.query(IS_CLOSED).await?.is_empty() {
            wait(began, "Somebody else is changing the database").await?;
            continue;
        }
        let others = own.query(END_OTHERS).await?;
        if others.is_empty() {
            break;
        }
        wait(began, "Others do not leave the database").await?;
    }
    if names(own.as_mut()).await? != locked {
        let message = "Somebody has made or removed tables meanwhile; nothing was done, try again";
        return Err(EngineError::Refused(message.to_owned()));
    }
    failpoint::pass("in_place.alone");
    Ok(())
}

async fn wait(began: Instant, message: &str) -> Result<(), EngineError> {
    if began.elapsed() >= CLEAR_MAX {
        let message = format!("{message}; nothing was done, try again");
        return Err(EngineError::Refused(message));
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}

/// A row when somebody is about to rename the database, so that nobody can connect to it.
const IS_CLOSED: &str = "SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'object' \
    AND classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND objid = (SELECT oid \
    FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
    AND mode = 'AccessExclusiveLock' AND granted";

/// Ends the other sessions; a row for each that is there. An autovacuum is ended by the rename.
const END_OTHERS: &str = "SELECT pg_catalog.pg_terminate_backend(pid) \
    FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() \
    AND pid <> pg_catalog.pg_backend_pid() AND backend_type <> 'autovacuum worker'";

fn quoted(name: &str) -> String {
    quote_ident(name, Dialect::Postgres)
}
