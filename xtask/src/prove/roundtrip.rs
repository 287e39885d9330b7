//! `prove roundtrip`: random databases are saved, proven and restored.

use std::path::Path;

use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::roundtrip::{self, Report};

use super::{Findings, Request, each_piece, numbered};
use crate::output::say;

/// Databases of each server.
const SERVERS: usize = 200;
/// Databases that are files.
const FILES: usize = 1_000;
/// Databases of one piece of work.
const PIECE: usize = 5;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let mut findings = Findings::default();
    if let Some(case) = &request.case {
        one(program, case, &mut findings);
        return findings;
    }
    for engine in &request.engines {
        let all = if *engine == Engine::Sqlite { FILES } else { SERVERS };
        let count = request.count.unwrap_or(all);
        let results = each_piece(count, PIECE, |numbers| {
            roundtrip::run(program, *engine, request.seed, numbers)
        });
        let mut report = Report::default();
        results.into_iter().flatten().for_each(|part| report.add(part));
        findings.cases += report.cases;
        findings.failures.extend(report.not_covered(*engine));
        let note = format!("{engine}: {} databases with {}", report.cases, report.coverage());
        findings.notes.push(note);
        findings.failures.extend(report.failures);
    }
    findings
}

/// `ENGINE/SEED/NUMBER`.
fn one(program: &Path, case: &str, findings: &mut Findings) {
    let Some((engine, seed, number)) = numbered(case, findings) else { return };
    say(&roundtrip::text(engine, seed, number));
    findings.cases = 1;
    if let Some(report) = roundtrip::run(program, engine, seed, number..number + 1) {
        findings.failures.extend(report.failures);
    }
}
