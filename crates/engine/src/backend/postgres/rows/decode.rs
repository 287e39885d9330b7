//! Binary values of the common types.

use tokio_postgres::types::Type;
use whimbrel_core::rows::{Cell, Chunk, ColumnKind, write_date, write_time};
use whimbrel_core::transfer::DAY_MICROS;

use crate::backend::postgres::EPOCH_DAYS;

/// How a column's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decode {
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
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
    Jsonb,
    /// Sent as its text.
    AsText,
}

impl Decode {
    pub(super) fn of(of: &Type) -> (Decode, ColumnKind) {
        let decode = match *of {
            Type::BOOL => Decode::Bool,
            Type::INT2 => Decode::Int2,
            Type::INT4 => Decode::Int4,
            Type::INT8 => Decode::Int8,
            Type::OID => Decode::Oid,
            Type::FLOAT4 => Decode::Float4,
            Type::FLOAT8 => Decode::Float8,
            Type::NUMERIC => Decode::Numeric,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Decode::Text,
            Type::BYTEA => Decode::Bytes,
            Type::DATE => Decode::Date,
            Type::TIME => Decode::Time,
            Type::TIMESTAMP => Decode::Timestamp,
            Type::TIMESTAMPTZ => Decode::TimestampTz,
            Type::UUID => Decode::Uuid,
            Type::JSON => Decode::Json,
            Type::JSONB => Decode::Jsonb,
            _ => Decode::AsText,
        };
        (decode, decode.kind())
    }
}

/// Reads one row from the front of `bytes` and returns the rest; nothing is left behind the mark of
/// the end. `None` if the bytes are no row.
pub(super) fn row<'a>(bytes: &'a [u8], decoders: &[Decode], out: &mut Chunk) -> Option<&'a [u8]> {
    let (count, mut rest) = bytes.split_first_chunk::<2>()?;
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Some(&[]);
    }
    if usize::try_from(count).ok()? != decoders.len() {
        return None;
    }
    for decode in decoders {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        if length < 0 {
            out.push(Cell::Null);
            rest = behind;
            continue;
        }
        let (value, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        push(value, *decode, out)?;
        rest = behind;
    }
    Some(rest)
}

fn push(value: &[u8], decode: Decode, out: &mut Chunk) -> Option<()> {
    match decode {
        Decode::Bool => out.push(Cell::Bool(value.first()? != &0)),
        Decode::Int2 => out.push(Cell::Int(i16::from_be_bytes(value.try_into().ok()?).into())),
        Decode::Int4 => out.push(Cell::Int(i32::from_be_bytes(value.try_into().ok()?).into())),
        Decode::Int8 => out.push(Cell::Int(i64::from_be_bytes(value.try_into().ok()?))),
        Decode::Oid => out.push(Cell::Int(u32::from_be_bytes(value.try_into().ok()?).into())),
        // The shortest decimal, as the server prints it, not the binary value with more digits.
        Decode::Float4 => {
            let number = f32::from_be_bytes(value.try_into().ok()?);
            out.push(Cell::Real(number.to_string().parse().ok()?));
        }
        Decode::Float8 => out.push(Cell::Real(f64::from_be_bytes(value.try_into().ok()?))),
        Decode::Numeric => return numeric(value, out),
        Decode::Text | Decode::Json | Decode::AsText => out.push_text(value),
        // One byte says the version.
        Decode::Jsonb => out.push_text(value.get(1..)?),
        Decode::Bytes => out.push(Cell::Bytes(value)),
        Decode::Date => date(i32::from_be_bytes(value.try_into().ok()?), out),
        Decode::Time => {
            let micros = i64::from_be_bytes(value.try_into().ok()?);
            out.write_text(|text| write_time(text, micros));
        }
        Decode::Timestamp => timestamp(i64::from_be_bytes(value.try_into().ok()?), "", out),
        Decode::TimestampTz => timestamp(i64::from_be_bytes(value.try_into().ok()?), "Z", out),
        Decode::Uuid => uuid(value.try_into().ok()?, out),
    }
    Some(())
}

fn date(days: i32, out: &mut Chunk) {
    match days {
        i32::MAX => out.push(Cell::Text("infinity")),
        i32::MIN => out.push(Cell::Text("-infinity")),
        days => out.write_text(|text| write_date(text, i64::from(days) + EPOCH_DAYS)),
    }
}

fn timestamp(micros: i64, zone: &str, out: &mut Chunk) {
    match micros {
        i64::MAX => out.push(Cell::Text("infinity")),
        i64::MIN => out.push(Cell::Text("-infinity")),
        micros => out.write_text(|text| {
            write_date(text, micros.div_euclid(DAY_MICROS) + EPOCH_DAYS);
            text.push('T');
            write_time(text, micros.rem_euclid(DAY_MICROS));
            text.push_str(zone);
        }),
    }
}

fn uuid(value: [u8; 16], out: &mut Chunk) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).map_or('0', |b| char::from(*b));
    out.write_text(|text| {
        for (index, byte) in value.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(digit(byte >> 4));
            text.push(digit(*byte));
        }
    });
}

/// Digits to the base of 10,000, the place of the first, the sign and how many digits are shown
/// behind the point.
fn numeric(value: &[u8], out: &mut Chunk) -> Option<()> {
    let mut words = value.as_chunks::<2>().0.iter().map(|pair| i16::from_be_bytes(*pair));
    let (count, weight) = (words.next()?, words.next()?);
    let (sign, scale) = (words.next()?.cast_unsigned(), words.next()?.cast_unsigned());
    let special = match sign {
        0xC000 => Some("NaN"),
        0xD000 => Some("Infinity"),
        0xF000 => Some("-Infinity"),
        _ => None,
    };
    if let Some(special) = special {
        out.push(Cell::Decimal(special));
        return Some(());
    }
    let digits: Vec<i16> = words.take(usize::try_from(count).ok()?).collect();
    let group = |place: i32| {
        let index = usize::try_from(i32::from(weight) - place).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0).cast_unsigned()
    };
    out.write_decimal(|text| {
        if sign == 0x4000 {
            text.push('-');
        }
        let start = text.len();
        for place in (0..=i32::from(weight).max(0)).rev() {
            four(text, group(place), text.len() > start);
        }
        if text.len() == start {
            text.push('0');
        }
        let scale = usize::from(scale);
        if scale > 0 {
            text.push('.');
            let point = text.len();
            let mut place = -1;
            while text.len() - point < scale {
                four(text, group(place), true);
                place -= 1;
            }
            text.truncate(point + scale);
        }
    });
    Some(())
}

/// Four digits; without zeros in front unless something stands there already.
fn four(text: &mut String, group: u16, padded: bool) {
    let mut begun = padded;
    for divisor in [1_000, 100, 10, 1] {
        let digit = u8::try_from(group / divisor % 10).unwrap_or(0);
        begun |= digit > 0;
        if begun {
            text.push(char::from(b'0' + digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(words: &[u16]) -> String {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let mut out = Chunk::default();
        out.clear(1);
        numeric(&bytes, &mut out).expect("a number");
        match out.row(0).expect("a row").cell(0) {
            Cell::Decimal(text) => text.to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn decimals() {
        let minus = |n: i16| n.cast_unsigned();
        assert_eq!(decimal(&[0, 0, 0, 0]), "0");
        assert_eq!(decimal(&[0, 0, 0, 2]), "0.00");
        assert_eq!(decimal(&[1, 0, 0, 0, 7]), "7");
        assert_eq!(decimal(&[2, 1, 0, 0, 1, 5]), "10005");
        assert_eq!(decimal(&[1, 1, 0, 0, 3]), "30000");
        assert_eq!(decimal(&[2, 0, 0x4000, 2, 12, 3400]), "-12.34");
        assert_eq!(decimal(&[1, minus(-1), 0, 4, 5]), "0.0005");
        assert_eq!(decimal(&[1, minus(-2), 0, 6, 1200]), "0.000012");
        assert_eq!(decimal(&[0, 0, 0xC000, 0]), "NaN");
    }

    #[test]
    fn bytes_that_are_no_row_are_found() {
        let mut out = Chunk::default();
        out.clear(1);
        assert!(row(&[0], &[Decode::Bool], &mut out).is_none());
        assert!(row(&[0, 2], &[Decode::Bool], &mut out).is_none());
        assert!(row(&[0, 1, 0, 0, 0, 9, 1], &[Decode::Bool], &mut out).is_none());
        assert_eq!(row(&[255, 255], &[Decode::Bool], &mut out), Some(&[][..]));
        assert_eq!(row(&[0, 1, 0, 0, 0, 1, 1], &[Decode::Bool], &mut out), Some(&[][..]));
        assert_eq!(out.row(0).map(|row| row.cell(0) == Cell::Bool(true)), Some(true));
    }
}
