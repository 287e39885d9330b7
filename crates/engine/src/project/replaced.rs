//! The databases that restores in place have replaced: kept until `purge`.

use whimbrel_core::backup::Phase;

use super::Project;
use super::status::KeptDatabase;
use crate::backend::Session;
use crate::error::EngineError;

impl Project {
    /// The restores in place of this database that somebody should know of: those that keep the
    /// replaced database, and those that were interrupted.
    ///
    /// # Errors
    /// When a journal or the ledger cannot be read.
    pub(super) async fn restores(
        &self,
        session: &mut dyn Session,
    ) -> Result<Vec<KeptDatabase>, EngineError> {
        let mut out = Vec::new();
        for one in self.restores_here()? {
            let journal = &one.journal;
            let replaced = self.was_replaced(session, &journal.run_id).await?;
            out.push(KeptDatabase {
                run_id: journal.run_id.clone(),
                backup: journal.backup.clone(),
                began_ms: journal.began_ms,
                interrupted: journal.phase != Phase::Done,
                replaced: replaced || journal.phase == Phase::Done,
                kept: one.kept(),
                bytes: one.kept_bytes(),
            });
        }
        Ok(out)
    }

    /// Removes the database that a restore in place has replaced; it cannot be taken back any more.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub(super) fn remove_replaced(&self, run_id: &str) -> Result<(), EngineError> {
        for one in self.restores_here()? {
            if one.journal.run_id == run_id && one.journal.phase == Phase::Done {
                one.remove()?;
            }
        }
        Ok(())
    }
}
