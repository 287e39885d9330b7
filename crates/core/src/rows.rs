//! Rows on their way: a chunk of them in one piece of memory, with typed cells.

use std::ops::Range;

use crate::calendar::civil;

/// About how many bytes of rows a chunk holds; only a single longer row makes it larger.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// What a column holds, as far as the way of its values matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int,
    /// Floating point.
    Real,
    /// Exact decimals, as text.
    Decimal,
    /// Text of any sort, also what has no kind of its own here (enums, addresses, ranges).
    Text,
    /// Bytes.
    Bytes,
    /// `2026-11-21`.
    Date,
    /// `10:15:00` or `10:15:00.25`, on PostgreSQL perhaps with an offset.
    Time,
    /// `2026-11-21T10:15:00`, without a time zone.
    Timestamp,
    /// `2026-11-21T10:15:00Z`, always UTC.
    TimestampTz,
    /// `123e4567-e89b-12d3-a456-426614174000`.
    Uuid,
    /// A JSON document as text.
    Json,
    /// The column has no type of its own; each value says what it is (SQLite).
    Any,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnHead {
    /// Its name.
    pub name: String,
    /// Its type as the catalog prints it; empty where the database does not say.
    pub type_name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that may not fit the signed type.
    UInt(u64),
    /// A floating point number.
    Real(f64),
    /// An exact decimal, as the database prints it.
    Decimal(&'a str),
    /// Text; dates, times, uuids and JSON too, as [`ColumnKind`] says.
    Text(&'a str),
    /// Bytes; also text that is not UTF-8.
    Bytes(&'a [u8]),
}

/// Where a value lies.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Real(f64),
    Decimal(u32, u32),
    Text(u32, u32),
    Bytes(u32, u32),
}

/// Some rows. The memory is used again after [`Chunk::clear`].
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    columns: usize,
    slots: Vec<Slot>,
    text: String,
    bytes: Vec<u8>,
}

impl Chunk {
    /// Forgets the rows; the next ones have so many columns.
    pub fn clear(&mut self, columns: usize) {
        self.columns = columns;
        self.slots.clear();
        self.text.clear();
        self.bytes.clear();
    }

    /// How many whole rows it holds.
    pub fn len(&self) -> usize {
        self.slots.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>() + self.text.len() + self.bytes.len()
    }

    /// Whether it holds about as many bytes as it should.
    pub fn is_full(&self) -> bool {
        self.bytes() >= CHUNK_BYTES_MAX
    }

    /// Row number `index`.
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        let start = index.checked_mul(self.columns)?;
        let slots = self.slots.get(start..start + self.columns)?;
        Some(Row { slots, text: &self.text, bytes: &self.bytes })
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let slots = self.slots.chunks_exact(self.columns.max(1));
        slots.map(|slots| Row { slots, text: &self.text, bytes: &self.bytes })
    }

    /// The values so far of the row that is being written.
    pub fn begun(&self) -> Row<'_> {
        let start = self.len() * self.columns;
        let slots = self.slots.get(start..).unwrap_or_default();
        Row { slots, text: &self.text, bytes: &self.bytes }
    }

    /// Appends a value to the row that is being written.
    pub fn push(&mut self, cell: Cell<'_>) {
        let slot = match cell {
            Cell::Null => Slot::Null,
            Cell::Bool(value) => Slot::Bool(value),
            Cell::Int(value) => Slot::Int(value),
            Cell::UInt(value) => Slot::UInt(value),
            Cell::Real(value) => Slot::Real(value),
            Cell::Decimal(text) => {
                let (at, len) = self.put(text);
                Slot::Decimal(at, len)
            }
            Cell::Text(text) => {
                let (at, len) = self.put(text);
                Slot::Text(at, len)
            }
            Cell::Bytes(bytes) => {
                let at = short(self.bytes.len());
                self.bytes.extend_from_slice(bytes);
                Slot::Bytes(at, short(bytes.len()))
            }
        };
        self.slots.push(slot);
    }

    /// Appends text that is UTF-8, or else the bytes that it was meant to be.
    pub fn push_text(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Cell::Text(text)),
            Err(_) => self.push(Cell::Bytes(bytes)),
        }
    }

    /// Appends text that `write` makes.
    pub fn write_text(&mut self, write: impl FnOnce(&mut String)) {
        let at = self.text.len();
        write(&mut self.text);
        let len = short(self.text.len() - at);
        self.slots.push(Slot::Text(short(at), len));
    }

    /// Appends a decimal that `write` makes.
    pub fn write_decimal(&mut self, write: impl FnOnce(&mut String)) {
        let at = self.text.len();
        write(&mut self.text);
        let len = short(self.text.len() - at);
        self.slots.push(Slot::Decimal(short(at), len));
    }

    fn put(&mut self, text: &str) -> (u32, u32) {
        let at = short(self.text.len());
        self.text.push_str(text);
        (at, short(text.len()))
    }
}

/// No database has a value of 4 GiB; a chunk is full long before.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// One row of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    slots: &'a [Slot],
    text: &'a str,
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The value of a column; NULL where there is no such column.
    pub fn cell(&self, column: usize) -> Cell<'a> {
        let range = |at: u32, len: u32| -> Range<usize> {
            let at = at as usize;
            at..at.saturating_add(len as usize)
        };
        let text = |at, len| self.text.get(range(at, len)).unwrap_or_default();
        match self.slots.get(column) {
            None | Some(Slot::Null) => Cell::Null,
            Some(Slot::Bool(value)) => Cell::Bool(*value),
            Some(Slot::Int(value)) => Cell::Int(*value),
            Some(Slot::UInt(value)) => Cell::UInt(*value),
            Some(Slot::Real(value)) => Cell::Real(*value),
            Some(Slot::Decimal(at, len)) => Cell::Decimal(text(*at, *len)),
            Some(Slot::Text(at, len)) => Cell::Text(text(*at, *len)),
            Some(Slot::Bytes(at, len)) => {
                Cell::Bytes(self.bytes.get(range(*at, *len)).unwrap_or_default())
            }
        }
    }
}

/// Appends `2026-11-21` for a day counted from 1970-01-01. Years before 1 are written as ISO 8601
/// has them, the year 0 and years above 9999 with a plus sign: without one, 0 is no year.
pub fn write_date(out: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    if !(1..=9_999).contains(&year) {
        out.push(if year < 0 { '-' } else { '+' });
    }
    let year = year.unsigned_abs();
    if year > 9_999 {
        out.push_str(&format!("{year:06}"));
    } else {
        two(out, year / 100);
        two(out, year % 100);
    }
    out.push('-');
    two(out, month.unsigned_abs());
    out.push('-');
    two(out, day.unsigned_abs());
}

/// Appends `10:15:00`, with a fraction only where there is one.
pub fn write_time(out: &mut String, micros: i64) {
    let micros = micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    two(out, seconds / 3_600);
    out.push(':');
    two(out, seconds / 60 % 60);
    out.push(':');
    two(out, seconds % 60);
    let fraction = micros % 1_000_000;
    if fraction > 0 {
        let digits = format!(".{fraction:06}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn two(out: &mut String, number: u64) {
    let digit = |value: u64| char::from(b'0' + u8::try_from(value % 10).unwrap_or(0));
    out.push(digit(number / 10));
    out.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_gives_back_what_was_put_in() {
        let mut chunk = Chunk::default();
        for _ in 0..2 {
            chunk.clear(3);
            assert!(chunk.is_empty() && chunk.row(0).is_none());
            for cell in [Cell::Int(-1), Cell::Text("ünï"), Cell::Bytes(&[0, 255])] {
                chunk.push(cell);
            }
            chunk.push(Cell::Null);
            assert_eq!((chunk.begun().len(), chunk.begun().cell(0)), (1, Cell::Null));
            chunk.push_text(b"\xff");
            chunk.write_decimal(|out| out.push_str("1.50"));
            assert_eq!(chunk.len(), 2);
            let rows: Vec<Vec<Cell<'_>>> =
                chunk.rows().map(|row| (0..4).map(|at| row.cell(at)).collect()).collect();
            assert_eq!(rows[0][..3], [Cell::Int(-1), Cell::Text("ünï"), Cell::Bytes(&[0, 255])]);
            let second = [Cell::Null, Cell::Bytes(&[255]), Cell::Decimal("1.50"), Cell::Null];
            assert_eq!(rows[1], second);
        }
    }

    #[test]
    fn a_chunk_is_full_by_bytes() {
        let mut chunk = Chunk::default();
        chunk.clear(1);
        chunk.push(Cell::Text(&"x".repeat(CHUNK_BYTES_MAX)));
        assert!(chunk.is_full());
        chunk.clear(1);
        assert!(!chunk.is_full());
    }

    #[test]
    fn dates_and_times() {
        let date = |days| {
            let mut out = String::new();
            write_date(&mut out, days);
            out
        };
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(-719_162), "0001-01-01");
        assert_eq!(date(2_932_897), "+010000-01-01");
        assert_eq!(date(-719_529), "-0001-12-31");
        let time = |micros| {
            let mut out = String::new();
            write_time(&mut out, micros);
            out
        };
        assert_eq!(time(0), "00:00:00");
        assert_eq!(time(86_399_250_000), "23:59:59.25");
        assert_eq!(time(1), "00:00:00.000001");
    }
}
