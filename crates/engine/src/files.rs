//! Reading a project's folders, and writing new files into them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use whimbrel_core::directory::{EntryKind, FileEntry, wants_bytes};
use whimbrel_core::format::{Layout, PROBED_FILES, PROBED_FOLDERS, Place, Probe};

use crate::error::EngineError;

/// What the names of data migrations hold.
const DATA: &str = ".data";

/// Reads what tells which tool's project this is.
pub fn probe(root: &Path) -> Probe {
    let mut files = BTreeMap::new();
    for name in PROBED_FILES {
        if let Ok(bytes) = std::fs::read(root.join(name)) {
            files.insert((*name).to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    let folders = PROBED_FOLDERS.iter().filter(|name| root.join(name).is_dir());
    Probe { files, folders: folders.map(|name| (*name).to_owned()).collect() }
}

/// Which of the files that are migrations are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// Only those that may be data migrations; all others are as if they were not there.
    Data,
}

/// Lists a layout's folders and reads every file in them that is a migration or a part of one.
///
/// # Errors
/// When a folder is there but cannot be listed. A missing folder has no entries.
pub(crate) fn entries(
    root: &Path,
    layout: &Layout,
    wanted: Wanted,
) -> Result<Vec<FileEntry>, EngineError> {
    let mut out = Vec::new();
    list(root, (layout, Place::Migrations), wanted, &mut out)?;
    if layout.companions.is_some() {
        list(root, (layout, Place::Companions), wanted, &mut out)?;
    }
    Ok(out)
}

fn list(
    root: &Path,
    (layout, place): (&Layout, Place),
    wanted: Wanted,
    out: &mut Vec<FileEntry>,
) -> Result<(), EngineError> {
    let folder = root.join(layout.folder(place));
    if !folder.exists() {
        return Ok(());
    }
    let mut open = vec![(folder, String::new(), layout.depth_max())];
    while let Some((path, below, depth)) = open.pop() {
        let file_error = |error| EngineError::File { path: path.clone(), error };
        for entry in std::fs::read_dir(&path).map_err(file_error)? {
            let entry = entry.map_err(file_error)?;
            let (name, kind) = name_and_kind(&entry);
            let below = if below.is_empty() { name } else { format!("{below}/{name}") };
            if kind == EntryKind::Folder && depth > 1 {
                open.push((entry.path(), below, depth - 1));
                continue;
            }
            if wanted == Wanted::All || below.to_ascii_lowercase().contains(DATA) {
                out.push(read_entry(layout, place, below, kind, &entry.path()));
            }
        }
    }
    Ok(())
}

fn name_and_kind(entry: &std::fs::DirEntry) -> (String, EntryKind) {
    let raw = entry.file_name();
    let name = raw.to_string_lossy().into_owned();
    if raw.to_str().is_none() {
        return (name, EntryKind::NameNotUtf8);
    }
    let kind = match std::fs::metadata(entry.path()) {
        Ok(meta) if meta.is_file() => EntryKind::File,
        Ok(meta) if meta.is_dir() => EntryKind::Folder,
        Ok(_) => EntryKind::Other,
        Err(error) if error.kind() == ErrorKind::NotFound => EntryKind::SymlinkBroken,
        // ELOOP has no stable ErrorKind of its own.
        Err(error) if error.raw_os_error() == Some(40) => EntryKind::SymlinkLoop,
        Err(error) => EntryKind::Unreadable(error.to_string()),
    };
    (name, kind)
}

fn read_entry(
    layout: &Layout,
    place: Place,
    path: String,
    kind: EntryKind,
    file: &Path,
) -> FileEntry {
    let mut entry = FileEntry { place, path, kind, bytes: None };
    if entry.kind == EntryKind::File && wants_bytes(layout, place, &entry.path) {
        match std::fs::read(file) {
            Ok(bytes) => entry.bytes = Some(bytes),
            Err(error) => entry.kind = EntryKind::Unreadable(error.to_string()),
        }
    }
    entry
}

/// Writes a new file; one that is there already is never touched.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<PathBuf, EngineError> {
    let file_error = |error| EngineError::File { path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file_error)?;
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(file_error)?;
    file.write_all(text.as_bytes()).map_err(file_error)?;
    Ok(path.to_owned())
}
