//! The statement's meaning, by sqlparser, kept within bounds.

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlparser::ast::{SetExpr, Statement, Visit, Visitor, With};
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::parameters::parameters;
use super::refusal::{Refusal, RefusalCode};
use super::text::Text;
use crate::sql::dialect::Dialect;
use crate::sql::lexer::TokenKind;

/// How deep the parser may go; each level takes tens of kilobytes of stack.
const NESTING_MAX: usize = 40;
/// How many operators may hang on one another: the tree of `a + b + c` is as deep as it is long.
const CHAIN_MAX: usize = 400;
/// How many parentheses and CASEs may be open.
const LEVELS_MAX: usize = 200;
/// How many joins may wait for their condition.
const OPEN_JOINS_MAX: usize = 8;
/// The longest statement that is looked at, in bytes.
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// A statement with its tree.
pub(super) struct Parsed {
    pub(super) text: Text,
    pub(super) tree: Statement,
}

impl Parsed {
    /// The WITH clause before the verb, and the statement that begins with the verb.
    pub(super) fn inner(&self) -> (Option<&With>, &Statement) {
        match &self.tree {
            Statement::Query(query) => match query.body.as_ref() {
                SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                    (query.with.as_ref(), inner)
                }
                _ => (None, &self.tree),
            },
            other => (None, other),
        }
    }

    /// Whether a WITH clause writes, too.
    pub(super) fn writes_in_with(&self) -> bool {
        let mut count = Statements(0);
        let _ = self.tree.visit(&mut count);
        let around = usize::from(!std::ptr::eq(self.inner().1, &self.tree));
        count.0 != around + 1
    }
}

/// Counts statements, also those inside of others.
struct Statements(usize);

impl Visitor for Statements {
    type Break = ();

    fn pre_visit_statement(&mut self, _statement: &Statement) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Continue(())
    }
}

/// Reads one statement.
pub(super) fn parse(sql: &str, dialect: Dialect) -> Result<Parsed, Refusal> {
    let refuse = |span: Range<usize>, message: String| {
        Err(Refusal::new(RefusalCode::NotParsed, span, message))
    };
    if sql.len() > STATEMENT_BYTES_MAX {
        return refuse(0..sql.len(), "The statement is too long to be understood".to_owned());
    }
    let text = Text::new(sql, dialect);
    if let Some((span, why)) = unreadable(&text) {
        return refuse(span, why.to_owned());
    }
    if let Some(span) = too_deep(&text) {
        return refuse(span, "The statement is nested too deeply to be understood".to_owned());
    }
    let masked = masked(&text);
    // The parser is another project's; a panic in it must not end a run.
    let parsed = catch_unwind(AssertUnwindSafe(|| tree(&masked, &text)));
    match parsed {
        Ok(Ok(tree)) => Ok(Parsed { text, tree }),
        Ok(Err(message)) => refuse(text.span(), message),
        Err(_) => refuse(text.span(), "The statement could not be read".to_owned()),
    }
}

fn grammar(dialect: Dialect) -> Box<dyn Grammar> {
    match dialect {
        Dialect::Sqlite => Box::new(SQLiteDialect {}),
        Dialect::Postgres => Box::new(PostgreSqlDialect {}),
        Dialect::Mysql => Box::new(MySqlDialect {}),
    }
}

fn tree(masked: &str, text: &Text) -> Result<Statement, String> {
    let grammar = grammar(text.dialect);
    let unreadable = |error: String| format!("The statement was not understood: {error}");
    let tokens = Tokenizer::new(grammar.as_ref(), masked)
        .tokenize_with_location()
        .map_err(|error| unreadable(error.to_string()))?;
    if !same_quotes(&tokens, text, masked) {
        return Err("The statement's quotes can be read in two ways".to_owned());
    }
    let tokens = match text.dialect {
        Dialect::Mysql => with_joins(tokens),
        Dialect::Sqlite | Dialect::Postgres => tokens,
    };
    let mut parser = Parser::new(grammar.as_ref())
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(tokens);
    let mut statements =
        parser.parse_statements().map_err(|error| unreadable(error.to_string()))?;
    match (statements.pop(), statements.pop()) {
        (Some(statement), None) => Ok(statement),
        _ => Err("This is not one statement".to_owned()),
    }
}

/// MySQL's `UPDATE a, b SET`, which the parser does not know, as `UPDATE a CROSS JOIN b SET`.
fn with_joins(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |token: &Token, word: &str| match token {
        Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    let (mut depth, mut verb, mut out) = (0_usize, false, Vec::with_capacity(tokens.len()));
    let (mut before_set, mut behind_key) = (true, false);
    for one in tokens {
        match &one.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            // Not that of ON DUPLICATE KEY UPDATE.
            token if depth == 0 && is(token, "UPDATE") => verb |= !behind_key,
            token if depth == 0 && is(token, "SET") => before_set = false,
            Token::Comma if depth == 0 && verb && before_set => {
                for word in ["CROSS", "JOIN"] {
                    out.push(TokenWithSpan { token: Token::make_keyword(word), span: one.span });
                }
                continue;
            }
            _ => {}
        }
        if !matches!(one.token, Token::Whitespace(_)) {
            behind_key = is(&one.token, "KEY");
        }
        out.push(one);
    }
    out
}

/// Whether the parser's tokenizer sees the same strings and quoted names as our lexer.
fn same_quotes(tokens: &[TokenWithSpan], text: &Text, masked: &str) -> bool {
    let places = Places::new(masked);
    let mut theirs = Vec::new();
    for token in tokens {
        let quoted = match &token.token {
            Token::Word(word) => word.quote_style.is_some(),
            Token::Whitespace(_) | Token::EOF => false,
            other => is_string(other),
        };
        if !quoted {
            continue;
        }
        let at = places.byte(token.span.start);
        // MySQL's 0x10 is a number to our lexer.
        let number = masked.get(at..).is_some_and(|rest| rest.starts_with("0x"));
        if !number {
            theirs.push(at);
        }
    }
    let mut ours = Vec::new();
    for (at, tok) in text.toks.iter().enumerate() {
        let parameter = tok.kind == TokenKind::Param && text.text(at).starts_with(':');
        let masked_parameter = parameter
            && masked.get(tok.span.clone()).is_some_and(|masked| masked.starts_with('\''));
        if matches!(tok.kind, TokenKind::Str | TokenKind::QuotedIdent) || masked_parameter {
            ours.push(tok.span.start);
        }
    }
    ours == theirs
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
    )
}

/// What makes a text impossible to place things in.
fn unreadable(text: &Text) -> Option<(Range<usize>, &'static str)> {
    for (at, tok) in text.toks.iter().enumerate() {
        let word = text.text(at);
        let why = match tok.kind {
            TokenKind::Unterminated => "A quote or comment is never closed",
            TokenKind::ExecutableCommentMark => "What runs depends on the server's version",
            TokenKind::Semicolon => "This is not one statement",
            TokenKind::QuotedIdent | TokenKind::Str
                if word.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("u&")) =>
            {
                "Names and strings with Unicode escapes are not read"
            }
            TokenKind::Param
                if text.dialect == Dialect::Mysql
                    && word.starts_with('@')
                    && !word.starts_with("@@") =>
            {
                "A session variable's value is not known in a batch"
            }
            _ => continue,
        };
        return Some((tok.span.clone(), why));
    }
    None
}

/// The place where parentheses and operators together go too deep.
fn too_deep(text: &Text) -> Option<Range<usize>> {
    let mut levels: Vec<(usize, bool)> = vec![(0, false)];
    let mut total = 0_usize;
    let (mut open_joins, mut branches) = (0_usize, 0_usize);
    for (at, tok) in text.toks.iter().enumerate() {
        let open_case = text.at(at, "CASE");
        let in_case = levels.last().is_some_and(|(_, case)| *case);
        let ends_case = in_case && text.at(at, "END");
        match tok.kind {
            TokenKind::LParen => levels.push((1, false)),
            TokenKind::Word if open_case => levels.push((1, true)),
            TokenKind::RParen => {
                while levels.len() > 1 && levels.pop().is_some_and(|(_, case)| case) {}
            }
            TokenKind::Word if ends_case => {
                levels.pop();
            }
            TokenKind::Comma => reset(&mut levels),
            TokenKind::Word if in_case && at_any(text, at, &["WHEN", "THEN", "ELSE"]) => {
                reset(&mut levels);
            }
            TokenKind::Op => raise(&mut levels),
            TokenKind::Word if at_any(text, at, &CHAINING) => raise(&mut levels),
            _ => {}
        }
        // The parser goes deeper with each JOIN that no condition follows.
        let free = at.checked_sub(1).is_some_and(|at| at_any(text, at, &["CROSS", "NATURAL"]));
        open_joins += usize::from(text.at(at, "JOIN") && !free);
        if at_any(text, at, &["ON", "USING"]) {
            open_joins = open_joins.saturating_sub(1);
        }
        branches += usize::from(at_any(text, at, &["UNION", "EXCEPT", "INTERSECT"]));
        total = total.max(levels.iter().map(|(count, _)| count).sum());
        let deep = total > CHAIN_MAX || levels.len() > LEVELS_MAX;
        if deep || open_joins > OPEN_JOINS_MAX || branches > CHAIN_MAX / 4 {
            return Some(tok.span.clone());
        }
    }
    None
}

/// Words that hang what follows on what stands before.
const CHAINING: [&str; 24] = [
    "AND", "OR", "XOR", "NOT", "IS", "IN", "LIKE", "ILIKE", "RLIKE", "REGEXP", "SIMILAR",
    "BETWEEN", "COLLATE", "AT", "DIV", "MOD", "GLOB", "MATCH", "OPERATOR", "NOTNULL", "ISNULL",
    "OVERLAPS", "BINARY", "MEMBER",
];

fn at_any(text: &Text, at: usize, words: &[&str]) -> bool {
    words.iter().any(|word| text.at(at, word))
}

fn raise(levels: &mut [(usize, bool)]) {
    if let Some((count, _)) = levels.last_mut() {
        *count += 1;
    }
}

fn reset(levels: &mut [(usize, bool)]) {
    if let Some((count, _)) = levels.last_mut() {
        *count = 1;
    }
}

/// The text with blanks or strings of the same length for what the parser does not know and what
/// has no part in the meaning.
fn masked(text: &Text) -> String {
    let mut bytes = text.sql.clone().into_bytes();
    for (span, _) in parameters(&text.sql, text.dialect) {
        fill(&mut bytes, span.clone(), b'_');
        fill(&mut bytes, span.start..span.start + 1, b'\'');
        fill(&mut bytes, span.end.saturating_sub(1)..span.end, b'\'');
    }
    for at in text.all() {
        let words = match text.dialect {
            Dialect::Postgres if text.at(at, "OVERRIDING USER VALUE") => 3,
            Dialect::Postgres if text.at(at, "OVERRIDING SYSTEM VALUE") => 3,
            Dialect::Postgres if only_target(text, at) => 1,
            Dialect::Sqlite if text.at(at, "INDEXED BY") => 3,
            Dialect::Sqlite if text.at(at, "NOT INDEXED") => 2,
            Dialect::Sqlite if compares(text, at) => {
                // Like NULL-safe equality, `<=` is transitive and says nothing of one row alone.
                let negated = text.text(at + 1).eq_ignore_ascii_case("NOT");
                let words = if negated { 2 } else { 1 };
                let start = text.start(at);
                fill(&mut bytes, start..text.end_before(at + words), b' ');
                fill(&mut bytes, start..start + 1, b'<');
                fill(&mut bytes, start + 1..start + 2, if negated { b'>' } else { b'=' });
                continue;
            }
            Dialect::Sqlite if matches!(text.text(at), "<<" | ">>") => {
                // Which operator it is has no part in the meaning either.
                fill(&mut bytes, text.start(at)..text.end_before(at + 1), b'|');
                continue;
            }
            Dialect::Mysql if modifier(text, at) => 1,
            _ => continue,
        };
        fill(&mut bytes, text.start(at)..text.end_before(at + words), b' ');
    }
    // Only ASCII was written over whole tokens, so this cannot fail.
    String::from_utf8(bytes).unwrap_or_default()
}

/// SQLite's IS and IS NOT between any values.
fn compares(text: &Text, at: usize) -> bool {
    let value = at + if text.at(at + 1, "NOT") { 2 } else { 1 };
    text.at(at, "IS") && !at_any(text, value, &["NULL", "TRUE", "FALSE", "DISTINCT"])
}

fn fill(bytes: &mut [u8], span: Range<usize>, with: u8) {
    for byte in bytes.get_mut(span).unwrap_or_default() {
        *byte = with;
    }
}

/// PostgreSQL's ONLY right before a target's or table's name.
fn only_target(text: &Text, at: usize) -> bool {
    let before = at.checked_sub(1);
    let leads = before.is_some_and(|at| at_any(text, at, &["UPDATE", "FROM", "JOIN", "USING"]));
    let name = matches!(text.kind(at + 1), Some(TokenKind::Word | TokenKind::QuotedIdent));
    text.at(at, "ONLY") && leads && name && !text.at(at + 1, "SET")
}

/// MySQL's words about how a statement is carried out.
fn modifier(text: &Text, at: usize) -> bool {
    let leads = |at: usize| at_any(text, at, &["UPDATE", "DELETE"]);
    let is = |at: usize| at_any(text, at, &["LOW_PRIORITY", "QUICK", "IGNORE"]);
    let mut first = at;
    while let Some(before) = first.checked_sub(1).filter(|before| is(*before)) {
        first = before;
    }
    is(at) && first.checked_sub(1).is_some_and(leads) && !text.at(at + 1, "SET")
}

/// Where lines begin, to turn the parser's line and column into a byte.
pub(super) struct Places<'a> {
    sql: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(sql: &'a str) -> Places<'a> {
        let breaks = sql.match_indices('\n').map(|(at, _)| at + 1);
        Places { sql, lines: std::iter::once(0).chain(breaks).collect() }
    }

    /// The byte of a place; the text's end if there is no such place.
    pub(super) fn byte(&self, place: Location) -> usize {
        let line = usize::try_from(place.line).ok().and_then(|line| line.checked_sub(1));
        let column = usize::try_from(place.column).ok().and_then(|column| column.checked_sub(1));
        let (Some(line), Some(column)) = (line, column) else { return self.sql.len() };
        let Some(start) = self.lines.get(line).copied() else { return self.sql.len() };
        let rest = self.sql.get(start..).unwrap_or("");
        let offset = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
        start + offset
    }

    /// A span in bytes; none if the tree does not say one.
    pub(super) fn span(&self, span: Span) -> Option<Range<usize>> {
        if span.start.line == 0 {
            return None;
        }
        let (start, end) = (self.byte(span.start), self.byte(span.end));
        (start <= end).then_some(start..end)
    }
}
