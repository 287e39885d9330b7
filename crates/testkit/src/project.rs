//! A project folder for one test.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::must;

/// A temporary folder that a test fills with files. Dropping it removes it.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
}

impl Default for Project {
    fn default() -> Project {
        Project::new()
    }
}

impl Project {
    /// An empty folder.
    #[track_caller]
    pub fn new() -> Project {
        Project { folder: must(tempfile::Builder::new().prefix("whimbrel-project-").tempdir()) }
    }

    /// An empty folder that servers with an account of their own may enter.
    #[track_caller]
    pub fn open_to_all() -> Project {
        let project = Project::new();
        must(std::fs::set_permissions(project.path(), Permissions::from_mode(0o755)));
        project
    }

    /// A copy of an existing folder, such as one of `examples/`.
    #[track_caller]
    pub fn copy_of(source: impl AsRef<Path>) -> Project {
        let project = Project::new();
        must(copy_folder(source.as_ref(), project.path()));
        project
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The full path of a file in the folder.
    pub fn at(&self, file: &str) -> PathBuf {
        self.path().join(file)
    }

    /// Writes a file, with the folders above it.
    #[track_caller]
    pub fn file(&self, file: &str, text: &str) -> &Project {
        self.bytes(file, text.as_bytes())
    }

    /// Writes a file that need not be text.
    #[track_caller]
    pub fn bytes(&self, file: &str, bytes: &[u8]) -> &Project {
        let path = self.at(file);
        must(path.parent().map_or(Ok(()), std::fs::create_dir_all));
        must(std::fs::write(path, bytes));
        self
    }

    /// Makes an empty folder.
    #[track_caller]
    pub fn folder(&self, folder: &str) -> &Project {
        must(std::fs::create_dir_all(self.at(folder)));
        self
    }

    /// Removes a file.
    #[track_caller]
    pub fn remove(&self, file: &str) -> &Project {
        must(std::fs::remove_file(self.at(file)));
        self
    }

    /// The text of a file.
    #[track_caller]
    pub fn read(&self, file: &str) -> String {
        must(std::fs::read_to_string(self.at(file)).map_err(|error| format!("{file}: {error}")))
    }

    /// Every file below the folder, as sorted paths relative to it.
    #[track_caller]
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        must(list(self.path(), self.path(), &mut found));
        found.sort_unstable();
        found
    }
}

fn list(root: &Path, folder: &Path, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(root, &entry.path(), found)?;
        } else {
            let path = entry.path();
            found.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
        }
    }
    Ok(())
}

pub(crate) fn copy_folder(source: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_read_and_listed() {
        let project = Project::new();
        project.file("migrations/0001_a.sql", "SELECT 1;").file("whimbrel.toml", "");
        assert_eq!(project.files(), ["migrations/0001_a.sql", "whimbrel.toml"]);
        let copy = Project::copy_of(project.path());
        drop(project);
        assert_eq!(copy.read("migrations/0001_a.sql"), "SELECT 1;");
        assert_eq!(copy.remove("whimbrel.toml").files().len(), 1);
    }
}
