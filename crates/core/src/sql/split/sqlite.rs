//! SQLite: a semicolon ends a statement, but in a trigger only after `; END`.

use super::{Dialect, Lexer, Pieces, SplitErrorKind, Stop, Token, TokenKind, unterminated};

/// The states of `sqlite3_complete`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first word.
    Start,
    /// After `EXPLAIN`, until the statement that it explains begins.
    Explain,
    /// After `CREATE`, perhaps `TEMP`.
    Create,
    /// In a trigger.
    Trigger,
    /// In a trigger, right after a semicolon.
    Semicolon,
    /// In a trigger, right after `; END`.
    End,
    /// In a statement that ends at the next semicolon.
    Plain,
}

impl State {
    fn after(self, token: &Token, sql: &str) -> State {
        let word = |keyword| token.is_word(sql, keyword);
        match self {
            State::Start | State::Explain if word("CREATE") => State::Create,
            State::Start if word("EXPLAIN") => State::Explain,
            State::Explain => State::Explain,
            State::Create if word("TEMP") || word("TEMPORARY") => State::Create,
            State::Create if word("TRIGGER") => State::Trigger,
            State::Semicolon if word("END") => State::End,
            State::Trigger | State::Semicolon | State::End => State::Trigger,
            State::Start | State::Create | State::Plain => State::Plain,
        }
    }
}

pub(super) fn split(pieces: &mut Pieces) -> Result<(), Stop> {
    let sql = pieces.sql;
    let mut lexer = Lexer::new(sql, Dialect::Sqlite);
    let mut state = State::Start;
    while let Some(token) = lexer.next() {
        if token.is_trivia() {
            continue;
        }
        match (token.kind, state) {
            (TokenKind::Semicolon, State::Trigger | State::Semicolon) => {
                pieces.code(&token);
                state = State::Semicolon;
            }
            (TokenKind::Semicolon, _) => {
                stored_comments(pieces, state, token.span.start);
                pieces.end(token.span.end);
                state = State::Start;
            }
            (TokenKind::Unterminated, _) => return Err(unterminated(&token, sql)),
            (kind, _) if pieces.at_start() && is_shell_command(kind, &token, sql) => {
                return Err(pieces.client_command(token.span.start));
            }
            _ => {
                pieces.code(&token);
                state = state.after(&token, sql);
            }
        }
    }
    if let (State::Trigger | State::Semicolon, Some(offset)) = (state, pieces.first) {
        let opener = "CREATE TRIGGER".to_owned();
        return Err(Stop { offset, kind: SplitErrorKind::UnterminatedBlock { opener } });
    }
    stored_comments(pieces, state, sql.len());
    pieces.end(sql.len());
    Ok(())
}

/// SQLite stores the text of a view or an index up to the semicolon, with the comments before it.
fn stored_comments(pieces: &mut Pieces, state: State, delimiter: usize) {
    let first = pieces.first.and_then(|first| pieces.sql.get(first..first + "CREATE".len()));
    if state == State::Plain && first.is_some_and(|word| word.eq_ignore_ascii_case("CREATE")) {
        let behind = pieces.sql.get(pieces.last_end..delimiter).unwrap_or("");
        pieces.last_end += behind.trim_ascii_end().len();
    }
}

/// A dot in the first column, where no statement has begun.
fn is_shell_command(kind: TokenKind, token: &Token, sql: &str) -> bool {
    let before = sql.get(..token.span.start).unwrap_or("");
    kind == TokenKind::Dot && (before.is_empty() || before.ends_with('\n'))
}
