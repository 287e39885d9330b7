//! Rows as they come, by the text protocol: values are what the server prints. A task of its own
//! reads them, so that the next chunk is read while this one is looked at.

use std::marker::PhantomData;

use async_trait::async_trait;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Value};
use whimbrel_core::rows::{Cell, Chunk, ColumnHead, ColumnKind};

use super::client::{Client, is_binary};
use super::error::from_driver;
use crate::backend::ahead::{Ahead, Feed, Message, ahead};
use crate::backend::{DbError, RowStream};

/// How a column's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Whole,
    Bits,
    Real,
    Decimal,
    Timestamp,
    Bytes,
    Text,
}

/// The rows of a query. The connection is lent to the task and comes back with the end.
pub(super) struct MysqlRows<'a> {
    ahead: Ahead,
    client: PhantomData<&'a mut Client>,
}

impl<'a> MysqlRows<'a> {
    pub(super) async fn start(client: &'a mut Client, sql: &str) -> Result<MysqlRows<'a>, DbError> {
        let (ahead, mut feed) = ahead();
        let text = sql.to_owned();
        let task = async move |mut conn: Conn| {
            if let Err(error) = read(&mut conn, &text, &mut feed).await {
                let error = from_driver(error, Some(&text));
                let _ = feed.sender.send(Message::Failed(error)).await;
            }
            conn
        };
        client.lend(task).await.map_err(|error| from_driver(error, Some(sql)))?;
        let mut rows = MysqlRows { ahead, client: PhantomData };
        rows.ahead.begin().await?;
        Ok(rows)
    }
}

/// Reads until the end, or until nobody listens.
async fn read(conn: &mut Conn, sql: &str, feed: &mut Feed) -> mysql_async::Result<()> {
    let mut result = conn.query_iter(sql).await?;
    let (mut columns, mut readings) = (Vec::new(), Vec::new());
    for column in result.columns_ref() {
        let (reading, kind, type_name) = understood(column);
        let name = column.name_str().into_owned();
        columns.push(ColumnHead { name, type_name, kind });
        readings.push(reading);
    }
    if feed.sender.send(Message::Columns(columns)).await.is_err() {
        return Ok(());
    }
    let mut chunk = Chunk::default();
    chunk.clear(readings.len());
    while let Some(row) = result.next().await? {
        for (value, reading) in row.unwrap().iter().zip(&readings) {
            match value {
                Value::NULL => chunk.push(Cell::Null),
                Value::Bytes(bytes) => push(&mut chunk, bytes, *reading),
                // The text protocol has no other values.
                other => chunk.push_text(other.as_sql(true).as_bytes()),
            }
        }
        if chunk.is_full() {
            let full = feed.replace(&mut chunk, readings.len());
            if feed.sender.send(full).await.is_err() {
                return Ok(());
            }
        }
    }
    if !chunk.is_empty() {
        let _ = feed.sender.send(Message::Rows(chunk)).await;
    }
    Ok(())
}

/// How to read a column, what it holds, and its type as far as the protocol says it.
fn understood(column: &Column) -> (Reading, ColumnKind, String) {
    use ColumnType as T;
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let whole = |name: &str| {
        let sign = if unsigned { " unsigned" } else { "" };
        (Reading::Whole, ColumnKind::Int, format!("{name}{sign}"))
    };
    let text = |kind, name: &str| (Reading::Text, kind, name.to_owned());
    match column.column_type() {
        T::MYSQL_TYPE_TINY => whole("tinyint"),
        T::MYSQL_TYPE_SHORT => whole("smallint"),
        T::MYSQL_TYPE_INT24 => whole("mediumint"),
        T::MYSQL_TYPE_LONG => whole("int"),
        T::MYSQL_TYPE_LONGLONG => whole("bigint"),
        T::MYSQL_TYPE_YEAR => (Reading::Whole, ColumnKind::Int, "year".to_owned()),
        T::MYSQL_TYPE_BIT => (Reading::Bits, ColumnKind::Int, "bit".to_owned()),
        T::MYSQL_TYPE_FLOAT => (Reading::Real, ColumnKind::Real, "float".to_owned()),
        T::MYSQL_TYPE_DOUBLE => (Reading::Real, ColumnKind::Real, "double".to_owned()),
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => {
            (Reading::Decimal, ColumnKind::Decimal, "decimal".to_owned())
        }
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => text(ColumnKind::Date, "date"),
        T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => text(ColumnKind::Time, "time"),
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => {
            (Reading::Timestamp, ColumnKind::Timestamp, "datetime".to_owned())
        }
        T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => {
            (Reading::Timestamp, ColumnKind::Timestamp, "timestamp".to_owned())
        }
        T::MYSQL_TYPE_JSON => text(ColumnKind::Json, "json"),
        _ if is_binary(column) => (Reading::Bytes, ColumnKind::Bytes, "blob".to_owned()),
        _ => text(ColumnKind::Text, "text"),
    }
}

#[async_trait]
impl RowStream for MysqlRows<'_> {
    fn columns(&self) -> &[ColumnHead] {
        &self.ahead.columns
    }

    async fn next(&mut self, chunk: &mut Chunk) -> Result<bool, DbError> {
        self.ahead.next(chunk).await
    }
}

fn push(chunk: &mut Chunk, bytes: &[u8], reading: Reading) {
    let text = std::str::from_utf8(bytes).ok();
    let read = match reading {
        Reading::Bytes => Some(Cell::Bytes(bytes)),
        Reading::Bits => {
            let all = bytes.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
            Some(Cell::UInt(all))
        }
        Reading::Whole => text.and_then(|text| {
            let signed = text.parse().ok().map(Cell::Int);
            signed.or_else(|| text.parse().ok().map(Cell::UInt))
        }),
        Reading::Real => text.and_then(|text| text.parse().ok().map(Cell::Real)),
        Reading::Decimal => text.map(Cell::Decimal),
        Reading::Timestamp => {
            if let Some((date, time)) = text.and_then(|text| text.split_once(' ')) {
                return chunk.write_text(|out| {
                    out.push_str(date);
                    out.push('T');
                    out.push_str(time);
                });
            }
            None
        }
        Reading::Text => None,
    };
    match read {
        Some(cell) => chunk.push(cell),
        None => chunk.push_text(bytes),
    }
}
