//! The databases that restores in place have replaced: kept until `purge`.

use std::path::PathBuf;

use whimbrel_core::backup::Phase;
use whimbrel_core::sql::dialect::Dialect;

use super::Project;
use super::status::KeptDatabase;
use crate::backend::Session;
use crate::backup::{away, interrupted, replacing};
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
            let (mut kept, mut bytes) = (one.kept(), Some(one.kept_bytes()));
            if self.is_on_server() {
                kept = PathBuf::from(&journal.kept_as);
                bytes = self.size_of(session, &journal.kept_as).await?;
            }
            if bytes.is_none() && journal.phase == Phase::Done {
                // Somebody has dropped it.
                continue;
            }
            out.push(KeptDatabase {
                run_id: journal.run_id.clone(),
                backup: journal.backup.clone(),
                began_ms: journal.began_ms,
                interrupted: journal.phase != Phase::Done,
                replaced: replaced || journal.phase == Phase::Done,
                kept,
                bytes: bytes.unwrap_or(0),
            });
        }
        Ok(out)
    }

    /// Refuses a database of a server that a restore is filling, or has left half filled.
    pub(super) async fn refuse_restoring(
        &self,
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        match self.restoring(session).await? {
            Some((id, true)) => Err(away(&id)),
            Some((id, false)) => Err(EngineError::RestoreInterrupted { label: self.label(), id }),
            None => Ok(()),
        }
    }

    /// The backup of which a restore is filling the database, or has left it half filled; and
    /// whether it takes the place of what was there.
    pub(super) async fn restoring(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<(String, bool)>, EngineError> {
        if let Some((id, _)) = interrupted(session, self.dialect()).await? {
            return Ok(Some((id, false)));
        }
        match self.dialect() {
            Dialect::Mysql => Ok(replacing(session).await?.map(|id| (id, true))),
            Dialect::Postgres | Dialect::Sqlite => Ok(None),
        }
    }

    /// Removes the database that a restore in place has replaced; it cannot be taken back any more.
    ///
    /// # Errors
    /// When its files cannot be removed, or the server does not drop it.
    pub(super) async fn remove_replaced(&self, run_id: &str) -> Result<(), EngineError> {
        for one in self.restores_here()? {
            if one.journal.run_id == run_id && one.journal.phase == Phase::Done {
                if self.is_on_server() {
                    let place = self.own_place();
                    self.server(&place).drop_database(&one.journal.kept_as).await?;
                }
                one.remove()?;
            }
        }
        Ok(())
    }
}
