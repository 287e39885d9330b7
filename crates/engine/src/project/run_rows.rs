//! What a run says of itself in the ledger.

use super::Project;
use super::up::Run;
use crate::error::EngineError;
use crate::ledger::RunEntry;

impl Project {
    /// Whether the connection was lost because another run has taken the lease: whoever does that
    /// ends the session of the one before.
    pub(super) async fn is_taken_over(&self, run: &mut Run) -> bool {
        let Ok(session) = self.backend.connect().await else { return false };
        run.session = session;
        let moved = run.lease.move_to(self.backend.as_ref(), run.session.as_mut()).await;
        matches!(moved, Err(EngineError::LeaseLost))
    }

    pub(super) async fn run_row(
        &self,
        run: &mut Run,
        event: &str,
        outcome: Option<&str>,
        detail: &str,
    ) -> Result<(), EngineError> {
        let sql = self.ledger.run_sql(&RunEntry {
            run_id: &run.lease.run_id,
            event,
            verb: run.verb,
            outcome,
            actor: &self.owner.actor,
            detail,
            token: run.lease.token,
        });
        Ok(run.session.batch(&sql).await?)
    }

    /// The name of the other tool's history table, which does not count as a user's table.
    pub(super) fn other_tables(&self) -> Option<String> {
        use whimbrel_core::history::HistoryTable;
        match self.options.history.as_ref()? {
            HistoryTable::Wrangler { table } => Some(table.clone()),
            HistoryTable::Supabase => None,
        }
    }
}
