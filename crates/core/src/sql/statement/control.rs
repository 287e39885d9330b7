//! Statements that begin and end transactions.

use super::verb::Verb;
use super::words::Words;
use super::{Dialect, TransactionControl};

pub(super) fn of(words: &Words, verb: &Verb) -> Option<TransactionControl> {
    use TransactionControl as C;
    let mysql = words.dialect == Dialect::Mysql;
    match verb.text.as_str() {
        "BEGIN" if mysql && !begins_transaction(words) => None,
        "BEGIN" | "START TRANSACTION" => Some(C::Begin),
        "COMMIT" => Some(ending(words, C::Commit)),
        "END" if !mysql => Some(ending(words, C::Commit)),
        "ROLLBACK" if rolls_back_to(words) => Some(C::RollbackTo),
        "ROLLBACK TO" => Some(C::RollbackTo),
        "ROLLBACK" => Some(ending(words, C::Rollback)),
        "ABORT" if words.dialect == Dialect::Postgres => Some(ending(words, C::Rollback)),
        "SAVEPOINT" => Some(C::Savepoint),
        "RELEASE" => Some(C::Release),
        "COMMIT PREPARED"
        | "ROLLBACK PREPARED"
        | "PREPARE TRANSACTION"
        | "SET TRANSACTION"
        | "XA" => Some(C::Other),
        "LOCK TABLE" | "LOCK TABLES" | "UNLOCK TABLE" | "UNLOCK TABLES" if mysql => Some(C::Other),
        "LOCK" | "UNLOCK" if mysql => Some(C::Other),
        "SET" if sets_transaction(words) => Some(C::Other),
        _ => None,
    }
}

/// MySQL's `BEGIN` or `BEGIN WORK`; anything after it makes it a block.
fn begins_transaction(words: &Words) -> bool {
    words.len() == 1 || (words.is(1, "WORK") && words.len() == 2)
}

/// `ROLLBACK WORK TO SAVEPOINT a`
fn rolls_back_to(words: &Words) -> bool {
    words.is_any(1, &["WORK", "TRANSACTION"]) && words.is(2, "TO")
}

/// An ending that begins a new transaction, or ends the connection, is none of the plain ones.
fn ending(words: &Words, plain: TransactionControl) -> TransactionControl {
    let chain = words.contains(&["AND", "CHAIN"]);
    let release = words.dialect == Dialect::Mysql
        && words.contains(&["RELEASE"])
        && !words.contains(&["NO", "RELEASE"]);
    if chain || release { TransactionControl::Other } else { plain }
}

/// `SET SESSION TRANSACTION ...`, `SET autocommit = 0`, also as `@@autocommit`.
fn sets_transaction(words: &Words) -> bool {
    if words.dialect != Dialect::Mysql {
        return false;
    }
    let scoped = words.is_any(1, &["SESSION", "LOCAL", "GLOBAL"]);
    let first = if scoped { 2 } else { 1 };
    let autocommit = words.list_items(first).into_iter().any(|item| {
        let item = if words.is_any(item, &["SESSION", "LOCAL"]) { item + 1 } else { item };
        let name = words.text(item).to_ascii_lowercase();
        let name = name.trim_start_matches("@@");
        matches!(name, "autocommit" | "session.autocommit" | "local.autocommit")
    });
    words.is(first, "TRANSACTION") || autocommit
}
