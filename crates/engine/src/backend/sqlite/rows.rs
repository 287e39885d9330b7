//! Rows as they come, read by a thread of their own: the library is synchronous, and so the next
//! chunk is read while this one is looked at.

use std::mem;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use whimbrel_core::rows::{Cell, Chunk, ColumnHead, ColumnKind};

use super::SqliteSession;
use super::error::from_rusqlite;
use crate::backend::{DbError, DbErrorKind, RowStream};

/// Chunks that are read ahead.
const AHEAD_MAX: usize = 2;

enum Message {
    Columns(Vec<ColumnHead>),
    Rows(Chunk),
    Failed(DbError),
}

/// The rows of a query. The connection is lent to the thread and comes back with the end.
pub(super) struct SqliteRows<'a> {
    session: &'a mut SqliteSession,
    columns: Vec<ColumnHead>,
    messages: Receiver<Message>,
    /// Chunks whose memory is used again.
    used: mpsc::Sender<Chunk>,
    interrupt: InterruptHandle,
    reader: Option<JoinHandle<Connection>>,
}

impl<'a> SqliteRows<'a> {
    pub(super) async fn start(
        session: &'a mut SqliteSession,
        sql: &str,
    ) -> Result<SqliteRows<'a>, DbError> {
        let (sender, messages) = channel(AHEAD_MAX);
        let (used, unused) = mpsc::channel();
        // Nobody sees the stand-in: the session is borrowed until the connection is back.
        let stand_in = Connection::open_in_memory().map_err(from_rusqlite)?;
        let connection = mem::replace(&mut session.connection, stand_in);
        let interrupt = connection.get_interrupt_handle();
        let sql = sql.to_owned();
        let reader = thread::spawn(move || {
            if let Err(error) = read(&connection, &sql, &sender, &unused) {
                let _ = sender.blocking_send(Message::Failed(error));
            }
            connection
        });
        let (columns, reader) = (Vec::new(), Some(reader));
        let mut rows = SqliteRows { session, columns, messages, used, interrupt, reader };
        match rows.messages.recv().await {
            Some(Message::Columns(columns)) => rows.columns = columns,
            Some(Message::Failed(error)) => return Err(error),
            Some(Message::Rows(_)) | None => return Err(lost()),
        }
        Ok(rows)
    }
}

fn lost() -> DbError {
    DbError::new(DbErrorKind::Storage, "The reading of rows ended without a reason")
}

/// Reads until the end, or until nobody listens.
fn read(
    connection: &Connection,
    sql: &str,
    sender: &Sender<Message>,
    unused: &mpsc::Receiver<Chunk>,
) -> Result<(), DbError> {
    let mut statement = connection.prepare(sql).map_err(from_rusqlite)?;
    let heads: Vec<ColumnHead> = statement
        .columns()
        .map(|column| ColumnHead {
            name: column.name().to_owned(),
            type_name: column.decl_type().unwrap_or_default().to_owned(),
            kind: ColumnKind::Any,
        })
        .collect();
    let width = heads.len();
    if sender.blocking_send(Message::Columns(heads)).is_err() {
        return Ok(());
    }
    let mut rows = statement.raw_query();
    let mut chunk = Chunk::default();
    chunk.clear(width);
    while let Some(row) = rows.next().map_err(from_rusqlite)? {
        for index in 0..width {
            match row.get_ref(index).map_err(from_rusqlite)? {
                ValueRef::Null => chunk.push(Cell::Null),
                ValueRef::Integer(number) => chunk.push(Cell::Int(number)),
                ValueRef::Real(number) => chunk.push(Cell::Real(number)),
                ValueRef::Text(bytes) => chunk.push_text(bytes),
                ValueRef::Blob(bytes) => chunk.push(Cell::Bytes(bytes)),
            }
        }
        if chunk.is_full() {
            let mut next = unused.try_recv().unwrap_or_default();
            next.clear(width);
            if sender.blocking_send(Message::Rows(mem::replace(&mut chunk, next))).is_err() {
                return Ok(());
            }
        }
    }
    if !chunk.is_empty() {
        let _ = sender.blocking_send(Message::Rows(chunk));
    }
    Ok(())
}

#[async_trait]
impl RowStream for SqliteRows<'_> {
    fn columns(&self) -> &[ColumnHead] {
        &self.columns
    }

    async fn next(&mut self, chunk: &mut Chunk) -> Result<bool, DbError> {
        chunk.clear(self.columns.len());
        match self.messages.recv().await {
            Some(Message::Rows(rows)) => {
                let _ = self.used.send(mem::replace(chunk, rows));
                Ok(true)
            }
            Some(Message::Failed(error)) => Err(error),
            Some(Message::Columns(_)) | None => Ok(false),
        }
    }
}

impl Drop for SqliteRows<'_> {
    fn drop(&mut self) {
        self.messages.close();
        while self.messages.try_recv().is_ok() {}
        self.interrupt.interrupt();
        let back = self.reader.take().and_then(|reader| reader.join().ok());
        // A reader that panicked has taken the connection with it.
        if let Some(connection) = back.or_else(|| self.session.backend.open().ok()) {
            self.session.connection = connection;
        }
    }
}
