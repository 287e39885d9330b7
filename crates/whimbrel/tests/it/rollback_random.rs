//! Random interleavings of `up`, writes of an application and rollbacks: nothing that the
//! application wrote is lost without the phrase for exactly that number. `cargo xtask prove
//! rollback` tries thousands.

use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::proof::rollback;

const SEED: u64 = 20;

#[track_caller]
fn nothing_is_lost_unasked(engine: Engine, cases: usize) {
    let program = env!("CARGO_BIN_EXE_whimbrel").as_ref();
    let Some(report) = rollback::run(program, engine, SEED, 0..cases) else { return };
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n\n"));
    assert!(report.took_back > 0 && report.came_back > 0, "{}", report.line());
    // Few cases on a server, which takes longer, do not meet everything.
    let missing = report.not_covered();
    let all = missing.is_empty() || engine != Engine::Sqlite;
    assert!(all, "not covered: {}; {}", missing.join("; "), report.line());
}

#[test]
fn nothing_is_lost_unasked_on_sqlite() {
    nothing_is_lost_unasked(Engine::Sqlite, 25);
}

#[test]
fn nothing_is_lost_unasked_on_postgres() {
    nothing_is_lost_unasked(Engine::Postgres, 3);
}

#[test]
fn nothing_is_lost_unasked_on_mariadb() {
    nothing_is_lost_unasked(Engine::Mariadb, 3);
}
