//! Data: many rows, beside what people use for the same work.

mod copy;
pub(super) mod rows;
mod update;
mod validate;

use std::path::Path;

use super::{Request, again_with_servers};
use crate::Outcome;

/// Runs the comparisons of the data issue.
pub(super) fn bench(program: &Path, request: &Request) -> Outcome {
    if let Some(outcome) = again_with_servers() {
        return outcome;
    }
    if request.only.is_empty() || "update".contains(&request.only) {
        update::bench(program, request)?;
    }
    if request.only.is_empty() || "validate".contains(&request.only) {
        validate::bench(program, request)?;
    }
    if request.only.is_empty() || "copy".contains(&request.only) {
        copy::bench(program, request)?;
    }
    Ok(0)
}
