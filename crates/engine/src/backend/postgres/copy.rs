//! `COPY ... FROM STDIN`: the rows follow the statement.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, Error};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{Token, TokenKind, lex};

/// Rows are sent in pieces of this size; smaller ones are several times slower.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

/// Sends the statement and its rows; returns how many rows the server took.
pub(super) async fn copy_in(client: &Client, sql: &str, rows: &str) -> Result<u64, Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await?);
    for piece in rows.as_bytes().chunks(PIECE_BYTES) {
        if sink.feed(Bytes::copy_from_slice(piece)).await.is_err() {
            // The reason comes as the answer to the end of the copy.
            break;
        }
    }
    sink.finish().await
}

/// What the words of a statement tell before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// `COPY ... FROM STDIN`.
    CopyIn,
    /// `COPY ... TO STDOUT`.
    CopyOut,
    /// Its count is that of rows inserted, updated, deleted, merged or copied.
    Changes,
    /// `WITH`, `EXPLAIN` and the like: what it changes does not stand in front.
    Perhaps,
    /// Anything else.
    Other,
}

/// Reads the first words of a statement.
pub(super) fn words(sql: &str) -> Words {
    let first = first_word(sql).to_ascii_uppercase();
    match first.as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" => Words::Changes,
        "WITH" => Words::Perhaps,
        "COPY" => {
            let tokens = lex(sql, Dialect::Postgres);
            let code: Vec<&Token> = tokens.iter().filter(|token| !token.is_trivia()).collect();
            let pair = |one: &str, two: &str| {
                code.array_windows().any(|[a, b]| a.is_word(sql, one) && b.is_word(sql, two))
            };
            if pair("FROM", "STDIN") {
                Words::CopyIn
            } else if pair("TO", "STDOUT") {
                Words::CopyOut
            } else {
                Words::Changes
            }
        }
        _ => Words::Other,
    }
}

/// The first word behind blanks and comments, without lexing a text that may be long.
fn first_word(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            // Block comments nest; the lexer knows how.
            let tokens = lex(rest, Dialect::Postgres);
            let word = tokens.into_iter().find(|token| !token.is_trivia());
            return word
                .filter(|token| token.kind == TokenKind::Word)
                .map_or("", |token| rest.get(token.span).unwrap_or_default());
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            return rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        };
        rest = after.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_by_their_words() {
        for (sql, want) in [
            ("COPY t (a, b) FROM stdin;", Words::CopyIn),
            ("copy public.t from STDIN WITH (FORMAT csv)", Words::CopyIn),
            ("COPY (SELECT 'from stdin') TO STDOUT", Words::CopyOut),
            ("COPY t FROM '/tmp/x'", Words::Changes),
            ("-- a\n  /* b /* c */ */ insert into t values (1)", Words::Changes),
            ("/**/ update t set a = 1", Words::Changes),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Words::Perhaps),
            ("CREATE TABLE copy (a int)", Words::Other),
            ("", Words::Other),
            ("-- only", Words::Other),
        ] {
            assert_eq!(words(sql), want, "{sql}");
        }
    }
}
