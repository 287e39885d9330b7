//! Rows as they come, by binary COPY.
//!
//! The query is described first. Columns of the common types are sent in their binary form and
//! read here; every other column is sent as its text.

mod decode;

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use tokio_postgres::CopyOutStream;
use whimbrel_core::rows::{Chunk, ColumnHead, ColumnKind};

use self::decode::Decode;
use super::session::{PgSession, unexpected_answer};
use crate::backend::{DbError, RowStream};

/// What stands before the first row: a signature of 11 bytes, flags, the length of what follows.
const HEADER_BYTES: usize = 19;

/// The rows of a query.
pub(super) struct PgRows<'a> {
    session: &'a PgSession,
    stream: Pin<Box<CopyOutStream>>,
    sql: String,
    columns: Vec<ColumnHead>,
    decoders: Vec<Decode>,
    has_begun: bool,
    is_done: bool,
}

impl<'a> PgRows<'a> {
    pub(super) async fn start(session: &'a mut PgSession, sql: &str) -> Result<Self, DbError> {
        let prepared = session.client.prepare(sql).await;
        let prepared = prepared.map_err(|error| session.failure(&error, sql))?;
        let types = prepared.columns();
        if types.is_empty() {
            return Err(unexpected_answer("a query without columns"));
        }
        let (mut columns, mut decoders) = (Vec::new(), Vec::new());
        let (mut names, mut oids) = (Vec::new(), Vec::new());
        for (index, column) in types.iter().enumerate() {
            let (decode, kind) = Decode::of(column.type_());
            let cast = if decode == Decode::AsText { "::pg_catalog.text" } else { "" };
            names.push((format!("c{index}"), format!("q.c{index}{cast}")));
            oids.push(format!("({index},{},{})", column.type_().oid(), column.type_modifier()));
            let name = column.name().to_owned();
            columns.push(ColumnHead { name, type_name: String::new(), kind });
            decoders.push(decode);
        }
        let question = format!(
            "SELECT pg_catalog.format_type(t.o::pg_catalog.oid, t.m) FROM (VALUES {}) AS t(n, o, m) \
             ORDER BY t.n",
            oids.join(", ")
        );
        let answers = session.results(&question).await?.pop().unwrap_or_default();
        for (column, row) in columns.iter_mut().zip(answers) {
            column.type_name = row.into_iter().next().flatten().unwrap_or_default();
        }
        let list = |part: fn(&(String, String)) -> &str| {
            names.iter().map(part).collect::<Vec<_>>().join(", ")
        };
        let (aliases, values) = (list(|one| &one.0), list(|one| &one.1));
        let copy = format!(
            "COPY (SELECT {values} FROM (\n{sql}\n) AS q({aliases})) TO STDOUT (FORMAT binary)"
        );
        let session: &'a PgSession = session;
        let stream = session.client.copy_out(copy.as_str()).await;
        let stream = Box::pin(stream.map_err(|error| session.failure(&error, &copy))?);
        let sql = copy;
        Ok(PgRows { session, stream, sql, columns, decoders, has_begun: false, is_done: false })
    }
}

#[async_trait]
impl RowStream for PgRows<'_> {
    fn columns(&self) -> &[ColumnHead] {
        &self.columns
    }

    async fn next(&mut self, chunk: &mut Chunk) -> Result<bool, DbError> {
        chunk.clear(self.columns.len());
        while !self.is_done && !chunk.is_full() {
            let piece = self.stream.try_next().await;
            let piece = piece.map_err(|error| self.session.failure(&error, &self.sql))?;
            let Some(piece) = piece else {
                self.is_done = true;
                break;
            };
            let mut bytes: &[u8] = &piece;
            if !self.has_begun {
                self.has_begun = true;
                bytes = bytes.get(HEADER_BYTES..).unwrap_or_default();
            }
            while !bytes.is_empty() {
                // The end is marked by a row of -1 columns; the server's own end follows.
                let Some(rest) = decode::row(bytes, &self.decoders, chunk) else {
                    return Err(unexpected_answer("the rows of a COPY"));
                };
                bytes = rest;
            }
        }
        Ok(!chunk.is_empty())
    }
}

impl Decode {
    fn kind(self) -> ColumnKind {
        match self {
            Decode::Bool => ColumnKind::Bool,
            Decode::Int2 | Decode::Int4 | Decode::Int8 | Decode::Oid => ColumnKind::Int,
            Decode::Float4 | Decode::Float8 => ColumnKind::Real,
            Decode::Numeric => ColumnKind::Decimal,
            Decode::Bytes => ColumnKind::Bytes,
            Decode::Date => ColumnKind::Date,
            Decode::Time => ColumnKind::Time,
            Decode::Timestamp => ColumnKind::Timestamp,
            Decode::TimestampTz => ColumnKind::TimestampTz,
            Decode::Uuid => ColumnKind::Uuid,
            Decode::Json | Decode::Jsonb => ColumnKind::Json,
            Decode::Text | Decode::AsText => ColumnKind::Text,
        }
    }
}
