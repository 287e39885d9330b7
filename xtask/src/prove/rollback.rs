//! `prove rollback`: nothing that an application wrote is lost without the phrase for its number.

use std::path::Path;

use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::rollback::{self, Report};

use super::{Findings, Request, each_piece, numbered};
use crate::output::say;

/// Interleavings on SQLite.
const SQLITE: usize = 5_000;
/// Interleavings on each server.
const SERVERS: usize = 300;
/// Interleavings of one piece of work.
const PIECE: usize = 10;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let mut findings = Findings::default();
    if let Some(case) = &request.case {
        one(program, case, &mut findings);
        return findings;
    }
    for engine in &request.engines {
        let most = if *engine == Engine::Sqlite { SQLITE } else { SERVERS };
        let count = request.count.unwrap_or(most);
        let results = each_piece(count, PIECE, |numbers| {
            rollback::run(program, *engine, request.seed, numbers)
        });
        let mut report = Report::default();
        match results.into_iter().collect::<Option<Vec<Report>>>() {
            Some(parts) => parts.into_iter().for_each(|part| report.add(part)),
            None => findings.notes.push(format!("{engine} was left out")),
        }
        findings.cases += report.cases;
        findings.notes.push(format!("{engine}: {}", report.line()));
        findings.failures.extend(report.failures);
    }
    findings
}

/// `ENGINE/SEED/NUMBER`.
fn one(program: &Path, case: &str, findings: &mut Findings) {
    let Some((engine, seed, number)) = numbered(case, findings) else { return };
    findings.cases = 1;
    match rollback::run(program, engine, seed, number..number + 1) {
        Some(report) => {
            say(&report.line());
            findings.failures.extend(report.failures);
        }
        None => findings.notes.push("it was left out".to_owned()),
    }
}
