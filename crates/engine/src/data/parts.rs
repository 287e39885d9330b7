//! The parts of a statement's key range, as the ledger keeps them: several connections go through
//! one each, and the statement's own cursor adds up what they do.

use whimbrel_core::directive::BatchSize;
use whimbrel_core::pace::BATCH_ROWS_FIRST;

use super::cursor::{Cursor, Tally, key_sql};
use super::job::Job;
use super::key::Key;
use crate::backend::{DbError, Session};
use crate::error::EngineError;
use crate::ledger::{Ledger, now_ms, number, text};

/// A part of the key range, with a row of its own in `parts`.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The row.
    pub(super) seq: i64,
    /// What its last batch did; nothing where that found no rows any more.
    pub(super) batch: Option<Tally>,
}

impl Job {
    /// The last keys of the parts into which the range up to `upper` is cut, each with about as
    /// many rows. None where it stays whole: one connection does it, or it is hardly more than a
    /// batch. The key's index is gone along twice.
    ///
    /// # Errors
    /// What the database says.
    pub(super) async fn bounds(
        &self,
        session: &mut dyn Session,
        upper: Option<&Key>,
    ) -> Result<Vec<Key>, EngineError> {
        let mut bounds = Vec::new();
        let Some(upper) = upper.filter(|_| self.workers > 1) else { return Ok(bounds) };
        let rows = self.keys.count(session, None, upper).await?;
        let size = match self.settled.size {
            BatchSize::Auto => BATCH_ROWS_FIRST,
            BatchSize::Rows(size) => size,
        };
        let parts = rows.div_ceil(size.max(1)).min(self.workers as u64).max(1);
        for _ in 1..parts {
            let nth = rows.div_ceil(parts);
            let found = self.keys.nth(session, bounds.last(), upper, nth).await?;
            // Rows may have gone since they were counted.
            let Some(key) = found.filter(|key| key != upper) else { break };
            bounds.push(key);
        }
        if !bounds.is_empty() {
            bounds.push(upper.clone());
        }
        Ok(bounds)
    }
}

impl Cursor {
    /// The statement that makes the rows of the parts that end with these keys.
    pub(super) fn parts_sql(&self, ledger: &Ledger, bounds: &[Key], token: i64) -> String {
        let now = now_ms(ledger.dialect);
        let mut after = None;
        let mut rows = Vec::new();
        for (at, upper) in bounds.iter().enumerate() {
            let (first, upper_sql) = (key_sql(ledger, after), key_sql(ledger, Some(upper)));
            rows.push(format!(
                "({}, {}, 'running', {first}, {first}, {upper_sql}, 0, 0, {}, '', {now}, {token})",
                self.seq,
                at + 1,
                self.size
            ));
            after = Some(upper);
        }
        format!(
            "INSERT INTO {} (cursor_seq, part, state, first_after, last_key, upper_key, batches, \
             rows_read, batch_size, server_session, updated_ms, token) VALUES {}",
            ledger.table("parts"),
            rows.join(", ")
        )
    }

    /// The cursors of its parts that are not done, in key order.
    pub(super) async fn open_parts(
        &self,
        ledger: &Ledger,
        session: &mut dyn Session,
    ) -> Result<Vec<Cursor>, DbError> {
        if self.details.parts == 0 {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT seq, last_key, upper_key, batches, rows_read, batch_size FROM {} \
             WHERE cursor_seq = {} AND state = 'running' ORDER BY part",
            ledger.table("parts"),
            self.seq
        );
        let rows = session.query(&sql).await?;
        let count = |row, index| u64::try_from(number(row, index)).unwrap_or(0);
        let part = |row| Cursor {
            last: Key::of_json(&text(row, 1)),
            upper: Key::of_json(&text(row, 2)),
            batches: count(row, 3),
            total: Tally { read: count(row, 4), ..Tally::default() },
            size: count(row, 5),
            part: Some(Part { seq: number(row, 0), batch: None }),
            ..self.clone()
        };
        Ok(rows.iter().map(part).collect())
    }

    /// How the server knows the connections that have worked on its parts.
    pub(super) async fn part_sessions(
        &self,
        ledger: &Ledger,
        session: &mut dyn Session,
    ) -> Result<Vec<String>, DbError> {
        let sql = format!(
            "SELECT DISTINCT server_session FROM {} WHERE cursor_seq = {} \
             AND server_session <> ''",
            ledger.table("parts"),
            self.seq
        );
        Ok(session.query(&sql).await?.iter().map(|row| text(row, 0)).collect())
    }

    /// The statement that says which connection begins to work, in the row of this part.
    pub(super) fn session_sql(&self, ledger: &Ledger, name: &str, token: i64) -> String {
        let seq = self.part.as_ref().map_or(0, |part| part.seq);
        let (table, name) = (ledger.table("parts"), ledger.quote(name));
        format!("UPDATE {table} SET server_session = {name}, token = {token} WHERE seq = {seq}")
    }

    /// The cursor from which the next batch makes its own.
    pub(super) fn before_batch(&self) -> Cursor {
        let part = self.part.as_ref().map(|part| Part { batch: None, ..part.clone() });
        Cursor { part, ..self.clone() }
    }

    /// Takes note of a batch that ended at `last`.
    pub(super) fn add_batch(&mut self, tally: Tally, last: Key) {
        self.total.add(tally);
        self.last = Some(last);
        self.batches += 1;
        if let Some(part) = &mut self.part {
            part.batch = Some(tally);
        }
    }

    /// The number of the batch that was added last, among those of the statement. Where several
    /// connections work, the database knows it: the statement's row is locked until the COMMIT.
    pub(super) fn number(&self, ledger: &Ledger) -> String {
        match self.part {
            Some(_) => {
                let table = ledger.table("cursors");
                format!("(SELECT c.batches FROM {table} c WHERE c.seq = {})", self.seq)
            }
            None => self.batches.to_string(),
        }
    }

    /// Whether the statement is at its end with it.
    pub(super) fn ends(&self) -> bool {
        self.done && self.part.is_none()
    }

    /// The statements that move the row of a part, and add its batch to the statement's row.
    pub(super) fn advance_part_sql(&self, part: &Part, ledger: &Ledger, token: i64) -> String {
        let now = now_ms(ledger.dialect);
        let mut sql = format!(
            "UPDATE {} SET state = '{}', last_key = {}, batches = {}, rows_read = {}, \
             batch_size = {}, updated_ms = {now}, token = {token} WHERE seq = {}",
            ledger.table("parts"),
            if self.done { "done" } else { "running" },
            key_sql(ledger, self.last.as_ref()),
            self.batches,
            self.total.read,
            self.size,
            part.seq
        );
        if let Some(batch) = &part.batch {
            sql.push_str(&format!(
                "; UPDATE {} SET batches = batches + 1, rows_read = rows_read + {}, \
                 rows_written = rows_written + {}, rows_quarantined = rows_quarantined + {}, \
                 rows_skipped = rows_skipped + {}, rows_missing = rows_missing + {}, \
                 rows_produced = rows_produced + {}, rows_staged = rows_staged + {}, \
                 batch_size = {}, updated_ms = {now}, token = {token} WHERE seq = {}",
                ledger.table("cursors"),
                batch.read,
                batch.written,
                batch.quarantined,
                batch.skipped,
                batch.missing,
                batch.produced,
                batch.staged,
                self.size,
                self.seq
            ));
        }
        sql
    }
}
