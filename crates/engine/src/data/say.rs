//! Telling what batches do, and sending what the author wrote.

use super::cursor::Cursor;
use super::job::Job;
use super::key::shown_table;
use crate::apply::{Applier, StepWork};
use crate::error::EngineError;
use crate::event::{BatchProgress, Event};

impl Job {
    /// The statement that forgets the temporary tables.
    pub(super) fn drop_temporary_sql(&self) -> String {
        self.temporary_sql().into_iter().next().unwrap_or_else(|| "SELECT 1".to_owned())
    }
}

impl Applier<'_> {
    /// Sends the author's statement as it was rewritten for one batch.
    pub(super) async fn author(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        sql: &str,
    ) -> Result<u64, EngineError> {
        self.send_rewritten(work, job.statement, sql).await
    }

    /// Sends a query of the author's whose rows we keep.
    pub(super) async fn author_reads(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        sql: &str,
    ) -> Result<u64, EngineError> {
        let sent = self.send_rewritten(work, job.statement, sql).await;
        sent.map_err(|mut error| {
            if let EngineError::Statement(failure) = &mut error {
                failure.error.message = with_names(&failure.error.message, &job.batchable.written);
            }
            error
        })
    }

    pub(super) fn say_whole(&mut self, work: &StepWork<'_>, reason: String) {
        let index = work.step.statements.start;
        let line = work.migration.script.statements.get(index).map_or(1, |one| one.line);
        self.events.send(Event::RunsWhole {
            migration: work.migration.name.clone(),
            line: line + work.migration.lines_before,
            reason,
        });
    }

    /// Says how far a statement is: before its first batch of this process, or after one.
    pub(super) fn say_progress(&mut self, work: &StepWork<'_>, cursor: &Cursor, begins: bool) {
        let name = &work.migration.name;
        let (done, total) = self.position;
        let estimated = cursor.details.rows_estimated.max(cursor.total.read);
        let text = format!("{name} row {} of about {estimated}", cursor.total.read);
        self.lease.progress.set(done as u64, total as u64, &text);
        self.events.send(Event::Batch(Box::new(BatchProgress {
            migration: name.clone(),
            statement: work.step.statements.start + 1,
            table: shown_table(&cursor.driving, self.ledger.dialect),
            begins,
            done: cursor.done,
            batches: cursor.batches,
            rows_read: cursor.total.read,
            rows_written: cursor.total.written,
            rows_quarantined: cursor.total.quarantined,
            rows_missing: cursor.total.missing,
            rows_estimated: estimated,
            batch_size: cursor.size,
        })));
    }
}

/// The database's words with the target's columns for those of our own table.
fn with_names(words: &str, columns: &[String]) -> String {
    let mut out = words.to_owned();
    for (at, name) in columns.iter().enumerate().rev() {
        out = out.replace(&super::insert::column_name(at), name);
    }
    out
}
