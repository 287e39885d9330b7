//! Rules of the table itself: which values its columns take.

use crate::rows::Cell;
use crate::snapshot::{Column, Snapshot, Table};
use crate::sql::dialect::Dialect;

/// Whose rows are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Rows that are to be written into the table: everything that it would refuse.
    Target,
    /// Rows of the table itself: only what the database lets in against the declaration.
    Own,
}

/// What one column takes.
pub(super) struct ColumnFit {
    pub(super) column: String,
    pub(super) type_name: String,
    pub(super) not_null: bool,
    fit: Fit,
}

/// Which values fit a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fit {
    /// Whole numbers in a range.
    Whole(i128, i128),
    /// Any number.
    Number,
    /// So many digits, so many of them behind the point.
    Decimal(u32, u32),
    /// At most so many characters.
    Chars(usize),
    /// Text of any length.
    Text,
    Bool,
    /// One of these.
    Listed(Vec<String>),
    /// A day of the calendar in front.
    Date,
    /// A JSON document.
    Json,
    Anything,
}

/// The columns whose values have to be looked at.
pub(super) fn fits(
    table: &Table,
    snapshot: &Snapshot,
    dialect: Dialect,
    scope: Scope,
) -> Vec<ColumnFit> {
    let own = scope == Scope::Own;
    if own && dialect == Dialect::Postgres {
        // It lets nothing in that does not fit.
        return Vec::new();
    }
    let columns = table.columns.iter().filter(|column| column.generated.is_none());
    let all = columns.map(|column| {
        let mut fit = fit_of(column, snapshot, dialect);
        if own && !escapes(&fit, dialect) {
            fit = Fit::Anything;
        }
        let numbered = column.identity || column.default.is_some();
        let not_null = !own && !column.nullable && !numbered;
        let (name, type_name) = (column.name.clone(), column.type_name.clone());
        ColumnFit { column: name, type_name, not_null, fit }
    });
    all.filter(|fit| fit.not_null || fit.fit != Fit::Anything).collect()
}

/// Whether the database lets in what does not fit.
fn escapes(fit: &Fit, dialect: Dialect) -> bool {
    match dialect {
        // Except in STRICT tables any value may stand in any column.
        Dialect::Sqlite => true,
        // Without strict mode: '' in an enum, 2026-02-00 in a date.
        Dialect::Mysql => matches!(fit, Fit::Listed(_) | Fit::Date),
        Dialect::Postgres => false,
    }
}

pub(crate) fn fit_of(column: &Column, snapshot: &Snapshot, dialect: Dialect) -> Fit {
    let text = column.type_name.trim();
    let lower = text.to_lowercase();
    let (name, arguments) = match lower.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.split(')').next().unwrap_or_default()),
        None => (lower.as_str(), ""),
    };
    let mut numbers = arguments.split(',').map(|part| part.trim().parse::<u32>().ok());
    let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
    match dialect {
        Dialect::Sqlite => sqlite(name, first, second),
        Dialect::Postgres => postgres(name, first, second)
            .unwrap_or_else(|| listed(&lower, snapshot).unwrap_or(Fit::Anything)),
        Dialect::Mysql => mysql(&lower, name, first, second, text),
    }
}

fn signed(bits: u32) -> Fit {
    let half = 1_i128 << (bits - 1);
    Fit::Whole(-half, half - 1)
}

fn chars(length: Option<u32>) -> Fit {
    length.map_or(Fit::Text, |length| Fit::Chars(length as usize))
}

fn decimal(precision: Option<u32>, scale: Option<u32>) -> Fit {
    precision.map_or(Fit::Number, |precision| Fit::Decimal(precision, scale.unwrap_or(0)))
}

/// SQLite takes any name for a type; these are what people mean by them.
fn sqlite(name: &str, first: Option<u32>, second: Option<u32>) -> Fit {
    let has = |part: &str| name.contains(part);
    if has("bool") {
        Fit::Bool
    } else if has("int") && !has("point") && !has("interval") {
        signed(64)
    } else if has("char") || has("text") || has("clob") {
        chars(first)
    } else if has("decimal") || has("numeric") {
        decimal(first, second)
    } else if has("real") || has("floa") || has("doub") {
        Fit::Number
    } else if name == "json" {
        Fit::Json
    } else {
        Fit::Anything
    }
}

fn postgres(name: &str, first: Option<u32>, second: Option<u32>) -> Option<Fit> {
    Some(match name {
        "smallint" => signed(16),
        "integer" => signed(32),
        "bigint" => signed(64),
        "numeric" => decimal(first, second),
        "real" | "double precision" => Fit::Number,
        "character varying" | "character" => chars(first),
        "text" => Fit::Text,
        "boolean" => Fit::Bool,
        "json" | "jsonb" => Fit::Json,
        "date" => Fit::Date,
        name if name.starts_with("timestamp") => Fit::Date,
        _ => return None,
    })
}

/// The values of an enum of the schema.
fn listed(type_name: &str, snapshot: &Snapshot) -> Option<Fit> {
    let bare = type_name.rsplit('.').next().unwrap_or(type_name).replace('"', "");
    let mut found = snapshot.types.iter().filter(|def| !def.values.is_empty());
    let def = found.find(|def| def.name.name.to_lowercase() == bare)?;
    Some(Fit::Listed(def.values.clone()))
}

fn mysql(lower: &str, name: &str, first: Option<u32>, second: Option<u32>, text: &str) -> Fit {
    let whole = |bits: u32| match lower.contains("unsigned") {
        true => Fit::Whole(0, (1_i128 << bits) - 1),
        false => signed(bits),
    };
    match name.split(' ').next().unwrap_or_default() {
        "tinyint" => whole(8),
        "smallint" => whole(16),
        "mediumint" => whole(24),
        "int" => whole(32),
        "bigint" => whole(64),
        "decimal" => decimal(first, second),
        "float" | "double" => Fit::Number,
        "char" | "varchar" => chars(first),
        "enum" => Fit::Listed(quoted(text)),
        "date" | "datetime" | "timestamp" => Fit::Date,
        "json" => Fit::Json,
        _ => Fit::Anything,
    }
}

/// The texts between single quotes, with doubled ones inside.
pub(crate) fn quoted(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('\'') {
        let mut value = String::new();
        rest = behind;
        loop {
            let Some((part, after)) = rest.split_once('\'') else { return out };
            value.push_str(part);
            rest = after;
            match rest.strip_prefix('\'') {
                Some(more) => {
                    value.push('\'');
                    rest = more;
                }
                None => break,
            }
        }
        out.push(value);
    }
    out
}

impl ColumnFit {
    /// Whether a value that is not NULL fits.
    pub(super) fn fits(&self, cell: Cell<'_>) -> bool {
        match &self.fit {
            Fit::Anything => true,
            Fit::Whole(min, max) => whole(cell).is_some_and(|n| (*min..=*max).contains(&n)),
            Fit::Number => {
                matches!(cell, Cell::Int(_) | Cell::UInt(_) | Cell::Real(_) | Cell::Decimal(_))
            }
            Fit::Decimal(precision, scale) => match cell {
                Cell::Int(number) => digits(&number.to_string(), *precision, *scale),
                Cell::UInt(number) => digits(&number.to_string(), *precision, *scale),
                Cell::Real(number) => digits(&number.to_string(), *precision, *scale),
                Cell::Decimal(text) => digits(text, *precision, *scale),
                _ => false,
            },
            Fit::Chars(most) => match cell {
                Cell::Text(text) => text.len() <= *most || text.chars().count() <= *most,
                Cell::Bytes(_) => false,
                _ => true,
            },
            Fit::Text => !matches!(cell, Cell::Bytes(_)),
            Fit::Bool => matches!(cell, Cell::Bool(_) | Cell::Int(0 | 1) | Cell::UInt(0 | 1)),
            Fit::Listed(values) => match cell {
                Cell::Text(text) => values.iter().any(|value| value == text),
                _ => false,
            },
            Fit::Date => match cell {
                Cell::Text(text) => !has_zero_part(text),
                _ => false,
            },
            Fit::Json => match cell {
                Cell::Text(text) => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
                Cell::Bytes(_) => false,
                _ => true,
            },
        }
    }
}

fn whole(cell: Cell<'_>) -> Option<i128> {
    match cell {
        Cell::Int(number) => Some(number.into()),
        Cell::UInt(number) => Some(number.into()),
        Cell::Bool(value) => Some(value.into()),
        Cell::Decimal(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether a decimal has at most so many digits before and behind the point.
fn digits(text: &str, precision: u32, scale: u32) -> bool {
    let text = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit());
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    plain
        && whole.len() <= precision.saturating_sub(scale) as usize
        && fraction.len() <= scale as usize
}

/// `0000-00-00`, `2026-02-00`: days that no calendar has.
fn has_zero_part(text: &str) -> bool {
    let date = text.get(..10).unwrap_or_default();
    date.ends_with("-00") || date.get(5..7) == Some("00")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::ObjectName;
    use crate::snapshot::TypeDef;
    use Cell::{Bool, Bytes, Decimal, Int, Real, Text, UInt};
    use Dialect::{Mysql, Postgres, Sqlite};

    fn fit(type_name: &str, dialect: Dialect) -> ColumnFit {
        let column = Column { type_name: type_name.to_owned(), ..Column::default() };
        let mood = TypeDef {
            name: ObjectName::in_schema("public", "mood"),
            values: vec!["sad".to_owned(), "ok".to_owned()],
            definition: "enum".to_owned(),
        };
        let snapshot = Snapshot { types: vec![mood], ..Snapshot::default() };
        let fit = fit_of(&column, &snapshot, dialect);
        let type_name = type_name.to_owned();
        ColumnFit { column: String::new(), type_name, not_null: false, fit }
    }

    #[test]
    fn values_and_types() {
        let long = "x".repeat(11);
        #[rustfmt::skip]
        let rows: Vec<(&str, Dialect, Cell<'_>, bool)> = vec![
            ("INTEGER", Sqlite, Int(i64::MAX), true),
            ("INTEGER", Sqlite, Text("12a"), false),
            ("INTEGER", Sqlite, Real(1.5), false),
            ("BIGINT UNSIGNED", Sqlite, Int(-1), true),
            ("BOOLEAN", Sqlite, Int(1), true),
            ("BOOLEAN", Sqlite, Int(2), false),
            ("VARCHAR(10)", Sqlite, Text("0123456789"), true),
            ("VARCHAR(10)", Sqlite, Text("éééééééééé"), true),
            ("VARCHAR(10)", Sqlite, Text(&long), false),
            ("TEXT", Sqlite, Bytes(&[255]), false),
            ("TEXT", Sqlite, Text(""), true),
            ("DECIMAL(5,2)", Sqlite, Real(999.99), true),
            ("DECIMAL(5,2)", Sqlite, Real(1000.0), false),
            ("DECIMAL(5,2)", Sqlite, Real(0.125), false),
            ("REAL", Sqlite, Text("x"), false),
            ("DATETIME", Sqlite, Text("x"), true),
            ("JSON", Sqlite, Text("{}"), true),
            ("JSON", Sqlite, Text("{"), false),
            ("", Sqlite, Text("x"), true),
            ("smallint", Postgres, Int(32_767), true),
            ("smallint", Postgres, Int(32_768), false),
            ("integer", Postgres, Int(-2_147_483_649), false),
            ("character varying(10)", Postgres, Text(&long), false),
            ("numeric(5,2)", Postgres, Decimal("-999.990"), true),
            ("numeric(5,2)", Postgres, Decimal("1000"), false),
            ("numeric", Postgres, Decimal("NaN"), true),
            ("boolean", Postgres, Bool(true), true),
            ("boolean", Postgres, Text("yes"), false),
            ("mood", Postgres, Text("ok"), true),
            ("public.mood", Postgres, Text("glad"), false),
            ("date", Postgres, Text("0000-00-00"), false),
            ("inet", Postgres, Text("x"), true),
            ("tinyint(3) unsigned", Mysql, UInt(255), true),
            ("tinyint(3) unsigned", Mysql, Int(-1), false),
            ("bigint(20) unsigned", Mysql, UInt(u64::MAX), true),
            ("bigint(20)", Mysql, UInt(u64::MAX), false),
            ("enum('a','it''s')", Mysql, Text("it's"), true),
            ("enum('a','it''s')", Mysql, Text(""), false),
            ("datetime(6)", Mysql, Text("2026-02-00T00:00:00"), false),
            ("datetime(6)", Mysql, Text("2026-02-01T00:00:00"), true),
        ];
        for (type_name, dialect, cell, want) in rows {
            assert_eq!(fit(type_name, dialect).fits(cell), want, "{type_name} {cell:?}");
        }
    }
}
