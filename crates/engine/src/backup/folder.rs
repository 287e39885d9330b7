//! Backups in a folder of this machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use whimbrel_core::backup::{BackupId, Damage, Manifest};

use super::store::{
    DRAFT_PREFIX, Draft, Found, MANIFEST, Put, SIGNATURE, Store, Stored, VERIFIED, at,
    create_private, hash, make_private_folder, open_plain, private_folder, replace_private,
    sync_folder, write_private,
};
use crate::error::EngineError;
use crate::failpoint;

/// A folder without a living owner is a remain when nothing was written into it for so long.
const REMAIN_AGE_MIN: Duration = Duration::from_secs(60);
/// Where the copy of the database lies while it is cut into chunks.
const SCRATCH: &str = "scratch";
/// The one folder inside of a backup.
const CHUNKS: &str = "chunks";

/// A folder of backups.
pub(super) struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    pub(super) fn at(root: &Path) -> FolderStore {
        FolderStore { root: root.to_owned() }
    }

    /// A new, empty folder for a backup that is to lie in `target`.
    fn draft(&self, folder: PathBuf, target: PathBuf) -> Result<FolderDraft, EngineError> {
        make_private_folder(&folder.join(CHUNKS))?;
        Ok(FolderDraft {
            _held: hold(&folder),
            folder,
            target,
            root: self.root.clone(),
            done: false,
        })
    }

    /// Copies a backup whose files are good into this folder: each is read, its hash compared, and
    /// what was compared is written.
    pub(super) fn copy(
        &self,
        from: &dyn Stored,
        mark: Option<Vec<u8>>,
        id: &BackupId,
        manifest: &Manifest,
    ) -> Result<PathBuf, EngineError> {
        let target = self.root.join(id.as_str());
        if target.exists() {
            let message = format!("{} is there already", target.display());
            return Err(EngineError::Refused(message));
        }
        let draft = Box::new(self.draft(self.unnamed()?, target.clone())?);
        let putter = draft.putter();
        let damaged = |one| EngineError::BackupDamaged { id: id.to_string(), damage: vec![one] };
        for entry in manifest.files() {
            putter.write(&entry.file, &from.get(entry).map_err(damaged)?)?;
        }
        putter.write(MANIFEST, &manifest.to_bytes())?;
        if let Some(mark) = mark {
            putter.write(VERIFIED, &mark)?;
        }
        draft.commit(&from.head(SIGNATURE).map_err(damaged)?)?;
        Ok(target)
    }

    /// A folder for work that is thrown away; nobody takes it for a backup.
    pub(super) fn scratch(&self) -> Result<Scratch, EngineError> {
        let folder = self.unnamed()?;
        Ok(Scratch { _held: hold(&folder), folder })
    }

    /// A new, empty folder whose name no backup has.
    fn unnamed(&self) -> Result<PathBuf, EngineError> {
        make_private_folder(&self.root)?;
        let folder = self.root.join(format!("{DRAFT_PREFIX}{}", uuid::Uuid::new_v4()));
        private_folder(false).create(&folder).map_err(at(&folder))?;
        Ok(folder)
    }

    /// The names that are there; none where the folder is missing.
    fn names(&self) -> Result<Vec<String>, EngineError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at(&self.root))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(at(&self.root))?.file_name();
            names.extend(name.to_str().map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Folders of unfinished work that no process holds.
    pub(super) fn remains(&self) -> Result<Vec<PathBuf>, EngineError> {
        let names = self.names()?;
        let drafts = names.iter().filter(|name| name.starts_with(DRAFT_PREFIX));
        Ok(drafts.map(|name| self.root.join(name)).filter(|path| is_remain(path)).collect())
    }
}

impl Store for FolderStore {
    fn ids(&self) -> Result<Vec<BackupId>, EngineError> {
        let mut ids: Vec<_> =
            self.names()?.iter().filter_map(|name| BackupId::parse(name)).collect();
        ids.sort();
        Ok(ids)
    }

    fn find(&self, id: &BackupId) -> Result<Option<Box<dyn Stored>>, EngineError> {
        let folder = self.root.join(id.as_str());
        let is_folder = fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir());
        Ok(is_folder.then(|| -> Box<dyn Stored> { Box::new(FolderStored::at(&folder)) }))
    }

    fn begin(&self, now_ms: i64) -> Result<(BackupId, Box<dyn Draft>), EngineError> {
        make_private_folder(&self.root)?;
        for ms in now_ms..now_ms.saturating_add(1_000) {
            let id = BackupId::at(ms);
            let folder = self.root.join(format!("{DRAFT_PREFIX}{id}"));
            let target = self.root.join(id.as_str());
            if target.exists() {
                continue;
            }
            match private_folder(false).create(&folder) {
                Ok(()) => return Ok((id, Box::new(self.draft(folder, target)?))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&folder)(error)),
            }
        }
        let message = format!("No free name for a backup in {}", self.root.display());
        Err(EngineError::Refused(message))
    }

    fn remains(&self) -> Result<Vec<String>, EngineError> {
        let paths = FolderStore::remains(self)?;
        Ok(paths.iter().map(|path| path.display().to_string()).collect())
    }

    fn clean(&self, remain: &str) -> Result<(), EngineError> {
        let paths = FolderStore::remains(self)?;
        match paths.iter().find(|path| path.display().to_string() == remain) {
            Some(path) => fs::remove_dir_all(path).map_err(at(path)),
            // Somebody has come for it since.
            None => Ok(()),
        }
    }

    fn remove(&self, id: &BackupId) -> Result<(), EngineError> {
        let (folder, gone) =
            (self.root.join(id.as_str()), self.root.join(format!("{DRAFT_PREFIX}pruned-{id}")));
        fs::rename(&folder, &gone).map_err(at(&folder))?;
        sync_folder(&self.root)?;
        failpoint::pass("prune.renamed");
        fs::remove_dir_all(&gone).map_err(at(&gone))
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

    /// Makes it a folder for the files of a backup.
    pub(super) fn for_backup(&self) -> Result<FolderStored, EngineError> {
        make_private_folder(&self.folder.join(CHUNKS))?;
        Ok(FolderStored::at(&self.folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A backup that is being written into a folder with another name.
struct FolderDraft {
    folder: PathBuf,
    target: PathBuf,
    root: PathBuf,
    done: bool,
    _held: Option<File>,
}

impl Draft for FolderDraft {
    fn scratch(&self) -> Result<Scratch, EngineError> {
        let folder = self.folder.join(SCRATCH);
        make_private_folder(&folder)?;
        Ok(Scratch { folder, _held: None })
    }

    fn putter(&self) -> Box<dyn Put> {
        Box::new(FolderPut { folder: self.folder.clone() })
    }

    fn commit(mut self: Box<Self>, signature: &[u8]) -> Result<(), EngineError> {
        self.putter().write(SIGNATURE, signature)?;
        sync_folder(&self.folder.join(CHUNKS))?;
        sync_folder(&self.folder)?;
        failpoint::pass("backup.before_rename");
        fs::rename(&self.folder, &self.target).map_err(at(&self.target))?;
        self.done = true;
        sync_folder(&self.root)
    }
}

impl Drop for FolderDraft {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

struct FolderPut {
    folder: PathBuf,
}

impl Put for FolderPut {
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        write_private(&self.folder.join(name), bytes)
    }
}

/// A backup in its folder.
pub(super) struct FolderStored {
    folder: PathBuf,
}

impl FolderStored {
    fn at(folder: &Path) -> FolderStored {
        FolderStored { folder: folder.to_owned() }
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Stored for FolderStored {
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

    fn files(&self, _manifest: &Manifest, _to: Option<&Path>) -> Result<Found, EngineError> {
        let mut found = Found::new();
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

    fn put_mark(&self, bytes: &[u8]) -> Result<(), EngineError> {
        replace_private(&self.folder.join(VERIFIED), bytes)
    }

    fn is_near(&self) -> bool {
        true
    }
}
