//! Reading a backup, after everything about it was checked.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use whimbrel_core::backup::{
    BackupId, CHUNK_BYTES, CONTENTS, CONTENTS_BYTES_MAX, Contents, Damage, FileEntry, Manifest,
    Sealed, Verified,
};

use super::folder::{FolderStore, FolderStored, Scratch};
use super::keys::{DataKey, OpenWith, Signer, check_signature, is_signed, pinned};
use super::seal::Sealer;
use super::store::{MANIFEST, SIGNATURE, Stored, at, open, room_for, write_private};
use super::{BackupLine, BackupPlace};
use crate::error::EngineError;

/// How many backups are looked at at the same time.
const LOOKS_MAX: usize = 8;

/// A backup whose signature and manifest are good.
pub(crate) struct Archive {
    id: BackupId,
    stored: Box<dyn Stored>,
    /// The copy on this machine, where the backup itself lies elsewhere.
    near: Option<(FolderStored, Scratch)>,
    place: BackupPlace,
    /// What it says of itself.
    pub(crate) manifest: Manifest,
}

/// What is there, oldest first. `now_ms` says what has expired.
pub(crate) fn state(
    root: &Path,
    place: &BackupPlace,
    now_ms: i64,
) -> Result<Vec<BackupLine>, EngineError> {
    let store = open(place)?;
    let ids = store.ids()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let pinned = pinned(root, place.signer.as_deref())?;
    let line = |id: BackupId| {
        let missing = || Damage::Missing { file: MANIFEST.to_owned() };
        let stored = store.find(&id)?.ok_or_else(missing);
        let stored = stored.as_deref().map_err(Clone::clone);
        let manifest = stored.clone().and_then(|stored| read(stored, &id, &pinned));
        let expired = manifest.as_ref().is_ok_and(|one| one.expires_ms <= now_ms);
        let verified_ms = match (&manifest, stored) {
            (Ok(manifest), Ok(stored)) => verified(stored, manifest, &pinned),
            _ => None,
        };
        Ok(BackupLine { id: id.to_string(), manifest, expired, verified_ms })
    };
    at_once(ids, LOOKS_MAX, line).into_iter().collect()
}

fn read(stored: &dyn Stored, id: &BackupId, pinned: &[u8; 32]) -> Result<Manifest, Damage> {
    let manifest = stored.head(MANIFEST)?;
    check_signature(&manifest, &stored.head(SIGNATURE)?, pinned)?;
    Manifest::parse(&manifest, id)
}

/// When a backup was restored and compared, if its mark says so and is signed.
fn verified(stored: &dyn Stored, manifest: &Manifest, pinned: &[u8; 32]) -> Option<i64> {
    let (mark, signature) = Verified::parse(&stored.mark()?)?;
    let of_it = mark.manifest == sha256(manifest);
    (of_it && is_signed(&mark.signed_bytes(), &signature, pinned)).then_some(mark.at_ms)
}

fn sha256(manifest: &Manifest) -> [u8; 32] {
    // The manifest was only read in the form in which it is written.
    Sha256::digest(manifest.to_bytes()).into()
}

impl Archive {
    /// Notes beside the backup that it was restored and compared at `at_ms`. False where the
    /// project's secret key is not here, or is not the one that is trusted.
    pub(crate) fn mark_verified(&self, root: &Path, at_ms: i64) -> Result<bool, EngineError> {
        let pinned = pinned(root, self.place.signer.as_deref())?;
        let signer = Signer::existing(root)?.filter(|signer| signer.public() == pinned);
        let Some(signer) = signer else { return Ok(false) };
        let mark = Verified { at_ms, manifest: sha256(&self.manifest) };
        let signature = signer.sign_bytes(&mark.signed_bytes());
        self.stored.put_mark(&mark.to_bytes(&signature))?;
        Ok(true)
    }

    /// Copies it into the folder `to`, checked; where the copy lies.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<PathBuf, EngineError> {
        self.check_files()?;
        FolderStore::at(to).copy(self.files(), self.stored.mark(), &self.id, &self.manifest)
    }

    /// Where it lies.
    pub(crate) fn location(&self) -> String {
        self.place.location(self.id.as_str())
    }

    /// The same with all its files on this machine, as is needed where they are read more than
    /// once. What lies elsewhere is checked on the way here.
    pub(crate) fn bring(mut self) -> Result<Archive, EngineError> {
        if self.stored.is_near() {
            return Ok(self);
        }
        room_for(self.manifest.stored_bytes(), &self.place.folder)?;
        let scratch = self.scratch()?;
        let near = scratch.for_backup()?;
        self.none(self.manifest.compare(&self.stored.files(&self.manifest, Some(near.folder()))?))?;
        write_private(&scratch.file(SIGNATURE), &self.one(self.stored.head(SIGNATURE))?)?;
        self.near = Some((near, scratch));
        Ok(self)
    }

    /// Where its files are read.
    fn files(&self) -> &dyn Stored {
        self.near.as_ref().map_or(self.stored.as_ref(), |(near, _)| near)
    }

    /// Finds a backup and checks signature and manifest.
    pub(crate) fn find(root: &Path, place: &BackupPlace, id: &str) -> Result<Archive, EngineError> {
        let id = BackupId::parse(id).ok_or_else(|| none_like(id, place))?;
        let stored = open(place)?.find(&id)?.ok_or_else(|| none_like(id.as_str(), place))?;
        let pinned = pinned(root, place.signer.as_deref())?;
        match read(stored.as_ref(), &id, &pinned) {
            Ok(manifest) => Ok(Archive { id, stored, near: None, place: place.clone(), manifest }),
            Err(damage) => Err(damaged(&id, vec![damage])),
        }
    }

    /// Checks length and hash of every file; needs no key.
    pub(crate) fn check_files(&self) -> Result<(), EngineError> {
        self.none(self.manifest.compare(&self.files().files(&self.manifest, None)?))
    }

    /// Checks and opens everything; the data is read to its end and thrown away.
    pub(crate) fn check(&self, with: &OpenWith) -> Result<Contents, EngineError> {
        self.check_files()?;
        let sealer = self.sealer(with)?;
        let contents = self.contents(&sealer)?;
        self.data(&sealer, |_| Ok(()))?;
        Ok(contents)
    }

    /// What it holds.
    pub(crate) fn open(&self, with: &OpenWith) -> Result<Contents, EngineError> {
        self.contents(&self.sealer(with)?)
    }

    /// Writes the data into a new file, after the hashes of all files were checked.
    pub(crate) fn extract(
        &self,
        with: &OpenWith,
        file: &mut std::fs::File,
        path: &Path,
    ) -> Result<Contents, EngineError> {
        self.check_files()?;
        let sealer = self.sealer(with)?;
        let contents = self.contents(&sealer)?;
        self.data(&sealer, |bytes| file.write_all(bytes).map_err(at(path)))?;
        file.sync_all().map_err(at(path))?;
        Ok(contents)
    }

    /// A folder for a restore that is thrown away.
    pub(crate) fn scratch(&self) -> Result<Scratch, EngineError> {
        FolderStore::at(&self.place.folder).scratch()
    }

    /// The error that names what is wrong; none when nothing is.
    pub(crate) fn none(&self, damage: Vec<Damage>) -> Result<(), EngineError> {
        if damage.is_empty() { Ok(()) } else { Err(damaged(&self.id, damage)) }
    }

    fn one<T>(&self, result: Result<T, Damage>) -> Result<T, EngineError> {
        result.map_err(|damage| damaged(&self.id, vec![damage]))
    }

    fn open_chunk(&self, sealer: &Sealer, entry: &FileEntry) -> Result<Vec<u8>, Damage> {
        let sealed = self.files().get(entry)?;
        sealer.open((&entry.file, self.manifest.place_of(entry)), sealed, CHUNK_BYTES as u64)
    }

    /// The data of one chunk.
    pub(crate) fn chunk(&self, sealer: &Sealer, entry: &FileEntry) -> Result<Vec<u8>, EngineError> {
        self.one(self.open_chunk(sealer, entry))
    }

    /// All data of the part `part`, from 1, where there are several.
    pub(crate) fn part(&self, sealer: &Sealer, part: usize) -> Result<Vec<u8>, EngineError> {
        let mut out = Vec::new();
        for entry in self.manifest.chunks_of(part) {
            out.extend(self.chunk(sealer, entry)?);
        }
        Ok(out)
    }

    /// The key that opens the chunks, and what it holds.
    pub(crate) fn unlock(&self, with: &OpenWith) -> Result<(Sealer, Contents), EngineError> {
        let sealer = self.sealer(with)?;
        let contents = self.contents(&sealer)?;
        Ok((sealer, contents))
    }

    fn sealer(&self, with: &OpenWith) -> Result<Sealer, EngineError> {
        let id = self.id.clone();
        if self.manifest.sealed == Sealed::None {
            return Ok(Sealer { id, key: None });
        }
        for entry in &self.manifest.keys {
            let sealed = self.one(self.files().get(entry))?;
            let key = DataKey::unwrap(&entry.file, &sealed, with);
            if key.is_some() {
                return Ok(Sealer { id, key });
            }
        }
        let given = !with.is_nothing();
        Err(EngineError::BackupKey { id: id.to_string(), given })
    }

    fn contents(&self, sealer: &Sealer) -> Result<Contents, EngineError> {
        let entry = &self.manifest.contents;
        let sealed = self.one(self.files().get(entry))?;
        let plain = sealer.open((&entry.file, CONTENTS), sealed, CONTENTS_BYTES_MAX);
        let (chunks, bytes) = (self.manifest.chunks.len(), self.manifest.data_bytes);
        let contents = self.one(Contents::parse(&self.one(plain)?, chunks, bytes))?;
        self.one(contents.fits(&self.manifest))?;
        Ok(contents)
    }

    /// Gives out the data, chunk by chunk. All chunks that cannot be opened are named.
    fn data(
        &self,
        sealer: &Sealer,
        mut take: impl FnMut(&[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let (mut damage, mut length) = (Vec::new(), 0u64);
        for entry in &self.manifest.chunks {
            self.place.go_on()?;
            match self.open_chunk(sealer, entry) {
                Ok(bytes) if damage.is_empty() => {
                    length += bytes.len() as u64;
                    take(&bytes)?;
                }
                Ok(_) => {}
                Err(one) => damage.push(one),
            }
        }
        let expected = self.manifest.data_bytes;
        if damage.is_empty() && length != expected {
            let reason = format!("they hold {length} bytes in place of {expected}");
            damage.push(Damage::Contents { reason });
        }
        self.none(damage)
    }
}

fn none_like(id: &str, place: &BackupPlace) -> EngineError {
    EngineError::NotFound(format!("There is no backup `{id}` in {}", place.shown()))
}

/// Does something with each of `all`, some at the same time; the results in the same order.
fn at_once<T: Send, R: Send>(all: Vec<T>, some: usize, act: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (mut all, mut results, act) = (all.into_iter().peekable(), Vec::new(), &act);
    while all.peek().is_some() {
        let few: Vec<T> = all.by_ref().take(some).collect();
        std::thread::scope(|scope| {
            let running: Vec<_> =
                few.into_iter().map(|one| scope.spawn(move || act(one))).collect();
            results.extend(running.into_iter().filter_map(|one| one.join().ok()));
        });
    }
    results
}

fn damaged(id: &BackupId, damage: Vec<Damage>) -> EngineError {
    EngineError::BackupDamaged { id: id.to_string(), damage }
}
