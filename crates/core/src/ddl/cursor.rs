//! A position in a statement's tokens, without white space and comments.
//!
//! Nothing here fails or recurses: a group in parentheses is a range of tokens, and reading past
//! the end yields nothing.

use super::name::{ObjectName, as_stored};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{Token, TokenKind, ident_value, lex};

/// A statement with its tokens that matter.
pub(super) struct Source<'a> {
    sql: &'a str,
    dialect: Dialect,
    tokens: Vec<Token>,
}

impl<'a> Source<'a> {
    pub(super) fn new(sql: &'a str, dialect: Dialect) -> Source<'a> {
        let mut tokens = lex(sql, dialect);
        tokens.retain(|token| !token.is_trivia() && token.kind != TokenKind::ExecutableCommentMark);
        Source { sql, dialect, tokens }
    }

    /// Whether the statement begins in a comment like `/*!80000` or `/*M!110400`, which only
    /// servers
    /// of that version and later run. MariaDB passes over what MySQL 5.7 and 8 brought.
    pub(super) fn runs_only_on_some_servers(&self) -> bool {
        const RUN_BY_ALL_MAX: u32 = 50_699;
        if self.dialect != Dialect::Mysql {
            return false;
        }
        let first_code = self.tokens.first().map_or(0, |token| token.span.start);
        let before = self.sql.get(..first_code).unwrap_or_default();
        before.match_indices('!').any(|(at, _)| {
            let version = before.get(at + 1..).unwrap_or_default();
            let digits =
                version.len() - version.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let is_mark = before.get(..at).is_some_and(|head| head.ends_with(['*', 'M']));
            let number = version.get(..digits).and_then(|digits| digits.parse::<u32>().ok());
            is_mark && number.is_some_and(|number| number > RUN_BY_ALL_MAX)
        })
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { source: self, pos: 0, end: self.tokens.len() }
    }
}

/// A reading position within a range of tokens.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    source: &'a Source<'a>,
    pos: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn dialect(&self) -> Dialect {
        self.source.dialect
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.dialect() == Dialect::Postgres
    }

    pub(super) fn is_mysql(&self) -> bool {
        self.dialect() == Dialect::Mysql
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.dialect() == Dialect::Sqlite
    }

    pub(super) fn at_end(&self) -> bool {
        self.pos >= self.end
    }

    /// The token `ahead` of this place.
    pub(super) fn token(&self, ahead: usize) -> Option<&'a Token> {
        let at = self.pos.checked_add(ahead)?;
        if at >= self.end { None } else { self.source.tokens.get(at) }
    }

    pub(super) fn kind(&self, ahead: usize) -> Option<TokenKind> {
        self.token(ahead).map(|token| token.kind)
    }

    pub(super) fn is_kind(&self, kind: TokenKind) -> bool {
        self.kind(0) == Some(kind)
    }

    fn text_of(&self, token: &Token) -> &'a str {
        self.source.sql.get(token.span.clone()).unwrap_or_default()
    }

    /// The text of the token `ahead`, empty at the end.
    pub(super) fn peek(&self, ahead: usize) -> &'a str {
        self.token(ahead).map_or("", |token| self.text_of(token))
    }

    /// Whether the token `ahead` is this keyword, unquoted.
    pub(super) fn word_at(&self, ahead: usize, keyword: &str) -> bool {
        self.kind(ahead) == Some(TokenKind::Word) && self.peek(ahead).eq_ignore_ascii_case(keyword)
    }

    /// Whether the next tokens are these keywords, written with blanks between them.
    pub(super) fn at(&self, phrase: &str) -> bool {
        phrase.split(' ').enumerate().all(|(ahead, keyword)| self.word_at(ahead, keyword))
    }

    /// Whether the next token is one of these keywords.
    pub(super) fn at_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.word_at(0, keyword))
    }

    /// Steps over these keywords if they are next.
    pub(super) fn eat(&mut self, phrase: &str) -> bool {
        let found = self.at(phrase);
        if found {
            self.pos += phrase.split(' ').count();
        }
        found
    }

    /// Steps over one of these phrases if it is next.
    pub(super) fn eat_any(&mut self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.eat(phrase))
    }

    pub(super) fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let found = self.is_kind(kind);
        self.pos += usize::from(found);
        found
    }

    pub(super) fn eat_text(&mut self, text: &str) -> bool {
        let found = !self.at_end() && self.peek(0) == text;
        self.pos += usize::from(found);
        found
    }

    pub(super) fn bump(&mut self) {
        if !self.at_end() {
            self.pos += 1;
        }
    }

    /// Steps over one token, or over a whole group in parentheses.
    pub(super) fn skip(&mut self) {
        if self.group().is_none() {
            self.bump();
        }
    }

    /// Steps forward to one of these keywords outside parentheses; false if there is none.
    pub(super) fn skip_to(&mut self, keywords: &[&str]) -> bool {
        while !self.at_end() {
            if self.at_any(keywords) {
                return true;
            }
            self.skip();
        }
        false
    }

    /// A name as its value, folded and cut as the database does it.
    pub(super) fn ident(&mut self) -> Option<String> {
        let token = self.token(0)?;
        let text = self.text_of(token);
        let value = match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => ident_value(text, self.dialect()),
            TokenKind::Str if !self.is_postgres() => unquoted(text),
            _ => return None,
        };
        self.pos += 1;
        Some(as_stored(value, self.dialect()))
    }

    /// A name with what stands before its dots; of three parts the last two count.
    pub(super) fn object_name(&mut self) -> Option<ObjectName> {
        let mut name = ObjectName::bare(self.ident()?);
        while self.is_kind(TokenKind::Dot) {
            let before = self.pos;
            self.pos += 1;
            let Some(next) = self.ident() else {
                self.pos = before;
                break;
            };
            name = ObjectName::in_schema(name.name, next);
        }
        Some(name)
    }

    /// What is inside the parentheses that open here; steps behind them.
    pub(super) fn group(&mut self) -> Option<Cursor<'a>> {
        if !self.is_kind(TokenKind::LParen) {
            return None;
        }
        let start = self.pos + 1;
        let mut depth = 0usize;
        while let Some(kind) = self.kind(0) {
            self.pos += 1;
            match kind {
                TokenKind::LParen => depth += 1,
                TokenKind::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(Cursor { source: self.source, pos: start, end: self.pos - 1 });
            }
        }
        Some(Cursor { source: self.source, pos: start, end: self.pos })
    }

    /// The rest, cut at commas outside parentheses; empty parts are left out.
    pub(super) fn items(mut self) -> Vec<Cursor<'a>> {
        let mut items = Vec::new();
        let mut start = self.pos;
        loop {
            if self.at_end() || self.is_kind(TokenKind::Comma) {
                if self.pos > start {
                    items.push(Cursor { source: self.source, pos: start, end: self.pos });
                }
                if self.at_end() {
                    return items;
                }
                self.pos += 1;
                start = self.pos;
            } else {
                self.skip();
            }
        }
    }

    /// The part up to a comma outside parentheses; steps behind the comma.
    pub(super) fn item(&mut self) -> Cursor<'a> {
        let start = self.pos;
        while !self.at_end() && !self.is_kind(TokenKind::Comma) {
            self.skip();
        }
        let item = Cursor { source: self.source, pos: start, end: self.pos };
        self.bump();
        item
    }

    /// The part before a later position of this cursor.
    pub(super) fn before(&self, end: Cursor<'a>) -> Cursor<'a> {
        Cursor { source: self.source, pos: self.pos, end: end.pos.min(self.end) }
    }

    /// Ends this statement at its semicolon outside parentheses, if it has one.
    pub(super) fn until_semicolon(mut self) -> Cursor<'a> {
        let start = self.pos;
        while !self.at_end() && !self.is_kind(TokenKind::Semicolon) {
            self.skip();
        }
        Cursor { source: self.source, pos: start, end: self.pos }
    }

    /// The rest as text: one blank where white space or comments were, no change otherwise.
    pub(super) fn text(&self) -> String {
        let tokens = self.source.tokens.get(self.pos.min(self.end)..self.end).unwrap_or_default();
        let mut text = String::new();
        let mut last_end = None;
        for token in tokens {
            if last_end.is_some_and(|end| end < token.span.start) {
                text.push(' ');
            }
            text.push_str(self.text_of(token));
            last_end = Some(token.span.end);
        }
        text
    }

    /// The text between an earlier position of this cursor and here.
    pub(super) fn text_since(&self, start: Cursor<'a>) -> String {
        Cursor { source: self.source, pos: start.pos, end: self.pos.min(self.end) }.text()
    }
}

/// The value of a string that stands where a name belongs.
pub(super) fn unquoted(text: &str) -> String {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        return text.to_owned();
    };
    let inner = text.strip_prefix(quote).unwrap_or(text);
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    inner.replace(&format!("{quote}{quote}"), &quote.to_string())
}
