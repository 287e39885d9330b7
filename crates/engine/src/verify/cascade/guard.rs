//! The transaction around a proof, on each database, and where none can be made.

use whimbrel_core::ddl::ObjectName;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;

use super::NotTried;
use crate::backend::{DbError, Limits, Session};

/// How long a lock is waited for, in milliseconds.
const LOCK_MS: u64 = 2_000;
/// What ends a proof inside of a transaction.
const BACK: &str = "ROLLBACK TO SAVEPOINT whimbrel_proof; RELEASE SAVEPOINT whimbrel_proof";
/// A row without a number of its own must not use one up: that is not rolled back.
const NO_NUMBERS: &str = "SET @whimbrel_sql_mode = @@SESSION.sql_mode; \
    SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_AUTO_VALUE_ON_ZERO')";
const NUMBERS: &str = "SET SESSION sql_mode = @whimbrel_sql_mode";

/// Whether this connection enforces foreign keys at all.
pub(super) async fn enforces(
    session: &mut dyn Session,
    dialect: Dialect,
) -> Result<bool, NotTried> {
    let sql = match dialect {
        // A session that says it is a replica fires no triggers, and so follows no keys.
        Dialect::Postgres => {
            "SELECT CASE pg_catalog.current_setting('session_replication_role') \
             WHEN 'replica' THEN '0' ELSE '1' END"
        }
        Dialect::Sqlite => "PRAGMA foreign_keys",
        Dialect::Mysql => "SELECT @@SESSION.foreign_key_checks",
    };
    Ok(first(session, sql).await?.as_deref() == Some("1"))
}

/// Begins what [`end`] rolls back. Returns whether it is part of an open transaction.
pub(super) async fn begin(session: &mut dyn Session, dialect: Dialect) -> Result<bool, NotTried> {
    let words = |error: DbError| error.message;
    let nested = match dialect {
        // In a transaction or not: a savepoint begins one.
        Dialect::Sqlite => {
            session.batch("SAVEPOINT whimbrel_proof").await.map_err(words)?;
            true
        }
        // Outside of a transaction the server refuses a savepoint.
        Dialect::Postgres => session.batch("SAVEPOINT whimbrel_proof").await.is_ok(),
        Dialect::Mysql => {
            let open = session.in_transaction();
            let open = open.ok_or("nobody knows whether a transaction is open")?;
            session.batch(NO_NUMBERS).await.map_err(words)?;
            if open {
                session.batch("SAVEPOINT whimbrel_proof").await.map_err(words)?;
            }
            open
        }
    };
    if !nested {
        session.batch("BEGIN").await.map_err(words)?;
        let limits = Limits { lock_ms: Some(LOCK_MS), statement_ms: None };
        session.limit(limits, true).await.map_err(words)?;
    }
    Ok(nested)
}

/// Rolls back everything since [`begin`].
pub(super) async fn end(
    session: &mut dyn Session,
    dialect: Dialect,
    nested: bool,
) -> Result<(), NotTried> {
    let back = session.batch(if nested { BACK } else { "ROLLBACK" }).await;
    if dialect == Dialect::Mysql {
        session.batch(NUMBERS).await.map_err(|error| error.message)?;
    }
    back.map_err(|error| error.message)
}

/// Why rows of this table must not be made: they could do more than a rollback takes back. On
/// PostgreSQL the picture of the table says it.
pub(super) async fn check_table(
    session: &mut dyn Session,
    dialect: Dialect,
    table: &ObjectName,
) -> Result<(), NotTried> {
    let name = quote_text(&table.name, dialect);
    let triggers = match dialect {
        Dialect::Postgres => return Ok(()),
        Dialect::Sqlite => format!(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' \
             AND tbl_name = {name} COLLATE NOCASE"
        ),
        Dialect::Mysql => {
            if table.schema.is_some() {
                return Err(format!("{table} is in another database"));
            }
            check_rollback(session, table, &name).await?;
            format!(
                "SELECT count(*) FROM information_schema.triggers \
                 WHERE event_object_schema = DATABASE() AND event_object_table = {name}"
            )
        }
    };
    match first(session, &triggers).await?.as_deref() {
        Some("0") => Ok(()),
        _ => Err(format!("{} has triggers", table.name)),
    }
}

/// Rows must be InnoDB's, and making one must not move the counter that numbers them, which is not
/// rolled back: any number that is given, however small, moves a counter at 2 to 3 (seen on MariaDB
/// 10.11), and no other.
async fn check_rollback(
    session: &mut dyn Session,
    table: &ObjectName,
    quoted: &str,
) -> Result<(), NotTried> {
    let sql = format!(
        "SELECT CONCAT(engine, ' ', coalesce(auto_increment, 0)) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = {quoted}"
    );
    let found = first(session, &sql).await?.unwrap_or_default();
    match found.to_ascii_lowercase().split_once(' ') {
        Some(("innodb", "2")) => Err(format!("a new row of {} would use up a number", table.name)),
        Some(("innodb", _)) => Ok(()),
        _ => Err(format!("rows of {} cannot be rolled back", table.name)),
    }
}

/// The first value of the first row.
pub(super) async fn first(
    session: &mut dyn Session,
    sql: &str,
) -> Result<Option<String>, NotTried> {
    let rows = session.query(sql).await.map_err(|error| error.message)?;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}
