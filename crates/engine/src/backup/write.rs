//! Writing a backup: the parts in chunks, then contents, keys, manifest and signature.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use whimbrel_core::backup::{
    CHUNK_BYTES, CONTENTS, Contents, FileEntry, Manifest, Part, RowsOf, Sealed, chunk_name,
    part_and_number, part_chunk_name,
};

use super::folder::Scratch;
use super::keys::{DataKey, Signer};
use super::seal::Sealer;
use super::store::{Draft, MANIFEST, Put, at, open};
use super::{BackupOptions, BackupPlace};
use crate::backend::Session;
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::Ledger;

/// Chunks that are sealed at the same time, at most; each takes about three times its size.
const WORKERS_MAX: usize = 4;

/// A backup in the making.
pub(crate) struct Writer {
    draft: Box<dyn Draft>,
    place: BackupPlace,
    signer: Signer,
    sealer: Arc<Sealer>,
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
        let (id, draft) = open(place)?.begin(now_ms)?;
        failpoint::pass("backup.begun");
        let sealed = if key.is_some() { Sealed::Age } else { Sealed::None };
        let mut manifest = Manifest::new(&id, sealed);
        manifest.created_ms = now_ms;
        let keep_ms = i64::try_from(options.keep.as_millis()).unwrap_or(i64::MAX);
        manifest.expires_ms = now_ms.saturating_add(keep_ms);
        let putter = draft.putter();
        for (file, bytes) in keys {
            manifest.keys.push(putter.put(file, &bytes)?);
        }
        let (place, sealer) = (place.clone(), Arc::new(Sealer { id, key }));
        Ok(Writer { draft, place, signer, sealer, manifest, parts: Vec::new() })
    }

    /// Notes which database this is, as its ledger says; the applied migrations.
    pub(crate) async fn identify(
        &mut self,
        ledger: Ledger,
        session: &mut dyn Session,
    ) -> Result<Vec<String>, EngineError> {
        let Some(identity) = ledger.identity(session).await? else { return Ok(Vec::new()) };
        self.manifest.environment = identity.environment;
        self.manifest.database_id = Some(identity.database_id);
        let state = ledger.read(session).await?;
        Ok(state.applied().map(|one| one.row.name.clone()).collect())
    }

    /// A place for the copy of the database.
    pub(crate) fn scratch(&self) -> Result<Scratch, EngineError> {
        self.draft.scratch()
    }

    /// Writes the file at `path` as the part `name`, in chunks.
    pub(crate) fn part(&mut self, name: &str, path: &Path) -> Result<(), EngineError> {
        let mut file = std::fs::File::open(path).map_err(at(path))?;
        let mut part = Part { name: name.to_owned(), rows: None, chunks: 0, bytes: 0 };
        let workers = thread::available_parallelism().map_or(1, |n| n.get().min(WORKERS_MAX));
        self.place.meter.begin(file.metadata().map_or(0, |meta| meta.len()));
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
            pieces.iter().for_each(|piece| self.place.meter.add(piece.len()));
        }
        self.manifest.data_bytes += part.bytes;
        self.parts.push(part);
        Ok(())
    }

    /// Writes a text as the next of several parts.
    pub(crate) fn text(&mut self, name: &str, text: &[u8]) -> Result<(), EngineError> {
        let (chunks, index) = (self.chunk_writer(), self.parts.len() + 1);
        let mut entries = Vec::new();
        for (number, piece) in text.chunks(CHUNK_BYTES).enumerate() {
            self.place.go_on()?;
            entries.push(chunks.write((index, number + 1), piece)?);
        }
        self.add_part(name, None, entries, text.len() as u64);
        Ok(())
    }

    /// Adds a part whose chunks are written, as the next of several.
    pub(crate) fn add_part(
        &mut self,
        name: &str,
        rows: Option<RowsOf>,
        chunks: Vec<FileEntry>,
        bytes: u64,
    ) {
        let count = chunks.len() as u64;
        self.manifest.data_bytes += bytes;
        self.manifest.chunks.extend(chunks);
        self.parts.push(Part { name: name.to_owned(), rows, chunks: count, bytes });
    }

    /// How many parts there are so far.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// What writes chunks of several parts, on any thread. It must be gone before the writer is.
    pub(crate) fn chunk_writer(&self) -> ChunkWriter {
        ChunkWriter {
            putter: self.draft.putter().into(),
            sealer: Arc::clone(&self.sealer),
            suffix: self.manifest.sealed.suffix(),
        }
    }

    /// Seals and writes some pieces at the same time.
    fn chunks(&mut self, pieces: &[Vec<u8>]) -> Result<(), EngineError> {
        let first = self.manifest.chunks.len() + 1;
        let writer = &self.chunk_writer();
        let written: Vec<_> = thread::scope(|scope| {
            let pieces = pieces.iter().enumerate();
            let running: Vec<_> = pieces
                .map(|(index, piece)| {
                    scope.spawn(move || writer.put(&chunk_name(first + index), piece))
                })
                .collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for entry in written {
            let lost = || std::io::Error::other("The thread that wrote a chunk is gone");
            self.manifest.chunks.push(entry.map_err(|_| at(Path::new("chunks"))(lost()))??);
        }
        Ok(())
    }

    /// Writes the rest and gives the backup its name.
    pub(crate) fn finish(
        mut self,
        contents: Contents,
    ) -> Result<(Manifest, Contents), EngineError> {
        let contents = Contents { parts: self.parts, ..contents };
        let mut chunks = std::mem::take(&mut self.manifest.chunks);
        // Those of one part have no such names and stay as they are.
        chunks.sort_by_cached_key(|chunk| part_and_number(self.manifest.place_of(chunk)));
        self.manifest.chunks = chunks;
        let file = self.manifest.contents.file.clone();
        let sealed = self.sealer.seal(CONTENTS, &contents.to_bytes());
        let putter = self.draft.putter();
        let entry: FileEntry = putter.put(&file, &sealed.map_err(at(Path::new(&file)))?)?;
        self.manifest.contents = entry;
        let manifest = self.manifest.to_bytes();
        putter.write(MANIFEST, &manifest)?;
        failpoint::pass("backup.manifest");
        self.draft.commit(&self.signer.sign(&manifest).to_bytes())?;
        failpoint::pass("backup.after_rename");
        Ok((self.manifest, contents))
    }
}

/// Writes chunks of several parts.
#[derive(Clone)]
pub(crate) struct ChunkWriter {
    putter: Arc<dyn Put>,
    sealer: Arc<Sealer>,
    suffix: &'static str,
}

impl ChunkWriter {
    /// Seals a chunk, given its part and its number there, and writes it to the disk.
    pub(crate) fn write(
        &self,
        (part, number): (usize, usize),
        bytes: &[u8],
    ) -> Result<FileEntry, EngineError> {
        self.put(&part_chunk_name(part, number), bytes)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<FileEntry, EngineError> {
        let file = format!("chunks/{name}{}", self.suffix);
        let sealed = self.sealer.seal(name, bytes).map_err(at(Path::new(&file)))?;
        failpoint::pass("backup.chunk");
        self.putter.put(&file, &sealed)
    }
}
