//! `requires=account:VERSION`: what must hold before a migration runs.

use whimbrel_core::directive::Requirement;
use whimbrel_core::plan::PlannedMigration;

use super::Project;
use crate::backend::Session;
use crate::error::{EngineError, Problem};

impl Project {
    /// Refuses a plan whose requirement cannot come true by the plan itself.
    pub(super) async fn check_required_now(
        &self,
        plan: &[PlannedMigration],
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        for (index, migration) in plan.iter().enumerate() {
            for required in required(migration) {
                let name = self.name_of(Some(required))?.unwrap_or_default();
                // What runs before it in this plan is looked at when it is done.
                if plan.iter().take(index).any(|one| one.name == name) {
                    continue;
                }
                self.check_account(migration, &name, session).await?;
            }
        }
        Ok(())
    }

    /// Refuses a migration whose requirement does not hold now.
    pub(super) async fn check_required(
        &self,
        migration: &PlannedMigration,
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        for required in required(migration) {
            let name = self.name_of(Some(required))?.unwrap_or_default();
            self.check_account(migration, &name, session).await?;
        }
        Ok(())
    }

    async fn check_account(
        &self,
        migration: &PlannedMigration,
        name: &str,
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        let account = self.account_of(session, name).await?;
        if account.holds() {
            return Ok(());
        }
        let reasons = account.reasons.join("; ");
        Err(EngineError::Files(vec![Problem {
            path: migration.path.clone(),
            place: None,
            message: format!(
                "`{}` requires the account of `{name}`, which does not hold: {reasons}",
                migration.name
            ),
            hint: Some(format!("`whimbrel account {name}` shows the rows")),
        }]))
    }
}

/// The plan, cut before each migration that requires something.
pub(super) fn parts(plan: &[PlannedMigration]) -> Vec<&[PlannedMigration]> {
    let mut cuts = vec![0];
    let needs = |one: &PlannedMigration| required(one).next().is_some();
    cuts.extend(plan.iter().enumerate().skip(1).filter(|(_, one)| needs(one)).map(|(at, _)| at));
    cuts.push(plan.len());
    cuts.windows(2).filter_map(|pair| plan.get(*pair.first()?..*pair.last()?)).collect()
}

/// The versions whose accounts a migration requires.
pub(crate) fn required(migration: &PlannedMigration) -> impl Iterator<Item = &str> {
    migration.script.options.requires.iter().flatten().map(|requirement| match requirement {
        Requirement::Account(version) => version.as_str(),
    })
}
