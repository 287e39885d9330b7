//! Writing rows at the target: transactions with their cursor.

use std::time::Instant;

use whimbrel_core::checksum::text_checksum;
use whimbrel_core::rows::Chunk;
use whimbrel_core::sql::dialect::Dialect;

use super::super::cursor::{BatchRow, Cursor, CursorId, Details, Tally};
use super::super::key::Key;
use super::read::Reader;
use super::report::CopiedTable;
use super::{Copier, CopyPhase, Job};
use crate::backend::{DbError, Session};
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::{now_ms, number};

/// About how many bytes of rows a transaction holds.
const TRANSACTION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The same where nobody else can write meanwhile.
const TRANSACTION_SQLITE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Settings of a PostgreSQL session under which texts of values mean the same at both ends.
pub(crate) const POSTGRES_TEXTS: &str = "SET LOCAL datestyle = 'ISO, YMD'; \
    SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; \
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL lc_monetary = 'C'";

/// Where a transaction ends.
#[derive(Clone, Copy, Debug)]
struct Limit {
    rows: u64,
    bytes: usize,
}

impl Copier<'_> {
    /// Copies one table, transaction by transaction.
    pub(super) async fn table(&mut self, job: &Job) -> Result<CopiedTable, EngineError> {
        let Some(mut cursor) = self.cursor(job).await? else { return self.was_done(job).await };
        let bytes = match self.ledger.dialect {
            Dialect::Sqlite => TRANSACTION_SQLITE_BYTES_MAX,
            Dialect::Postgres | Dialect::Mysql => TRANSACTION_BYTES_MAX,
        };
        let limit = if job.keys.columns.is_empty() {
            Limit { rows: u64::MAX, bytes: usize::MAX }
        } else {
            Limit { rows: self.options.rows_max.unwrap_or(u64::MAX).max(1), bytes }
        };
        let (after, shared) = (cursor.last.clone(), self.shared);
        let mut reader = Reader::start(&mut *self.source, job, after.as_ref()).await?;
        while !cursor.done {
            if shared.is_stopped() {
                return Err(EngineError::Stopped);
            }
            failpoint::pass("batch.before_begin");
            self.target.batch(self.ledger.begin()).await?;
            let part =
                Part { target: &mut *self.target, copier: (self.ledger, self.lease), job, limit };
            match part.in_transaction(&mut reader, &cursor).await {
                Ok(next) => cursor = next,
                Err(error) => {
                    drop(reader);
                    crate::ledger::rollback(self.target).await;
                    return Err(error);
                }
            }
            failpoint::pass("batch.before_commit");
            commit(self.target).await?;
            failpoint::pass("batch.after_commit");
            self.committed += 1;
            let step = format!("copy of {}", job.name);
            self.lease.progress.set(cursor.total.read, job.rows, &step);
            self.events.send(progress(job, &cursor));
        }
        drop(reader);
        Ok(copied(job, &cursor, false))
    }

    /// Copies the tables of a circle of foreign keys in one transaction, at whose end they hold.
    pub(super) async fn together(
        &mut self,
        jobs: &[&Job],
    ) -> Result<Vec<CopiedTable>, EngineError> {
        let mut begun = Vec::new();
        let mut done = Vec::new();
        for job in jobs {
            match self.cursor(job).await? {
                Some(cursor) => begun.push((*job, cursor)),
                None => done.push(self.was_done(job).await?),
            }
        }
        if begun.is_empty() {
            return Ok(done);
        }
        failpoint::pass("batch.before_begin");
        self.target.batch(self.ledger.begin()).await?;
        let result = self.all_in_transaction(&begun).await;
        let cursors = match result {
            Ok(cursors) => cursors,
            Err(error) => {
                crate::ledger::rollback(self.target).await;
                return Err(error);
            }
        };
        failpoint::pass("batch.before_commit");
        commit(self.target).await?;
        failpoint::pass("batch.after_commit");
        self.committed += 1;
        for ((job, _), cursor) in begun.iter().zip(&cursors) {
            self.events.send(progress(job, cursor));
            done.push(copied(job, cursor, false));
        }
        Ok(done)
    }

    async fn all_in_transaction(
        &mut self,
        begun: &[(&Job, Cursor)],
    ) -> Result<Vec<Cursor>, EngineError> {
        self.target.batch("SET CONSTRAINTS ALL DEFERRED").await?;
        let mut cursors = Vec::new();
        for (job, cursor) in begun {
            let mut reader = Reader::start(&mut *self.source, job, cursor.last.as_ref()).await?;
            let part = Part {
                target: &mut *self.target,
                copier: (self.ledger, self.lease),
                job,
                limit: Limit { rows: u64::MAX, bytes: usize::MAX },
            };
            cursors.push(part.in_transaction(&mut reader, cursor).await?);
        }
        Ok(cursors)
    }

    /// Where the copy of a table stands: none when an earlier run has finished it.
    async fn cursor(&mut self, job: &Job) -> Result<Option<Cursor>, EngineError> {
        let name = cursor_name(job);
        let id = cursor_id(&name);
        let ledger = self.ledger;
        let hash = self.hash(job).await?;
        let there = format!("SELECT 1 FROM {} LIMIT 1", job.into.table);
        let empty = self.target.query(&there).await?.is_empty();
        let found = Cursor::read(&ledger, self.target, id).await?;
        match found {
            // Whoever empties the table wants it filled again.
            Some(cursor) if empty && cursor.total.written > 0 => {}
            Some(cursor) if cursor.hash == hash && cursor.done => return Ok(None),
            Some(cursor) if cursor.hash == hash => {
                self.events.send(progress(job, &cursor));
                return Ok(Some(cursor));
            }
            Some(_) if empty => {}
            Some(_) => {
                return Err(EngineError::Refused(format!(
                    "`{}` at the target was filled by a copy from another source, with other \
                     columns, or before the source's schema changed; empty it first",
                    job.pair.target
                )));
            }
            None if empty => {}
            None => {
                return Err(EngineError::Refused(format!(
                    "`{}` at the target has rows already; `copy` fills empty tables. Empty it \
                     first, or bring single rows over with a data migration",
                    job.pair.target
                )));
            }
        }
        self.begin_cursor(job, hash).await.map(Some)
    }

    async fn begin_cursor(&mut self, job: &Job, hash: String) -> Result<Cursor, EngineError> {
        let name = cursor_name(job);
        let id = cursor_id(&name);
        let ledger = self.ledger;
        let clock = self.target.query(&format!("SELECT {}", now_ms(ledger.dialect))).await?;
        let cursor = Cursor {
            seq: 0,
            hash,
            done: false,
            driving: job.name.clone(),
            key_columns: job.keys.json(),
            last: None,
            upper: None,
            details: Details {
                run_id: self.lease.run_id.clone(),
                rows_estimated: job.rows,
                ..Details::default()
            },
            batches: 0,
            total: Tally::default(),
            size: self.options.rows_max.unwrap_or(0),
            began_ms: clock.first().map_or(0, |row| number(row, 0)),
            part: None,
        };
        failpoint::pass("batch.before_cursor");
        self.target.batch(ledger.begin()).await?;
        let made = async {
            self.lease.fence(self.target).await?;
            self.target.batch(&cursor.insert_sql(&ledger, id, self.lease.token)).await?;
            self.target.batch("COMMIT").await?;
            Ok::<(), EngineError>(())
        }
        .await;
        if let Err(error) = made {
            crate::ledger::rollback(self.target).await;
            return Err(error);
        }
        failpoint::pass("batch.after_cursor");
        Cursor::read(&ledger, self.target, id)
            .await?
            .ok_or_else(|| EngineError::LedgerDamaged("a cursor is not there".to_owned()))
    }

    /// What must be the same when a copy goes on: source, columns, key; where the rowid is the key
    /// the schema, too, as VACUUM numbers rows anew.
    async fn hash(&mut self, job: &Job) -> Result<String, EngineError> {
        let columns = job.pair.columns.iter().map(|one| format!("{}>{}", one.source, one.target));
        let columns: Vec<String> = columns.collect();
        let version = match job.keys.columns.iter().any(|column| column.rowid) {
            true => self.source.query("PRAGMA schema_version").await?,
            false => Vec::new(),
        };
        let version = version.first().map_or(0, |row| number(row, 0));
        let (from, name, columns) = (&self.shared.from, &job.name, columns.join("\n"));
        let text = format!("{from}\n{name}\n{columns}\n{}\n{version}", job.keys.json());
        Ok(text_checksum(&text))
    }

    async fn was_done(&mut self, job: &Job) -> Result<CopiedTable, EngineError> {
        let name = cursor_name(job);
        let ledger = self.ledger;
        let cursor = Cursor::read(&ledger, self.target, cursor_id(&name)).await?;
        let cursor =
            cursor.ok_or_else(|| EngineError::LedgerDamaged("a cursor is not there".to_owned()))?;
        Ok(copied(job, &cursor, true))
    }
}

/// Ends a transaction; after an error none is open.
async fn commit(target: &mut dyn Session) -> Result<(), EngineError> {
    if let Err(error) = target.batch("COMMIT").await {
        crate::ledger::rollback(target).await;
        return Err(error.into());
    }
    Ok(())
}

/// The name under which a copy's cursor is kept.
fn cursor_name(job: &Job) -> String {
    format!("copy:{}", job.pair.target)
}

fn cursor_id(name: &str) -> CursorId<'_> {
    CursorId { migration: name, direction: "copy", statement: 0 }
}

fn copied(job: &Job, cursor: &Cursor, was_done: bool) -> CopiedTable {
    CopiedTable {
        table: job.name.clone(),
        rows_read: cursor.total.read,
        rows_written: cursor.total.written,
        batches: cursor.batches,
        was_done,
    }
}

fn progress(job: &Job, cursor: &Cursor) -> crate::event::Event {
    crate::event::Event::Copying(Box::new(super::CopyProgress {
        phase: CopyPhase::Copy,
        table: job.name.clone(),
        rows: cursor.total.read,
        written: cursor.total.written,
        rows_total: job.rows,
        done: cursor.done,
    }))
}

/// The rows of one transaction.
struct Part<'a> {
    target: &'a mut dyn Session,
    copier: (crate::ledger::Ledger, &'a crate::lease::Lease),
    job: &'a Job,
    limit: Limit,
}

impl Part<'_> {
    /// Locks the fence, writes rows and the cursor; the caller commits.
    async fn in_transaction(
        self,
        reader: &mut Reader<'_>,
        cursor: &Cursor,
    ) -> Result<Cursor, EngineError> {
        let (ledger, lease) = self.copier;
        let began = Instant::now();
        lease.fence(self.target).await?;
        if ledger.dialect == Dialect::Postgres {
            self.target.batch(POSTGRES_TEXTS).await?;
        }
        let refused = |error: DbError| EngineError::CopyRefusedRows {
            table: self.job.name.clone(),
            error: Box::new(error),
        };
        let (mut rows, mut bytes, mut ended) = (0, 0, false);
        let mut out = Chunk::default();
        let mut sink = self.target.load(&self.job.into).await.map_err(refused)?;
        while !ended && rows < self.limit.rows && bytes < self.limit.bytes {
            let (more, last) = reader.fill(&mut out, self.limit.rows - rows).await?;
            sink.write(&out).await.map_err(refused)?;
            rows += more;
            bytes = bytes.saturating_add(out.bytes());
            ended = last;
        }
        let written = sink.finish().await.map_err(refused)?;
        failpoint::pass("batch.after_statement");
        if written != rows {
            return Err(EngineError::Refused(format!(
                "{rows} rows of `{}` were sent and the target took {written}: a trigger or rule of \
                 it drops rows",
                self.job.name
            )));
        }
        let mut next = cursor.clone();
        let tally = Tally { read: rows, produced: rows, written, ..Tally::default() };
        next.total.add(tally);
        next.done = ended;
        next.batches += 1;
        next.last = reader.last.clone().filter(|_| !self.job.keys.columns.is_empty());
        let name = cursor_name(self.job);
        let mut sql = next.advance_sql(&ledger, lease.token);
        let none = Key::of_texts(Vec::new());
        let row = BatchRow {
            run_id: &lease.run_id,
            id: cursor_id(&name),
            number: next.batches.to_string(),
            after: cursor.last.as_ref(),
            last: next.last.as_ref().unwrap_or(&none),
            tally,
            duration_ms: began.elapsed().as_millis(),
            token: lease.token,
        };
        sql.push_str("; ");
        sql.push_str(&row.sql(&ledger));
        self.target.batch(&sql).await?;
        Ok(next)
    }
}
