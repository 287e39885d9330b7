//! `cargo xtask servers run [--no-sync] -- COMMAND...`: the command's tests find private servers by
//! their environment. The servers end with the command, also when it fails or this tool is told to
//! stop. With `--no-sync` they do not wait for the disk.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use whimbrel_testkit::servers::{Durability, Servers};
use whimbrel_testkit::variables::{SKIP, SKIPPED_FILE, skip_from_environment};

use crate::Outcome;
use crate::output::complain;

const POLL: Duration = Duration::from_millis(50);
/// How long the command may take to end after a signal before it gets SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Carries out `servers run [--no-sync] -- COMMAND...`.
pub(crate) fn main(arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (durability, command) = match words.as_slice() {
        ["run", "--", command @ ..] if !command.is_empty() => (Durability::Machine, command),
        ["run", "--no-sync", "--", command @ ..] if !command.is_empty() => {
            (Durability::Process, command)
        }
        _ => return Err("usage: cargo xtask servers run [--no-sync] -- COMMAND...".to_owned()),
    };
    let skip = skip_from_environment().map_err(|error| error.to_string())?;
    let signal = Signals::listen()?;
    let folder = tempfile::Builder::new()
        .prefix("whimbrel-servers-")
        .tempdir()
        .map_err(|error| format!("Failed to make a folder for the servers: {error}"))?;
    let start = Instant::now();
    let servers =
        Servers::start(folder.path(), &skip, durability).map_err(|error| error.to_string())?;
    let count = servers.pids().len();
    complain(&format!(
        "Started {count} server processes in {:.1} s",
        start.elapsed().as_secs_f32()
    ));
    let skipped = folder.path().join("skipped.txt");
    let result = run(command, &servers, &skipped, &signal);
    servers.stop().map_err(|error| error.to_string())?;
    complain("Stopped the servers");
    report_skipped(&skipped, !skip.is_empty());
    result
}

fn run(command: &[&str], servers: &Servers, skipped: &Path, signals: &Signals) -> Outcome {
    if let Some(number) = signals.caught() {
        return Ok(code_of_signal(number));
    }
    let (program, arguments) = command.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command.args(arguments).envs(servers.variables()).env(SKIPPED_FILE, skipped);
    without_outer_cargo(&mut command);
    let mut child =
        command.spawn().map_err(|error| format!("Failed to start `{program}`: {error}"))?;
    let status = wait(&mut child, signals)?;
    Ok(status.signal().map_or_else(|| code(status), code_of_signal))
}

/// Waits for the command. Ctrl-C reaches it by itself, so it is only told to end when it does not;
/// other signals are passed on at once.
fn wait(child: &mut Child, signals: &Signals) -> Result<ExitStatus, String> {
    let mut told = None;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        if let Some(number) = signals.caught() {
            let since = *told.get_or_insert_with(|| {
                if number != SIGINT {
                    send(child, "TERM");
                }
                Instant::now()
            });
            if since.elapsed() > 2 * GRACE {
                child.kill().map_err(|error| error.to_string())?;
            } else if since.elapsed() > GRACE {
                send(child, "TERM");
            }
        }
        sleep(POLL);
    }
}

fn send(child: &Child, name: &str) {
    let script = format!("kill -{name} {}", child.id());
    // It fails only if the command has just ended.
    let _ = Command::new("sh").args(["-c", &script]).status();
}

fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn code_of_signal(number: i32) -> u8 {
    u8::try_from(number).map_or(1, |number| number.saturating_add(128))
}

/// Takes away what `cargo run` sets for this tool: it would make a cargo inside it build things
/// again.
pub(crate) fn without_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_cargo) {
            command.env_remove(name);
        }
    }
}

fn is_of_outer_cargo(name: &str) -> bool {
    name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Says how many tests were left out, since they count as passed elsewhere.
fn report_skipped(file: &Path, asked: bool) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        let reason = line.rsplit_once('(').map_or(line, |(_, reason)| reason);
        *counts.entry(reason.trim_end_matches(')')).or_default() += 1;
    }
    for (reason, count) in &counts {
        complain(&format!("SKIPPED: {count} tests ({reason})"));
    }
    if asked && counts.is_empty() {
        complain(&format!("SKIPPED: no test, though {SKIP} asked for it"));
    }
}

/// The last signal that asked this tool to end.
struct Signals(Arc<AtomicUsize>);

impl Signals {
    fn listen() -> Result<Signals, String> {
        let caught = Arc::new(AtomicUsize::new(0));
        for number in [SIGHUP, SIGINT, SIGTERM] {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, Arc::clone(&caught), value)
                .map_err(|error| format!("Failed to listen to signals: {error}"))?;
        }
        Ok(Signals(caught))
    }

    fn caught(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::SeqCst)).ok().filter(|number| *number != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_cargo_variables_are_known() {
        assert!(is_of_outer_cargo("CARGO_PKG_NAME"));
        assert!(!is_of_outer_cargo("CARGO_TARGET_DIR"));
        assert!(!is_of_outer_cargo("CARGO_HOME"));
    }

    #[test]
    fn a_signal_becomes_the_shells_code() {
        assert_eq!(code_of_signal(15), 143);
    }

    #[test]
    fn a_command_is_required() {
        assert!(main(&["run".to_owned()]).is_err());
        assert!(main(&["run".to_owned(), "--".to_owned()]).is_err());
    }
}
