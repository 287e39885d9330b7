//! Writing names and texts into SQL so that they mean the same whatever the session's settings.

use super::dialect::Dialect;

/// A name in the dialect's quotes.
pub fn quote_ident(name: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        Dialect::Mysql => format!("`{}`", name.replace('`', "``")),
    }
}

/// A text as a literal.
///
/// PostgreSQL reads backslashes in plain literals or not by `standard_conforming_strings`, so a
/// text with one is an `E''` literal. MariaDB reads them or not by `NO_BACKSLASH_ESCAPES`, and
/// reads bytes by the connection's character set, so a text that is not plain ASCII is a
/// hexadecimal literal. A NUL, which PostgreSQL cannot store, is left out of none: the server
/// refuses it.
pub fn quote_text(text: &str, dialect: Dialect) -> String {
    let doubled = || text.replace('\'', "''");
    match dialect {
        Dialect::Sqlite if text.contains('\0') => {
            format!("CAST(X'{}' AS TEXT)", hex(text))
        }
        Dialect::Sqlite => format!("'{}'", doubled()),
        Dialect::Postgres if text.contains('\\') => {
            format!(" E'{}'", doubled().replace('\\', "\\\\"))
        }
        Dialect::Postgres => format!("'{}'", doubled()),
        Dialect::Mysql if is_plain(text) => format!("'{text}'"),
        Dialect::Mysql if text.is_empty() => "''".to_owned(),
        Dialect::Mysql => format!("CONVERT(X'{}' USING utf8mb4)", hex(text)),
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !matches!(byte, b'\'' | b'\\'))
}

fn hex(text: &str) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(quote_ident("a\"b", Dialect::Postgres), "\"a\"\"b\"");
        assert_eq!(quote_ident("a`b", Dialect::Mysql), "`a``b`");
        assert_eq!(quote_text("it's", Dialect::Sqlite), "'it''s'");
        assert_eq!(quote_text("a\\'", Dialect::Postgres), " E'a\\\\'''");
        assert_eq!(quote_text("plain", Dialect::Mysql), "'plain'");
        assert_eq!(quote_text("ü'", Dialect::Mysql), "CONVERT(X'c3bc27' USING utf8mb4)");
        assert_eq!(quote_text("", Dialect::Mysql), "''");
    }
}
