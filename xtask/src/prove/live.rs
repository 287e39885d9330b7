//! `prove live`: an application that goes on while its rows are migrated.

use std::path::Path;

use whimbrel_testkit::proof::live;

use super::{Findings, Request};

/// Rows of the table, for each engine.
const ROWS: usize = 100_000;
/// How long no statement of the application may take, in milliseconds.
const STALL_MAX_MS: u128 = 1_000;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let mut findings = Findings::default();
    for engine in &request.engines {
        let seen = match live::run(program, *engine, request.count.unwrap_or(ROWS)) {
            Ok(Some(seen)) => seen,
            Ok(None) => {
                findings.notes.push(format!("{engine} was left out"));
                continue;
            }
            Err(failure) => {
                findings.cases += 1;
                findings.failures.push(failure);
                continue;
            }
        };
        findings.cases += 1;
        let stall = seen.stall.as_millis();
        if stall > STALL_MAX_MS {
            findings.failures.push(format!("{engine}: the application stood {stall} ms"));
        }
        findings.notes.push(format!(
            "{engine}: {} statements of the application without error during {} batches in {} ms, \
             the slowest {stall} ms",
            seen.statements,
            seen.batches,
            seen.took.as_millis()
        ));
    }
    findings
}
