//! What an interrupted run left behind: finding out whether a statement happened before anything
//! is repeated.

use std::time::Instant;

use whimbrel_core::ddl::{Change, ObjectKind, ObjectName};
use whimbrel_core::ledger::{AttemptEvent, AttemptRow, Direction, Partial};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::probe::{Answer, Evidence, answer};
use whimbrel_core::verify::Expected;

use super::Applier;
use super::keep::sql_name;
use super::migration::StepWork;
use crate::backend::Limits;
use crate::error::{EngineError, Undecided};
use crate::event::Event;
use crate::failpoint;

impl Applier<'_> {
    /// First statements of the steps whose effect is there, after every open question is answered.
    pub(super) async fn recover(
        &mut self,
        migration: &PlannedMigration,
        direction: Direction,
        partial: &Partial,
    ) -> Result<Vec<usize>, EngineError> {
        let mut known: Vec<usize> = partial
            .steps
            .iter()
            .map(|row| row.statement_index)
            .filter(|index| partial.is_done(*index))
            .collect();
        for row in partial.steps.iter().filter(|row| row.event == AttemptEvent::Intent) {
            failpoint::pass("recovery.before_probe");
            if self.settle(migration, direction, row).await? {
                known.push(row.statement_index);
            }
            failpoint::pass("recovery.after_probe");
        }
        Ok(known)
    }

    /// Answers one open question and writes the answer down. Returns whether it happened.
    async fn settle(
        &mut self,
        migration: &PlannedMigration,
        direction: Direction,
        row: &AttemptRow,
    ) -> Result<bool, EngineError> {
        let step = migration.script.steps.iter().find(|step| {
            step.statements.start == row.statement_index && step.hash == row.statement_hash
        });
        let Some(step) = step else {
            let evidence = "the statement was changed in the file since".to_owned();
            return Err(undecided(migration, direction, row.statement_index, evidence));
        };
        let work =
            StepWork { migration, direction, step, last: false, began: Instant::now(), kept: 0 };
        let (event, evidence) = match self.probe(&work, row).await? {
            Answer::Happened(evidence) => (AttemptEvent::Happened, evidence),
            Answer::Repeat(evidence) => (AttemptEvent::Retry, evidence),
            Answer::Unknown(evidence) => {
                return Err(undecided(migration, direction, row.statement_index, evidence));
            }
        };
        let answer = self.attempt_row(&work, event, None, Some(&evidence), None);
        self.write_rows(&[answer]).await?;
        let happened = event == AttemptEvent::Happened;
        self.events.send(Event::Recovered {
            migration: migration.name.clone(),
            statement: row.statement_index + 1,
            happened,
            evidence,
        });
        Ok(happened)
    }

    async fn probe(
        &mut self,
        work: &StepWork<'_>,
        row: &AttemptRow,
    ) -> Result<Answer, EngineError> {
        let index = work.step.statements.start;
        let changes = changes_of(work.migration, index);
        let expected = Expected::fold(changes, self.ledger.dialect);
        let snapshot = self.session.inspect(Some(&touched(changes))).await?;
        let facts = expected.check(&snapshot);
        let now = snapshot.fingerprint_text();
        let invalid = self.invalid_index(work).await?;
        Ok(answer(&Evidence {
            changes,
            repeatable: work.migration.script.infos.get(index).is_some_and(|info| info.repeatable),
            before: row.fingerprint.as_deref().unwrap_or_default(),
            now: &now,
            facts: &facts,
            invalid_index: invalid.as_deref(),
        }))
    }

    /// The objects that a statement touches, as they are now.
    pub(super) async fn fingerprint(&mut self, work: &StepWork<'_>) -> Result<String, EngineError> {
        let changes = changes_of(work.migration, work.step.statements.start);
        let scope = touched(changes);
        if scope.is_empty() {
            return Ok(String::new());
        }
        Ok(self.session.inspect(Some(&scope)).await?.fingerprint_text())
    }

    /// Sweeps away what an earlier try left, and sets the limits for a statement outside of a
    /// transaction. Returns those that are put back afterwards.
    pub(super) async fn prepare_bare(
        &mut self,
        work: &StepWork<'_>,
    ) -> Result<Limits, EngineError> {
        if let Some(name) = self.invalid_index(work).await? {
            let endless = Limits { lock_ms: Some(0), statement_ms: Some(0) };
            let before = self.session.limits().await?;
            self.session.limit(endless, false).await?;
            self.session.batch(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")).await?;
            self.session.limit(before, false).await?;
        }
        self.limit_bare(work).await
    }

    /// The index that the statement builds without blocking writers, as it stands in SQL, if an
    /// earlier try left it there unfinished.
    async fn invalid_index(&mut self, work: &StepWork<'_>) -> Result<Option<String>, EngineError> {
        for change in changes_of(work.migration, work.step.statements.start) {
            let Change::CreateIndex(index) = change else { continue };
            let (true, Some(name)) = (index.concurrently, &index.name) else { continue };
            let scope = [(ObjectKind::Table, index.table.clone())];
            let snapshot = self.session.inspect(Some(&scope)).await?;
            let found = snapshot.tables.iter().find(|table| {
                table.indexes.iter().any(|found| found.name == name.name && !found.valid)
            });
            if let Some(table) = found {
                let schema = table.name.schema.clone();
                let index = ObjectName { schema, name: name.name.clone() };
                return Ok(Some(sql_name(&index, self.ledger.dialect)));
            }
        }
        Ok(None)
    }
}

fn changes_of(migration: &PlannedMigration, index: usize) -> &[Change] {
    migration.changes.get(index).map_or(&[], Vec::as_slice)
}

fn touched(changes: &[Change]) -> Vec<(ObjectKind, ObjectName)> {
    changes.iter().flat_map(Change::touches).collect()
}

fn undecided(
    migration: &PlannedMigration,
    direction: Direction,
    index: usize,
    evidence: String,
) -> EngineError {
    let line = migration.script.statements.get(index).map_or(1, |statement| statement.line);
    EngineError::NeedsDecision(Box::new(Undecided {
        migration: migration.name.clone(),
        down: direction == Direction::Down,
        statement: index + 1,
        line: line + migration.lines_before,
        text: migration.script.statement(index).to_owned(),
        evidence,
    }))
}
