//! Rows as they come, read by a thread of their own: the library is synchronous, and so the next
//! chunk is read while this one is looked at.

use std::mem;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle};
use whimbrel_core::rows::{Cell, Chunk, ColumnHead, ColumnKind};

use super::SqliteSession;
use super::error::from_rusqlite;
use crate::backend::ahead::{Ahead, Feed, Message, ahead};
use crate::backend::{DbError, RowStream};

/// The rows of a query. The connection is lent to the thread and comes back with the end.
pub(super) struct SqliteRows<'a> {
    session: &'a mut SqliteSession,
    ahead: Ahead,
    interrupt: InterruptHandle,
    reader: Option<JoinHandle<Connection>>,
}

impl<'a> SqliteRows<'a> {
    pub(super) async fn start(
        session: &'a mut SqliteSession,
        sql: &str,
    ) -> Result<SqliteRows<'a>, DbError> {
        let (ahead, mut feed) = ahead();
        // Nobody sees the stand-in: the session is borrowed until the connection is back.
        let stand_in = Connection::open_in_memory().map_err(from_rusqlite)?;
        let connection = mem::replace(&mut session.connection, stand_in);
        let interrupt = connection.get_interrupt_handle();
        let sql = sql.to_owned();
        let reader = thread::spawn(move || {
            if let Err(error) = read(&connection, &sql, &mut feed) {
                let _ = feed.sender.blocking_send(Message::Failed(error));
            }
            connection
        });
        let mut rows = SqliteRows { session, ahead, interrupt, reader: Some(reader) };
        rows.ahead.begin().await?;
        Ok(rows)
    }
}

/// Reads until the end, or until nobody listens.
fn read(connection: &Connection, sql: &str, feed: &mut Feed) -> Result<(), DbError> {
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
    if feed.sender.blocking_send(Message::Columns(heads)).is_err() {
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
            let full = feed.replace(&mut chunk, width);
            if feed.sender.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    if !chunk.is_empty() {
        let _ = feed.sender.blocking_send(Message::Rows(chunk));
    }
    Ok(())
}

#[async_trait]
impl RowStream for SqliteRows<'_> {
    fn columns(&self) -> &[ColumnHead] {
        &self.ahead.columns
    }

    async fn next(&mut self, chunk: &mut Chunk) -> Result<bool, DbError> {
        self.ahead.next(chunk).await
    }
}

impl Drop for SqliteRows<'_> {
    fn drop(&mut self) {
        self.ahead.close();
        self.interrupt.interrupt();
        let back = self.reader.take().and_then(|reader| reader.join().ok());
        // A reader that panicked has taken the connection with it.
        if let Some(connection) = back.or_else(|| self.session.backend.open().ok()) {
            self.session.connection = connection;
        }
    }
}
