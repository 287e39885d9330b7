//! What a statement is, as far as running it depends on that: judged by its leading words.
//!
//! A statement that is not recognised is [`StatementClass::Unknown`] and is run like any other.
//! What a statement calls cannot be seen: a [`StatementClass::Routine`] may do anything, on MySQL
//! commit as well.

use super::dialect::Dialect;
use words::Words;

mod class;
mod control;
mod repeat;
mod transaction;
mod verb;
mod words;

#[cfg(test)]
mod tests;

/// What is known of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementInfo {
    /// The leading keywords in upper case, up to the kind of object: `CREATE UNIQUE INDEX`,
    /// `INSERT`, `ROLLBACK TO`. After `WITH`, those of the statement proper.
    pub verb: String,
    /// Whether it can run in a transaction.
    pub transaction: TransactionNeed,
    /// What it does to transactions, if that is what it is for.
    pub control: Option<TransactionControl>,
    /// What sort of statement it is.
    pub class: StatementClass,
    /// Running it again after it has happened changes nothing more and gives no error.
    pub repeatable: bool,
    /// It changes the session for the statements after it, beyond the transaction.
    pub settings: bool,
}

/// Whether a statement can run in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionNeed {
    /// In a transaction or alone.
    Any,
    /// Not in a transaction: there it is an error, or it has no effect.
    Never,
    /// It commits the open transaction by itself.
    ImplicitCommit,
}

/// What a statement does to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionControl {
    /// Begins one.
    Begin,
    /// Ends one and keeps its effect.
    Commit,
    /// Ends one and drops its effect.
    Rollback,
    /// Sets a savepoint.
    Savepoint,
    /// Goes back to a savepoint.
    RollbackTo,
    /// Forgets a savepoint.
    Release,
    /// Anything else: `SET TRANSACTION`, `PREPARE TRANSACTION`, `XA`, `AND CHAIN`, `LOCK TABLES`,
    /// `SET autocommit`.
    Other,
}

/// What sort of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementClass {
    /// Changes the schema.
    Ddl,
    /// Changes rows.
    Dml,
    /// Reads.
    Query,
    /// Changes the session or a stored setting: `SET`, `PRAGMA`, `USE`, `ATTACH`.
    Setting,
    /// Begins or ends transactions, or locks.
    Control,
    /// Changes neither schema nor rows: `VACUUM`, `ANALYZE`, `REFRESH`.
    Maintenance,
    /// Runs code: `DO`, `CALL`, `EXECUTE`, a block of MariaDB.
    Routine,
    /// Changes who may do what.
    Privilege,
    /// Not recognised.
    Unknown,
}

/// Judges the text of one statement, without its delimiter.
pub fn classify(sql: &str, dialect: Dialect) -> StatementInfo {
    let words = Words::read(sql, dialect);
    let verb = verb::read(&words);
    let control = control::of(&words, &verb);
    let class = class::of(&words, &verb, control);
    StatementInfo {
        transaction: transaction::need(&words, &verb),
        repeatable: repeat::is_repeatable(&words, &verb, class),
        settings: class::changes_session(&words, &verb, class),
        control,
        class,
        verb: verb.text,
    }
}

/// True for SQLite's `PRAGMA foreign_keys = ON`, in whatever way it is written.
pub fn switches_keys_on(sql: &str) -> bool {
    let words = Words::read(sql, Dialect::Sqlite);
    let (name, assigned) = transaction::pragma(&words);
    let values = (2..words.len()).map(|at| words.text(at).trim_matches('\'').to_ascii_lowercase());
    words.is(0, "PRAGMA")
        && name == "foreign_keys"
        && assigned
        && values.into_iter().any(|value| matches!(&*value, "on" | "1" | "true" | "yes"))
}

/// True for PostgreSQL's `ALTER TYPE ... ADD VALUE`, also in a `DO` block: before its commit the
/// value cannot be used, and up to version 11 it cannot run in a transaction.
pub fn adds_enum_value(sql: &str, dialect: Dialect) -> bool {
    if dialect != Dialect::Postgres {
        return false;
    }
    let words = Words::read(sql, dialect);
    if words.is(0, "DO") {
        let mut inside = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
        let mut before = "";
        return inside.any(|word| {
            let found = before.eq_ignore_ascii_case("add") && word.eq_ignore_ascii_case("value");
            before = if word.is_empty() { before } else { word };
            found
        });
    }
    words.starts_with(0, &["ALTER", "TYPE"]) && words.contains(&["ADD", "VALUE"])
}
