//! Rows without their parent: counted before and after, where the database lets them arise.

use whimbrel_core::sql::dialect::Dialect;

use super::Applier;
use super::migration::StepWork;
use crate::backend::{DbError, ForeignKeyViolation, Notice};
use crate::error::EngineError;
use crate::event::Event;

/// How the code `SQLITE_CONSTRAINT_FOREIGNKEY` ends.
const SQLITE_FOREIGN_KEY: &str = " 787";

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
                let same =
                    |one: &&ForeignKeyViolation| one.child == now.child && one.parent == now.parent;
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

    /// Adds to SQLite's bare "FOREIGN KEY constraint failed" which rows of which table miss which
    /// parent: the statement is run once more with the keys deferred, looked at, and undone.
    pub(super) async fn name_orphans(&mut self, sql: &str, error: &mut DbError) {
        let is_key = error.code.as_deref().is_some_and(|code| code.ends_with(SQLITE_FOREIGN_KEY));
        if self.ledger.dialect != Dialect::Sqlite
            || !is_key
            || self.session.in_transaction() != Some(true)
        {
            return;
        }
        let begin = "SAVEPOINT whimbrel_look; PRAGMA defer_foreign_keys = ON";
        if self.session.batch(begin).await.is_err() {
            return;
        }
        let found = match self.session.run(sql, None).await {
            Ok(_) => self.session.foreign_key_violations().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        // What cannot be undone here is undone with the transaction, which fails anyway.
        let end = "ROLLBACK TO whimbrel_look; RELEASE whimbrel_look; \
                   PRAGMA defer_foreign_keys = OFF";
        let _ = self.session.batch(end).await;
        let lines: Vec<String> = found
            .iter()
            .map(|one| {
                format!(
                    "{} rows of `{}` point to rows of `{}` that do not exist",
                    one.rows, one.child, one.parent
                )
            })
            .collect();
        if !lines.is_empty() {
            error.detail = Some(lines.join("; "));
        }
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
