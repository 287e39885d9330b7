//! Backups in a folder of this machine.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use whimbrel_core::backup::{
    BackupId, Damage, FileEntry, FoundFile, MANIFEST_BYTES_MAX, Manifest, VERIFIED_BYTES_MAX,
    to_hex,
};

use crate::error::EngineError;
use crate::failpoint;

/// What the names of unfinished backups begin with.
pub(super) const DRAFT_PREFIX: &str = ".tmp-";
/// A folder without a living owner is a remain when nothing was written into it for so long.
const REMAIN_AGE_MIN: Duration = Duration::from_secs(60);
/// Where the copy of the database lies while it is cut into chunks.
const SCRATCH: &str = "scratch";
/// The manifest and its signature.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SIGNATURE: &str = "manifest.sig";
/// The mark that says when it was restored and compared; it comes later than the rest.
const VERIFIED: &str = "verified";
/// The one folder inside of a backup.
const CHUNKS: &str = "chunks";
/// A SQLite database, and what SQLite lays beside it.
const SIDE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];
/// Bytes that are read at once for a hash.
const READ_BYTES: usize = 128 * 1024;

/// A folder of backups.
pub(super) struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    pub(super) fn at(root: &Path) -> FolderStore {
        FolderStore { root: root.to_owned() }
    }

    /// The backups that are there, oldest first. A folder that is missing has none.
    pub(super) fn ids(&self) -> Result<Vec<BackupId>, EngineError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at(&self.root))?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(at(&self.root))?.file_name();
            ids.extend(name.to_str().and_then(BackupId::parse));
        }
        ids.sort();
        Ok(ids)
    }

    /// A backup that is there.
    pub(super) fn find(&self, id: &BackupId) -> Option<Stored> {
        let folder = self.root.join(id.as_str());
        let is_folder = fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir());
        is_folder.then_some(Stored { folder })
    }

    /// Begins a backup at `now_ms`; the id is the first one from there that is free.
    pub(super) fn begin(&self, now_ms: i64) -> Result<(BackupId, Draft), EngineError> {
        make_private_folder(&self.root)?;
        for ms in now_ms..now_ms.saturating_add(1_000) {
            let id = BackupId::at(ms);
            let folder = self.root.join(format!("{DRAFT_PREFIX}{id}"));
            let target = self.root.join(id.as_str());
            if target.exists() {
                continue;
            }
            match private_folder(false).create(&folder) {
                Ok(()) => {
                    make_private_folder(&folder.join(CHUNKS))?;
                    let root = self.root.clone();
                    let _held = hold(&folder);
                    let draft = Draft { _held, folder, target, root, done: false };
                    return Ok((id, draft));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&folder)(error)),
            }
        }
        let message = format!("No free name for a backup in {}", self.root.display());
        Err(EngineError::Refused(message))
    }

    /// What killed processes have left: folders of unfinished work that no process holds.
    pub(super) fn remains(&self) -> Result<Vec<PathBuf>, EngineError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at(&self.root))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&self.root))?;
            let draft = entry.file_name().to_string_lossy().starts_with(DRAFT_PREFIX);
            if draft && is_remain(&entry.path()) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes a backup. It loses its name at once, so that no half of it is ever listed.
    pub(super) fn remove(&self, id: &BackupId) -> Result<(), EngineError> {
        let (folder, gone) =
            (self.root.join(id.as_str()), self.root.join(format!("{DRAFT_PREFIX}pruned-{id}")));
        fs::rename(&folder, &gone).map_err(at(&folder))?;
        sync_folder(&self.root)?;
        failpoint::pass("prune.renamed");
        fs::remove_dir_all(&gone).map_err(at(&gone))
    }

    /// Copies a backup whose files are good into this folder: each is read, its hash compared, and
    /// what was compared is written.
    pub(super) fn copy(
        &self,
        from: &Stored,
        id: &BackupId,
        manifest: &Manifest,
    ) -> Result<PathBuf, EngineError> {
        make_private_folder(&self.root)?;
        let target = self.root.join(id.as_str());
        if target.exists() {
            let message = format!("{} is there already", target.display());
            return Err(EngineError::Refused(message));
        }
        let folder = self.root.join(format!("{DRAFT_PREFIX}{}", uuid::Uuid::new_v4()));
        private_folder(false).create(&folder).map_err(at(&folder))?;
        make_private_folder(&folder.join(CHUNKS))?;
        let root = self.root.clone();
        let draft = Draft { _held: hold(&folder), folder, target, root, done: false };
        let damaged = |one| EngineError::BackupDamaged { id: id.to_string(), damage: vec![one] };
        for entry in manifest.files() {
            draft.put(&entry.file, &from.get(entry).map_err(damaged)?)?;
        }
        draft.put(MANIFEST, &manifest.to_bytes())?;
        draft.put(SIGNATURE, &from.head(SIGNATURE).map_err(damaged)?)?;
        if let Some(mark) = from.mark() {
            draft.put(VERIFIED, &mark)?;
        }
        draft.commit()?;
        Ok(self.root.join(id.as_str()))
    }

    /// A folder for a restore that is thrown away; nobody takes it for a backup.
    pub(super) fn scratch(&self) -> Result<Scratch, EngineError> {
        make_private_folder(&self.root)?;
        let folder = self.root.join(format!("{DRAFT_PREFIX}{}", uuid::Uuid::new_v4()));
        private_folder(false).create(&folder).map_err(at(&folder))?;
        Ok(Scratch { _held: hold(&folder), folder })
    }
}

/// Marks a folder as one that a living process works in: a lock that ends with the process.
fn hold(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    file.try_lock().is_ok().then_some(file)
}

/// Whether nobody works in a folder any more: it is old enough, and no process holds it.
fn is_remain(folder: &Path) -> bool {
    let age = fs::metadata(folder).and_then(|meta| meta.modified()).map(|at| at.elapsed());
    matches!(age, Ok(Ok(age)) if age >= REMAIN_AGE_MIN) && hold(folder).is_some()
}

/// A folder that goes with its value.
pub(crate) struct Scratch {
    folder: PathBuf,
    _held: Option<File>,
}

impl Scratch {
    /// A new, empty file in it that only its owner may read.
    pub(crate) fn private(&self, name: &str) -> Result<PathBuf, EngineError> {
        let path = self.file(name);
        create_private(&path).map(|_| path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A backup that is being written. Dropped before its end, it is gone.
pub(super) struct Draft {
    folder: PathBuf,
    target: PathBuf,
    root: PathBuf,
    done: bool,
    _held: Option<File>,
}

impl Draft {
    /// A folder inside for the copy of the database.
    pub(super) fn scratch(&self) -> Result<Scratch, EngineError> {
        let folder = self.folder.join(SCRATCH);
        make_private_folder(&folder)?;
        Ok(Scratch { folder, _held: None })
    }

    /// Writes a file to the disk.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<FileEntry, EngineError> {
        self.putter().put(name, bytes)
    }

    /// What writes files of it, on any thread.
    pub(super) fn putter(&self) -> Putter {
        Putter { folder: self.folder.clone() }
    }

    /// Gives the backup its name.
    pub(super) fn commit(mut self) -> Result<(), EngineError> {
        sync_folder(&self.folder.join(CHUNKS))?;
        sync_folder(&self.folder)?;
        fs::rename(&self.folder, &self.target).map_err(at(&self.target))?;
        self.done = true;
        sync_folder(&self.root)
    }
}

/// Writes files into the folder of a backup.
#[derive(Clone)]
pub(super) struct Putter {
    folder: PathBuf,
}

impl Putter {
    /// Writes a file to the disk.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<FileEntry, EngineError> {
        write_private(&self.folder.join(name), bytes)?;
        let sha256 = to_hex(&Sha256::digest(bytes));
        Ok(FileEntry { file: name.to_owned(), bytes: bytes.len() as u64, sha256 })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.folder);
        }
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

/// A backup in its folder.
pub(super) struct Stored {
    folder: PathBuf,
}

impl Stored {
    /// The manifest, or its signature.
    pub(super) fn head(&self, file: &str) -> Result<Vec<u8>, Damage> {
        self.read(file, MANIFEST_BYTES_MAX)
    }

    /// The mark, if there is one.
    pub(super) fn mark(&self) -> Option<Vec<u8>> {
        self.read(VERIFIED, VERIFIED_BYTES_MAX).ok()
    }

    /// Writes the mark; an older one goes.
    pub(super) fn put_mark(&self, bytes: &[u8]) -> Result<(), EngineError> {
        replace_private(&self.folder.join(VERIFIED), bytes)
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bytes of a file, which are those that the manifest names.
    pub(super) fn get(&self, entry: &FileEntry) -> Result<Vec<u8>, Damage> {
        let bytes = self.read(&entry.file, entry.bytes)?;
        if to_hex(&Sha256::digest(&bytes)) != entry.sha256 {
            return Err(Damage::Bytes { file: entry.file.clone() });
        }
        Ok(bytes)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Damage> {
        let file = || name.to_owned();
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            open_plain(&self.folder.join(name))?
                .take(bytes_max.saturating_add(1))
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) if bytes.len() as u64 > bytes_max => {
                let found = bytes.len() as u64;
                Err(Damage::Length { file: file(), expected: bytes_max, found })
            }
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Damage::Missing { file: file() })
            }
            Err(error) => Err(Damage::Unreadable { file: file(), reason: error.to_string() }),
        }
    }

    /// Every file that is there but the manifest and its signature, with length and hash.
    pub(super) fn files(&self) -> Result<BTreeMap<String, FoundFile>, EngineError> {
        let mut found = BTreeMap::new();
        for (folder, prefix) in [(self.folder.clone(), ""), (self.folder.join(CHUNKS), "chunks/")] {
            let is_folder = fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir());
            if !is_folder {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(at(&folder))? {
                let entry = entry.map_err(at(&folder))?;
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                let is_folder = entry.file_type().map_err(at(&folder))?.is_dir();
                if [MANIFEST, SIGNATURE, VERIFIED].contains(&&*name)
                    || (name == CHUNKS && is_folder)
                {
                    continue;
                }
                let hashed = hash(&entry.path()).map_err(|error| error.to_string());
                found.insert(name, hashed);
            }
        }
        Ok(found)
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
fn open_plain(path: &Path) -> io::Result<File> {
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

fn private_folder(recursive: bool) -> DirBuilder {
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
