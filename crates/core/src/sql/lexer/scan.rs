//! The scanner: one token from one place.

use super::{Dialect, Token, TokenKind};

/// The scanner behind [`lex`], for readers that must step over text that is not SQL.
pub(crate) struct Lexer<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    dialect: Dialect,
    pos: usize,
    /// Open `/*!` marks.
    executable_depth: u32,
    /// No code since the start or since the last end of a statement.
    fresh: bool,
    /// Where words, numbers and operators end at the latest.
    limit: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of the text.
    pub(crate) fn new(sql: &'a str, dialect: Dialect) -> Self {
        Lexer {
            sql,
            bytes: sql.as_bytes(),
            dialect,
            pos: 0,
            executable_depth: 0,
            fresh: true,
            limit: usize::MAX,
        }
    }

    /// Where the next token begins.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// Goes on at `pos`, a character boundary; the next token starts a statement.
    pub(crate) fn restart_at(&mut self, pos: usize) {
        self.pos = pos;
        self.fresh = true;
        self.executable_depth = 0;
    }

    /// Lets no word, number or operator go beyond `limit`, where a client's delimiter stands.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next token; `None` at the end of the text.
    pub(crate) fn next(&mut self) -> Option<Token> {
        let start = self.pos;
        let first = self.byte(start)?;
        let (kind, end) = self.scan(first, start);
        let end = end.clamp(start + 1, self.bytes.len());
        self.pos = end;
        let token = Token { kind, span: start..end };
        if kind == TokenKind::ExecutableCommentMark {
            self.executable_depth = match first {
                b'/' => self.executable_depth.saturating_add(1),
                _ => self.executable_depth.saturating_sub(1),
            };
        }
        if !token.is_trivia() {
            self.fresh = kind == TokenKind::Semicolon;
        }
        Some(token)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn is(&self, at: usize, byte: u8) -> bool {
        self.byte(at) == Some(byte)
    }

    /// The end of the run of bytes from `at` on that satisfy `wanted`.
    fn run(&self, at: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(at..).unwrap_or(&[]);
        at + rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len())
    }

    /// Like `run`, but not beyond the limit.
    fn limited_run(&self, at: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(at..self.limit.min(self.bytes.len())).unwrap_or(&[]);
        at + rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len())
    }

    /// The kind and end of the token at `start`.
    fn scan(&self, first: u8, start: usize) -> (TokenKind, usize) {
        if let Some(found) = self.trivia(first, start) {
            return found;
        }
        match first {
            b';' => (TokenKind::Semicolon, start + 1),
            b',' => (TokenKind::Comma, start + 1),
            b'(' => (TokenKind::LParen, start + 1),
            b')' => (TokenKind::RParen, start + 1),
            b'\'' => self.string(start, self.dialect == Dialect::Mysql),
            b'"' if self.dialect == Dialect::Mysql => self.string(start, true),
            b'"' => self.quoted(start, b'"', false, TokenKind::QuotedIdent),
            b'`' if self.dialect != Dialect::Postgres => {
                self.quoted(start, b'`', false, TokenKind::QuotedIdent)
            }
            b'[' if self.dialect == Dialect::Sqlite => {
                let end = self.run(start, |b| b != b']');
                if self.is(end, b']') {
                    (TokenKind::QuotedIdent, end + 1)
                } else {
                    (TokenKind::Unterminated, end)
                }
            }
            b'$' => self.dollar(start),
            b'?' if self.dialect != Dialect::Postgres => {
                (TokenKind::Param, self.run(start + 1, |b| b.is_ascii_digit()))
            }
            b':' => self.colon(start),
            b'@' if self.dialect != Dialect::Postgres => self.at_sign(start),
            b'.' if self.byte(start + 1).is_some_and(|b| b.is_ascii_digit())
                && !self.follows_operand(start) =>
            {
                (TokenKind::Number, self.number_end(start))
            }
            b'.' => (TokenKind::Dot, start + 1),
            b'0'..=b'9' => self.number(start),
            b if is_word_start(b) => self.word(start),
            b'*' if self.executable_depth > 0 && self.is(start + 1, b'/') => {
                (TokenKind::ExecutableCommentMark, start + 2)
            }
            b if is_operator(b, self.dialect) => (TokenKind::Op, self.operator_end(start)),
            _ => (TokenKind::Op, start + 1),
        }
    }

    fn trivia(&self, first: u8, start: usize) -> Option<(TokenKind, usize)> {
        if self.is_space(first) {
            return Some((TokenKind::Whitespace, self.run(start, |b| self.is_space(b))));
        }
        if first == 0xEF && self.dialect == Dialect::Sqlite && self.starts(start, "\u{feff}") {
            return Some((TokenKind::Whitespace, start + 3));
        }
        if self.line_comment_starts(first, start) {
            let postgres = self.dialect == Dialect::Postgres;
            let end = self.run(start, |b| b != b'\n' && !(postgres && b == b'\r'));
            return Some((TokenKind::LineComment, end));
        }
        (first == b'/' && self.is(start + 1, b'*')).then(|| self.block_comment(start))
    }

    fn is_space(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
            || (byte == 0x0b && self.dialect != Dialect::Sqlite)
    }

    fn starts(&self, at: usize, text: &str) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(text.as_bytes()))
    }

    fn line_comment_starts(&self, first: u8, start: usize) -> bool {
        let dashes = first == b'-' && self.is(start + 1, b'-');
        match self.dialect {
            Dialect::Postgres => dashes,
            Dialect::Sqlite => {
                let line_start = start == 0 || self.is(start.wrapping_sub(1), b'\n');
                dashes || (first == b'#' && self.fresh && line_start)
            }
            Dialect::Mysql => {
                let blank = self.byte(start + 2).is_none_or(|b| b <= b' ' || b == 0x7f);
                first == b'#' || (dashes && (blank || self.fresh))
            }
        }
    }

    fn block_comment(&self, start: usize) -> (TokenKind, usize) {
        if self.dialect == Dialect::Mysql {
            let mark = if self.starts(start, "/*!") {
                Some(start + 3)
            } else {
                self.starts(start, "/*M!").then_some(start + 4)
            };
            if let Some(after) = mark {
                return (TokenKind::ExecutableCommentMark, self.run(after, |b| b.is_ascii_digit()));
            }
        }
        let mut depth = 1_u32;
        let mut at = start + 2;
        while at < self.bytes.len() {
            match (self.byte(at), self.byte(at + 1)) {
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return (TokenKind::BlockComment, at);
                    }
                }
                (Some(b'/'), Some(b'*')) if self.dialect == Dialect::Postgres => {
                    depth += 1;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        // SQLite lets a comment run to the end of its input.
        match self.dialect {
            Dialect::Sqlite => (TokenKind::BlockComment, at),
            Dialect::Postgres | Dialect::Mysql => (TokenKind::Unterminated, at),
        }
    }

    /// A string whose quote is at `open`.
    fn string(&self, open: usize, backslash: bool) -> (TokenKind, usize) {
        let quote = self.byte(open).unwrap_or(b'\'');
        self.quoted(open, quote, backslash, TokenKind::Str)
    }

    fn quoted(
        &self,
        open: usize,
        quote: u8,
        backslash: bool,
        kind: TokenKind,
    ) -> (TokenKind, usize) {
        let mut at = open + 1;
        loop {
            at = self.run(at, |b| b != quote && !(backslash && b == b'\\'));
            match self.byte(at) {
                None => return (TokenKind::Unterminated, self.bytes.len()),
                Some(b) if b != quote => at += 2,
                Some(_) if self.is(at + 1, quote) => at += 2,
                Some(_) => return (kind, at + 1),
            }
        }
    }

    /// A PostgreSQL `E''` string; pieces on following lines belong to it.
    fn escape_string(&self, open: usize) -> (TokenKind, usize) {
        let (mut kind, mut end) = self.string(open, true);
        while kind == TokenKind::Str {
            match self.continuation(end) {
                Some(next) => (kind, end) = self.string(next, true),
                None => break,
            }
        }
        (kind, end)
    }

    /// Where the next piece of a string opens: a quote after white space with a line break.
    fn continuation(&self, end: usize) -> Option<usize> {
        let mut at = end;
        let mut line_break = false;
        loop {
            match self.byte(at)? {
                b'\n' | b'\r' => line_break = true,
                b if self.is_space(b) => {}
                b'-' if self.is(at + 1, b'-') => {
                    at = self.run(at, |b| b != b'\n' && b != b'\r');
                    continue;
                }
                b'\'' if line_break => return Some(at),
                _ => return None,
            }
            at += 1;
        }
    }

    fn dollar(&self, start: usize) -> (TokenKind, usize) {
        match self.dialect {
            Dialect::Mysql => self.word(start),
            Dialect::Sqlite => self.tcl_variable(start),
            Dialect::Postgres => {
                let digits = self.run(start + 1, |b| b.is_ascii_digit());
                if digits > start + 1 {
                    return (TokenKind::Param, digits);
                }
                let tag = self.run(start + 1, |b| is_word_start(b) || b.is_ascii_digit());
                if !self.is(tag, b'$') {
                    return (TokenKind::Op, start + 1);
                }
                let quote = self.sql.get(start..tag + 1).unwrap_or("$$");
                let body = self.sql.get(tag + 1..).unwrap_or("");
                match body.find(quote) {
                    Some(at) => (TokenKind::Str, tag + 1 + at + quote.len()),
                    None => (TokenKind::Unterminated, self.bytes.len()),
                }
            }
        }
    }

    /// SQLite's `$name`, with `::name` parts and a final `(...)`.
    fn tcl_variable(&self, start: usize) -> (TokenKind, usize) {
        let mut at = self.limited_run(start + 1, |b| self.is_word_part(b));
        if at == start + 1 {
            return (TokenKind::Op, at);
        }
        while self.starts(at, "::") {
            at = self.run(at + 2, |b| self.is_word_part(b));
        }
        if self.is(at, b'(') {
            let close = self.run(at, |b| b != b')' && !self.is_space(b));
            at = if self.is(close, b')') { close + 1 } else { close };
        }
        (TokenKind::Param, at)
    }

    fn colon(&self, start: usize) -> (TokenKind, usize) {
        if self.is(start + 1, b':') || self.is(start + 1, b'=') {
            return (TokenKind::Op, start + 2);
        }
        let named = match self.dialect {
            Dialect::Sqlite => self.byte(start + 1).is_some_and(|b| self.is_word_part(b)),
            Dialect::Postgres | Dialect::Mysql => {
                self.byte(start + 1).is_some_and(is_word_start) && !self.follows_operand(start)
            }
        };
        if named {
            (TokenKind::Param, self.limited_run(start + 1, |b| self.is_word_part(b)))
        } else {
            (TokenKind::Op, start + 1)
        }
    }

    /// SQLite's `@name`, MySQL's `@name`, `@@name` and `@@global.name`.
    fn at_sign(&self, start: usize) -> (TokenKind, usize) {
        let mysql = self.dialect == Dialect::Mysql;
        let name = if mysql && self.is(start + 1, b'@') { start + 2 } else { start + 1 };
        let end = self.limited_run(name, |b| self.is_word_part(b) || (mysql && b == b'.'));
        (if end > name { TokenKind::Param } else { TokenKind::Op }, end)
    }

    /// True right after a name, number or closing bracket, where `:` and `.` cannot start a token.
    fn follows_operand(&self, start: usize) -> bool {
        let before = start.checked_sub(1).and_then(|at| self.byte(at));
        before.is_some_and(|b| {
            self.is_word_part(b)
                || matches!(b, b'.' | b')' | b'[' | b']' | b'"' | b'`' | b'\'' | b':')
        })
    }

    fn number(&self, start: usize) -> (TokenKind, usize) {
        let end = self.number_end(start);
        let word_end = self.limited_run(start, |b| self.is_word_part(b));
        // A MySQL name may begin with digits.
        if self.dialect == Dialect::Mysql && word_end > end {
            (TokenKind::Word, word_end)
        } else {
            (TokenKind::Number, end)
        }
    }

    fn number_end(&self, start: usize) -> usize {
        if self.is(start, b'0') {
            let radix = self.byte(start + 1).unwrap_or(0).to_ascii_lowercase();
            if matches!(radix, b'x' | b'o' | b'b') {
                let end = self.limited_run(start + 2, |b| b.is_ascii_hexdigit() || b == b'_');
                if end > start + 2 {
                    return end;
                }
            }
        }
        let mut at = self.digits_end(start);
        if self.is(at, b'.') && !self.is(at + 1, b'.') {
            at = self.digits_end(at + 1);
        }
        if self.byte(at).is_some_and(|b| b.eq_ignore_ascii_case(&b'e')) {
            let signed = self.is(at + 1, b'+') || self.is(at + 1, b'-');
            let exponent = if signed { at + 2 } else { at + 1 };
            let end = self.limited_run(exponent, |b| b.is_ascii_digit());
            if end > exponent {
                at = end;
            }
        }
        at
    }

    fn digits_end(&self, start: usize) -> usize {
        let separators = self.dialect != Dialect::Mysql;
        self.limited_run(start, |b| b.is_ascii_digit() || (separators && b == b'_'))
    }

    fn word(&self, start: usize) -> (TokenKind, usize) {
        let end = self.limited_run(start, |b| self.is_word_part(b));
        let prefix = single_letter(self.bytes.get(start..end).unwrap_or(&[]));
        let quote = self.is(end, b'\'');
        match (self.dialect, prefix) {
            (Dialect::Postgres, Some(b'e')) if quote => self.escape_string(end),
            (Dialect::Postgres, Some(b'b' | b'x' | b'n')) if quote => self.string(end, false),
            (Dialect::Postgres, Some(b'u')) if self.starts(end, "&'") => {
                self.string(end + 1, false)
            }
            (Dialect::Postgres, Some(b'u')) if self.starts(end, "&\"") => {
                self.quoted(end + 1, b'"', false, TokenKind::QuotedIdent)
            }
            (Dialect::Mysql, Some(b'b' | b'x' | b'n')) if quote => self.string(end, true),
            (Dialect::Sqlite, Some(b'x')) if quote => self.string(end, false),
            _ => (TokenKind::Word, end),
        }
    }

    fn is_word_part(&self, byte: u8) -> bool {
        is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
    }

    /// The end of an operator run: it stops before a comment and before what closes `/*!`.
    fn operator_end(&self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(byte) = self.byte(at) {
            let closes = self.executable_depth > 0 && self.starts(at, "*/");
            let comment = self.starts(at, "/*") || self.line_comment_starts(byte, at);
            if at >= self.limit || closes || comment || !is_operator(byte, self.dialect) {
                break;
            }
            at += 1;
        }
        at
    }
}

/// True for what can begin a name in every dialect; all that is not ASCII counts as a letter.
fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_operator(byte: u8, dialect: Dialect) -> bool {
    match byte {
        b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'%' | b'^' | b'&'
        | b'|' => true,
        b'#' | b'@' | b'?' => dialect == Dialect::Postgres,
        _ => false,
    }
}

/// The lower-case letter of a prefix that is one letter long.
fn single_letter(prefix: &[u8]) -> Option<u8> {
    match prefix {
        [letter] => Some(letter.to_ascii_lowercase()),
        _ => None,
    }
}
