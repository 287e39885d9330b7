//! The journals of restores in place: what they say, and what the database says of them.

use whimbrel_core::backup::{Manifest, Phase, RestoreJournal};

use super::InPlacePlan;
use crate::backend::Session;
use crate::backup::Journaled;
use crate::error::EngineError;
use crate::project::Project;
use crate::project::backup::now_ms;
use crate::project::up::Run;

impl Project {
    /// Restores of this database, oldest first.
    pub(in crate::project) fn restores_here(&self) -> Result<Vec<Journaled>, EngineError> {
        let here = self.full_label();
        let mut all = Journaled::all(&self.options.root)?;
        all.retain(|one| one.journal.database == here);
        Ok(all)
    }

    /// The database's file, however it was named.
    pub(super) fn full_label(&self) -> String {
        let file = self.backend.file().and_then(|file| std::fs::canonicalize(file).ok());
        file.map_or_else(|| self.label(), |file| file.display().to_string())
    }

    /// Whether the database is the one that the run `run_id` has put here: it holds its end.
    pub(in crate::project) async fn was_replaced(
        &self,
        session: &mut dyn Session,
        run_id: &str,
    ) -> Result<bool, EngineError> {
        let sql = format!(
            "SELECT 1 FROM {} WHERE run_id = {} AND event = 'end' AND outcome = 'done'",
            self.ledger.table("runs"),
            self.ledger.quote(run_id)
        );
        Ok(!session.query(&sql).await?.is_empty())
    }

    /// Brings the journals of interrupted restores into order. We hold the lease and the lock, so
    /// none of them goes on.
    pub(super) async fn settle(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        for mut one in self.restores_here()? {
            if one.journal.phase == Phase::Done {
                continue;
            }
            match self.was_replaced(session, &one.journal.run_id).await? {
                true => one.set(Phase::Done)?,
                false => one.remove()?,
            }
        }
        Ok(())
    }

    pub(super) fn journal(&self, run: &Run, plan: &InPlacePlan) -> Result<Journaled, EngineError> {
        let takes_back = plan.takes_back.clone();
        let journal = self.journal_of(&run.lease.run_id, &plan.manifest, takes_back);
        Journaled::begin(&self.options.root, journal)
    }

    /// The journal of a restore that begins, by this process.
    pub(super) fn journal_of(
        &self,
        run_id: &str,
        manifest: &Manifest,
        takes_back: Option<String>,
    ) -> RestoreJournal {
        let database_id = manifest.database_id.clone().unwrap_or_default();
        let label = self.full_label();
        let mut journal = RestoreJournal::begin(run_id, &manifest.id, &database_id, &label);
        journal.takes_back = takes_back;
        journal.began_ms = now_ms();
        journal.host = self.owner.host.clone();
        journal.boot_id = self.owner.boot_id.clone();
        journal.pid = self.owner.pid;
        journal.process_start = self.owner.process_start.clone();
        journal
    }
}
