//! Values of one column as values of another, or why that cannot be.

use std::fmt::Write as _;

use memchr::memchr;

use super::class::{Affinity, Class, Family};
use super::loss::Loss;
use super::times::{DAY_MICROS, read_date, read_moment, read_time};
use super::values::{
    decimal_as_real, fits_fraction, is_plain_decimal, looks_like_a_number, no_time, read_uuid,
    shortest_single, significant, without_zeros,
};
use crate::rows::{Cell, write_date, write_time};
use crate::sql::dialect::Dialect;

/// Up to here every whole number is a floating point number of eight bytes.
const REAL_INT_MAX: u64 = 1 << 53;
/// Days of 0001-01-01 and 9999-12-31, between which MySQL has dates; from 1970-01-01.
const MYSQL_DAYS: (i64, i64) = (-719_162, 2_932_896);
/// The same for its `timestamp` in seconds, which ends in 2038 (1970-01-01 00:00:00 is its zero).
const MYSQL_TIMESTAMP_SECONDS: (i64, i64) = (1, 2_147_483_647);

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
            return Ok(match (cell, &self.to) {
                (Cell::Real(value), Class::Real { single: true }) if value.is_finite() => {
                    Cell::Real(shortest_single(value))
                }
                (other, _) => other,
            });
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
            if trimmed.len() < text.len() {
                return Err(Loss::Blanks);
            }
            text = trimmed;
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
            Cell::Text(text) if matches!(self.from, Class::Text { padded: true, .. }) => {
                return Ok(text.trim_end_matches(' '));
            }
            Cell::Text(text) => match self.from.family() {
                Family::Time => return Ok(without_zeros(text)),
                Family::Timestamp => out.push_str(&without_zeros(text).replace('T', " ")),
                Family::TimestampTz if text.contains('T') => {
                    let _ = write!(out, "{}Z", without_zeros(text.trim_end_matches('Z')));
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
        if self.dialect == Dialect::Postgres && memchr(0, text.as_bytes()).is_some() {
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
        Cell::Text(text) => {
            let uuid = read_uuid(text).ok_or(Loss::WrongType)?;
            if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Ok(cell);
            }
            uuid
        }
        Cell::Bytes(bytes) => bytes.try_into().map_err(|_| Loss::WrongType)?,
        _ => return Err(Loss::WrongType),
    };
    scratch.text.clear();
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            scratch.text.push('-');
        }
        scratch.text.push(digit(byte >> 4));
        scratch.text.push(digit(byte & 15));
    }
    Ok(Cell::Text(&scratch.text))
}

#[cfg(test)]
mod tests;
