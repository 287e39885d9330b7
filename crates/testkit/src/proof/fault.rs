//! What happens around the program: connections that break, servers that restart, disks that are
//! full, statements that run out of time.

pub mod blocked;
pub mod cut;
pub mod disk;
pub mod restart;
pub mod timeout;

use super::case::Undisturbed;
use super::engine::Engine;
use super::plan::Plan;
use super::trial::Trial;
use super::{Verdict, ensure};
use crate::run::Output;

/// How often the command may be run again, once the trouble is over, until it ends well.
const RERUNS_MAX: usize = 2;

/// A run that the trouble met either got over it or failed in an orderly way.
fn check_orderly(output: &Output) -> Verdict<()> {
    ensure(matches!(output.code, Some(0 | 1)), || {
        format!("the trouble ended it in an unforeseen way: {output}")
    })
}

/// Runs the command again after the trouble is over, and compares with the undisturbed run.
fn recover(trial: &Trial<'_>, undisturbed: &Undisturbed) -> Verdict<()> {
    let mut runs = 1;
    let mut output = trial.run();
    while output.code != Some(0) && runs < RERUNS_MAX {
        output = trial.run();
        runs += 1;
    }
    ensure(output.code == Some(0), || format!("it does not end well afterwards: {output}"))?;
    let differences = trial.look()?.differences(&undisturbed.sight);
    ensure(differences.is_empty(), || differences)
}

/// Names a case in its failure.
fn named<T>(name: &str, work: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
    super::guarded(work).map_err(|error| format!("{name}: {error}"))
}

/// The plan of this name.
fn plan(engine: Engine, name: &str) -> Verdict<Plan> {
    Plan::named(engine, name).ok_or_else(|| format!("there is no plan `{name}`"))
}
