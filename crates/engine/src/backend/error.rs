//! What a database says when something goes wrong, in one shape for all of them.

use std::fmt;

/// The kinds of trouble that the engine treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DbErrorKind {
    /// The connection could not be made or was lost: whether the last statement happened is not
    /// known.
    Connection,
    /// The database refused the statement; nothing of it stays.
    Statement,
    /// A lock was not granted in time; trying again may help.
    Locked,
    /// The statement ran longer than allowed or was cancelled.
    Timeout,
    /// The disk or a quota is full, or the file failed; the transaction may be gone.
    Storage,
    /// The account may not do this.
    Permission,
}

/// An error of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbError {
    /// How the engine treats it.
    pub kind: DbErrorKind,
    /// SQLSTATE, SQLite result code name or MariaDB error number.
    pub code: Option<String>,
    /// The database's own words.
    pub message: String,
    /// Further words of the database.
    pub detail: Option<String>,
    /// The database's own advice.
    pub hint: Option<String>,
    /// Byte offset in the statement that the error points at.
    pub offset: Option<usize>,
    /// It is the error of what was sent ahead of the statement (see `Session::ahead`).
    pub ahead: bool,
}

impl DbError {
    /// An error of `kind` with nothing but a message.
    pub fn new(kind: DbErrorKind, message: impl Into<String>) -> Self {
        DbError {
            kind,
            code: None,
            message: message.into(),
            detail: None,
            hint: None,
            offset: None,
            ahead: false,
        }
    }

    /// Whether the same step may be tried again without anybody's decision.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, DbErrorKind::Locked)
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        Ok(())
    }
}

impl std::error::Error for DbError {}
