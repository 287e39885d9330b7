//! The two checksums of a text: one of all of it, one of its code alone.

use sha2::{Digest, Sha256};

use crate::sql::dialect::Dialect;
use crate::sql::lexer::lex;

/// SHA-256, as hexadecimal digits, of the text without byte order mark and with line ends as LF.
/// A checkout on another system has the same checksum.
pub fn text_checksum(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    hex(&Sha256::digest(text.replace("\r\n", "\n").replace('\r', "\n").as_bytes()))
}

/// SHA-256, as hexadecimal digits, of the code alone: comments and white space do not count. Line
/// ends inside literals are read as LF, as in [`text_checksum`].
pub fn token_checksum(text: &str, dialect: Dialect) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut hash = Sha256::new();
    for token in lex(&text, dialect).iter().filter(|token| !token.is_trivia()) {
        hash.update(token.text(&text).as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_marks_do_not_count() {
        assert_eq!(text_checksum("a\r\nb"), text_checksum("\u{feff}a\nb"));
        assert_ne!(text_checksum("a b"), text_checksum("a  b"));
    }

    #[test]
    fn comments_do_not_count_and_code_does() {
        let sum = |text| token_checksum(text, Dialect::Postgres);
        assert_eq!(sum("SELECT 1; -- one\n"), sum("/* x */ SELECT\n1 ;"));
        assert_ne!(sum("SELECT 'a b'"), sum("SELECT 'a  b'"));
        assert_ne!(sum("SELECT ab"), sum("SELECT a b"));
    }
}
