//! Killed at each named place and run again: the same schema and rows as without the kill, each
//! step's effect exactly once. `cargo xtask prove crash` tries many more.

use whimbrel_engine::failpoint;
use whimbrel_testkit::proof::case::{Bench, Case};
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::random::Random;
use whimbrel_testkit::proof::sweep::Sweep;

/// Cases in which the way back is interrupted too, for each engine.
const TWICE: usize = 4;
const SEED: u64 = 20;

fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_whimbrel"))
}

/// Runs the cases and fails with all that went wrong. Returns how many kills took place.
#[track_caller]
fn run(bench: &Bench, cases: &[Case]) -> usize {
    let mut failures = Vec::new();
    let mut kills = 0;
    for case in cases {
        match bench.run(case) {
            Ok(Some(course)) => kills += course.killed.iter().filter(|killed| **killed).count(),
            Ok(None) => failures.push(format!("{case}: left out half-way")),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    kills
}

/// Every place, but those that this engine has no use for.
fn every_place(engine: Engine, unused: &[&str]) {
    let bench = bench();
    let Some(sweep) = Sweep::new(&bench, engine).unwrap() else { return };
    let used: Vec<&str> =
        failpoint::ALL.iter().copied().filter(|point| !unused.contains(point)).collect();
    let cases = sweep.each_point(&used);
    let wanted: usize = cases.iter().map(|case| case.kills.len()).sum();
    assert_eq!(run(&bench, &cases), wanted, "a place was not passed");
    for point in unused {
        assert!(!sweep.passes(point), "{engine} passes {point}, which is listed as unused");
    }
}

fn the_way_back_too(engine: Engine) {
    let bench = bench();
    let Some(sweep) = Sweep::new(&bench, engine).unwrap() else { return };
    let kills = run(&bench, &sweep.twice(&mut Random::new(SEED), TWICE));
    assert!(kills > TWICE, "no second kill took place");
}

#[test]
fn sqlite_survives_a_kill_at_every_place() {
    every_place(Engine::Sqlite, &[]);
}

#[test]
fn postgres_survives_a_kill_at_every_place() {
    every_place(Engine::Postgres, &[]);
}

#[test]
fn mariadb_survives_a_kill_at_every_place() {
    // Without schema changes in transactions there are no groups.
    every_place(Engine::Mariadb, &["group.between"]);
}

#[test]
fn sqlite_survives_a_kill_on_the_way_back() {
    the_way_back_too(Engine::Sqlite);
}

#[test]
fn postgres_survives_a_kill_on_the_way_back() {
    the_way_back_too(Engine::Postgres);
}

#[test]
fn mariadb_survives_a_kill_on_the_way_back() {
    the_way_back_too(Engine::Mariadb);
}
