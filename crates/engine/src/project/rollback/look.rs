//! What a stage would take back, and what would be lost by it.

use std::ops::Range;

use whimbrel_core::migration::Kind;
use whimbrel_core::plan::{OnConflict, PlannedMigration};

use super::super::load::Picture;
use super::super::purge::purged_of;
use super::{RollbackHow, RollbackStage, RollbackStep, Rolling};
use crate::apply::Agreed;
use crate::data::undo::Kept;
use crate::error::EngineError;

/// Most conflicts of a stage that are shown.
const CONFLICTS_SHOWN_MAX: usize = 20;

/// A stage that was looked at.
pub(super) struct Looked {
    pub(super) planned: Vec<PlannedMigration>,
    pub(super) stage: RollbackStage,
    pub(super) agreed: Agreed,
}

impl Rolling<'_> {
    pub(super) async fn look(
        &mut self,
        picture: &Picture,
        names: &[String],
        (stage, stages): (usize, usize),
    ) -> Result<Looked, EngineError> {
        let mut planned = Vec::new();
        let mut steps = Vec::new();
        let mut kept: Vec<Kept> = Vec::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut agreed = Agreed::default();
        for name in names {
            let (one, own) = self.plan_of(picture, name).await?;
            let purged = purged_of(self.project, self.run.session.as_mut(), name).await?;
            let mut step = RollbackStep { migration: name.clone(), ..RollbackStep::default() };
            step.is_undo = one.undo.is_some();
            step.purged = purged;
            if one.undo.is_none() {
                self.look_at_way_back(&one, &mut step, &mut agreed).await?;
            }
            ranges.push(kept.len()..kept.len() + own.len());
            kept.extend(own);
            planned.push(one);
            steps.push(step);
        }
        for (step, range) in steps.iter_mut().zip(ranges) {
            self.look_at_undo(step, &kept, range, &mut agreed).await?;
        }
        self.project.check_pooled(&planned, self.run.session.as_mut()).await?;
        let known: Option<u64> = steps.iter().flat_map(|step| &step.losses).map(|one| one.1).sum();
        let phrase = match known {
            Some(0) => None,
            Some(rows) => Some(format!("LOSE {rows} ROWS")),
            None => names.first().cloned(),
        };
        let stage = RollbackStage {
            run_id: self.run_id.to_owned(),
            how: self.asked.how.word(),
            stage,
            stages,
            steps,
            lost: known,
            phrase: phrase.map(|phrase| self.project.with_environment(phrase)),
            dry_run: self.asked.dry_run,
        };
        Ok(Looked { planned, stage, agreed })
    }

    /// How a migration is taken back, and what its statements have kept if they are undone.
    async fn plan_of(
        &mut self,
        picture: &Picture,
        name: &str,
    ) -> Result<(PlannedMigration, Vec<Kept>), EngineError> {
        let on_conflict = self.asked.on_conflict;
        let recorded = picture.ledger.migration(name).filter(|one| one.is_applied());
        let planned = match recorded {
            Some(recorded) if recorded.row.kind == Kind::Data.name() => {
                let session = self.run.session.as_mut();
                let (up, _) = self.project.ledger.texts(session, name).await?;
                self.project.plan_undo(recorded, up.unwrap_or_default(), on_conflict)?
            }
            Some(recorded) => {
                let session = self.run.session.as_mut();
                let back = self.project.plan_back(picture, session, recorded, false).await?;
                return Ok((back, Vec::new()));
            }
            None => {
                let file = picture.files.directory.get(name).ok_or_else(|| {
                    EngineError::NotFound(format!("There is no file of `{name}`"))
                })?;
                let planned = self.project.plan_up(file);
                let planned = planned.map_err(|problem| EngineError::Files(vec![problem]))?;
                PlannedMigration { undo: Some(on_conflict), ..planned }
            }
        };
        let apply = self.project.apply_options(self.options);
        let mut applier = self.project.applier(self.run, &apply, self.events);
        let kept = applier.kept_values(name).await?;
        let whole = applier.check_all_kept(&planned, &kept).await;
        // Where nothing was kept, its own way back is used, if it has one.
        let (Err(error), Some(recorded)) = (&whole, recorded) else {
            return whole.map(|()| (planned, kept));
        };
        let nothing = matches!(error, EngineError::Refused(_));
        let session = self.run.session.as_mut();
        let (_, down) = self.project.ledger.texts(session, name).await?;
        if !nothing || down.is_none() || self.asked.how != RollbackHow::Staged {
            return whole.map(|()| (planned, kept));
        }
        Ok((self.project.plan_back(picture, session, recorded, false).await?, Vec::new()))
    }

    async fn look_at_way_back(
        &mut self,
        planned: &PlannedMigration,
        step: &mut RollbackStep,
        agreed: &mut Agreed,
    ) -> Result<(), EngineError> {
        let apply = self.project.apply_options(self.options);
        let mut applier = self.project.applier(self.run, &apply, self.events);
        for loss in applier.losses_of(planned).await? {
            agreed.statements.extend(loss.rows.map(|rows| (loss.statement, rows)));
            if loss.rows != Some(0) {
                step.losses.push((loss.what, loss.rows));
            }
        }
        Ok(())
    }

    /// `kept` is what the whole stage has kept, newest first; `range` is the step's part of it.
    async fn look_at_undo(
        &mut self,
        step: &mut RollbackStep,
        kept: &[Kept],
        range: Range<usize>,
        agreed: &mut Agreed,
    ) -> Result<(), EngineError> {
        let force = self.asked.on_conflict == OnConflict::Force;
        let apply = self.project.apply_options(self.options);
        let mut applier = self.project.applier(self.run, &apply, self.events);
        for at in range {
            let Some(one) = kept.get(at) else { continue };
            let later = kept.get(..at).unwrap_or_default();
            let (statement, conflicts, shown) =
                applier.undo_statement_plan(one, later, kept).await?;
            if force {
                let rows = applier.overwritten(one, kept).await?;
                agreed.rows += rows;
                if rows > 0 {
                    let what = format!("values of {} that were changed since", statement.table);
                    step.losses.push((what, Some(rows)));
                }
            }
            step.statements.push(statement);
            step.conflicts += conflicts;
            step.shown.extend(shown);
        }
        step.shown.truncate(CONFLICTS_SHOWN_MAX);
        Ok(())
    }
}
