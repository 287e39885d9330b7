//! Cuts SQL text into tokens by each dialect's own lexical rules.
//!
//! Total and linear: any text gives tokens whose spans tile it, so that a damaged file is still
//! shown with exact places. Meaning is not decided here; keywords are plain words.
//!
//! Rules where a reader might expect another one:
//! - PostgreSQL strings follow `standard_conforming_strings = on`; an `E''` string goes on over a
//!   line break, as in the server.
//! - MySQL's `"..."` is a string; under `ANSI_QUOTES` it would be a name. Strings have backslash
//!   escapes, as without `NO_BACKSLASH_ESCAPES`.
//! - `:name` is a parameter in every dialect, except right after an operand (`a[1:n]`,
//!   `label:LOOP`).
//! - MySQL's `@name` and `@@name` are parameters: they are never keywords.
//! - What only a client does at the start of a statement (`--comment` without a space in `mariadb`,
//!   `#` lines in `sqlite3`) is a comment there.

use std::ops::Range;

use super::dialect::Dialect;

pub(crate) use self::scan::Lexer;

mod scan;
#[cfg(test)]
mod tests;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line breaks.
    Whitespace,
    /// A comment to the end of its line, without the line break.
    LineComment,
    /// A `/* */` comment.
    BlockComment,
    /// MySQL's `/*!50003`, `/*M!` and the `*/` that closes it; what lies between is code.
    ExecutableCommentMark,
    /// An unquoted name or keyword.
    Word,
    /// A quoted name.
    QuotedIdent,
    /// Any string literal with its prefix (`E''`, `X''`, `U&''`, `N''`) and dollar quotes.
    Str,
    /// A number.
    Number,
    /// A placeholder or a session variable: `?`, `?1`, `$1`, `:name`, `@name`.
    Param,
    /// A semicolon.
    Semicolon,
    /// A comma.
    Comma,
    /// An opening parenthesis.
    LParen,
    /// A closing parenthesis.
    RParen,
    /// A dot that is not part of a number.
    Dot,
    /// A run of operator characters, or one character that belongs nowhere else.
    Op,
    /// A quote or comment that is never closed; it reaches to the end of the text.
    Unterminated,
}

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is, in bytes of the text given to [`lex`].
    pub span: Range<usize>,
}

impl Token {
    /// The token's text; empty if `sql` is not the text it was cut from.
    pub fn text<'a>(&self, sql: &'a str) -> &'a str {
        sql.get(self.span.clone()).unwrap_or("")
    }

    /// True for white space and comments.
    pub fn is_trivia(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment
        )
    }

    /// True for this keyword in any case, unquoted.
    pub fn is_word(&self, sql: &str, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(keyword)
    }
}

/// Cuts the whole text into tokens.
pub fn lex(sql: &str, dialect: Dialect) -> Vec<Token> {
    let mut lexer = Lexer::new(sql, dialect);
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

/// The name that a [`TokenKind::Word`] or [`TokenKind::QuotedIdent`] stands for.
///
/// Quotes are removed and doubled ones folded; PostgreSQL's unquoted names become lower case.
/// PostgreSQL's cut at 63 bytes is not applied.
pub fn ident_value(token_text: &str, dialect: Dialect) -> String {
    let unicode = token_text.get(..3).is_some_and(|p| p.eq_ignore_ascii_case("u&\""));
    let quoted = if unicode { token_text.get(2..).unwrap_or("") } else { token_text };
    let mut chars = quoted.chars();
    let close = match chars.next() {
        Some(quote @ ('"' | '`')) => quote,
        Some('[') if dialect == Dialect::Sqlite => ']',
        _ if dialect == Dialect::Postgres => return token_text.to_ascii_lowercase(),
        _ => return token_text.to_owned(),
    };
    let inner = chars.as_str();
    let inner = inner.strip_suffix(close).unwrap_or(inner);
    let folded = match close {
        '"' => inner.replace("\"\"", "\""),
        '`' => inner.replace("``", "`"),
        _ => inner.to_owned(),
    };
    if unicode { decode_unicode_escapes(&folded) } else { folded }
}

/// Decodes `\0061` and `\+000061`; what is not an escape stays as it is.
fn decode_unicode_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or(""));
        let escape = rest.get(at..).unwrap_or("");
        let digits = if escape.starts_with("\\+") { 2..8 } else { 1..5 };
        let decoded = escape
            .get(digits.clone())
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        let used = match decoded {
            Some(c) => {
                out.push(c);
                digits.end
            }
            None => {
                out.push('\\');
                if escape.starts_with("\\\\") { 2 } else { 1 }
            }
        };
        rest = escape.get(used..).unwrap_or("");
    }
    out.push_str(rest);
    out
}
