//! What restores in place on a server have left: put in order, or removed.

use whimbrel_core::backup::{Phase, RestoreJournal};
use whimbrel_core::sql::dialect::Dialect;

use super::TakeBack;
use crate::backup::{Apart, Archive, BackupPlace, Journaled, RestoreOptions};
use crate::error::EngineError;
use crate::owner::Owner;
use crate::project::Project;
use crate::project::backup::now_ms;

/// A restore by a process of which nobody knows is taken for dead after so long, in milliseconds.
/// Should it live all the same, it finds its database gone and changes nothing.
const UNKNOWN_MS_MAX: i64 = 24 * 3_600 * 1_000;

impl Project {
    /// Looks after what dead processes have left: a database that has taken the place stays, one
    /// that has not is dropped. The run that had already done what is now asked for, if one had.
    pub(super) async fn sweep(
        &self,
        backup: &str,
        takes_back: Option<&str>,
    ) -> Result<Option<String>, EngineError> {
        let mut finished = None;
        for one in self.restores_here()? {
            let journal = &one.journal;
            if journal.phase == Phase::Done || !self.is_dead(journal) {
                continue;
            }
            let mut session = self.connect().await?;
            if !self.was_replaced(session.as_mut(), &journal.run_id).await? {
                drop(session);
                self.clean(one).await?;
                continue;
            }
            drop(session);
            if journal.backup == backup && journal.takes_back.as_deref() == takes_back {
                finished = Some(journal.run_id.clone());
            }
            self.finish(one).await?;
        }
        Ok(finished)
    }

    fn is_dead(&self, journal: &RestoreJournal) -> bool {
        let owner = Owner {
            actor: String::new(),
            host: journal.host.clone(),
            boot_id: journal.boot_id.clone(),
            pid: journal.pid,
            process_start: journal.process_start.clone(),
        };
        let here = owner.host == self.owner.host && owner.boot_id == self.owner.boot_id;
        let old = now_ms().saturating_sub(journal.began_ms) > UNKNOWN_MS_MAX;
        self.owner.knows_dead(&owner) || (!here && old)
    }

    /// Drops what was made for a restore that did not take place, and forgets it.
    pub(super) async fn clean(&self, one: Journaled) -> Result<(), EngineError> {
        self.open_again(&one.journal, false).await?;
        self.drop_made(&one.journal).await?;
        one.remove()
    }

    /// Ends a restore that took place: what was made for it and is not needed any more goes, and
    /// so does the journal of the one that it takes back.
    pub(super) async fn finish(&self, mut one: Journaled) -> Result<(), EngineError> {
        self.open_again(&one.journal, true).await?;
        one.set(Phase::Done)?;
        self.drop_made(&one.journal).await?;
        for other in self.restores_here()? {
            if one.journal.takes_back.as_ref() == Some(&other.journal.run_id) {
                // The database that it kept has the place now; on MariaDB its tables have.
                if self.dialect() == Dialect::Mysql {
                    let place = self.own_place();
                    self.server(&place).drop_database(&other.journal.kept_as).await?;
                }
                other.remove()?;
            }
        }
        Ok(())
    }

    /// Drops the database beside, and the copy. One that has taken the place has another name.
    async fn drop_made(&self, journal: &RestoreJournal) -> Result<(), EngineError> {
        let place = self.own_place();
        let side = self.server(&place);
        for name in [journal.made.clone(), super::server::copy_of(&journal.made)] {
            side.drop_database(&name).await?;
        }
        Ok(())
    }

    /// The way back from the last restore of the backup `id` on a server.
    pub(super) async fn take_back_on_server(
        &self,
        archive: Archive,
        place: &BackupPlace,
        options: &RestoreOptions,
    ) -> Result<TakeBack, EngineError> {
        let id = archive.manifest.id.clone();
        let mut restores = self.restores_here()?;
        let mut removed = false;
        while let Some(last) = restores.pop() {
            let journal = &last.journal;
            if journal.backup != id {
                break;
            }
            let mut session = self.connect().await?;
            let replaced = self.was_replaced(session.as_mut(), &journal.run_id).await?;
            drop(session);
            if journal.phase != Phase::Done && !self.is_dead(journal) {
                let message = format!("The process {} is at it", journal.pid);
                return Err(EngineError::Refused(message));
            }
            if !replaced {
                let was_back = journal.takes_back.is_some();
                self.clean(last).await?;
                removed = true;
                if was_back {
                    // It was interrupted; the restore that it was to take back comes next.
                    continue;
                }
                return Ok(TakeBack::Untouched);
            }
            if journal.phase != Phase::Done && journal.takes_back.is_some() {
                let run_id = journal.run_id.clone();
                self.finish(last).await?;
                return Ok(TakeBack::Finished(run_id));
            }
            let apart = Apart::default();
            let plan = self.plan_on_server(archive, place, options, apart, Some(last)).await?;
            return Ok(TakeBack::Plan(Box::new(plan)));
        }
        if removed {
            return Ok(TakeBack::Untouched);
        }
        Err(super::no_such_restore(&id))
    }

    /// Whether the database is one of a server.
    pub(in crate::project) fn is_on_server(&self) -> bool {
        self.dialect() != Dialect::Sqlite
    }
}
