//! Where a statement that runs in batches stands, as the ledger keeps it.

use serde::{Deserialize, Serialize};
use whimbrel_core::sql::quote::quote_text;
use whimbrel_core::transfer::RowsDigest;

use super::compared::Pass;
use super::key::Key;
use super::parts::Part;
use crate::backend::{DbError, Row, Session};
use crate::ledger::{Ledger, now_ms, number, text};

/// What else is needed to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    /// Table with the values before and after.
    #[serde(default)]
    pub(super) undo_table: Option<String>,
    /// Table with the keys of driving rows that produced nothing so far.
    #[serde(default)]
    pub(super) missing_table: Option<String>,
    /// Table with the rows and values of a statement that were computed once.
    #[serde(default)]
    pub(super) work_table: Option<String>,
    /// It is an UPDATE or DELETE whose values were computed once: its missing rows are those that
    /// others have changed since.
    #[serde(default)]
    pub(super) frozen_change: bool,
    /// SQLite: version of the schema when a rowid was taken as the key.
    #[serde(default)]
    pub(super) schema_version: Option<i64>,
    /// Run that began it; the value of `:run_id`.
    #[serde(default)]
    pub(super) run_id: String,
    /// About how many driving rows there were at the beginning.
    #[serde(default)]
    pub(super) rows_estimated: u64,
    /// With `source=`: table with the keys and digests of the rows as they were read.
    #[serde(default)]
    pub(super) read_table: Option<String>,
    /// The newest `batches.seq` when it began; rows after it are its own.
    #[serde(default)]
    pub(super) batches_after: i64,
    /// With `source=`: what the final pass has found so far.
    #[serde(default)]
    pub(super) pass: Option<Pass>,
    /// Into how many parts the key range was cut; 0 where it was not.
    #[serde(default)]
    pub(super) parts: usize,
}

/// What batches did, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) read: u64,
    pub(super) produced: u64,
    pub(super) staged: u64,
    pub(super) written: u64,
    pub(super) quarantined: u64,
    pub(super) skipped: u64,
    pub(super) missing: u64,
    /// With `source=`: the digest of the rows that were staged.
    pub(super) digest: Option<RowsDigest>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.read += other.read;
        self.produced += other.produced;
        self.staged += other.staged;
        self.written += other.written;
        self.quarantined += other.quarantined;
        self.skipped += other.skipped;
        self.missing += other.missing;
        if let Some(more) = other.digest {
            self.digest.get_or_insert_default().merge(more);
        }
    }
}

/// Which statement a cursor belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct CursorId<'a> {
    pub(super) migration: &'a str,
    pub(super) direction: &'static str,
    pub(super) statement: usize,
}

/// A row of `cursors`.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub(super) seq: i64,
    pub(super) hash: String,
    pub(super) done: bool,
    pub(super) driving: String,
    pub(super) key_columns: String,
    pub(super) last: Option<Key>,
    pub(super) upper: Option<Key>,
    pub(super) details: Details,
    pub(super) batches: u64,
    pub(super) total: Tally,
    pub(super) size: u64,
    pub(super) began_ms: i64,
    /// The part of the key range that it stands in; none where it is that of the statement.
    pub(super) part: Option<Part>,
}

const COLUMNS: &str = "seq, statement_hash, state, driving, key_columns, last_key, upper_key, \
                       details, batches, rows_read, rows_written, rows_quarantined, rows_skipped, \
                       rows_missing, batch_size, began_ms, rows_produced, rows_staged";

impl Cursor {
    /// Reads the cursor of a statement, if it has begun.
    pub(super) async fn read(
        ledger: &Ledger,
        session: &mut dyn Session,
        id: CursorId<'_>,
    ) -> Result<Option<Cursor>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE migration = {} AND direction = '{}' \
             AND statement_index = {} AND state <> 'undone' ORDER BY seq DESC LIMIT 1",
            ledger.table("cursors"),
            ledger.quote(id.migration),
            id.direction,
            id.statement
        );
        Ok(session.query(&sql).await?.first().map(of_row))
    }

    /// Reads a row by its number.
    pub(super) async fn of_seq(
        ledger: &Ledger,
        session: &mut dyn Session,
        seq: i64,
    ) -> Result<Option<Cursor>, DbError> {
        let table = ledger.table("cursors");
        let sql = format!("SELECT {COLUMNS} FROM {table} WHERE seq = {seq}");
        Ok(session.query(&sql).await?.first().map(of_row))
    }

    /// The statement that makes the row. `seq` is the database's.
    pub(super) fn insert_sql(&self, ledger: &Ledger, id: CursorId<'_>, token: i64) -> String {
        let now = now_ms(ledger.dialect);
        let details = serde_json::to_string(&self.details).unwrap_or_else(|_| "{}".to_owned());
        format!(
            "INSERT INTO {} (migration, direction, statement_index, statement_hash, state, driving, \
             key_columns, last_key, upper_key, details, batches, rows_read, rows_written, \
             rows_quarantined, rows_skipped, rows_missing, batch_size, began_ms, updated_ms, token, \
             rows_produced, rows_staged) \
             VALUES ({}, '{}', {}, {}, 'running', {}, {}, NULL, {}, {}, 0, 0, 0, 0, 0, 0, {}, {}, \
             {now}, {token}, 0, 0)",
            ledger.table("cursors"),
            ledger.quote(id.migration),
            id.direction,
            id.statement,
            ledger.quote(&self.hash),
            ledger.quote(&self.driving),
            ledger.quote(&self.key_columns),
            key_sql(ledger, self.upper.as_ref()),
            ledger.quote(&details),
            self.size,
            self.began_ms
        )
    }

    /// The statement that writes the details anew.
    pub(super) fn details_sql(&self, ledger: &Ledger) -> String {
        let details = serde_json::to_string(&self.details).unwrap_or_else(|_| "{}".to_owned());
        let (table, details) = (ledger.table("cursors"), ledger.quote(&details));
        format!("UPDATE {table} SET details = {details} WHERE seq = {}", self.seq)
    }

    /// Whether all driving rows are behind it.
    pub(super) fn is_at_end(&self) -> bool {
        self.upper.is_none() || self.last == self.upper
    }

    /// The statement that moves the row to where this cursor is now.
    pub(super) fn advance_sql(&self, ledger: &Ledger, token: i64) -> String {
        if let Some(part) = &self.part {
            return self.advance_part_sql(part, ledger, token);
        }
        format!(
            "UPDATE {} SET state = '{}', last_key = {}, batches = {}, rows_read = {}, \
             rows_written = {}, rows_quarantined = {}, rows_skipped = {}, rows_missing = {}, \
             batch_size = {}, updated_ms = {}, token = {token}, rows_produced = {}, \
             rows_staged = {} WHERE seq = {}",
            ledger.table("cursors"),
            if self.done { "done" } else { "running" },
            key_sql(ledger, self.last.as_ref()),
            self.batches,
            self.total.read,
            self.total.written,
            self.total.quarantined,
            self.total.skipped,
            self.total.missing,
            self.size,
            now_ms(ledger.dialect),
            self.total.produced,
            self.total.staged,
            self.seq
        )
    }
}

pub(super) fn key_sql(ledger: &Ledger, key: Option<&Key>) -> String {
    key.map_or_else(|| "NULL".to_owned(), |key| quote_text(&key.json(), ledger.dialect))
}

fn of_row(row: &Row) -> Cursor {
    let count = |index| u64::try_from(number(row, index)).unwrap_or(0);
    let key = |index: usize| row.get(index).and_then(Option::as_deref).and_then(Key::of_json);
    Cursor {
        seq: number(row, 0),
        hash: text(row, 1),
        done: text(row, 2) == "done",
        driving: text(row, 3),
        key_columns: text(row, 4),
        last: key(5),
        upper: key(6),
        details: serde_json::from_str(&text(row, 7)).unwrap_or_default(),
        batches: count(8),
        total: Tally {
            read: count(9),
            produced: count(16),
            staged: count(17),
            written: count(10),
            quarantined: count(11),
            skipped: count(12),
            missing: count(13),
            digest: None,
        },
        size: count(14),
        began_ms: number(row, 15),
        part: None,
    }
}

/// A row of `batches`.
pub(super) struct BatchRow<'a> {
    pub(super) run_id: &'a str,
    pub(super) id: CursorId<'a>,
    /// Its number among the batches of its statement, as SQL.
    pub(super) number: String,
    pub(super) after: Option<&'a Key>,
    pub(super) last: &'a Key,
    pub(super) tally: Tally,
    pub(super) duration_ms: u128,
    pub(super) token: i64,
}

impl BatchRow<'_> {
    pub(super) fn sql(&self, ledger: &Ledger) -> String {
        format!(
            "INSERT INTO {} (run_id, migration, direction, statement_index, number, first_after, \
             last_key, rows_read, rows_written, rows_quarantined, duration_ms, at_ms, token, \
             digest) VALUES ({}, {}, '{}', {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
            ledger.table("batches"),
            ledger.quote(self.run_id),
            ledger.quote(self.id.migration),
            self.id.direction,
            self.id.statement,
            self.number,
            key_sql(ledger, self.after),
            key_sql(ledger, Some(self.last)),
            self.tally.read,
            self.tally.written,
            self.tally.quarantined,
            self.duration_ms,
            now_ms(ledger.dialect),
            self.token,
            self.tally.digest.map_or_else(|| "NULL".to_owned(), |all| format!("'{all}'"))
        )
    }
}
