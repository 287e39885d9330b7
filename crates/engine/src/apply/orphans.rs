//! Rows without their parent: counted before and after, where the database lets them arise.

use super::Applier;
use super::migration::StepWork;
use crate::backend::{ForeignKeyViolation, Notice};
use crate::error::EngineError;
use crate::event::Event;

impl Applier<'_> {
    /// What is there before the step, if it needs to be compared at all.
    pub(super) async fn violations_before(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Option<Vec<ForeignKeyViolation>>, EngineError> {
        if !self.backend.capabilities().counts_orphans || work.migration.only_adds() {
            return Ok(None);
        }
        Ok(Some(self.session.foreign_key_violations().await?))
    }

    /// Compares with what is there now: more is an error where the keys are enforced, and told
    /// where they are not.
    pub(super) async fn check_foreign_keys(
        &mut self,
        work: &StepWork<'_>,
        before: &[ForeignKeyViolation],
    ) -> Result<(), EngineError> {
        let more: Vec<ForeignKeyViolation> = self
            .session
            .foreign_key_violations()
            .await?
            .into_iter()
            .filter(|now| {
                let same = |one: &&ForeignKeyViolation| {
                    one.child == now.child && one.parent == now.parent
                };
                now.rows > before.iter().find(same).map_or(0, |one| one.rows)
            })
            .collect();
        if more.is_empty() {
            return Ok(());
        }
        if self.backend.capabilities().refuses_orphans {
            return Err(EngineError::ForeignKeys {
                migration: work.migration.name.clone(),
                violations: more,
                finished: self.finished_names(),
            });
        }
        for one in more {
            let message = format!(
                "{} rows of `{}` have no parent in `{}` (rowid {})",
                one.rows,
                one.child,
                one.parent,
                one.sample.join(", ")
            );
            let notice = Notice { severity: "WARNING".to_owned(), code: None, message };
            let migration = work.migration.name.clone();
            self.events.send(Event::Notice { migration, line: 1, notice });
        }
        Ok(())
    }

    /// How many rows have no parent, where that is counted and refused.
    pub(super) async fn orphans(&mut self) -> Result<u64, EngineError> {
        let can = self.backend.capabilities();
        if !can.counts_orphans || !can.refuses_orphans {
            return Ok(0);
        }
        let found = self.session.foreign_key_violations().await?;
        Ok(found.iter().map(|one| one.rows).sum())
    }
}
