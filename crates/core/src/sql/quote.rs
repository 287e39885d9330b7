//! Names and texts as SQL, safe under any setting of the session.

use super::dialect::Dialect;

/// A quoted name.
///
/// A NUL byte, which no database takes in a name, is left out.
pub fn quote_ident(name: &str, dialect: Dialect) -> String {
    let quote = match dialect {
        Dialect::Sqlite | Dialect::Postgres => '"',
        Dialect::Mysql => '`',
    };
    quoted(&name.replace('\0', ""), quote)
}

/// A string literal.
///
/// PostgreSQL: with a backslash it is written ` E'...'`, so that `standard_conforming_strings` does
/// not matter; a NUL byte, which its `text` cannot hold, is left out. SQLite: a NUL byte is written
/// as `char(0)`, because the text of a statement ends at the first one. MySQL: anything but plain
/// characters is written in hexadecimal, so that `NO_BACKSLASH_ESCAPES`, `ANSI_QUOTES` and the
/// connection's character set do not matter.
pub fn quote_text(text: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite if text.contains('\0') => {
            let parts: Vec<_> = text.split('\0').map(|part| quoted(part, '\'')).collect();
            format!("({})", parts.join("||char(0)||"))
        }
        Dialect::Sqlite => quoted(text, '\''),
        Dialect::Postgres => {
            let text = text.replace('\0', "");
            if text.contains('\\') {
                format!(" E{}", quoted(&text.replace('\\', "\\\\"), '\''))
            } else {
                quoted(&text, '\'')
            }
        }
        Dialect::Mysql if text.bytes().all(is_plain) => quoted(text, '\''),
        Dialect::Mysql => {
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("_utf8mb4 X'{hex}'")
        }
    }
}

/// A character that means itself in a MySQL string under every setting.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t') && !matches!(byte, b'\'' | b'"' | b'\\')
}

fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        if c == quote {
            out.push(c);
        }
        out.push(c);
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::lexer::{TokenKind, ident_value, lex};
    use Dialect::{Mysql, Postgres, Sqlite};

    #[test]
    fn names() {
        assert_eq!(quote_ident("a\"b", Postgres), "\"a\"\"b\"");
        assert_eq!(quote_ident("a`b", Mysql), "`a``b`");
        assert_eq!(quote_ident("a\0;", Sqlite), "\"a;\"");
    }

    #[test]
    fn texts() {
        assert_eq!(quote_text("it's", Sqlite), "'it''s'");
        assert_eq!(quote_text("a\0", Sqlite), "('a'||char(0)||'')");
        assert_eq!(quote_text("it's", Postgres), "'it''s'");
        assert_eq!(quote_text("a\\'", Postgres), " E'a\\\\'''");
        assert_eq!(quote_text("a\0b", Postgres), "'ab'");
        assert_eq!(quote_text("plain; --", Mysql), "'plain; --'");
        assert_eq!(quote_text("it's", Mysql), "_utf8mb4 X'69742773'");
        assert_eq!(quote_text("é", Mysql), "_utf8mb4 X'c3a9'");
    }

    proptest! {
        #[test]
        fn a_name_is_one_token_and_reads_back(name in "\\PC*") {
            for dialect in Dialect::ALL {
                let sql = quote_ident(&name, dialect);
                let tokens = lex(&sql, dialect);
                prop_assert_eq!(tokens.len(), 1);
                prop_assert_eq!(tokens[0].kind, TokenKind::QuotedIdent);
                prop_assert_eq!(ident_value(&sql, dialect), name.clone());
            }
        }

        #[test]
        fn a_text_opens_and_closes_its_own_quotes(text in any::<String>()) {
            for dialect in Dialect::ALL {
                let sql = format!("{}, 1", quote_text(&text, dialect));
                let tokens = lex(&sql, dialect);
                prop_assert!(tokens.iter().all(|token| token.kind != TokenKind::Unterminated));
                prop_assert!(tokens.iter().all(|token| token.kind != TokenKind::Semicolon));
                prop_assert_eq!(tokens.last().map(|token| token.text(&sql)), Some("1"));
            }
        }
    }
}
