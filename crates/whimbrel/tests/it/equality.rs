//! Random statements in batches leave what the database's own client leaves in one go, and taken
//! back they leave what was before. `cargo xtask prove equality` tries thousands.

use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::equality::compare;

/// Statements for each engine.
const STATEMENTS: usize = 120;
const SEED: u64 = 20;

#[track_caller]
fn batches_equal_one_go(engine: Engine) {
    let report = compare(env!("CARGO_BIN_EXE_whimbrel").as_ref(), engine, SEED, 0..STATEMENTS);
    let Some(report) = report.unwrap() else { return };
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
    let missing = report.not_covered(engine);
    assert!(missing.is_empty(), "not covered: {}", missing.join("; "));
    assert_eq!(report.cases, STATEMENTS);
    assert!(report.share() >= 90, "{}", report.refused.join("\n"));
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
