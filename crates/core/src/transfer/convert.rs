//! Values of one column as values of another, or why that cannot be.

use std::fmt::{self, Write as _};

use super::class::{Affinity, Class, Family};
use super::times::{DAY_MICROS, read_date, read_moment, read_time};
use crate::rows::{Cell, write_date, write_time};
use crate::sql::dialect::Dialect;

/// Up to here every whole number is a floating point number of eight bytes.
const REAL_INT_MAX: u64 = 1 << 53;
/// Decimal digits that a floating point number of eight bytes always keeps.
const REAL_DIGITS_MAX: usize = 15;
/// Days of 0001-01-01 and 9999-12-31, between which MySQL has dates; from 1970-01-01.
const MYSQL_DAYS: (i64, i64) = (-719_162, 2_932_896);
/// The same for its `timestamp` in seconds, which ends in 2038 (1970-01-01 00:00:00 is its zero).
const MYSQL_TIMESTAMP_SECONDS: (i64, i64) = (1, 2_147_483_647);

/// Why a value cannot be brought over unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// `0000-00-00` and the like.
    ZeroDate,
    /// No date or time, or one that the target does not know.
    NoTime,
    /// Outside of the target's range.
    OutOfRange,
    /// Digits would be lost.
    Digits,
    /// Text in a column of numbers.
    TextAsNumber,
    /// SQLite would turn the text into a number.
    NumberLike,
    /// Not a number that the target knows.
    NotANumber,
    /// A NUL byte in text.
    NulByte,
    /// Bytes, or text that is not UTF-8, where text is wanted.
    NotUtf8,
    /// Longer than the target's column.
    TooLong,
    /// Blanks at its end would be lost.
    Blanks,
    /// The time zone is not known, or would be lost.
    Zone,
    /// Not a value of the target's type.
    WrongType,
}

impl Loss {
    /// A stable word for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Loss::ZeroDate => "zero-date",
            Loss::NoTime => "no-time",
            Loss::OutOfRange => "out-of-range",
            Loss::Digits => "digits",
            Loss::TextAsNumber => "text-as-number",
            Loss::NumberLike => "number-like",
            Loss::NotANumber => "not-a-number",
            Loss::NulByte => "nul-byte",
            Loss::NotUtf8 => "not-utf-8",
            Loss::TooLong => "too-long",
            Loss::Blanks => "blanks",
            Loss::Zone => "time-zone",
            Loss::WrongType => "wrong-type",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::ZeroDate => "a date without a day, such as `0000-00-00`",
            Loss::NoTime => "no date or time that the target knows",
            Loss::OutOfRange => "outside of the target's range",
            Loss::Digits => "digits would be lost",
            Loss::TextAsNumber => "text where the target wants a number",
            Loss::NumberLike => "text that the target would turn into a number",
            Loss::NotANumber => "a number that the target does not know",
            Loss::NulByte => "a NUL byte, which the target's text cannot hold",
            Loss::NotUtf8 => "bytes that are no UTF-8 text",
            Loss::TooLong => "longer than the target's column",
            Loss::Blanks => "blanks at its end, which the target would drop",
            Loss::Zone => "a time without its time zone (`--times-are-utc` says that all are UTC)",
            Loss::WrongType => "no value of the target's type",
        })
    }
}

/// Memory for one value that is written anew.
#[derive(Debug, Default)]
pub struct Scratch {
    text: String,
    bytes: Vec<u8>,
}

/// How the values of one column become those of another.
#[derive(Clone, Debug)]
pub struct Way {
    from: Class,
    to: Class,
    dialect: Dialect,
    same: bool,
    times_are_utc: bool,
}

impl Way {
    /// From a column of one database to a column of another. `times_are_utc` says that times
    /// without a zone are UTC.
    pub fn new(from: (Class, Dialect), to: (Class, Dialect), times_are_utc: bool) -> Way {
        let same = from == to;
        Way { from: from.0, to: to.0, dialect: to.1, same, times_are_utc }
    }

    /// The target's class.
    pub fn target(&self) -> &Class {
        &self.to
    }

    /// The value as the target's column will hold it.
    ///
    /// # Errors
    /// When it would be another one there.
    pub fn convert<'a>(&self, cell: Cell<'a>, scratch: &'a mut Scratch) -> Result<Cell<'a>, Loss> {
        if cell == Cell::Null {
            return Ok(cell);
        }
        if self.same {
            return Ok(cell);
        }
        match &self.to {
            Class::Bool => bool(cell),
            Class::Int { .. } => self.int(cell),
            Class::Real { single } => self.real(cell, *single),
            Class::Decimal { digits } => self.decimal(cell, *digits, scratch),
            Class::Text { .. } => self.text(cell, scratch),
            Class::Bytes { max } => bytes(cell, *max, &self.from, scratch),
            Class::Date | Class::Time(_) | Class::Timestamp(_) | Class::TimestampTz(_) => {
                self.time(cell, scratch)
            }
            Class::Uuid => uuid(cell, scratch),
            Class::Json | Class::Other(_) => self.plain(text_of(cell)?),
            Class::Dynamic(affinity) => self.dynamic(cell, *affinity, scratch),
        }
    }

    fn int<'a>(&self, cell: Cell<'a>) -> Result<Cell<'a>, Loss> {
        let value = whole(cell)?;
        let (least, greatest) = self.to.int_range().unwrap_or_default();
        if value < least || value > greatest {
            return Err(Loss::OutOfRange);
        }
        Ok(match i64::try_from(value) {
            Ok(value) => Cell::Int(value),
            Err(_) => Cell::UInt(u64::try_from(value).map_err(|_| Loss::OutOfRange)?),
        })
    }

    fn real<'a>(&self, cell: Cell<'a>, single: bool) -> Result<Cell<'a>, Loss> {
        let value = match cell {
            Cell::Real(value) => value,
            Cell::Int(value) if value.unsigned_abs() <= REAL_INT_MAX => value as f64,
            Cell::UInt(value) if value <= REAL_INT_MAX => value as f64,
            Cell::Int(_) | Cell::UInt(_) => return Err(Loss::Digits),
            Cell::Decimal(text) => decimal_as_real(text)?,
            Cell::Text(_) => return Err(Loss::TextAsNumber),
            _ => return Err(Loss::WrongType),
        };
        let finite = value.is_finite();
        if !finite && self.dialect == Dialect::Mysql {
            return Err(Loss::NotANumber);
        }
        if !single || !finite {
            return Ok(Cell::Real(value));
        }
        let short = shortest_single(value);
        let from_single = matches!(self.from, Class::Real { single: true });
        if short.is_finite() && (from_single || short == value) {
            Ok(Cell::Real(short))
        } else {
            Err(Loss::Digits)
        }
    }

    fn decimal<'a>(
        &self,
        cell: Cell<'a>,
        digits: Option<(i32, i32)>,
        scratch: &'a mut Scratch,
    ) -> Result<Cell<'a>, Loss> {
        scratch.text.clear();
        // Writing into a string cannot fail.
        let text: &'a str = match cell {
            Cell::Decimal(text) => text,
            Cell::Text(text) if is_plain_decimal(text) => text,
            Cell::Text(_) => return Err(Loss::TextAsNumber),
            Cell::Int(value) => {
                let _ = write!(scratch.text, "{value}");
                &scratch.text
            }
            Cell::UInt(value) => {
                let _ = write!(scratch.text, "{value}");
                &scratch.text
            }
            Cell::Real(value) if value.is_finite() => {
                let _ = write!(scratch.text, "{}", self.shortest(value));
                &scratch.text
            }
            Cell::Real(_) => return Err(Loss::NotANumber),
            _ => return Err(Loss::WrongType),
        };
        if !is_plain_decimal(text) {
            // NaN and infinity, which only PostgreSQL has.
            let known = self.dialect == Dialect::Postgres && digits.is_none();
            return if known { Ok(Cell::Decimal(text)) } else { Err(Loss::NotANumber) };
        }
        let Some((most, kept)) = digits else { return Ok(Cell::Decimal(text)) };
        let (whole, fraction) = significant(text);
        let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
        if count(fraction.len()) > kept {
            return Err(Loss::Digits);
        }
        if kept < 0 || (!whole.is_empty() && count(whole.len()) > most - kept) {
            return Err(Loss::OutOfRange);
        }
        Ok(Cell::Decimal(text))
    }

    /// A number of four bytes has its own shortest decimal.
    fn shortest(&self, value: f64) -> f64 {
        match self.from {
            Class::Real { single: true } => shortest_single(value),
            _ => value,
        }
    }

    fn text<'a>(&self, cell: Cell<'a>, scratch: &'a mut Scratch) -> Result<Cell<'a>, Loss> {
        let Class::Text { max, in_bytes, padded } = &self.to else { return Err(Loss::WrongType) };
        let mut text = self.as_text(cell, scratch)?;
        if *padded {
            let trimmed = text.trim_end_matches(' ');
            let was_padded = matches!(self.from, Class::Text { padded: true, .. });
            if trimmed.len() < text.len() && !was_padded {
                return Err(Loss::Blanks);
            }
            text = trimmed;
        } else if matches!(self.from, Class::Text { padded: true, .. }) {
            text = text.trim_end_matches(' ');
        }
        if let Some(max) = *max {
            let max = max as usize;
            let long = text.len() > max && (*in_bytes || text.chars().count() > max);
            if long {
                return Err(Loss::TooLong);
            }
        }
        self.plain(text)
    }

    /// The value as text, in the form that the table of mappings says.
    fn as_text<'a>(&self, cell: Cell<'a>, scratch: &'a mut Scratch) -> Result<&'a str, Loss> {
        scratch.text.clear();
        let out = &mut scratch.text;
        match cell {
            Cell::Text(text) => match self.from.family() {
                Family::Timestamp if text.contains('T') => out.push_str(&text.replace('T', " ")),
                Family::TimestampTz if !text.ends_with('Z') && text.contains('T') => {
                    let _ = write!(out, "{text}Z");
                }
                _ => return Ok(text),
            },
            Cell::Decimal(text) => return Ok(text),
            Cell::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Cell::UInt(value) => {
                let _ = write!(out, "{value}");
            }
            Cell::Real(value) => {
                let _ = write!(out, "{}", self.shortest(value));
            }
            Cell::Bytes(_) => return Err(Loss::NotUtf8),
            Cell::Bool(_) | Cell::Null => return Err(Loss::WrongType),
        }
        Ok(out)
    }

    /// Text that the target takes as it is.
    fn plain<'a>(&self, text: &'a str) -> Result<Cell<'a>, Loss> {
        if self.dialect == Dialect::Postgres && text.contains('\0') {
            return Err(Loss::NulByte);
        }
        Ok(Cell::Text(text))
    }

    fn time<'a>(&self, cell: Cell<'a>, scratch: &'a mut Scratch) -> Result<Cell<'a>, Loss> {
        let text = text_of(cell).map_err(|_| Loss::WrongType)?;
        if matches!(text, "infinity" | "-infinity") && self.to.family() != Family::Time {
            let known = self.dialect == Dialect::Postgres;
            return if known { Ok(cell) } else { Err(Loss::OutOfRange) };
        }
        let from_date = self.from.family() == Family::Date;
        match self.to {
            Class::Date => {
                let days = read_date(text).ok_or_else(|| no_time(text))?;
                self.within(days, 0)?;
                Ok(cell)
            }
            Class::Time(fraction) => {
                let micros = read_time(text).ok_or(Loss::NoTime)?;
                fits_fraction(micros, fraction)?;
                scratch.text.clear();
                write_time(&mut scratch.text, micros);
                Ok(Cell::Text(&scratch.text))
            }
            Class::Timestamp(fraction) | Class::TimestampTz(fraction) => {
                let micros = match read_date(text).filter(|_| from_date) {
                    Some(days) => days * DAY_MICROS,
                    None => self.moment(text)?,
                };
                let (days, rest) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
                fits_fraction(micros, fraction)?;
                self.within(days, micros)?;
                scratch.text.clear();
                write_date(&mut scratch.text, days);
                scratch.text.push('T');
                write_time(&mut scratch.text, rest);
                if matches!(self.to, Class::TimestampTz(_)) {
                    scratch.text.push('Z');
                }
                Ok(Cell::Text(&scratch.text))
            }
            _ => Err(Loss::WrongType),
        }
    }

    /// A moment, if its zone is known where the target has one, and can be left out where not.
    fn moment(&self, text: &str) -> Result<i64, Loss> {
        let read = read_moment(text).ok_or_else(|| no_time(text))?;
        // MySQL prints its `timestamp`, which is UTC here, without a zone.
        let zoned = read.zoned || self.from.family() == Family::TimestampTz;
        let wants_zone = matches!(self.to, Class::TimestampTz(_));
        if zoned == wants_zone || self.times_are_utc { Ok(read.micros) } else { Err(Loss::Zone) }
    }

    /// Whether the target knows the day.
    fn within(&self, days: i64, micros: i64) -> Result<(), Loss> {
        if self.dialect != Dialect::Mysql {
            return Ok(());
        }
        let inside = match self.to {
            Class::TimestampTz(_) => {
                let (least, greatest) = MYSQL_TIMESTAMP_SECONDS;
                (least..=greatest).contains(&micros.div_euclid(1_000_000))
            }
            _ => (MYSQL_DAYS.0..=MYSQL_DAYS.1).contains(&days),
        };
        if inside { Ok(()) } else { Err(Loss::OutOfRange) }
    }

    /// The value as SQLite will store it in a column of this affinity.
    fn dynamic<'a>(
        &self,
        cell: Cell<'a>,
        affinity: Affinity,
        scratch: &'a mut Scratch,
    ) -> Result<Cell<'a>, Loss> {
        let number = match cell {
            Cell::Bool(value) => Cell::Int(value.into()),
            Cell::UInt(value) => Cell::Int(i64::try_from(value).map_err(|_| Loss::OutOfRange)?),
            Cell::Real(value) if value.is_nan() || value.is_infinite() => {
                return Err(Loss::NotANumber);
            }
            Cell::Real(value) => Cell::Real(self.shortest(value)),
            other => other,
        };
        if affinity == Affinity::Text {
            return match number {
                Cell::Bytes(_) => Ok(number),
                other => Ok(Cell::Text(self.as_text(other, scratch)?)),
            };
        }
        match (number, affinity) {
            (Cell::Decimal(text), _) => number_of(decimal_as_real(text)?, affinity, Some(text)),
            (Cell::Real(value), _) => number_of(value, affinity, None),
            (Cell::Int(value), Affinity::Real) => {
                if value.unsigned_abs() > REAL_INT_MAX {
                    return Err(Loss::Digits);
                }
                Ok(Cell::Real(value as f64))
            }
            (Cell::Text(_), _)
                if self.from.family() == Family::Uuid && affinity == Affinity::Blob =>
            {
                bytes(number, Some(16), &self.from, scratch)
            }
            (Cell::Text(text), Affinity::Blob) => {
                Ok(Cell::Text(self.as_text(Cell::Text(text), scratch)?))
            }
            (Cell::Text(text), _) if looks_like_a_number(text) => Err(Loss::NumberLike),
            (Cell::Text(text), _) => Ok(Cell::Text(self.as_text(Cell::Text(text), scratch)?)),
            (other, _) => Ok(other),
        }
    }
}

/// A floating point number as SQLite keeps it: whole ones as whole numbers, but for REAL columns.
fn number_of(value: f64, affinity: Affinity, text: Option<&str>) -> Result<Cell<'_>, Loss> {
    if let Some(whole) = text.and_then(|text| text.parse::<i64>().ok())
        && affinity != Affinity::Real
    {
        return Ok(Cell::Int(whole));
    }
    let keeps = matches!(affinity, Affinity::Real | Affinity::Blob) && text.is_none();
    let whole = value as i64;
    if !keeps && affinity != Affinity::Real && whole as f64 == value && whole.abs() < i64::MAX {
        return Ok(Cell::Int(whole));
    }
    // SQLite has no negative zero on disk.
    Ok(Cell::Real(if value == 0.0 { 0.0 } else { value }))
}

fn bool(cell: Cell<'_>) -> Result<Cell<'_>, Loss> {
    match cell {
        Cell::Bool(_) => Ok(cell),
        Cell::Int(0) | Cell::UInt(0) => Ok(Cell::Bool(false)),
        Cell::Int(1) | Cell::UInt(1) => Ok(Cell::Bool(true)),
        Cell::Int(_) | Cell::UInt(_) => Err(Loss::OutOfRange),
        Cell::Text(_) => Err(Loss::TextAsNumber),
        _ => Err(Loss::WrongType),
    }
}

fn whole(cell: Cell<'_>) -> Result<i128, Loss> {
    match cell {
        Cell::Bool(value) => Ok(value.into()),
        Cell::Int(value) => Ok(value.into()),
        Cell::UInt(value) => Ok(value.into()),
        Cell::Real(value) if value.fract() == 0.0 && value.abs() <= REAL_INT_MAX as f64 => {
            Ok(value as i128)
        }
        Cell::Real(_) => Err(Loss::Digits),
        Cell::Decimal(text) => match significant(text) {
            (_, fraction) if !fraction.is_empty() => Err(Loss::Digits),
            _ => {
                let whole = text.split('.').next().unwrap_or(text);
                whole.parse().map_err(|_| Loss::OutOfRange)
            }
        },
        Cell::Text(text) => {
            let value: i128 = text.parse().map_err(|_| Loss::TextAsNumber)?;
            if value.to_string() == text { Ok(value) } else { Err(Loss::TextAsNumber) }
        }
        Cell::Bytes(_) | Cell::Null => Err(Loss::WrongType),
    }
}

fn text_of(cell: Cell<'_>) -> Result<&str, Loss> {
    match cell {
        Cell::Text(text) => Ok(text),
        Cell::Bytes(_) => Err(Loss::NotUtf8),
        _ => Err(Loss::WrongType),
    }
}

fn bytes<'a>(
    cell: Cell<'a>,
    max: Option<u32>,
    from: &Class,
    scratch: &'a mut Scratch,
) -> Result<Cell<'a>, Loss> {
    let bytes = match cell {
        Cell::Bytes(bytes) => bytes,
        Cell::Text(text) if from.family() == Family::Uuid => {
            let uuid = read_uuid(text).ok_or(Loss::WrongType)?;
            scratch.bytes.clear();
            scratch.bytes.extend_from_slice(&uuid);
            &scratch.bytes
        }
        _ => return Err(Loss::WrongType),
    };
    if max.is_some_and(|max| bytes.len() > max as usize) {
        return Err(Loss::TooLong);
    }
    Ok(Cell::Bytes(bytes))
}

fn uuid<'a>(cell: Cell<'a>, scratch: &'a mut Scratch) -> Result<Cell<'a>, Loss> {
    let uuid = match cell {
        Cell::Text(text) => read_uuid(text).ok_or(Loss::WrongType)?,
        Cell::Bytes(bytes) => bytes.try_into().map_err(|_| Loss::WrongType)?,
        _ => return Err(Loss::WrongType),
    };
    scratch.text.clear();
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            scratch.text.push('-');
        }
        let _ = write!(scratch.text, "{byte:02x}");
    }
    Ok(Cell::Text(&scratch.text))
}

/// The bytes of a UUID of 36 characters.
pub fn read_uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut out = [0_u8; 16];
    let mut digits = text.bytes().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
    if text.bytes().enumerate().any(|(at, b)| matches!(at, 8 | 13 | 18 | 23) != (b == b'-')) {
        return None;
    }
    for byte in &mut out {
        let mut digit = || char::from(digits.next()?.1).to_digit(16);
        *byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
    }
    Some(out)
}

fn no_time(text: &str) -> Loss {
    let zero = text.get(..10).is_some_and(|day| {
        let parts: Vec<&str> = day.split('-').collect();
        let digits = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        parts.len() == 3 && digits && parts.iter().any(|part| part.bytes().all(|b| b == b'0'))
    });
    if zero { Loss::ZeroDate } else { Loss::NoTime }
}

fn fits_fraction(micros: i64, digits: u8) -> Result<(), Loss> {
    let unit = 10_i64.pow(u32::from(6_u8.saturating_sub(digits)));
    if micros.rem_euclid(unit) == 0 { Ok(()) } else { Err(Loss::Digits) }
}

/// `-12.50`: a sign, digits, perhaps a point and digits.
fn is_plain_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all(whole) && all(fraction)
}

/// The digits in front of the point without leading zeros, and those behind it without zeros at
/// the end.
fn significant(text: &str) -> (&str, &str) {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    (whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

/// The number, if a floating point number of eight bytes keeps all its digits.
fn decimal_as_real(text: &str) -> Result<f64, Loss> {
    if !is_plain_decimal(text) {
        return Err(Loss::NotANumber);
    }
    let (whole, fraction) = significant(text);
    // Zeros at the end of a whole number, and behind the point before the first digit, are no
    // digits that must be kept.
    let count = if fraction.is_empty() {
        whole.trim_end_matches('0').len()
    } else if whole.is_empty() {
        fraction.trim_start_matches('0').len()
    } else {
        whole.len() + fraction.len()
    };
    if count > REAL_DIGITS_MAX {
        return Err(Loss::Digits);
    }
    text.parse().map_err(|_| Loss::NotANumber)
}

/// The number of four bytes as the eight byte number with the same shortest decimal.
fn shortest_single(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap_or(value)
}

/// Whether SQLite's numeric affinity would turn the text into a number: blanks around a number
/// do not keep it from that (sqlite.org/datatype3.html, section 3).
fn looks_like_a_number(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    begins && text.parse::<f64>().is_ok() && !text.ends_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
