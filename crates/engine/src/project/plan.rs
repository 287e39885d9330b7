//! `plan`: what `up` would do, without doing it.

use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::step::StepMode;

use super::{Project, Selection};
use crate::error::EngineError;

/// One statement of the plan.
#[derive(Clone, Debug)]
pub struct PlannedStatement {
    /// Line in the file, from 1.
    pub line: u32,
    /// The step it belongs to, from 1; `None` when it is not sent.
    pub step: Option<usize>,
    /// Its text.
    pub text: String,
    /// What it changes, in words.
    pub changes: Vec<String>,
    /// How it is committed, or why it is not sent.
    pub note: Option<String>,
}

/// One migration of the plan.
#[derive(Clone, Debug)]
pub struct PlannedLine {
    /// File name.
    pub name: String,
    /// Path relative to the project.
    pub path: String,
    /// How many steps it has.
    pub steps: usize,
    /// Steps that an earlier run has done.
    pub steps_done: usize,
    /// All of it is one transaction: it happens as a whole or not at all.
    pub atomic: bool,
    /// Its statements.
    pub statements: Vec<PlannedStatement>,
    /// What should be known before.
    pub notes: Vec<String>,
}

/// What `up` would do.
#[derive(Clone, Debug, Default)]
pub struct PlanReport {
    /// The database's address without secrets.
    pub database: String,
    /// The migrations, in order.
    pub migrations: Vec<PlannedLine>,
    /// Migrations of the other tool that would be taken over, and ours that it would be told.
    pub notes: Vec<String>,
}

impl Project {
    /// Says what `up` would do. The database is only read.
    pub async fn plan(&self, selection: &Selection) -> Result<PlanReport, EngineError> {
        let mut session = self.connect_to_read().await?;
        let picture = self.picture(session.as_mut()).await?;
        Self::check_files(&picture.files)?;
        self.check_environment(&picture)?;
        let chosen = self.choose(&picture, selection)?;
        self.check_parents(&chosen, &picture, session.as_mut()).await?;
        if let Some(session) = &mut session {
            self.check_pooled(&chosen, session.as_mut()).await?;
        }
        let mut notes = Vec::new();
        if picture.identity.is_none() {
            notes.push("The ledger's tables are made first".to_owned());
        }
        let migrations = chosen
            .iter()
            .map(|planned| {
                let direction = whimbrel_core::ledger::Direction::Up;
                let partial = picture.ledger.partial(&planned.name, direction);
                line(planned, partial.map_or(0, |partial| partial.done_count()))
            })
            .collect();
        Ok(PlanReport { database: self.backend.label(), migrations, notes })
    }
}

fn line(planned: &PlannedMigration, steps_done: usize) -> PlannedLine {
    let script = &planned.script;
    let statements = script
        .statements
        .iter()
        .enumerate()
        .map(|(index, statement)| {
            let step = script.steps.iter().position(|step| step.statements.contains(&index));
            let mode = step.and_then(|step| script.steps.get(step)).map(|step| step.mode);
            let skipped = script.skipped.iter().find(|(skipped, _)| *skipped == index);
            PlannedStatement {
                line: statement.line + planned.lines_before,
                step: step.map(|step| step + 1),
                text: script.statement(index).to_owned(),
                changes: planned.changes.get(index).map_or_else(Vec::new, |changes| {
                    changes.iter().map(ToString::to_string).collect()
                }),
                note: match (skipped, mode) {
                    (Some((_, reason)), _) => Some(format!("not sent: {reason}")),
                    (None, Some(mode)) => mode_note(mode).map(str::to_owned),
                    (None, None) => None,
                },
            }
        })
        .collect();
    let atomic = script.is_one_transaction();
    let mut notes = Vec::new();
    if script.statements.is_empty() {
        notes.push("There is no statement in it; it is only recorded".to_owned());
    }
    if !atomic {
        let steps = script.steps.len();
        notes.push(format!(
            "It runs as {steps} steps: after an interruption it goes on with the next one, but \
             what is done stays"
        ));
    }
    if planned.down_text.is_none() {
        notes.push("It has no way back (no down text)".to_owned());
    }
    PlannedLine {
        name: planned.name.clone(),
        path: planned.path.clone(),
        steps: script.steps.len(),
        steps_done,
        atomic,
        statements,
        notes,
    }
}

fn mode_note(mode: StepMode) -> Option<&'static str> {
    match mode {
        StepMode::Transaction => None,
        StepMode::OwnTransaction => Some("in the file's own transaction"),
        StepMode::OwnRollback => Some("in a transaction that the file rolls back"),
        StepMode::Bare => Some("outside of a transaction"),
        StepMode::Session => Some("only changes the session"),
    }
}
