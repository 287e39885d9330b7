//! The code tokens of one statement, for looking at its words.

use super::Dialect;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// Statements whose rows may be long, and of which only the beginning is read.
const LONG: [&str; 2] = ["INSERT", "REPLACE"];

/// How many tokens of those are read.
const LONG_TOKENS_MAX: usize = 64;

/// The code tokens, without the marks of `/*! */` and without opening parentheses at the start.
pub(super) struct Words<'a> {
    sql: &'a str,
    pub(super) dialect: Dialect,
    tokens: Vec<Token>,
}

impl<'a> Words<'a> {
    pub(super) fn read(sql: &'a str, dialect: Dialect) -> Words<'a> {
        let mut words = Words { sql, dialect, tokens: Vec::new() };
        let mut lexer = Lexer::new(sql, dialect);
        let mut tokens_max = usize::MAX;
        while words.tokens.len() < tokens_max
            && let Some(token) = lexer.next()
        {
            let opening = words.tokens.is_empty() && token.kind == TokenKind::LParen;
            if token.is_trivia() || opening || token.kind == TokenKind::ExecutableCommentMark {
                continue;
            }
            if words.tokens.is_empty() && LONG.iter().any(|verb| token.is_word(sql, verb)) {
                tokens_max = LONG_TOKENS_MAX;
            }
            words.tokens.push(token);
        }
        words
    }

    /// The same statement from token `at` on.
    pub(super) fn from(&self, at: usize) -> Words<'a> {
        let tokens = self.tokens.get(at..).unwrap_or(&[]).to_vec();
        Words { sql: self.sql, dialect: self.dialect, tokens }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// The text of token `at`, as written.
    pub(super) fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text(self.sql))
    }

    /// The word at `at` in upper case; empty if there is none.
    pub(super) fn upper(&self, at: usize) -> String {
        match self.kind(at) {
            Some(TokenKind::Word) => self.text(at).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    pub(super) fn is(&self, at: usize, keyword: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, keyword))
    }

    pub(super) fn is_any(&self, at: usize, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(at, keyword))
    }

    /// True if these words stand at `at`, one after the other.
    pub(super) fn starts_with(&self, at: usize, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(index, keyword)| self.is(at + index, keyword))
    }

    /// True if these words stand anywhere, one after the other.
    pub(super) fn contains(&self, keywords: &[&str]) -> bool {
        (0..self.len()).any(|at| self.starts_with(at, keywords))
    }

    /// Where one of these words stands outside of parentheses, from `from` on.
    pub(super) fn outside(&self, from: usize, keywords: &[&str]) -> Option<usize> {
        let mut depth = 0_u32;
        for at in from..self.len() {
            match self.kind(at) {
                Some(TokenKind::LParen) => depth = depth.saturating_add(1),
                Some(TokenKind::RParen) => depth = depth.saturating_sub(1),
                _ if depth == 0 && self.is_any(at, keywords) => return Some(at),
                _ => {}
            }
        }
        None
    }

    /// The places right after each comma outside of parentheses, and `from` itself.
    pub(super) fn list_items(&self, from: usize) -> Vec<usize> {
        let mut depth = 0_u32;
        let mut items = vec![from];
        for at in from..self.len() {
            match self.kind(at) {
                Some(TokenKind::LParen) => depth = depth.saturating_add(1),
                Some(TokenKind::RParen) => depth = depth.saturating_sub(1),
                Some(TokenKind::Comma) if depth == 0 => items.push(at + 1),
                _ => {}
            }
        }
        items
    }

    /// The end of a name at `at`: `a`, `a.b`, `"a".b`.
    pub(super) fn after_name(&self, at: usize) -> usize {
        let mut at = at + 1;
        while self.kind(at) == Some(TokenKind::Dot) {
            at += 2;
        }
        at
    }
}
