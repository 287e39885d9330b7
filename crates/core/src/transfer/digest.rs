//! Digests of rows that are the same in every database: over the values, not over their bytes.

use sha2::{Digest as _, Sha256};

use super::class::Class;
use super::values::without_zeros;
use crate::rows::{Cell, Row};

/// Into how many parts the rows of a table are divided, by the digest of their keys.
pub(super) const BUCKETS: usize = 1_024;

/// The digest of a row or of its key.
pub type RowDigest = u128;

/// Makes the digests of rows whose values have these classes.
#[derive(Clone, Debug)]
pub struct Digester {
    classes: Vec<Class>,
    key: Vec<usize>,
    hash: Sha256,
    text: String,
}

impl Digester {
    /// For columns of these classes, of which some are the key; without a key a row is its own.
    pub fn new(classes: Vec<Class>, key: Vec<usize>) -> Digester {
        Digester { classes, key, hash: Sha256::new(), text: String::new() }
    }

    /// The digests of a row's key and of all of it.
    pub fn row(&mut self, row: Row<'_>) -> (RowDigest, RowDigest) {
        let columns = self.classes.len();
        let all = self.of(row, 0..columns);
        if self.key.is_empty() {
            return (all, all);
        }
        let key = std::mem::take(&mut self.key);
        let of_key = self.of(row, key.iter().copied());
        self.key = key;
        (of_key, all)
    }

    fn of(&mut self, row: Row<'_>, columns: impl Iterator<Item = usize>) -> RowDigest {
        for column in columns {
            self.add(row.cell(column), column);
        }
        let bytes = self.hash.finalize_reset();
        let first = bytes.first_chunk::<16>().copied().unwrap_or_default();
        u128::from_be_bytes(first)
    }

    /// A tag, the length where there is one, and the value in its one form.
    fn add(&mut self, cell: Cell<'_>, column: usize) {
        match cell {
            Cell::Null => self.hash.update([0]),
            Cell::Bool(value) => self.whole(i128::from(value)),
            Cell::Int(value) => self.whole(i128::from(value)),
            Cell::UInt(value) => self.whole(i128::from(value)),
            Cell::Real(value) => {
                let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
                self.hash.update([2]);
                self.hash.update(bits.to_be_bytes());
            }
            Cell::Bytes(bytes) => self.bytes(4, bytes),
            Cell::Decimal(text) => self.bytes(3, plain_decimal(text).as_bytes()),
            Cell::Text(text) => {
                let json = matches!(self.classes.get(column), Some(Class::Json));
                if json && let Ok(value) = serde_json::from_str(text) {
                    let mut out = std::mem::take(&mut self.text);
                    out.clear();
                    write_json(&mut out, &value);
                    self.bytes(3, out.as_bytes());
                    self.text = out;
                    return;
                }
                let text = match self.classes.get(column) {
                    Some(Class::Text { padded: true, .. }) => text.trim_end_matches(' '),
                    Some(Class::Time(_) | Class::Timestamp(_)) => without_zeros(text),
                    Some(Class::TimestampTz(_)) => {
                        without_zeros(text.strip_suffix('Z').unwrap_or(text))
                    }
                    _ => text,
                };
                self.bytes(3, text.as_bytes());
            }
        }
    }

    fn whole(&mut self, value: i128) {
        self.hash.update([1]);
        self.hash.update(value.to_be_bytes());
    }

    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.hash.update([tag]);
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }
}

/// Without zeros at the end of the digits behind the point.
fn plain_decimal(text: &str) -> &str {
    let text = without_zeros(text);
    if text == "-0" { "0" } else { text }
}

/// Objects with their names in order, as `jsonb` keeps no order.
fn write_json(out: &mut String, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            names.sort_unstable();
            out.push('{');
            for name in names {
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_json(out, object.get(name).unwrap_or(&Value::Null));
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_json(out, item);
                out.push(',');
            }
            out.push(']');
        }
        Value::Number(number) => match number.as_f64() {
            Some(real) if number.is_f64() => out.push_str(&real.to_string()),
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

/// How many rows there are and the sum of their digests: the same for the same rows, in whatever
/// order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsDigest {
    rows: u64,
    sum: RowDigest,
}

impl RowsDigest {
    /// Adds a row.
    pub fn add(&mut self, row: RowDigest) {
        self.merge(RowsDigest { rows: 1, sum: row });
    }

    /// Adds the rows of another one.
    pub fn merge(&mut self, other: RowsDigest) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads what [`Display`](std::fmt::Display) writes: `rows:digits`.
    pub fn parse(text: &str) -> Option<RowsDigest> {
        let (rows, sum) = text.split_once(':')?;
        Some(RowsDigest { rows: rows.parse().ok()?, sum: RowDigest::from_str_radix(sum, 16).ok()? })
    }
}

impl std::fmt::Display for RowsDigest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{:032x}", self.rows, self.sum)
    }
}

/// The digests of a table's rows, for each part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    parts: Vec<RowsDigest>,
}

impl Default for Summary {
    fn default() -> Self {
        Summary { parts: vec![RowsDigest::default(); BUCKETS] }
    }
}

impl Summary {
    /// Adds a row.
    pub fn add(&mut self, key: RowDigest, row: RowDigest) {
        if let Some(part) = self.parts.get_mut(bucket(key)) {
            part.add(row);
        }
    }

    /// Adds the rows of another one.
    pub fn merge(&mut self, other: &Summary) {
        for (part, more) in self.parts.iter_mut().zip(&other.parts) {
            part.merge(*more);
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(RowsDigest::rows).sum()
    }

    /// The parts that differ.
    pub fn differences(&self, other: &Summary) -> Vec<usize> {
        let pairs = self.parts.iter().zip(&other.parts).enumerate();
        pairs.filter(|(_, (one, two))| one != two).map(|(at, _)| at).collect()
    }

    /// One digest of all of it, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for part in &self.parts {
            hash.update(part.rows.to_be_bytes());
            hash.update(part.sum.to_be_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The part that a row belongs to, by the digest of its key.
pub fn bucket(key: RowDigest) -> usize {
    usize::try_from(key % BUCKETS as u128).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Chunk;

    fn digest(class: &Class, cell: Cell<'_>) -> RowDigest {
        let mut chunk = Chunk::default();
        chunk.clear(1);
        chunk.push(cell);
        let row = chunk.row(0).unwrap();
        Digester::new(vec![class.clone()], Vec::new()).row(row).1
    }

    #[test]
    fn the_same_value_in_another_form_has_the_same_digest() {
        let decimal = Class::Decimal { digits: None };
        let time = Class::TimestampTz(6);
        for (class, one, two) in [
            (&decimal, Cell::Decimal("1.50"), Cell::Decimal("1.5")),
            (&decimal, Cell::Decimal("100"), Cell::Decimal("100.00")),
            (
                &time,
                Cell::Text("2026-11-21T10:15:00.250000"),
                Cell::Text("2026-11-21T10:15:00.25Z"),
            ),
            (&Class::Json, Cell::Text("{\"b\":1, \"a\":[1.0]}"), Cell::Text("{\"a\":[1],\"b\":1}")),
            (&Class::Bool, Cell::Bool(true), Cell::Int(1)),
        ] {
            assert_eq!(digest(class, one), digest(class, two), "{one:?}");
        }
    }

    #[test]
    fn other_values_have_other_digests() {
        let text = Class::Text { max: None, in_bytes: false, padded: false };
        let real = Class::Real { single: false };
        for (class, one, two) in [
            (&text, Cell::Text(""), Cell::Null),
            (&text, Cell::Text("a"), Cell::Text("a ")),
            (&text, Cell::Text("1.0"), Cell::Text("1")),
            (&real, Cell::Real(0.0), Cell::Real(-0.0)),
            (&real, Cell::Real(f64::NAN), Cell::Null),
            (&Class::Bytes { max: None }, Cell::Bytes(b"a"), Cell::Text("a")),
        ] {
            assert_ne!(digest(class, one), digest(class, two), "{one:?}");
        }
    }

    #[test]
    fn the_text_of_a_digest_is_read_back() {
        let mut digest = RowsDigest::default();
        for row in [RowDigest::MAX, 7, 1 << 100] {
            digest.add(row);
            assert_eq!(RowsDigest::parse(&digest.to_string()), Some(digest));
        }
        assert_eq!(digest.rows(), 3);
        for wrong in ["", "3", "x:0", "3:", "3:xyz", "-1:0"] {
            assert_eq!(RowsDigest::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_swapped_pair_and_a_doubled_row_are_seen() {
        let rows = |pairs: &[(i64, &str)]| {
            let classes = vec![Class::Int { bits: 64, unsigned: false }, Class::Other("x".into())];
            let mut digester = Digester::new(classes, vec![0]);
            let mut summary = Summary::default();
            for (key, text) in pairs {
                let mut chunk = Chunk::default();
                chunk.clear(2);
                chunk.push(Cell::Int(*key));
                chunk.push(Cell::Text(text));
                let (key, row) = digester.row(chunk.row(0).unwrap());
                summary.add(key, row);
            }
            summary
        };
        let right = rows(&[(1, "a"), (2, "b"), (3, "c")]);
        assert_eq!(right, rows(&[(3, "c"), (1, "a"), (2, "b")]));
        assert_eq!(right.rows(), 3);
        for wrong in [
            rows(&[(1, "b"), (2, "a"), (3, "c")]),
            rows(&[(1, "a"), (2, "b"), (3, "c"), (3, "c")]),
            rows(&[(1, "a"), (1, "a"), (2, "b"), (2, "b"), (3, "c")]),
        ] {
            assert!(!right.differences(&wrong).is_empty());
            assert_ne!(right.digest(), wrong.digest());
        }
    }
}
