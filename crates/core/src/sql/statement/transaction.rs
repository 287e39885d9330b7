//! Statements that cannot run in a transaction, or end it by themselves.

use super::verb::Verb;
use super::words::Words;
use super::{Dialect, TransactionNeed};
use crate::sql::lexer::TokenKind;

pub(super) fn need(words: &Words, verb: &Verb) -> TransactionNeed {
    let never = match words.dialect {
        Dialect::Postgres => postgres_never(words, verb),
        Dialect::Sqlite => sqlite_never(words, verb),
        Dialect::Mysql if mysql_commits(words, verb) => return TransactionNeed::ImplicitCommit,
        Dialect::Mysql => false,
    };
    if never { TransactionNeed::Never } else { TransactionNeed::Any }
}

fn postgres_never(words: &Words, verb: &Verb) -> bool {
    match (verb.first(), verb.last()) {
        ("CREATE" | "DROP", "INDEX") => words.is(verb.end, "CONCURRENTLY"),
        ("CREATE" | "DROP", "DATABASE" | "TABLESPACE") | ("ALTER", "SYSTEM") => true,
        ("ALTER", "DATABASE") => words.contains(&["SET", "TABLESPACE"]),
        ("CREATE", "SUBSCRIPTION") => {
            !turned_off(words, "CREATE_SLOT") && !turned_off(words, "CONNECT")
        }
        ("DROP", "SUBSCRIPTION") => true,
        ("ALTER", "SUBSCRIPTION") => {
            words.contains(&["PUBLICATION"]) && !turned_off(words, "REFRESH")
        }
        ("ALTER", "TABLE") => {
            words.contains(&["DETACH", "PARTITION"])
                && words.is(words.len().saturating_sub(1), "CONCURRENTLY")
        }
        // TimescaleDB's continuous aggregates fill themselves in transactions of their own.
        ("CREATE", "VIEW") => {
            words.contains(&["TIMESCALEDB"]) && !words.contains(&["WITH", "NO", "DATA"])
        }
        ("REINDEX" | "REPACK", _) => {
            words.contains(&["CONCURRENTLY"])
                || words.outside(1, &["SCHEMA", "DATABASE", "SYSTEM"]) == Some(reindex_kind(words))
        }
        ("CLUSTER", _) => {
            words.outside(1, &["VERBOSE"]).map_or(words.len() == 1, |at| at + 1 == words.len())
                || words.kind(words.len().saturating_sub(1)) == Some(TokenKind::RParen)
        }
        ("VACUUM", _) => true,
        ("DISCARD", "ALL") | ("COMMIT" | "ROLLBACK", "PREPARED") => true,
        _ => false,
    }
}

/// Where REINDEX says what to rebuild: after its options.
fn reindex_kind(words: &Words) -> usize {
    if words.kind(1) != Some(TokenKind::LParen) {
        return 1;
    }
    (1..words.len()).find(|&at| words.kind(at) == Some(TokenKind::RParen)).map_or(1, |at| at + 1)
}

/// `option = false` in a list of options.
fn turned_off(words: &Words, option: &str) -> bool {
    (0..words.len()).any(|at| {
        let value = words.text(at + 2).trim_matches('\'').to_ascii_lowercase();
        words.is(at, option)
            && words.text(at + 1) == "="
            && matches!(&*value, "false" | "off" | "0" | "no")
    })
}

/// Pragmas that in a transaction are an error or have no effect.
const SQLITE_PRAGMAS_OUTSIDE: [&str; 9] = [
    "auto_vacuum",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "locking_mode",
    "page_size",
    "synchronous",
    "temp_store",
    "wal_checkpoint",
];

fn sqlite_never(words: &Words, verb: &Verb) -> bool {
    match verb.first() {
        "VACUUM" | "ATTACH" | "DETACH" => true,
        "PRAGMA" => {
            let (name, assigned) = pragma(words);
            let outside = SQLITE_PRAGMAS_OUTSIDE.contains(&&*name);
            outside && (assigned || name == "wal_checkpoint")
        }
        _ => false,
    }
}

/// A pragma's name in lower case, without its schema, and whether it is given a value.
pub(super) fn pragma(words: &Words) -> (String, bool) {
    let end = words.after_name(1);
    let name = words.text(end.saturating_sub(1)).trim_matches(['"', '`', '[', ']', '\'']);
    (name.to_ascii_lowercase(), words.len() > end)
}

fn mysql_commits(words: &Words, verb: &Verb) -> bool {
    match (verb.first(), verb.last()) {
        ("CREATE" | "DROP", "TABLE" | "SEQUENCE") => !verb.has("TEMPORARY"),
        // DEALLOCATE by another name.
        ("DROP", "PREPARE") => false,
        ("ALTER" | "CREATE" | "DROP" | "RENAME" | "TRUNCATE" | "GRANT" | "REVOKE", _)
        | ("INSTALL" | "UNINSTALL" | "FLUSH" | "RESET" | "OPTIMIZE" | "REPAIR" | "CHECK", _)
        | ("CACHE" | "IMPORT" | "CHANGE" | "STOP", _)
        | ("LOAD", "INDEX")
        | ("SET", "PASSWORD") => true,
        ("LOCK", _) => !words.is(1, "INSTANCE"),
        ("START", _) => verb.text != "START TRANSACTION",
        ("SET", _) if words.is(1, "STATEMENT") => words.outside(2, &["FOR"]).is_some_and(|at| {
            let inner = words.from(at + 1);
            mysql_commits(&inner, &super::verb::read(&inner))
        }),
        ("SET", _) => words.starts_with(1, &["DEFAULT", "ROLE"]),
        ("ANALYZE", _) => words.is_any(1, &["TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"]),
        // A block of MariaDB commits if something in it does.
        ("BEGIN" | "IF" | "CASE" | "LOOP" | "WHILE" | "REPEAT" | "FOR" | "DECLARE", _) => {
            (1..words.len()).any(|at| {
                words.is_any(at, &["ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", "COMMIT"])
                    && !words.starts_with(at + 1, &["TEMPORARY"])
            })
        }
        _ => false,
    }
}
