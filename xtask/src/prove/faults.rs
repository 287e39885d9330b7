//! `prove faults`: lost connections, restarted servers, full disks, time-outs.

use std::path::Path;

use whimbrel_testkit::proof::case::Bench;
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::fault::{blocked, cut, disk, restart, timeout};

use super::races::note;
use super::{Findings, Request, each};

/// Distance of the disk sizes that are tried, in KiB.
const DISK_STEP: usize = 12;
/// Places at which a server is restarted, at most.
const RESTARTS: usize = 100;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let bench = Bench::new(program);
    let mut findings = Findings::default();
    for engine in &request.engines {
        if *engine == Engine::Sqlite {
            disks(&bench, &mut findings);
            note(&mut findings, timeout::run(&bench, *engine));
            continue;
        }
        cuts(&bench, *engine, &mut findings);
        let restarts = restart::run(&bench, *engine, RESTARTS);
        findings.notes.push(format!("{engine}: {} restarts", restarts.len()));
        restarts.into_iter().for_each(|result| note(&mut findings, result.map(Some)));
        note(&mut findings, timeout::run(&bench, *engine));
        note(&mut findings, blocked::run(&bench, *engine));
    }
    findings
}

fn disks(bench: &Bench, findings: &mut Findings) {
    if let Some(reason) = disk::unavailable() {
        findings.notes.push(format!("full disks were left out: {reason}"));
        return;
    }
    let mut cases = Vec::new();
    for plan in ["several", "single"] {
        cases.extend(disk::sizes(DISK_STEP).into_iter().map(|kib| (plan, kib)));
    }
    let results = each(&cases, |(plan, kib)| disk::run(bench, plan, *kib));
    let full = results.iter().filter(|result| **result == Ok(true)).count();
    findings.notes.push(format!("sqlite: {full} full disks"));
    results.into_iter().for_each(|result| note(findings, result.map(|_| Some(()))));
}

fn cuts(bench: &Bench, engine: Engine, findings: &mut Findings) {
    let breaks = match cut::all(bench, engine) {
        Ok(breaks) => breaks.unwrap_or_default(),
        Err(failure) => return findings.failures.push(failure),
    };
    let results = each(&breaks, |one| cut::run(bench, one));
    let alone = results.iter().filter(|result| **result == Ok(Some(true))).count();
    findings.notes.push(format!(
        "{engine}: {} connections cut, {alone} runs went on by themselves",
        breaks.len()
    ));
    results.into_iter().for_each(|result| note(findings, result.map(|found| found.map(drop))));
}
