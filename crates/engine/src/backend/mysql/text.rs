//! A table's rows as text: each row is a line `(value, ...)`, as it stands behind `VALUES`.

use std::fmt::Write as _;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{QueryResult, TextProtocol, Value};
use whimbrel_core::backup::RowsOf;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use super::client::Client;
use super::error::from_driver;
use crate::backend::{DbError, DbErrorKind, TextIn, TextOut};

/// Bytes that are read before the caller has a look at them.
const TURN_BYTES: usize = 64 * 1024;
/// How long an INSERT may become, in bytes, where the server takes that much.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// How the values of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As the server prints it.
    Number,
    /// With an exponent, so that it is read as a floating point number, also `-0`.
    Real,
    /// In quotes.
    Text,
    /// In hexadecimal digits: bytes, and texts in other character sets, which stay as they are.
    Bytes,
}

/// How a column of this type and character set is written.
fn form(kind: &str, charset: &str) -> Form {
    match kind {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" => {
            Form::Number
        }
        "float" | "double" => Form::Real,
        "date" | "time" | "datetime" | "timestamp" | "json" | "uuid" | "inet4" | "inet6" => {
            Form::Text
        }
        _ if charset.starts_with("utf8") => Form::Text,
        _ => Form::Bytes,
    }
}

fn ident(name: &str) -> String {
    quote_ident(name, Dialect::Mysql)
}

/// The rows of a table.
pub(super) struct MysqlTextOut<'a> {
    result: QueryResult<'a, 'static, TextProtocol>,
    sql: String,
    forms: Vec<Form>,
    is_done: bool,
}

impl<'a> MysqlTextOut<'a> {
    pub(super) async fn start(client: &'a mut Client, of: &RowsOf) -> Result<Self, DbError> {
        let types = format!(
            "SELECT column_name, data_type, COALESCE(character_set_name, '') \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = {}",
            quote_text(&of.table, Dialect::Mysql)
        );
        let types = client.sets(&types).await?.pop().unwrap_or_default();
        let value = |row: &crate::backend::Row, at: usize| row.get(at).cloned().flatten();
        let (mut forms, mut expressions) = (Vec::new(), Vec::new());
        for name in &of.columns {
            let row = types.iter().find(|row| value(row, 0).as_deref() == Some(name));
            let kind = row.and_then(|row| value(row, 1)).unwrap_or_default();
            let charset = row.and_then(|row| value(row, 2)).unwrap_or_default();
            let form = form(&kind.to_ascii_lowercase(), &charset);
            // A FLOAT is printed with six digits; as a DOUBLE with all that it has.
            let times = if form == Form::Real { " * 1e0" } else { "" };
            expressions.push(format!("{}{times}", ident(name)));
            forms.push(form);
        }
        if expressions.is_empty() {
            expressions.push("NULL".to_owned());
        }
        let sql = format!("SELECT {} FROM {}", expressions.join(", "), ident(&of.table));
        let conn = client.conn().await.map_err(|error| from_driver(error, Some(&sql)))?;
        let result = conn.query_iter(sql.clone()).await;
        let result = result.map_err(|error| from_driver(error, Some(&sql)))?;
        Ok(MysqlTextOut { result, sql, forms, is_done: false })
    }
}

#[async_trait]
impl TextOut for MysqlTextOut<'_> {
    async fn next(&mut self, to: &mut Vec<u8>) -> Result<bool, DbError> {
        let start = to.len();
        while !self.is_done && to.len() - start < TURN_BYTES {
            let row = self.result.next().await;
            let row = row.map_err(|error| from_driver(error, Some(&self.sql)))?;
            let Some(row) = row else {
                self.is_done = true;
                break;
            };
            to.push(b'(');
            for (at, (value, form)) in row.unwrap().iter().zip(&self.forms).enumerate() {
                if at > 0 {
                    to.push(b',');
                }
                match value {
                    Value::Bytes(bytes) => literal(to, bytes, *form),
                    // The text protocol has no other values than NULL.
                    _ => to.extend_from_slice(b"NULL"),
                }
            }
            to.extend_from_slice(b")\n");
        }
        Ok(to.len() > start)
    }
}

fn literal(to: &mut Vec<u8>, bytes: &[u8], form: Form) {
    match form {
        Form::Number => to.extend_from_slice(bytes),
        Form::Real => {
            to.extend_from_slice(bytes);
            if !bytes.contains(&b'e') {
                to.extend_from_slice(b"e0");
            }
        }
        Form::Text if std::str::from_utf8(bytes).is_ok() => {
            to.push(b'\'');
            for byte in bytes {
                let escaped = match byte {
                    0 => b'0',
                    b'\n' => b'n',
                    b'\r' => b'r',
                    0x1a => b'Z',
                    b'\'' | b'\\' => *byte,
                    _ => {
                        to.push(*byte);
                        continue;
                    }
                };
                to.extend_from_slice(&[b'\\', escaped]);
            }
            to.push(b'\'');
        }
        Form::Text | Form::Bytes => {
            let mut text = String::with_capacity(bytes.len() * 2 + 3);
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
            to.extend_from_slice(b"X'");
            to.extend_from_slice(text.as_bytes());
            to.push(b'\'');
        }
    }
}

/// INSERTs that are sent when they are long enough.
pub(super) struct MysqlTextIn<'a> {
    client: &'a mut Client,
    head: String,
    sql: String,
    /// The beginning of a row whose end has not come yet.
    open: Vec<u8>,
    rows: u64,
}

impl<'a> MysqlTextIn<'a> {
    pub(super) fn start(client: &'a mut Client, of: &RowsOf) -> MysqlTextIn<'a> {
        let columns: Vec<String> = of.columns.iter().map(|name| ident(name)).collect();
        let head = format!("INSERT INTO {} ({}) VALUES ", ident(&of.table), columns.join(", "));
        MysqlTextIn { client, head, sql: String::new(), open: Vec::new(), rows: 0 }
    }

    async fn row(&mut self, row: &[u8]) -> Result<(), DbError> {
        let Ok(row) = std::str::from_utf8(row) else {
            let message = "A row of the backup is no text";
            return Err(DbError::new(DbErrorKind::Statement, message));
        };
        let bytes_max = STATEMENT_BYTES_MAX.min(self.client.packet_bytes_max() / 2);
        if self.sql.len() + row.len() > bytes_max {
            self.send().await?;
        }
        self.sql.push_str(if self.sql.is_empty() { &self.head } else { "," });
        self.sql.push_str(row);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), DbError> {
        if !self.sql.is_empty() {
            // What the mode in force lets in with a warning is found when rows are compared.
            let outcome = self.client.run(&self.sql).await?;
            self.rows += outcome.rows_affected.unwrap_or(0);
            self.sql.clear();
        }
        Ok(())
    }
}

#[async_trait]
impl TextIn for MysqlTextIn<'_> {
    async fn write(&mut self, text: Vec<u8>) -> Result<(), DbError> {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(row) if self.open.is_empty() => self.row(row).await?,
                Some(end) => {
                    self.open.extend_from_slice(end);
                    let row = std::mem::take(&mut self.open);
                    self.row(&row).await?;
                }
                None => self.open.extend_from_slice(line),
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, DbError> {
        self.send().await?;
        Ok(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        let of = |bytes: &[u8], form| {
            let mut out = Vec::new();
            literal(&mut out, bytes, form);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of(b"it's\n\\ a\0b\r\x1a", Form::Text), "'it\\'s\\n\\\\ a\\0b\\r\\Z'");
        assert_eq!(of(b"\xff", Form::Text), "X'ff'");
        assert_eq!(of(b"-0", Form::Real), "-0e0");
        assert_eq!(of(b"1.5e-300", Form::Real), "1.5e-300");
        assert_eq!(of(b"007", Form::Number), "007");
        assert_eq!(of(b"", Form::Bytes), "X''");
        assert_eq!(form("varchar", "latin1"), Form::Bytes);
        assert_eq!(form("enum", "utf8mb4"), Form::Text);
        assert_eq!(form("bit", ""), Form::Bytes);
    }
}
