//! Statements that a pooler's shared sessions cannot take: found before anything runs.

use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::pooled::{NeedsSession, refusals};
use whimbrel_core::sql::dialect::Dialect;

use super::Project;
use crate::backend::Session;
use crate::error::{EngineError, Problem};

impl Project {
    /// Refuses a plan with statements that need a session of their own, where the connection does
    /// not keep one.
    pub(super) async fn check_pooled(
        &self,
        plan: &[PlannedMigration],
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        if self.ledger.dialect != Dialect::Postgres {
            return Ok(());
        }
        let found: Vec<(&PlannedMigration, NeedsSession)> = plan
            .iter()
            .flat_map(|one| refusals(&one.script).into_iter().map(move |need| (one, need)))
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        let Some(pooler) = session.facts().await?.pooled else { return Ok(()) };
        let problems = found.iter().map(|(one, need)| problem(one, need, &pooler)).collect();
        Err(EngineError::Files(problems))
    }
}

fn problem(migration: &PlannedMigration, need: &NeedsSession, pooler: &str) -> Problem {
    let script = &migration.script;
    let verb = script.infos.get(need.statement).map_or("", |info| info.verb.as_str());
    let place = script.statements.get(need.statement);
    let direct = format!("connect to the server itself: {pooler}");
    Problem {
        path: migration.path.clone(),
        place: place.map(|one| (one.line + migration.lines_before, one.column)),
        message: format!(
            "`{verb}` cannot run through this pooler: it {}; nothing was changed",
            need.reason
        ),
        hint: Some(match need.instead {
            Some(instead) => format!("Write `{instead}`, or {direct}"),
            None => format!("For this migration, {direct}"),
        }),
    }
}
