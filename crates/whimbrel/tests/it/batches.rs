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

/// Runs the cases and fails with all that went wrong.
#[track_caller]
fn all_hold(bench: &Bench, cases: &[Case]) {
    let failures: Vec<String> = cases.iter().filter_map(|case| bench.run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[track_caller]
fn every_place(engine: Engine) {
    let Some(bench) = bench(engine) else { return };
    for point in failpoint::BATCHES {
        assert!(bench.passes(point) > 0, "{engine} does not pass {point}");
    }
    let cases = bench.each_point(failpoint::BATCHES);
    for case in &cases {
        assert_eq!(bench.run(case), Ok(Some(true)));
    }
    let back = bench.each_point_back(failpoint::BATCHES);
    assert!(back.len() >= 4, "{back:?}");
    all_hold(&bench, &back);
}

#[track_caller]
fn others(engine: Engine) {
    let Some(bench) = bench(engine) else { return };
    let mut troubles = vec![
        Trouble::KillAt(SHARE),
        Trouble::Second(None),
        Trouble::Second(Some(SHARE)),
        Trouble::Overtaken("batch.before_begin".to_owned(), 12),
        Trouble::UndoKillAt(SHARE),
    ];
    if engine != Engine::Sqlite {
        troubles.extend([Trouble::Cut(SHARE), Trouble::UndoCut(SHARE)]);
        troubles.push(Trouble::Overtaken("batch.before_commit".to_owned(), 4));
    }
    let cases: Vec<Case> = troubles.into_iter().map(|trouble| Case { engine, trouble }).collect();
    all_hold(&bench, &cases);
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
