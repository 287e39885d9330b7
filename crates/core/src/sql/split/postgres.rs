//! PostgreSQL: `psql`'s rules for semicolons, and the rows of `COPY`.
//!
//! A semicolon ends a statement outside of parentheses (`CREATE RULE ... DO (a; b)`) and outside of
//! an SQL routine's `BEGIN ATOMIC ... END`. `psql` counts every `begin`, `case` and `end` of a
//! routine; here only those count that can open or close something, so that a column `end` is none.

use std::ops::Range;

use super::{Dialect, Lexer, Pieces, SplitErrorKind, Stop, Token, TokenKind, unterminated};

/// How far the words `CREATE [OR REPLACE] {FUNCTION | PROCEDURE}` have been read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Start,
    Create,
    Or,
    Replace,
    Routine,
    Copy,
    Plain,
}

/// What of the statement being read decides about the next semicolon.
struct Statement {
    head: Head,
    /// Open parentheses, and where the first of them stands.
    parens: u32,
    paren_at: usize,
    /// `BEGIN ATOMIC` and the open `CASE`s in it, and where it stands.
    blocks: u32,
    block_at: usize,
    /// The code token before.
    before: Option<Token>,
    copies_from_stdin: bool,
}

impl Statement {
    const NEW: Statement = Statement {
        head: Head::Start,
        parens: 0,
        paren_at: 0,
        blocks: 0,
        block_at: 0,
        before: None,
        copies_from_stdin: false,
    };

    fn token(&mut self, token: &Token, sql: &str) {
        match token.kind {
            TokenKind::LParen => {
                if self.parens == 0 {
                    self.paren_at = token.span.start;
                }
                self.parens = self.parens.saturating_add(1);
            }
            TokenKind::RParen => self.parens = self.parens.saturating_sub(1),
            TokenKind::Word => {
                self.head = self.head_after(token, sql);
                if self.parens == 0 {
                    self.word(token, sql);
                }
            }
            _ => {}
        }
        self.before = Some(token.clone());
    }

    fn head_after(&self, token: &Token, sql: &str) -> Head {
        let word = |keyword| token.is_word(sql, keyword);
        match self.head {
            Head::Start if word("CREATE") => Head::Create,
            Head::Start if word("COPY") => Head::Copy,
            Head::Create if word("OR") => Head::Or,
            Head::Or if word("REPLACE") => Head::Replace,
            Head::Create | Head::Replace if word("FUNCTION") || word("PROCEDURE") => Head::Routine,
            Head::Routine => Head::Routine,
            Head::Copy => Head::Copy,
            _ => Head::Plain,
        }
    }

    /// A word outside of parentheses.
    fn word(&mut self, token: &Token, sql: &str) {
        let word = |keyword| token.is_word(sql, keyword);
        let before = self.before.as_ref();
        let after = |keyword| before.is_some_and(|b| b.is_word(sql, keyword));
        match self.head {
            Head::Copy if word("STDIN") && after("FROM") => self.copies_from_stdin = true,
            Head::Routine if self.blocks == 0 && word("ATOMIC") && after("BEGIN") => {
                self.blocks = 1;
                self.block_at = before.map_or(token.span.start, |b| b.span.start);
            }
            Head::Routine if self.blocks == 0 => {}
            Head::Routine => {
                let label = after("AS") || before.is_some_and(|b| b.kind == TokenKind::Dot);
                let statement_start =
                    after("ATOMIC") || before.is_some_and(|b| b.kind == TokenKind::Semicolon);
                if word("CASE") && !label {
                    self.blocks = self.blocks.saturating_add(1);
                } else if word("END") && !label && (self.blocks > 1 || statement_start) {
                    self.blocks -= 1;
                }
            }
            _ => {}
        }
    }
}

pub(super) fn split(pieces: &mut Pieces) -> Result<(), Stop> {
    let sql = pieces.sql;
    let mut lexer = Lexer::new(sql, Dialect::Postgres);
    let mut statement = Statement::NEW;
    while let Some(token) = lexer.next() {
        if token.is_trivia() {
            continue;
        }
        match token.kind {
            TokenKind::Semicolon if statement.parens == 0 && statement.blocks == 0 => {
                pieces.end(token.span.end);
                if statement.copies_from_stdin {
                    let (rows, after) = copy_rows(pieces, token.span.end)?;
                    pieces.copy_data(rows, after);
                    lexer.restart_at(after);
                }
                statement = Statement::NEW;
            }
            TokenKind::Unterminated => return Err(unterminated(&token, sql)),
            TokenKind::Op if token.text(sql) == "\\" => {
                lexer.restart_at(skipped_command(pieces, token.span.start)?);
            }
            _ => {
                pieces.code(&token);
                statement.token(&token, sql);
            }
        }
    }
    if statement.blocks > 0 {
        let opener = "BEGIN ATOMIC".to_owned();
        let kind = SplitErrorKind::UnterminatedBlock { opener };
        return Err(Stop { offset: statement.block_at, kind });
    }
    if statement.parens > 0 {
        let kind = SplitErrorKind::UnterminatedParenthesis;
        return Err(Stop { offset: statement.paren_at, kind });
    }
    pieces.end(sql.len());
    Ok(())
}

/// The rows after a `COPY` whose semicolon ends at `end`, and where the text goes on.
fn copy_rows(pieces: &Pieces, end: usize) -> Result<(Range<usize>, usize), Stop> {
    let sql = pieces.sql;
    let line_end = pieces.line_end(end);
    let mut rest = Lexer::new(sql.get(end..line_end).unwrap_or(""), Dialect::Postgres);
    while let Some(token) = rest.next() {
        if !token.is_trivia() {
            let offset = end + token.span.start;
            return Err(Stop { offset, kind: SplitErrorKind::CopyNotAtLineEnd });
        }
    }
    let start = (line_end + 1).min(sql.len());
    let mut line = start;
    while line < sql.len() {
        let end = pieces.line_end(line);
        let text = sql.get(line..end).unwrap_or("");
        if text.strip_suffix('\r').unwrap_or(text) == "\\." {
            return Ok((start..line, (end + 1).min(sql.len())));
        }
        line = end + 1;
    }
    Err(Stop { offset: start, kind: SplitErrorKind::CopyDataUnterminated })
}

/// The end of a command line that may be skipped; any other command is refused.
fn skipped_command(pieces: &Pieces, at: usize) -> Result<usize, Stop> {
    let line_end = pieces.line_end(at);
    let line = pieces.sql.get(at..line_end).unwrap_or("");
    let name = line.split_ascii_whitespace().next().unwrap_or("");
    let harmless = matches!(name, "\\restrict" | "\\unrestrict");
    if harmless && pieces.at_start() && pieces.at_line_start(at) {
        Ok(line_end)
    } else {
        Err(pieces.client_command(at))
    }
}
