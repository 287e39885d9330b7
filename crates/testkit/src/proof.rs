//! Proofs that take many runs of the program: killed at each named place, raced against itself, cut
//! off from its server.
//!
//! Tests run a few cases of each, `cargo xtask prove` runs many; both call the functions here. Each
//! case ends with the same question: is the database what an undisturbed run makes of it, with each
//! step's effect in it exactly once?

pub mod batch;
pub mod case;
pub mod damage;
pub mod engine;
pub mod equality;
pub mod fault;
pub mod live;
pub mod plan;
pub mod proxy;
pub mod race;
pub mod random;
pub mod rollback;
pub mod roundtrip;
pub mod sweep;
mod trial;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a proof found: nothing, or a sentence that says what is wrong.
pub type Verdict<T> = Result<T, String>;

/// Calls `work` and turns a panic of the test harness into a sentence, so that a proof with many
/// cases goes on to the next one.
pub fn guarded<T>(work: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "the harness panicked".to_owned()))
    })
}

/// Fails with `message` unless `holds`.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Verdict<()> {
    if holds { Ok(()) } else { Err(message()) }
}
