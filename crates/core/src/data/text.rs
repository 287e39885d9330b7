//! The statement's tokens with their depth, for finding places in the author's text.

use std::ops::Range;

use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, lex};

/// A token that is neither white space nor a comment.
#[derive(Clone, Debug)]
pub(super) struct Tok {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
    /// How many parentheses are open around it; a parenthesis has the depth outside of it.
    pub(super) depth: usize,
}

/// A statement's text and tokens.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) sql: String,
    pub(super) dialect: Dialect,
    pub(super) toks: Vec<Tok>,
}

/// Keywords that end a WHERE clause or stand behind the place where one would be.
const AFTER_WHERE: [&str; 15] = [
    "GROUP BY",
    "HAVING",
    "WINDOW",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
    "LOCK IN",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "RETURNING",
    "ON CONFLICT",
    "ON DUPLICATE",
];

impl Text {
    pub(super) fn new(sql: &str, dialect: Dialect) -> Text {
        let mut depth = 0_usize;
        let mut toks = Vec::new();
        for token in lex(sql, dialect) {
            if token.is_trivia() {
                continue;
            }
            if token.kind == TokenKind::RParen {
                depth = depth.saturating_sub(1);
            }
            toks.push(Tok { kind: token.kind, span: token.span, depth });
            if token.kind == TokenKind::LParen {
                depth += 1;
            }
        }
        // What stands behind the last statement is not part of it.
        while toks.last().is_some_and(|tok| tok.kind == TokenKind::Semicolon) {
            toks.pop();
        }
        Text { sql: sql.to_owned(), dialect, toks }
    }

    /// All tokens.
    pub(super) fn all(&self) -> Range<usize> {
        0..self.toks.len()
    }

    /// A token's text.
    pub(super) fn text(&self, at: usize) -> &str {
        self.toks.get(at).and_then(|tok| self.sql.get(tok.span.clone())).unwrap_or("")
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.toks.get(at).map(|tok| tok.kind)
    }

    pub(super) fn depth(&self, at: usize) -> Option<usize> {
        self.toks.get(at).map(|tok| tok.depth)
    }

    /// Whether these keywords, separated by blanks, stand here.
    pub(super) fn at(&self, at: usize, words: &str) -> bool {
        words.split(' ').enumerate().all(|(offset, word)| {
            self.kind(at + offset) == Some(TokenKind::Word)
                && self.text(at + offset).eq_ignore_ascii_case(word)
        })
    }

    /// The first place in `range`, at the depth of its first token, where one of these stands.
    pub(super) fn find(&self, range: Range<usize>, any: &[&str]) -> Option<usize> {
        let depth = self.depth(range.start)?;
        self.find_at(range, depth, any)
    }

    fn find_at(&self, mut range: Range<usize>, depth: usize, any: &[&str]) -> Option<usize> {
        range.find(|&at| {
            self.depth(at) == Some(depth)
                && !self.is_name(at)
                && any.iter().any(|words| self.at(at, words))
        })
    }

    /// Whether one of these words or kinds of tokens is anywhere in `range`.
    pub(super) fn has_any(
        &self,
        mut range: Range<usize>,
        words: &[&str],
        kinds: &[TokenKind],
    ) -> bool {
        range.any(|at| {
            let kind = self.kind(at);
            kind.is_some_and(|kind| kinds.contains(&kind))
                || words.iter().any(|word| self.at(at, word))
        })
    }

    /// Whether the word here is certainly a name: `x.limit`, `limit.x`, `AS limit`.
    fn is_name(&self, at: usize) -> bool {
        let before = at.checked_sub(1);
        let after_dot = before.and_then(|at| self.kind(at)) == Some(TokenKind::Dot);
        let as_name = before.is_some_and(|at| self.at(at, "AS"));
        after_dot || as_name || self.kind(at + 1) == Some(TokenKind::Dot)
    }

    /// The FROM of the select or delete that begins at `range.start`.
    pub(super) fn find_from(&self, range: Range<usize>) -> Option<usize> {
        let mut from = range.start;
        let depth = self.depth(from)?;
        while let Some(at) = self.find_at(from..range.end, depth, &["FROM"]) {
            let distinct = at.checked_sub(1).is_some_and(|at| self.at(at, "DISTINCT"));
            let operator =
                at.checked_sub(2).is_some_and(|at| self.at(at, "IS") || self.at(at, "NOT"));
            if !(distinct && operator) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    /// The end of what stands before GROUP BY, ORDER BY, RETURNING and their like.
    pub(super) fn clause_end(&self, range: Range<usize>) -> usize {
        self.find(range.clone(), &AFTER_WHERE).unwrap_or(range.end)
    }

    /// The token behind the parenthesis that closes the one at `open`.
    pub(super) fn after_group(&self, open: usize) -> Option<usize> {
        let depth = self.depth(open)?;
        let rest = open.checked_add(1)?..self.toks.len();
        let close = rest
            .into_iter()
            .find(|&at| self.kind(at) == Some(TokenKind::RParen) && self.depth(at) == Some(depth));
        close.map(|at| at + 1)
    }

    /// The byte at which a token begins.
    pub(super) fn start(&self, at: usize) -> usize {
        self.toks.get(at).map_or(self.end_of_text(), |tok| tok.span.start)
    }

    /// The byte behind the token before `at`.
    pub(super) fn end_before(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|at| self.toks.get(at));
        before.map_or(0, |tok| tok.span.end)
    }

    fn end_of_text(&self) -> usize {
        self.toks.last().map_or(0, |tok| tok.span.end)
    }

    /// The text from one token to before another, without what surrounds it.
    pub(super) fn slice(&self, range: Range<usize>) -> &str {
        if range.is_empty() {
            return "";
        }
        self.sql.get(self.start(range.start)..self.end_before(range.end)).unwrap_or("")
    }

    /// The whole statement in bytes, without what surrounds it.
    pub(super) fn span(&self) -> Range<usize> {
        self.start(0)..self.end_of_text()
    }
}
