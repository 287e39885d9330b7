//! Values in PostgreSQL's binary form: the reverse of what is read from a COPY.

use whimbrel_core::rows::{Cell, Row};
use whimbrel_core::transfer::{Class, DAY_MICROS, read_date, read_moment, read_time, read_uuid};

use crate::backend::postgres::EPOCH_DAYS;

/// How a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encode {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Date,
    Time,
    Moment,
    Uuid,
    Jsonb,
}

impl Encode {
    /// How values of this class go into a column of this type; none where there is no binary form.
    pub(super) fn of(class: &Class, type_name: &str) -> Option<Encode> {
        Some(match class {
            Class::Bool => Encode::Bool,
            Class::Int { bits: 16, .. } => Encode::Int2,
            Class::Int { unsigned: true, .. } => Encode::Oid,
            Class::Int { bits: 32, .. } => Encode::Int4,
            Class::Int { .. } => Encode::Int8,
            Class::Real { single: true } => Encode::Float4,
            Class::Real { single: false } => Encode::Float8,
            Class::Decimal { .. } => Encode::Numeric,
            Class::Text { .. } => Encode::Text,
            Class::Bytes { .. } => Encode::Bytes,
            Class::Date => Encode::Date,
            Class::Time(_) => Encode::Time,
            Class::Timestamp(_) | Class::TimestampTz(_) => Encode::Moment,
            Class::Uuid => Encode::Uuid,
            Class::Json if type_name.eq_ignore_ascii_case("jsonb") => Encode::Jsonb,
            Class::Json => Encode::Text,
            Class::Other(_) | Class::Dynamic(_) => return None,
        })
    }
}

/// Appends a row; none if a value has no such form, which its conversion has made sure of.
pub(super) fn row(out: &mut Vec<u8>, row: Row<'_>, encoders: &[Encode]) -> Option<()> {
    out.extend_from_slice(&i16::try_from(encoders.len()).ok()?.to_be_bytes());
    for (column, encode) in encoders.iter().enumerate() {
        let cell = row.cell(column);
        if cell == Cell::Null {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            continue;
        }
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        value(out, cell, *encode)?;
        let length = i32::try_from(out.len() - at - 4).ok()?;
        out.get_mut(at..at + 4)?.copy_from_slice(&length.to_be_bytes());
    }
    Some(())
}

fn value(out: &mut Vec<u8>, cell: Cell<'_>, encode: Encode) -> Option<()> {
    match (encode, cell) {
        (Encode::Bool, Cell::Bool(value)) => out.push(value.into()),
        (Encode::Int2, Cell::Int(value)) => {
            out.extend_from_slice(&i16::try_from(value).ok()?.to_be_bytes());
        }
        (Encode::Int4, Cell::Int(value)) => {
            out.extend_from_slice(&i32::try_from(value).ok()?.to_be_bytes());
        }
        (Encode::Oid, Cell::Int(value)) => {
            out.extend_from_slice(&u32::try_from(value).ok()?.to_be_bytes());
        }
        (Encode::Int8, Cell::Int(value)) => out.extend_from_slice(&value.to_be_bytes()),
        (Encode::Float4, Cell::Real(value)) => {
            out.extend_from_slice(&(value as f32).to_be_bytes());
        }
        (Encode::Float8, Cell::Real(value)) => out.extend_from_slice(&value.to_be_bytes()),
        (Encode::Numeric, Cell::Decimal(text)) => numeric(out, text)?,
        (Encode::Text, Cell::Text(text)) => out.extend_from_slice(text.as_bytes()),
        (Encode::Jsonb, Cell::Text(text)) => {
            // One byte says the version.
            out.push(1);
            out.extend_from_slice(text.as_bytes());
        }
        (Encode::Bytes, Cell::Bytes(bytes)) => out.extend_from_slice(bytes),
        (Encode::Date, Cell::Text(text)) => {
            let days = match text {
                "infinity" => i32::MAX,
                "-infinity" => i32::MIN,
                text => i32::try_from(read_date(text)? - EPOCH_DAYS).ok()?,
            };
            out.extend_from_slice(&days.to_be_bytes());
        }
        (Encode::Time, Cell::Text(text)) => {
            let micros = if text == "24:00:00" { DAY_MICROS } else { read_time(text)? };
            out.extend_from_slice(&micros.to_be_bytes());
        }
        (Encode::Moment, Cell::Text(text)) => {
            let micros = match text {
                "infinity" => i64::MAX,
                "-infinity" => i64::MIN,
                text => read_moment(text)?.micros.checked_sub(EPOCH_DAYS * DAY_MICROS)?,
            };
            out.extend_from_slice(&micros.to_be_bytes());
        }
        (Encode::Uuid, Cell::Text(text)) => out.extend_from_slice(&read_uuid(text)?),
        _ => return None,
    }
    Some(())
}

/// Digits to the base of 10,000, the place of the first, the sign and how many digits are shown
/// behind the point.
fn numeric(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let special = match text {
        "NaN" => Some(0xC000_u16),
        "Infinity" => Some(0xD000),
        "-Infinity" => Some(0xF000),
        _ => None,
    };
    if let Some(sign) = special {
        for word in [0, 0, sign, 0] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        return Some(());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (0x4000_u16, digits),
        None => (0, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let mut groups: Vec<u16> = Vec::new();
    let first = whole.len() % 4;
    let (head, rest) = whole.split_at_checked(first)?;
    if !head.is_empty() {
        groups.push(head.parse().ok()?);
    }
    for group in rest.as_bytes().chunks(4) {
        groups.push(std::str::from_utf8(group).ok()?.parse().ok()?);
    }
    let mut weight = i16::try_from(groups.len()).ok()? - 1;
    for group in fraction.as_bytes().chunks(4) {
        let group = std::str::from_utf8(group).ok()?;
        groups.push(format!("{group:0<4}").parse().ok()?);
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight = if groups.is_empty() { 0 } else { weight - i16::try_from(zeros).ok()? };
    // There is no negative zero.
    let sign = if groups.is_empty() { 0 } else { sign };
    out.extend_from_slice(&i16::try_from(groups.len()).ok()?.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::try_from(fraction.len()).ok()?.to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Some(())
}

/// A floating point number as PostgreSQL reads it.
pub(super) fn real_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{value:e}")
    }
}
