//! Group commit: several migrations in one transaction, each under its own savepoint.
//!
//! The result is the same as with one transaction for each: a failure keeps what came before it,
//! and whatever cannot be told apart (an error at COMMIT, a lost connection) rolls the group back
//! and runs its migrations again one by one.

use std::time::Instant;

use whimbrel_core::ledger::{AttemptEvent, Direction, LedgerState};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::verify::Expected;

use super::migration::StepWork;
use super::{Applier, Done, lost_connection};
use crate::error::EngineError;
use crate::event::Event;
use crate::failpoint;
use crate::ledger::{merged, rollback};
use crate::report::FactLine;
use crate::verify;

/// Most tables that one group makes (each holds a lock until the commit).
const GROUP_TABLES_MAX: usize = 500;
/// Most statements in one group.
const GROUP_STATEMENTS_MAX: usize = 5_000;
/// Longest time that a group collects, in milliseconds.
const GROUP_MS_MAX: u128 = 20_000;

/// Where each member begins.
const SAVEPOINT: &str = "SAVEPOINT whimbrel_member";
/// Most migrations that one look at the catalog judges.
const LOOK_MIGRATIONS_MAX: usize = 200;

/// What is put off until several members ran.
#[derive(Default)]
struct Later {
    /// What members must have left, by their place in the plan. As long as no later member changes
    /// the same things, one look gives each the verdict that it would have got by itself.
    unproven: Vec<(usize, Expected)>,
    /// The ledger's rows, which are part of the same transaction wherever they stand in it.
    attempts: Vec<String>,
    migrations: Vec<String>,
    mirrored: Vec<String>,
}

impl Later {
    fn outlives(&self, migration: &PlannedMigration) -> bool {
        let changes = || migration.changes.iter().flatten();
        self.unproven.len() < LOOK_MIGRATIONS_MAX
            && !migration.script.changes_session()
            && migration.verify_script.is_none()
            && self.unproven.iter().all(|(_, expected)| expected.outlives(changes()))
    }
}

/// What became of a group's transaction.
enum GroupEnd {
    /// So many migrations were committed, and the next one failed by itself.
    Stopped(usize, Option<EngineError>),
    /// All was rolled back.
    RolledBack(EngineError),
}

impl Applier<'_> {
    /// Whether a constraint of the database may be checked only at the commit. A group would check
    /// it later than one transaction for each migration does, so nothing is grouped then.
    pub(super) async fn has_deferrable(&mut self) -> Result<bool, EngineError> {
        if self.ledger.dialect != Dialect::Postgres {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM pg_catalog.pg_constraint WHERE condeferrable LIMIT 1";
        Ok(!self.session.query(sql).await?.is_empty())
    }

    /// How many migrations from the front of `plan` can share a transaction.
    pub(super) fn group_length(&self, plan: &[PlannedMigration], state: &LedgerState) -> usize {
        let resettable = self.session.reset_in_transaction().is_some();
        let dialect = self.ledger.dialect;
        let (mut tables, mut statements) = (0, 0);
        plan.iter()
            .take_while(|migration| {
                tables += migration.tables_made();
                statements += migration.script.statements.len();
                migration.is_groupable(resettable)
                    && !(dialect == Dialect::Postgres && migration.script.defers())
                    && state.partial(&migration.name, Direction::Up).is_none()
                    && tables <= GROUP_TABLES_MAX
                    && statements <= GROUP_STATEMENTS_MAX
            })
            .count()
    }

    /// Applies the front of `plan` in one transaction and returns how many that were.
    pub(super) async fn group(&mut self, plan: &[PlannedMigration]) -> Result<usize, EngineError> {
        let mut done = Vec::new();
        let reason = match self.group_in_transaction(plan, &mut done).await {
            GroupEnd::Stopped(count, None) => {
                self.tell_group(plan, done);
                return Ok(count);
            }
            GroupEnd::Stopped(count, Some(error)) => {
                self.tell_group(plan, done);
                return Err(self.group_failure(plan, count, error).await);
            }
            GroupEnd::RolledBack(error) => error,
        };
        if matches!(reason, EngineError::LeaseLost) {
            return Err(reason);
        }
        self.one_by_one(plan, reason).await
    }

    fn tell_group(&mut self, plan: &[PlannedMigration], done: Vec<Done>) {
        for (migration, done) in plan.iter().zip(done) {
            self.finished(migration, Direction::Up, done);
        }
    }

    async fn group_in_transaction(
        &mut self,
        plan: &[PlannedMigration],
        done: &mut Vec<Done>,
    ) -> GroupEnd {
        let began = Instant::now();
        failpoint::pass("transaction.before_begin");
        let before = match self.open_group().await {
            Ok(before) => before,
            Err(error) => return self.roll_back_group(error).await,
        };
        let mut failed = None;
        let mut later = Later::default();
        for migration in plan {
            if began.elapsed().as_millis() > GROUP_MS_MAX || self.options.stop.is_set() {
                break;
            }
            failpoint::pass("group.between");
            self.started(migration, &LedgerState::default(), false);
            if !later.outlives(migration)
                && let Err(error) = self.prove(plan, &mut later, done).await
            {
                return self.roll_back_group(error).await;
            }
            match self.group_member(migration, &mut later, done.len()).await {
                Ok(one) => done.push(one),
                Err(error) if is_its_own(&error) => {
                    if let Err(error) = self.undo_member().await {
                        return self.roll_back_group(error).await;
                    }
                    failed = Some(error);
                    break;
                }
                Err(error) => return self.roll_back_group(error).await,
            }
            self.position.0 += 1;
        }
        if let Err(error) = self.prove(plan, &mut later, done).await {
            return self.roll_back_group(error).await;
        }
        if let Err(error) = self.close_group(before, later).await {
            return self.roll_back_group(error).await;
        }
        if plan.iter().any(|one| one.script.changes_session())
            && let Err(error) = self.session.reset().await
        {
            failed.get_or_insert(error.into());
        }
        GroupEnd::Stopped(done.len(), failed)
    }

    async fn open_group(&mut self) -> Result<u64, EngineError> {
        self.begin_group().await?;
        let orphans = self.orphans().await?;
        self.session.ahead(SAVEPOINT).await?;
        Ok(orphans)
    }

    async fn close_group(&mut self, orphans_before: u64, later: Later) -> Result<(), EngineError> {
        if self.orphans().await? > orphans_before {
            // One by one, each migration answers for its own rows.
            return Err(EngineError::Refused("rows without their parent".to_owned()));
        }
        failpoint::pass("ledger.before_write");
        for sql in merged(&later.attempts).chain(merged(&later.migrations)) {
            self.session.batch(&sql).await?;
        }
        for sql in later.mirrored {
            self.session.batch(&sql).await?;
        }
        failpoint::pass("ledger.after_write");
        failpoint::pass("transaction.before_commit");
        self.session.batch("COMMIT").await?;
        failpoint::pass("transaction.after_commit");
        Ok(())
    }

    /// Looks for what the members so far must have left. Where something is not there, it cannot be
    /// told what else depends on it: the whole group is rolled back.
    async fn prove(
        &mut self,
        plan: &[PlannedMigration],
        later: &mut Later,
        done: &mut [Done],
    ) -> Result<(), EngineError> {
        let waiting = std::mem::take(&mut later.unproven);
        let expected: Vec<&Expected> = waiting.iter().map(|(_, expected)| expected).collect();
        let facts = verify::several(self.session.as_mut(), &expected).await?;
        self.survived_verification()?;
        for ((member, _), facts) in waiting.iter().zip(facts) {
            if let Some(migration) = plan.get(*member) {
                self.check_facts(migration, &facts)?;
            }
            if let Some(one) = done.get_mut(*member) {
                one.facts = facts;
            }
        }
        Ok(())
    }

    fn check_facts(
        &self,
        migration: &PlannedMigration,
        facts: &[FactLine],
    ) -> Result<(), EngineError> {
        if facts.iter().any(FactLine::fails) {
            return Err(EngineError::VerifyFailed {
                migration: migration.name.clone(),
                facts: facts.iter().filter(|fact| fact.fails()).cloned().collect(),
                rolled_back: true,
                finished: self.finished_names(),
            });
        }
        Ok(())
    }

    async fn group_member(
        &mut self,
        migration: &PlannedMigration,
        later: &mut Later,
        member: usize,
    ) -> Result<Done, EngineError> {
        let began = Instant::now();
        let mut attempts = Vec::new();
        for step in &migration.script.steps {
            let work =
                StepWork { migration, direction: Direction::Up, step, last: true, began, kept: 0 };
            failpoint::pass("statement.before_first");
            let mut rows = 0;
            for (count, index) in step.statements.clone().enumerate() {
                if count > 0 {
                    failpoint::pass("statement.between");
                }
                self.keep(&work, index).await?;
                rows += self.statement(&work, index).await?;
            }
            failpoint::pass("statement.after_last");
            self.leave_role(migration).await?;
            attempts.push(self.attempt_row(&work, AttemptEvent::Done, Some(rows), None, None));
        }
        let facts = match self.expected_later(migration) {
            Some(expected) => {
                later.unproven.push((member, expected));
                Vec::new()
            }
            None => self.member_facts(migration).await?,
        };
        self.next_member(migration).await?;
        later.attempts.extend(attempts);
        let mut rows = self.finishing_sql(migration, Direction::Up, began).into_iter();
        later.migrations.extend(rows.next());
        later.mirrored.extend(rows);
        Ok(Done { duration_ms: began.elapsed().as_millis(), facts })
    }

    /// What the member must have left, if that can be looked for later.
    fn expected_later(&self, migration: &PlannedMigration) -> Option<Expected> {
        let by_itself = !migration.verify
            || migration.verify_script.is_some()
            || migration.script.changes_session();
        if by_itself {
            return None;
        }
        let expected = verify::expected(migration, self.ledger.dialect);
        (!expected.declares_cascades()).then_some(expected)
    }

    async fn member_facts(
        &mut self,
        migration: &PlannedMigration,
    ) -> Result<Vec<FactLine>, EngineError> {
        if !migration.verify {
            return Ok(Vec::new());
        }
        let facts = verify::after(self.session.as_mut(), self.ledger.dialect, migration).await?;
        self.survived_verification()?;
        self.check_facts(migration, &facts)?;
        Ok(facts)
    }

    /// Ends a member's part of the transaction and begins the next one's.
    async fn next_member(&mut self, migration: &PlannedMigration) -> Result<(), EngineError> {
        let mut sql = vec!["RELEASE SAVEPOINT whimbrel_member"];
        if migration.script.changes_session()
            && let Some(reset) = self.session.reset_in_transaction()
        {
            sql.extend([reset, crate::ledger::path::FOR_TRANSACTION]);
        }
        sql.push(SAVEPOINT);
        self.session.ahead(&sql.join(";\n")).await?;
        if migration.script.changes_session() {
            self.limit_group().await?;
        }
        Ok(())
    }

    async fn undo_member(&mut self) -> Result<(), EngineError> {
        Ok(self.session.batch("ROLLBACK TO SAVEPOINT whimbrel_member").await?)
    }

    async fn roll_back_group(&mut self, error: EngineError) -> GroupEnd {
        rollback(self.session.as_mut()).await;
        GroupEnd::RolledBack(error)
    }

    async fn group_failure(
        &mut self,
        plan: &[PlannedMigration],
        count: usize,
        mut error: EngineError,
    ) -> EngineError {
        let finished = self.finished_names();
        match &mut error {
            EngineError::Statement(failure) => failure.finished = finished,
            EngineError::VerifyFailed { finished: names, .. } => *names = finished,
            _ => {}
        }
        let Some(migration) = plan.get(count) else { return error };
        let Some(step) = migration.script.steps.first() else { return error };
        let work = StepWork {
            migration,
            direction: Direction::Up,
            step,
            last: true,
            began: Instant::now(),
            kept: 0,
        };
        self.record_failure(&work, error).await
    }

    /// Runs the group's migrations again, each in its own transaction.
    async fn one_by_one(
        &mut self,
        plan: &[PlannedMigration],
        reason: EngineError,
    ) -> Result<usize, EngineError> {
        let text = match &reason {
            EngineError::Statement(failure) => failure.error.to_string(),
            other => other.to_string(),
        };
        let state = match lost_connection(&reason) {
            Some(lost) => self.reconnect(&lost, reason).await?,
            None => self.ledger.read(self.session.as_mut()).await?,
        };
        self.events.send(Event::GroupAgain { migrations: plan.len(), reason: text });
        let start = self.position;
        for (index, migration) in plan.iter().enumerate() {
            if self.options.stop.is_set() {
                self.report.interrupted = true;
                return Ok(index);
            }
            if state.is_applied(&migration.name) {
                continue;
            }
            self.position = (start.0 + index, start.1);
            self.started(migration, &state, false);
            self.one(migration, &state, Direction::Up).await?;
        }
        Ok(plan.len())
    }
}

/// Whether the error belongs to one statement of one migration, so that its savepoint undoes it.
fn is_its_own(error: &EngineError) -> bool {
    use crate::backend::DbErrorKind::{Permission, Statement};
    match error {
        EngineError::Statement(failure) => {
            matches!(failure.error.kind, Statement | Permission)
                && !super::again::wants_no_transaction(error)
        }
        EngineError::VerifyFailed { .. } => true,
        _ => false,
    }
}
