//! `baseline`, `accept` and `resolve`: what a person declares.

use whimbrel_core::compare::State;
use whimbrel_core::ledger::{AttemptEvent, Direction, MigrationEvent};
use whimbrel_core::migration::Migration;

use super::up::Run;
use super::{Project, RunOptions};
use crate::error::EngineError;
use crate::event::Events;
use crate::ledger::{Attempt, MigrationEntry};

impl Project {
    /// Declares the migrations up to and with `to` applied, without running them; `0` declares
    /// none, and only begins the history.
    ///
    /// # Errors
    /// When one of them is already recorded as applied by a run, or `to` does not exist.
    pub async fn baseline(
        &self,
        to: &str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<String>, EngineError> {
        let mut run = self.begin("baseline", options, events).await?;
        let result = self.baseline_with_lease(&mut run, to, events).await;
        self.end(run, result).await
    }

    async fn baseline_with_lease(
        &self,
        run: &mut Run,
        to: &str,
        events: &mut dyn Events,
    ) -> Result<Vec<String>, EngineError> {
        let mut picture = self.picture(Some(&mut run.session)).await?;
        Self::check_files(&picture.files)?;
        self.reconcile(run, &mut picture, events).await?;
        let none =
            to.bytes().all(|byte| byte == b'0') && picture.files.directory.find(to).is_empty();
        let count = if none { 0 } else { self.position_of(&picture, to)? + 1 };
        let mut rows = Vec::new();
        let mut names = Vec::new();
        for one in picture.compared.iter().take(count) {
            if one.state.is_applied() {
                continue;
            }
            let Some(migration) = picture.files.directory.get(&one.name) else { continue };
            let planned =
                self.plan_up(migration).map_err(|problem| EngineError::Files(vec![problem]))?;
            rows.push(self.ledger.migration_sql(&MigrationEntry {
                name: &planned.name,
                version: &planned.version,
                kind: planned.kind.name(),
                event: MigrationEvent::Baseline,
                text_checksum: &planned.text_checksum,
                token_checksum: &planned.token_checksum,
                up_text: Some(&planned.up_text),
                down_text: planned.down_text.as_deref(),
                run_id: &run.lease.run_id,
                actor: &self.owner.actor,
                duration_ms: 0,
                token: run.lease.token,
            }));
            if let Some(mirror) = &self.mirror {
                rows.push(mirror.applied_sql(&planned, self.ledger.dialect));
            }
            names.push(planned.name);
        }
        let detail = format!("{{\"to\":{to:?},\"migrations\":{}}}", names.len());
        rows.push(self.audit(run, "baseline", &detail));
        self.write(run, &rows).await?;
        Ok(names)
    }

    /// Accepts the files as they are now for applied migrations whose text has changed: those
    /// named, or all of them.
    pub async fn accept(
        &self,
        names: &[String],
        reason: &str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<String>, EngineError> {
        let mut run = self.begin("accept", options, events).await?;
        let result = self.accept_with_lease(&mut run, names, reason).await;
        self.end(run, result).await
    }

    async fn accept_with_lease(
        &self,
        run: &mut Run,
        names: &[String],
        reason: &str,
    ) -> Result<Vec<String>, EngineError> {
        let picture = self.picture(Some(&mut run.session)).await?;
        Self::check_files(&picture.files)?;
        let mut wanted = Vec::new();
        for name in names {
            let index = self.position_of(&picture, name)?;
            wanted.extend(picture.compared.get(index).map(|one| one.name.clone()));
        }
        let (mut rows, mut accepted) = (Vec::new(), Vec::new());
        for one in &picture.compared {
            let changed =
                matches!(one.state, State::AppliedChanged | State::AppliedCommentsChanged);
            if !changed || !(names.is_empty() || wanted.contains(&one.name)) {
                continue;
            }
            let Some(migration) = picture.files.directory.get(&one.name) else { continue };
            self.check_readable(migration)?;
            let Some(facts) = picture.files.facts.iter().find(|facts| facts.name == one.name)
            else {
                continue;
            };
            rows.push(self.ledger.migration_sql(&MigrationEntry {
                name: &one.name,
                version: &migration.id.version(),
                kind: migration.id.kind.name(),
                event: MigrationEvent::Accept,
                text_checksum: &facts.text_checksum,
                token_checksum: &facts.token_checksum,
                up_text: Some(&migration.up.text),
                down_text: migration.down.as_ref().map(|down| down.text.as_str()),
                run_id: &run.lease.run_id,
                actor: &self.owner.actor,
                duration_ms: 0,
                token: run.lease.token,
            }));
            accepted.push(one.name.clone());
        }
        if !accepted.is_empty() {
            let detail = format!("{{\"migrations\":{accepted:?},\"reason\":{reason:?}}}");
            rows.push(self.audit(run, "accept", &detail));
            self.write(run, &rows).await?;
        }
        Ok(accepted)
    }

    /// What is accepted is used from then on, so it must be possible to read it.
    fn check_readable(&self, migration: &Migration) -> Result<(), EngineError> {
        let texts = [Some(&migration.up), migration.down.as_ref()];
        for text in texts.into_iter().flatten() {
            self.script(&text.text, &text.path, text.lines_before)
                .map_err(|problem| EngineError::Files(vec![problem]))?;
        }
        Ok(())
    }

    /// Declares whether a step in doubt happened. `statement` counts from 1.
    ///
    /// # Errors
    /// When no step of that migration is in doubt there.
    pub async fn resolve(
        &self,
        migration: &str,
        statement: usize,
        happened: bool,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<String, EngineError> {
        let mut run = self.begin("resolve", options, events).await?;
        let result = self.resolve_with_lease(&mut run, migration, statement, happened).await;
        self.end(run, result).await
    }

    async fn resolve_with_lease(
        &self,
        run: &mut Run,
        migration: &str,
        statement: usize,
        happened: bool,
    ) -> Result<String, EngineError> {
        let state = self.ledger.read(run.session.as_mut()).await?;
        let open = state.unfinished().find_map(|(name, direction, partial)| {
            let row = partial.step(statement.saturating_sub(1))?;
            let named = name == migration || name.starts_with(migration);
            (named && row.event == AttemptEvent::Intent).then(|| (direction, row.clone()))
        });
        let Some((direction, row)) = open else {
            let message = format!("Statement {statement} of `{migration}` is not in doubt");
            return Err(EngineError::NotFound(message));
        };
        let event = if happened { AttemptEvent::Happened } else { AttemptEvent::Retry };
        let attempt = self.ledger.attempt_sql(&Attempt {
            run_id: &run.lease.run_id,
            migration: &row.migration,
            direction,
            statement_index: row.statement_index,
            statement_hash: &row.statement_hash,
            event,
            rows_affected: None,
            error: Some("declared by a person"),
            fingerprint: None,
            started_ms_ago: 0,
            token: run.lease.token,
        });
        let way = if direction == Direction::Up { "up" } else { "down" };
        let detail = format!(
            "{{\"migration\":{:?},\"direction\":\"{way}\",\"statement\":{statement},\
             \"happened\":{happened}}}",
            row.migration
        );
        let audit = self.audit(run, "resolve", &detail);
        self.write(run, &[attempt, audit]).await?;
        Ok(row.migration)
    }

    pub(super) fn audit(&self, run: &Run, action: &str, detail: &str) -> String {
        let (run_id, token) = (&run.lease.run_id, run.lease.token);
        self.ledger.audit_sql(run_id, &self.owner.actor, action, detail, token)
    }

    /// Writes rows of the ledger in one transaction, behind the fence.
    pub(super) async fn write(&self, run: &mut Run, rows: &[String]) -> Result<(), EngineError> {
        run.session.batch(self.ledger.begin()).await?;
        let result = async {
            run.lease.fence(run.session.as_mut()).await?;
            for row in rows.iter().filter(|row| !row.is_empty()) {
                run.session.batch(row).await?;
            }
            Ok::<(), EngineError>(run.session.batch("COMMIT").await?)
        }
        .await;
        if result.is_err() {
            crate::ledger::rollback(run.session.as_mut()).await;
        }
        result
    }
}
