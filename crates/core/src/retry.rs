//! When a batch that failed is tried again, and when too much has failed to go on.

use std::time::Duration;

/// How often a batch is tried again where nothing is said.
pub const RETRIES: u32 = 3;
/// How long the first wait before a further try is about, where nothing is said.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Longest wait before a further try, in milliseconds.
const DELAY_MS_MAX: u64 = 60_000;
/// Fewest tries, or rows, of which the breaker can say that too many failed.
const BREAKER_MIN: u64 = 50;

/// How often a batch is tried again, and after what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Further tries after the first.
    pub max: u32,
    /// About how long the first wait is; each further one is twice as long.
    pub delay: Duration,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries { max: RETRIES, delay: RETRY_DELAY }
    }
}

impl Retries {
    /// The shortest and the longest wait before further try `number`, from 1, in milliseconds; any
    /// time between them, so that rivals do not meet again. None when it is tried no more.
    pub fn wait_ms(&self, number: u32) -> Option<(u64, u64)> {
        if number == 0 || number > self.max {
            return None;
        }
        let first = u64::try_from(self.delay.as_millis()).unwrap_or(u64::MAX);
        let doubled = 1_u64.checked_shl(number - 1).unwrap_or(u64::MAX);
        let about = first.saturating_mul(doubled).min(DELAY_MS_MAX);
        Some((about / 2, about.saturating_add(about / 2).min(DELAY_MS_MAX)))
    }
}

/// Whether so many failed that going on only does harm: more than half of at least fifty.
pub fn too_many(failed: u64, of: u64) -> bool {
    of >= BREAKER_MIN && failed > of / 2
}

/// Tries of batches, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// All of them.
    pub all: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Tries {
    /// Takes note of one.
    pub fn note(&mut self, failed: bool) {
        self.all += 1;
        self.failed += u64::from(failed);
    }

    /// Whether too many failed.
    pub fn too_many(self) -> bool {
        too_many(self.failed, self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_about_twice_the_one_before() {
        let retries = Retries::default();
        assert_eq!(retries.wait_ms(1), Some((500, 1_500)));
        assert_eq!(retries.wait_ms(2), Some((1_000, 3_000)));
        assert_eq!(retries.wait_ms(3), Some((2_000, 6_000)));
        assert_eq!(retries.wait_ms(4), None);
    }

    #[test]
    fn waits_are_bounded_and_none_overflows() {
        let retries = Retries { max: u32::MAX, delay: Duration::from_secs(1_000) };
        for number in [1, 2, 31, 64, 65, 1_000, u32::MAX] {
            assert_eq!(retries.wait_ms(number), Some((DELAY_MS_MAX / 2, DELAY_MS_MAX)));
        }
        let none = Retries { max: 0, delay: RETRY_DELAY };
        assert_eq!(none.wait_ms(1), None);
    }

    #[test]
    fn the_breaker_opens_at_more_than_half_of_fifty() {
        assert!(!too_many(49, 49));
        assert!(!too_many(25, 50));
        assert!(too_many(26, 50));
        let mut tries = Tries::default();
        for number in 0..100 {
            tries.note(number % 2 == 1);
            assert!(!tries.too_many(), "{tries:?}");
        }
        tries.note(true);
        assert!(tries.too_many());
    }
}
