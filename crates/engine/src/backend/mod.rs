//! The databases: one contract, one module for each.
//!
//! A backend executes what it is told and reports facts. It knows nothing of migrations, and it
//! never repeats a statement by itself: whether something may be repeated is decided after the
//! ledger was read again.

#[cfg(any(feature = "sqlite", feature = "mysql"))]
mod ahead;
mod error;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::path::Path;

use async_trait::async_trait;
use whimbrel_core::backup::RowsOf;
use whimbrel_core::capabilities::Capabilities;
use whimbrel_core::database_url::{DatabaseUrl, SqlitePath, SqliteUrl};
use whimbrel_core::ddl::{ObjectKind, ObjectName};
use whimbrel_core::secret::Secret;
use whimbrel_core::snapshot::Snapshot;

pub use error::{DbError, DbErrorKind};
pub use rows::{LoadInto, RowSink, RowStream, TextIn, TextOut};

use crate::apply::StopFlag;
use crate::error::EngineError;
use crate::project::{ProjectOptions, Target};

/// One row of a result: every value as text, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// A message that the database sent along with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, ... as the database calls it.
    pub severity: String,
    /// Its code, where it has one.
    pub code: Option<String>,
    /// Its words.
    pub message: String,
}

/// Which objects a picture is wanted of.
pub type Scope = [(ObjectKind, ObjectName)];

/// What one statement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows inserted, updated, deleted or copied; `None` where the database does not say.
    pub rows_affected: Option<u64>,
    /// Messages sent with it.
    pub notices: Vec<Notice>,
}

/// Facts about the server and this connection that `doctor` shows and the lease keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// Product and version, as the server says it.
    pub version: String,
    /// Name of the database or path of the file.
    pub database: String,
    /// Who we are there.
    pub user: Option<String>,
    /// How a later process can tell whether this connection still lives.
    pub session: Option<String>,
    /// Why this connection does not keep its session (a transaction pooler), if it does not.
    pub pooled: Option<String>,
    /// Further rows for `doctor`: name and value.
    pub settings: Vec<(String, String)>,
}

/// How long statements may wait for locks and run, in milliseconds; 0 is without end. `None` leaves
/// the limit as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For a lock.
    pub lock_ms: Option<u64>,
    /// For the statement as a whole.
    pub statement_ms: Option<u64>,
}

/// One open connection.
#[async_trait]
pub trait Session: Send {
    /// Runs one statement of the author's to its end. Rows that it returns are read and dropped.
    ///
    /// `copy_data` holds the lines of a `COPY ... FROM STDIN`.
    async fn run(&mut self, sql: &str, copy_data: Option<&str>) -> Result<Outcome, DbError>;

    /// What the database said with a statement that failed, before the error. A connection that has
    /// nothing to say beyond the error itself says nothing.
    fn said_before_error(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// Runs statements of our own, several at once. Stops at the first error.
    async fn batch(&mut self, sql: &str) -> Result<(), DbError>;

    /// Sends statements of our own ahead of what is sent next, without waiting for their answer
    /// where the database allows that. What follows must fail where they fail: in the transaction
    /// that they are part of. Their error is then that of the next call, marked by
    /// [`DbError::ahead`].
    async fn ahead(&mut self, sql: &str) -> Result<(), DbError> {
        self.batch(sql).await
    }

    /// Runs one query of our own and returns its rows.
    async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DbError>;

    /// Runs one query and returns its rows as they come, with little memory however many there are.
    async fn stream<'a>(&'a mut self, sql: &str) -> Result<Box<dyn RowStream + 'a>, DbError>;

    /// Begins to load many rows into a table, by the fastest way that the database has inside a
    /// transaction.
    async fn load<'a>(&'a mut self, into: &LoadInto) -> Result<Box<dyn RowSink + 'a>, DbError>;

    /// Reads a table's rows as lines of text, as backups keep them; only on servers.
    async fn text_out<'a>(&'a mut self, _of: &RowsOf) -> Result<Box<dyn TextOut + 'a>, DbError> {
        Err(no_text())
    }

    /// Takes what [`Session::text_out`] has given, into a table of a new database. With `fresh` the
    /// table was emptied in the same transaction.
    async fn text_in<'a>(
        &'a mut self,
        _of: &RowsOf,
        _fresh: bool,
    ) -> Result<Box<dyn TextIn + 'a>, DbError> {
        Err(no_text())
    }

    /// Whether a transaction is open, where the database can tell; SQLite ends one by itself after
    /// some errors.
    fn in_transaction(&self) -> Option<bool>;

    /// Whether it is certain that no other process has the database open just now.
    fn is_alone(&self) -> bool {
        false
    }

    /// The live picture of the named objects, or of all when `scope` is `None`.
    ///
    /// A table comes with its columns, constraints and indexes (SQLite: its triggers only when they
    /// are asked for by name); an index or trigger comes with its table. An object that is not
    /// there is left out. Names of the kinds table, view and sequence are looked up among all three
    /// (`ALTER TABLE` also renames views). The ledger's own tables are never part of it.
    async fn inspect(&mut self, scope: Option<&Scope>) -> Result<Snapshot, DbError>;

    /// Puts the session's settings back to what they were when it began. Not inside a transaction.
    async fn reset(&mut self) -> Result<(), DbError>;

    /// The same as [`Session::reset`] as far as a transaction allows: statements to run inside it.
    fn reset_in_transaction(&self) -> Option<&'static str>;

    /// Bounds the statements that follow: until the open transaction ends where `local` is asked
    /// for and the database can (PostgreSQL), else until it is said again.
    async fn limit(&mut self, limits: Limits, local: bool) -> Result<(), DbError>;

    /// What [`Session::limit`] sends for the open transaction, as text, where it may be a part of a
    /// longer message.
    fn limit_text(&self, _limits: Limits) -> Option<String> {
        None
    }

    /// The limits in force, where they are worth being put back after a statement outside of any
    /// transaction.
    async fn limits(&mut self) -> Result<Limits, DbError> {
        Ok(Limits::default())
    }

    /// Facts about the server and this connection.
    async fn facts(&mut self) -> Result<ServerFacts, DbError>;

    /// Foreign-key violations as `table: count`, where the database does not enforce the keys by
    /// itself at commit.
    async fn foreign_key_violations(&mut self) -> Result<Vec<ForeignKeyViolation>, DbError>;

    /// Ends another session of ours that may still be running a statement, given the text that
    /// [`ServerFacts::session`] held. Returns whether it is gone now.
    async fn end_session(&mut self, session: &str) -> Result<bool, DbError>;

    /// Who holds the locks that `session` waits for, in words; empty when it does not wait.
    async fn blockers(&mut self, session: &str) -> Result<Vec<String>, DbError>;

    /// Keeps all others out of a database that is a file, from now to the end of the session.
    async fn lock_out_others(&mut self) -> Result<(), DbError> {
        Err(not_a_file())
    }

    /// Copies a database that is a file into the new file `to`.
    async fn copy_into(&mut self, _to: &Path, _stop: &StopFlag) -> Result<(), DbError> {
        Err(not_a_file())
    }

    /// Replaces all of a database that is a file by the one in the file `by`, at once: whoever
    /// looks sees the old one or the new one, also after a crash at any moment.
    async fn replace(&mut self, _by: &Path) -> Result<(), DbError> {
        Err(not_a_file())
    }

    /// How many sessions wait for locks that `session` holds; 0 where nobody can.
    async fn waiters(&mut self, _session: &str) -> Result<u64, DbError> {
        Ok(0)
    }
}

fn no_text() -> DbError {
    DbError::new(DbErrorKind::Statement, "This database has no text form of its rows")
}

/// How the database's own programs are told the way to it, without a secret in an argument.
#[derive(Clone, Debug, Default)]
pub struct ProgramAccess {
    /// Arguments that come first; the database's name is not among them.
    pub arguments: Vec<String>,
    /// Variables of the environment.
    pub environment: Vec<(&'static str, Secret)>,
}

/// Rows of one table that point nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyViolation {
    /// The table whose rows have no parent.
    pub child: String,
    /// The table that they point to.
    pub parent: String,
    /// How many.
    pub rows: u64,
    /// Some of them, by rowid.
    pub sample: Vec<String>,
}

/// A kind of database that can be connected to, with its address.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The address without any secret.
    fn label(&self) -> String;

    /// Whether connecting would make a new, empty database (a SQLite file that is not there).
    fn is_missing(&self) -> bool;

    /// Opens a connection.
    async fn connect(&self) -> Result<Box<dyn Session>, DbError>;

    /// How many bytes are free where the database lies, where that is a disk of this machine.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// The file that the database is, where it is one.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Copies a database that is a file into the new file `to`, as it is at one moment; others may
    /// read and, where the database can, write meanwhile. A stop that is asked for is an error.
    async fn copy_into(&self, _to: &Path, _stop: &StopFlag) -> Result<(), DbError> {
        Err(not_a_file())
    }

    /// The database's name, where a server has several.
    fn database(&self) -> Option<&str> {
        None
    }

    /// The same server, another database.
    fn at_database(&self, _name: &str) -> Option<Box<dyn Backend>> {
        None
    }

    /// How the database's own programs are told the way to it.
    ///
    /// # Errors
    /// When they cannot be told what the address says; in words.
    fn program_access(&self) -> Result<ProgramAccess, String> {
        Err("There are no such programs for this database".to_owned())
    }

    /// Whether another process has the database open, where that must not be (a local D1 file,
    /// which its own server reads and writes as the only one). Asked without a connection of ours.
    async fn is_open_elsewhere(&self) -> Result<bool, DbError> {
        Ok(false)
    }
}

fn not_a_file() -> DbError {
    DbError::new(DbErrorKind::Statement, "This database is not a file")
}

/// The backend of a project's database.
pub(crate) fn open(options: &ProjectOptions) -> Result<Box<dyn Backend>, EngineError> {
    match &options.target {
        #[cfg(feature = "sqlite")]
        Target::LocalD1(path) => Ok(Box::new(sqlite::SqliteBackend::d1(path))),
        #[cfg(feature = "sqlite")]
        Target::Url(DatabaseUrl::Sqlite(url)) => open_sqlite(url, options),
        #[cfg(feature = "postgres")]
        Target::Url(DatabaseUrl::Postgres(url)) => {
            Ok(Box::new(postgres::PostgresBackend::new((**url).clone())))
        }
        #[cfg(feature = "mysql")]
        Target::Url(DatabaseUrl::Mysql(url)) => {
            Ok(Box::new(mysql::MysqlBackend::new((**url).clone())))
        }
        #[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mysql")))]
        Target::Url(url) => {
            let name = url.dialect().name();
            Err(EngineError::Refused(format!("This program was built without `{name}`")))
        }
    }
}

#[cfg(feature = "sqlite")]
fn open_sqlite(url: &SqliteUrl, options: &ProjectOptions) -> Result<Box<dyn Backend>, EngineError> {
    let SqlitePath::File(path) = &url.path else {
        let message = "A database in memory is gone when the command ends; name a file";
        return Err(EngineError::Refused(message.to_owned()));
    };
    let path = options.root.join(path);
    sqlite::check_header(&path)?;
    Ok(Box::new(sqlite::SqliteBackend::new(path, options.foreign_keys)))
}
