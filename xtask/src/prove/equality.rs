//! `prove equality`: random statements in batches leave what they leave in one go.

use std::path::Path;

use whimbrel_testkit::proof::equality::{self, Report};

use super::{Findings, Request, each_piece, numbered};
use crate::output::{complain, say};

/// Statements for each engine.
const STATEMENTS: usize = 2_000;
/// Statements of one piece of work.
const PIECE: usize = 100;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let mut findings = Findings::default();
    if let Some(case) = &request.case {
        one(program, case, &mut findings);
        return findings;
    }
    for engine in &request.engines {
        let count = request.count.unwrap_or(STATEMENTS);
        let results = each_piece(count, PIECE, |numbers| {
            equality::compare(program, *engine, request.seed, numbers)
        });
        let mut report = Report::default();
        for result in results {
            match result {
                Ok(Some(part)) => report.add(part),
                Ok(None) => findings.notes.push(format!("{engine} was left out")),
                Err(failure) => findings.failures.push(failure),
            }
        }
        tell(&report);
        findings.failures.extend(report.not_covered(*engine));
        findings.cases += report.cases;
        findings.notes.push(format!(
            "{engine}: {} statements in {} batches, {} % of the accepted forms taken, {} taken \
             back, {} traps taken",
            report.cases,
            report.batches,
            report.share(),
            report.undone,
            report.traps_taken.len()
        ));
        findings.failures.extend(report.failures);
    }
    findings
}

fn tell(report: &Report) {
    report.lines().iter().for_each(|line| say(line));
    for refused in &report.refused {
        complain(&format!("not taken: {refused}"));
    }
    for taken in &report.traps_taken {
        complain(&format!("a trap was taken, with an equal result: {taken}"));
    }
}

/// `ENGINE/SEED/NUMBER`, or `ENGINE/NUMBER` of this seed.
fn one(program: &Path, case: &str, findings: &mut Findings) {
    let Some((engine, seed, number)) = numbered(case, findings) else { return };
    say(&equality::text(engine, seed, number));
    findings.cases = 1;
    match equality::compare(program, engine, seed, number..number + 1) {
        Ok(Some(report)) => {
            tell(&report);
            findings.failures.extend(report.failures);
        }
        Ok(None) => findings.notes.push("it was left out".to_owned()),
        Err(failure) => findings.failures.push(failure),
    }
}
