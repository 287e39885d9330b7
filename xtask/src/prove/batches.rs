//! `prove batches`: each driving row exactly once, whatever dies, and all of it taken back.

use std::path::Path;
use std::time::Instant;

use whimbrel_testkit::proof::batch::{Bench, Case, Trouble};
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::random::Random;

use super::{Findings, Request, each};
use crate::output::complain;

/// Cases for each engine.
const CASES: usize = 168;
/// Of those, restarts of the server, where there is one.
const RESTARTS: usize = 14;
/// From how many seconds on a case is told as slow.
const SLOW: u64 = 20;
/// The places of the loop. The engine's own list is walked through by the tests.
const POINTS: [&str; 6] = [
    "batch.before_cursor",
    "batch.after_cursor",
    "batch.before_begin",
    "batch.after_statement",
    "batch.before_commit",
    "batch.after_commit",
];

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let mut findings = Findings::default();
    let mut random = Random::new(request.seed);
    for engine in &request.engines {
        match Bench::new(program, *engine) {
            Ok(Some(bench)) => one_engine(&bench, request, &mut random, &mut findings),
            Ok(None) => findings.notes.push(format!("{engine} was left out")),
            Err(failure) => findings.failures.push(failure),
        }
    }
    findings
}

fn one_engine(bench: &Bench, request: &Request, random: &mut Random, findings: &mut Findings) {
    let count = request.count.unwrap_or(CASES);
    let restarts = if bench.engine() == Engine::Sqlite { 0 } else { RESTARTS.min(count) };
    let mut cases = bench.each_point(&POINTS);
    cases.extend(bench.each_point_back(&POINTS));
    let rest = count.saturating_sub(cases.len() + restarts);
    cases.extend(bench.some(random, rest));
    if let Some(wanted) = &request.case {
        cases.retain(|case| case.to_string() == *wanted);
    }
    let mut results = each(&cases, |case| {
        let began = Instant::now();
        let result = bench.run(case);
        let seconds = began.elapsed().as_secs();
        if seconds >= SLOW {
            complain(&format!("{case} took {seconds} s"));
        }
        if let Err(failure) = &result {
            complain(failure);
        }
        (case.clone(), result)
    });
    if request.case.is_none() {
        let restarts = bench.some_restarts(random, restarts);
        let found = bench.restarts(&restarts);
        results.extend(restarts.into_iter().zip(found));
    }
    let met = results.iter().filter(|(_, result)| matches!(result, Ok(Some(1..)))).count();
    let of = |which: fn(&Trouble) -> bool| {
        results.iter().filter(|(case, _)| which(&case.trouble)).count()
    };
    findings.cases += results.len();
    findings.notes.push(format!(
        "{}: {met} of {} met the run ({} kills, {} cuts, {} restarts, {} with a second runner, {} \
         on the way back)",
        bench.engine(),
        results.len(),
        of(|trouble| matches!(trouble, Trouble::Kill(_) | Trouble::KillAt(_))),
        of(|trouble| matches!(trouble, Trouble::Cut(_))),
        of(|trouble| matches!(trouble, Trouble::Restart(..))),
        of(|trouble| matches!(trouble, Trouble::Second(_) | Trouble::Overtaken(..))),
        of(is_on_the_way_back),
    ));
    let failed = results.into_iter().filter_map(|(_, result): (Case, _)| result.err());
    findings.failures.extend(failed);
}

fn is_on_the_way_back(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::UndoKill(_) | Trouble::UndoKillAt(_) | Trouble::UndoCut(_))
}
