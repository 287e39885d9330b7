//! Eight processes at once, and a holder that is stopped, loses its lease and wakes up.
//! `cargo xtask prove races` does it more often.

use whimbrel_testkit::proof::case::Bench;
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::race::{Pause, at_once, overtaken};

/// Rounds of eight processes for each engine: the first two differ in plan and meeting place.
const ROUNDS: usize = 2;
/// Every so many-th place at which a holder can be stopped.
const PAUSES_STEP: usize = 4;

fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_whimbrel"))
}

#[track_caller]
fn eight_at_once(engine: Engine) {
    let bench = bench();
    let failures: Vec<String> =
        (0..ROUNDS).filter_map(|round| at_once(&bench, engine, round).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[track_caller]
fn stopped_holders(engine: Engine) {
    let bench = bench();
    let pauses = Pause::all(engine);
    let tried = pauses.iter().skip(2).step_by(PAUSES_STEP);
    let failures: Vec<String> = tried.filter_map(|pause| overtaken(&bench, pause).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn alone_one_of_eight_does_the_work_on_sqlite() {
    eight_at_once(Engine::Sqlite);
}

#[test]
fn alone_one_of_eight_does_the_work_on_postgres() {
    eight_at_once(Engine::Postgres);
}

#[test]
fn alone_one_of_eight_does_the_work_on_mariadb() {
    eight_at_once(Engine::Mariadb);
}

#[test]
fn a_holder_that_was_stopped_commits_nothing_more_on_sqlite() {
    stopped_holders(Engine::Sqlite);
}

#[test]
fn a_holder_that_was_stopped_commits_nothing_more_on_postgres() {
    stopped_holders(Engine::Postgres);
}

#[test]
fn a_holder_that_was_stopped_commits_nothing_more_on_mariadb() {
    stopped_holders(Engine::Mariadb);
}
