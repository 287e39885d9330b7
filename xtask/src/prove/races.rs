//! `prove races`: many processes at once, and a holder that loses its lease while it is stopped.

use std::path::Path;

use whimbrel_testkit::proof::case::Bench;
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::race::{self, Pause};

use super::{Findings, Request};

/// How often eight processes run on each engine.
const ROUNDS: usize = 20;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let bench = Bench::new(program);
    let mut findings = Findings::default();
    for engine in &request.engines {
        for round in 0..ROUNDS {
            note(&mut findings, race::at_once(&bench, *engine, round));
        }
        for pause in Pause::all(*engine) {
            note(&mut findings, race::overtaken(&bench, &pause));
        }
    }
    let names: Vec<&str> = request.engines.iter().copied().map(Engine::name).collect();
    findings.notes.push(format!("{ROUNDS} rounds of 8 processes on each of {}", names.join(", ")));
    findings
}

/// Counts one case.
pub(super) fn note(findings: &mut Findings, result: Result<Option<()>, String>) {
    match result {
        Ok(Some(())) => findings.cases += 1,
        Ok(None) => findings.notes.push("a case was left out".to_owned()),
        Err(failure) => {
            findings.cases += 1;
            findings.failures.push(failure);
        }
    }
}
