//! One migration, step by step, from wherever an earlier run left it.

use std::time::Instant;

use whimbrel_core::ledger::{Direction, Partial};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::step::{Step, StepMode};

use super::{Applier, Done};
use crate::error::{EngineError, Problem};
use crate::event::Event;
use crate::failpoint;
use crate::verify;

impl Applier<'_> {
    /// Runs what is left of a migration and records that it is done.
    pub(super) async fn migration(
        &mut self,
        migration: &PlannedMigration,
        direction: Direction,
        partial: Option<&Partial>,
        began: Instant,
    ) -> Result<Done, EngineError> {
        if let (Some(on_conflict), Direction::Down) = (migration.undo, direction) {
            self.undo_migration(migration, on_conflict).await?;
            return self.finish(migration, direction, began).await;
        }
        self.elsewhere = None;
        let script = &migration.script;
        let known = match partial {
            Some(partial) => {
                check_unchanged(migration, partial)?;
                self.recover(migration, direction, partial).await?
            }
            None => {
                self.check_statements(migration, direction).await?;
                Vec::new()
            }
        };
        let mut done = None;
        for (number, step) in script.steps.iter().enumerate() {
            if known.contains(&step.statements.start) {
                self.replay_settings(migration, step).await?;
                continue;
            }
            self.say_step(migration, number, step);
            let last = script.steps.iter().skip(number + 1).all(is_session_only);
            let work = step_work(migration, direction, step, last, began, known.len() + number);
            match step.mode {
                StepMode::Session => self.session_step(&work).await?,
                StepMode::Transaction => done = self.transaction(&work).await?.or(done),
                StepMode::OwnTransaction => done = self.own_transaction(&work).await?.or(done),
                StepMode::OwnRollback => self.own_rollback(&work).await?,
                StepMode::Bare => self.bare(&work).await?,
                StepMode::Batches => done = self.batches(&work).await?.or(done),
            }
        }
        let done = match done {
            Some(done) => done,
            None => self.finish(migration, direction, began).await?,
        };
        if script.changes_session() {
            self.session.reset().await?;
        }
        Ok(done)
    }

    /// Every statement of a data migration is looked at before the first of them runs.
    async fn check_statements(
        &mut self,
        migration: &PlannedMigration,
        direction: Direction,
    ) -> Result<(), EngineError> {
        let steps = &migration.script.steps;
        if steps.len() < 2 {
            // It is looked at when it runs, which is at once.
            return Ok(());
        }
        let mut problems = Vec::new();
        for step in steps.iter().filter(|step| step.mode == StepMode::Batches) {
            let work = step_work(migration, direction, step, false, Instant::now(), 0);
            // Any other error is the statement's own, and is told when it runs.
            if let Err(EngineError::Files(found)) = self.prepare(&work).await {
                problems.extend(found);
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(EngineError::Files(problems)) }
    }

    /// Records a migration whose last step could not carry the row itself.
    async fn finish(
        &mut self,
        migration: &PlannedMigration,
        direction: Direction,
        began: Instant,
    ) -> Result<Done, EngineError> {
        let facts = match direction {
            Direction::Up if migration.verify => {
                verify::after(self.session.as_mut(), self.ledger.dialect, migration).await?
            }
            _ => Vec::new(),
        };
        let rows = self.finishing_sql(migration, direction, began);
        self.restore_in_own_transaction(migration, direction, began).await?;
        self.write_rows(&rows).await?;
        Ok(Done { duration_ms: began.elapsed().as_millis(), facts })
    }

    /// Brings back what was kept, for a migration whose last step could not do it.
    async fn restore_in_own_transaction(
        &mut self,
        migration: &PlannedMigration,
        direction: Direction,
        began: Instant,
    ) -> Result<(), EngineError> {
        let Some(step) = migration.script.steps.last() else { return Ok(()) };
        if direction == Direction::Up || migration.undo.is_some() {
            return Ok(());
        }
        let work = step_work(migration, direction, step, true, began, 0);
        self.session.batch(self.ledger.begin()).await?;
        let restored = async {
            self.lease.fence(self.session.as_mut()).await?;
            self.restore(&work).await?;
            Ok::<(), EngineError>(self.session.batch("COMMIT").await?)
        }
        .await;
        if restored.is_err() {
            crate::ledger::rollback(self.session.as_mut()).await;
        }
        restored
    }

    /// Writes rows of the ledger in a transaction of their own.
    pub(crate) async fn write_rows(&mut self, rows: &[String]) -> Result<(), EngineError> {
        self.session.batch(self.ledger.begin()).await?;
        let written = self.write_rows_in_transaction(rows).await;
        if written.is_err() {
            crate::ledger::rollback(self.session.as_mut()).await;
        }
        written
    }

    async fn write_rows_in_transaction(&mut self, rows: &[String]) -> Result<(), EngineError> {
        self.lease.fence(self.session.as_mut()).await?;
        failpoint::pass("ledger.before_write");
        for row in rows {
            self.session.batch(row).await?;
        }
        self.session.batch("COMMIT").await?;
        failpoint::pass("ledger.after_write");
        Ok(())
    }

    /// A later process starts with fresh settings: those of steps that are done already are made
    /// again.
    async fn replay_settings(
        &mut self,
        migration: &PlannedMigration,
        step: &Step,
    ) -> Result<(), EngineError> {
        for index in step.statements.clone() {
            let settings = migration.script.infos.get(index).is_some_and(|info| info.settings);
            if !settings {
                continue;
            }
            let away = self.go_there(migration, index).await?;
            let outcome = self.session.run(migration.script.statement(index), None).await;
            if let Err(error) = outcome {
                return Err(self.failure(migration, index, error, 0));
            }
            if away {
                self.come_back().await?;
            }
        }
        Ok(())
    }

    fn say_step(&mut self, migration: &PlannedMigration, number: usize, step: &Step) {
        let what = migration
            .script
            .infos
            .get(step.statements.start)
            .map_or_else(String::new, |info| info.verb.clone());
        let (done, total) = self.position;
        let steps = migration.script.steps.len();
        let text = format!("{} step {} of {steps}", migration.name, number + 1);
        self.lease.progress.set(done as u64, total as u64, &text);
        self.events.send(Event::StepStarted {
            migration: migration.name.clone(),
            step: number + 1,
            steps,
            what,
        });
    }
}

/// All that the doing of one step needs to know.
pub(crate) struct StepWork<'a> {
    pub(crate) migration: &'a PlannedMigration,
    pub(crate) direction: Direction,
    pub(crate) step: &'a Step,
    /// Whether the migration is done with this step.
    pub(crate) last: bool,
    /// When the migration began.
    pub(crate) began: Instant,
    /// How many steps before this one stay if it fails.
    pub(crate) kept: usize,
}

impl<'a> StepWork<'a> {
    /// The work on the step of a data migration that holds statement `index`.
    pub(crate) fn of_statement(migration: &'a PlannedMigration, index: usize) -> Option<Self> {
        let step = migration.script.steps.iter().find(|step| step.statements.contains(&index))?;
        Some(step_work(migration, Direction::Up, step, false, Instant::now(), 0))
    }
}

fn step_work<'a>(
    migration: &'a PlannedMigration,
    direction: Direction,
    step: &'a Step,
    last: bool,
    began: Instant,
    kept: usize,
) -> StepWork<'a> {
    StepWork { migration, direction, step, last, began, kept }
}

fn is_session_only(step: &Step) -> bool {
    step.mode == StepMode::Session
}

/// The steps that an earlier run has done must still be the file's steps.
fn check_unchanged(migration: &PlannedMigration, partial: &Partial) -> Result<(), EngineError> {
    for row in partial.steps.iter().filter(|row| partial.is_done(row.statement_index)) {
        let same = migration.script.steps.iter().any(|step| {
            step.statements.start == row.statement_index && step.hash == row.statement_hash
        });
        if !same {
            return Err(EngineError::Files(vec![Problem {
                path: migration.path.clone(),
                place: None,
                message: format!(
                    "`{}` was changed in statement {}, which an earlier run has already carried out",
                    migration.name,
                    row.statement_index + 1
                ),
                hint: Some(
                    "Put the statements that were done back as they were; those after them may \
                     be changed"
                        .to_owned(),
                ),
            }]));
        }
    }
    Ok(())
}
