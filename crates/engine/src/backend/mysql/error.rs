//! The server's error numbers as the engine's kinds of trouble, and the place in the statement
//! that an error is about.

use mysql_async::{DriverError, Error, ServerError};

use crate::backend::{DbError, DbErrorKind};

/// Shortest piece of a cut text that is looked for in the statement, in characters.
const PIECE_CHARS_MIN: usize = 8;

/// Turns an error of the driver into ours. `sql` is the statement that it answers, if any.
pub(super) fn from_driver(error: Error, sql: Option<&str>) -> DbError {
    match error {
        Error::Server(error) => from_server(&error, sql),
        Error::Io(error) => DbError::new(DbErrorKind::Connection, error.to_string()),
        Error::Driver(error) => from_driver_itself(&error),
        Error::Url(error) => DbError::new(DbErrorKind::Statement, error.to_string()),
        Error::Other(error) => DbError::new(DbErrorKind::Connection, error.to_string()),
    }
}

fn from_server(error: &ServerError, sql: Option<&str>) -> DbError {
    let mut out = DbError::new(kind_of(error.code), error.message.clone());
    out.code = Some(format!("{} {}", error.code, error.state));
    out.hint = hint(error.code).map(str::to_owned);
    out.offset = sql.and_then(|sql| offset(error.code, &error.message, sql));
    out
}

fn from_driver_itself(error: &DriverError) -> DbError {
    let (kind, message, hint) = match error {
        DriverError::UnknownAuthPlugin { name } => (
            DbErrorKind::Permission,
            format!("The account logs in by `{name}`, which Whimbrel does not speak"),
            Some("Use an account with a password (`mysql_native_password`)"),
        ),
        DriverError::MysqlOldPasswordDisabled | DriverError::CleartextPluginDisabled => (
            DbErrorKind::Permission,
            error.to_string(),
            Some("Give the account a password by `mysql_native_password` or a later method"),
        ),
        DriverError::NoClientSslFlagFromServer => (
            DbErrorKind::Connection,
            "The server does not offer TLS".to_owned(),
            Some("Switch it on at the server, or write `ssl-mode=preferred` into the URL"),
        ),
        // What is left out may hold bytes of the conversation.
        DriverError::UnexpectedPacket { .. } => (
            DbErrorKind::Connection,
            "The server's answer does not follow the protocol of MariaDB and MySQL".to_owned(),
            None,
        ),
        other => (DbErrorKind::Connection, other.to_string(), None),
    };
    let mut out = DbError::new(kind, message);
    out.hint = hint.map(str::to_owned);
    out
}

/// How the engine treats an error number of MariaDB or MySQL.
fn kind_of(code: u16) -> DbErrorKind {
    match code {
        // Shutdown, network, too many connections, host refused, killed, closed for idleness.
        1040
        | 1053
        | 1077..=1081
        | 1129
        | 1130
        | 1152
        | 1158..=1161
        | 1184
        | 1203
        | 1927
        | 2000..=2060
        | 3168
        | 3169
        | 4031 => DbErrorKind::Connection,
        // Wait time-out, deadlock, NOWAIT; a row or a table changed under the transaction's feet,
        // or just as it was looked up.
        1020 | 1205 | 1213 | 1412 | 1684 | 3572 => DbErrorKind::Locked,
        // KILL QUERY, max_statement_time, max_execution_time.
        1028 | 1317 | 1907 | 1969 | 3024 => DbErrorKind::Timeout,
        // Accounts, grants, expired passwords, read-only servers.
        1044 | 1045 | 1095 | 1131 | 1132 | 1142 | 1143 | 1211 | 1227 | 1290 | 1370 | 1419
        | 1449 | 1698 | 1820 | 1836 | 1862 => DbErrorKind::Permission,
        // Disk, tablespace, memory, quota, damaged files.
        1021 | 1023 | 1024 | 1026 | 1030 | 1034 | 1035 | 1037 | 1038 | 1041 | 1114 | 1135
        | 1194 | 1195 | 1206 | 1226 | 1878 | 3675 => DbErrorKind::Storage,
        _ => DbErrorKind::Statement,
    }
}

fn hint(code: u16) -> Option<&'static str> {
    Some(match code {
        1045 | 1698 => {
            "Check the user and the password in the URL; write `%40` for `@`, `%2F` for `/` and \
             `%25` for `%` in a password"
        }
        1049 => "Create it first: `CREATE DATABASE name CHARACTER SET utf8mb4`",
        1044 => "Check the database's name and the account's rights: `SHOW GRANTS`",
        1130 => "Allow this host in the account's name: `'user'@'host'`",
        1205 => {
            "Another session holds the lock; `SHOW PROCESSLIST` names the sessions, and with the \
             PROCESS privilege `information_schema.innodb_trx` their transactions"
        }
        1227 => "Another account is needed, or a grant to this one",
        1290 | 1836 => "Is this a replica? Migrations run on the primary server",
        _ => return None,
    })
}

/// Byte offset in `sql` that the message is about, if it can be told for certain.
fn offset(code: u16, message: &str, sql: &str) -> Option<usize> {
    match code {
        1064 | 1149 => syntax_offset(message, sql),
        // Table exists, unknown table, unknown column, duplicate column and key, key column,
        // no such column or key to drop, no such table, unknown collation, character set and type.
        1050 | 1051 | 1054 | 1060 | 1061 | 1072 | 1091 | 1115 | 1146 | 1176 | 1273 | 1305
        | 1359 | 1360 | 4161 => only_mention(message, sql),
        _ => None,
    }
}

/// The place of `... near 'TEXT' at line N`, where `TEXT` is the rest of the statement, cut after
/// 80 characters.
fn syntax_offset(message: &str, sql: &str) -> Option<usize> {
    let (before, line) = message.rsplit_once("' at line ")?;
    let (_, near) = before.split_once(" near '")?;
    let line: usize = line.trim().parse().ok()?;
    let body = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    if near.is_empty() {
        return Some(body.len());
    }
    let at =
        if body.ends_with(near) { body.len() - near.len() } else { cut_offset(body, near, line)? };
    // The server may begin with the blanks in front of the word.
    let rest = sql.get(at..)?;
    Some(at + (rest.len() - rest.trim_start().len()))
}

/// The same for a text that was cut, or whose characters were replaced, in the message.
fn cut_offset(sql: &str, near: &str, line: usize) -> Option<usize> {
    let near = near.strip_suffix("...").unwrap_or(near);
    // Characters outside the three-byte UTF-8 of messages come as `?`.
    let piece = near.split(['?', '\u{fffd}']).next().unwrap_or(near);
    if piece.chars().count() < PIECE_CHARS_MIN && piece.len() < near.len() {
        return None;
    }
    let places: Vec<usize> = sql.match_indices(piece).map(|(at, _)| at).collect();
    if let [one] = places.as_slice() {
        return Some(*one);
    }
    let line_of = |at: usize| sql.get(..at).map_or(0, |text| text.matches('\n').count() + 1);
    let mut on_line = places.into_iter().filter(|at| line_of(*at) == line);
    let first = on_line.next()?;
    on_line.next().is_none().then_some(first)
}

/// The place of the first quoted name of the message, if the statement has it exactly once.
fn only_mention(message: &str, sql: &str) -> Option<usize> {
    // The quote of `Can't` opens no name.
    let opening = message.match_indices(['\'', '`']).map(|(at, _)| at).find(|at| {
        *at == 0 || message.get(..*at).is_some_and(|before| before.ends_with([' ', '(']))
    })?;
    let rest = message.get(opening + 1..)?;
    let (name, _) = rest.split_once(['\'', '`'])?;
    let name = name.rsplit('.').next().filter(|name| !name.is_empty())?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut places = sql.match_indices(name).map(|(at, _)| at).filter(|at| {
        let before = sql.get(..*at).and_then(|text| text.chars().next_back());
        let after = sql.get(at + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    });
    let first = places.next()?;
    places.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> Error {
        Error::Server(ServerError { code, message: message.into(), state: "42000".into() })
    }

    #[track_caller]
    fn points_at(code: u16, message: &str, sql: &str, want: Option<&str>) {
        let error = from_driver(server(code, message), Some(sql));
        let found = error.offset.map(|at| &sql[at..]);
        assert_eq!(found.map(|text| text.starts_with(want.unwrap_or("\0"))), want.map(|_| true));
    }

    #[test]
    fn kinds() {
        use DbErrorKind::{Connection, Locked, Permission, Statement, Storage, Timeout};
        let rows = [
            (Connection, &[2006, 2013, 1053, 1927, 4031][..]),
            (Locked, &[1205, 1213, 1412]),
            (Timeout, &[1317, 1969, 3024]),
            (Permission, &[1044, 1045, 1142, 1227, 1370]),
            (Storage, &[1021, 1114, 1026]),
            (Statement, &[1064, 1146, 1062, 1265]),
        ];
        for (kind, codes) in rows {
            for code in codes {
                assert_eq!(kind_of(*code), kind, "{code}");
            }
        }
        let error = from_driver(server(1064, "no"), None);
        assert_eq!(error.code.as_deref(), Some("1064 42000"));
    }

    #[test]
    fn syntax_errors_are_placed() {
        let near = |text: &str, line| {
            format!("... version for the right syntax to use near '{text}' at line {line}")
        };
        let sql = "create table q (\n a int,\n b int,,\n c int);\n";
        points_at(1064, &near("\n c int)", 3), sql, Some("c int);"));
        points_at(1064, &near("", 1), "select (1 ", Some(" "));
        points_at(
            1064,
            &near("parent(id))", 1),
            "create table t (b int refs parent(id))",
            Some("parent(id))"),
        );
        let long = format!("select 1 frm parent where a = '{}'", "a".repeat(90));
        let cut = format!("parent where a = '{}...", "a".repeat(60));
        points_at(1064, &near(&cut, 1), &long, Some("parent where"));
        // The same text twice: the line decides, and without it nothing does.
        let twice = format!("(xx yy zz)\n{0}\n(xx yy zz)\n{0}", "-".repeat(80));
        let cut = format!("xx yy zz)\n{}...", "-".repeat(60));
        points_at(1064, &near(&cut, 3), &twice, Some("xx yy zz)"));
        points_at(1064, &near(&cut, 7), &twice, None);
        points_at(1064, "no place", "select 1", None);
        points_at(
            1064,
            &near("x where y = 'é?é?'", 1),
            "select 'é😀' frm x where y = 'é😀é😀'",
            Some("x where"),
        );
        points_at(1064, &near("?", 1), "select 😀 '😀'", None);
    }

    #[test]
    fn names_are_placed_where_they_stand_once() {
        points_at(
            1054,
            "Unknown column 'x.nme' in 'field list'",
            "SELECT x.nme FROM x",
            Some("nme FROM"),
        );
        points_at(1146, "Table 'app.users' doesn't exist", "SELECT * FROM users", Some("users"));
        points_at(1146, "Table 'app.users' doesn't exist", "SELECT users.a FROM users", None);
        points_at(
            1072,
            "Key column 'b' doesn't exist in table",
            "CREATE INDEX ab ON t (a, b)",
            Some("b)"),
        );
    }
}
