//! One connection, statement by statement.
//!
//! Every result set of an answer is read to its end, so that an error behind the first one is
//! seen, and after each answer it is known whether a transaction is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::consts::{ColumnFlags, ColumnType, StatusFlags};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, DriverError, Value};
use tokio::task::JoinHandle;

use super::error::from_driver;
use crate::backend::{DbError, DbErrorKind, Notice, Outcome, Row};

/// Most warnings with the same number that are told of one statement.
const NOTICES_PER_CODE_MAX: usize = 10;
/// The character set number of bytes that are no text.
const BINARY: u16 = 63;

/// Where the connection is.
enum Line {
    Here(Conn),
    /// With the task that reads rows from it, and gives it back.
    Lent(JoinHandle<Conn>),
    /// The task has taken it along.
    Lost,
}

/// A connection and what is known about it.
pub(super) struct Client {
    line: Line,
    in_transaction: Option<bool>,
    packet_bytes_max: usize,
    mariadb: bool,
    version: (u16, u16),
    /// The role that the session began with.
    role: Option<String>,
    /// Set by the driver's handler when the server asked for a local file.
    file_asked: Arc<AtomicBool>,
}

/// What came back for one message to the server.
#[derive(Default)]
struct Answer {
    /// Result sets that have columns; their rows only if they were wanted.
    sets: Vec<Vec<Row>>,
    rows_affected: Option<u64>,
    warnings: u16,
    /// Whether a transaction is open afterwards, where the server says so.
    in_transaction: Option<bool>,
}

impl Client {
    pub(super) fn new(conn: Conn, file_asked: Arc<AtomicBool>) -> Client {
        Client {
            line: Line::Here(conn),
            in_transaction: Some(false),
            packet_bytes_max: usize::MAX,
            mariadb: false,
            version: (0, 0),
            role: None,
            file_asked,
        }
    }

    /// The connection, when whoever reads from it is done.
    pub(super) async fn conn(&mut self) -> mysql_async::Result<&mut Conn> {
        if let Line::Lent(task) = &mut self.line {
            let back = task.await;
            self.line = back.map_or(Line::Lost, Line::Here);
        }
        match &mut self.line {
            Line::Here(conn) => Ok(conn),
            Line::Lent(_) | Line::Lost => Err(DriverError::ConnectionClosed.into()),
        }
    }

    /// Lends the connection to a task.
    pub(super) async fn lend<F>(&mut self, work: impl FnOnce(Conn) -> F) -> mysql_async::Result<()>
    where
        F: Future<Output = Conn> + Send + 'static,
    {
        self.conn().await?;
        if let Line::Here(conn) = std::mem::replace(&mut self.line, Line::Lost) {
            self.line = Line::Lent(tokio::spawn(work(conn)));
        }
        Ok(())
    }

    /// Whether a transaction is open; `None` after the connection was lost.
    pub(super) fn in_transaction(&self) -> Option<bool> {
        self.in_transaction
    }

    /// How long a message may be, in bytes.
    pub(super) fn packet_bytes_max(&self) -> usize {
        self.packet_bytes_max
    }

    /// Whether the server is a MariaDB, not a MySQL.
    pub(super) fn is_mariadb(&self) -> bool {
        self.mariadb
    }

    /// The server's version, without the last part.
    pub(super) fn version(&self) -> (u16, u16) {
        self.version
    }

    /// Asks the server what it is, how long a message may be, and which role it gave.
    pub(super) async fn learn(&mut self) -> Result<(), DbError> {
        let sets = self.sets("SELECT VERSION(), @@max_allowed_packet").await?;
        let row = sets.into_iter().flatten().next().unwrap_or_default();
        let text = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
        self.mariadb = text(0).contains("MariaDB");
        let mut numbers = text(0).split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        self.version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        self.packet_bytes_max = text(1).parse().unwrap_or(usize::MAX);
        if self.mariadb {
            let sets = self.sets("SELECT CURRENT_ROLE()").await?;
            self.role = sets.into_iter().flatten().flatten().next().flatten();
        }
        Ok(())
    }

    /// Runs one statement, drops its rows and collects its warnings.
    pub(super) async fn run(&mut self, sql: &str) -> Result<Outcome, DbError> {
        let answer = self.send(sql, false).await?;
        if self.file_asked.swap(false, Ordering::SeqCst) {
            let mut error = DbError::new(
                DbErrorKind::Statement,
                "LOAD DATA LOCAL INFILE is refused: a migration does not read files of the machine \
                 it is started on. Nothing was loaded",
            );
            error.hint = Some("Write the rows as INSERT statements".to_owned());
            return Err(error);
        }
        let notices = if answer.warnings > 0 { self.warnings().await? } else { Vec::new() };
        let notices = shortened(notices, usize::from(answer.warnings));
        Ok(Outcome { rows_affected: answer.rows_affected, notices })
    }

    /// Runs statements and returns every result set that has columns.
    pub(super) async fn sets(&mut self, sql: &str) -> Result<Vec<Vec<Row>>, DbError> {
        Ok(self.send(sql, true).await?.sets)
    }

    /// Runs statements whose results nobody wants.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.send(sql, false).await.map(drop)
    }

    /// Resets the session's state; every setting is the server's default afterwards.
    pub(super) async fn reset(&mut self) -> Result<(), DbError> {
        let done = self.reset_connection().await;
        self.in_transaction = done.is_ok().then_some(false);
        done.map_err(|error| from_driver(error, None))?;
        self.reset_role().await
    }

    async fn reset_connection(&mut self) -> mysql_async::Result<()> {
        let conn = self.conn().await?;
        match conn.reset().await? {
            true => Ok(()),
            // Before MariaDB 10.2.4 and MySQL 5.7.3 only a new login does it.
            false => conn.change_user(mysql_async::ChangeUserOpts::default()).await,
        }
    }

    /// A reset leaves the role as it is.
    async fn reset_role(&mut self) -> Result<(), DbError> {
        if !self.mariadb {
            // Roles came with MySQL 8.0.
            let has_roles = self.version >= (8, 0);
            return if has_roles { self.batch("SET ROLE DEFAULT").await } else { Ok(()) };
        }
        match &self.role {
            Some(role) => self.batch(&format!("SET ROLE `{}`", role.replace('`', "``"))).await,
            None => self.batch("SET ROLE NONE").await,
        }
    }

    async fn send(&mut self, sql: &str, wanted: bool) -> Result<Answer, DbError> {
        // One byte says what kind of message it is, and the limit itself is too long already.
        if sql.len().saturating_add(2) > self.packet_bytes_max {
            return Err(self.too_long(sql));
        }
        match self.exchange(sql, wanted).await {
            Ok(answer) => {
                self.in_transaction = answer.in_transaction;
                Ok(answer)
            }
            Err(error) => Err(self.explained(error, sql).await),
        }
    }

    async fn exchange(&mut self, sql: &str, wanted: bool) -> mysql_async::Result<Answer> {
        let mut answer = Answer::default();
        let conn = self.conn().await?;
        let mut result = conn.query_iter(sql).await?;
        let mut has_columns;
        loop {
            let columns = result.columns().unwrap_or_else(|| Arc::from([]));
            has_columns = !columns.is_empty();
            let mut rows = Vec::new();
            while let Some(row) = result.next().await? {
                if wanted {
                    rows.push(row_of(row.unwrap(), &columns));
                }
            }
            if has_columns {
                answer.sets.push(rows);
            }
            if result.is_empty() {
                break;
            }
        }
        // An error behind the last set that was read comes to light here.
        result.drop_result().await?;
        answer.rows_affected = (!has_columns).then(|| conn.affected_rows());
        answer.warnings = conn.get_warnings();
        let ok = conn.last_ok_packet();
        answer.in_transaction =
            ok.map(|ok| ok.status_flags().contains(StatusFlags::SERVER_STATUS_IN_TRANS));
        Ok(answer)
    }

    /// The error with what else the server has to say about it (which foreign key, which row). The
    /// same question tells whether the transaction is still open: a deadlock ends it.
    async fn explained(&mut self, error: mysql_async::Error, sql: &str) -> DbError {
        let fatal = error.is_fatal();
        let mut out = from_driver(error, Some(sql));
        self.in_transaction = None;
        if fatal || out.kind == DbErrorKind::Connection {
            return out;
        }
        match self.warnings().await {
            Ok(notices) => {
                let mut more = Vec::new();
                for notice in notices {
                    if notice.message != out.message && !more.contains(&notice.message) {
                        more.push(notice.message);
                    }
                }
                more.truncate(NOTICES_PER_CODE_MAX);
                out.detail = (!more.is_empty()).then(|| more.join("\n"));
            }
            // A connection that is killed says that the query was interrupted, and then no more.
            Err(lost) if lost.kind == DbErrorKind::Connection => out.kind = DbErrorKind::Connection,
            Err(_) => {}
        }
        out
    }

    async fn warnings(&mut self) -> Result<Vec<Notice>, DbError> {
        let answer = self.exchange("SHOW WARNINGS", true).await;
        let answer = answer.map_err(|error| from_driver(error, None))?;
        self.in_transaction = answer.in_transaction;
        let rows = answer.sets.into_iter().next().unwrap_or_default();
        Ok(rows.into_iter().filter_map(notice_of).collect())
    }

    fn too_long(&self, sql: &str) -> DbError {
        let mut error = DbError::new(
            DbErrorKind::Statement,
            format!(
                "The statement is {} bytes long, and the server takes {} at most \
                 (`max_allowed_packet`)",
                sql.len(),
                self.packet_bytes_max
            ),
        );
        error.hint = Some("Split the statement, or raise the server's `max_allowed_packet`".into());
        error
    }
}

/// `SHOW WARNINGS` has the columns Level, Code and Message.
fn notice_of(row: Row) -> Option<Notice> {
    let mut values = row.into_iter();
    let severity = values.next().flatten()?;
    let code = values.next().flatten();
    Some(Notice { severity, code, message: values.next().flatten().unwrap_or_default() })
}

/// The first few of each code; the rest is counted. Every code stays visible.
fn shortened(notices: Vec<Notice>, total: usize) -> Vec<Notice> {
    let mut out: Vec<Notice> = Vec::new();
    for notice in notices {
        let seen = out.iter().filter(|other| other.code == notice.code).count();
        if seen < NOTICES_PER_CODE_MAX {
            out.push(notice);
        }
    }
    let left = total.saturating_sub(out.len());
    if left > 0 && !out.is_empty() {
        let message = format!("{left} more warnings of this statement are not listed");
        out.push(Notice { severity: "Note".to_owned(), code: None, message });
    }
    out
}

fn row_of(values: Vec<Value>, columns: &[Column]) -> Row {
    let mut columns = columns.iter();
    values
        .into_iter()
        .map(|value| {
            let binary = columns.next().is_some_and(is_binary);
            match value {
                Value::NULL => None,
                Value::Bytes(bytes) if binary => Some(hex(&bytes)),
                Value::Bytes(bytes) => Some(text_of(bytes)),
                // The text protocol has no other values.
                other => Some(other.as_sql(true)),
            }
        })
        .collect()
}

pub(super) fn is_binary(column: &Column) -> bool {
    use ColumnType as T;
    match column.column_type() {
        T::MYSQL_TYPE_BIT | T::MYSQL_TYPE_GEOMETRY => true,
        T::MYSQL_TYPE_BLOB
        | T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB
        | T::MYSQL_TYPE_VAR_STRING
        | T::MYSQL_TYPE_STRING
        | T::MYSQL_TYPE_VARCHAR => {
            column.character_set() == BINARY && column.flags().contains(ColumnFlags::BINARY_FLAG)
        }
        _ => false,
    }
}

/// The text; the author's file may have set another character set for results, of which Latin-1 is
/// the only one in use.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_warnings_are_counted_and_no_code_is_lost() {
        let one = |code: &str| Notice {
            severity: "Warning".into(),
            code: Some(code.into()),
            message: "m".into(),
        };
        let mut all = vec![one("1"); 30];
        all.push(one("1265"));
        let short = shortened(all, 90);
        assert_eq!(short.len(), NOTICES_PER_CODE_MAX + 2);
        assert!(short.iter().any(|notice| notice.code.as_deref() == Some("1265")));
        assert!(short.last().is_some_and(|last| last.message.starts_with("79 more")));
        assert_eq!(shortened(vec![one("1")], 1).len(), 1);
    }
}
