//! Waiting times that differ from process to process, so that rivals do not meet again and again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A time between `low` and `high` milliseconds, different at each call.
pub(crate) fn between_ms(low: u64, high: u64) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let span = high.saturating_sub(low).saturating_add(1);
    Duration::from_millis(low + random % span)
}
