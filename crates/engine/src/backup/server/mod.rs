//! Backups of databases that are servers: the schema by their own dump programs, the rows by our
//! own connections, all from one picture of the database.

mod after;
mod belongings;
mod compare;
mod differ;
mod exchange;
mod load;
mod mariadb;
mod partial;
mod postgres;
mod programs;
mod restore;
mod rows;
mod save;
mod swap;

use whimbrel_core::sql::dialect::Dialect;

pub(crate) use self::differ::lost_between;
pub(crate) use self::exchange::{Exchange, refuse_exchange, replacing};
pub(crate) use self::restore::interrupted;
pub(crate) use self::save::{AS_ASKED, away};
pub(crate) use self::swap::{Swap, lock, refuse, swap};
use super::{Archive, BackupPlace, OpenWith, RestoreOptions, Sealer, Writer};
use crate::backend::{Backend, Session};
use crate::error::EngineError;
use crate::ledger::Ledger;

/// The part with what must be there before the rows.
const BEFORE: &str = "schema-before";
/// The part with the statements that set sequences.
const SEQUENCES: &str = "sequences";
/// The part with what comes after the rows: indexes, keys, triggers.
const AFTER: &str = "schema-after";
/// The part with MariaDB's events, which would run while others are still being restored.
const EVENTS: &str = "events";
/// By which name large objects are left out.
const LARGE_OBJECTS: &str = "large-objects";

/// What is in a database besides tables and what the dump program saves.
#[derive(Debug, Default)]
struct Seen {
    /// Not saved unless somebody says that it may be left out; by name.
    refused: Vec<String>,
    /// Not saved, in words.
    left_out: Vec<String>,
}

/// The kind of database in a manifest; `None` for one that is a file.
pub(crate) fn server_engine(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Sqlite => None,
        Dialect::Postgres => Some("postgres"),
        Dialect::Mysql => Some("mariadb"),
    }
}

/// A server that is saved, or that a backup is restored to.
pub(crate) struct ServerSide<'a> {
    pub(crate) backend: &'a dyn Backend,
    pub(crate) ledger: Ledger,
    pub(crate) place: &'a BackupPlace,
    /// How long a lock is waited for, in milliseconds.
    pub(crate) lock_timeout_ms: u64,
}

impl ServerSide<'_> {
    fn dialect(&self) -> Dialect {
        self.ledger.dialect
    }

    /// The database's name, which only the address can say.
    fn database(&self) -> Result<&str, EngineError> {
        self.backend.database().ok_or_else(|| {
            EngineError::Refused(format!("{} names no database", self.backend.label()))
        })
    }

    fn access(&self) -> Result<crate::backend::ProgramAccess, EngineError> {
        self.backend.program_access().map_err(EngineError::Refused)
    }
}

/// Which dump program would save the database of `session`; `None` for one that is a file.
///
/// # Errors
/// When none fits, or the server does not answer.
pub(crate) async fn dump_program(
    session: &mut dyn Session,
    dialect: Dialect,
) -> Result<Option<String>, EngineError> {
    let program = match dialect {
        Dialect::Sqlite => return Ok(None),
        Dialect::Postgres => programs::postgres("pg_dump", postgres::major(session).await?).await,
        Dialect::Mysql => programs::mariadb(["mariadb-dump", "mysqldump"]).await,
    };
    program.map(|program| Some(program.shown()))
}

/// Whether one of the last lines of a text is `line`, or begins with it.
fn ends_with_line(text: &[u8], line: &str) -> bool {
    /// Lines that may follow the one that is looked for.
    const LINES_AFTER: usize = 8;
    let mut lines = text.rsplit(|byte| *byte == b'\n');
    lines.by_ref().take(LINES_AFTER).any(|one| one.starts_with(line.as_bytes()))
}
