//! A key's value as a literal of its column's type.

use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, lex};
use crate::sql::quote::{quote_ident, quote_text};

/// The literal of a value that was read as text from a column of this type.
///
/// - PostgreSQL: `'text'::type`, so that the column's own comparison is used.
/// - SQLite: the text is what the function `quote()` gave: a number, a string or a blob.
/// - MySQL: numbers bare, binary types from their hexadecimal digits, ENUM and SET by their numbers
///   (by which they are ordered; next to a string they are strings), all else as a string.
///
/// None where the text cannot be a value of the type, so that nothing else gets into a statement.
pub fn key_literal(text: &str, type_name: &str, dialect: Dialect) -> Option<String> {
    match dialect {
        Dialect::Postgres => postgres(text, type_name),
        Dialect::Sqlite => sqlite(text),
        Dialect::Mysql => mysql(text, type_name),
    }
}

fn postgres(text: &str, type_name: &str) -> Option<String> {
    let type_sql = postgres_type(type_name)?;
    let literal = quote_text(text, Dialect::Postgres);
    Some(format!("{}::{type_sql}", literal.trim_start()))
}

/// The type as the catalog prints it, if it is nothing but a type; an odd name is quoted.
fn postgres_type(type_name: &str) -> Option<String> {
    let plain = |token: &crate::sql::lexer::Token| {
        let number_list = matches!(
            token.kind,
            TokenKind::LParen | TokenKind::RParen | TokenKind::Comma | TokenKind::Number
        );
        let brackets = token.kind == TokenKind::Op
            && token.text(type_name).chars().all(|c| matches!(c, '[' | ']'));
        let name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Dot);
        name || number_list || brackets || token.kind == TokenKind::Whitespace
    };
    let trimmed = type_name.trim();
    if trimmed.is_empty() {
        return None;
    }
    if lex(type_name, Dialect::Postgres).iter().all(plain) {
        return Some(without_length(trimmed));
    }
    Some(quote_ident(trimmed, Dialect::Postgres))
}

/// `character(3)` and `varchar(3)` without a length: a literal is never cut.
fn without_length(type_sql: &str) -> String {
    let lower = type_sql.to_ascii_lowercase();
    let base = lower.split('(').next().unwrap_or("").trim();
    match base {
        "character" | "char" | "bpchar" if !lower.contains('[') => "bpchar".to_owned(),
        "character varying" | "varchar" if !lower.contains('[') => "varchar".to_owned(),
        _ => type_sql.to_owned(),
    }
}

fn sqlite(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    // quote() writes infinity as 9.0e+999.
    let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let tokens = lex(if number { digits } else { text }, Dialect::Sqlite);
    let [token] = tokens.as_slice() else { return None };
    let fits = match token.kind {
        TokenKind::Number => true,
        TokenKind::Str => text.starts_with('\'') || is_hex_literal(text),
        _ => false,
    };
    fits.then(|| text.to_owned())
}

fn is_hex_literal(text: &str) -> bool {
    let inner = text.strip_prefix(['x', 'X']).and_then(|rest| rest.strip_prefix('\''));
    let digits = inner.and_then(|rest| rest.strip_suffix('\''));
    digits.is_some_and(|d| d.len().is_multiple_of(2) && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

const MYSQL_NUMBERS: [&str; 13] = [
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "integer",
    "bigint",
    "decimal",
    "numeric",
    "float",
    "double",
    "real",
    "year",
    "bool",
];

fn mysql(text: &str, type_name: &str) -> Option<String> {
    let lower = type_name.trim().to_ascii_lowercase();
    let base: String = lower.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    if matches!(base.as_str(), "enum" | "set") {
        let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        return number.then(|| text.to_owned());
    }
    if MYSQL_NUMBERS.contains(&base.as_str()) {
        return is_number(text).then(|| text.to_owned());
    }
    if base.ends_with("blob") || base.ends_with("binary") || base == "bit" {
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let fits = hex.len().is_multiple_of(2) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        return fits.then(|| format!("x'{hex}'"));
    }
    Some(quote_text(text, Dialect::Mysql))
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let tokens = lex(digits, Dialect::Mysql);
    starts && matches!(tokens.as_slice(), [token] if token.kind == TokenKind::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Mysql, Postgres, Sqlite};

    #[test]
    fn postgres_has_the_columns_type() {
        let of = |text: &str, of: &str| key_literal(text, of, Postgres).unwrap_or_default();
        assert_eq!(of("12", "bigint"), "'12'::bigint");
        assert_eq!(of("it's", "character varying(5)"), "'it''s'::varchar");
        assert_eq!(of("a", "character(3)"), "'a'::bpchar");
        assert_eq!(of("1", "numeric(10,2)"), "'1'::numeric(10,2)");
        assert_eq!(of("x", "timestamp with time zone"), "'x'::timestamp with time zone");
        assert_eq!(of("x", "app.\"Kind\""), "'x'::app.\"Kind\"");
        assert_eq!(of("x", "t; drop table x"), "'x'::\"t; drop table x\"");
        assert_eq!(key_literal("x", " ", Postgres), None);
    }

    #[test]
    fn sqlite_takes_what_quote_gives() {
        for text in ["12", "-12", "1.5", "-9.0e+999", "'it''s'", "X'00ff'"] {
            assert_eq!(key_literal(text, "", Sqlite).as_deref(), Some(text));
        }
        for text in ["NULL", "1 OR 1", "'a' || 'b'", "x'0'", "--1", "abc", "", "'a"] {
            assert_eq!(key_literal(text, "", Sqlite), None, "{text}");
        }
    }

    #[test]
    fn mysql_numbers_are_bare() {
        let of = |text: &str, of: &str| key_literal(text, of, Mysql);
        assert_eq!(of("-5", "int(11) unsigned").as_deref(), Some("-5"));
        assert_eq!(of("5 or 1", "int"), None);
        assert_eq!(of("0a0b", "varbinary(8)").as_deref(), Some("x'0a0b'"));
        assert_eq!(of("abc", "varchar(8)").as_deref(), Some("'abc'"));
        assert_eq!(of("2", "enum('z','b')").as_deref(), Some("2"));
        assert_eq!(of("b", "enum('z','b')"), None);
        assert_eq!(of("2024-01-01", "date").as_deref(), Some("'2024-01-01'"));
    }
}
