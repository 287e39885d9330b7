//! A data migration tried out: its statements run on real rows, and all of it is rolled back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use whimbrel_core::data::DataKind;
use whimbrel_core::directive::{BatchSize, OnError};
use whimbrel_core::pace::{BATCH_ROWS_FIRST, Windows};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::step::StepMode;

use super::cursor::{Cursor, Details, Tally};
use super::insert::{STAGE, column_name, is_about_rows};
use super::job::{Job, Prepared};
use super::key::{ALIAS, Key, Keys, Range, Rows};
use super::sources;
use super::start::cursor_id;
use crate::apply::{Applier, StepWork};
use crate::backend::Row;
use crate::error::EngineError;
use crate::event::Event;
use crate::ledger::rollback;
use crate::report::{Rehearsed, RehearsedRow, RehearsedValue};

/// How a migration is tried.
#[derive(Clone, Copy)]
struct Trial {
    /// So many driving rows of each statement; all where nothing is said.
    sample: Option<u64>,
    /// All of it in one transaction.
    together: bool,
}

/// Whether rows that one of the statements writes may refer to rows that it or one before inserts.
fn refer_to_each_other(steps: &[(StepWork<'_>, Prepared)], dialect: Dialect) -> bool {
    let jobs = steps.iter().filter_map(|(_, prepared)| match prepared {
        Prepared::Batches(job) => Some(job.as_ref()),
        _ => None,
    });
    let jobs: Vec<&Job> = jobs.collect();
    jobs.iter().enumerate().any(|(at, job)| {
        let mut before = jobs.iter().take(at + 1);
        before.any(|one| {
            let mut keys = job.target.foreign_keys.iter();
            one.batchable.kind == DataKind::Insert
                && keys.any(|key| key.to_table.matches(&one.batchable.target, dialect))
        })
    })
}

impl Applier<'_> {
    /// Tries the statements of a data migration: the first `sample` driving rows of each, all in
    /// one transaction, or all rows, each batch by itself. Where a row may refer to one that
    /// another batch inserts, all of them are in one transaction, as it would be refused without
    /// that row. Everything is rolled back.
    ///
    /// # Errors
    /// What keeps it from being tried at all; what the statements run into is part of the answer.
    pub(crate) async fn rehearse(
        &mut self,
        migration: &PlannedMigration,
        sample: Option<u64>,
    ) -> Result<Vec<Rehearsed>, EngineError> {
        let mut steps = Vec::new();
        for step in &migration.script.steps {
            let index = step.statements.start;
            let sends = matches!(step.mode, StepMode::Batches | StepMode::Transaction);
            let Some(work) = StepWork::of_statement(migration, index).filter(|_| sends) else {
                continue;
            };
            let prepared = match step.mode {
                StepMode::Batches => match self.prepare_for(&work, true).await {
                    Err(EngineError::Files(problems)) if problems.len() == 1 => problems
                        .into_iter()
                        .next()
                        .map_or_else(|| Prepared::Whole(String::new(), None), Prepared::Refused),
                    other => other?.for_rehearsal(),
                },
                _ => Prepared::Whole(String::new(), None),
            };
            steps.push((work, prepared));
        }
        let mut out = Vec::new();
        let together = sample.is_some() || refer_to_each_other(&steps, self.ledger.dialect);
        let trial = Trial { sample, together };
        let result = self.rehearse_steps(&steps, trial, &mut out).await;
        rollback(self.session.as_mut()).await;
        result.map(|()| out)
    }

    async fn rehearse_steps(
        &mut self,
        steps: &[(StepWork<'_>, Prepared)],
        trial: Trial,
        out: &mut Vec<Rehearsed>,
    ) -> Result<(), EngineError> {
        if let (true, Some((work, _))) = (trial.together, steps.first()) {
            self.begin_batch(work).await?;
        }
        for (work, prepared) in steps {
            let index = work.step.statements.start;
            let line = work.migration.script.statements.get(index).map_or(1, |one| one.line);
            let mut one = Rehearsed {
                statement: index + 1,
                line: line + work.migration.lines_before,
                ..Rehearsed::default()
            };
            let tried = self.rehearse_step(work, prepared, trial, &mut one).await;
            if !trial.together {
                rollback(self.session.as_mut()).await;
            }
            let failed = match tried {
                Err(error) if error.database().is_some() => {
                    one.error = error.database().map(ToString::to_string);
                    true
                }
                other => {
                    other?;
                    false
                }
            };
            out.push(one);
            // What comes after it in the same transaction would say nothing.
            if failed && trial.together {
                break;
            }
        }
        Ok(())
    }

    async fn rehearse_step(
        &mut self,
        work: &StepWork<'_>,
        prepared: &Prepared,
        trial: Trial,
        out: &mut Rehearsed,
    ) -> Result<(), EngineError> {
        let index = work.step.statements.start;
        let text = match prepared {
            Prepared::Refused(problem) => {
                out.refused = Some((problem.message.clone(), problem.hint.clone()));
                return Ok(());
            }
            Prepared::Batches(job) => return self.rehearse_job(work, job, trial, out).await,
            Prepared::Until(until) => until.text.clone(),
            Prepared::Whole(..) => {
                let moment = self.moment(&work.migration.name).await?;
                moment.fill(work.migration.script.statement(index), self.ledger.dialect)
            }
        };
        out.whole = true;
        if !trial.together {
            self.begin_batch(work).await?;
        }
        out.rows_written = self.send_rewritten(work, index, &text).await?;
        Ok(())
    }

    async fn rehearse_job(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        Trial { sample, together }: Trial,
        out: &mut Rehearsed,
    ) -> Result<(), EngineError> {
        self.rehearse_work(work, job, sample).await?;
        let mut open: VecDeque<Cursor> = self.rehearsal_cursors(work, job).await?.into();
        let Some(mut cursor) = open.pop_front() else { return Ok(()) };
        out.table = job.keys.shown_table();
        out.kind = job.batchable.kind.word();
        let (mut windows, mut pause_ms) = (Windows::default(), 0);
        if together {
            self.open_temporary(job).await?;
        }
        while !cursor.done {
            if together {
                // Somebody may have asked for the end.
                self.wait(Duration::ZERO).await?;
            } else {
                // Others get at their rows as they do between batches that stay.
                self.gate(&work.migration.name, pause_ms).await?;
                self.begin_batch(work).await?;
                self.open_temporary(job).await?;
            }
            let began = Instant::now();
            let size = sample.unwrap_or(cursor.size);
            let driving = sources::driving(self.session, &mut self.opened, job);
            let range = job.keys.next(driving, &cursor, size).await?;
            let Some(range) = range else { break };
            let shown = sample.is_some();
            let before = if shown { self.rows_before(job, &range).await? } else { Vec::new() };
            let tally = self.rehearse_range(work, job, &cursor, &range).await?;
            if shown {
                out.rows = self.rows_changed(job, &range, before).await?;
            } else if !together {
                rollback(self.session.as_mut()).await;
            }
            cursor.total.add(Tally { read: range.2, ..tally });
            cursor.done = shown || Some(&range.1) == cursor.upper.as_ref();
            cursor.last = Some(range.1);
            if cursor.done
                && !shown
                && let Some(next) = open.pop_front()
            {
                cursor = Cursor { total: cursor.total, ..next };
            }
            pause_ms = self.pause_after(&mut windows, began.elapsed(), job.settled.pause_ms);
            self.events.send(Event::Judging {
                what: work.migration.name.clone(),
                rows: cursor.total.read,
            });
        }
        out.rows_read = cursor.total.read;
        out.rows_written = cursor.total.written;
        out.rows_bad = cursor.total.quarantined;
        Ok(())
    }

    /// Where an earlier run has left the statement, or its parts, or its beginning. Nothing is
    /// written.
    async fn rehearsal_cursors(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
    ) -> Result<Vec<Cursor>, EngineError> {
        let ledger = self.ledger;
        let size = match job.settled.size {
            BatchSize::Auto => BATCH_ROWS_FIRST,
            BatchSize::Rows(rows) => rows,
        };
        let driving = sources::driving(self.session, &mut self.opened, job);
        let upper = job.keys.greatest(driving).await?;
        let found = Cursor::read(&ledger, self.session.as_mut(), cursor_id(work)).await?;
        let begun = found.as_ref();
        let parts = match begun {
            Some(begun) => begun.open_parts(&ledger, self.session.as_mut()).await?,
            None => Vec::new(),
        };
        let whole = Cursor {
            seq: 0,
            hash: String::new(),
            done: begun.is_some_and(|cursor| cursor.done),
            driving: job.keys.table.clone(),
            key_columns: String::new(),
            last: begun.and_then(|cursor| cursor.last.clone()),
            upper: begun.map_or(upper, |cursor| cursor.upper.clone()),
            details: Details::default(),
            batches: 0,
            total: Tally::default(),
            size,
            began_ms: 0,
            part: None,
        };
        if begun.is_none_or(|begun| begun.details.parts == 0) {
            return Ok(vec![whole]);
        }
        let of = |part: Cursor| Cursor { last: part.last, upper: part.upper, ..whole.clone() };
        Ok(parts.into_iter().map(of).collect())
    }

    /// One range in the open transaction; rows at fault are found and left out.
    async fn rehearse_range(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
        range: &Range,
    ) -> Result<Tally, EngineError> {
        let (after, last, _) = range;
        self.session.batch("SAVEPOINT whimbrel_try").await?;
        let error = match self.range(work, job, cursor, Rows::Range(after.as_ref(), last)).await {
            Ok(tally) => {
                self.session.batch("RELEASE SAVEPOINT whimbrel_try").await?;
                return Ok(tally);
            }
            Err(error) => error,
        };
        if !error.database().is_some_and(|error| is_about_rows(error, self.ledger.dialect)) {
            return Err(error);
        }
        self.session
            .batch("ROLLBACK TO SAVEPOINT whimbrel_try; RELEASE SAVEPOINT whimbrel_try")
            .await?;
        self.divide(work, job, cursor, range.clone()).await
    }

    /// The values of the rows that an UPDATE or DELETE may change, before it does.
    async fn rows_before(&mut self, job: &Job, range: &Range) -> Result<Vec<Row>, EngineError> {
        if !job.shows_target() {
            return Ok(Vec::new());
        }
        let sql = job.shown_rows_sql(range)?;
        Ok(self.session.query(&sql).await?)
    }

    /// What became of them, or what was inserted.
    async fn rows_changed(
        &mut self,
        job: &Job,
        range: &Range,
        before: Vec<Row>,
    ) -> Result<Vec<RehearsedRow>, EngineError> {
        let keys = job.keys.columns.len();
        if job.batchable.kind == DataKind::Insert {
            if !job.is_staged() {
                return Ok(Vec::new());
            }
            let rows = self.session.query(&job.staged_rows_sql()).await?;
            return Ok(rows.iter().map(|row| shown(job, keys, None, Some(row))).collect());
        }
        if before.is_empty() {
            return Ok(Vec::new());
        }
        let sql = job.shown_rows_sql(range)?;
        let after = self.session.query(&sql).await?;
        let same = |one: &Row, other: &Row| one.get(..keys) == other.get(..keys);
        Ok(before
            .iter()
            .filter_map(|old| {
                let new = after.iter().find(|new| same(old, new));
                (new != Some(old)).then(|| shown(job, keys, Some(old), new))
            })
            .collect())
    }
}

/// One row with the columns that differ.
fn shown(job: &Job, keys: usize, old: Option<&Row>, new: Option<&Row>) -> RehearsedRow {
    let names = match job.batchable.kind {
        DataKind::Insert => job.batchable.written.clone(),
        DataKind::Update | DataKind::Delete => job.image_columns(),
    };
    let cell = |row: Option<&Row>, at: usize| row.and_then(|row| row.get(at).cloned().flatten());
    let any = old.or(new);
    let key: Vec<String> = (0..keys).filter_map(|at| cell(any, at)).collect();
    let values = names
        .iter()
        .enumerate()
        .map(|(at, name)| RehearsedValue {
            column: name.clone(),
            before: cell(old, keys + at),
            after: cell(new, keys + at),
        })
        .filter(|value| old.is_none() || new.is_none() || value.before != value.after)
        .collect();
    RehearsedRow { key: job.keys.shown(&Key::of_texts(key)), values }
}

impl Prepared {
    /// The same in which rows at fault are left out, however many they are.
    fn for_rehearsal(mut self) -> Prepared {
        if let Prepared::Batches(job) = &mut self {
            job.settled.on_error = OnError::Quarantine;
            job.settled.errors_max = Some(u64::MAX);
        }
        self
    }
}

impl Job {
    /// Whether the rows that change are those that the key is of.
    fn shows_target(&self) -> bool {
        self.batchable.kind != DataKind::Insert && self.batchable.driving_is_target
    }

    fn shown_rows_sql(&self, (after, last, _): &Range) -> Result<String, EngineError> {
        let columns = self.keys.of(ALIAS);
        let items: Vec<String> = self
            .quoted(&self.image_columns())
            .iter()
            .map(|name| format!("{ALIAS}.{name}"))
            .collect();
        let walked = self.keys.walked.as_ref().map(|walked| {
            let same = Keys::same(&self.keys.of("whimbrel_w"), &columns);
            format!(" AND EXISTS (SELECT 1 FROM {walked} whimbrel_w WHERE {same})")
        });
        Ok(format!(
            "SELECT {}, {} FROM {} {ALIAS} WHERE {}{} ORDER BY {}",
            self.keys.texts_of(ALIAS).join(", "),
            items.join(", "),
            self.keys.table,
            self.keys.range(&columns, after.as_ref(), last)?,
            walked.unwrap_or_default(),
            columns.join(", ")
        ))
    }

    fn staged_rows_sql(&self) -> String {
        let columns: Vec<String> = (0..self.batchable.written.len()).map(column_name).collect();
        format!(
            "SELECT {}, {} FROM {} ORDER BY {}",
            self.keys.names().join(", "),
            columns.join(", "),
            self.temporary(STAGE),
            self.keys.names().join(", ")
        )
    }
}
