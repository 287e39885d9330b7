//! Rows into a table, by one prepared INSERT.

use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use whimbrel_core::rows::{Cell, Chunk};

use super::error::from_rusqlite;
use crate::backend::{DbError, LoadInto, RowSink};

/// An INSERT that is run for each row.
pub(super) struct SqliteSink<'a> {
    connection: &'a mut Connection,
    sql: String,
    columns: usize,
    rows: u64,
}

impl<'a> SqliteSink<'a> {
    pub(super) fn start(connection: &'a mut Connection, into: &LoadInto) -> SqliteSink<'a> {
        let marks = vec!["?"; into.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", into.table, into.column_list());
        SqliteSink { connection, sql, columns: into.columns.len(), rows: 0 }
    }

    fn insert(&mut self, chunk: &Chunk) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(&self.sql)?;
        for row in chunk.rows() {
            for column in 0..self.columns {
                insert.raw_bind_parameter(column + 1, value(row.cell(column)))?;
            }
            self.rows += insert.raw_execute()? as u64;
        }
        Ok(())
    }
}

#[async_trait]
impl RowSink for SqliteSink<'_> {
    async fn write(&mut self, chunk: &Chunk) -> Result<(), DbError> {
        self.insert(chunk).map_err(from_rusqlite)
    }

    async fn finish(self: Box<Self>) -> Result<u64, DbError> {
        Ok(self.rows)
    }
}

fn value(cell: Cell<'_>) -> ToSqlOutput<'_> {
    match cell {
        Cell::Null => ToSqlOutput::Owned(Value::Null),
        Cell::Bool(value) => ToSqlOutput::Owned(Value::Integer(value.into())),
        Cell::Int(value) => ToSqlOutput::Owned(Value::Integer(value)),
        // A greater one was refused before.
        Cell::UInt(value) => {
            ToSqlOutput::Owned(i64::try_from(value).map_or(Value::Null, Value::Integer))
        }
        Cell::Real(value) => ToSqlOutput::Owned(Value::Real(value)),
        Cell::Decimal(text) | Cell::Text(text) => {
            ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
        }
        Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
    }
}
