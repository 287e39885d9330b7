//! A value that a column's type takes, as SQL.

use whimbrel_core::snapshot::Column;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;

/// What a number makes of a type; `None` where no value is known.
pub(super) fn value(column: &Column, number: u32, dialect: Dialect) -> Option<String> {
    match dialect {
        Dialect::Postgres => postgres(&column.type_name, number),
        Dialect::Mysql => mysql(column, number),
        Dialect::Sqlite => Some(sqlite(&column.type_name, number)),
    }
}

fn postgres(type_name: &str, number: u32) -> Option<String> {
    let (base, length) = base_and_length(type_name);
    Some(match base {
        "text" | "name" | "citext" => format!("'whimbrel-{number}@example.invalid'"),
        "character varying" | "character" | "bpchar" => text(number, length, Dialect::Postgres),
        "integer" | "bigint" => (2_000_000_000 + number).to_string(),
        "smallint" => (32_000 + number).to_string(),
        "numeric" | "real" | "double precision" => number.to_string(),
        "boolean" => "false".to_owned(),
        "uuid" => uuid(number),
        "json" | "jsonb" => "'{}'".to_owned(),
        "bytea" => "''".to_owned(),
        "date"
        | "timestamp without time zone"
        | "timestamp with time zone"
        | "time without time zone"
        | "time with time zone" => "now()".to_owned(),
        "interval" => "'1 day'".to_owned(),
        "inet" => "'192.0.2.1'".to_owned(),
        _ if type_name.ends_with("[]") => "'{}'".to_owned(),
        _ => return None,
    })
}

fn mysql(column: &Column, number: u32) -> Option<String> {
    let type_name = column.type_name.to_ascii_lowercase();
    if column.identity {
        // A number above all others would move the counter for good, as it is not rolled back.
        let unsigned = type_name.contains("unsigned");
        return Some(if unsigned { "0".to_owned() } else { format!("-{}", 100 + number % 28) });
    }
    let (base, length) = base_and_length(&type_name);
    let base = base.split(' ').next().unwrap_or(base);
    Some(match base {
        "int" | "integer" | "bigint" => (2_000_000_000 + number).to_string(),
        "mediumint" => (8_000_000 + number).to_string(),
        "smallint" => (32_000 + number).to_string(),
        "tinyint" => (number % 100).to_string(),
        "decimal" | "float" | "double" => number.to_string(),
        "char" | "varchar" => text(number, length, Dialect::Mysql),
        "text" | "mediumtext" | "longtext" => format!("'whimbrel-{number}@example.invalid'"),
        "tinytext" => format!("'w{number}'"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            text(number, length, Dialect::Mysql)
        }
        "json" => "'{}'".to_owned(),
        "date" => "'2001-02-03'".to_owned(),
        "datetime" | "timestamp" => "'2001-02-03 04:05:06'".to_owned(),
        "time" => "'04:05:06'".to_owned(),
        "year" => "'2001'".to_owned(),
        "bit" => "b'1'".to_owned(),
        "uuid" => uuid(number),
        "inet6" => "'::1'".to_owned(),
        "set" => "''".to_owned(),
        "enum" => first_label(&column.type_name)?,
        _ => return None,
    })
}

/// By the rules of affinity; what the type's name means beside is guessed from its words.
fn sqlite(type_name: &str, number: u32) -> String {
    let upper = type_name.to_ascii_uppercase();
    let has = |word: &str| upper.contains(word);
    if has("INT") {
        (2_000_000_000 + number).to_string()
    } else if has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB") || upper.is_empty() {
        format!("'whimbrel-{number}@example.invalid'")
    } else if has("DATE") || has("TIME") {
        "'2001-02-03 04:05:06'".to_owned()
    } else if has("BOOL") {
        "0".to_owned()
    } else {
        number.to_string()
    }
}

fn uuid(number: u32) -> String {
    format!("'00000000-0000-4000-8000-{number:012x}'")
}

fn text(number: u32, length: Option<usize>, dialect: Dialect) -> String {
    let text = format!("{number}whimbrel@example.invalid");
    let text: String = text.chars().take(length.unwrap_or(usize::MAX)).collect();
    quote_text(&text, dialect)
}

/// `enum('a','b')`: `'a'`, as the catalog has quoted it.
fn first_label(type_name: &str) -> Option<String> {
    let (_, rest) = type_name.split_once('(')?;
    let inner = rest.strip_prefix('\'')?;
    let end = inner.find("',").or_else(|| inner.rfind('\''))?;
    inner.get(..end).map(|label| format!("'{label}'"))
}

/// `character varying(20)` as `character varying` and 20.
fn base_and_length(type_name: &str) -> (&str, Option<usize>) {
    let Some((base, rest)) = type_name.split_once('(') else { return (type_name, None) };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (base.trim_end(), digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn of(dialect: Dialect, type_name: &str, identity: bool) -> Option<String> {
        let column = Column { type_name: type_name.to_owned(), identity, ..Column::default() };
        value(&column, 7, dialect)
    }

    #[test]
    fn types_have_values() {
        for (type_name, identity, want) in [
            ("int(11)", false, Some("2000000007")),
            ("int(10) unsigned", true, Some("0")),
            ("bigint(20)", true, Some("-107")),
            ("varchar(3)", false, Some("'7wh'")),
            ("enum('a','b')", false, Some("'a'")),
            ("enum('a')", false, Some("'a'")),
            ("geometry", false, None),
        ] {
            let found = of(Dialect::Mysql, type_name, identity);
            assert_eq!(found.as_deref(), want, "{type_name}");
        }
        assert_eq!(of(Dialect::Sqlite, "BIGINT", false).as_deref(), Some("2000000007"));
        assert_eq!(
            of(Dialect::Sqlite, "DATETIME", false).as_deref(),
            Some("'2001-02-03 04:05:06'")
        );
        assert_eq!(of(Dialect::Postgres, "mood", false), None);
    }
}
