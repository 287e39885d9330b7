//! The sorts of statements.

use super::transaction::pragma;
use super::verb::Verb;
use super::words::Words;
use super::{Dialect, StatementClass, TransactionControl};
use crate::sql::lexer::TokenKind;

use StatementClass as Class;

pub(super) fn of(words: &Words, verb: &Verb, control: Option<TransactionControl>) -> Class {
    if control.is_some() {
        return Class::Control;
    }
    if words.is(0, "WITH") && changes_rows_in_with(words) {
        return Class::Dml;
    }
    let mysql = words.dialect == Dialect::Mysql;
    match verb.first() {
        "CREATE" | "ALTER" | "DROP" => object(verb),
        "SET" if mysql && words.is(1, "STATEMENT") => inner(words, words.outside(2, &["FOR"])),
        "SET" | "RENAME" if matches!(verb.last(), "PASSWORD" | "USER") => Class::Privilege,
        "RESET" | "LOAD" if mysql => {
            if verb.last() == "DATA" || verb.last() == "XML" {
                Class::Dml
            } else {
                Class::Maintenance
            }
        }
        "COMMENT" | "IMPORT" | "INSTALL" | "RENAME" | "SECURITY" | "TRUNCATE" | "UNINSTALL" => {
            Class::Ddl
        }
        "DELETE" | "INSERT" | "MERGE" | "REPLACE" | "UPDATE" => Class::Dml,
        "COPY" if words.outside(1, &["FROM"]).is_some() => Class::Dml,
        "SELECT" if words.dialect == Dialect::Postgres && selects_into(words, verb) => Class::Ddl,
        "CLOSE" | "COPY" | "DESC" | "DESCRIBE" | "FETCH" | "HANDLER" | "HELP" | "MOVE"
        | "SELECT" | "SHOW" | "TABLE" | "VALUES" => Class::Query,
        "DECLARE" => {
            if mysql {
                Class::Routine
            } else {
                Class::Query
            }
        }
        "EXPLAIN" => explained(words),
        "PRAGMA" => of_pragma(words),
        "ATTACH" | "DEALLOCATE" | "DETACH" | "DISCARD" | "LISTEN" | "LOAD" | "PREPARE"
        | "RESET" | "SET" | "UNLISTEN" | "USE" => Class::Setting,
        "LOCK" => Class::Control,
        // `ANALYZE UPDATE ...` of MariaDB runs the statement.
        "ANALYZE" if mysql => analyzed(words),
        "ANALYSE" | "ANALYZE" | "CACHE" | "CHECK" | "CHECKPOINT" | "CLUSTER" | "FLUSH" | "KILL"
        | "OPTIMIZE" | "PURGE" | "REFRESH" | "REINDEX" | "REPACK" | "REPAIR" | "VACUUM" => {
            Class::Maintenance
        }
        "BEGIN" | "CALL" | "CASE" | "DO" | "EXECUTE" | "FOR" | "IF" | "LOOP" | "NOTIFY"
        | "REPEAT" | "SIGNAL" | "WHILE" => Class::Routine,
        "GRANT" | "REASSIGN" | "REVOKE" => Class::Privilege,
        _ => Class::Unknown,
    }
}

/// Whether the session is another one afterwards, beyond its transaction.
pub(super) fn changes_session(words: &Words, verb: &Verb, class: Class) -> bool {
    match (class, verb.first()) {
        (Class::Setting, "PRAGMA") => {
            // These are stored in the file.
            let (name, assigned) = pragma(words);
            assigned && !matches!(&*name, "user_version" | "application_id")
        }
        (Class::Setting, "SET") => {
            let local = words.dialect == Dialect::Postgres && words.is(1, "LOCAL");
            !local && verb.last() != "CONSTRAINTS"
        }
        (Class::Setting, _) => true,
        // `SET autocommit`, `SET SESSION TRANSACTION`
        (Class::Control, "SET") => words.dialect == Dialect::Mysql,
        (Class::Query, "SELECT") => words.contains(&["SET_CONFIG"]),
        _ => false,
    }
}

fn object(verb: &Verb) -> Class {
    match verb.last() {
        "GROUP" if verb.has("LOGFILE") => Class::Ddl,
        "GROUP" | "OWNED" | "PRIVILEGES" | "ROLE" | "USER" => Class::Privilege,
        // `ALTER SYSTEM SET`, `ALTER INSTANCE`, MySQL's `DROP PREPARE`
        "PREPARE" | "SYSTEM" => Class::Setting,
        "INSTANCE" => Class::Maintenance,
        _ => Class::Ddl,
    }
}

/// The class of the statement that begins at `at`.
fn inner(words: &Words, at: Option<usize>) -> Class {
    let Some(at) = at else { return Class::Setting };
    let rest = words.from(at + 1);
    let verb = super::verb::read(&rest);
    of(&rest, &verb, super::control::of(&rest, &verb))
}

/// PostgreSQL changes rows in a WITH as well: `WITH gone AS (DELETE ...) SELECT ...`.
fn changes_rows_in_with(words: &Words) -> bool {
    (1..words.len()).any(|at| {
        words.kind(at) == Some(TokenKind::LParen)
            && words.is_any(at + 1, &["DELETE", "INSERT", "MERGE", "UPDATE"])
    })
}

/// `SELECT ... INTO table`
fn selects_into(words: &Words, verb: &Verb) -> bool {
    words.outside(verb.end, &["INTO", "FROM"]).is_some_and(|at| words.is(at, "INTO"))
}

/// EXPLAIN only reads, but with ANALYZE the statement is run.
fn explained(words: &Words) -> Class {
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "CREATE", "EXECUTE"];
    let runs = words
        .outside(1, &verbs)
        .filter(|&at| (1..at).any(|option| words.is_any(option, &["ANALYZE", "ANALYSE"])));
    runs.map_or(Class::Query, |at| inner(words, Some(at - 1)))
}

fn analyzed(words: &Words) -> Class {
    let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"];
    match words.outside(1, &verbs) {
        Some(at) if !words.is_any(1, &["TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"]) => {
            inner(words, Some(at - 1))
        }
        _ => Class::Maintenance,
    }
}

/// Pragmas that ask with an argument.
const ASKING_PRAGMAS: [&str; 11] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "stats",
    "table_info",
    "table_list",
    "table_xinfo",
];

fn of_pragma(words: &Words) -> Class {
    let (name, assigned) = pragma(words);
    match &*name {
        "incremental_vacuum" | "optimize" | "shrink_memory" | "wal_checkpoint" => {
            Class::Maintenance
        }
        name if !assigned || ASKING_PRAGMAS.contains(&name) => Class::Query,
        _ => Class::Setting,
    }
}
