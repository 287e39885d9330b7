//! A table's rows as text, by COPY: what psql's `\copy` reads, too.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::{CopyInSink, CopyOutStream};
use whimbrel_core::backup::RowsOf;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use super::copy::PIECE_BYTES;
use super::session::PgSession;
use crate::backend::{DbError, TextIn, TextOut};

/// Bytes that are read before the caller has a look at them.
const TURN_BYTES: usize = 64 * 1024;

/// The table as it stands in SQL, and its columns in parentheses; nothing where it has none, for
/// which COPY has no other words.
fn target(of: &RowsOf) -> (String, String) {
    let ident = |name: &String| quote_ident(name, Dialect::Postgres);
    let table = format!("{}.{}", ident(&of.schema), ident(&of.table));
    let columns: Vec<String> = of.columns.iter().map(ident).collect();
    let list = if columns.is_empty() { String::new() } else { format!("({})", columns.join(", ")) };
    (table, list)
}

/// A COPY that gives rows.
pub(super) struct PgTextOut<'a> {
    session: &'a PgSession,
    stream: Pin<Box<CopyOutStream>>,
    sql: String,
    is_done: bool,
}

impl<'a> PgTextOut<'a> {
    pub(super) async fn start(session: &'a mut PgSession, of: &RowsOf) -> Result<Self, DbError> {
        let session: &'a PgSession = session;
        let (table, list) = target(of);
        let sql = match &of.only {
            // COPY of a table has its own rows only, as ONLY would say.
            None => format!("COPY {table} {list} TO STDOUT"),
            Some(only) => {
                let columns = list.trim_start_matches('(').trim_end_matches(')');
                format!("COPY (SELECT {columns} FROM ONLY {table} {only}) TO STDOUT")
            }
        };
        let stream = session.client.copy_out(sql.as_str()).await;
        let stream = Box::pin(stream.map_err(|error| session.failure(&error, &sql))?);
        Ok(PgTextOut { session, stream, sql, is_done: false })
    }
}

#[async_trait]
impl TextOut for PgTextOut<'_> {
    async fn next(&mut self, to: &mut Vec<u8>) -> Result<bool, DbError> {
        let start = to.len();
        while !self.is_done {
            let piece = self.stream.try_next().await;
            let piece = piece.map_err(|error| self.session.failure(&error, &self.sql))?;
            let Some(piece) = piece else {
                self.is_done = true;
                break;
            };
            to.extend_from_slice(&piece);
            if to.len() - start >= TURN_BYTES && to.last() == Some(&b'\n') {
                break;
            }
        }
        Ok(to.len() > start)
    }
}

/// A COPY that takes rows.
pub(super) struct PgTextIn<'a> {
    session: &'a PgSession,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    sql: String,
}

impl<'a> PgTextIn<'a> {
    pub(super) async fn start(
        session: &'a mut PgSession,
        of: &RowsOf,
        fresh: bool,
    ) -> Result<Self, DbError> {
        let session: &'a PgSession = session;
        let (table, list) = target(of);
        // Rows that nobody else can see yet need not be looked at again by a vacuum.
        let freeze = if fresh { " (FREEZE)" } else { "" };
        let sql = format!("COPY {table} {list} FROM STDIN{freeze}");
        let sink = session.client.copy_in::<_, Bytes>(sql.as_str()).await;
        let sink = Box::pin(sink.map_err(|error| session.failure(&error, &sql))?);
        Ok(PgTextIn { session, sink, sql })
    }
}

#[async_trait]
impl TextIn for PgTextIn<'_> {
    async fn write(&mut self, text: Vec<u8>) -> Result<(), DbError> {
        let mut rest = Bytes::from(text);
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            if self.sink.feed(piece).await.is_err() {
                // The reason comes as the answer to the end of the copy.
                let done = self.sink.as_mut().finish().await;
                return done.map(drop).map_err(|error| self.session.failure(&error, &self.sql));
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, DbError> {
        let done = self.sink.as_mut().finish().await;
        done.map_err(|error| self.session.failure(&error, &self.sql))
    }
}
