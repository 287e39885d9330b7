//! The two checksums of a migration: of its text and of its code.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::sql::dialect::Dialect;
use crate::sql::lexer::{Token, lex};
use crate::sql::split::copy_rows;

/// SHA-256 in hexadecimal of the text without byte order mark and with `\n` for every `\r\n`, also
/// inside of string literals, so that a checkout under Windows is the same migration.
pub fn text_checksum(text: &str) -> String {
    let mut hash = Sha256::new();
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).split("\r\n");
    hash.update(lines.next().unwrap_or(""));
    for line in lines {
        hash.update("\n");
        hash.update(line);
    }
    hex(hash)
}

/// SHA-256 in hexadecimal of the tokens of code, each followed by a zero byte: comments and white
/// space do not count.
///
/// Words count as they are written, and so does a `\r` inside of a string literal. The rows of
/// PostgreSQL's `COPY` count as they are, also if the text ends in them.
pub fn token_checksum(text: &str, dialect: Dialect) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut hash = Sha256::new();
    let mut start = 0;
    for rows in copy_rows(text, dialect) {
        add_tokens(&mut hash, text, start..rows.start, dialect);
        hash.update(text.get(rows.clone()).unwrap_or(""));
        hash.update([0]);
        start = rows.end;
    }
    add_tokens(&mut hash, text, start..text.len(), dialect);
    hex(hash)
}

fn add_tokens(hash: &mut Sha256, text: &str, range: Range<usize>, dialect: Dialect) {
    let part = text.get(range).unwrap_or("");
    for token in lex(part, dialect).iter().filter(|token: &&Token| !token.is_trivia()) {
        hash.update(token.text(part));
        hash.update([0]);
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Mysql, Postgres, Sqlite};

    #[test]
    fn line_breaks_and_byte_order_mark_do_not_count_in_a_text() {
        let unix = text_checksum("SELECT 'a\nb';\n");
        assert_eq!(text_checksum("\u{feff}SELECT 'a\r\nb';\r\n"), unix);
        assert_ne!(text_checksum("SELECT 'a\rb';\n"), unix);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(text_checksum(""), empty);
        assert_eq!(text_checksum("\u{feff}"), empty);
    }

    #[track_caller]
    fn same(dialect: Dialect, a: &str, b: &str) {
        assert_eq!(token_checksum(a, dialect), token_checksum(b, dialect), "{a:?} and {b:?}");
    }

    #[track_caller]
    fn other(dialect: Dialect, a: &str, b: &str) {
        assert_ne!(token_checksum(a, dialect), token_checksum(b, dialect), "{a:?} and {b:?}");
    }

    #[test]
    fn only_code_counts_in_tokens() {
        same(Sqlite, "SELECT 1;", "-- x\nSELECT\r\n1 /* y */ ;");
        same(Mysql, "SELECT 1", "SELECT 1 # x");
        same(Sqlite, "", "\u{feff}-- only a comment");
        other(Sqlite, "SELECT 1;", "SELECT 1");
        other(Sqlite, "SELECT a", "select a");
        other(Sqlite, "SELECT ab", "SELECT a b");
        other(Sqlite, "SELECT 'a b'", "SELECT 'a  b'");
        other(Mysql, "/*!50003 SELECT */ 1", "SELECT 1");
    }

    #[test]
    fn rows_of_a_copy_count_as_they_are() {
        let copy = "COPY t FROM stdin;\n1 -- a\n\\.\nSELECT 1;";
        same(Postgres, copy, "COPY t FROM  stdin; -- x\n1 -- a\n\\.\n\nSELECT 1;");
        other(Postgres, copy, "COPY t FROM stdin;\n1 -- b\n\\.\nSELECT 1;");
        other(Postgres, "COPY t FROM stdin;\n1 -- a\n", "COPY t FROM stdin;\n1 -- b\n");
    }
}
