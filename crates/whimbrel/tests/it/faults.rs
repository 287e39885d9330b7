//! Broken connections, restarted servers, full disks, time-outs: nothing applied twice, nothing
//! recorded that did not happen. `cargo xtask prove faults` tries many more.

use whimbrel_testkit::proof::case::Bench;
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::fault::{blocked, cut, disk, restart, timeout};

/// How many of the breaks are tried for each engine.
const BREAKS: usize = 8;
/// How many restarts are tried for each engine.
const RESTARTS: usize = 3;
/// Distance of the disk sizes that are tried, in KiB.
const DISK_STEP: usize = 90;

fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_whimbrel"))
}

#[track_caller]
fn all_hold<T>(results: impl IntoIterator<Item = Result<T, String>>) -> Vec<T> {
    let (good, bad): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let failures: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    good.into_iter().filter_map(Result::ok).collect()
}

#[track_caller]
fn connections_break(engine: Engine) {
    let bench = bench();
    let Some(breaks) = cut::all(&bench, engine).unwrap() else { return };
    // An odd distance takes both sides of the server's work in turn.
    let step = (breaks.len() / BREAKS).max(1) | 1;
    let tried: Vec<_> = breaks.iter().step_by(step).collect();
    let results = all_hold(tried.iter().map(|one| cut::run(&bench, one)));
    assert!(results.contains(&Some(true)), "no run went on by itself over a new connection");
}

#[test]
fn broken_connections_repeat_and_lose_nothing_on_postgres() {
    connections_break(Engine::Postgres);
}

#[test]
fn broken_connections_repeat_and_lose_nothing_on_mariadb() {
    connections_break(Engine::Mariadb);
}

#[test]
fn a_restarted_postgres_repeats_and_loses_nothing() {
    all_hold(restart::run(&bench(), Engine::Postgres, RESTARTS));
}

#[test]
fn a_restarted_mariadb_repeats_and_loses_nothing() {
    all_hold(restart::run(&bench(), Engine::Mariadb, RESTARTS));
}

#[test]
fn a_statement_that_is_too_slow_leaves_nothing_on_postgres() {
    timeout::run(&bench(), Engine::Postgres).unwrap();
}

#[test]
fn a_statement_that_is_too_slow_leaves_nothing_on_sqlite() {
    timeout::run(&bench(), Engine::Sqlite).unwrap();
}

#[test]
fn a_statement_that_is_too_slow_leaves_nothing_on_mariadb() {
    timeout::run(&bench(), Engine::Mariadb).unwrap();
}

#[test]
fn a_statement_that_outlives_its_program_is_ended_on_postgres() {
    blocked::run(&bench(), Engine::Postgres).unwrap();
}

#[test]
fn a_statement_that_outlives_its_program_is_ended_on_mariadb() {
    blocked::run(&bench(), Engine::Mariadb).unwrap();
}

#[test]
fn a_full_disk_leaves_nothing_half_done_on_sqlite() {
    if let Some(reason) = disk::unavailable() {
        eprintln!("skipped: {reason}");
        return;
    }
    let bench = bench();
    let sizes = disk::sizes(DISK_STEP);
    let cases = sizes.iter().flat_map(|kib| [("several", *kib), ("single", *kib)]);
    let full = all_hold(cases.map(|(plan, kib)| disk::run(&bench, plan, kib)));
    assert!(full.contains(&true), "no disk was full");
}
