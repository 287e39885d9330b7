//! Rows into a table, by INSERTs of many rows each.
//!
//! Whoever loads has set the session's `sql_mode` to a strict one without `NO_BACKSLASH_ESCAPES`.

use std::fmt::Write as _;

use async_trait::async_trait;
use whimbrel_core::rows::{Cell, Chunk, Row};
use whimbrel_core::transfer::{Class, Family};

use super::client::Client;
use crate::backend::{DbError, DbErrorKind, LoadInto, RowSink};

/// How long an INSERT may become, in bytes, where the server takes that much.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// INSERTs that are sent when they are long enough.
pub(super) struct MysqlSink<'a> {
    client: &'a mut Client,
    head: String,
    families: Vec<Family>,
    sql: String,
    rows: u64,
}

impl<'a> MysqlSink<'a> {
    pub(super) fn start(client: &'a mut Client, into: &LoadInto) -> MysqlSink<'a> {
        let head = format!("INSERT INTO {} ({}) VALUES ", into.table, into.column_list());
        let families = into.columns.iter().map(|(_, class)| Class::family(class)).collect();
        MysqlSink { client, head, families, sql: String::new(), rows: 0 }
    }

    async fn send(&mut self) -> Result<(), DbError> {
        if self.sql.is_empty() {
            return Ok(());
        }
        let outcome = self.client.run(&self.sql).await?;
        self.sql.clear();
        // In strict mode a warning is a value that was cut all the same.
        if let Some(warning) = outcome.notices.iter().find(|notice| notice.severity == "Warning") {
            let mut error = DbError::new(DbErrorKind::Statement, warning.message.clone());
            error.code = warning.code.clone();
            return Err(error);
        }
        self.rows += outcome.rows_affected.unwrap_or(0);
        Ok(())
    }

    fn push(&mut self, row: Row<'_>) {
        self.sql.push_str(if self.sql.is_empty() { &self.head } else { ", " });
        self.sql.push('(');
        for (column, family) in self.families.iter().enumerate() {
            if column > 0 {
                self.sql.push_str(", ");
            }
            literal(&mut self.sql, row.cell(column), *family);
        }
        self.sql.push(')');
    }
}

#[async_trait]
impl RowSink for MysqlSink<'_> {
    async fn write(&mut self, chunk: &Chunk) -> Result<(), DbError> {
        let bytes_max = STATEMENT_BYTES_MAX.min(self.client.packet_bytes_max() / 2);
        for row in chunk.rows() {
            self.push(row);
            if self.sql.len() >= bytes_max {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, DbError> {
        self.send().await?;
        Ok(self.rows)
    }
}

/// Writing into a string cannot fail.
fn literal(out: &mut String, cell: Cell<'_>, family: Family) {
    match cell {
        Cell::Null => out.push_str("NULL"),
        Cell::Bool(value) => out.push(if value { '1' } else { '0' }),
        Cell::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Cell::UInt(value) => {
            let _ = write!(out, "{value}");
        }
        // With an exponent it is a floating point number for the server, too.
        Cell::Real(value) => {
            let _ = write!(out, "{value:e}");
        }
        Cell::Decimal(text) => out.push_str(text),
        Cell::Bytes(bytes) => {
            out.push_str("X'");
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('\'');
        }
        Cell::Text(text) => {
            let text = match family {
                Family::TimestampTz => text.strip_suffix('Z').unwrap_or(text),
                _ => text,
            };
            out.push('\'');
            for piece in text.split_inclusive(['\'', '\\', '\0']) {
                let special = piece.chars().next_back();
                match special {
                    Some(c @ ('\'' | '\\' | '\0')) => {
                        out.push_str(piece.strip_suffix(c).unwrap_or(piece));
                        out.push('\\');
                        out.push(if c == '\0' { '0' } else { c });
                    }
                    _ => out.push_str(piece),
                }
            }
            out.push('\'');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        let of = |cell, family| {
            let mut out = String::new();
            literal(&mut out, cell, family);
            out
        };
        assert_eq!(of(Cell::Text("it's \\ a\0b"), Family::Text), "'it\\'s \\\\ a\\0b'");
        assert_eq!(of(Cell::Real(1e300), Family::Real), "1e300");
        assert_eq!(of(Cell::Real(0.1), Family::Real), "1e-1");
        assert_eq!(of(Cell::Bytes(&[0, 255]), Family::Bytes), "X'00ff'");
        let moment = Cell::Text("2026-11-21T10:15:00Z");
        assert_eq!(of(moment, Family::TimestampTz), "'2026-11-21T10:15:00'");
    }
}
