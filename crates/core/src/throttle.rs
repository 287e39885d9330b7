//! What holds a data migration back between two batches, so that it does not disturb others.

use std::fmt;
use std::time::Duration;

/// A signal that holds lets go only when its value is down to so many parts of [`PARTS`] of its
/// threshold, so that it does not flicker.
const RELEASE_PARTS: u64 = 4;
/// See [`RELEASE_PARTS`].
const PARTS: u64 = 5;
/// First and longest wait before a signal is looked at again, in milliseconds.
const LOOK_MS: (u64, u64) = (1_000, 60_000);

/// The signals that are asked for. Each alone is enough to hold a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// How far a replica may be behind.
    pub replication_lag: Option<Lag>,
    /// How many sessions may be at work.
    pub active_connections: Option<u64>,
    /// How many sessions may have waited for locks of the batch before.
    pub lock_waits: Option<u64>,
    /// A query whose first value must not be above zero.
    pub query: Option<String>,
    /// A file that must not exist, relative to the project.
    pub flag_file: Option<String>,
    /// When batches may run.
    pub window: Option<Window>,
}

impl Throttle {
    /// Whether nothing is asked for.
    pub fn is_off(&self) -> bool {
        *self == Throttle::default()
    }
}

/// How far a replica may be behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// In time.
    Time(Duration),
    /// In bytes of the log.
    Bytes(u64),
}

/// A part of each day, in UTC; it may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First minute of the day, from 0.
    from: u16,
    /// First minute that is outside again.
    to: u16,
}

impl Window {
    /// Reads `01:00-05:30`.
    pub fn parse(text: &str) -> Option<Window> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        (from != to).then_some(Window { from, to })
    }

    /// Whether a moment, in seconds since 1970-01-01 UTC, lies in it.
    pub fn contains(self, unix_seconds: u64) -> bool {
        let now = u16::try_from(unix_seconds / 60 % 1_440).unwrap_or(0);
        if self.from < self.to {
            (self.from..self.to).contains(&now)
        } else {
            now >= self.from || now < self.to
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |minute: u16| (minute / 60, minute % 60);
        let ((h, m), (to_h, to_m)) = (part(self.from), part(self.to));
        write!(f, "{h:02}:{m:02}-{to_h:02}:{to_m:02} UTC")
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// Whether a value holds the run. One that holds already must come further down to let go.
pub fn holds(value: u64, threshold: u64, already: bool) -> bool {
    let limit = if already { threshold.saturating_mul(RELEASE_PARTS) / PARTS } else { threshold };
    value > limit
}

/// How long to wait before look `number`, from 1, in milliseconds.
pub fn look_after_ms(number: u32) -> u64 {
    let (first, longest) = LOOK_MS;
    let doubled = 1_u64.checked_shl(number.saturating_sub(1)).unwrap_or(u64::MAX);
    first.saturating_mul(doubled).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_may_go_over_midnight() {
        let day = Window::parse("01:00-05:30").unwrap();
        assert_eq!(day.to_string(), "01:00-05:30 UTC");
        let at = |h: u64, m: u64| 86_400 * 20_000 + h * 3_600 + m * 60;
        assert!(day.contains(at(1, 0)) && day.contains(at(5, 29)));
        assert!(!day.contains(at(0, 59)) && !day.contains(at(5, 30)));
        let night = Window::parse("22:00 - 04:00").unwrap();
        assert!(
            night.contains(at(23, 59)) && night.contains(at(0, 0)) && night.contains(at(3, 59))
        );
        assert!(!night.contains(at(4, 0)) && !night.contains(at(21, 59)));
        for wrong in ["", "1:00-2:00", "25:00-03:00", "01:60-02:00", "01:00", "01:00-01:00", "a-b"]
        {
            assert_eq!(Window::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_signal_that_holds_lets_go_further_down() {
        assert!(!holds(10, 10, false));
        assert!(holds(11, 10, false));
        assert!(holds(9, 10, true));
        assert!(!holds(8, 10, true));
        assert!(!holds(0, 0, true));
    }

    #[test]
    fn looks_become_rarer_up_to_a_minute() {
        let waits: Vec<u64> = (1..=8).map(look_after_ms).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(look_after_ms(u32::MAX), 60_000);
    }
}
