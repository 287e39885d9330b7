//! PostgreSQL's errors as the engine's kinds of trouble.

use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError as ServerError, ErrorPosition};

use crate::backend::{DbError, DbErrorKind};

/// How the server counts the places in a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Places {
    /// In characters.
    #[default]
    Characters,
    /// In bytes: a database without an encoding (`SQL_ASCII`).
    Bytes,
}

/// The error of a statement, pointing into `sql`.
pub(super) fn from_statement(error: &Error, sql: &str, places: Places) -> DbError {
    match error.as_db_error() {
        Some(server) => from_server(server, sql, places),
        None => from_client(error, sql),
    }
}

/// What the server said about the connection as such.
pub(super) fn from_connection(error: &Error) -> DbError {
    let mut out = from_statement(error, "", Places::Characters);
    out.kind = DbErrorKind::Connection;
    out.offset = None;
    out
}

/// The error of logging in at `place`, in words that lead on.
pub(super) fn from_login(error: &Error, place: &str) -> DbError {
    let mut out = from_connection(error);
    if let Some(server) = error.as_db_error() {
        let hint = connect_hint(server.code().code());
        out.hint = out.hint.or_else(|| hint.map(str::to_owned));
    } else if out.message.contains("password missing") {
        out.message = "The server asks for a password, and none was given".to_owned();
    } else if out.message.contains("server did not use channel binding") {
        out.message = format!(
            "The server at {place} did not bind the password exchange to TLS, and \
             `channel_binding=require` asks for it"
        );
    } else {
        out.message = format!("The server at {place} did not let us in: {}", out.message);
    }
    out
}

/// The error of reaching the server at all.
pub(super) fn from_socket(error: &io::Error, place: &str) -> DbError {
    let text = chain(error);
    let (message, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            format!("Nothing answers at {place}: the connection was refused"),
            Some("Is the server running, and does it listen at this port?"),
        ),
        io::ErrorKind::NotFound => (
            format!("Nothing answers at {place}: there is no such socket"),
            Some("Is the server running, and is this its socket's folder?"),
        ),
        _ if text.contains("failed to lookup address") => (
            format!("The host of {place} cannot be found: {text}"),
            Some("Check the spelling of the host's name"),
        ),
        _ => (format!("The server at {place} cannot be reached: {text}"), None),
    };
    let mut out = DbError::new(DbErrorKind::Connection, message);
    out.hint = hint.map(str::to_owned);
    out
}

/// The error of agreeing on TLS; the cause tells what is wrong with the certificate.
pub(super) fn from_tls(error: &io::Error, place: &str) -> DbError {
    let text = chain(error);
    let mut out = DbError::new(
        DbErrorKind::Connection,
        format!("TLS with the server at {place} failed: {text}"),
    );
    let hint = if text.contains("UnknownIssuer") {
        Some("Name the authority's certificate by `sslrootcert=PATH`")
    } else if text.contains("not valid for name") {
        Some("`sslmode=verify-ca` does not look at the name")
    } else {
        None
    };
    out.hint = hint.map(str::to_owned);
    out
}

fn connect_hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => {
            "Check the user and the password; in a URL, `@`, `:`, `/`, `#` and `%` in a password \
             are written as `%40`, `%3A`, `%2F`, `%23` and `%25`"
        }
        "28000" => {
            "The server's pg_hba.conf decides who may connect from where, and whether TLS is needed"
        }
        "3D000" => "Check the database's name in the URL, or make it with `createdb`",
        "53300" => "All of the server's connections are in use: try again, or end some of them",
        "57P03" => "The server is starting or stopping: try again in a moment",
        "08P01" => {
            "A pooler may refuse parameters of the URL such as `options`: use the direct address"
        }
        _ => return None,
    })
}

/// An error of the client library: in nearly all cases the connection is gone.
fn from_client(error: &Error, sql: &str) -> DbError {
    if let Some(offset) = sql.find('\0') {
        // It was not even sent.
        let message = "The statement holds a NUL character, which PostgreSQL does not take";
        let mut out = DbError::new(DbErrorKind::Statement, message);
        out.offset = Some(offset);
        return out;
    }
    let text = chain(error);
    let unreadable = text.starts_with("error deserializing");
    let kind = if unreadable { DbErrorKind::Statement } else { DbErrorKind::Connection };
    DbError::new(kind, text)
}

/// The error and all of its causes; the first alone often says nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn from_server(error: &ServerError, sql: &str, places: Places) -> DbError {
    let code = error.code().code();
    let fatal = matches!(error.severity(), "FATAL" | "PANIC");
    let mut out = DbError::new(kind_of(code, fatal), error.message());
    out.code = Some(code.to_owned());
    out.detail = detail(error);
    out.hint = error.hint().map(str::to_owned);
    out.offset = match error.position() {
        Some(ErrorPosition::Original(position)) => offset(sql, *position, places),
        Some(ErrorPosition::Internal { position, query }) => {
            inner_offset(sql, query, *position, places)
        }
        None => None,
    };
    out
}

/// The server's detail, and where inside functions or copied lines it happened.
fn detail(error: &ServerError) -> Option<String> {
    let mut parts: Vec<String> = error.detail().map(str::to_owned).into_iter().collect();
    if let Some(context) = error.where_() {
        parts.push(context.to_owned());
    }
    if let Some(ErrorPosition::Internal { query, .. }) = error.position()
        && !parts.iter().any(|part| part.contains(query.as_str()))
    {
        parts.push(format!("In the statement: {query}"));
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// The kind that a SQLSTATE means.
fn kind_of(code: &str, fatal: bool) -> DbErrorKind {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        (_, "55P03" | "40P01" | "40001") => DbErrorKind::Locked,
        (_, "57014") => DbErrorKind::Timeout,
        (_, "42501") => DbErrorKind::Permission,
        // Shutdown, crash, start-up, dropped database, idle session.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "53300") => {
            DbErrorKind::Connection
        }
        _ if fatal => DbErrorKind::Connection,
        // Resources, the system below, damaged data.
        ("53" | "58" | "XX", code) if code != "XX000" => DbErrorKind::Storage,
        _ => DbErrorKind::Statement,
    }
}

/// The byte that the server's position means; it counts from 1, and may be just behind the end.
fn offset(sql: &str, position: u32, places: Places) -> Option<usize> {
    let index = usize::try_from(position).ok()?.checked_sub(1)?;
    let at = match places {
        Places::Bytes => (0..=index.min(sql.len())).rev().find(|at| sql.is_char_boundary(*at))?,
        Places::Characters => sql.char_indices().nth(index).map_or(sql.len(), |(at, _)| at),
    };
    (!sql.is_empty()).then_some(at)
}

/// The same for a statement inside this one, such as the body of a `DO`, where it can be found.
fn inner_offset(sql: &str, inner: &str, position: u32, places: Places) -> Option<usize> {
    let (start, _) = sql.match_indices(inner).next().filter(|_| !inner.is_empty())?;
    let only = sql.matches(inner).nth(1).is_none();
    offset(inner, position, places).map(|at| start + at).filter(|_| only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_become_bytes() {
        let at = |position| offset("SELECT 'é', x", position, Places::Characters);
        assert_eq!(at(1), Some(0));
        assert_eq!(at(9), Some(8));
        assert_eq!(at(13), Some(13));
        assert_eq!(at(14), Some(14));
        assert_eq!(at(0), None);
        let bytes = |position| offset("é x", position, Places::Bytes);
        assert_eq!([bytes(1), bytes(2), bytes(4), bytes(99)], [Some(0), Some(0), Some(3), Some(4)]);
    }

    #[test]
    fn inner_statements_are_found_where_there_is_only_one() {
        let places = Places::Characters;
        assert_eq!(inner_offset("DO $$é SELECT x$$", "é SELECT x", 10, places), Some(15));
        assert_eq!(inner_offset("a a", "a", 1, places), None);
        assert_eq!(inner_offset("DO 'x'", "y", 1, places), None);
    }

    #[test]
    fn codes_have_kinds() {
        for (code, fatal, kind) in [
            ("55P03", false, DbErrorKind::Locked),
            ("40P01", false, DbErrorKind::Locked),
            ("40001", false, DbErrorKind::Locked),
            ("57014", false, DbErrorKind::Timeout),
            ("42501", false, DbErrorKind::Permission),
            ("57P01", true, DbErrorKind::Connection),
            ("08006", false, DbErrorKind::Connection),
            ("53100", false, DbErrorKind::Storage),
            ("53300", true, DbErrorKind::Connection),
            ("58030", false, DbErrorKind::Storage),
            ("XX001", false, DbErrorKind::Storage),
            ("XX000", false, DbErrorKind::Statement),
            ("42601", false, DbErrorKind::Statement),
            ("23505", false, DbErrorKind::Statement),
            ("28P01", true, DbErrorKind::Connection),
        ] {
            assert_eq!(kind_of(code, fatal), kind, "{code}");
        }
    }
}
