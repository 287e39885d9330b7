//! The SQL that writes the ledger's rows.

use whimbrel_core::ledger::{AttemptEvent, Direction, MigrationEvent};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_text;

use super::{LEDGER_FORMAT, Ledger, now_ms};

/// The version that rows are signed with.
pub(crate) const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longest error text that a row keeps, in characters.
const ERROR_CHARS_MAX: usize = 4_000;
/// Longest short name that a row keeps, in characters (MariaDB's VARCHAR).
const NAME_CHARS_MAX: usize = 255;

/// A row of `attempts` to be written.
pub(crate) struct Attempt<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) migration: &'a str,
    pub(crate) direction: Direction,
    pub(crate) statement_index: usize,
    pub(crate) statement_hash: &'a str,
    pub(crate) event: AttemptEvent,
    pub(crate) rows_affected: Option<u64>,
    pub(crate) error: Option<&'a str>,
    pub(crate) fingerprint: Option<&'a str>,
    pub(crate) started_ms_ago: u128,
    pub(crate) token: i64,
}

/// A row of `migrations` to be written.
pub(crate) struct MigrationEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) event: MigrationEvent,
    pub(crate) text_checksum: &'a str,
    pub(crate) token_checksum: &'a str,
    pub(crate) up_text: Option<&'a str>,
    pub(crate) down_text: Option<&'a str>,
    pub(crate) run_id: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) duration_ms: u128,
    pub(crate) token: i64,
}

/// A row of `undo` to be written.
pub(crate) struct UndoEntry<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) migration: &'a str,
    pub(crate) statement_index: usize,
    pub(crate) event: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) object: &'a str,
    pub(crate) kept_as: &'a str,
    pub(crate) key_columns: &'a [String],
    pub(crate) columns: &'a [String],
    pub(crate) rows_kept: i64,
    pub(crate) token: i64,
}

/// A row of `runs` to be written.
pub(crate) struct RunEntry<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) event: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) actor: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) token: i64,
}

/// A row of `backups` to be written.
pub(crate) struct BackupEntry<'a> {
    pub(crate) backup_id: &'a str,
    /// Empty outside of a run.
    pub(crate) run_id: &'a str,
    /// `created`, `verified`, `restored` or `pruned`.
    pub(crate) event: &'a str,
    pub(crate) bytes: u64,
    pub(crate) location: &'a str,
    pub(crate) actor: &'a str,
    /// 0 outside of a run.
    pub(crate) token: i64,
}

impl Ledger {
    /// A text as a literal that means the same whatever the session's settings are.
    pub(crate) fn quote(&self, text: &str) -> String {
        quote_text(text, self.dialect)
    }

    fn quote_name(&self, text: &str) -> String {
        let short: String = text.chars().take(NAME_CHARS_MAX).collect();
        self.quote(&short)
    }

    fn quote_option(&self, text: Option<&str>) -> String {
        text.map_or_else(|| "NULL".to_owned(), |text| self.quote(text))
    }

    pub(crate) fn identity_sql(&self, database_id: &str, environment: &str) -> String {
        format!(
            "INSERT INTO {} (database_id, environment, ledger_format, tool_version, at_ms) \
             VALUES ({}, {}, {LEDGER_FORMAT}, {}, {})",
            self.table("identity"),
            self.quote(database_id),
            self.quote_name(environment),
            self.quote(TOOL_VERSION),
            now_ms(self.dialect)
        )
    }

    pub(crate) fn run_sql(&self, run: &RunEntry<'_>) -> String {
        let detail: String = run.detail.chars().take(ERROR_CHARS_MAX).collect();
        format!(
            "INSERT INTO {} (run_id, event, verb, outcome, actor, detail, token, at_ms) \
             VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
            self.table("runs"),
            self.quote(run.run_id),
            self.quote(run.event),
            self.quote(run.verb),
            self.quote_option(run.outcome),
            self.quote_name(run.actor),
            self.quote(&detail),
            run.token,
            now_ms(self.dialect)
        )
    }

    pub(crate) fn attempt_sql(&self, attempt: &Attempt<'_>) -> String {
        let now = now_ms(self.dialect);
        let error: Option<String> =
            attempt.error.map(|text| text.chars().take(ERROR_CHARS_MAX).collect());
        format!(
            "INSERT INTO {} (run_id, migration, direction, statement_index, statement_hash, event, \
             rows_affected, error, fingerprint, started_ms, at_ms, token) \
             VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {now} - {}, {now}, {})",
            self.table("attempts"),
            self.quote(attempt.run_id),
            self.quote_name(attempt.migration),
            self.quote(attempt.direction.name()),
            attempt.statement_index,
            self.quote(attempt.statement_hash),
            self.quote(attempt.event.name()),
            attempt.rows_affected.map_or_else(|| "NULL".to_owned(), |rows| rows.to_string()),
            self.quote_option(error.as_deref()),
            self.quote_option(attempt.fingerprint),
            attempt.started_ms_ago,
            attempt.token
        )
    }

    pub(crate) fn migration_sql(&self, entry: &MigrationEntry<'_>) -> String {
        format!(
            "INSERT INTO {} (name, version, kind, event, text_checksum, token_checksum, up_text, \
             down_text, run_id, actor, after_attempt, duration_ms, at_ms, token) \
             VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, \
             (SELECT coalesce(max(seq), 0) FROM {}), {}, {}, {})",
            self.table("migrations"),
            self.quote_name(entry.name),
            self.quote_name(entry.version),
            self.quote(entry.kind),
            self.quote(entry.event.name()),
            self.quote(entry.text_checksum),
            self.quote(entry.token_checksum),
            self.quote_option(entry.up_text),
            self.quote_option(entry.down_text),
            self.quote(entry.run_id),
            self.quote_name(entry.actor),
            self.table("attempts"),
            entry.duration_ms,
            now_ms(self.dialect),
            entry.token
        )
    }

    pub(crate) fn undo_sql(&self, entry: &UndoEntry<'_>) -> String {
        format!(
            "INSERT INTO {} (run_id, migration, statement_index, event, kind, object, kept_as, \
             key_columns, columns, rows_kept, at_ms, token) \
             VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
            self.table("undo"),
            self.quote(entry.run_id),
            self.quote_name(entry.migration),
            entry.statement_index,
            self.quote(entry.event),
            self.quote(entry.kind),
            self.quote_name(entry.object),
            self.quote(entry.kept_as),
            self.quote(&names_text(entry.key_columns)),
            self.quote(&names_text(entry.columns)),
            entry.rows_kept,
            now_ms(self.dialect),
            entry.token
        )
    }

    /// Empties the lease of a restored database and puts the fence above `token` and what it was:
    /// whoever held them when it was saved does not hold them there.
    pub(crate) fn free_sql(&self, token: i64) -> String {
        let (lease, fence) = (self.table("lease"), self.table("fence"));
        let greater = if self.dialect == Dialect::Sqlite { "max" } else { "greatest" };
        format!(
            "UPDATE {lease} SET owner = NULL, expires_ms = 0, step_now = ''; \
             UPDATE {fence} SET token = {greater}(token, {token}) + 1"
        )
    }

    pub(crate) fn backup_sql(&self, entry: &BackupEntry<'_>) -> String {
        format!(
            "INSERT INTO {} (backup_id, run_id, event, bytes, location, actor, at_ms, token) \
             VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
            self.table("backups"),
            self.quote(entry.backup_id),
            self.quote(entry.run_id),
            self.quote(entry.event),
            i64::try_from(entry.bytes).unwrap_or(i64::MAX),
            self.quote(entry.location),
            self.quote_name(entry.actor),
            now_ms(self.dialect),
            entry.token
        )
    }

    pub(crate) fn audit_sql(
        &self,
        run_id: &str,
        actor: &str,
        action: &str,
        detail: &str,
        token: i64,
    ) -> String {
        format!(
            "INSERT INTO {} (run_id, actor, action, detail, at_ms, token) \
             VALUES ({}, {}, {}, {}, {}, {token})",
            self.table("audit"),
            self.quote(run_id),
            self.quote_name(actor),
            self.quote(action),
            self.quote(detail),
            now_ms(self.dialect)
        )
    }
}

/// Names as a JSON array.
fn names_text(names: &[String]) -> String {
    serde_json::to_string(names).unwrap_or_else(|_| "[]".to_owned())
}

/// The names of a JSON array; none if it is not one.
pub(crate) fn names_of(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Most bytes of one INSERT of several rows.
const INSERT_BYTES_MAX: usize = 512 * 1024;

/// The rows of INSERTs into one table, all written by the same method here, as fewer INSERTs.
pub(crate) fn merged(inserts: &[String]) -> impl Iterator<Item = String> {
    const VALUES: &str = ") VALUES ";
    let mut out: Vec<String> = Vec::new();
    for insert in inserts {
        let row = insert.split_once(VALUES).map(|(_, row)| row);
        match (out.last_mut(), row) {
            (Some(last), Some(row)) if last.len() + row.len() < INSERT_BYTES_MAX => {
                last.push_str(",\n");
                last.push_str(row);
            }
            _ => out.push(insert.clone()),
        }
    }
    out.into_iter()
}
