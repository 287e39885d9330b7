//! Cuts a file into the statements that the database's own client would send.
//!
//! The rules are those of `sqlite3 < file`, `psql -f file` and `mariadb < file`, and one more: a
//! stored routine of MySQL is kept whole without `DELIMITER` too. What a client would do by itself
//! (`\i`, `.read`, `source`) is refused with its place, because nothing here can do it.
//!
//! Departures from the clients, all on the safe side:
//! - a NUL byte, an unclosed quote, comment, block or parenthesis is an error, not a last
//!   statement;
//! - `COPY ... FROM STDIN` must have its `\.` line, where `psql` takes the end of the file for it;
//! - `\restrict` and `\unrestrict` lines, which newer `pg_dump`s print, are skipped;
//! - the shell's `go` and `/` lines do not end a SQLite statement.

use std::ops::Range;

use thiserror::Error;

use super::dialect::Dialect;
use super::lexer::{Lexer, Token, TokenKind};

mod mysql;
mod postgres;
mod routine;
mod sqlite;
#[cfg(test)]
mod tests;

/// One statement of a file. All ranges are bytes of the text given to [`split`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// From the first to the last token of code, without the delimiter; of SQLite's views and
    /// indexes with the comments before the delimiter, which are stored with them.
    pub span: Range<usize>,
    /// What stands between the statement before and this one: white space and comments, and what
    /// only the client reads (stray delimiters, `DELIMITER` lines).
    pub lead: Range<usize>,
    /// The rows after PostgreSQL's `COPY ... FROM STDIN`, without the final `\.` line.
    pub copy_data: Option<Range<usize>>,
    /// The line of the first token, from 1.
    pub line: u32,
    /// The column of the first token, in characters from 1.
    pub column: u32,
}

impl Statement {
    /// The statement's text; empty if `sql` is not the text it was cut from.
    pub fn text<'a>(&self, sql: &'a str) -> &'a str {
        sql.get(self.span.clone()).unwrap_or("")
    }
}

/// Why a file cannot be cut into statements, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind} (line {line}, column {column})")]
pub struct SplitError {
    /// The byte at which the cause stands.
    pub offset: usize,
    /// The line of that byte, from 1.
    pub line: u32,
    /// The column of that byte, in characters from 1.
    pub column: u32,
    /// The cause.
    pub kind: SplitErrorKind,
}

/// What keeps a file from being cut into statements.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SplitErrorKind {
    /// A command that `psql`, `sqlite3` or `mariadb` would have carried out itself.
    #[error("`{name}` is a command of the database's client, not SQL")]
    ClientCommand {
        /// The command with its sign, as in `\connect`, `.read` or `source`.
        name: String,
    },
    /// A string, quoted name or dollar quote without its end.
    #[error("The quote `{quote}` is never closed")]
    UnterminatedQuote {
        /// What opens it, as in `'` or `$body$`.
        quote: String,
    },
    /// A comment without its end.
    #[error("The comment is never closed")]
    UnterminatedComment,
    /// A trigger, routine or block without its `END`.
    #[error("The block opened by `{opener}` has no `END`")]
    UnterminatedBlock {
        /// The word that opens it.
        opener: String,
    },
    /// A parenthesis without its end, where `psql` would send the rest of the file as one
    /// statement.
    #[error("The parenthesis is never closed")]
    UnterminatedParenthesis,
    /// Rows of `COPY ... FROM STDIN` without the line that ends them.
    #[error("The rows of `COPY ... FROM STDIN` have no final `\\.` line")]
    CopyDataUnterminated,
    /// More SQL on the line on which `COPY ... FROM STDIN` ends.
    #[error("`COPY ... FROM STDIN` is followed by more SQL on its line")]
    CopyNotAtLineEnd,
    /// `DELIMITER` without a usable delimiter.
    #[error("`DELIMITER` names no delimiter, or one with a backslash")]
    BadDelimiter,
    /// A zero byte.
    #[error("The file has a NUL byte")]
    NulByte,
}

impl SplitErrorKind {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ClientCommand { .. } => {
                "Put what the command does into the file as SQL, or remove the line"
            }
            Self::UnterminatedQuote { .. } => "Close the quote; a quote inside is written twice",
            Self::UnterminatedComment => "Close the comment with `*/`",
            Self::UnterminatedBlock { .. } => "End the block with `END` and a semicolon",
            Self::UnterminatedParenthesis => "Close the parenthesis before the semicolon",
            Self::CopyDataUnterminated => {
                "End the rows with a line `\\.`; if it was there, the file has been cut off"
            }
            Self::CopyNotAtLineEnd => "Let the rows start on the line after the semicolon",
            Self::BadDelimiter => "Name a delimiter, as in `DELIMITER //`",
            Self::NulByte => "Remove the byte; a UTF-16 file has to be saved as UTF-8",
        }
    }
}

/// Cuts a text into statements, in linear time. A byte order mark must have been removed.
pub fn split(sql: &str, dialect: Dialect) -> Result<Vec<Statement>, SplitError> {
    let mut pieces = Pieces::new(sql);
    let done = match sql.find('\0') {
        Some(offset) => Err(Stop { offset, kind: SplitErrorKind::NulByte }),
        None => match dialect {
            Dialect::Sqlite => sqlite::split(&mut pieces),
            Dialect::Postgres => postgres::split(&mut pieces),
            Dialect::Mysql => mysql::split(&mut pieces),
        },
    };
    match done {
        Ok(()) => Ok(pieces.statements),
        Err(Stop { offset, kind }) => {
            let (line, column) = position(sql, offset);
            Err(SplitError { offset, line, column, kind })
        }
    }
}

/// Where the rows of PostgreSQL's `COPY ... FROM STDIN` are, in a text that need not be whole.
///
/// The end of the text ends rows as well; after any other damage none are found.
pub(crate) fn copy_rows(sql: &str, dialect: Dialect) -> Vec<Range<usize>> {
    if dialect != Dialect::Postgres {
        return Vec::new();
    }
    let mut pieces = Pieces::new(sql);
    let done = postgres::split(&mut pieces);
    let mut rows: Vec<_> = pieces.statements.into_iter().filter_map(|s| s.copy_data).collect();
    if let Err(Stop { offset, kind: SplitErrorKind::CopyDataUnterminated }) = done {
        rows.push(offset..sql.len());
    }
    rows
}

/// Line and column of a byte, both from 1; columns count characters.
///
/// A byte inside a character counts as that character, one past the end as the end.
pub fn position(sql: &str, offset: usize) -> (u32, u32) {
    let mut place = Place::START;
    place.advance(sql, offset);
    (place.line, place.column)
}

/// An error before its line is known.
struct Stop {
    offset: usize,
    kind: SplitErrorKind,
}

/// A place that only moves forward, so that all lines together cost one pass.
struct Place {
    offset: usize,
    line: u32,
    column: u32,
}

impl Place {
    const START: Place = Place { offset: 0, line: 1, column: 1 };

    fn advance(&mut self, sql: &str, to: usize) {
        for (at, c) in sql.get(self.offset..).unwrap_or("").char_indices() {
            if self.offset + at + c.len_utf8() > to {
                self.offset += at;
                return;
            }
            if c == '\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        self.offset = sql.len();
    }
}

/// The statements found so far and the one that is being read.
struct Pieces<'a> {
    sql: &'a str,
    statements: Vec<Statement>,
    lead_start: usize,
    first: Option<usize>,
    last_end: usize,
    place: Place,
}

impl<'a> Pieces<'a> {
    fn new(sql: &'a str) -> Self {
        let statements = Vec::new();
        Pieces { sql, statements, lead_start: 0, first: None, last_end: 0, place: Place::START }
    }

    /// True before the first token of a statement.
    fn at_start(&self) -> bool {
        self.first.is_none()
    }

    /// Adds a token of code.
    fn code(&mut self, token: &Token) {
        self.first.get_or_insert(token.span.start);
        self.last_end = token.span.end;
    }

    /// Ends the statement, if there is one; what follows `delimiter_end` leads the next.
    fn end(&mut self, delimiter_end: usize) {
        let Some(first) = self.first.take() else { return };
        self.place.advance(self.sql, first);
        self.statements.push(Statement {
            span: first..self.last_end,
            lead: self.lead_start..first,
            copy_data: None,
            line: self.place.line,
            column: self.place.column,
        });
        self.lead_start = delimiter_end;
    }

    /// Gives the statement just ended its rows; `after` is where the text goes on.
    fn copy_data(&mut self, rows: Range<usize>, after: usize) {
        if let Some(statement) = self.statements.last_mut() {
            statement.copy_data = Some(rows);
        }
        self.lead_start = after;
    }

    /// The end of the line in which `at` lies, before its line break.
    fn line_end(&self, at: usize) -> usize {
        let rest = self.sql.get(at..).unwrap_or("");
        at + rest.find('\n').unwrap_or(rest.len())
    }

    /// True if only blanks stand before `at` on its line.
    fn at_line_start(&self, at: usize) -> bool {
        let before = self.sql.get(..at).unwrap_or("");
        let blanks = before.trim_end_matches([' ', '\t', '\r', '\x0b', '\x0c']);
        blanks.is_empty() || blanks.ends_with('\n')
    }

    /// The refusal of a client command that begins at `offset`.
    fn client_command(&self, offset: usize) -> Stop {
        let rest = self.sql.get(offset..self.line_end(offset)).unwrap_or("");
        let end = rest.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or(rest).chars().take(40).collect();
        Stop { offset, kind: SplitErrorKind::ClientCommand { name } }
    }
}

/// The error for a [`TokenKind::Unterminated`] token.
fn unterminated(token: &Token, sql: &str) -> Stop {
    let text = token.text(sql);
    let kind = if text.starts_with("/*") {
        SplitErrorKind::UnterminatedComment
    } else {
        // A prefix, then the quote: one character, or a dollar quote's tag.
        let open = text.find(['\'', '"', '`', '[', '$']).unwrap_or(0);
        let quoted = text.get(open..).unwrap_or("");
        let length = match quoted.strip_prefix('$') {
            Some(tag) => tag.find('$').map_or(1, |at| at + 2),
            None => 1,
        };
        let quote = text.get(..open + length).unwrap_or("").to_owned();
        SplitErrorKind::UnterminatedQuote { quote }
    };
    Stop { offset: token.span.start, kind }
}
