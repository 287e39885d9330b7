//! A run in a process of its own, ended from outside in the middle of a statement.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::shop;
use crate::error::{CommandError, Exit};

/// How long the last step runs before its process is killed.
const PAUSE: Duration = Duration::from_millis(60);

/// How a process ended that was to be killed.
pub(super) struct Killed {
    /// Its process id.
    pub(super) pid: u32,
    /// The step that it had begun, and of how many.
    pub(super) step: (u64, u64),
    /// How the system says that it ended; `None` when it was done before it could be killed.
    pub(super) ended: Option<String>,
}

/// Starts `whimbrel up` on the folder as another process, waits until it says that it begins its
/// last step, and kills it.
pub(super) fn run_and_kill(folder: &Path, user: &str) -> Result<Killed, CommandError> {
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let url = format!("sqlite:{}", shop::FILE);
    let mut child = Command::new(program)
        .args(["up", "--json", "--url", &url, "--project"])
        .arg(folder)
        .env_clear()
        .env("USER", user)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let step = wait_for_last_step(&mut child);
    std::thread::sleep(PAUSE);
    let done = child.try_wait().map_err(|error| failed(&error))?.is_some();
    // Killing a process that has ended is no error.
    child.kill().map_err(|error| failed(&error))?;
    let status = child.wait().map_err(|error| failed(&error))?;
    let ended = (!done).then(|| status.to_string());
    Ok(Killed { pid: child.id(), step, ended })
}

/// Reads what the process says until it begins its last step, or ends.
fn wait_for_last_step(child: &mut Child) -> (u64, u64) {
    let mut at = (0, 0);
    let Some(output) = child.stdout.take() else { return at };
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        if event.get("event").and_then(Value::as_str) != Some("step-started") {
            continue;
        }
        let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or(0);
        at = (number("step"), number("steps"));
        if at.0 == at.1 {
            break;
        }
    }
    at
}

fn failed(error: &std::io::Error) -> CommandError {
    CommandError {
        exit: Exit::Failed,
        message: format!("The demo's second process: {error}"),
        lines: Vec::new(),
        hints: Vec::new(),
    }
}
