//! Restores in place: a folder for each, with its journal and the database that was replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use whimbrel_core::backup::{Phase, RestoreJournal, is_run_id};

use super::keys::FOLDER;
use super::store::{
    DRAFT_PREFIX, at, create_private, hash, make_private_folder, replace_private, sync_folder,
    write_private,
};
use crate::error::EngineError;

/// Below the project's folder for what is made here.
const RESTORES: &str = "restores";
const JOURNAL: &str = "journal.json";
/// The database that was replaced.
const KEPT: &str = "before.db";
/// Nothing of it belongs into a repository.
const IGNORED: &str = "*\n";
/// Most bytes of a journal.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024;

/// A restore with its folder.
#[derive(Debug)]
pub(crate) struct Journaled {
    folder: PathBuf,
    pub(crate) journal: RestoreJournal,
}

impl Journaled {
    /// Writes the journal of a restore that begins.
    pub(crate) fn begin(root: &Path, journal: RestoreJournal) -> Result<Journaled, EngineError> {
        let all = root.join(FOLDER).join(RESTORES);
        make_private_folder(&all)?;
        let ignore = all.join(".gitignore");
        if !ignore.exists() {
            write_private(&ignore, IGNORED.as_bytes())?;
        }
        let draft = all.join(format!("{DRAFT_PREFIX}{}", journal.run_id));
        make_private_folder(&draft)?;
        write_private(&draft.join(JOURNAL), &journal.to_bytes())?;
        sync_folder(&draft)?;
        let folder = all.join(&journal.run_id);
        fs::rename(&draft, &folder).map_err(at(&folder))?;
        sync_folder(&all)?;
        Ok(Journaled { folder, journal })
    }

    /// All of a project, oldest first.
    pub(crate) fn all(root: &Path) -> Result<Vec<Journaled>, EngineError> {
        let all = root.join(FOLDER).join(RESTORES);
        let entries = match fs::read_dir(&all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(at(&all))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let folder = entry.map_err(at(&all))?.path();
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
            // A folder without a journal is what is left of one that was being removed.
            if name.is_some_and(|name| is_run_id(&name)) && folder.join(JOURNAL).exists() {
                let journal = read(&folder.join(JOURNAL))?;
                found.push(Journaled { folder, journal });
            }
        }
        found.sort_by(|a, b| {
            let key = |one: &Journaled| (one.journal.began_ms, one.journal.run_id.clone());
            key(a).cmp(&key(b))
        });
        Ok(found)
    }

    /// Where the replaced database is kept.
    pub(crate) fn kept(&self) -> PathBuf {
        self.folder.join(KEPT)
    }

    /// A folder of its own for something that is removed before the restore ends.
    pub(crate) fn folder_for(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Bytes of the replaced database; 0 when it is not there.
    pub(crate) fn kept_bytes(&self) -> u64 {
        fs::metadata(self.kept()).map_or(0, |meta| meta.len())
    }

    /// The new, private file for the database that is to be replaced.
    pub(crate) fn make_kept(&self) -> Result<PathBuf, EngineError> {
        let path = self.kept();
        create_private(&path).map(|_| path)
    }

    /// Writes the kept database to the disk, and what it is into the journal.
    pub(crate) fn seal_kept(&mut self) -> Result<(), EngineError> {
        let path = self.kept();
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(at(&path))?;
        sync_folder(&self.folder)?;
        self.journal.kept_sha256 = hash(&path).map_err(at(&path))?.1;
        self.set(Phase::Replacing)
    }

    /// Copies the kept database into the file `to`, if it is still what was kept.
    pub(crate) fn copy_kept(&self, to: &Path) -> Result<(), EngineError> {
        let path = self.kept();
        let found = hash(&path).map_err(at(&path))?.1;
        if found != self.journal.kept_sha256 {
            let message = format!("{} is not as it was when it was kept", path.display());
            return Err(EngineError::Refused(message));
        }
        fs::copy(&path, to).map_err(at(to)).map(|_| ())
    }

    /// Writes how far it is.
    pub(crate) fn set(&mut self, phase: Phase) -> Result<(), EngineError> {
        self.journal.phase = phase;
        replace_private(&self.folder.join(JOURNAL), &self.journal.to_bytes())
    }

    /// Removes it with the database that it keeps.
    pub(crate) fn remove(self) -> Result<(), EngineError> {
        // The journal goes first: a folder without one is no restore.
        let path = self.folder.join(JOURNAL);
        fs::remove_file(&path).map_err(at(&path))?;
        fs::remove_dir_all(&self.folder).map_err(at(&self.folder))
    }
}

fn read(path: &Path) -> Result<RestoreJournal, EngineError> {
    let bytes = match fs::metadata(path).map_err(at(path))?.len() {
        0..=JOURNAL_BYTES_MAX => fs::read(path).map_err(at(path))?,
        _ => Vec::new(),
    };
    RestoreJournal::parse(&bytes).map_err(|reason| {
        EngineError::Refused(format!("{} is no journal of a restore: {reason}", path.display()))
    })
}
