//! A few of the cases of `cargo xtask prove damage`.

use std::path::Path;

use whimbrel_testkit::proof::damage::Bench;

/// Of flipped bytes and cuts each so many-th.
const STEP: usize = 211;

#[test]
fn a_changed_backup_is_found_before_the_database_is_touched() {
    let program = Path::new(env!("CARGO_BIN_EXE_whimbrel"));
    let bench = Bench::new(program);
    let cases = bench.cases(STEP);
    assert!(cases.len() > 60, "{}", cases.len());
    let failures: Vec<String> =
        cases.iter().filter_map(|case| bench.run(program, case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
