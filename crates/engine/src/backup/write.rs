//! Writing a backup: the parts in chunks, then contents, keys, manifest and signature.

use std::io::Read;
use std::path::Path;
use std::thread;

use whimbrel_core::backup::{
    CHUNK_BYTES, CONTENTS, Contents, FileEntry, Manifest, Part, Sealed, chunk_name,
};

use super::keys::{DataKey, Signer};
use super::seal::Sealer;
use super::store::{Draft, FolderStore, MANIFEST, SIGNATURE, Scratch, at};
use super::{BackupOptions, BackupPlace};
use crate::error::EngineError;
use crate::failpoint;

/// Chunks that are sealed at the same time, at most; each takes about three times its size.
const WORKERS_MAX: usize = 4;

/// A backup in the making.
pub(crate) struct Writer {
    draft: Draft,
    place: BackupPlace,
    signer: Signer,
    sealer: Sealer,
    /// What is to be said of it; chunks come with [`Writer::part`].
    pub(crate) manifest: Manifest,
    parts: Vec<Part>,
}

impl Writer {
    /// Begins a backup at `now_ms`, signed by the key of the project at `root`.
    pub(crate) fn begin(
        root: &Path,
        place: &BackupPlace,
        options: &BackupOptions,
        now_ms: i64,
    ) -> Result<Writer, EngineError> {
        if options.seal_for.is_nobody() && !options.unencrypted {
            return Err(EngineError::BackupUnsealed);
        }
        let key = (!options.unencrypted).then(DataKey::generate);
        let keys = match &key {
            Some(key) => key.wrap(&options.seal_for)?,
            None => Vec::new(),
        };
        let signer = Signer::of(root)?;
        let (id, draft) = FolderStore::at(&place.folder).begin(now_ms)?;
        failpoint::pass("backup.begun");
        let sealed = if key.is_some() { Sealed::Age } else { Sealed::None };
        let mut manifest = Manifest::new(&id, sealed);
        manifest.created_ms = now_ms;
        let keep_ms = i64::try_from(options.keep.as_millis()).unwrap_or(i64::MAX);
        manifest.expires_ms = now_ms.saturating_add(keep_ms);
        for (file, bytes) in keys {
            manifest.keys.push(draft.put(file, &bytes)?);
        }
        let (place, sealer) = (place.clone(), Sealer { id, key });
        Ok(Writer { draft, place, signer, sealer, manifest, parts: Vec::new() })
    }

    /// A place for the copy of the database.
    pub(crate) fn scratch(&self) -> Result<Scratch, EngineError> {
        self.draft.scratch()
    }

    /// Writes the file at `path` as the part `name`, in chunks.
    pub(crate) fn part(&mut self, name: &str, path: &Path) -> Result<(), EngineError> {
        let mut file = std::fs::File::open(path).map_err(at(path))?;
        let mut part = Part { name: name.to_owned(), chunks: 0, bytes: 0 };
        let workers = thread::available_parallelism().map_or(1, |n| n.get().min(WORKERS_MAX));
        loop {
            self.place.go_on()?;
            let mut pieces = Vec::with_capacity(workers);
            while pieces.len() < workers {
                let mut piece = Vec::with_capacity(CHUNK_BYTES);
                let mut limited = file.by_ref().take(CHUNK_BYTES as u64);
                limited.read_to_end(&mut piece).map_err(at(path))?;
                if piece.is_empty() {
                    break;
                }
                pieces.push(piece);
            }
            if pieces.is_empty() {
                break;
            }
            part.chunks += pieces.len() as u64;
            part.bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
            self.chunks(&pieces)?;
        }
        self.manifest.data_bytes += part.bytes;
        self.parts.push(part);
        Ok(())
    }

    /// Seals some pieces at the same time and writes them one after the other.
    fn chunks(&mut self, pieces: &[Vec<u8>]) -> Result<(), EngineError> {
        let first = self.manifest.chunks.len() + 1;
        let sealer = &self.sealer;
        let sealed: Vec<_> = thread::scope(|scope| {
            let pieces = pieces.iter().enumerate();
            let running: Vec<_> = pieces
                .map(|(index, piece)| {
                    let name = chunk_name(first + index);
                    scope.spawn(move || sealer.seal(&name, piece))
                })
                .collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for (index, sealed) in sealed.into_iter().enumerate() {
            let file = self.manifest.chunk_file(first + index);
            let lost = || std::io::Error::other("The thread that sealed it is gone");
            let bytes = sealed.unwrap_or_else(|_| Err(lost())).map_err(at(Path::new(&file)))?;
            failpoint::pass("backup.chunk");
            self.manifest.chunks.push(self.draft.put(&file, &bytes)?);
        }
        Ok(())
    }

    /// Writes the rest and gives the backup its name.
    pub(crate) fn finish(
        mut self,
        contents: Contents,
    ) -> Result<(Manifest, Contents), EngineError> {
        let contents = Contents { parts: self.parts, ..contents };
        let file = self.manifest.contents.file.clone();
        let sealed = self.sealer.seal(CONTENTS, &contents.to_bytes());
        let entry: FileEntry = self.draft.put(&file, &sealed.map_err(at(Path::new(&file)))?)?;
        self.manifest.contents = entry;
        let manifest = self.manifest.to_bytes();
        self.draft.put(MANIFEST, &manifest)?;
        failpoint::pass("backup.manifest");
        self.draft.put(SIGNATURE, &self.signer.sign(&manifest).to_bytes())?;
        failpoint::pass("backup.before_rename");
        self.draft.commit()?;
        failpoint::pass("backup.after_rename");
        Ok((self.manifest, contents))
    }
}
