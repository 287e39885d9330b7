//! `backup prune` and `backup download`.

use std::path::{Path, PathBuf};

use whimbrel_core::backup::Manifest;

use super::Project;
use super::backup::now_ms;
use crate::backup::{
    Archive, BackupLine, BackupPlace, PrunePlan, RestoreOptions, clean, plan_prune, remove,
};
use crate::error::EngineError;

impl Project {
    /// Which backups may go: those that have expired, but never the newest `keep_count` (at least
    /// one) verified ones of a database. Changes nothing.
    ///
    /// # Errors
    /// When the folder cannot be read, or nobody knows whose signature counts.
    pub fn plan_prune(
        &self,
        place: &BackupPlace,
        keep_count: u64,
    ) -> Result<PrunePlan, EngineError> {
        let lines = self.backups(place)?;
        plan_prune(&lines, place, keep_count, now_ms())
    }

    /// Removes what `plan` says, as far as it still may go. Returns what could not be noted in the
    /// ledger.
    ///
    /// # Errors
    /// When a folder cannot be removed; what was removed before stays removed.
    pub async fn prune(
        &self,
        place: &BackupPlace,
        keep_count: u64,
        plan: &PrunePlan,
    ) -> Result<Vec<String>, EngineError> {
        let mut notes = Vec::new();
        let now = self.plan_prune(place, keep_count)?;
        let wanted = now.backups.iter().filter(|one| plan.backups.iter().any(|b| b.id == one.id));
        for manifest in wanted {
            place.go_on()?;
            remove(place, &manifest.id)?;
            let location = place.location(&manifest.id);
            notes.extend(self.note_backup(manifest, "pruned", &location, None).await);
        }
        clean(place, &plan.remains)?;
        Ok(notes)
    }

    /// Refuses a backup that has expired, unless that may be. The last good one never does.
    pub(super) fn not_expired(
        &self,
        manifest: &Manifest,
        place: &BackupPlace,
        options: &RestoreOptions,
    ) -> Result<(), EngineError> {
        if manifest.expires_ms > now_ms() || options.expired {
            return Ok(());
        }
        let lines = self.backups(place)?;
        let verified = |line: &BackupLine| line.id == manifest.id && line.verified_ms.is_some();
        let goes = plan_prune(&lines, place, 1, now_ms())?.backups;
        let is_last_good =
            lines.iter().any(verified) && goes.iter().all(|one| one.id != manifest.id);
        match is_last_good {
            true => Ok(()),
            false => Err(EngineError::BackupExpired { id: manifest.id.clone() }),
        }
    }

    /// Copies a backup into the folder `to`, each file checked on the way; where the copy lies.
    ///
    /// # Errors
    /// When it is not there, not as it was made, or cannot be written.
    pub fn backup_download(
        &self,
        place: &BackupPlace,
        id: &str,
        to: &Path,
    ) -> Result<PathBuf, EngineError> {
        Archive::find(&self.options.root, place, id)?.bring()?.copy_to(to)
    }
}
