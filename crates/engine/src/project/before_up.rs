//! The backup before `up`: made, proven, and noted before anything is applied.

use super::Project;
use super::up::Run;
use crate::backend::DbErrorKind;
use crate::backup::{BackupBefore, BackupOptions, BackupWhat, OpenWith, for_once};
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::lease::Keeper;

impl BackupBefore {
    /// Refuses to begin without a key; a passphrase is one too.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        if self.seal_for.is_nobody() { Err(EngineError::BackupBeforeUp) } else { Ok(()) }
    }
}

impl Project {
    /// Saves the database for `run`, restores what was saved into a scratch database, compares all
    /// rows, and throws that away. A database without tables has nothing to be saved.
    ///
    /// # Errors
    /// When any of it fails; nothing was applied then.
    pub(super) async fn back_up_before(
        &self,
        run: &mut Run,
        before: &BackupBefore,
        events: &mut dyn Events,
    ) -> Result<Option<String>, EngineError> {
        if run.fresh {
            return Ok(None);
        }
        run.lease.renew(run.session.as_mut()).await?;
        let keeper = self.backend.file().map(|file| Keeper::start(&run.lease, file));
        let by = Some((run.lease.run_id.clone(), run.lease.token));
        // The secret keys are elsewhere. A key that lives as long as this proof opens it, too.
        let (public, secret) = for_once();
        let mut seal_for = before.seal_for.clone();
        seal_for.recipients.push(public);
        let options = BackupOptions {
            seal_for,
            unencrypted: false,
            keep: before.keep,
            what: BackupWhat::default(),
            run: by.clone(),
        };
        let report = self.backup_create(&before.place, &options).await?;
        let id = report.manifest.id.clone();
        noted(report.note)?;
        let with = OpenWith { identities: vec![secret], passphrase: None };
        let proof = self.verify_for(&before.place, &id, (&with, true), by.as_ref()).await;
        let unproven = match proof {
            Ok(report) => {
                noted(report.note)?;
                None
            }
            // A scratch database may not be made here. Every chunk can still be opened.
            Err(EngineError::Database(error)) if error.kind == DbErrorKind::Permission => {
                self.verify_for(&before.place, &id, (&with, false), by.as_ref()).await?;
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        drop(keeper);
        run.lease.renew(run.session.as_mut()).await?;
        let (bytes, expires_ms) = (report.manifest.stored_bytes(), report.manifest.expires_ms);
        events.send(Event::BackedUp { id: id.clone(), bytes, expires_ms, unproven });
        Ok(Some(id))
    }
}

/// A run whose backup nobody can find later has none.
fn noted(note: Option<String>) -> Result<(), EngineError> {
    note.map_or(Ok(()), |note| {
        Err(EngineError::Refused(format!("The backup was made, but {note}")))
    })
}
