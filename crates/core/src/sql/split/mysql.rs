//! MariaDB and MySQL: the client's `DELIMITER`, and stored routines that do without it.
//!
//! The client knows no grammar: it cuts at the delimiter and the server, told to take several
//! statements at once, cuts what it gets at semicolons. Both cuts are made here: the delimiter
//! always ends a statement, a semicolon ends it outside of a routine's body.

use super::routine::Routine;
use super::{Dialect, Lexer, Pieces, SplitErrorKind, Stop, Token, TokenKind, unterminated};

/// Commands of the client that no SQL statement begins with. `USE` and `DELIMITER` are understood.
const CLIENT_COMMANDS: [&str; 24] = [
    "CHARSET",
    "CLEAR",
    "CONNECT",
    "EDIT",
    "EGO",
    "EXIT",
    "GO",
    "NOPAGER",
    "NOTEE",
    "NOWARNING",
    "PAGER",
    "PRINT",
    "PROMPT",
    "QUERY_ATTRIBUTES",
    "QUIT",
    "REHASH",
    "RESETCONNECTION",
    "SANDBOX",
    "SOURCE",
    "SSL_SESSION_DATA_PRINT",
    "STATUS",
    "SYSTEM",
    "TEE",
    "WARNINGS",
];

pub(super) fn split(pieces: &mut Pieces) -> Result<(), Stop> {
    let mut reader = Reader {
        lexer: Lexer::new(pieces.sql, Dialect::Mysql),
        delimiter: None,
        next_delimiter: usize::MAX,
        routine: Routine::new(),
        mark: None,
        pieces,
    };
    while reader.step()? {}
    reader.finish()
}

/// The client, one token at a time.
struct Reader<'a, 'p> {
    pieces: &'p mut Pieces<'a>,
    lexer: Lexer<'a>,
    /// The delimiter, if it is not the semicolon.
    delimiter: Option<&'a str>,
    /// Where the delimiter stands next, perhaps in a string.
    next_delimiter: usize,
    routine: Routine,
    /// Where an open `/*!` stands.
    mark: Option<usize>,
}

impl<'a> Reader<'a, '_> {
    /// Reads a token or a command; false at the end of the text.
    fn step(&mut self) -> Result<bool, Stop> {
        let at = self.lexer.pos();
        self.stop_at_delimiter(at);
        if let Some(delimiter) = self.delimiter
            && at == self.next_delimiter
        {
            self.end_statement(at + delimiter.len());
            return Ok(true);
        }
        let Some(token) = self.lexer.next() else { return Ok(false) };
        if token.is_trivia() {
            return Ok(true);
        }
        match token.kind {
            TokenKind::Unterminated => return Err(unterminated(&token, self.pieces.sql)),
            TokenKind::Semicolon => self.semicolon(&token),
            TokenKind::Op if token.text(self.pieces.sql) == "\\" => self.backslash(&token)?,
            TokenKind::Word if self.is_delimiter_command(&token) => {
                self.delimiter_command(&token)?;
            }
            TokenKind::Word if self.pieces.at_start() => self.first_word(&token)?,
            _ => self.code(&token),
        }
        Ok(true)
    }

    fn finish(self) -> Result<(), Stop> {
        if let Some((offset, opener)) = self.routine.open_block() {
            let opener = opener.to_owned();
            return Err(Stop { offset, kind: SplitErrorKind::UnterminatedBlock { opener } });
        }
        if let Some(offset) = self.mark {
            return Err(Stop { offset, kind: SplitErrorKind::UnterminatedComment });
        }
        self.pieces.end(self.pieces.sql.len());
        Ok(())
    }

    fn rest(&self, at: usize) -> &'a str {
        self.pieces.sql.get(at..).unwrap_or("")
    }

    /// The client looks for its delimiter at every character, so that `END$$` and `a//b` are cut.
    fn stop_at_delimiter(&mut self, at: usize) {
        if let Some(delimiter) = self.delimiter
            && self.next_delimiter < at
        {
            let found = self.rest(at).find(delimiter);
            self.next_delimiter = found.map_or(usize::MAX, |found| at + found);
            self.lexer.set_limit(self.next_delimiter);
        }
    }

    fn end_statement(&mut self, delimiter_end: usize) {
        self.pieces.end(delimiter_end);
        self.routine = Routine::new();
        self.mark = None;
        self.lexer.restart_at(delimiter_end);
    }

    fn semicolon(&mut self, token: &Token) {
        if self.routine.semicolon() && self.mark.is_none() {
            self.end_statement(token.span.end);
        } else {
            self.pieces.code(token);
        }
    }

    fn code(&mut self, token: &Token) {
        if token.kind == TokenKind::ExecutableCommentMark {
            let opens = token.text(self.pieces.sql).starts_with('/');
            self.mark = opens.then(|| self.mark.unwrap_or(token.span.start));
        }
        self.pieces.code(token);
        self.routine.token(token, self.pieces.sql);
    }

    /// `\N` is NULL, `\g` and `\G` end a statement, all others are the client's.
    ///
    /// `/*M!999999\- enable the sandbox mode */`, the first line of a `mariadb-dump`, is kept: what
    /// it switches on would only forbid what is refused here anyway.
    fn backslash(&mut self, token: &Token) -> Result<(), Stop> {
        match self.rest(token.span.end).bytes().next() {
            Some(b'N') => self.code(token),
            Some(b'-') if self.mark.is_some() => self.code(token),
            Some(b'g' | b'G') => self.end_statement(token.span.end + 1),
            _ => return Err(self.pieces.client_command(token.span.start)),
        }
        Ok(())
    }

    /// The first word of a statement: perhaps a command of the client.
    fn first_word(&mut self, token: &Token) -> Result<(), Stop> {
        let text = token.text(self.pieces.sql);
        if CLIENT_COMMANDS.iter().any(|command| text.eq_ignore_ascii_case(command)) {
            return Err(self.pieces.client_command(token.span.start));
        }
        self.code(token);
        if text.eq_ignore_ascii_case("USE") && self.pieces.at_line_start(token.span.start) {
            self.use_command(token)?;
        }
        Ok(())
    }

    /// `use name` is complete with its line, if no delimiter stands there.
    fn use_command(&mut self, token: &Token) -> Result<(), Stop> {
        let line_end = self.pieces.line_end(token.span.start);
        let line = self.pieces.sql.get(token.span.start..line_end).unwrap_or("");
        if line.contains(self.delimiter.unwrap_or(";")) {
            return Ok(());
        }
        while self.lexer.pos() < line_end
            && let Some(token) = self.lexer.next()
        {
            if token.kind == TokenKind::Unterminated {
                return Err(unterminated(&token, self.pieces.sql));
            }
            if !token.is_trivia() {
                self.pieces.code(&token);
            }
        }
        self.end_statement(self.lexer.pos());
        Ok(())
    }

    /// `DELIMITER` where a statement would begin, or at the start of a line, after a statement that
    /// lacks its delimiter; the client knows only the first on a line. Elsewhere it is a name, as
    /// in a list of columns.
    fn is_delimiter_command(&self, token: &Token) -> bool {
        let next = self.rest(token.span.end).bytes().next();
        token.is_word(self.pieces.sql, "DELIMITER")
            && next.is_none_or(|b| b.is_ascii_whitespace())
            && (self.pieces.at_start()
                || (self.routine.parens() == 0 && self.pieces.at_line_start(token.span.start)))
    }

    fn delimiter_command(&mut self, token: &Token) -> Result<(), Stop> {
        let sql: &'a str = self.pieces.sql;
        let line_end = self.pieces.line_end(token.span.end);
        let argument = sql.get(token.span.end..line_end).unwrap_or("").trim();
        let quote = argument.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
        let delimiter = match quote {
            Some(quote) => argument.split(quote).nth(1).unwrap_or(""),
            None => argument.split_ascii_whitespace().next().unwrap_or(""),
        };
        if delimiter.is_empty() || delimiter.contains('\\') {
            return Err(Stop { offset: token.span.start, kind: SplitErrorKind::BadDelimiter });
        }
        self.delimiter = (delimiter != ";").then_some(delimiter);
        // To be looked for from the end of the line on.
        self.next_delimiter = if self.delimiter.is_some() { 0 } else { usize::MAX };
        self.lexer.set_limit(usize::MAX);
        // The line itself belongs to what leads the next statement.
        self.end_statement(token.span.start);
        self.lexer.restart_at(line_end);
        Ok(())
    }
}
