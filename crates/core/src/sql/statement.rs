//! What kind of statement this is, by its leading words: whether it may run in a transaction,
//! whether it may run twice, whether it changes the session.

use super::dialect::Dialect;
use super::lexer::{Token, TokenKind, lex};

/// How a statement stands to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionNeed {
    /// It runs inside and outside of a transaction.
    Any,
    /// It cannot run inside a transaction, or has no effect there.
    Never,
    /// It commits the open transaction by itself (MariaDB's and MySQL's schema changes).
    ImplicitCommit,
}

/// A statement that steers the author's own transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionControl {
    /// Begins one.
    Begin,
    /// Commits it.
    Commit,
    /// Rolls it back.
    Rollback,
    /// Sets a savepoint.
    Savepoint,
    /// Goes back to a savepoint.
    RollbackTo,
    /// Forgets a savepoint.
    Release,
    /// Anything else: two-phase commit, table locks.
    Other,
}

/// The broad kind of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementClass {
    /// Changes the schema.
    Ddl,
    /// Changes rows.
    Dml,
    /// Reads.
    Query,
    /// Changes the session: SET, PRAGMA, USE.
    Setting,
    /// Steers a transaction.
    Control,
    /// VACUUM, ANALYZE, OPTIMIZE.
    Maintenance,
    /// Runs code: DO, CALL.
    Routine,
    /// GRANT, CREATE USER.
    Privilege,
    /// Not known.
    Unknown,
}

/// What is known of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementInfo {
    /// Its leading words in upper case: `CREATE UNIQUE INDEX`, `INSERT`.
    pub verb: String,
    /// How it stands to transactions.
    pub transaction: TransactionNeed,
    /// Set if it steers the author's own transaction.
    pub control: Option<TransactionControl>,
    /// Its broad kind.
    pub class: StatementClass,
    /// Running it again after it happened does no harm and gives no error.
    pub repeatable: bool,
    /// It changes a setting that lasts longer than its transaction.
    pub settings: bool,
}

/// Most leading words that are looked at.
const WORDS_MAX: usize = 12;

/// Says what kind of statement `sql` is. Total: what is not known is [`StatementClass::Unknown`].
pub fn classify(sql: &str, dialect: Dialect) -> StatementInfo {
    let words = leading_words(sql, dialect);
    let words = Words(&words);
    let control = control(&words, dialect);
    let class = if control.is_some() { StatementClass::Control } else { class(&words, sql, dialect) };
    StatementInfo {
        verb: words.verb(),
        transaction: need(&words, class, sql, dialect),
        control,
        class,
        repeatable: repeatable(&words, class, sql, dialect),
        settings: settings(&words, class, dialect),
    }
}

/// Whether the statement adds a value to an enum type, which cannot be used before its commit.
pub fn adds_enum_value(sql: &str, dialect: Dialect) -> bool {
    let words = leading_words(sql, dialect);
    let words = Words(&words);
    dialect == Dialect::Postgres && words.starts("ALTER TYPE") && words.has("ADD VALUE")
}

/// The words of a statement in upper case; a name in quotes stands as `"`.
fn leading_words(sql: &str, dialect: Dialect) -> Vec<String> {
    let mut out = Vec::new();
    for token in lex_head(sql, dialect) {
        match token.kind {
            TokenKind::Word => out.push(token.text(sql).to_ascii_uppercase()),
            TokenKind::QuotedIdent | TokenKind::Str => out.push("\"".to_owned()),
            TokenKind::LParen if out.is_empty() => {}
            TokenKind::Op => out.push(token.text(sql).to_owned()),
            TokenKind::LParen => out.push("(".to_owned()),
            _ => {}
        }
        if out.len() >= WORDS_MAX {
            break;
        }
    }
    out
}

/// Tokens of the statement's beginning; a long statement is not read to its end for its verb.
fn lex_head(sql: &str, dialect: Dialect) -> Vec<Token> {
    const HEAD_BYTES_MAX: usize = 4_096;
    let mut end = sql.len().min(HEAD_BYTES_MAX);
    while !sql.is_char_boundary(end) {
        end -= 1;
    }
    lex(sql.get(..end).unwrap_or(sql), dialect)
}

struct Words<'a>(&'a [String]);

impl Words<'_> {
    fn get(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }

    /// Whether the statement begins with these words.
    fn starts(&self, phrase: &str) -> bool {
        phrase.split(' ').enumerate().all(|(index, word)| self.get(index) == word)
    }

    fn starts_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.starts(phrase))
    }

    /// Whether these words stand next to each other somewhere at the statement's beginning.
    fn has(&self, phrase: &str) -> bool {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        self.0.windows(wanted.len()).any(|window| window.iter().zip(&wanted).all(|(a, b)| a == b))
    }

    fn verb(&self) -> String {
        let count = match self.get(0) {
            "CREATE" | "ALTER" | "DROP" | "REFRESH" => {
                const OBJECTS: [&str; 22] = [
                    "TABLE", "INDEX", "VIEW", "TRIGGER", "FUNCTION", "PROCEDURE", "TYPE", "SCHEMA",
                    "SEQUENCE", "EXTENSION", "DATABASE", "ROLE", "USER", "POLICY", "DOMAIN", "EVENT",
                    "RULE", "AGGREGATE", "PUBLICATION", "SUBSCRIPTION", "TABLESPACE", "STATISTICS",
                ];
                let object = self.0.iter().position(|word| OBJECTS.contains(&word.as_str()));
                object.map_or(2, |at| if at <= 4 { at + 1 } else { 2 })
            }
            "START" | "ROLLBACK" | "LOCK" | "UNLOCK" | "SET" | "PRAGMA" => 2,
            _ => 1,
        };
        let words: Vec<&str> =
            (0..count).map(|index| self.get(index)).filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }
}

fn control(words: &Words<'_>, dialect: Dialect) -> Option<TransactionControl> {
    use TransactionControl::{Begin, Commit, Other, Release, Rollback, RollbackTo, Savepoint};
    let mysql = dialect == Dialect::Mysql;
    match words.get(0) {
        // `BEGIN NOT ATOMIC` is a compound statement of MariaDB's.
        "BEGIN" if mysql && words.get(1) == "NOT" => None,
        "BEGIN" => Some(Begin),
        "START" if words.get(1) == "TRANSACTION" => Some(Begin),
        "COMMIT" if words.get(1) == "PREPARED" => Some(Other),
        "COMMIT" => Some(Commit),
        "END" if !mysql => Some(Commit),
        "ROLLBACK" | "ABORT" if words.get(1) == "PREPARED" => Some(Other),
        "ROLLBACK" if words.has("TO") => Some(RollbackTo),
        "ROLLBACK" => Some(Rollback),
        "ABORT" if dialect == Dialect::Postgres => Some(Rollback),
        "SAVEPOINT" => Some(Savepoint),
        "RELEASE" => Some(Release),
        "PREPARE" if words.get(1) == "TRANSACTION" => Some(Other),
        "XA" if mysql => Some(Other),
        "LOCK" | "UNLOCK" if mysql && words.get(1).starts_with("TABLE") => Some(Other),
        _ => None,
    }
}

fn class(words: &Words<'_>, sql: &str, dialect: Dialect) -> StatementClass {
    use StatementClass::{Ddl, Dml, Maintenance, Privilege, Query, Routine, Setting, Unknown};
    match words.get(0) {
        "CREATE" | "ALTER" | "DROP"
            if ["USER", "ROLE", "GROUP"].contains(&words.get(1))
                || (words.get(1) == "OR" && ["USER", "ROLE"].contains(&words.get(3))) =>
        {
            Privilege
        }
        "CREATE" | "ALTER" | "DROP" | "RENAME" | "COMMENT" | "TRUNCATE" | "IMPORT" | "SECURITY" => {
            Ddl
        }
        "REINDEX" | "REFRESH" | "VACUUM" | "ANALYZE" | "ANALYSE" | "OPTIMIZE" | "CLUSTER"
        | "CHECK" | "REPAIR" | "FLUSH" | "CHECKPOINT" => Maintenance,
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "MERGE" | "COPY" | "LOAD" => Dml,
        "WITH" => with_class(sql, dialect),
        "SELECT" | "VALUES" | "TABLE" | "EXPLAIN" | "SHOW" | "DESCRIBE" | "DESC" | "FETCH" => Query,
        "SET" | "RESET" | "PRAGMA" | "USE" | "DISCARD" | "LISTEN" | "UNLISTEN" => Setting,
        "ATTACH" | "DETACH" if dialect == Dialect::Sqlite => Setting,
        "DO" | "CALL" | "EXECUTE" | "PREPARE" | "DEALLOCATE" | "BEGIN" | "SIGNAL" => Routine,
        "GRANT" | "REVOKE" | "REASSIGN" => Privilege,
        "LOCK" | "NOTIFY" | "DECLARE" | "CLOSE" => Query,
        _ => Unknown,
    }
}

/// `WITH ... INSERT`: the first verb outside of parentheses decides.
fn with_class(sql: &str, dialect: Dialect) -> StatementClass {
    let mut depth = 0_i64;
    for token in lex(sql, dialect) {
        match token.kind {
            TokenKind::LParen => depth += 1,
            TokenKind::RParen => depth -= 1,
            TokenKind::Word if depth == 0 => {
                let word = token.text(sql).to_ascii_uppercase();
                if ["INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"].contains(&word.as_str()) {
                    return StatementClass::Dml;
                }
                if word == "SELECT" || word == "VALUES" {
                    break;
                }
            }
            _ => {}
        }
    }
    // A data-modifying CTE of PostgreSQL's may stand inside a SELECT.
    StatementClass::Dml
}

fn need(words: &Words<'_>, class: StatementClass, sql: &str, dialect: Dialect) -> TransactionNeed {
    let never = match dialect {
        Dialect::Postgres => postgres_never(words),
        Dialect::Sqlite => sqlite_never(words, sql),
        Dialect::Mysql => false,
    };
    if never {
        TransactionNeed::Never
    } else if dialect == Dialect::Mysql && mysql_commits(words, class) {
        TransactionNeed::ImplicitCommit
    } else {
        TransactionNeed::Any
    }
}

/// Statements that PostgreSQL refuses in a transaction block, as their manual pages say.
fn postgres_never(words: &Words<'_>) -> bool {
    let index = words.has("INDEX CONCURRENTLY");
    let reindex = words.get(0) == "REINDEX"
        && (words.has("CONCURRENTLY")
            || ["SCHEMA", "DATABASE", "SYSTEM"].iter().any(|word| words.has(word)));
    let detach = words.starts("ALTER TABLE")
        && words.has("DETACH PARTITION")
        && words.has("CONCURRENTLY");
    index
        || reindex
        || detach
        || words.starts_any(&[
            "VACUUM",
            "CREATE DATABASE",
            "DROP DATABASE",
            "CREATE TABLESPACE",
            "DROP TABLESPACE",
            "ALTER SYSTEM",
            "CREATE SUBSCRIPTION",
            "DROP SUBSCRIPTION",
            "DISCARD ALL",
        ])
        || (words.starts("ALTER DATABASE") && words.has("SET TABLESPACE"))
        || (words.get(0) == "CLUSTER" && words.get(1).is_empty())
}

/// SQLite: VACUUM, ATTACH and DETACH fail inside a transaction; these PRAGMAs do nothing there.
fn sqlite_never(words: &Words<'_>, sql: &str) -> bool {
    const OUTSIDE: [&str; 8] = [
        "FOREIGN_KEYS",
        "JOURNAL_MODE",
        "SYNCHRONOUS",
        "WRITABLE_SCHEMA",
        "PAGE_SIZE",
        "AUTO_VACUUM",
        "ENCODING",
        "LEGACY_ALTER_TABLE",
    ];
    let sets = sql.contains('=') || sql.contains('(');
    words.starts_any(&["VACUUM", "ATTACH", "DETACH"])
        || (words.get(0) == "PRAGMA" && sets && OUTSIDE.iter().any(|name| words.has(name)))
}

/// Statements that commit the open transaction: MariaDB's manual, "SQL statements that cause an
/// implicit commit".
fn mysql_commits(words: &Words<'_>, class: StatementClass) -> bool {
    let temporary = words.has("TEMPORARY TABLE");
    match class {
        StatementClass::Ddl | StatementClass::Privilege => !temporary,
        StatementClass::Maintenance => true,
        StatementClass::Routine => words.starts_any(&["CALL", "BEGIN", "EXECUTE"]),
        StatementClass::Setting => words.starts("SET PASSWORD"),
        StatementClass::Unknown => true,
        _ => words.starts("LOAD INDEX"),
    }
}

fn repeatable(words: &Words<'_>, class: StatementClass, sql: &str, dialect: Dialect) -> bool {
    if words.has("INDEX CONCURRENTLY") || (words.get(0) == "CREATE" && words.has("CONCURRENTLY")) {
        // IF NOT EXISTS would keep an INVALID index.
        return words.starts("DROP INDEX") && words.has("IF EXISTS");
    }
    match class {
        StatementClass::Maintenance | StatementClass::Setting | StatementClass::Query => true,
        StatementClass::Privilege => {
            words.starts_any(&["GRANT", "REVOKE"]) || words.has("IF EXISTS") || words.has("IF NOT EXISTS")
        }
        StatementClass::Ddl => {
            let guarded = words.has("IF EXISTS") || words.has("IF NOT EXISTS");
            let single = !sql.contains(',') || words.get(0) != "ALTER";
            let alter_guarded = words.get(0) != "ALTER" || dialect != Dialect::Postgres;
            words.starts_any(&["COMMENT", "TRUNCATE", "CREATE OR REPLACE"])
                || (guarded && single && alter_guarded && !words.has("RENAME"))
        }
        _ => false,
    }
}

fn settings(words: &Words<'_>, class: StatementClass, dialect: Dialect) -> bool {
    class == StatementClass::Setting
        && !(dialect == Dialect::Postgres
            && (words.starts("SET LOCAL") || words.starts("SET TRANSACTION")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, sql: &str, want: &str) {
        let info = classify(sql, dialect);
        let got = format!(
            "{} {:?} {:?}{}{}{}",
            info.verb,
            info.transaction,
            info.class,
            info.control.map_or_else(String::new, |control| format!(" {control:?}")),
            if info.repeatable { " repeatable" } else { "" },
            if info.settings { " settings" } else { "" }
        );
        assert_eq!(got, want, "{sql}");
    }

    #[test]
    fn postgres() {
        for (sql, want) in [
            ("CREATE TABLE t (a int)", "CREATE TABLE Any Ddl"),
            ("create unique index concurrently if not exists i on t (a)",
             "CREATE UNIQUE INDEX Never Ddl"),
            ("DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX Never Ddl repeatable"),
            ("VACUUM ANALYZE t", "VACUUM Never Maintenance repeatable"),
            ("REINDEX TABLE CONCURRENTLY t", "REINDEX Never Maintenance repeatable"),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY v",
             "REFRESH MATERIALIZED VIEW Any Maintenance repeatable"),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN Any Control Begin"),
            ("END", "END Any Control Commit"),
            ("ROLLBACK TO SAVEPOINT a", "ROLLBACK TO Any Control RollbackTo"),
            ("SET LOCAL search_path = a", "SET LOCAL Any Setting repeatable"),
            ("SET search_path = a", "SET SEARCH_PATH Any Setting repeatable settings"),
            ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "WITH Any Dml"),
            ("(SELECT 1)", "SELECT Any Query repeatable"),
            ("DO $$ begin end $$", "DO Any Routine"),
        ] {
            check(Dialect::Postgres, sql, want);
        }
        assert!(adds_enum_value("ALTER TYPE mood ADD VALUE 'x'", Dialect::Postgres));
        assert!(!adds_enum_value("ALTER TYPE mood RENAME TO m", Dialect::Postgres));
    }

    #[test]
    fn sqlite() {
        for (sql, want) in [
            ("PRAGMA foreign_keys=OFF", "PRAGMA FOREIGN_KEYS Never Setting repeatable settings"),
            ("PRAGMA foreign_keys", "PRAGMA FOREIGN_KEYS Any Setting repeatable settings"),
            ("PRAGMA defer_foreign_keys = on",
             "PRAGMA DEFER_FOREIGN_KEYS Any Setting repeatable settings"),
            ("VACUUM", "VACUUM Never Maintenance repeatable"),
            ("BEGIN IMMEDIATE", "BEGIN Any Control Begin"),
            ("END TRANSACTION", "END Any Control Commit"),
            ("CREATE TABLE IF NOT EXISTS t (a)", "CREATE TABLE Any Ddl repeatable"),
            ("REPLACE INTO t VALUES (1)", "REPLACE Any Dml"),
        ] {
            check(Dialect::Sqlite, sql, want);
        }
    }

    #[test]
    fn mysql() {
        for (sql, want) in [
            ("CREATE TABLE t (a int)", "CREATE TABLE ImplicitCommit Ddl"),
            ("CREATE TEMPORARY TABLE t (a int)", "CREATE TEMPORARY TABLE Any Ddl"),
            ("/*!40101 SET NAMES utf8 */", "SET NAMES Any Setting repeatable settings"),
            ("LOCK TABLES `t` WRITE", "LOCK TABLES Any Control Other"),
            ("BEGIN NOT ATOMIC SELECT 1; END", "BEGIN ImplicitCommit Routine"),
            ("INSERT INTO t VALUES (1)", "INSERT Any Dml"),
            ("GRANT ALL ON *.* TO u", "GRANT ImplicitCommit Privilege repeatable"),
            ("START TRANSACTION", "START TRANSACTION Any Control Begin"),
        ] {
            check(Dialect::Mysql, sql, want);
        }
    }
}
