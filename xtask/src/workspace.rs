//! The workspace's files and its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The workspace's root folder: the nearest one above us that holds `Cargo.lock`.
///
/// Not the folder that this tool was compiled in: two checkouts may share one target folder, and
/// then cargo takes the tool of the one for the other.
pub(crate) fn root() -> Result<PathBuf, String> {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let found = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    found.map(Path::to_owned).ok_or_else(|| "run this in the project's folder".to_owned())
}

/// One file of the project.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl SourceFile {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Every text file that is committed or would be: what git ignores and what is not UTF-8 is left
/// out, and so is a file that was deleted but not yet committed.
pub(crate) fn files() -> Result<Vec<SourceFile>, String> {
    let root = root()?;
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let text = capture(Command::new("git").args(list).current_dir(&root))?;
    let mut paths: Vec<&str> = text.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(SourceFile { path: path.to_owned(), text })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

/// What `cargo metadata` says about every package, dependencies included.
pub(crate) fn packages() -> Result<Vec<Value>, String> {
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let text = capture(Command::new("cargo").args(arguments).current_dir(root()?))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    value["packages"].as_array().cloned().ok_or_else(|| "`cargo metadata` lists nothing".into())
}

fn capture(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("Failed to start `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`{name}` ended with {}: {reason}", output.status))
}
