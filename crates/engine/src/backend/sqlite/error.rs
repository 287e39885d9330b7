//! SQLite's result codes as the engine's kinds of trouble.

use rusqlite::ErrorCode;

use crate::backend::{DbError, DbErrorKind};

/// Turns an error of the library into ours, with the extended result code's name.
pub(super) fn from_rusqlite(error: rusqlite::Error) -> DbError {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let mut out = DbError::new(
                kind_of(failure.code),
                message.unwrap_or_else(|| rusqlite::ffi::code_to_str(failure.extended_code).into()),
            );
            out.code = Some(code_name(failure.extended_code));
            out
        }
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            let mut out = DbError::new(kind_of(error.code), msg);
            out.code = Some(code_name(error.extended_code));
            out.offset = usize::try_from(offset).ok();
            out
        }
        other => DbError::new(DbErrorKind::Statement, other.to_string()),
    }
}

fn kind_of(code: ErrorCode) -> DbErrorKind {
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => DbErrorKind::Locked,
        ErrorCode::OperationInterrupted => DbErrorKind::Timeout,
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase => DbErrorKind::Storage,
        ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthorizationForStatementDenied => DbErrorKind::Permission,
        ErrorCode::CannotOpen => DbErrorKind::Connection,
        _ => DbErrorKind::Statement,
    }
}

/// The name that SQLite's documentation uses for the primary code, with the extended code's number
/// where it says more.
fn code_name(extended: i32) -> String {
    const NAMES: [&str; 27] = [
        "SQLITE_OK",
        "SQLITE_ERROR",
        "SQLITE_INTERNAL",
        "SQLITE_PERM",
        "SQLITE_ABORT",
        "SQLITE_BUSY",
        "SQLITE_LOCKED",
        "SQLITE_NOMEM",
        "SQLITE_READONLY",
        "SQLITE_INTERRUPT",
        "SQLITE_IOERR",
        "SQLITE_CORRUPT",
        "SQLITE_NOTFOUND",
        "SQLITE_FULL",
        "SQLITE_CANTOPEN",
        "SQLITE_PROTOCOL",
        "SQLITE_EMPTY",
        "SQLITE_SCHEMA",
        "SQLITE_TOOBIG",
        "SQLITE_CONSTRAINT",
        "SQLITE_MISMATCH",
        "SQLITE_MISUSE",
        "SQLITE_NOLFS",
        "SQLITE_AUTH",
        "SQLITE_FORMAT",
        "SQLITE_RANGE",
        "SQLITE_NOTADB",
    ];
    let primary = usize::try_from(extended & 0xff).unwrap_or(0);
    let name = NAMES.get(primary).copied().unwrap_or("SQLITE_ERROR");
    if extended > 0xff { format!("{name} {extended}") } else { name.to_owned() }
}
