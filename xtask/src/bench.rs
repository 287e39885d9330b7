//! `cargo xtask bench NAME`: how long things take, beside the floor and the peers, in one run.
//!
//! The runs of all sides are interleaved, so that a noisy machine disturbs them alike; the figure
//! to quote is the ratio of the medians.

mod backup;
mod data;
mod schema;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use whimbrel_testkit::variables::SKIPPED_FILE;

use crate::Outcome;
use crate::output::say;

const USAGE: &str =
    "usage: cargo xtask bench schema|data|backup [--runs=N] [--files=N] [--rows=N] [--only=WORD]";

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    runs: usize,
    files: usize,
    rows: usize,
    only: String,
}

/// Carries out `bench NAME`.
pub(crate) fn main(arguments: &[String]) -> Outcome {
    let mut request = Request { runs: 5, files: 1_000, rows: 1_000_000, only: String::new() };
    let mut name = "";
    for argument in arguments {
        match argument.split_once('=') {
            Some(("--runs", value)) => request.runs = number(value)?,
            Some(("--files", value)) => request.files = number(value)?,
            Some(("--rows", value)) => request.rows = number(value)?,
            Some(("--only", value)) => request.only = value.to_owned(),
            None if name.is_empty() => name = argument,
            _ => return Err(USAGE.to_owned()),
        }
    }
    match name {
        "schema" => schema::bench(&program()?, &request),
        "data" => data::bench(&program()?, &request),
        "backup" => backup::bench(&program()?, &request),
        _ => Err(USAGE.to_owned()),
    }
}

fn number(value: &str) -> Result<usize, String> {
    value.parse().ok().filter(|number| *number > 0).ok_or_else(|| USAGE.to_owned())
}

/// Builds the program as it is released.
fn program() -> Result<PathBuf, String> {
    let mut command = Command::new("cargo");
    command.args(["build", "--quiet", "--release", "--package", "whimbrel"]);
    crate::servers::without_outer_cargo(&mut command);
    let status = command.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err("the release build failed".to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || crate::workspace::root().map(|root| root.join("target")),
        |folder| Ok(PathBuf::from(folder)),
    )?;
    Ok(target.join("release/whimbrel"))
}

/// This command again, with servers in its environment; `None` if they are there already.
fn again_with_servers() -> Option<Outcome> {
    if std::env::var_os(SKIPPED_FILE).is_some() {
        return None;
    }
    let me = match std::env::current_exe() {
        Ok(me) => me,
        Err(error) => return Some(Err(error.to_string())),
    };
    let mut arguments: Vec<String> = ["run", "--"].map(str::to_owned).into();
    arguments.push(me.display().to_string());
    arguments.extend(std::env::args().skip(1));
    Some(crate::servers::main(&arguments))
}

/// Runs the command once more under GNU time, where it is installed.
fn peak_memory(command: &Command) -> Result<(), String> {
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "  cpu %U + %S s, peak memory %M KiB"]).arg(command.get_program());
    timed.args(command.get_args()).stdout(Stdio::null());
    match timed.status() {
        Ok(_) => Ok(()),
        Err(error) => {
            say(&format!("  memory was not measured: /usr/bin/time: {error}"));
            Ok(())
        }
    }
}

type Prepare<'a> = Box<dyn Fn(&Path) -> Result<(), String> + 'a>;

/// One side of a comparison.
struct Side<'a> {
    name: &'static str,
    /// Makes everything fresh; not measured.
    prepare: Prepare<'a>,
    /// What is measured.
    command: Box<dyn Fn(&Path) -> Command + 'a>,
}

/// Runs every side in turn, `runs` times after one that does not count, and prints medians,
/// quartiles and the ratio to the first side.
fn compare(title: &str, runs: usize, sides: &[Side<'_>]) -> Result<(), String> {
    say(&format!("\n{title} ({runs} runs of each, interleaved)"));
    let mut times: Vec<Vec<f64>> = sides.iter().map(|_| Vec::new()).collect();
    for run in 0..=runs {
        for (side, times) in sides.iter().zip(&mut times) {
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            (side.prepare)(folder.path())?;
            let mut command = (side.command)(folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let began = Instant::now();
            let status = command.status().map_err(|error| format!("{}: {error}", side.name))?;
            let elapsed = began.elapsed().as_secs_f64();
            if !status.success() {
                return Err(format!("{} failed: {command:?}", side.name));
            }
            if run > 0 {
                times.push(elapsed);
            }
        }
    }
    let mut floor = 0.0;
    for (index, (side, times)) in sides.iter().zip(&mut times).enumerate() {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = times.len().saturating_sub(1) as f64;
            times.get((last * share).round() as usize).copied().unwrap_or(0.0)
        };
        let median = at(0.5);
        if index == 0 {
            floor = median;
        }
        say(&format!(
            "  {:<44} median {median:>8.3} s  quartiles {:>8.3} {:>8.3}  ratio {:>6.2}",
            side.name,
            at(0.25),
            at(0.75),
            median / floor
        ));
    }
    Ok(())
}
