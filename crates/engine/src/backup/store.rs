//! Where backups lie: what a folder and an object store have in common, and files of this machine.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use whimbrel_core::backup::{
    BackupId, Damage, FileEntry, FoundFile, MANIFEST_BYTES_MAX, Manifest, VERIFIED_BYTES_MAX,
    to_hex,
};

use super::BackupPlace;
#[cfg(feature = "buckets")]
use super::bucket::BucketStore;
use super::folder::{FolderStore, Scratch};
use crate::backend::sqlite::free_bytes;
use crate::error::EngineError;

/// What the names of unfinished backups begin with.
pub(super) const DRAFT_PREFIX: &str = ".tmp-";
/// The manifest and its signature.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SIGNATURE: &str = "manifest.sig";
/// The mark that says when it was restored and compared; it comes later than the rest.
pub(super) const VERIFIED: &str = "verified";
/// A SQLite database, and what SQLite lays beside it.
const SIDE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// Bytes that are read at once for a hash.
const READ_BYTES: usize = 128 * 1024;

/// Every file of a backup but its manifest and what is not named there, with length and hash.
pub(super) type Found = BTreeMap<String, FoundFile>;

/// A place with backups.
pub(super) trait Store: Send + Sync {
    /// The backups that are there, oldest first. A place that is missing has none.
    fn ids(&self) -> Result<Vec<BackupId>, EngineError>;

    /// A backup that is there.
    fn find(&self, id: &BackupId) -> Result<Option<Box<dyn Stored>>, EngineError>;

    /// Begins a backup at `now_ms`; the id is the first one from there that is free.
    fn begin(&self, now_ms: i64) -> Result<(BackupId, Box<dyn Draft>), EngineError>;

    /// Where unfinished work lies that nobody works on any more.
    fn remains(&self) -> Result<Vec<String>, EngineError>;

    /// Removes one of those.
    fn clean(&self, remain: &str) -> Result<(), EngineError>;

    /// Removes a backup; no half of it is ever listed.
    fn remove(&self, id: &BackupId) -> Result<(), EngineError>;
}

/// A backup in its place.
pub(super) trait Stored: Send + Sync {
    /// The bytes of a file that has at most so many.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Damage>;

    /// Every file that is there but the manifest and its signature, with length and hash. With a
    /// folder, those that the manifest names are copied into it.
    fn files(&self, manifest: &Manifest, to: Option<&Path>) -> Result<Found, EngineError>;

    /// Writes the mark; an older one goes.
    fn put_mark(&self, bytes: &[u8]) -> Result<(), EngineError>;

    /// Whether reading it again costs no more than the disk.
    fn is_near(&self) -> bool;

    /// The manifest, or its signature.
    fn head(&self, file: &str) -> Result<Vec<u8>, Damage> {
        self.read(file, MANIFEST_BYTES_MAX)
    }

    /// The mark, if there is one.
    fn mark(&self) -> Option<Vec<u8>> {
        self.read(VERIFIED, VERIFIED_BYTES_MAX).ok()
    }

    /// The bytes of a file, which are those that the manifest names.
    fn get(&self, entry: &FileEntry) -> Result<Vec<u8>, Damage> {
        let bytes = self.read(&entry.file, entry.bytes)?;
        if to_hex(&Sha256::digest(&bytes)) != entry.sha256 {
            return Err(Damage::Bytes { file: entry.file.clone() });
        }
        Ok(bytes)
    }
}

/// A backup that is being written. Dropped before its end, it is gone.
pub(super) trait Draft: Send + Sync {
    /// A folder of this machine for the copy of the database.
    fn scratch(&self) -> Result<Scratch, EngineError>;

    /// What writes files of it, on any thread.
    fn putter(&self) -> Box<dyn Put>;

    /// Writes the signature, and with that the backup is there.
    fn commit(self: Box<Self>, signature: &[u8]) -> Result<(), EngineError>;
}

/// Writes files of a backup.
pub(super) trait Put: Send + Sync {
    /// Writes a file so that it stays.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EngineError>;

    /// The same; what the manifest says of it.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<FileEntry, EngineError> {
        self.write(name, bytes)?;
        let sha256 = to_hex(&Sha256::digest(bytes));
        Ok(FileEntry { file: name.to_owned(), bytes: bytes.len() as u64, sha256 })
    }
}

/// The store of a place.
pub(super) fn open(place: &BackupPlace) -> Result<Box<dyn Store>, EngineError> {
    match &place.store {
        #[cfg(feature = "buckets")]
        Some(store) => Ok(Box::new(BucketStore::open(store, place)?)),
        #[cfg(not(feature = "buckets"))]
        Some(store) => Err(EngineError::Refused(format!(
            "This program was built without `buckets`, and cannot reach {}",
            store.url
        ))),
        None => Ok(Box::new(FolderStore::at(&place.folder))),
    }
}

/// A database that is being restored, beside the place where it is to lie.
pub(crate) struct Restoring {
    path: PathBuf,
    target: PathBuf,
}

impl Restoring {
    /// Begins to restore into the file `target`, which must not be there.
    pub(crate) fn begin(target: &Path) -> Result<(Restoring, File), EngineError> {
        if let Some(there) = database_files(target).find(|path| path.exists()) {
            let message = format!(
                "{} is there already; a backup is restored into a new file",
                there.display()
            );
            return Err(EngineError::Refused(message));
        }
        let path = with_suffix(target, ".restoring");
        if path.exists() {
            let message = format!(
                "{} is there: another restore is at it, or was interrupted; remove the file if \
                 none is",
                path.display()
            );
            return Err(EngineError::Refused(message));
        }
        let file = create_private(&path)?;
        Ok((Restoring { path, target: target.to_owned() }, file))
    }

    /// Where it lies until then.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it to the disk and gives it its name, unless somebody else has taken that.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(at(&self.path))?;
        fs::hard_link(&self.path, &self.target).map_err(at(&self.target))?;
        match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
            _ => sync_folder(Path::new(".")),
        }
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        for file in database_files(&self.path) {
            let _ = fs::remove_file(file);
        }
    }
}

/// The file of a SQLite database and those that SQLite lays beside it.
pub(crate) fn database_files(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    SIDE_FILES.iter().map(|side| with_suffix(path, side))
}

/// `path` with something at the end of its name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Refuses what will not fit on the disk of `place`.
pub(crate) fn room_for(bytes: u64, place: &Path) -> Result<(), EngineError> {
    match free_bytes(place) {
        Some(free) if free < bytes => {
            let place = place.display();
            let message = format!("{bytes} bytes are needed at {place}, and {free} are free");
            Err(EngineError::Refused(message))
        }
        _ => Ok(()),
    }
}

/// Length and SHA-256 of a file.
pub(super) fn hash(path: &Path) -> io::Result<(u64, String)> {
    let mut file = open_plain(path)?;
    let (mut hash, mut length) = (Sha256::new(), 0u64);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((length, to_hex(&hash.finalize())));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        length += read as u64;
    }
}

/// Opens a file that is one, and not a link to somewhere else.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    File::open(path)
}

/// An error with its path.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> EngineError + use<> {
    let path = path.to_owned();
    move |error| EngineError::File { path, error }
}

/// Makes a folder, with those above it, that only its owner may look into.
pub(super) fn make_private_folder(folder: &Path) -> Result<(), EngineError> {
    private_folder(true).create(folder).map_err(at(folder))
}

pub(super) fn private_folder(recursive: bool) -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(recursive);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// A new file that only its owner may read; one that is there already is never touched.
pub(crate) fn create_private(path: &Path) -> Result<File, EngineError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(at(path))
}

/// Writes a new private file to the disk.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let mut file = create_private(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))
}

/// Writes a private file to the disk in the place of another, if there is one: whoever reads it
/// finds the one or the other.
pub(super) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let new = with_suffix(path, ".new");
    // What a killed process may have left.
    let _ = fs::remove_file(&new);
    write_private(&new, bytes)?;
    fs::rename(&new, path).map_err(at(path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes the names in a folder to the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), EngineError> {
    #[cfg(unix)]
    File::open(folder).and_then(|file| file.sync_all()).map_err(at(folder))?;
    Ok(())
}
