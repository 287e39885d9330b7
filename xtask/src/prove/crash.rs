//! `prove crash`: every named place at every passing, and kills on the way back.

use std::path::Path;

use whimbrel_testkit::proof::case::{Bench, Case};
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::random::Random;
use whimbrel_testkit::proof::sweep::Sweep;

use super::{Findings, Request, each};
use crate::output::complain;

/// Cases with two kills, for each engine.
const TWICE: usize = 40;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let bench = Bench::new(program);
    let mut findings = Findings::default();
    let mut random = Random::new(request.seed);
    let mut cases: Vec<Case> = Vec::new();
    match &request.case {
        Some(text) => match text.parse() {
            Ok(case) => cases.push(case),
            Err(error) => findings.failures.push(error),
        },
        None => {
            for engine in &request.engines {
                match Sweep::new(&bench, *engine) {
                    Ok(Some(sweep)) => {
                        cases.extend(sweep.each_passing());
                        cases.extend(sweep.twice(&mut random, TWICE));
                    }
                    Ok(None) => findings.notes.push(format!("{engine} was left out")),
                    Err(failure) => findings.failures.push(failure),
                }
            }
        }
    }
    findings.cases = cases.len();
    let (mut kills, mut second, mut grouped, mut decisions, mut reruns) = (0, 0, 0, 0, 0);
    let run = |case: &Case| {
        let result = bench.run(case);
        if let Err(failure) = &result {
            complain(failure);
        }
        (case.clone(), result)
    };
    for (case, result) in each(&cases, run) {
        match result {
            Ok(Some(course)) => {
                kills += course.killed.iter().filter(|killed| **killed).count();
                second += usize::from(course.killed.get(1) == Some(&true));
                grouped += usize::from(case.engine != Engine::Mariadb && case.plan == "several");
                decisions += course.decisions;
                reruns += usize::from(course.reruns > 1);
            }
            Ok(None) => findings.notes.push(format!("{case} was left out")),
            Err(failure) => findings.failures.push(failure),
        }
    }
    findings.notes.push(format!(
        "{kills} kills, {second} of them on the way back, {grouped} cases in groups, \
         {decisions} decisions by hand, {reruns} cases needed a second run"
    ));
    findings
}
