//! Backups in an object store (`docs/formats/backup.md`, "In an object store").
//!
//! Nothing can be renamed there. A backup is there when its signature is, which comes last; as long
//! as there is a mark `unfinished` and no signature, it is being written or removed, or was.

mod client;
mod requests;
mod stored;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use object_store::Error;
use serde::{Deserialize, Serialize};
use whimbrel_core::backup::BackupId;

use self::client::{Client, LIMITS};
use self::requests::State;
use self::stored::BucketStored;
use super::folder::{FolderStore, Scratch};
use super::store::{Draft, Put, SIGNATURE, Store, Stored};
use super::{BackupPlace, BackupStore};
use crate::error::EngineError;
use crate::failpoint;
use crate::owner::Owner;

/// The mark of a backup that is being written or removed.
const UNFINISHED: &str = "unfinished";
/// Most bytes of that mark.
const UNFINISHED_BYTES_MAX: u64 = 4 * 1024;
/// What nobody has written into for so long is a remain, though its owner is unknown. Longer than
/// any step of a backup takes.
const REMAIN_AGE_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// An object store with backups.
pub(super) struct BucketStore {
    client: Client,
    /// Where copies lie while they are worked on.
    local: PathBuf,
}

/// Who writes a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Writing {
    host: String,
    boot_id: String,
    pid: u32,
    process_start: String,
    /// Differs each time, so that a writer knows its own mark.
    #[serde(default)]
    nonce: String,
}

impl BucketStore {
    /// Prepares for requests; sends none.
    pub(super) fn open(
        store: &BackupStore,
        place: &BackupPlace,
    ) -> Result<BucketStore, EngineError> {
        let client = Client::new(store, LIMITS, place.stop.clone())?;
        Ok(BucketStore { client, local: place.folder.clone() })
    }

    /// Every id of which something is there, oldest first, with its state.
    fn states(&self) -> Result<Vec<(BackupId, State)>, EngineError> {
        self.client.ask(Client::states)
    }

    /// Whether nobody writes or removes it any more: its process is known to be dead, or nothing
    /// was written for long.
    fn is_remain(&self, id: &BackupId) -> Result<bool, EngineError> {
        let writing = self.stored(id).read(UNFINISHED, UNFINISHED_BYTES_MAX).ok();
        let owner = writing.and_then(|bytes| serde_json::from_slice::<Writing>(&bytes).ok());
        let is_dead = |one: Writing| {
            let Writing { host, boot_id, pid, process_start, .. } = one;
            let owner = Owner { actor: String::new(), host, boot_id, pid, process_start };
            Owner::this_process("").knows_dead(&owner)
        };
        if owner.is_some_and(is_dead) {
            return Ok(true);
        }
        let objects = self.client.objects(id)?;
        let last = objects.iter().map(|one| SystemTime::from(one.last_modified)).max();
        let age = last.and_then(|last| last.elapsed().ok());
        Ok(age.is_some_and(|age| age >= REMAIN_AGE_MIN))
    }

    fn stored(&self, id: &BackupId) -> BucketStored {
        BucketStored { client: self.client.clone(), id: id.clone() }
    }

    /// Marks a backup as this process's own; false if somebody has it already.
    fn claim(&self, id: &BackupId) -> Result<bool, EngineError> {
        if !self.client.objects(id)?.is_empty() {
            return Ok(false);
        }
        match self.client.create(id, UNFINISHED, &writing())? {
            Ok(()) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.client.failed(&error)),
        }
    }
}

/// The mark that this process writes.
fn writing() -> Vec<u8> {
    let Owner { host, boot_id, pid, process_start, .. } = Owner::this_process("");
    // Texts and a number only: there is nothing that could fail.
    let nonce = uuid::Uuid::new_v4().to_string();
    serde_json::to_vec(&Writing { host, boot_id, pid, process_start, nonce }).unwrap_or_default()
}

impl Store for BucketStore {
    fn ids(&self) -> Result<Vec<BackupId>, EngineError> {
        let states = self.states()?.into_iter();
        Ok(states.filter(|(_, state)| *state == State::Listed).map(|(id, _)| id).collect())
    }

    fn find(&self, id: &BackupId) -> Result<Option<Box<dyn Stored>>, EngineError> {
        let is_there = self.client.is_there(&self.client.path_of(id, SIGNATURE))? || {
            let (objects, mark) = (self.client.objects(id)?, self.client.path_of(id, UNFINISHED));
            !objects.is_empty() && objects.iter().all(|one| one.location != mark)
        };
        Ok(is_there.then(|| -> Box<dyn Stored> { Box::new(self.stored(id)) }))
    }

    fn begin(&self, now_ms: i64) -> Result<(BackupId, Box<dyn Draft>), EngineError> {
        for ms in now_ms..now_ms.saturating_add(1_000) {
            let id = BackupId::at(ms);
            if self.claim(&id)? {
                let (client, local) = (self.client.clone(), self.local.clone());
                let draft = BucketDraft { client, local, id: id.clone(), done: false };
                return Ok((id, Box::new(draft)));
            }
        }
        Err(EngineError::Refused(format!("No free name for a backup in {}", self.client.url)))
    }

    fn remains(&self) -> Result<Vec<String>, EngineError> {
        let mut remains = Vec::new();
        for (id, state) in self.states()? {
            if state == State::Unfinished && self.is_remain(&id)? {
                remains.push(self.client.url.of(id.as_str()));
            }
        }
        remains.extend(Store::remains(&FolderStore::at(&self.local))?);
        Ok(remains)
    }

    fn clean(&self, remain: &str) -> Result<(), EngineError> {
        let id = remain.rsplit_once('/').and_then(|(_, name)| BackupId::parse(name));
        let Some(id) = id.filter(|id| self.client.url.of(id.as_str()) == remain) else {
            return FolderStore::at(&self.local).clean(remain);
        };
        // Somebody may have come for it since.
        let asked = id.clone();
        let state = self.client.ask(|client| async move { client.state(&asked).await })?;
        if state == State::Unfinished && self.is_remain(&id)? {
            self.client.remove(&id)?;
        }
        Ok(())
    }

    fn remove(&self, id: &BackupId) -> Result<(), EngineError> {
        // With it, what a killed process leaves is a remain and no damaged backup.
        self.client.write(id, UNFINISHED, &writing())?;
        self.client.remove(id)
    }
}

/// A backup that is being written.
struct BucketDraft {
    client: Client,
    local: PathBuf,
    id: BackupId,
    done: bool,
}

impl Draft for BucketDraft {
    fn scratch(&self) -> Result<Scratch, EngineError> {
        FolderStore::at(&self.local).scratch()
    }

    fn putter(&self) -> Box<dyn Put> {
        Box::new(BucketPut { client: self.client.clone(), id: self.id.clone() })
    }

    fn commit(mut self: Box<Self>, signature: &[u8]) -> Result<(), EngineError> {
        failpoint::pass("backup.before_rename");
        let client = self.client.clone();
        let mark = client.path_of(&self.id, UNFINISHED);
        if !client.is_there(&mark)? {
            let message = format!(
                "Somebody has removed what was written of `{}`, as nobody wrote for long",
                self.id
            );
            return Err(EngineError::Refused(message));
        }
        let created = client.create(&self.id, SIGNATURE, signature)?;
        created.map_err(|error| client.failed(&error))?;
        self.done = true;
        failpoint::pass("backup.published");
        // The backup is there all the same if this fails.
        let _ = client.try_ask(|client| async move { client.delete(mark).await })?;
        Ok(())
    }
}

impl Drop for BucketDraft {
    fn drop(&mut self) {
        if !self.done {
            // What this does not reach is found by `prune`.
            let _ = self.client.to_the_end().remove(&self.id);
        }
    }
}

struct BucketPut {
    client: Client,
    id: BackupId,
}

impl Put for BucketPut {
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        self.client.write(&self.id, name, bytes)
    }
}
