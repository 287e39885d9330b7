//! `cargo xtask prove NAME`: the long form of what the tests try in short.
//!
//! The program is built with its named places, the servers are started, and each case is a
//! database of its own. A row in `docs/proofs.md` says what was run and what failed.

mod batches;
mod crash;
mod damage;
mod equality;
mod faults;
mod live;
mod races;
mod record;
mod rollback;
mod roundtrip;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::variables::SKIPPED_FILE;

use self::record::Row;
use crate::Outcome;
use crate::output::{complain, say};

const USAGE: &str = "usage: cargo xtask prove \
                     crash|races|faults|equality|batches|live|damage|roundtrip|rollback \
                     [--engine=sqlite|postgres|mariadb] [--seed=N] [--count=N] \
                     [--case=ENGINE/...] [--no-record]";

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    name: String,
    engines: Vec<Engine>,
    seed: u64,
    /// How many cases for each engine, where the proof makes as many as one likes.
    count: Option<usize>,
    case: Option<String>,
    record: bool,
}

/// What a proof found.
#[derive(Debug, Default)]
struct Findings {
    cases: usize,
    failures: Vec<String>,
    /// What was counted on the way, for the table.
    notes: Vec<String>,
}

/// Carries out `prove NAME`.
pub(crate) fn main(arguments: &[String]) -> Outcome {
    let request = parse(arguments)?;
    let request = if request.name == "damage" {
        // The format is one for all of them.
        Request { engines: vec![Engine::Sqlite], ..request }
    } else {
        request
    };
    let needs_servers = request.engines.iter().any(|engine| *engine != Engine::Sqlite);
    if needs_servers && std::env::var_os(SKIPPED_FILE).is_none() {
        return again_with_servers(arguments);
    }
    let program = build()?;
    let began = Instant::now();
    let findings = match request.name.as_str() {
        "crash" => crash::prove(&program, &request),
        "races" => races::prove(&program, &request),
        "faults" => faults::prove(&program, &request),
        "live" => live::prove(&program, &request),
        "batches" => batches::prove(&program, &request),
        "damage" => damage::prove(&program, &request),
        "equality" => equality::prove(&program, &request),
        "roundtrip" => roundtrip::prove(&program, &request),
        "rollback" => rollback::prove(&program, &request),
        _ => return Err(USAGE.to_owned()),
    };
    for failure in &findings.failures {
        complain(&format!("FAILED {failure}"));
    }
    let (cases, failures) = (findings.cases, findings.failures.len());
    let seconds = began.elapsed().as_secs();
    say(&format!("{}: {cases} cases, {failures} failures, {seconds} s", request.name));
    findings.notes.iter().for_each(|note| say(&format!("  {note}")));
    if failures > 0 {
        complain(&format!("seed {}; a single case is run again by --case", request.seed));
    }
    if request.record && request.case.is_none() {
        record::append(&Row::new(&request, &findings)?)?;
    }
    Ok(u8::from(failures > 0))
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let (name, rest) = arguments.split_first().ok_or(USAGE)?;
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut request = Request {
        name: name.clone(),
        engines: Engine::ALL.to_vec(),
        seed: seed.map_or(1, |since| since.as_secs()),
        count: None,
        case: None,
        record: true,
    };
    for argument in rest {
        let (key, value) = argument.split_once('=').unwrap_or((argument, ""));
        match key {
            "--engine" => {
                let engines = value.split(',').map(Engine::from_name);
                request.engines = engines.collect::<Option<_>>().ok_or(USAGE)?;
            }
            "--seed" => request.seed = value.parse().map_err(|_| USAGE)?,
            "--count" => request.count = Some(value.parse().map_err(|_| USAGE)?),
            "--case" => {
                let engine = value.split('/').next().and_then(Engine::from_name).ok_or(USAGE)?;
                request.engines = vec![engine];
                request.case = Some(value.to_owned());
            }
            "--no-record" => request.record = false,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(request)
}

/// Runs this tool inside `servers run`, so that the servers end with it.
fn again_with_servers(arguments: &[String]) -> Outcome {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut words = vec!["run".to_owned(), "--".to_owned(), own.display().to_string()];
    words.push("prove".to_owned());
    words.extend(arguments.iter().cloned());
    crate::servers::main(&words)
}

/// Builds the program with its named places and returns where it is.
fn build() -> Result<PathBuf, String> {
    let mut command = Command::new("cargo");
    command.args(["build", "--quiet", "--package", "whimbrel", "--features", "failpoints"]);
    command.arg("--message-format=json").current_dir(crate::workspace::root()?);
    command.stderr(std::process::Stdio::inherit());
    crate::servers::without_outer_cargo(&mut command);
    let output = command.output().map_err(|error| format!("Failed to start cargo: {error}"))?;
    if !output.status.success() {
        return Err("the program cannot be built".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "whimbrel")
            .then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    programs.next_back().ok_or_else(|| "cargo does not say where the program is".to_owned())
}

/// Runs `work` for the numbers below `count`, `piece` of them at a time, as [`each`] does.
fn each_piece<R: Send>(
    count: usize,
    piece: usize,
    work: impl Fn(std::ops::Range<usize>) -> R + Sync,
) -> Vec<R> {
    let pieces: Vec<usize> = (0..count).step_by(piece).collect();
    each(&pieces, |from| work(*from..(from + piece).min(count)))
}

/// The case `ENGINE/SEED/NUMBER`; a failure when it is none.
fn numbered(case: &str, findings: &mut Findings) -> Option<(Engine, u64, usize)> {
    let words: Vec<&str> = case.split('/').collect();
    let parsed = match words.as_slice() {
        [engine, seed, number] => Engine::from_name(engine)
            .zip(seed.parse::<u64>().ok())
            .zip(number.parse::<usize>().ok()),
        _ => None,
    };
    if parsed.is_none() {
        findings.failures.push(format!("`{case}` is not ENGINE/SEED/NUMBER"));
    }
    parsed.map(|((engine, seed), number)| (engine, seed, number))
}

/// Runs `work` for each item on two threads, telling how far it is, and collects what it returns.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results = std::sync::Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    let mut all = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    all.push(result);
                    if all.len() % 50 == 0 {
                        complain(&format!("{} of {}", all.len(), items.len()));
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn arguments_are_read() {
        let request = parse(&words("crash --engine=sqlite,mariadb --seed=7 --no-record")).unwrap();
        assert_eq!(request.engines, [Engine::Sqlite, Engine::Mariadb]);
        assert_eq!((request.seed, request.record), (7, false));
        let request = parse(&words("crash --case=postgres/one/lock.after_acquire:1")).unwrap();
        assert_eq!(request.engines, [Engine::Postgres]);
        assert!(parse(&words("crash --engine=oracle")).is_err());
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn every_item_is_worked_on_once() {
        let mut results = each(&[1, 2, 3, 4, 5], |number| number * 2);
        results.sort_unstable();
        assert_eq!(results, [2, 4, 6, 8, 10]);
    }
}
