//! From a column's value to JSON, as the schema wants it.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::expect::{Expect, Types};
use crate::rows::{Cell, ColumnKind};

/// A value on its way to JSON; what need not be copied is not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mapped<'a> {
    /// No property.
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Real(f64),
    Text(Cow<'a, str>),
    /// A JSON document.
    Json(Value),
}

impl Mapped<'_> {
    /// The value; `None` if there is no property.
    pub(super) fn into_value(self) -> Option<Value> {
        Some(match self {
            Mapped::Absent => return None,
            Mapped::Null => Value::Null,
            Mapped::Bool(value) => value.into(),
            Mapped::Int(value) => value.into(),
            Mapped::UInt(value) => value.into(),
            // JSON has no infinity; its name is no number.
            Mapped::Real(value) => Number::from_f64(value)
                .map_or_else(|| Value::String(value.to_string()), Value::Number),
            Mapped::Text(text) => Value::String(text.into_owned()),
            Mapped::Json(value) => value,
        })
    }
}

/// Maps a value of a column.
///
/// The table of it is in docs/reference/rules.md.
pub(super) fn map<'a>(cell: Cell<'a>, kind: ColumnKind, expect: &Expect) -> Mapped<'a> {
    let types = expect.types;
    let wants_text = types.has(Types::STRING) && !types.has(Types::NUMBER);
    match cell {
        Cell::Null if types.has(Types::NULL) => Mapped::Null,
        Cell::Null => Mapped::Absent,
        Cell::Bool(value) => Mapped::Bool(value),
        Cell::Int(value @ (0 | 1)) if !types.has(Types::NUMBER) && types.has(Types::BOOLEAN) => {
            Mapped::Bool(value == 1)
        }
        Cell::UInt(value @ (0 | 1)) if !types.has(Types::NUMBER) && types.has(Types::BOOLEAN) => {
            Mapped::Bool(value == 1)
        }
        Cell::Int(value) if wants_text => Mapped::Text(value.to_string().into()),
        Cell::UInt(value) if wants_text => Mapped::Text(value.to_string().into()),
        Cell::Real(value) if wants_text => Mapped::Text(value.to_string().into()),
        Cell::Int(value) => Mapped::Int(value),
        Cell::UInt(value) => Mapped::UInt(value),
        Cell::Real(value) => Mapped::Real(value),
        Cell::Decimal(text) if wants_text => Mapped::Text(text.into()),
        Cell::Decimal(text) => decimal(text),
        Cell::Text(text) => self::text(text, kind, expect),
        Cell::Bytes(bytes) => self::bytes(bytes, expect),
    }
}

/// A decimal as a number where that loses nothing, else as its text.
fn decimal(text: &str) -> Mapped<'_> {
    if let Ok(value) = text.parse::<i64>() {
        return Mapped::Int(value);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && is_exact(text, value) => Mapped::Real(value),
        _ => Mapped::Text(text.into()),
    }
}

/// Whether the shortest text of the number has the decimal's digits.
fn is_exact(text: &str, value: f64) -> bool {
    // Fifteen digits always survive.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits <= 15 || plain(text) == plain(&value.to_string())
}

/// A plain decimal without what does not count: plus sign, zeros in front and behind.
fn plain(text: &str) -> (bool, String) {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    (negative, format!("{whole}.{fraction}"))
}

fn text<'a>(text: &'a str, kind: ColumnKind, expect: &Expect) -> Mapped<'a> {
    let types = expect.types;
    let document = match kind {
        ColumnKind::Json => true,
        // SQLite and MariaDB keep documents in text.
        ColumnKind::Any | ColumnKind::Text => {
            !types.has(Types::STRING) && types.has(Types::OBJECT.or(Types::ARRAY))
        }
        _ => false,
    };
    if document {
        let value = serde_json::from_str(text);
        return value.map_or(Mapped::Text(text.into()), Mapped::Json);
    }
    let format = expect.format.as_deref();
    match kind {
        ColumnKind::Timestamp => Mapped::Text(with_z(text)),
        ColumnKind::Time if format == Some("time") && !has_offset(text) => {
            Mapped::Text(with_z(text))
        }
        ColumnKind::Any | ColumnKind::Text if format == Some("date-time") => {
            Mapped::Text(utc(text))
        }
        _ => Mapped::Text(text.into()),
    }
}

fn with_z(text: &str) -> Cow<'_, str> {
    // `infinity` and zero dates stay what they are.
    let is_time = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if is_time { Cow::Owned(format!("{text}Z")) } else { Cow::Borrowed(text) }
}

fn has_offset(time: &str) -> bool {
    time.contains(['Z', '+', '-'])
}

/// SQLite's own form of a time (`2026-11-21 10:15:00`, UTC) as RFC 3339 writes it; every other
/// text as it is.
fn utc(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let at = |index: usize| bytes.get(index).copied();
    let is_head = digits(0..4)
        && at(4) == Some(b'-')
        && digits(5..7)
        && at(7) == Some(b'-')
        && digits(8..10)
        && matches!(at(10), Some(b' ' | b'T'))
        && digits(11..13)
        && at(13) == Some(b':')
        && digits(14..16);
    let tail = bytes.get(16..).unwrap_or_default();
    let is_tail = tail.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    if !is_head || !is_tail {
        return Cow::Borrowed(text);
    }
    let seconds = if tail.is_empty() { ":00" } else { "" };
    match (text.get(..10), text.get(11..)) {
        (Some(date), Some(time)) => Cow::Owned(format!("{date}T{time}{seconds}Z")),
        _ => Cow::Borrowed(text),
    }
}

fn bytes<'a>(bytes: &'a [u8], expect: &Expect) -> Mapped<'a> {
    let is_uuid = expect.format.as_deref() == Some("uuid");
    match <[u8; 16]>::try_from(bytes) {
        Ok(id) if is_uuid => {
            let mut out = String::with_capacity(36);
            for (index, byte) in id.iter().enumerate() {
                if matches!(index, 4 | 6 | 8 | 10) {
                    out.push('-');
                }
                out.push_str(&format!("{byte:02x}"));
            }
            Mapped::Text(out.into())
        }
        _ => Mapped::Text(base64(bytes).into()),
    }
}

/// Base64 as RFC 4648 has it, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or(0));
        let all = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = (all >> shift) & 63;
            let letter = LETTERS.get(index as usize).copied().unwrap_or(b'A');
            out.push(if at <= part.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(cell: Cell<'_>, kind: ColumnKind, schema: &Value) -> Option<Value> {
        map(cell, kind, &Expect::of(schema, schema)).into_value()
    }

    #[test]
    fn the_table_of_the_mapping() {
        use Cell::{Bool, Bytes, Decimal, Int, Null, Real, Text, UInt};
        use ColumnKind as K;
        let string = || json!({"type": "string"});
        let number = || json!({"type": "number"});
        let date_time = || json!({"type": "string", "format": "date-time"});
        let object = || json!({"type": "object"});
        let big = "12345678901234567890.12";
        let rows: Vec<(Cell<'_>, K, Value, Option<Value>)> = vec![
            (Null, K::Text, string(), None),
            (Null, K::Text, json!({"type": ["string", "null"]}), Some(Value::Null)),
            (Null, K::Text, json!({}), Some(Value::Null)),
            (Int(5), K::Int, json!({"type": "integer"}), Some(json!(5))),
            (Int(i64::MIN), K::Int, number(), Some(json!(i64::MIN))),
            (UInt(u64::MAX), K::Int, number(), Some(json!(u64::MAX))),
            (Int(5), K::Int, string(), Some(json!("5"))),
            (Int(1), K::Int, json!({"type": "boolean"}), Some(json!(true))),
            (Int(0), K::Int, json!({"type": ["boolean", "null"]}), Some(json!(false))),
            (Int(2), K::Int, json!({"type": "boolean"}), Some(json!(2))),
            (Int(1), K::Int, json!({"type": ["boolean", "integer"]}), Some(json!(1))),
            (Bool(true), K::Bool, json!({"type": "integer"}), Some(json!(true))),
            (Decimal("1.50"), K::Decimal, number(), Some(json!(1.5))),
            (Decimal("7"), K::Decimal, number(), Some(json!(7))),
            (Decimal("0.1"), K::Decimal, number(), Some(json!(0.1))),
            (Decimal("1.50"), K::Decimal, string(), Some(json!("1.50"))),
            (Decimal(big), K::Decimal, json!({"type": ["number", "string"]}), Some(json!(big))),
            (Decimal(big), K::Decimal, number(), Some(json!(big))),
            (Decimal("NaN"), K::Decimal, number(), Some(json!("NaN"))),
            (Real(0.5), K::Real, number(), Some(json!(0.5))),
            (Real(f64::NAN), K::Real, number(), Some(json!("NaN"))),
            (
                Text("2026-11-21T10:15:00"),
                K::Timestamp,
                string(),
                Some(json!("2026-11-21T10:15:00Z")),
            ),
            (
                Text("2026-11-21T10:15:00Z"),
                K::TimestampTz,
                date_time(),
                Some(json!("2026-11-21T10:15:00Z")),
            ),
            (Text("infinity"), K::Timestamp, date_time(), Some(json!("infinity"))),
            (
                Text("2026-11-21 10:15:00.5"),
                K::Any,
                date_time(),
                Some(json!("2026-11-21T10:15:00.5Z")),
            ),
            (Text("2026-11-21 10:15"), K::Any, date_time(), Some(json!("2026-11-21T10:15:00Z"))),
            (Text("2026-11-21 10:15:00"), K::Any, string(), Some(json!("2026-11-21 10:15:00"))),
            (Text("soon"), K::Any, date_time(), Some(json!("soon"))),
            (Text("10:15:00"), K::Time, string(), Some(json!("10:15:00"))),
            (
                Text("10:15:00"),
                K::Time,
                json!({"type": "string", "format": "time"}),
                Some(json!("10:15:00Z")),
            ),
            (Text("{\"a\":1}"), K::Json, object(), Some(json!({"a": 1}))),
            (Text("{\"a\":1}"), K::Json, string(), Some(json!({"a": 1}))),
            (Text("{\"a\":1}"), K::Any, object(), Some(json!({"a": 1}))),
            (Text("{\"a\":1}"), K::Any, string(), Some(json!("{\"a\":1}"))),
            (Text("{oops"), K::Any, object(), Some(json!("{oops"))),
            (Text("[1]"), K::Text, json!({"type": ["array", "null"]}), Some(json!([1]))),
            (Bytes(&[0, 255, 3, 4]), K::Bytes, string(), Some(json!("AP8DBA=="))),
            (
                Bytes(&[1; 16]),
                K::Bytes,
                json!({"type": "string", "format": "uuid"}),
                Some(json!("01010101-0101-0101-0101-010101010101")),
            ),
        ];
        for (cell, kind, schema, want) in rows {
            assert_eq!(value(cell, kind, &schema), want, "{cell:?} {kind:?} {schema}");
        }
    }

    #[test]
    fn base64_pads() {
        for (bytes, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
    }
}
