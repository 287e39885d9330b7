//! `rollback`: take back what a run of `up` did. `undo`, `down` and `verify` are the parts.

mod choose;
mod look;
#[cfg(feature = "sqlite")]
mod own;

use std::collections::BTreeSet;

use serde_json::json;
use whimbrel_core::plan::OnConflict;

use self::look::Looked;
use super::load::Picture;
use super::undo::UndoStatement;
use super::up::Run;
use super::{Project, RunOptions};
use crate::apply::ASK_LOOK_MS;
use crate::error::{EngineError, UndoConflict};
use crate::event::{Event, Events};
use crate::report::{FactLine, RunReport};

/// How a run is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackHow {
    /// Its data migrations are undone, the schema stays.
    Partial,
    /// Its migrations are taken back one at a time, newest first.
    Staged,
}

impl RollbackHow {
    /// The word, as it is written.
    pub fn word(self) -> &'static str {
        match self {
            RollbackHow::Partial => "partial",
            RollbackHow::Staged => "staged",
        }
    }
}

/// What is to be rolled back, and how.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// Id of a run, the beginning of one, or `last`.
    pub run: String,
    /// How.
    pub how: RollbackHow,
    /// Only migrations that touch this table, and what depends on them.
    pub table: Option<String>,
    /// What happens to values that somebody changed since.
    pub on_conflict: OnConflict,
    /// At most so many stages.
    pub steps: Option<usize>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What is taken back at once, shown before it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackStage {
    /// The run that is rolled back.
    pub run_id: String,
    /// How: `partial`, `staged`.
    pub how: &'static str,
    /// Position of the stage, from 1.
    pub stage: usize,
    /// How many stages are left, this one included, when the rollback began.
    pub stages: usize,
    /// The migrations, in the order in which they are taken back.
    pub steps: Vec<RollbackStep>,
    /// How many rows would be lost; nothing where that cannot be told.
    pub lost: Option<u64>,
    /// What must be typed, if something would be lost.
    pub phrase: Option<String>,
    /// It is only shown.
    pub dry_run: bool,
}

/// One migration of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackStep {
    /// File name.
    pub migration: String,
    /// Whether its values are undone; else its own way back runs.
    pub is_undo: bool,
    /// What its statements have kept, in the order in which it is taken back.
    pub statements: Vec<UndoStatement>,
    /// How many rows were changed since by somebody else.
    pub conflicts: u64,
    /// Some of them.
    pub shown: Vec<UndoConflict>,
    /// What goes for good: in words, with the number of rows where it can be told.
    pub losses: Vec<(String, Option<u64>)>,
    /// What the migration had removed and does not come back, because it was purged.
    pub purged: Vec<String>,
}

/// An answer to whether a stage may be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may, and the phrase was given where there is one.
    Yes,
    /// It may not.
    No,
    /// Nobody is there who could say so.
    Missing,
}

/// What came of a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackReport {
    /// The run that was rolled back.
    pub rolled_back: String,
    /// What this run did.
    pub run: RunReport,
    /// Migrations that are left to be taken back, in their order.
    pub left: Vec<String>,
    /// Whether somebody said no to the next one.
    pub declined: bool,
    /// How many rows were changed since, in the stages that were looked at.
    pub conflicts: u64,
}

/// A rollback in progress.
struct Rolling<'a> {
    project: &'a Project,
    run: &'a mut Run,
    asked: &'a Rollback,
    run_id: &'a str,
    options: &'a RunOptions,
    events: &'a mut dyn Events,
    report: RollbackReport,
}

impl Project {
    /// Takes back what a run did, as far as it is still there. The same call goes on where an
    /// earlier one ended.
    ///
    /// # Errors
    /// When the run is not known or something stands in the way; what was taken back before stays
    /// so.
    pub async fn rollback(
        &self,
        asked: &Rollback,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RollbackReport, EngineError> {
        let (run_id, left) = self.look_for_run(asked).await?;
        if left.is_empty() {
            return Ok(RollbackReport { rolled_back: run_id, ..RollbackReport::default() });
        }
        let detail = json!({
            "run": run_id, "how": asked.how.word(), "table": asked.table,
            "dry_run": asked.dry_run,
        });
        let mut run = self.begin_saying("rollback", &detail.to_string(), options, events).await?;
        let rolled_back = run_id.clone();
        let mut rolling = Rolling {
            project: self,
            run: &mut run,
            asked,
            run_id: &run_id,
            options,
            events,
            report: RollbackReport { rolled_back, ..RollbackReport::default() },
        };
        let result = rolling.go().await;
        let report = rolling.report;
        let done: Vec<&str> = report.run.finished.iter().map(|one| one.name.as_str()).collect();
        let detail = json!({
            "run": run_id, "how": asked.how.word(), "done": done, "left": report.left,
        });
        run.detail = detail.to_string();
        if report.run.interrupted {
            run.outcome = "interrupted";
        }
        self.end(run, result.map(|()| report)).await
    }

    /// The run that is meant, and what is left of it. Only reads.
    async fn look_for_run(&self, asked: &Rollback) -> Result<(String, Vec<String>), EngineError> {
        let none = || EngineError::NotFound("No run has applied anything yet".to_owned());
        let mut session = self.connect_to_read().await?.ok_or_else(none)?;
        let picture = self.picture(Some(&mut session)).await?;
        if picture.identity.is_none() {
            return Err(none());
        }
        self.check_environment(&picture)?;
        let run_id = self.run_named(session.as_mut(), &asked.run).await?;
        let left = self.left_of_run(&picture, &run_id, asked.how)?;
        Ok((run_id, left))
    }
}

impl Rolling<'_> {
    async fn go(&mut self) -> Result<(), EngineError> {
        let mut picture = self.project.picture(Some(&mut self.run.session)).await?;
        Project::check_files(&picture.files)?;
        self.project.check_environment(&picture)?;
        self.project.reconcile(self.run, &mut picture, self.events).await?;
        let mut left = self.project.left_of_run(&picture, self.run_id, self.asked.how)?;
        if let Some(table) = &self.asked.table {
            let session = self.run.session.as_mut();
            left = self.project.touching(&picture, session, (&left, table)).await?;
        }
        let most = self.asked.steps.unwrap_or(usize::MAX).min(left.len());
        if self.asked.how == RollbackHow::Staged {
            let next = left.get(..most).unwrap_or_default();
            self.project.check_later(&picture, self.run.session.as_mut(), next).await?;
        }
        self.report.left.clone_from(&left);
        let stages: Vec<Vec<String>> = match self.asked.how {
            RollbackHow::Staged => left.into_iter().map(|name| vec![name]).collect(),
            RollbackHow::Partial => vec![left],
        };
        let total = stages.len();
        let mut failing = self.failing(&picture).await?;
        for (at, names) in stages.into_iter().take(most).enumerate() {
            if self.options.stop.is_set() {
                self.report.run.interrupted = true;
                return Ok(());
            }
            let go_on = self.stage(&names, (at + 1, total), &mut failing).await?;
            if !go_on {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shows a stage, asks, takes it back, and verifies. Says whether to go on.
    async fn stage(
        &mut self,
        names: &[String],
        position: (usize, usize),
        failing: &mut BTreeSet<String>,
    ) -> Result<bool, EngineError> {
        let picture = self.project.picture(Some(&mut self.run.session)).await?;
        let looked = self.look(&picture, names, position).await?;
        let stage = &looked.stage;
        self.report.conflicts += stage.steps.iter().map(|step| step.conflicts).sum::<u64>();
        self.events.send(Event::RollingBack(Box::new(stage.clone())));
        if self.asked.dry_run {
            return Ok(true);
        }
        if self.asked.on_conflict == OnConflict::Stop
            && let Some(step) = stage.steps.iter().find(|step| step.conflicts > 0)
        {
            return Err(EngineError::UndoConflicts {
                migration: step.migration.clone(),
                count: step.conflicts,
                shown: step.shown.clone(),
            });
        }
        match self.answer(stage).await {
            Ok(Answer::Yes) => {}
            Ok(Answer::No) => {
                self.report.declined = true;
                return Ok(false);
            }
            Ok(Answer::Missing) => return Err(missing(stage)),
            Err(EngineError::Stopped) => {
                self.report.run.interrupted = true;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.take_back(&picture, looked).await?;
        if self.report.run.interrupted {
            return Ok(false);
        }
        if self.asked.how == RollbackHow::Staged {
            return self.verified(names, failing).await;
        }
        Ok(true)
    }

    /// Waits for an answer; the lease is kept meanwhile.
    async fn answer(&mut self, stage: &RollbackStage) -> Result<Answer, EngineError> {
        let apply = self.project.apply_options(self.options);
        let mut applier = self.project.applier(self.run, &apply, self.events);
        let name = stage.steps.first().map_or("", |step| step.migration.as_str());
        loop {
            match applier.events.agrees(stage) {
                Some(answer) => return Ok(answer),
                None => {
                    applier.gate(name, ASK_LOOK_MS).await?;
                }
            }
        }
    }

    async fn take_back(
        &mut self,
        picture: &Picture,
        Looked { planned, stage, agreed }: Looked,
    ) -> Result<(), EngineError> {
        let names: Vec<&str> = planned.iter().map(|one| one.name.as_str()).collect();
        let detail = json!({
            "run": self.run_id, "how": self.asked.how.word(), "migrations": names,
            "on_conflict": format!("{:?}", self.asked.on_conflict).to_lowercase(),
            "lost": stage.lost, "confirmed": stage.phrase,
        });
        let audit = self.project.audit(self.run, "rollback", &detail.to_string());
        self.project.write(self.run, &[audit]).await?;
        let mut apply = self.project.apply_options(self.options);
        apply.agreed = Some(agreed);
        let mut applier = self.project.applier(self.run, &apply, self.events);
        let result = applier.down(&planned, &picture.ledger).await;
        let report = applier.report;
        self.report.left.retain(|name| !report.finished.iter().any(|one| one.name == *name));
        self.report.run.run_id.clone_from(&report.run_id);
        self.report.run.add(report);
        result
    }

    /// Holds the database against what the migrations that are left promise. What did not hold
    /// before the rollback is no fault of it.
    async fn verified(
        &mut self,
        names: &[String],
        failing: &mut BTreeSet<String>,
    ) -> Result<bool, EngineError> {
        let picture = self.project.picture(Some(&mut self.run.session)).await?;
        let facts = self.failing_facts(&picture).await?;
        let name = names.first().cloned().unwrap_or_default();
        let new: Vec<FactLine> =
            facts.into_iter().filter(|fact| failing.insert(identity(fact))).collect();
        let holds = new.is_empty();
        self.report.run.unverified.extend(new.into_iter().map(|fact| (name.clone(), fact)));
        Ok(holds)
    }

    async fn failing(&mut self, picture: &Picture) -> Result<BTreeSet<String>, EngineError> {
        if self.asked.how != RollbackHow::Staged {
            return Ok(BTreeSet::new());
        }
        Ok(self.failing_facts(picture).await?.iter().map(identity).collect())
    }

    async fn failing_facts(&mut self, picture: &Picture) -> Result<Vec<FactLine>, EngineError> {
        let session = self.run.session.as_mut();
        let report = self.project.verify_on(session, picture).await?;
        let mut facts: Vec<FactLine> = report.facts.into_iter().filter(FactLine::fails).collect();
        facts.extend(report.orphans.into_iter().map(|found| FactLine {
            kind: "foreign keys",
            subject: String::new(),
            detail: "have their rows".to_owned(),
            verdict: whimbrel_core::verify::Verdict::Fails { found },
        }));
        Ok(facts)
    }
}

fn identity(fact: &FactLine) -> String {
    format!("{} {} {}", fact.kind, fact.subject, fact.detail)
}

fn missing(stage: &RollbackStage) -> EngineError {
    match &stage.phrase {
        Some(phrase) => EngineError::NotConfirmed { phrase: phrase.clone() },
        None => {
            let names: Vec<String> =
                stage.steps.iter().map(|step| format!("`{}`", step.migration)).collect();
            EngineError::NotAnswered { what: names.join(", ") }
        }
    }
}
