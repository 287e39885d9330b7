//! Random statements in batches leave what the database's own client leaves in one go, and taken
//! back they leave what was before. `cargo xtask prove equality` tries thousands.

use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::equality::{compare, compare_frozen};

/// Statements that are computed once, for each engine: each form at least once.
const FROZEN: usize = 48;
const SEED: u64 = 20;

/// Statements for an engine; a server takes longer for each.
fn statements(engine: Engine) -> usize {
    if engine == Engine::Sqlite { 120 } else { 80 }
}

#[track_caller]
fn batches_equal_one_go(engine: Engine) {
    let count = statements(engine);
    let report = compare(env!("CARGO_BIN_EXE_whimbrel").as_ref(), engine, SEED, 0..count);
    let Some(report) = report.unwrap() else { return };
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
    let missing = report.not_covered(engine);
    assert!(missing.is_empty(), "not covered: {}", missing.join("; "));
    assert_eq!(report.cases, count);
    assert_eq!(report.shared > 0, engine != Engine::Sqlite, "{} shared", report.shared);
    assert!(report.share() >= 90, "{}", report.refused.join("\n"));
}

/// What is computed once leaves what one go leaves, also where a batch must not compute it.
#[track_caller]
fn frozen_equal_one_go(engine: Engine) {
    let program = env!("CARGO_BIN_EXE_whimbrel").as_ref();
    let report = compare_frozen(program, engine, SEED, 0..FROZEN);
    let Some(report) = report.unwrap() else { return };
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
    assert!(report.cases > FROZEN - 5, "{}", report.cases);
    assert!(report.share() >= 90, "{}", report.refused.join("\n"));
    // A statement that changes the key it goes along is no matter of reading.
    assert!(report.share_of_traps() >= 80, "{}", report.lines().join("\n"));
}

#[test]
fn what_is_computed_once_leaves_what_one_go_leaves_on_sqlite() {
    frozen_equal_one_go(Engine::Sqlite);
}

#[test]
fn what_is_computed_once_leaves_what_one_go_leaves_on_postgres() {
    frozen_equal_one_go(Engine::Postgres);
}

#[test]
fn what_is_computed_once_leaves_what_one_go_leaves_on_mariadb() {
    frozen_equal_one_go(Engine::Mariadb);
}

#[test]
fn batches_leave_what_one_go_leaves_on_sqlite() {
    batches_equal_one_go(Engine::Sqlite);
}

#[test]
fn batches_leave_what_one_go_leaves_on_postgres() {
    batches_equal_one_go(Engine::Postgres);
}

#[test]
fn batches_leave_what_one_go_leaves_on_mariadb() {
    batches_equal_one_go(Engine::Mariadb);
}
