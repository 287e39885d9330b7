use super::*;
use crate::transfer::mapping::{Grade, grade};
use Dialect::{Mysql, Postgres, Sqlite};

/// What becomes of a value, shown; the loss's word where it cannot.
fn sent(from: (&str, Dialect), to: (&str, Dialect), cell: Cell<'_>) -> String {
    converted(from, to, cell, false)
}

fn converted(from: (&str, Dialect), to: (&str, Dialect), cell: Cell<'_>, utc: bool) -> String {
    let (source, target) = (Class::of(from.0, from.1), Class::of(to.0, to.1));
    assert_ne!(grade(&source, &target).0, Grade::Refused, "{from:?} to {to:?}");
    let way = Way::new((source, from.1), (target, to.1), utc);
    match way.convert(cell, &mut Scratch::default()) {
        Ok(Cell::Text(text) | Cell::Decimal(text)) => text.to_owned(),
        Ok(Cell::Bytes(bytes)) => format!("{bytes:?}"),
        Ok(Cell::Int(value)) => value.to_string(),
        Ok(Cell::UInt(value)) => value.to_string(),
        Ok(Cell::Real(value)) => format!("{value:?}"),
        Ok(Cell::Bool(value)) => value.to_string(),
        Ok(Cell::Null) => "NULL".to_owned(),
        Err(loss) => loss.code().to_owned(),
    }
}

#[test]
fn numbers() {
    let bigint = ("bigint", Postgres);
    let unsigned = ("bigint unsigned", Mysql);
    let any = ("INTEGER", Sqlite);
    for (from, to, cell, want) in [
        (unsigned, bigint, Cell::UInt(u64::MAX), "out-of-range"),
        (unsigned, ("numeric", Postgres), Cell::UInt(u64::MAX), "18446744073709551615"),
        (bigint, unsigned, Cell::Int(-1), "out-of-range"),
        (bigint, ("smallint", Postgres), Cell::Int(32_768), "out-of-range"),
        (any, bigint, Cell::Text("12"), "12"),
        (any, bigint, Cell::Text("012"), "text-as-number"),
        (any, bigint, Cell::Text("twelve"), "text-as-number"),
        (any, bigint, Cell::Real(1.5), "digits"),
        (any, bigint, Cell::Bytes(b"1"), "wrong-type"),
        (any, ("boolean", Postgres), Cell::Int(1), "true"),
        (any, ("boolean", Postgres), Cell::Int(2), "out-of-range"),
        (("boolean", Postgres), ("tinyint(1)", Mysql), Cell::Bool(true), "1"),
        (("tinyint(1)", Mysql), ("boolean", Postgres), Cell::Int(0), "false"),
        (("double precision", Postgres), ("real", Postgres), Cell::Real(0.123_456_789), "digits"),
        (("double precision", Postgres), ("real", Postgres), Cell::Real(0.1), "0.1"),
        (("float", Mysql), ("real", Postgres), Cell::Real(0.100_000_001_490_116_12), "0.1"),
        (("float", Mysql), ("double precision", Postgres), Cell::Real(0.5), "0.5"),
        (("real", Postgres), ("numeric", Postgres), Cell::Real(0.1), "0.1"),
        (("double precision", Postgres), ("double", Mysql), Cell::Real(f64::NAN), "not-a-number"),
        (("numeric", Postgres), ("decimal(5,2)", Mysql), Cell::Decimal("123.450"), "123.450"),
        (("numeric", Postgres), ("decimal(5,2)", Mysql), Cell::Decimal("123.456"), "digits"),
        (("numeric", Postgres), ("decimal(5,2)", Mysql), Cell::Decimal("1234"), "out-of-range"),
        (("numeric", Postgres), ("decimal(5,2)", Mysql), Cell::Decimal("NaN"), "not-a-number"),
        (("decimal(10,2)", Mysql), ("NUMERIC", Sqlite), Cell::Decimal("1.50"), "1.5"),
        (("decimal(10,2)", Mysql), ("NUMERIC", Sqlite), Cell::Decimal("7.00"), "7"),
        (("numeric", Postgres), ("NUMERIC", Sqlite), Cell::Decimal("0.1234567890123456"), "digits"),
        (("numeric", Postgres), ("TEXT", Sqlite), Cell::Decimal("1.50"), "1.50"),
        (bigint, ("REAL", Sqlite), Cell::Int((1 << 53) + 1), "digits"),
        (("double precision", Postgres), ("DOUBLE", Sqlite), Cell::Real(-0.0), "0.0"),
    ] {
        assert_eq!(sent(from, to, cell), want, "{from:?} to {to:?}: {cell:?}");
    }
}

#[test]
fn texts_and_bytes() {
    let (long, short) = (("text", Postgres), ("varchar(3)", Mysql));
    let any = ("TEXT", Sqlite);
    for (from, to, cell, want) in [
        (long, short, Cell::Text("äöü"), "äöü"),
        (long, short, Cell::Text("abcd"), "too-long"),
        (long, ("tinytext", Mysql), Cell::Text(&"ä".repeat(128)), "too-long"),
        (long, ("char(3)", Mysql), Cell::Text("a "), "blanks"),
        (("character(3)", Postgres), short, Cell::Text("a  "), "a"),
        (any, long, Cell::Text("a\0b"), "nul-byte"),
        (any, short, Cell::Text("a\0b"), "a\0b"),
        (any, long, Cell::Bytes(&[255]), "not-utf-8"),
        (any, long, Cell::Int(5), "5"),
        (("varchar(9)", Mysql), ("INTEGER", Sqlite), Cell::Text(" 12 "), "number-like"),
        (("varchar(9)", Mysql), ("INTEGER", Sqlite), Cell::Text("1e3"), "number-like"),
        (("varchar(9)", Mysql), ("INTEGER", Sqlite), Cell::Text("12x"), "12x"),
        (("bytea", Postgres), ("varbinary(2)", Mysql), Cell::Bytes(&[1, 2, 3]), "too-long"),
        (any, ("uuid", Postgres), Cell::Text("no"), "wrong-type"),
    ] {
        assert_eq!(sent(from, to, cell), want, "{from:?} to {to:?}: {cell:?}");
    }
    let uuid = "123E4567-E89B-12D3-A456-426614174000";
    assert_eq!(sent(any, ("uuid", Postgres), Cell::Text(uuid)), uuid.to_lowercase());
    let bytes = sent(("uuid", Postgres), ("BLOB", Sqlite), Cell::Text(uuid));
    assert!(bytes.starts_with("[18, 62, 69"), "{bytes}");
}

#[test]
fn dates_and_times() {
    let (datetime, stamp) = (("datetime(6)", Mysql), ("timestamp without time zone", Postgres));
    let zoned = ("timestamp with time zone", Postgres);
    let any = ("DATETIME", Sqlite);
    for (from, to, cell, want) in [
        (("date", Mysql), ("date", Postgres), Cell::Text("0000-00-00"), "zero-date"),
        (("date", Mysql), ("date", Postgres), Cell::Text("2026-00-01"), "zero-date"),
        (datetime, stamp, Cell::Text("0000-00-00T00:00:00.000000"), "zero-date"),
        (datetime, stamp, Cell::Text("2026-11-21T10:15:00.250000"), "2026-11-21T10:15:00.25"),
        (datetime, zoned, Cell::Text("2026-11-21T10:15:00"), "time-zone"),
        (zoned, datetime, Cell::Text("2026-11-21T10:15:00Z"), "time-zone"),
        (("timestamp", Mysql), zoned, Cell::Text("2026-11-21T10:15:00"), "2026-11-21T10:15:00Z"),
        (zoned, ("timestamp", Mysql), Cell::Text("2040-01-01T00:00:00Z"), "out-of-range"),
        (zoned, ("timestamp", Mysql), Cell::Text("2026-11-21T10:15:00.5Z"), "digits"),
        (stamp, datetime, Cell::Text("infinity"), "out-of-range"),
        (stamp, datetime, Cell::Text("-0044-03-15T00:00:00"), "out-of-range"),
        (any, stamp, Cell::Text("2026-11-21 10:15:00"), "2026-11-21T10:15:00"),
        (any, zoned, Cell::Text("2026-11-21 10:15:00+02:00"), "2026-11-21T08:15:00Z"),
        (any, zoned, Cell::Text("2026-11-21 10:15:00"), "time-zone"),
        (any, stamp, Cell::Int(1_700_000_000), "wrong-type"),
        (any, stamp, Cell::Text("yesterday"), "no-time"),
        (("time", Mysql), ("time without time zone", Postgres), Cell::Text("838:59:59"), "no-time"),
        (stamp, any, Cell::Text("2026-11-21T10:15:00.5"), "2026-11-21 10:15:00.5"),
        (zoned, any, Cell::Text("2026-11-21T10:15:00Z"), "2026-11-21T10:15:00Z"),
        (("timestamp", Mysql), any, Cell::Text("2026-11-21T10:15:00"), "2026-11-21T10:15:00Z"),
        (("date", Postgres), datetime, Cell::Text("2026-11-21"), "2026-11-21T00:00:00"),
    ] {
        assert_eq!(sent(from, to, cell), want, "{from:?} to {to:?}: {cell:?}");
    }
    let naive = Cell::Text("2026-11-21T10:15:00");
    assert_eq!(converted(datetime, zoned, naive, true), "2026-11-21T10:15:00Z");
}
