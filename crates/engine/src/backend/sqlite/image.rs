//! The whole file, page by page: copied while others use it, or replaced while nobody does.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};

use super::error::from_rusqlite;
use crate::apply::StopFlag;
use crate::backend::{DbError, DbErrorKind};
use crate::failpoint;

/// Pages that are copied at once.
const PAGES: i32 = 4_096;
/// How long a lock of others is waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Copies the database of `source` into the new file `to`.
///
/// A read transaction is held on the source meanwhile. Without it the copy begins anew with each
/// commit of another connection (sqlite.org/backup.html) and never ends on a busy database.
pub(super) fn copy(source: &Connection, to: &Path, stop: &StopFlag) -> Result<(), DbError> {
    let mut target = Connection::open(to).map_err(from_rusqlite)?;
    // The copy is read once and thrown away.
    target
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        .map_err(from_rusqlite)?;
    source.execute_batch("BEGIN").map_err(from_rusqlite)?;
    let copied = source
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .and_then(|()| pages(source, &mut target, stop));
    // Nothing was written: the transaction only held what was read in its place.
    let ended = source.execute_batch("ROLLBACK");
    if !copied.map_err(from_rusqlite)? {
        let waited = WAIT_MAX.as_secs();
        let message = format!("the database stayed locked by others for {waited} s");
        return Err(DbError::new(DbErrorKind::Locked, message));
    }
    ended.map_err(from_rusqlite)?;
    target.close().map_err(|(_, error)| from_rusqlite(error))
}

/// False when others held their locks for too long.
fn pages(source: &Connection, target: &mut Connection, stop: &StopFlag) -> rusqlite::Result<bool> {
    let backup = Backup::new(source, target)?;
    let mut waiting: Option<Instant> = None;
    loop {
        if stop.is_set() {
            let interrupted = ffi::Error::new(ffi::SQLITE_INTERRUPT);
            return Err(rusqlite::Error::SqliteFailure(interrupted, None));
        }
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(true),
            StepResult::Busy | StepResult::Locked => {
                if waiting.get_or_insert_with(Instant::now).elapsed() > WAIT_MAX {
                    return Ok(false);
                }
                std::thread::sleep(crate::jitter::between_ms(5, 50));
            }
            // `StepResult` may grow.
            _ => waiting = None,
        }
    }
}

/// Takes the file for this connection alone, until it is closed.
///
/// In WAL mode that needs all others to be closed, also those that do nothing; with a rollback
/// journal an idle connection holds no lock (sqlite.org/pragma.html#pragma_locking_mode).
pub(super) fn lock_out_others(connection: &Connection) -> Result<(), DbError> {
    connection
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
        .map_err(from_rusqlite)
}

/// Writes the database in the file `by` over that of `target`, in one transaction of SQLite's own:
/// its rollback journal, or the WAL, brings the old one back after a crash.
pub(super) fn replace(target: &mut Connection, by: &Path) -> Result<(), DbError> {
    let source = Connection::open_with_flags(by, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let source = source.map_err(from_rusqlite)?;
    let number = |connection: &Connection| -> rusqlite::Result<i64> {
        connection.query_row("PRAGMA page_size", [], |row| row.get(0))
    };
    if number(&source).map_err(from_rusqlite)? != number(target).map_err(from_rusqlite)? {
        // The size of a page cannot change through the WAL; without one the mode stays as it is.
        target.execute_batch("PRAGMA journal_mode = DELETE").map_err(from_rusqlite)?;
    }
    let backup = Backup::new(&source, target).map_err(from_rusqlite)?;
    loop {
        match backup.step(PAGES).map_err(from_rusqlite)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => {
                let message = "another process has the database open";
                return Err(DbError::new(DbErrorKind::Locked, message));
            }
            // `StepResult` may grow.
            _ => failpoint::pass("in_place.pages"),
        }
    }
}
