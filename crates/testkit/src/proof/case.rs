//! One interruption: killed at a named place, perhaps again on the way back, then left alone.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::engine::Engine;
use super::plan::Plan;
use super::trial::{Sight, Trial};
use super::{Verdict, ensure, guarded};
use crate::run::Output;

/// How often the command may be run again without being disturbed until it ends well.
const RERUNS_MAX: usize = 2;
/// How often a case may ask for a decision: each plan has fewer questions.
const DECISIONS_MAX: usize = 8;
const SIGKILL: i32 = 9;
const NEEDS_DECISION: i32 = 4;

/// A named place in the program, at its n-th passing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The place.
    pub point: String,
    /// Which passing, from 1.
    pub nth: usize,
}

/// What is interrupted, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The database.
    pub engine: Engine,
    /// Name of the plan.
    pub plan: String,
    /// One kill for each run, in order.
    pub kills: Vec<Kill>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> =
            self.kills.iter().map(|kill| format!("{}:{}", kill.point, kill.nth)).collect();
        write!(f, "{}/{}/{}", self.engine, self.plan, kills.join(","))
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Verdict<Case> {
        let wrong = || format!("`{text}` is not ENGINE/PLAN/POINT:N,POINT:N");
        let (engine, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (plan, kills) = rest.split_once('/').ok_or_else(wrong)?;
        let kill = |text: &str| {
            let (point, nth) = text.split_once(':').unwrap_or((text, "1"));
            Some(Kill { point: point.to_owned(), nth: nth.parse().ok()? })
        };
        Ok(Case {
            engine: Engine::from_name(engine).ok_or_else(wrong)?,
            plan: plan.to_owned(),
            kills: kills.split(',').map(kill).collect::<Option<_>>().ok_or_else(wrong)?,
        })
    }
}

/// What a case went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// For each kill, whether its place was passed, so that the program was killed.
    pub killed: Vec<bool>,
    /// Decisions that only a look at the rows could make.
    pub decisions: usize,
    /// Undisturbed runs after the kills until one ended well.
    pub reruns: usize,
}

/// What an undisturbed run of a plan does.
#[derive(Debug)]
pub(super) struct Undisturbed {
    pub(super) sight: Sight,
    passed: Vec<String>,
}

/// The program under test, with what is known of undisturbed runs.
#[derive(Debug)]
pub struct Bench {
    program: PathBuf,
    undisturbed: Mutex<HashMap<(Engine, String), Arc<Undisturbed>>>,
}

impl Bench {
    /// A bench for the program at `program`, which was built with the feature `failpoints`.
    pub fn new(program: impl AsRef<Path>) -> Bench {
        Bench { program: program.as_ref().to_owned(), undisturbed: Mutex::default() }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The places that an undisturbed run of the plan passes, in order, each as often as it is
    /// passed. `None` if the run leaves this engine out by name.
    pub fn passed(&self, plan: &Plan) -> Verdict<Option<Vec<String>>> {
        Ok(self.undisturbed(plan)?.map(|run| run.passed.clone()))
    }

    /// Goes through a case. `None` if the run leaves its engine out by name.
    pub fn run(&self, case: &Case) -> Verdict<Option<Course>> {
        guarded(|| self.run_unguarded(case)).map_err(|error| format!("{case}: {error}"))
    }

    fn run_unguarded(&self, case: &Case) -> Verdict<Option<Course>> {
        let plan = Plan::named(case.engine, &case.plan).ok_or("there is no such plan")?;
        let Some(undisturbed) = self.undisturbed(&plan)? else { return Ok(None) };
        let Some(trial) = Trial::new(&self.program, &plan) else { return Ok(None) };
        trial.prepare()?;
        let mut course = Course::default();
        for kill in &case.kills {
            let killed = interrupt(&trial, kill, &mut course)?;
            course.killed.push(killed);
        }
        finish(&trial, &mut course)?;
        let differences = trial.look()?.differences(&undisturbed.sight);
        ensure(differences.is_empty(), || differences)?;
        Ok(Some(course))
    }

    pub(super) fn undisturbed(&self, plan: &Plan) -> Verdict<Option<Arc<Undisturbed>>> {
        let key = (plan.engine, plan.name.to_owned());
        let mut known = self.undisturbed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&key) {
            return Ok(Some(Arc::clone(found)));
        }
        let made = guarded(|| self.run_undisturbed(plan));
        let made =
            made.map_err(|error| format!("{}/{} undisturbed: {error}", plan.engine, plan.name));
        let Some(made) = made? else { return Ok(None) };
        let made = Arc::new(made);
        known.insert(key, Arc::clone(&made));
        Ok(Some(made))
    }

    fn run_undisturbed(&self, plan: &Plan) -> Verdict<Option<Undisturbed>> {
        let Some(trial) = Trial::new(&self.program, plan) else { return Ok(None) };
        trial.prepare()?;
        let log = trial.project.at("passed.log");
        let whimbrel = trial.whimbrel().env("WHIMBREL_FAILPOINT_LOG", log.display().to_string());
        let output = whimbrel.run(&plan.command);
        ensure(output.code == Some(0), || output.to_string())?;
        let sight = trial.look()?;
        let passed: Vec<String> = read(&log).lines().map(str::to_owned).collect();
        ensure(!passed.is_empty(), || {
            "the program passes no named place: build it with `--features failpoints`".to_owned()
        })?;
        Ok(Some(Undisturbed { sight, passed }))
    }
}

/// Runs the command until the kill. Returns whether it came to it.
fn interrupt(trial: &Trial<'_>, kill: &Kill, course: &mut Course) -> Verdict<bool> {
    loop {
        let log = trial.project.at("passed.log");
        // It is there only after a run before this one.
        let _ = std::fs::remove_file(&log);
        let output = trial
            .whimbrel()
            .env("WHIMBREL_FAILPOINT", format!("{}:{}", kill.point, kill.nth))
            .env("WHIMBREL_FAILPOINT_ACTION", "kill")
            .env("WHIMBREL_FAILPOINT_LOG", log.display().to_string())
            .run(&trial.plan.command);
        let count = read(&log).lines().filter(|line| *line == kill.point).count();
        if count >= kill.nth {
            ensure(output.signal == Some(SIGKILL), || {
                format!("it passed {}:{} and was not killed: {output}", kill.point, kill.nth)
            })?;
            return Ok(true);
        }
        ensure(output.signal.is_none(), || format!("a signal from nowhere: {output}"))?;
        if !decide(trial, &output, course)? {
            return Ok(false);
        }
    }
}

/// Runs the command again until it ends well.
fn finish(trial: &Trial<'_>, course: &mut Course) -> Verdict<()> {
    loop {
        let output = trial.run();
        if decide(trial, &output, course)? {
            continue;
        }
        course.reruns += 1;
        if output.code == Some(0) {
            let had_work = !output.stdout.contains("Nothing to do");
            return if had_work { trial.check_released() } else { Ok(()) };
        }
        ensure(course.reruns < RERUNS_MAX, || {
            format!("it does not end well when it is run again: {output}")
        })?;
    }
}

/// Answers the question that a run ended with. Returns whether there was one.
fn decide(trial: &Trial<'_>, output: &Output, course: &mut Course) -> Verdict<bool> {
    if output.code != Some(NEEDS_DECISION) {
        return Ok(false);
    }
    let named = |step: &str| output.stderr.contains(&format!("resolve {step} --happened"));
    let found = trial.plan.by_hand.iter().find(|by_hand| named(by_hand.step));
    let by_hand = found.ok_or_else(|| format!("a decision that nobody should need: {output}"))?;
    trial.decide(by_hand)?;
    course.decisions += 1;
    ensure(course.decisions <= DECISIONS_MAX, || format!("no end of decisions: {output}"))?;
    Ok(true)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_written_and_read() {
        let text = "sqlite/between/history.after_intent:1,recovery.before_probe:2";
        let case: Case = text.parse().unwrap();
        assert_eq!(case.kills.len(), 2);
        assert_eq!(case.to_string(), text);
        assert!("sqlite/between".parse::<Case>().is_err());
        assert!("oracle/one/a:1".parse::<Case>().is_err());
    }
}
