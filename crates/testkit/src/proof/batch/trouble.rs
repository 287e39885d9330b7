//! Making trouble.

use std::time::Duration;

use super::case::Trouble;
use super::{Bench, work};
use crate::proof::fault::restart::Server;
use crate::proof::proxy::Proxy;
use crate::proof::race::stopped_at;
use crate::proof::trial::Trial;
use crate::proof::{Verdict, ensure};
use crate::run::Output;

const SIGKILL: i32 = 9;
/// What a run that lost its lease ends with.
const LEASE_LOST: i32 = 5;

/// Runs the work with the trouble. Says how often it met the run.
pub(super) fn up(
    bench: &Bench,
    trial: &mut Trial<'_>,
    trouble: &Trouble,
    server: Option<&mut Server>,
) -> Verdict<usize> {
    let met = match trouble {
        Trouble::Kill(kills) => return killed(trial, work::UP, kills),
        Trouble::KillAt(share) => Ok(killed_at(trial, work::UP, bench.up.takes, *share)),
        Trouble::Cut(share) => cut(trial, work::UP, bench.up.bytes, *share),
        Trouble::Restart(point, nth, crash) => restarted(trial, point, *nth, *crash, server),
        Trouble::Second(share) => second(bench, trial, *share),
        Trouble::Overtaken(point, nth) => overtaken(trial, point, *nth),
        Trouble::UndoKill(_) | Trouble::UndoKillAt(_) | Trouble::UndoCut(_) => Ok(false),
    };
    met.map(usize::from)
}

/// Takes the work back with the trouble. Says how often it met the run.
pub(super) fn undo(bench: &Bench, trial: &mut Trial<'_>, trouble: &Trouble) -> Verdict<usize> {
    let met = match trouble {
        Trouble::UndoKill(kills) => return killed(trial, work::UNDO, kills),
        Trouble::UndoKillAt(share) => Ok(killed_at(trial, work::UNDO, bench.undo.takes, *share)),
        Trouble::UndoCut(share) => cut(trial, work::UNDO, bench.undo.bytes, *share),
        _ => Ok(false),
    };
    met.map(usize::from)
}

/// One run after the other, each killed at its place.
fn killed(trial: &Trial<'_>, command: &[&str], kills: &[(String, usize)]) -> Verdict<usize> {
    let mut met = 0;
    for (point, nth) in kills {
        let output = trial
            .whimbrel()
            .env("WHIMBREL_FAILPOINT", format!("{point}:{nth}"))
            .env("WHIMBREL_FAILPOINT_ACTION", "kill")
            .run(command);
        if output.signal == Some(SIGKILL) {
            met += 1;
            continue;
        }
        // A later one may find too little work left to come to its place.
        ensure(output.code == Some(0), || format!("it failed by itself: {output}"))?;
        break;
    }
    Ok(met)
}

fn killed_at(trial: &Trial<'_>, command: &[&str], takes: Duration, share: u32) -> bool {
    let running = trial.whimbrel().spawn(command);
    std::thread::sleep(takes * share / 1_000);
    running.kill().signal == Some(SIGKILL)
}

fn cut(trial: &mut Trial<'_>, command: &[&str], bytes: i64, share: u32) -> Verdict<bool> {
    let after = bytes * i64::from(share) / 1_000;
    let proxy = trial.through(|port| Proxy::cutting_after(port, after))?;
    let output = trial.whimbrel().run(command);
    let met = proxy.bytes() > after;
    trial.reach_by(trial.database.url.clone());
    orderly(&output)?;
    Ok(met)
}

/// A run either got over the trouble or failed in an orderly way.
fn orderly(output: &Output) -> Verdict<()> {
    ensure(matches!(output.code, Some(0 | 1)), || {
        format!("the trouble ended it in an unforeseen way: {output}")
    })
}

fn restarted(
    trial: &Trial<'_>,
    point: &str,
    nth: usize,
    crash: bool,
    server: Option<&mut Server>,
) -> Verdict<bool> {
    let server = server.ok_or("a restart needs a private server")?;
    let running = stopped_at(trial, point, nth)?;
    server.restart(crash).map_err(|error| error.to_string())?;
    running.resume();
    orderly(&running.wait())?;
    Ok(true)
}

/// Two at once; the first is killed after a share of its time, or both are left alone.
fn second(bench: &Bench, trial: &Trial<'_>, share: Option<u32>) -> Verdict<bool> {
    let first = trial.whimbrel().spawn(work::UP);
    let second = trial.whimbrel().spawn(work::UP);
    if let Some(share) = share {
        std::thread::sleep(bench.up.takes * share / 1_000);
        first.kill();
    } else {
        let first = first.wait();
        ensure(first.code == Some(0), || format!("the first of two failed: {first}"))?;
    }
    let second = second.wait();
    ensure(second.code == Some(0), || format!("the second of two failed: {second}"))?;
    Ok(true)
}

fn overtaken(trial: &Trial<'_>, point: &str, nth: usize) -> Verdict<bool> {
    let mut first = stopped_at(trial, point, nth)?;
    trial.expire_lease()?;
    let second = trial.whimbrel().run(work::UP);
    ensure(second.code == Some(0), || format!("the second could not take over: {second}"))?;
    ensure(first.is_running(), || "the first ended while it was stopped".to_owned())?;
    first.resume();
    let first = first.wait();
    ensure(first.code == Some(LEASE_LOST), || format!("the first woke up to this: {first}"))?;
    Ok(true)
}
