//! `undo`: take back what the batches of a data migration changed.

use whimbrel_core::ledger::Recorded;
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::{OnConflict, PlannedMigration};

use super::load::Picture;
use super::up::Run;
use super::{Project, RunOptions};
use crate::error::{EngineError, UndoConflict};
use crate::event::{Events, Silent};
use crate::report::RunReport;

/// What an undo would take back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoPlan {
    /// File name of the migration.
    pub migration: String,
    /// What each statement has kept, in the order in which it is taken back.
    pub statements: Vec<UndoStatement>,
    /// How many rows were changed since.
    pub conflicts: u64,
    /// Some of them.
    pub shown: Vec<UndoConflict>,
}

/// What one statement has kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoStatement {
    /// The statement, from 1.
    pub statement: usize,
    /// `update`, `delete` or `insert`.
    pub kind: String,
    /// The table that it changed.
    pub table: String,
    /// How many rows are kept.
    pub rows: u64,
}

impl Project {
    /// Says what an undo would take back, and what somebody changed since. Changes nothing but
    /// takes the lease, so that the answer holds.
    ///
    /// # Errors
    /// When the migration is not known, or has kept nothing.
    pub async fn plan_undo_of(
        &self,
        version: &str,
        options: &RunOptions,
    ) -> Result<UndoPlan, EngineError> {
        let mut events = Silent;
        let mut run = self.begin("undo", options, &mut events).await?;
        let result = self.look_at_undo(&mut run, version, options).await;
        self.end(run, result).await
    }

    async fn look_at_undo(
        &self,
        run: &mut Run,
        version: &str,
        options: &RunOptions,
    ) -> Result<UndoPlan, EngineError> {
        let picture = self.picture(Some(&mut run.session)).await?;
        let planned = self.undo_target(&picture, run, version, OnConflict::Stop).await?;
        let apply = self.apply_options(options);
        let mut events = Silent;
        let mut applier = self.applier(run, &apply, &mut events);
        let mut plan = UndoPlan { migration: planned.name.clone(), ..UndoPlan::default() };
        let kept = applier.kept_values(&planned.name).await?;
        applier.check_all_kept(&planned, &kept).await?;
        for (at, one) in kept.iter().enumerate() {
            let later = kept.get(..at).unwrap_or_default();
            let (statement, conflicts, shown) =
                applier.undo_statement_plan(one, later, &kept).await?;
            plan.statements.push(statement);
            plan.conflicts += conflicts;
            plan.shown.extend(shown);
        }
        Ok(plan)
    }

    /// Takes back what the batches of a data migration changed, whether it is finished or not.
    ///
    /// # Errors
    /// With [`OnConflict::Stop`], when somebody changed one of the rows since; otherwise the first
    /// failure. What was taken back before it stays so, and the same command goes on.
    pub async fn undo(
        &self,
        version: &str,
        on_conflict: OnConflict,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RunReport, EngineError> {
        let mut run = self.begin("undo", options, events).await?;
        let result = self.undo_with_lease(&mut run, version, on_conflict, options, events).await;
        self.end(run, result).await
    }

    async fn undo_with_lease(
        &self,
        run: &mut Run,
        version: &str,
        on_conflict: OnConflict,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RunReport, EngineError> {
        let picture = self.picture(Some(&mut run.session)).await?;
        Self::check_files(&picture.files)?;
        self.check_environment(&picture)?;
        let planned = self.undo_target(&picture, run, version, on_conflict).await?;
        let detail = serde_json::json!({
            "migration": planned.name,
            "on_conflict": format!("{on_conflict:?}").to_lowercase(),
        });
        let audit = self.audit(run, "undo", &detail.to_string());
        self.write(run, &[audit]).await?;
        let apply = self.apply_options(options);
        let mut applier = self.applier(run, &apply, events);
        let result = applier.down(std::slice::from_ref(&planned), &picture.ledger).await;
        let report = applier.report;
        result.map(|()| report)
    }

    /// The data migration that the user calls `version`, with the text that ran.
    async fn undo_target(
        &self,
        picture: &Picture,
        run: &mut Run,
        version: &str,
        on_conflict: OnConflict,
    ) -> Result<PlannedMigration, EngineError> {
        let index = self.position_of(picture, version)?;
        let Some(one) = picture.compared.get(index) else {
            return Err(EngineError::NotFound(format!("There is no migration `{version}`")));
        };
        let file = picture.files.directory.get(&one.name);
        if file.is_some_and(|file| file.id.kind == Kind::Schema) {
            return Err(EngineError::Refused(format!(
                "`{}` is a schema migration; `whimbrel down` takes it back",
                one.name
            )));
        }
        if let Some(recorded) = one.recorded.as_ref().filter(|found: &&Recorded| found.is_applied())
        {
            let (up, _) = self.ledger.texts(run.session.as_mut(), &one.name).await?;
            return self.plan_undo(recorded, up.unwrap_or_default(), on_conflict);
        }
        let Some(file) = file else {
            return Err(EngineError::NotFound(format!("There is no file of `{}`", one.name)));
        };
        let planned = self.plan_up(file).map_err(|problem| EngineError::Files(vec![problem]))?;
        Ok(PlannedMigration { undo: Some(on_conflict), ..planned })
    }
}
