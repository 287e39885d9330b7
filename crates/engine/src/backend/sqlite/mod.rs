//! SQLite in a file, by the bundled library.

#[cfg(unix)]
mod alone;
mod catalog;
mod error;
mod image;
mod load;
mod rows;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, OpenFlags};
use whimbrel_core::capabilities::Capabilities;
use whimbrel_core::snapshot::Snapshot;

use self::error::from_rusqlite;
use super::{
    Backend, DbError, DbErrorKind, ForeignKeyViolation, Limits, LoadInto, Outcome, Row, RowSink,
    RowStream, Scope, ServerFacts, Session,
};
use crate::apply::StopFlag;

/// How long SQLite itself waits for another process's lock before it reports `SQLITE_BUSY`.
const BUSY_TIMEOUT_MS: u64 = 2_000;
/// How often the journal's mode is set while other processes set it too.
const WAL_TRIES_MAX: u32 = 40;
/// After how many of SQLite's own instructions the clock is looked at, where there is a limit.
const PROGRESS_OPERATIONS: i32 = 1_000;
/// How many rows without a parent are named in a message.
const VIOLATION_SAMPLE_MAX: usize = 5;

/// A SQLite database file.
#[derive(Clone, Debug)]
pub struct SqliteBackend {
    path: PathBuf,
    foreign_keys: bool,
    d1: bool,
}

impl SqliteBackend {
    /// A database in the file `path`; `foreign_keys` says whether the keys are enforced.
    pub fn new(path: impl Into<PathBuf>, foreign_keys: bool) -> Self {
        SqliteBackend { path: path.into(), foreign_keys, d1: false }
    }

    /// The local file of a Cloudflare D1 database: keys always enforced, no transactions of the
    /// author's own.
    pub fn d1(path: impl Into<PathBuf>) -> Self {
        SqliteBackend { path: path.into(), foreign_keys: true, d1: true }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> Result<Connection, DbError> {
        let is_new = self.is_missing();
        if self.d1 && is_new {
            self.make_folder()?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|error| {
            let mut error = from_rusqlite(error);
            if error.message.contains("unable to open database file") {
                error.message = format!("unable to open database file {}", self.path.display());
            }
            error
        })?;
        connection
            .busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))
            .and_then(|()| connection.pragma_update(None, "foreign_keys", self.foreign_keys))
            .map_err(from_rusqlite)?;
        if self.d1 && is_new {
            make_wal(&connection)?;
        }
        Ok(connection)
    }

    /// wrangler makes the folder of its local databases when it first needs one; so do we.
    fn make_folder(&self) -> Result<(), DbError> {
        let Some(folder) = self.path.parent() else { return Ok(()) };
        std::fs::create_dir_all(folder).map_err(|error| {
            DbError::new(DbErrorKind::Storage, format!("{}: {error}", folder.display()))
        })
    }
}

/// Sets the journal's mode as wrangler does. SQLite does not wait for a lock here, so that several
/// processes which make the database at once are in each other's way for a moment.
fn make_wal(connection: &Connection) -> Result<(), DbError> {
    let mut tries = 0;
    loop {
        let set = connection.pragma_update(None, "journal_mode", "WAL").map_err(from_rusqlite);
        match set {
            Err(error) if error.is_transient() && tries < WAL_TRIES_MAX => {
                tries += 1;
                std::thread::sleep(crate::jitter::between_ms(5, 50));
            }
            other => return other,
        }
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            no_own_transactions: self.d1,
            refuses_orphans: self.foreign_keys,
            ..Capabilities::SQLITE
        }
    }

    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn is_missing(&self) -> bool {
        !self.path.exists()
    }

    fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.path)
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    async fn copy_into(&self, to: &Path, stop: &StopFlag) -> Result<(), DbError> {
        image::copy(&self.open()?, to, stop)
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DbError> {
        Ok(Box::new(SqliteSession {
            backend: self.clone(),
            connection: self.open()?,
            statement_ms: 0,
        }))
    }

    async fn is_open_elsewhere(&self) -> Result<bool, DbError> {
        if !self.d1 || self.is_missing() {
            return Ok(false);
        }
        // In WAL mode every open connection holds a lock that an exclusive one does not tolerate,
        // also one that does nothing.
        let connection = self.open()?;
        let alone = connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE"))
            .and_then(|()| connection.execute_batch("BEGIN EXCLUSIVE; ROLLBACK"))
            .map_err(from_rusqlite);
        match alone {
            Ok(()) => Ok(false),
            Err(error) if error.is_transient() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// How many bytes are free on the disk of a file or folder, where the system tells.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(path).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

struct SqliteSession {
    backend: SqliteBackend,
    connection: Connection,
    /// How long one of the author's statements may run, in milliseconds; 0 is without end.
    statement_ms: u64,
}

impl SqliteSession {
    /// Runs one statement to its end and drops its rows.
    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        // SQLite's own splitter has the last word: whatever follows the first statement runs too.
        let mut batch = Batch::new(&self.connection, sql);
        while let Some(mut statement) = batch.next()? {
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    /// The same, ended when the time is over.
    fn execute_within(&mut self, sql: &str) -> Result<(), DbError> {
        if self.statement_ms == 0 {
            return self.execute(sql).map_err(from_rusqlite);
        }
        let (began, limit) = (Instant::now(), Duration::from_millis(self.statement_ms));
        self.connection
            .progress_handler(PROGRESS_OPERATIONS, Some(move || began.elapsed() > limit))
            .map_err(from_rusqlite)?;
        let done = self.execute(sql).map_err(from_rusqlite);
        self.connection.progress_handler(0, None::<fn() -> bool>).map_err(from_rusqlite)?;
        done.map_err(|mut error| {
            if error.kind == DbErrorKind::Timeout {
                error.message = format!("the statement ran longer than {} ms", self.statement_ms);
            }
            error
        })
    }

    fn rows(&self, sql: &str) -> Result<Vec<Row>, DbError> {
        let mut statement = self.connection.prepare(sql).map_err(from_rusqlite)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(from_rusqlite)? {
            let mut values = Vec::with_capacity(columns);
            for index in 0..columns {
                values.push(text_of(row.get_ref(index).map_err(from_rusqlite)?));
            }
            out.push(values);
        }
        Ok(out)
    }
}

fn text_of(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

#[async_trait]
impl Session for SqliteSession {
    async fn run(&mut self, sql: &str, _copy_data: Option<&str>) -> Result<Outcome, DbError> {
        let before = self.connection.total_changes();
        self.execute_within(sql)?;
        let changed = self.connection.total_changes() > before;
        let rows_affected = changed.then(|| self.connection.changes());
        Ok(Outcome { rows_affected, notices: Vec::new() })
    }

    async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.connection.execute_batch(sql).map_err(from_rusqlite)
    }

    async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DbError> {
        self.rows(sql)
    }

    async fn stream<'a>(&'a mut self, sql: &str) -> Result<Box<dyn RowStream + 'a>, DbError> {
        Ok(Box::new(rows::SqliteRows::start(self, sql).await?))
    }

    async fn load<'a>(&'a mut self, into: &LoadInto) -> Result<Box<dyn RowSink + 'a>, DbError> {
        Ok(Box::new(load::SqliteSink::start(&mut self.connection, into)))
    }

    fn in_transaction(&self) -> Option<bool> {
        Some(!self.connection.is_autocommit())
    }

    #[cfg(unix)]
    fn is_alone(&self) -> bool {
        alone::is_alone(&self.backend.path)
    }

    async fn inspect(&mut self, scope: Option<&Scope>) -> Result<Snapshot, DbError> {
        catalog::inspect(&self.connection, scope).map_err(from_rusqlite)
    }

    async fn reset(&mut self) -> Result<(), DbError> {
        // Settings, temporary objects and attached files all end with the connection.
        self.connection = self.backend.open()?;
        Ok(())
    }

    fn reset_in_transaction(&self) -> Option<&'static str> {
        None
    }

    async fn limit(&mut self, limits: Limits, _local: bool) -> Result<(), DbError> {
        self.statement_ms = limits.statement_ms.unwrap_or(self.statement_ms);
        let Some(lock_ms) = limits.lock_ms else { return Ok(()) };
        // Nothing else happens in this process while SQLite waits, so each try is short.
        let wait_ms = if lock_ms == 0 { BUSY_TIMEOUT_MS } else { lock_ms.min(BUSY_TIMEOUT_MS) };
        self.connection.busy_timeout(Duration::from_millis(wait_ms)).map_err(from_rusqlite)
    }

    async fn facts(&mut self) -> Result<ServerFacts, DbError> {
        let mut settings = Vec::new();
        for name in ["journal_mode", "synchronous", "foreign_keys", "page_size", "encoding"] {
            let rows = self.rows(&format!("PRAGMA {name}"))?;
            let value = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
            settings.push((name.to_owned(), value.unwrap_or_default()));
        }
        Ok(ServerFacts {
            version: format!("SQLite {}", rusqlite::version()),
            database: self.backend.label(),
            user: None,
            session: None,
            pooled: None,
            settings,
        })
    }

    async fn foreign_key_violations(&mut self) -> Result<Vec<ForeignKeyViolation>, DbError> {
        let mut out: Vec<ForeignKeyViolation> = Vec::new();
        let mut statement =
            self.connection.prepare("PRAGMA foreign_key_check").map_err(from_rusqlite)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(from_rusqlite)? {
            let child = row.get_ref(0).ok().and_then(text_of).unwrap_or_default();
            let rowid = row.get_ref(1).ok().and_then(text_of).unwrap_or_else(|| "?".into());
            let parent = row.get_ref(2).ok().and_then(text_of).unwrap_or_default();
            match out.iter_mut().find(|seen| seen.child == child && seen.parent == parent) {
                Some(seen) => {
                    seen.rows += 1;
                    if seen.sample.len() < VIOLATION_SAMPLE_MAX {
                        seen.sample.push(rowid);
                    }
                }
                None => {
                    out.push(ForeignKeyViolation { child, parent, rows: 1, sample: vec![rowid] })
                }
            }
        }
        Ok(out)
    }

    async fn end_session(&mut self, _session: &str) -> Result<bool, DbError> {
        // Another process cannot be inside a write transaction while we hold one.
        Ok(true)
    }

    async fn blockers(&mut self, _session: &str) -> Result<Vec<String>, DbError> {
        Ok(Vec::new())
    }

    async fn lock_out_others(&mut self) -> Result<(), DbError> {
        image::lock_out_others(&self.connection)
    }

    async fn copy_into(&mut self, to: &Path, stop: &StopFlag) -> Result<(), DbError> {
        image::copy(&self.connection, to, stop)
    }

    async fn replace(&mut self, by: &Path) -> Result<(), DbError> {
        image::replace(&mut self.connection, by)
    }
}

/// Refuses a file that is not a SQLite database before anything is written to it.
pub(crate) fn check_header(path: &Path) -> Result<(), DbError> {
    use std::io::Read;
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut head = [0u8; 16];
    match file.read(&mut head) {
        Ok(0) => Ok(()),
        Ok(16) if &head == b"SQLite format 3\0" => Ok(()),
        Ok(_) => Err(DbError::new(
            DbErrorKind::Storage,
            format!("{} is not a SQLite database", path.display()),
        )),
        Err(error) => {
            Err(DbError::new(DbErrorKind::Storage, format!("{}: {error}", path.display())))
        }
    }
}
