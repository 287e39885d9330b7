//! What a server's settings mean for migrations: good, worth knowing, or a danger with its remedy.

use crate::sql::dialect::Dialect;

/// How far the clocks may be apart before it is worth a word, in milliseconds.
const CLOCK_MS_MAX: i64 = 5_000;
/// Below this, long statements of ordinary migrations are refused, in bytes.
const PACKET_BYTES_MIN: u64 = 4 << 20;

/// How a setting was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be, or without influence.
    Good,
    /// Worth knowing.
    Note,
    /// A run works, and may do what nobody wanted.
    Warning,
    /// A run would fail.
    Bad,
}

/// A setting, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How it was found.
    pub severity: Severity,
    /// What to do, or what it means.
    pub advice: Option<&'static str>,
}

impl Judgement {
    /// Nothing to say.
    pub const GOOD: Judgement = Judgement { severity: Severity::Good, advice: None };
}

/// Judges one of the settings that a connection reports.
pub fn judge(dialect: Dialect, name: &str, value: &str) -> Judgement {
    let found = match dialect {
        Dialect::Postgres => postgres(name, value),
        Dialect::Mysql => mysql(name, value),
        Dialect::Sqlite => sqlite(name, value),
    };
    found.map_or(Judgement::GOOD, |(severity, advice)| Judgement { severity, advice: Some(advice) })
}

fn postgres(name: &str, value: &str) -> Option<(Severity, &'static str)> {
    use Severity::{Bad, Note, Warning};
    Some(match (name, value) {
        ("standby", "yes") => (Bad, "A standby takes no changes: connect to the primary"),
        ("default_transaction_read_only", "on") => (
            Bad,
            "Nothing can be written: `ALTER ROLE ... SET default_transaction_read_only = off`, or \
             connect to the primary",
        ),
        ("may create schemas", "no") => (
            Warning,
            "The ledger's schema cannot be made: `GRANT CREATE ON DATABASE ... TO ...`, or have \
             the first `whimbrel up` run by the database's owner",
        ),
        ("may create in schema public", "no") => (
            Warning,
            "Migrations that make tables there fail: `GRANT CREATE ON SCHEMA public TO ...`",
        ),
        ("server_encoding", "SQL_ASCII") => {
            (Warning, "The server does not know what its bytes mean: make the database in UTF8")
        }
        ("statement_timeout", value) if value != "0" => {
            (Note, "It does not count while migrations run: `statement-timeout` does")
        }
        ("lock_timeout", value) if value != "0" => {
            (Note, "It does not count while migrations run: `lock-timeout` does")
        }
        ("TLS", "off") => (Note, "Rows travel as they are: `?sslmode=verify-full` encrypts them"),
        ("server clock ahead of this one", value) if is_far(value) => (Warning, CLOCK),
        _ => return None,
    })
}

const CLOCK: &str = "Set one of the clocks: times in the ledger are the server's, durations this \
                     machine's";

fn mysql(name: &str, value: &str) -> Option<(Severity, &'static str)> {
    use Severity::{Note, Warning};
    Some(match (name, value) {
        ("strict", value) if value.starts_with("no") => (
            Warning,
            "Add `STRICT_TRANS_TABLES` to `sql_mode`: until then a migration with such a value \
             fails, and applications lose it without a word",
        ),
        ("read_only", "ON") => {
            (Warning, "Only administrators can change anything: connect to the primary")
        }
        ("foreign_key_checks", "OFF") => (
            Warning,
            "Foreign keys are not enforced in new sessions: `SET GLOBAL foreign_key_checks = ON`",
        ),
        ("character_set_database", value) if value != "utf8mb4" => (
            Warning,
            "Not every character can be stored in new tables: `ALTER DATABASE ... CHARACTER SET \
             utf8mb4`",
        ),
        ("max_allowed_packet", value) if is_below(value, PACKET_BYTES_MIN) => {
            (Warning, "Longer statements are refused: raise it to 16 MiB or more")
        }
        ("max_statement_time", value) if !value.starts_with("0.000") && value != "0" => {
            (Note, "It does not count while migrations run: `statement-timeout` does")
        }
        ("wsrep_on", "ON") => (
            Warning,
            "A schema change stops the whole cluster while it runs; run migrations against one \
             node only",
        ),
        ("tls", "not encrypted") => {
            (Note, "Rows travel as they are: `?ssl-mode=verify-identity` encrypts them")
        }
        ("clock", value) if is_far(value) => (Warning, CLOCK),
        _ => return None,
    })
}

fn sqlite(name: &str, value: &str) -> Option<(Severity, &'static str)> {
    use Severity::{Note, Warning};
    Some(match (name, value) {
        ("foreign_keys", "0") => (
            Note,
            "Foreign keys are not enforced, as in the `sqlite3` shell: `foreign-keys = true` in \
             whimbrel.toml enforces them",
        ),
        ("synchronous", "0") => {
            (Warning, "A power cut may damage the file: `PRAGMA synchronous = FULL`")
        }
        ("journal_mode", "off" | "memory") => (
            Warning,
            "A crash in the middle of a write damages the file: `PRAGMA journal_mode = DELETE` or \
             `WAL`",
        ),
        _ => return None,
    })
}

/// `+7000 ms (...)`
fn is_far(value: &str) -> bool {
    let number = value.split(' ').next().and_then(|text| text.parse::<i64>().ok());
    number.is_some_and(|ms| ms.saturating_abs() > CLOCK_MS_MAX)
}

fn is_below(value: &str, least: u64) -> bool {
    value.parse::<u64>().is_ok_and(|bytes| bytes < least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangers_have_a_remedy_and_the_rest_is_good() {
        use Severity::{Bad, Good, Note, Warning};
        for (dialect, name, value, want) in [
            (Dialect::Mysql, "strict", "no: a value that does not fit is cut", Warning),
            (Dialect::Mysql, "strict", "yes, for transactional tables", Good),
            (Dialect::Mysql, "clock", "+12000 ms (within 1 ms)", Warning),
            (Dialect::Mysql, "clock", "-20 ms (within 1 ms)", Good),
            (Dialect::Mysql, "max_allowed_packet", "1048576", Warning),
            (Dialect::Mysql, "max_allowed_packet", "16777216", Good),
            (Dialect::Mysql, "max_statement_time", "0.000000", Good),
            (Dialect::Mysql, "max_statement_time", "2.500000", Note),
            (Dialect::Postgres, "standby", "yes", Bad),
            (Dialect::Postgres, "statement_timeout", "0", Good),
            (Dialect::Postgres, "statement_timeout", "5s", Note),
            (Dialect::Postgres, "server clock ahead of this one", "-6000 ms", Warning),
            (Dialect::Sqlite, "foreign_keys", "0", Note),
            (Dialect::Sqlite, "journal_mode", "wal", Good),
        ] {
            let found = judge(dialect, name, value);
            assert_eq!(found.severity, want, "{name} = {value}");
            assert_eq!(found.advice.is_some(), want != Good, "{name} = {value}");
        }
    }
}
