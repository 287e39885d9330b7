//! Random statements over random rows: run in batches of any size they leave what the database's
//! own client leaves, which runs them in one go, and taken back they leave what was before.

mod case;
mod change;
mod chunk;
mod draft;
mod expr;
mod forms;
mod insert;
mod key;
mod own;
mod report;
mod tables;
mod trap;

use std::ops::Range;
use std::path::Path;

use self::case::Case;
use self::chunk::Chunk;
pub use self::report::{Report, Tried};
use super::Verdict;
use super::engine::Engine;

/// Statements that share a database.
const CHUNK: usize = 25;

/// Compares statements `numbers` of a seed. `None` if the run leaves the engine out by name.
///
/// # Errors
///
/// When the harness itself fails; what is wrong with the program is in the report.
pub fn compare(
    program: &Path,
    engine: Engine,
    seed: u64,
    numbers: Range<usize>,
) -> Verdict<Option<Report>> {
    compare_with(program, engine, (seed, numbers), false)
}

/// The same with `materialize=true`, which also cuts the traps.
///
/// # Errors
///
/// As for [`compare`].
pub fn compare_frozen(
    program: &Path,
    engine: Engine,
    seed: u64,
    numbers: Range<usize>,
) -> Verdict<Option<Report>> {
    compare_with(program, engine, (seed, numbers), true)
}

fn compare_with(
    program: &Path,
    engine: Engine,
    (seed, numbers): (u64, Range<usize>),
    frozen: bool,
) -> Verdict<Option<Report>> {
    let directive = if frozen { " materialize=true" } else { "" };
    let cases = numbers.map(|number| Case::new(engine, seed, number));
    let cases: Vec<Case> = cases.filter(|case| !(frozen && case.is_row_by_row())).collect();
    let (undo, keep): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.form.undo);
    let mut report = Report::default();
    for cases in undo.chunks(CHUNK).chain(keep.chunks(CHUNK)) {
        let mut cases = cases.to_vec();
        while !cases.is_empty() {
            let Some(mut chunk) = Chunk::new((program, directive), cases.clone())? else {
                return Ok(None);
            };
            match super::guarded(|| chunk.compare(&mut report)) {
                Ok(Some(at)) => {
                    chunk.count(at, &mut report);
                    cases.remove(at);
                }
                ended => {
                    (0..cases.len()).for_each(|at| chunk.count(at, &mut report));
                    report.failures.extend(ended.err());
                    cases.clear();
                }
            }
        }
    }
    Ok(Some(report))
}

/// The text of one statement with its tables, for a look at it.
pub fn text(engine: Engine, seed: u64, number: usize) -> String {
    let case = Case::new(engine, seed, number);
    format!("-- {case}\n{}", case.setup)
}
