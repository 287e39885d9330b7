//! Which type's values become which other type's, and what can be lost on the way: a table.

use std::fmt::Write as _;

use super::class::{Class, Family};

/// What can be lost between two types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Every value stays what it is.
    Exact,
    /// Every value fits, and is held by a wider type or in another form.
    Widening,
    /// Some values do not fit: each is looked at, and one that would change stops the copy.
    Checked,
    /// There is no way that keeps the values.
    Refused,
}

impl Grade {
    /// Its word in reports and in the reference.
    pub fn name(self) -> &'static str {
        match self {
            Exact => "exact",
            Widening => "widening",
            Checked => "checked",
            Grade::Refused => "refused",
        }
    }
}

/// A row of the table: from, to, what can be lost, how.
type Mapping = (Family, Family, Grade, &'static str);

use Family as F;
use Grade::{Checked, Exact, Widening};

const NUMBER_LIKE: &str = "text that SQLite would turn into a number is refused";
const ISO: &str = "only `2026-11-21`, `10:15:00.25` and the two together are read";
const ZONE: &str = "only with `--times-are-utc`; otherwise refused, as the time zone is not known";
const LENGTH: &str = "the target's length; no NUL byte into PostgreSQL; must be UTF-8";
const RANGE: &str = "the target's range";
const SERVER: &str = "the target's database has the last word";

/// All mappings that there are; what is not here is refused. Between two columns of the same type
/// in the same kind of database every value stays what it is.
pub const MAPPINGS: &[Mapping] = &[
    (F::Bool, F::Bool, Exact, ""),
    (F::Bool, F::Int, Exact, "1 and 0"),
    (F::Bool, F::SqliteNumber, Exact, "1 and 0"),
    (F::Int, F::Int, Checked, RANGE),
    (F::Int, F::Bool, Checked, "only 1 and 0"),
    (F::Int, F::Decimal, Checked, RANGE),
    (F::Int, F::Real, Checked, "up to 2^53"),
    (F::Int, F::Text, Checked, "as its digits; the target's length"),
    (F::Int, F::SqliteNumber, Checked, "not above 2^63 - 1"),
    (F::Int, F::SqliteReal, Checked, "up to 2^53"),
    (F::Int, F::SqliteText, Widening, "as its digits"),
    (F::Int, F::SqliteBlob, Checked, "not above 2^63 - 1"),
    (F::Real, F::Real, Checked, "eight bytes to four: the shortest decimal must stay the same"),
    (F::Real, F::Decimal, Checked, "as its shortest decimal; the target's digits"),
    (F::Real, F::Text, Checked, "as its shortest decimal; the target's length"),
    (F::Real, F::SqliteReal, Checked, "neither NaN nor infinite"),
    (F::Real, F::SqliteNumber, Checked, "neither NaN nor infinite"),
    (F::Real, F::SqliteText, Widening, "as its shortest decimal"),
    (F::Decimal, F::Decimal, Checked, "the target's digits, in front of and behind the point"),
    (F::Decimal, F::Int, Checked, "without a fraction; the target's range"),
    (F::Decimal, F::Real, Checked, "up to 15 digits"),
    (F::Decimal, F::Text, Checked, "as it is printed; the target's length"),
    (F::Decimal, F::SqliteNumber, Checked, "up to 15 digits"),
    (F::Decimal, F::SqliteReal, Checked, "up to 15 digits"),
    (F::Decimal, F::SqliteText, Widening, "as it is printed"),
    (F::Text, F::Text, Checked, LENGTH),
    (F::Text, F::Int, Checked, "only a whole number as it is printed"),
    (F::Text, F::Decimal, Checked, "only a plain decimal"),
    (F::Text, F::Date, Checked, ISO),
    (F::Text, F::Time, Checked, ISO),
    (F::Text, F::Timestamp, Checked, ISO),
    (F::Text, F::TimestampTz, Checked, ISO),
    (F::Text, F::Uuid, Checked, "36 characters with hyphens"),
    (F::Text, F::Json, Checked, SERVER),
    (F::Text, F::Other, Checked, SERVER),
    (F::Text, F::SqliteText, Exact, ""),
    (F::Text, F::SqliteBlob, Exact, "as text"),
    (F::Text, F::SqliteNumber, Checked, NUMBER_LIKE),
    (F::Text, F::SqliteReal, Checked, NUMBER_LIKE),
    (F::Bytes, F::Bytes, Checked, "the target's length"),
    (F::Bytes, F::Uuid, Checked, "16 bytes"),
    (F::Bytes, F::SqliteBlob, Exact, ""),
    (F::Date, F::Date, Checked, "the years that the target knows; no zero dates"),
    (F::Date, F::Timestamp, Checked, "as midnight; the years that the target knows"),
    (F::Date, F::Text, Checked, "as `2026-11-21`"),
    (F::Date, F::SqliteText, Widening, "as `2026-11-21`"),
    (F::Date, F::SqliteNumber, Widening, "as `2026-11-21`"),
    (F::Date, F::SqliteBlob, Widening, "as `2026-11-21`"),
    (F::Time, F::Time, Checked, "within one day; the target's digits behind the second"),
    (F::Time, F::Other, Checked, SERVER),
    (F::Time, F::Text, Checked, "as `10:15:00.25`"),
    (F::Time, F::SqliteText, Widening, "as `10:15:00.25`"),
    (F::Time, F::SqliteNumber, Widening, "as `10:15:00.25`"),
    (F::Time, F::SqliteBlob, Widening, "as `10:15:00.25`"),
    (F::Timestamp, F::Timestamp, Checked, "years and digits of the target; no zero dates"),
    (F::Timestamp, F::TimestampTz, Checked, ZONE),
    (F::Timestamp, F::Text, Checked, "as `2026-11-21 10:15:00.25`"),
    (F::Timestamp, F::SqliteText, Widening, "as `2026-11-21 10:15:00.25`"),
    (F::Timestamp, F::SqliteNumber, Widening, "as `2026-11-21 10:15:00.25`"),
    (F::Timestamp, F::SqliteBlob, Widening, "as `2026-11-21 10:15:00.25`"),
    (F::TimestampTz, F::TimestampTz, Checked, "years and digits of the target; no zero dates"),
    (F::TimestampTz, F::Timestamp, Checked, ZONE),
    (F::TimestampTz, F::Text, Checked, "as `2026-11-21T10:15:00.25Z`"),
    (F::TimestampTz, F::SqliteText, Widening, "as `2026-11-21T10:15:00.25Z`"),
    (F::TimestampTz, F::SqliteNumber, Widening, "as `2026-11-21T10:15:00.25Z`"),
    (F::TimestampTz, F::SqliteBlob, Widening, "as `2026-11-21T10:15:00.25Z`"),
    (F::Uuid, F::Uuid, Exact, ""),
    (F::Uuid, F::Text, Checked, "36 characters; the target's length"),
    (F::Uuid, F::Bytes, Checked, "16 bytes"),
    (F::Uuid, F::SqliteText, Widening, "36 characters"),
    (F::Uuid, F::SqliteNumber, Widening, "36 characters"),
    (F::Uuid, F::SqliteBlob, Widening, "16 bytes"),
    (F::Json, F::Json, Checked, SERVER),
    (F::Json, F::Text, Checked, "as it is printed; the target's length"),
    (F::Json, F::SqliteText, Widening, "as it is printed"),
    (F::Json, F::SqliteBlob, Widening, "as it is printed, as text"),
    (F::Other, F::Other, Checked, "as text, to a type of the same name; the server reads it"),
    (F::Other, F::Text, Checked, "as it is printed; the target's length"),
    (F::Other, F::SqliteText, Widening, "as it is printed"),
    (F::SqliteNumber, F::Int, Checked, "whole numbers; no text; the target's range"),
    (F::SqliteNumber, F::Bool, Checked, "only 1 and 0"),
    (F::SqliteNumber, F::Real, Checked, "no text; up to 2^53"),
    (F::SqliteNumber, F::Decimal, Checked, "no text but plain decimals; the target's digits"),
    (F::SqliteNumber, F::Text, Checked, LENGTH),
    (F::SqliteNumber, F::Date, Checked, ISO),
    (F::SqliteNumber, F::Time, Checked, ISO),
    (F::SqliteNumber, F::Timestamp, Checked, ISO),
    (F::SqliteNumber, F::TimestampTz, Checked, ISO),
    (F::SqliteNumber, F::Uuid, Checked, "36 characters with hyphens"),
    (F::SqliteReal, F::Real, Checked, "no text"),
    (F::SqliteReal, F::Decimal, Checked, "as its shortest decimal; the target's digits"),
    (F::SqliteReal, F::Int, Checked, "without a fraction; the target's range"),
    (F::SqliteText, F::Text, Checked, LENGTH),
    (F::SqliteText, F::Int, Checked, "only a whole number as it is printed"),
    (F::SqliteText, F::Decimal, Checked, "only a plain decimal"),
    (F::SqliteText, F::Date, Checked, ISO),
    (F::SqliteText, F::Time, Checked, ISO),
    (F::SqliteText, F::Timestamp, Checked, ISO),
    (F::SqliteText, F::TimestampTz, Checked, ISO),
    (F::SqliteText, F::Uuid, Checked, "36 characters with hyphens"),
    (F::SqliteText, F::Json, Checked, SERVER),
    (F::SqliteText, F::Other, Checked, SERVER),
    (F::SqliteBlob, F::Bytes, Checked, "no text; the target's length"),
    (F::SqliteBlob, F::Text, Checked, "no BLOB; the target's length"),
    (F::SqliteBlob, F::Int, Checked, "whole numbers; the target's range"),
    (F::SqliteBlob, F::Real, Checked, "numbers; up to 2^53"),
    (F::SqliteBlob, F::Json, Checked, "no BLOB"),
    (F::SqliteBlob, F::Uuid, Checked, "16 bytes, or 36 characters with hyphens"),
    (F::SqliteNumber, F::SqliteNumber, Exact, ""),
    (F::SqliteReal, F::SqliteReal, Exact, ""),
    (F::SqliteText, F::SqliteText, Exact, ""),
    (F::SqliteBlob, F::SqliteBlob, Exact, ""),
    (F::SqliteNumber, F::SqliteReal, Checked, "up to 2^53"),
    (F::SqliteNumber, F::SqliteText, Widening, "numbers as their digits"),
    (F::SqliteNumber, F::SqliteBlob, Exact, ""),
    (F::SqliteReal, F::SqliteNumber, Exact, "1.0 and 1 are the same there"),
    (F::SqliteReal, F::SqliteText, Widening, "numbers as their shortest decimal"),
    (F::SqliteReal, F::SqliteBlob, Exact, ""),
    (F::SqliteText, F::SqliteNumber, Checked, NUMBER_LIKE),
    (F::SqliteText, F::SqliteReal, Checked, NUMBER_LIKE),
    (F::SqliteText, F::SqliteBlob, Exact, ""),
    (F::SqliteBlob, F::SqliteText, Checked, "numbers as their digits"),
    (F::SqliteBlob, F::SqliteNumber, Checked, NUMBER_LIKE),
];

/// What can be lost between two columns, and how values go.
pub fn grade(from: &Class, to: &Class) -> (Grade, &'static str) {
    let wanted = (from.family(), to.family());
    let found = MAPPINGS.iter().find(|(from, to, ..)| (*from, *to) == wanted);
    let Some((_, _, grade, how)) = found else {
        return (Grade::Refused, "no way between these types keeps the values");
    };
    match (from, to) {
        (Class::Other(a), Class::Other(b)) if a != b => {
            (Grade::Refused, "types of this kind go only to a type of the same name")
        }
        _ if fits(from, to) => (if from == to { Exact } else { Widening }, how),
        _ => (*grade, how),
    }
}

/// Whether every value of one class is a value of the other, by their bounds.
fn fits(from: &Class, to: &Class) -> bool {
    match (from, to) {
        (Class::Int { .. }, Class::Int { .. }) => {
            let (Some((low, high)), Some((least, greatest))) = (from.int_range(), to.int_range())
            else {
                return false;
            };
            least <= low && high <= greatest
        }
        (Class::Int { bits, unsigned }, Class::Dynamic(_)) => *bits < 64 || !unsigned,
        (Class::Bytes { max: Some(max) }, Class::Bytes { max: Some(most) }) => max <= most,
        (Class::Bytes { .. }, Class::Bytes { max: None }) => true,
        _ => false,
    }
}

/// The page of the reference.
pub fn reference() -> String {
    let mut page = String::from(
        "# Type mappings\n\n\
         What becomes of the values of a column when `whimbrel copy` brings them into a column of\n\
         another type. The grades:\n\n\
         - **exact**: every value stays what it is.\n\
         - **widening**: every value fits, and is held by a wider type or in another form.\n\
         - **checked**: some values do not fit. Each is looked at, before the copy and again during\n\
         \u{20} it; one that would change is an error with its key and column, never a changed value.\n\
         - **refused**: no mapping; said before anything is copied.\n\n\
         Between two columns of the same type in the same kind of database every value stays what\n\
         it is. `checked` is `exact` or `widening` where the bounds of the two types say that every\n\
         value fits (`smallint` to `bigint`, `varbinary(8)` to `bytea`).\n\n\
         The words: `other` is every type that has no word of its own here (enums, arrays, ranges,\n\
         addresses, intervals, geometry); `sqlite number`, `real`, `text` and `blob` are the columns\n\
         of SQLite by their affinity, where each value has a type of its own. MySQL's `tinyint(1)`\n\
         and `bit` are whole numbers, its `datetime` is a timestamp, its `timestamp` one with time\n\
         zone (read and written as UTC), `enum` and `set` are text.\n\n\
         | from | to | grade | how |\n\
         | --- | --- | --- | --- |\n",
    );
    for (from, to, grade, how) in MAPPINGS {
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| {} | {} | {} | {how} |", word(*from), word(*to), grade.name());
    }
    page.push_str("\nEvery other pair is refused.\n");
    page
}

fn word(family: Family) -> &'static str {
    match family {
        F::Bool => "boolean",
        F::Int => "whole number",
        F::Real => "floating point",
        F::Decimal => "decimal",
        F::Text => "text",
        F::Bytes => "bytes",
        F::Date => "date",
        F::Time => "time",
        F::Timestamp => "timestamp",
        F::TimestampTz => "timestamp with time zone",
        F::Uuid => "uuid",
        F::Json => "json",
        F::Other => "other",
        F::SqliteNumber => "sqlite number",
        F::SqliteReal => "sqlite real",
        F::SqliteText => "sqlite text",
        F::SqliteBlob => "sqlite blob",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::Dialect::{Mysql, Postgres, Sqlite};

    #[test]
    fn no_pair_stands_there_twice() {
        for (at, (from, to, ..)) in MAPPINGS.iter().enumerate() {
            let again = MAPPINGS.iter().skip(at + 1).any(|(a, b, ..)| (a, b) == (from, to));
            assert!(!again, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn bounds_make_a_pair_better() {
        let of = |from: &str, from_in, to: &str, to_in| {
            grade(&Class::of(from, from_in), &Class::of(to, to_in)).0
        };
        assert_eq!(of("smallint", Postgres, "bigint", Mysql), Widening);
        assert_eq!(of("bigint", Mysql, "bigint", Postgres), Exact);
        assert_eq!(of("bigint unsigned", Mysql, "bigint", Postgres), Checked);
        assert_eq!(of("varbinary(8)", Mysql, "bytea", Postgres), Widening);
        assert_eq!(of("numeric", Postgres, "decimal(10,2)", Mysql), Checked);
        assert_eq!(of("bytea", Postgres, "text", Mysql), Grade::Refused);
        assert_eq!(of("inet", Postgres, "cidr", Postgres), Grade::Refused);
        assert_eq!(of("INTEGER", Sqlite, "bigint", Postgres), Checked);
    }
}
