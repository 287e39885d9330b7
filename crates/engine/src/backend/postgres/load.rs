//! Rows into a table, by COPY: binary where each column has a binary form here, else as text.

mod encode;

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;
use whimbrel_core::rows::{Cell, Chunk};

use self::encode::Encode;
use super::copy::PIECE_BYTES;
use super::session::{PgSession, unexpected_answer};
use crate::backend::{DbError, LoadInto, RowSink};

/// What stands before the first row of a binary COPY: a signature, no flags, no further header.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands behind the last one: a row of -1 columns.
const TRAILER: [u8; 2] = [255, 255];

/// A COPY that is taking rows.
pub(super) struct PgSink<'a> {
    session: &'a PgSession,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    sql: String,
    /// One for each column; none where rows go as text.
    encoders: Option<Vec<Encode>>,
    columns: usize,
    buffer: Vec<u8>,
    /// The server has said no; the reason comes with the end.
    refused: bool,
}

impl<'a> PgSink<'a> {
    pub(super) async fn start(
        session: &'a mut PgSession,
        into: &LoadInto,
    ) -> Result<PgSink<'a>, DbError> {
        let session: &'a PgSession = session;
        let pairs = into.columns.iter().zip(&into.types);
        let encoders: Option<Vec<Encode>> =
            pairs.map(|((_, class), type_name)| Encode::of(class, type_name)).collect();
        let format = if encoders.is_some() { "binary" } else { "text" };
        let (table, columns) = (&into.table, into.column_list());
        let sql = format!("COPY {table} ({columns}) FROM STDIN (FORMAT {format})");
        let sink = session.client.copy_in::<_, Bytes>(sql.as_str()).await;
        let sink = Box::pin(sink.map_err(|error| session.failure(&error, &sql))?);
        let mut buffer = Vec::with_capacity(PIECE_BYTES * 2);
        if encoders.is_some() {
            buffer.extend_from_slice(HEADER);
        }
        let columns = into.columns.len();
        Ok(PgSink { session, sink, sql, encoders, columns, buffer, refused: false })
    }

    async fn send(&mut self) {
        if !self.refused && !self.buffer.is_empty() {
            let next = Vec::with_capacity(PIECE_BYTES * 2);
            let piece = Bytes::from(std::mem::replace(&mut self.buffer, next));
            self.refused = self.sink.feed(piece).await.is_err();
        }
        self.buffer.clear();
    }

    async fn end(&mut self) -> Result<u64, DbError> {
        let done = self.sink.as_mut().finish().await;
        done.map_err(|error| self.session.failure(&error, &self.sql))
    }
}

#[async_trait]
impl RowSink for PgSink<'_> {
    async fn write(&mut self, chunk: &Chunk) -> Result<(), DbError> {
        for row in chunk.rows() {
            match &self.encoders {
                Some(encoders) => encode::row(&mut self.buffer, row, encoders)
                    .ok_or_else(|| unexpected_answer("a value to be copied"))?,
                None => text_row(&mut self.buffer, self.columns, |column| row.cell(column)),
            }
            if self.buffer.len() >= PIECE_BYTES {
                self.send().await;
            }
            if self.refused {
                return self.end().await.map(drop);
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, DbError> {
        if self.encoders.is_some() {
            self.buffer.extend_from_slice(&TRAILER);
        }
        self.send().await;
        self.end().await
    }
}

/// A row of COPY's text format.
fn text_row<'c>(out: &mut Vec<u8>, columns: usize, cell: impl Fn(usize) -> Cell<'c>) {
    for column in 0..columns {
        if column > 0 {
            out.push(b'\t');
        }
        match cell(column) {
            Cell::Null => out.extend_from_slice(b"\\N"),
            Cell::Bool(value) => out.push(if value { b't' } else { b'f' }),
            Cell::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Cell::UInt(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Cell::Real(value) => out.extend_from_slice(encode::real_text(value).as_bytes()),
            Cell::Bytes(bytes) => {
                out.extend_from_slice(b"\\\\x");
                for byte in bytes {
                    out.extend_from_slice(format!("{byte:02x}").as_bytes());
                }
            }
            Cell::Decimal(text) | Cell::Text(text) => {
                for byte in text.bytes() {
                    match byte {
                        b'\\' => out.extend_from_slice(b"\\\\"),
                        b'\t' => out.extend_from_slice(b"\\t"),
                        b'\n' => out.extend_from_slice(b"\\n"),
                        b'\r' => out.extend_from_slice(b"\\r"),
                        byte => out.push(byte),
                    }
                }
            }
        }
    }
    out.push(b'\n');
}
