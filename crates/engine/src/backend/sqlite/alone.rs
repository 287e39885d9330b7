//! Whether another process has a database open.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

/// The byte of the `-shm` file on which each process holds a shared lock as long as it has the
/// database open in WAL mode (`UNIX_SHM_DMS` of SQLite's os_unix.c).
const OPEN_BYTE: u64 = 128;

/// The files that were looked at, by device and inode. They stay open until the process ends: to
/// close a file gives up all locks that the process has on it, also SQLite's own (POSIX, `fcntl`).
static LOOKED_AT: Mutex<BTreeMap<(u64, u64), File>> = Mutex::new(BTreeMap::new());

/// Whether it is certain that no other process has the database open. Only in WAL mode it can be
/// told: otherwise locks are held by who reads or writes just now.
pub(super) fn is_alone(database: &Path) -> bool {
    let mut shm = database.as_os_str().to_owned();
    shm.push("-shm");
    other_process_has(&PathBuf::from(shm)) == Some(false)
}

fn other_process_has(shm: &Path) -> Option<bool> {
    let found = fs::metadata(shm).ok()?;
    let mut looked_at = LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (found.dev(), found.ino());
    if !looked_at.contains_key(&key) {
        // Between the two it may have become another file; then the next look finds this one.
        let file = File::open(shm).ok()?;
        let opened = file.metadata().ok();
        let opened = opened.map_or(key, |it| (it.dev(), it.ino()));
        looked_at.insert(opened, file);
    }
    let file = looked_at.get(&key)?;
    let lock = Flock {
        start: OPEN_BYTE,
        length: 1,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    Some(fcntl_getlk(file, &lock).ok()?.is_some())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use std::io::{BufRead, BufReader, Write};

    use super::is_alone;

    #[test]
    fn another_process_is_seen_in_wal_mode_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(!is_alone(&path), "the mode DELETE does not tell");
        connection.execute_batch("PRAGMA journal_mode = WAL; INSERT INTO t VALUES (1)").unwrap();
        assert!(is_alone(&path));
        let mut other = Command::new("sqlite3")
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = other.stdin.take().unwrap();
        let mut output = BufReader::new(other.stdout.take().unwrap());
        input.write_all(b"SELECT count(*) FROM t;\n").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "1\n");
        assert!(!is_alone(&path), "it has read and does nothing now");
        drop(input);
        assert!(other.wait().unwrap().success());
        assert!(is_alone(&path));
        // The look gave up none of our own locks: another process still sees that we are here.
        let held = Command::new("sqlite3")
            .arg(&path)
            .arg("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; SELECT 'got it'")
            .output()
            .unwrap();
        let held = String::from_utf8_lossy(&held.stdout).into_owned();
        assert!(!held.contains("got it"), "{held}");
    }
}
