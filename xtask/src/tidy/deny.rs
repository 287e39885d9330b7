//! `cargo deny`, where it is installed: it looks at more than our own checks can.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it and returns whether it objects. Advisories need the network and are left to whoever
/// looks for them.
pub(super) fn run_if_installed(root: &Path) -> Result<bool, String> {
    let mut version = Command::new("cargo");
    version.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    let arguments = ["deny", "--all-features", "check", "bans", "licenses", "sources"];
    let status = Command::new("cargo").args(arguments).current_dir(root).status();
    let status = status.map_err(|error| format!("Failed to start `cargo deny`: {error}"))?;
    Ok(!status.success())
}
