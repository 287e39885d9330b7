//! Databases with random schemas and rows, saved and restored. `cargo xtask prove roundtrip` makes
//! hundreds.

use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::roundtrip::{Report, run};

/// How many cases are made by one task.
const PIECE: usize = 4;

/// Tries so many cases of a seed; each feature that the proof names must have been there.
#[track_caller]
fn random_databases_come_back(engine: Engine, seed: u64, cases: usize) {
    let program = env!("CARGO_BIN_EXE_whimbrel").as_ref();
    let mut report = Report::default();
    for from in (0..cases).step_by(PIECE) {
        let Some(part) = run(program, engine, seed, from..(from + PIECE).min(cases)) else {
            return;
        };
        report.add(part);
    }
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
    assert_eq!(report.cases, cases);
    let missing = report.not_covered(engine);
    assert!(missing.is_empty(), "{missing:?}; there was {}", report.coverage());
}

#[test]
fn random_databases_come_back_as_they_were_on_sqlite() {
    random_databases_come_back(Engine::Sqlite, 1, 16);
}

#[test]
fn random_databases_come_back_as_they_were_on_postgres() {
    random_databases_come_back(Engine::Postgres, 1, 8);
}

#[test]
fn random_databases_come_back_as_they_were_on_mariadb() {
    random_databases_come_back(Engine::Mariadb, 399, 10);
}
