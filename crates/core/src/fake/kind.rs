//! Which values a column's type takes.

use super::bounds::Bounds;
use super::check;
use super::names::{Style, style_of};
use crate::rules::{Fit, fit_of};
use crate::snapshot::{Column, Snapshot, TypeDef};
use crate::sql::dialect::Dialect;

/// Domains of domains are followed so deep.
const DOMAIN_DEPTH_MAX: usize = 8;
/// Dimensions of a vector without a length.
const DIMENSIONS: usize = 3;

/// What a type's values are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Bool,
    Whole(i128, i128),
    /// Digits before and behind the point.
    Decimal(u32, u32),
    Real,
    /// At most so many characters.
    Text(Option<usize>),
    Listed(Vec<String>),
    Date,
    Time,
    /// With a time zone or without.
    Moment(bool),
    Uuid,
    /// At most so many bytes; exactly so many where the flag is set.
    Bytes(Option<usize>, bool),
    /// Zeros and ones.
    Bits(usize),
    Json,
    Array(Box<Kind>),
    Vector(usize),
    /// One text is as good as another.
    Constant(&'static str),
    /// An SQL expression.
    Sql(&'static str),
}

/// The kind of a column's type, and what a domain says; `None` for a type that is not known.
pub(super) fn kind_of(
    column: &Column,
    snapshot: &Snapshot,
    dialect: Dialect,
) -> Option<(Kind, Bounds)> {
    let mut bounds = Bounds::default();
    let kind = named(column, snapshot, dialect, &mut bounds, DOMAIN_DEPTH_MAX)?;
    Some((kind, bounds))
}

fn named(
    column: &Column,
    snapshot: &Snapshot,
    dialect: Dialect,
    bounds: &mut Bounds,
    depth: usize,
) -> Option<Kind> {
    let lower = column.type_name.trim().to_lowercase();
    if let Some(element) = column.type_name.strip_suffix("[]") {
        let inner = Column { type_name: element.to_owned(), ..column.clone() };
        let kind = named(&inner, snapshot, dialect, bounds, depth.checked_sub(1)?)?;
        return Some(Kind::Array(Box::new(kind)));
    }
    let (name, number) = match lower.split_once('(') {
        Some((name, rest)) => {
            let first = rest.split([',', ')']).next().unwrap_or_default();
            (name.trim(), first.trim().parse::<usize>().ok())
        }
        None => (lower.as_str(), None),
    };
    if dialect == Dialect::Mysql && lower.starts_with("tinyint(1)") {
        return Some(Kind::Bool);
    }
    Some(match fit_of(column, snapshot, dialect) {
        Fit::Whole(low, high) => Kind::Whole(low, high),
        Fit::Number => Kind::Real,
        Fit::Decimal(precision, scale) => Kind::Decimal(precision.saturating_sub(scale), scale),
        Fit::Chars(most) => Kind::Text(Some(most)),
        Fit::Text => Kind::Text(None),
        Fit::Bool => Kind::Bool,
        Fit::Listed(values) => Kind::Listed(values),
        Fit::Date if name == "date" => Kind::Date,
        Fit::Date => Kind::Moment(lower.contains("with time zone")),
        Fit::Json => Kind::Json,
        Fit::Anything => match dialect {
            Dialect::Sqlite => sqlite(name, column)?,
            Dialect::Mysql => mysql(name, number, &column.type_name)?,
            Dialect::Postgres => match postgres(name, number) {
                Some(kind) => kind,
                None => domain(column, snapshot, bounds, depth)?,
            },
        },
    })
}

fn sqlite(name: &str, column: &Column) -> Option<Kind> {
    Some(match name {
        "date" => Kind::Date,
        "time" => Kind::Time,
        "blob" | "binary" | "varbinary" => Kind::Bytes(None, false),
        "uuid" => Kind::Uuid,
        name if name.contains("date") || name.contains("timestamp") => Kind::Moment(false),
        // A column without a type takes anything.
        _ => match style_of(&column.name) {
            Style::Word => Kind::Whole(0, i128::from(i64::MAX)),
            _ => Kind::Text(None),
        },
    })
}

fn mysql(name: &str, number: Option<usize>, text: &str) -> Option<Kind> {
    Some(match name.split(' ').next().unwrap_or_default() {
        "tinytext" => Kind::Text(Some(60)),
        "text" | "mediumtext" | "longtext" => Kind::Text(None),
        "set" => Kind::Listed(crate::rules::quoted(text)),
        "time" => Kind::Time,
        "year" => Kind::Whole(1990, 2026),
        "bit" => Kind::Whole(0, (1_i128 << number.unwrap_or(1).min(64)) - 1),
        "binary" => Kind::Bytes(Some(number.unwrap_or(1)), true),
        "varbinary" => Kind::Bytes(number, false),
        "blob" | "tinyblob" | "mediumblob" | "longblob" => Kind::Bytes(None, false),
        "uuid" => Kind::Uuid,
        "inet4" => Kind::Constant("10.0.0.1"),
        "inet6" => Kind::Constant("::1"),
        "point" | "geometry" => Kind::Sql("ST_GeomFromText('POINT(1 2)')"),
        _ => return None,
    })
}

fn postgres(name: &str, number: Option<usize>) -> Option<Kind> {
    let bare = name.rsplit('.').next().unwrap_or(name);
    Some(match bare {
        "citext" | "name" => Kind::Text(None),
        "\"char\"" => Kind::Text(Some(1)),
        "uuid" => Kind::Uuid,
        "bytea" => Kind::Bytes(None, false),
        "bit" => Kind::Bits(number.unwrap_or(1)),
        "bit varying" => Kind::Bits(number.unwrap_or(8).min(8)),
        "interval" => Kind::Constant("3 days 04:05:06"),
        "money" => Kind::Decimal(4, 2),
        "inet" => Kind::Constant("10.0.0.1"),
        "cidr" => Kind::Constant("10.0.0.0/24"),
        "macaddr" => Kind::Constant("02:00:00:00:00:01"),
        "macaddr8" => Kind::Constant("02:00:00:ff:fe:00:00:01"),
        "point" => Kind::Constant("(1,2)"),
        "line" => Kind::Constant("{1,2,3}"),
        "lseg" | "path" => Kind::Constant("[(1,2),(3,4)]"),
        "box" => Kind::Constant("(3,4),(1,2)"),
        "polygon" => Kind::Constant("((0,0),(0,1),(1,0))"),
        "circle" => Kind::Constant("<(1,2),3>"),
        "xml" => Kind::Constant("<row/>"),
        "tsvector" | "tsquery" => Kind::Constant("'word'"),
        "int4range" | "int8range" | "numrange" => Kind::Constant("[1,10)"),
        "daterange" | "tsrange" | "tstzrange" => Kind::Constant("[2026-01-01,2026-02-01)"),
        "hstore" => Kind::Constant("\"a\"=>\"1\""),
        "ltree" => Kind::Constant("top.inner"),
        "oid" => Kind::Whole(1, 1_000_000),
        "vector" | "halfvec" => Kind::Vector(number.unwrap_or(DIMENSIONS)),
        name if name.starts_with("time") => Kind::Time,
        name if name.starts_with("interval") => Kind::Constant("3 days"),
        _ => return None,
    })
}

/// The type that a domain is made of, with the domain's own CHECKs.
fn domain(column: &Column, snapshot: &Snapshot, bounds: &mut Bounds, depth: usize) -> Option<Kind> {
    let same = |def: &&TypeDef| {
        let plain = column.type_name.replace('"', "");
        let bare = plain.rsplit('.').next().unwrap_or_default();
        def.name.name == bare || def.name.name == plain
    };
    let def = snapshot.types.iter().find(same)?;
    let text = def.definition.strip_prefix("domain ")?;
    let end = |word: &str| text.find(word).unwrap_or(text.len());
    let base = end(" not null").min(end(" default ")).min(end(" CHECK (")).min(end(" NOT NULL"));
    let (base, rest) = text.split_at_checked(base)?;
    for part in rest.split(" CHECK ").skip(1) {
        for (name, own) in check::read(part, Dialect::Postgres) {
            if name == "value" {
                bounds.also(own);
            }
        }
    }
    bounds.not_null |= rest.starts_with(" not null");
    let inner = Column { type_name: base.to_owned(), ..column.clone() };
    named(&inner, snapshot, Dialect::Postgres, bounds, depth.checked_sub(1)?)
}
