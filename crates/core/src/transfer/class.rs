//! What a column can hold, whatever database it is in.

use crate::sql::dialect::Dialect;

/// What a column can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int {
        /// How many bits, the sign among them.
        bits: u8,
        /// Without negative numbers.
        unsigned: bool,
    },
    /// Floating point numbers.
    Real {
        /// Four bytes and not eight.
        single: bool,
    },
    /// Exact decimals.
    Decimal {
        /// Digits in all and behind the point; without a bound if not said.
        digits: Option<(i32, i32)>,
    },
    /// Text.
    Text {
        /// Its greatest length, if there is one.
        max: Option<u32>,
        /// That length counts bytes, not characters.
        in_bytes: bool,
        /// Blanks at the end are no part of the value (`char(n)`).
        padded: bool,
    },
    /// Bytes.
    Bytes {
        /// How many at most, if there is a bound.
        max: Option<u32>,
    },
    /// Days.
    Date,
    /// Times of a day, with so many digits behind the second.
    Time(u8),
    /// Moments without a time zone, with so many digits behind the second.
    Timestamp(u8),
    /// Moments in UTC, with so many digits behind the second.
    TimestampTz(u8),
    /// UUIDs.
    Uuid,
    /// JSON documents.
    Json,
    /// What only this type holds; its values go as text.
    Other(String),
    /// Each value has its own type (SQLite); the column prefers one.
    Dynamic(Affinity),
}

/// What a SQLite column turns values into where it can (sqlite.org/datatype3.html, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Whole numbers.
    Integer,
    /// Text.
    Text,
    /// Nothing: values stay as they are.
    Blob,
    /// Floating point numbers.
    Real,
    /// Any number.
    Numeric,
}

/// A class without its bounds, as the table of mappings has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// [`Class::Bool`].
    Bool,
    /// [`Class::Int`].
    Int,
    /// [`Class::Real`].
    Real,
    /// [`Class::Decimal`].
    Decimal,
    /// [`Class::Text`].
    Text,
    /// [`Class::Bytes`].
    Bytes,
    /// [`Class::Date`].
    Date,
    /// [`Class::Time`].
    Time,
    /// [`Class::Timestamp`].
    Timestamp,
    /// [`Class::TimestampTz`].
    TimestampTz,
    /// [`Class::Uuid`].
    Uuid,
    /// [`Class::Json`].
    Json,
    /// [`Class::Other`].
    Other,
    /// [`Class::Dynamic`] with [`Affinity::Integer`] or [`Affinity::Numeric`].
    SqliteNumber,
    /// [`Class::Dynamic`] with [`Affinity::Real`].
    SqliteReal,
    /// [`Class::Dynamic`] with [`Affinity::Text`].
    SqliteText,
    /// [`Class::Dynamic`] with [`Affinity::Blob`].
    SqliteBlob,
}

impl Class {
    /// The class of a column of this type, as the catalog prints it.
    pub fn of(type_name: &str, dialect: Dialect) -> Class {
        let lower = type_name.trim().to_ascii_lowercase();
        match dialect {
            Dialect::Sqlite => Class::Dynamic(Affinity::of(&lower)),
            Dialect::Postgres => postgres(&lower),
            Dialect::Mysql => mysql(&lower),
        }
    }

    /// The class without its bounds.
    pub fn family(&self) -> Family {
        match self {
            Class::Bool => Family::Bool,
            Class::Int { .. } => Family::Int,
            Class::Real { .. } => Family::Real,
            Class::Decimal { .. } => Family::Decimal,
            Class::Text { .. } => Family::Text,
            Class::Bytes { .. } => Family::Bytes,
            Class::Date => Family::Date,
            Class::Time(_) => Family::Time,
            Class::Timestamp(_) => Family::Timestamp,
            Class::TimestampTz(_) => Family::TimestampTz,
            Class::Uuid => Family::Uuid,
            Class::Json => Family::Json,
            Class::Other(_) => Family::Other,
            Class::Dynamic(Affinity::Integer | Affinity::Numeric) => Family::SqliteNumber,
            Class::Dynamic(Affinity::Real) => Family::SqliteReal,
            Class::Dynamic(Affinity::Text) => Family::SqliteText,
            Class::Dynamic(Affinity::Blob) => Family::SqliteBlob,
        }
    }

    /// The least and the greatest whole number of the class, if it is one of whole numbers.
    pub(super) fn int_range(&self) -> Option<(i128, i128)> {
        let Class::Int { bits, unsigned } = self else { return None };
        Some(if *unsigned {
            (0, (1_i128 << bits) - 1)
        } else {
            (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
        })
    }
}

impl Affinity {
    /// The affinity of a declared type in lower case, by the rules in their order.
    fn of(declared: &str) -> Affinity {
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if has(&["int"]) {
            Affinity::Integer
        } else if has(&["char", "clob", "text"]) {
            Affinity::Text
        } else if declared.is_empty() || has(&["blob"]) || declared == "any" {
            Affinity::Blob
        } else if has(&["real", "floa", "doub"]) {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }
}

/// `numeric(10,2)` in its word, its numbers and what stands behind them.
fn parts(lower: &str) -> (&str, Vec<i32>, &str) {
    let Some((base, rest)) = lower.split_once('(') else { return (lower.trim(), Vec::new(), "") };
    let (inside, behind) = rest.split_once(')').unwrap_or((rest, ""));
    let numbers = inside.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    (base.trim(), numbers, behind.trim())
}

/// Digits behind the second that PostgreSQL keeps where a type does not say.
const POSTGRES_FRACTION: u8 = 6;

fn length(numbers: &[i32]) -> Option<u32> {
    numbers.first().and_then(|number| u32::try_from(*number).ok())
}

fn fraction(numbers: &[i32], default: u8) -> u8 {
    numbers.first().and_then(|number| u8::try_from(*number).ok()).unwrap_or(default)
}

fn text(max: Option<u32>, padded: bool) -> Class {
    Class::Text { max, in_bytes: false, padded }
}

fn decimal(numbers: &[i32]) -> Option<(i32, i32)> {
    match numbers {
        [digits, scale] => Some((*digits, *scale)),
        [digits] => Some((*digits, 0)),
        _ => None,
    }
}

fn postgres(lower: &str) -> Class {
    let other = || Class::Other(lower.to_owned());
    if lower.contains('[') || lower.starts_with('"') {
        return other();
    }
    let (base, numbers, behind) = parts(lower);
    let signed = |bits| Class::Int { bits, unsigned: false };
    match (base, behind) {
        ("boolean", "") => Class::Bool,
        ("smallint", "") => signed(16),
        ("integer", "") => signed(32),
        ("bigint", "") => signed(64),
        ("oid", "") => Class::Int { bits: 32, unsigned: true },
        ("real", "") => Class::Real { single: true },
        ("double precision", "") => Class::Real { single: false },
        ("numeric", "") => Class::Decimal { digits: decimal(&numbers) },
        ("text", "") => text(None, false),
        ("character varying", "") => text(length(&numbers), false),
        ("character", "") => text(length(&numbers).or(Some(1)), true),
        ("bpchar", "") => text(None, true),
        ("bytea", "") => Class::Bytes { max: None },
        ("date", "") => Class::Date,
        ("time without time zone", "") | ("time", "without time zone") => {
            Class::Time(fraction(&numbers, POSTGRES_FRACTION))
        }
        ("timestamp without time zone", "") | ("timestamp", "without time zone") => {
            Class::Timestamp(fraction(&numbers, POSTGRES_FRACTION))
        }
        ("timestamp with time zone", "") | ("timestamp", "with time zone") => {
            Class::TimestampTz(fraction(&numbers, POSTGRES_FRACTION))
        }
        ("uuid", "") => Class::Uuid,
        ("json" | "jsonb", "") => Class::Json,
        _ => other(),
    }
}

fn mysql(lower: &str) -> Class {
    let (base, numbers, _) = parts(lower);
    let unsigned = lower.contains("unsigned");
    let int = |bits| Class::Int { bits, unsigned };
    let bytes = |max| Class::Bytes { max: Some(max) };
    let long = |max| Class::Text { max: Some(max), in_bytes: true, padded: false };
    match base.split(' ').next().unwrap_or("") {
        "tinyint" | "bool" | "boolean" => int(8),
        "smallint" => int(16),
        "mediumint" => int(24),
        "int" | "integer" => int(32),
        "bigint" => int(64),
        "year" => Class::Int { bits: 16, unsigned: true },
        "bit" => {
            let bits = length(&numbers).and_then(|bits| u8::try_from(bits).ok());
            Class::Int { bits: bits.unwrap_or(1), unsigned: true }
        }
        "float" => Class::Real { single: true },
        "double" | "real" => Class::Real { single: false },
        "decimal" | "numeric" => Class::Decimal { digits: decimal(&numbers).or(Some((10, 0))) },
        "varchar" => text(length(&numbers), false),
        "char" => text(length(&numbers).or(Some(1)), true),
        "tinytext" => long(255),
        "text" => long(65_535),
        "mediumtext" => long(16_777_215),
        "longtext" => text(None, false),
        "enum" | "set" => text(None, false),
        "varbinary" | "binary" => Class::Bytes { max: length(&numbers).or(Some(1)) },
        "tinyblob" => bytes(255),
        "blob" => bytes(65_535),
        "mediumblob" => bytes(16_777_215),
        "longblob" => Class::Bytes { max: None },
        "date" => Class::Date,
        "time" => Class::Time(fraction(&numbers, 0)),
        "datetime" => Class::Timestamp(fraction(&numbers, 0)),
        "timestamp" => Class::TimestampTz(fraction(&numbers, 0)),
        "uuid" => Class::Uuid,
        "json" => Class::Json,
        _ => Class::Other(lower.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Mysql, Postgres, Sqlite};

    #[test]
    fn types_of_each_database() {
        let int = |bits, unsigned| Class::Int { bits, unsigned };
        for (name, dialect, want) in [
            ("bigint", Postgres, int(64, false)),
            ("numeric(10,2)", Postgres, Class::Decimal { digits: Some((10, 2)) }),
            ("numeric", Postgres, Class::Decimal { digits: None }),
            ("character varying(5)", Postgres, text(Some(5), false)),
            ("timestamp(3) with time zone", Postgres, Class::TimestampTz(3)),
            ("timestamp without time zone", Postgres, Class::Timestamp(6)),
            ("integer[]", Postgres, Class::Other("integer[]".into())),
            ("int(10) unsigned", Mysql, int(32, true)),
            ("bigint(20) unsigned zerofill", Mysql, int(64, true)),
            ("datetime(6)", Mysql, Class::Timestamp(6)),
            ("timestamp", Mysql, Class::TimestampTz(0)),
            ("enum('a','b')", Mysql, text(None, false)),
            ("double unsigned", Mysql, Class::Real { single: false }),
            ("point", Mysql, Class::Other("point".into())),
            ("BIGINT", Sqlite, Class::Dynamic(Affinity::Integer)),
            ("VARCHAR(3)", Sqlite, Class::Dynamic(Affinity::Text)),
            ("", Sqlite, Class::Dynamic(Affinity::Blob)),
            ("DOUBLE", Sqlite, Class::Dynamic(Affinity::Real)),
            ("DATETIME", Sqlite, Class::Dynamic(Affinity::Numeric)),
        ] {
            assert_eq!(Class::of(name, dialect), want, "{name}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(Class::Int { bits: 16, unsigned: false }.int_range(), Some((-32_768, 32_767)));
        let all = Class::Int { bits: 64, unsigned: true }.int_range();
        assert_eq!(all, Some((0, i128::from(u64::MAX))));
    }
}
