//! Batches that are killed, cut off, overtaken: each driving row is done exactly once, and taking
//! back restores each of them. `cargo xtask prove batches` tries many more.

use whimbrel_engine::failpoint;
use whimbrel_testkit::proof::batch::{Bench, Case, Trouble};
use whimbrel_testkit::proof::engine::Engine;

/// Where the others are interrupted: in thousandths of what an undisturbed run takes.
const SHARE: u32 = 600;

#[track_caller]
fn bench(engine: Engine) -> Option<Bench> {
    Bench::new(env!("CARGO_BIN_EXE_whimbrel"), engine).unwrap()
}

/// One run after the other, each killed at another place, up and back.
#[track_caller]
fn every_place(engine: Engine) {
    let Some(bench) = bench(engine) else { return };
    // The later ones still have work that was not done, and go on with it.
    let kill = |point: &&str| ((*point).to_owned(), if point.ends_with("cursor") { 1 } else { 2 });
    let frozen: Vec<&str> = failpoint::FREEZE
        .iter()
        .filter(|point| engine == Engine::Mariadb || **point != "freeze.before_drop")
        .copied()
        .collect();
    let mut kills: Vec<_> = failpoint::BATCHES.iter().map(kill).collect();
    // Each process that goes on passes these for the first time.
    kills.extend(frozen.iter().map(|point| ((*point).to_owned(), 1)));
    for point in failpoint::BATCHES.iter().chain(&frozen) {
        assert!(bench.passes(point).0 > 0, "{engine} does not pass {point}");
    }
    // Back, each statement is one batch.
    let passed = failpoint::BATCHES.iter().filter(|point| bench.passes(point).1 > 0);
    let back: Vec<_> = passed.map(|point| ((*point).to_owned(), 1)).collect();
    assert!(back.len() >= 4, "{back:?}");
    for (trouble, wanted) in
        [(Trouble::Kill(kills.clone()), kills.len()), (Trouble::UndoKill(back.clone()), back.len())]
    {
        assert_eq!(bench.run(&Case { engine, trouble }), Ok(Some(wanted)));
    }
}

/// A second runner, a holder that is overtaken, connections that break.
#[track_caller]
fn others(engine: Engine) {
    let Some(bench) = bench(engine) else { return };
    let mut troubles = vec![
        Trouble::Second(Some(SHARE)),
        Trouble::Overtaken("batch.before_begin".to_owned(), 7),
        Trouble::UndoKillAt(SHARE),
    ];
    if engine != Engine::Sqlite {
        troubles.extend([Trouble::Cut(SHARE), Trouble::UndoCut(SHARE)]);
    }
    let cases = troubles.into_iter().map(|trouble| Case { engine, trouble });
    let failures: Vec<String> = cases.filter_map(|case| bench.run(&case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn sqlite_does_each_row_once_wherever_it_is_killed() {
    every_place(Engine::Sqlite);
}

#[test]
fn postgres_does_each_row_once_wherever_it_is_killed() {
    every_place(Engine::Postgres);
}

#[test]
fn mariadb_does_each_row_once_wherever_it_is_killed() {
    every_place(Engine::Mariadb);
}

#[test]
fn sqlite_does_each_row_once_whoever_comes_between() {
    others(Engine::Sqlite);
}

#[test]
fn postgres_does_each_row_once_whoever_comes_between() {
    others(Engine::Postgres);
}

#[test]
fn mariadb_does_each_row_once_whoever_comes_between() {
    others(Engine::Mariadb);
}
