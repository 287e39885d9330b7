//! A copy of the whole file, page by page, while others use it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use super::error::from_rusqlite;
use crate::apply::StopFlag;
use crate::backend::{DbError, DbErrorKind};

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
    source
        .execute_batch("BEGIN")
        .and_then(|()| {
            source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            pages(source, &mut target, stop)
        })
        .map_err(from_rusqlite)?
        .then_some(())
        .ok_or_else(|| {
            let waited = WAIT_MAX.as_secs();
            let message = format!("the database stayed locked by others for {waited} s");
            DbError::new(DbErrorKind::Locked, message)
        })?;
    source.execute_batch("COMMIT").map_err(from_rusqlite)?;
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
