//! What the ledger and the backups themselves say of backups that were made.

use std::path::Path;

use whimbrel_core::backup::Manifest;

use super::Project;
use super::backup::now_ms;
use super::up::Run;
use crate::backup::Archive;
use crate::error::EngineError;
use crate::ledger::BackupEntry;

impl Project {
    /// Writes into the ledger what happened to a backup of this database, outside of a run. A
    /// database without a ledger, or another one, has no row. Returns why it could not be written.
    pub(super) async fn note_backup(
        &self,
        manifest: &Manifest,
        event: &str,
        location: &Path,
    ) -> Option<String> {
        let noted = self.note_backup_of(manifest, event, location).await;
        noted.err().map(|error| format!("the ledger does not say that it was {event}: {error}"))
    }

    async fn note_backup_of(
        &self,
        manifest: &Manifest,
        event: &str,
        location: &Path,
    ) -> Result<(), EngineError> {
        let Some(mut session) = self.connect_to_read().await? else { return Ok(()) };
        let identity = self.ledger.identity(session.as_mut()).await?;
        if identity.is_none_or(|one| manifest.database_id.as_ref() != Some(&one.database_id)) {
            return Ok(());
        }
        self.ledger.ensure(session.as_mut(), &self.options.environment).await?;
        let sql = self.backup_row(manifest, event, location, None);
        Ok(session.batch(&sql).await?)
    }

    /// The SQL of a row about a backup; `run` is the run that did it.
    pub(super) fn backup_row(
        &self,
        manifest: &Manifest,
        event: &str,
        location: &Path,
        run: Option<&Run>,
    ) -> String {
        self.ledger.backup_sql(&BackupEntry {
            backup_id: &manifest.id,
            run_id: run.map_or("", |run| &run.lease.run_id),
            event,
            bytes: manifest.stored_bytes(),
            location: &location.display().to_string(),
            actor: &self.owner.actor,
            token: run.map_or(0, |run| run.lease.token),
        })
    }

    /// Notes that a backup was restored and compared: beside it, and in the ledger.
    pub(super) async fn note_verified(&self, archive: &Archive) -> Option<String> {
        match archive.mark_verified(&self.options.root, now_ms()) {
            Ok(true) => self.note_backup(&archive.manifest, "verified", archive.folder()).await,
            Ok(false) => Some(
                "it is not marked as verified, as the project's secret key is not here \
                 (.whimbrel/signing.key)"
                    .to_owned(),
            ),
            Err(error) => Some(format!("it is not marked as verified: {error}")),
        }
    }
}
