//! Several processes at once, and one that is stopped for longer than its lease lasts.

use std::fmt;
use std::time::{Duration, Instant};

use super::case::Bench;
use super::engine::Engine;
use super::plan::Plan;
use super::trial::Trial;
use super::{Verdict, ensure, guarded};
use crate::run::{Output, Running};

/// How many processes run at once.
const PROCESSES: usize = 8;
/// What a run that lost its lease ends with.
const LEASE_LOST: i32 = 5;
const STOPS_WITHIN: Duration = Duration::from_secs(60);

/// Where the processes of a round wait for each other, so that they arrive there together.
const MEETING_PLACES: [&str; 3] = ["", "lock.before_acquire:1", "history.before_create:1"];
/// What they do in turn.
const PLANS: [&str; 4] = ["several", "between", "single", "own"];

/// Starts eight processes with the same command. One does the work, the others have nothing to do.
/// `None` if the run leaves the engine out by name.
pub fn at_once(bench: &Bench, engine: Engine, round: usize) -> Verdict<Option<()>> {
    let plan = PLANS.get(round % PLANS.len()).copied().unwrap_or_default();
    let meeting = MEETING_PLACES.get(round % MEETING_PLACES.len()).copied().unwrap_or_default();
    let work = || {
        let plan = Plan::named(engine, plan).ok_or("there is no such plan")?;
        let Some(undisturbed) = bench.undisturbed(&plan)? else { return Ok(None) };
        let Some(trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
        check_outputs(&run_together(&trial, meeting))?;
        let differences = trial.look()?.differences(&undisturbed.sight);
        ensure(differences.is_empty(), || differences)?;
        Ok(Some(()))
    };
    guarded(work).map_err(|error| format!("{engine}/{plan}, eight at once at `{meeting}`: {error}"))
}

fn run_together(trial: &Trial<'_>, meeting: &str) -> Vec<Output> {
    let whimbrel = trial
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", meeting)
        .env("WHIMBREL_FAILPOINT_ACTION", "sleep:400");
    let running: Vec<Running> =
        (0..PROCESSES).map(|_| whimbrel.spawn(&trial.plan.command)).collect();
    running.into_iter().map(Running::wait).collect()
}

fn check_outputs(outputs: &[Output]) -> Verdict<()> {
    for output in outputs {
        ensure(output.code == Some(0), || format!("one of them failed: {output}"))?;
    }
    let idle = outputs.iter().filter(|output| is_idle(output)).count();
    ensure(idle + 1 == outputs.len(), || {
        let texts: Vec<String> = outputs.iter().map(ToString::to_string).collect();
        format!("{idle} of {PROCESSES} had nothing to do:\n{}", texts.join("\n"))
    })
}

fn is_idle(output: &Output) -> bool {
    output.code == Some(0) && output.stdout.contains("Nothing to do")
}

/// Where a holder is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    engine: Engine,
    plan: &'static str,
    point: &'static str,
    nth: usize,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, stopped at {}:{}", self.engine, self.plan, self.point, self.nth)
    }
}

impl Pause {
    /// Every place at which a stopped process can lose its lease: on SQLite only outside of its
    /// write transactions, because inside of one nobody else can write.
    pub fn all(engine: Engine) -> Vec<Pause> {
        let outside = [
            ("several", "lock.after_acquire", 1),
            ("single", "lock.after_acquire", 1),
            ("several", "transaction.before_begin", 1),
            ("single", "transaction.before_begin", 1),
            ("single", "transaction.before_begin", 3),
            ("single", "transaction.after_commit", 2),
            ("own", "transaction.before_begin", 2),
            ("own", "transaction.after_commit", 2),
            ("between", "history.after_intent", 1),
            ("down", "transaction.before_begin", 2),
        ];
        let inside = [
            ("several", "transaction.after_begin", 1),
            ("several", "statement.between", 3),
            ("several", "transaction.before_commit", 1),
            ("single", "statement.between", 3),
            ("single", "ledger.after_write", 2),
            ("single", "transaction.before_commit", 2),
            ("own", "transaction.after_begin", 2),
            ("own", "transaction.before_commit", 1),
            ("between", "statement.after_last", 2),
            ("between", "ledger.after_write", 2),
            ("down", "transaction.before_commit", 1),
        ];
        let both = outside.iter().chain(inside.iter().filter(|_| engine != Engine::Sqlite));
        both.map(|&(plan, point, nth)| Pause { engine, plan, point, nth }).collect()
    }
}

/// Stops a holder, lets its lease run out, lets a second process do the work, and wakes the first:
/// it must not commit anything more, and must say that it lost its lease. `None` if the run leaves
/// the engine out by name.
pub fn overtaken(bench: &Bench, pause: &Pause) -> Verdict<Option<()>> {
    let work = || {
        let plan = Plan::named(pause.engine, pause.plan).ok_or("there is no such plan")?;
        let Some(undisturbed) = bench.undisturbed(&plan)? else { return Ok(None) };
        let Some(trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
        trial.prepare()?;
        let mut first = stopped_at(&trial, pause.point, pause.nth)?;
        // A heartbeat renews the lease every two seconds; the first process is stopped, so nothing
        // renews it any more.
        trial.expire_lease()?;
        let second = trial.run();
        ensure(second.code == Some(0), || format!("the second could not take over: {second}"))?;
        ensure(first.is_running(), || "the first ended while it was stopped".to_owned())?;
        first.resume();
        let first = first.wait();
        // One that had not yet looked what there is to do finds that nothing is left.
        let idle = pause.point == "lock.after_acquire" && is_idle(&first);
        ensure(idle || first.code == Some(LEASE_LOST), || {
            format!("the first woke up to this: {first}")
        })?;
        let differences = trial.look()?.differences(&undisturbed.sight);
        ensure(differences.is_empty(), || differences)?;
        Ok(Some(()))
    };
    guarded(work).map_err(|error| format!("{pause}: {error}"))
}

/// Starts the command and waits until it has stopped itself.
pub(super) fn stopped_at(trial: &Trial<'_>, point: &str, nth: usize) -> Verdict<Running> {
    let mut running = trial
        .whimbrel()
        .env("WHIMBREL_FAILPOINT", format!("{point}:{nth}"))
        .env("WHIMBREL_FAILPOINT_ACTION", "stop")
        .spawn(&trial.plan.command);
    let deadline = Instant::now() + STOPS_WITHIN;
    while state(running.pid()) != Some('T') {
        if !running.is_running() || Instant::now() > deadline {
            return Err(format!("it did not come to {point}:{nth}: {}", running.kill()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(running)
}

/// The state letter of a process in proc(5).
fn state(pid: u32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}
