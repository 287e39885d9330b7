//! What the ledger and the backups themselves say of backups that were made.

use whimbrel_core::backup::Manifest;

use super::backup::now_ms;
use super::{BackupsLine, LastBackup, Project};
use crate::apply::StopFlag;
use crate::backend::{Row, Session};
use crate::backup::{Archive, BackupLine, BackupPlace, Meter};
use crate::error::EngineError;
use crate::ledger::{BackupEntry, Identity, text};

impl Project {
    /// Writes into the ledger what happened to a backup of this database, and which run did it. A
    /// database without a ledger, or another one, has no row. Returns why it was not written.
    pub(super) async fn note_backup(
        &self,
        manifest: &Manifest,
        event: &str,
        location: &str,
        run: Option<&(String, i64)>,
    ) -> Option<String> {
        let noted = self.note_backup_of(manifest, event, location, run).await;
        noted.err().map(|error| format!("the ledger does not say that it was {event}: {error}"))
    }

    async fn note_backup_of(
        &self,
        manifest: &Manifest,
        event: &str,
        location: &str,
        run: Option<&(String, i64)>,
    ) -> Result<(), EngineError> {
        let Some(mut session) = self.connect_to_read().await? else { return Ok(()) };
        let identity = self.ledger.identity(session.as_mut()).await?;
        if identity.is_none_or(|one| manifest.database_id.as_ref() != Some(&one.database_id)) {
            return Ok(());
        }
        self.ledger.ensure(session.as_mut(), &self.options.environment).await?;
        let sql = self.backup_row(manifest, event, location, run);
        Ok(session.batch(&sql).await?)
    }

    /// The SQL of a row about a backup; `run` is the run that did it.
    pub(super) fn backup_row(
        &self,
        manifest: &Manifest,
        event: &str,
        location: &str,
        run: Option<&(String, i64)>,
    ) -> String {
        self.ledger.backup_sql(&BackupEntry {
            backup_id: &manifest.id,
            run_id: run.map_or("", |(run_id, _)| run_id),
            event,
            bytes: manifest.stored_bytes(),
            location,
            actor: &self.owner.actor,
            token: run.map_or(0, |(_, token)| *token),
        })
    }

    /// Where the settings say that backups lie.
    pub(super) fn own_place(&self) -> BackupPlace {
        BackupPlace {
            folder: self.options.backups.clone(),
            store: self.options.backup_store.clone(),
            signer: None,
            stop: StopFlag::default(),
            meter: Meter::default(),
        }
    }

    /// The backups of this database, as `status` shows them. No key is needed but the public one
    /// that signs them.
    pub(super) async fn backups_line(
        &self,
        session: &mut dyn Session,
        identity: &Identity,
    ) -> Result<BackupsLine, EngineError> {
        let place = self.own_place();
        let lines = match self.backups(&place) {
            Ok(lines) => lines,
            Err(error) => {
                let problem = Some(error.to_string());
                return Ok(BackupsLine { problem, ..BackupsLine::default() });
            }
        };
        let of_it = |line: &&BackupLine| {
            let id = line.manifest.as_ref().ok().map(|one| one.database_id.as_ref());
            id.is_none_or(|id| id == Some(&identity.database_id))
        };
        let lines: Vec<&BackupLine> = lines.iter().filter(of_it).collect();
        let good = || lines.iter().filter_map(|line| Some((line, line.manifest.as_ref().ok()?)));
        let last = good().next_back().map(|(line, manifest)| LastBackup {
            id: line.id.clone(),
            created_ms: manifest.created_ms,
            verified_ms: line.verified_ms,
            expires_ms: manifest.expires_ms,
        });
        let mut rollback = None;
        if identity.has_backups() {
            let sql = format!(
                "SELECT run_id, backup_id FROM {} WHERE event = 'created' AND run_id <> '' \
                 ORDER BY seq DESC",
                self.ledger.table("backups")
            );
            let rows = session.query(&sql).await?;
            let there = |row: &&Row| good().any(|(one, _)| one.id == text(row, 1) && !one.expired);
            rollback = rows.iter().find(there).map(|row| (text(row, 0), text(row, 1)));
        }
        let bytes = good().map(|(_, manifest)| manifest.stored_bytes()).sum();
        Ok(BackupsLine { count: lines.len(), bytes, last, rollback, problem: None })
    }

    /// Notes that a backup was restored and compared: beside it, and in the ledger.
    pub(super) async fn note_verified(
        &self,
        archive: &Archive,
        run: Option<&(String, i64)>,
    ) -> Option<String> {
        match archive.mark_verified(&self.options.root, now_ms()) {
            Ok(true) => {
                let manifest = &archive.manifest;
                self.note_backup(manifest, "verified", &archive.location(), run).await
            }
            Ok(false) => Some(
                "it is not marked as verified, as the project's secret key is not here \
                 (.whimbrel/signing.key)"
                    .to_owned(),
            ),
            Err(error) => Some(format!("it is not marked as verified: {error}")),
        }
    }
}
