//! How many rows the next batch has, so that a batch takes the time that was asked for.
//!
//! The rate is smoothed as pt-online-schema-change does it: older batches count less and less. One
//! step changes the size by at most half, except that a batch far too slow cuts it at once.

/// Rows of the first batch.
pub const BATCH_ROWS_FIRST: u64 = 1_000;
/// Fewest rows of a batch whose size follows the time.
pub const BATCH_ROWS_MIN: u64 = 10;
/// Most rows of a batch whose size follows the time.
pub const BATCH_ROWS_MAX: u64 = 100_000;

/// How much an older batch counts against the next one.
const DECAY: f64 = 0.75;
/// A batch that takes so many times its target cuts the size at once.
const PANIC: f64 = 5.0;
/// How many batches the size stays after a time-out.
const HOLD_BATCHES: u32 = 20;

/// How long batches may hold SQLite's only write lock, added up, before everyone else gets a
/// window, in milliseconds. With one batch more it stays below the second that applications wait.
const HELD_MS_MAX: f64 = 300.0;
/// How long that window is, in milliseconds: whoever waits for SQLite's lock looks again after at
/// most 100 (`sqliteDefaultBusyCallback`), so that nobody misses it.
const WINDOW_MS: u64 = 120;

/// When others get at SQLite's write lock: they do not queue for it, but look whether it is free.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    held_ms: f64,
}

impl Windows {
    /// How long to wait after a batch that took `batch_ms`, where `pause_ms` was asked for (all in
    /// milliseconds).
    pub fn pause_ms(&mut self, batch_ms: f64, pause_ms: u64) -> u64 {
        self.held_ms += batch_ms;
        if self.held_ms < HELD_MS_MAX {
            return pause_ms;
        }
        self.held_ms = 0.0;
        pause_ms.max(WINDOW_MS)
    }
}

/// The size of batches, as it follows what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    rows: u64,
    fixed: Option<u64>,
    target_ms: f64,
    seen_rows: f64,
    seen_ms: f64,
    hold: u32,
}

impl Pace {
    /// Batches of `rows` driving rows, whatever they cost.
    pub fn fixed(rows: u64) -> Pace {
        Pace { fixed: Some(rows.max(1)), ..Pace::following(0, Some(rows)) }
    }

    /// Batches that take about `target_ms` milliseconds, beginning with `rows` or the default.
    pub fn following(target_ms: u64, rows: Option<u64>) -> Pace {
        Pace {
            rows: rows.unwrap_or(BATCH_ROWS_FIRST).max(1),
            fixed: None,
            target_ms: as_f64(target_ms.max(1)),
            seen_rows: 0.0,
            seen_ms: 0.0,
            hold: 0,
        }
    }

    /// Driving rows of the next batch.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes note of a batch of `rows` rows that took `ms` milliseconds, without waiting for locks.
    pub fn done(&mut self, rows: u64, ms: f64) {
        if rows == 0 {
            return;
        }
        if let Some(fixed) = self.fixed {
            self.hold = self.hold.saturating_sub(1);
            if self.hold == 0 {
                self.rows = fixed;
            }
            return;
        }
        let ms = ms.max(0.01);
        self.seen_rows = self.seen_rows * DECAY + as_f64(rows);
        self.seen_ms = self.seen_ms * DECAY + ms;
        if self.hold > 0 {
            self.hold -= 1;
            return;
        }
        let now = as_f64(self.rows);
        let wanted = self.target_ms * self.seen_rows / self.seen_ms;
        let low = if ms > PANIC * self.target_ms { 0.0 } else { now * 0.5 };
        let next = wanted.clamp(low, now * 1.5 + 1.0);
        self.rows = as_u64(next).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX);
    }

    /// A batch ran into a time-out: the same range is tried again in halves, and the size stays
    /// small for a while. False when it cannot become smaller.
    pub fn timed_out(&mut self) -> bool {
        if self.rows <= 1 {
            return false;
        }
        self.rows = (self.rows / 2).max(1);
        self.hold = HOLD_BATCHES;
        self.seen_rows = 0.0;
        self.seen_ms = 0.0;
        true
    }
}

/// Exact for all sizes of batches; larger numbers are only compared.
#[expect(clippy::cast_precision_loss, reason = "sizes of batches are small")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn as_u64(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_what_the_target_allows_and_stays_there() {
        let mut pace = Pace::following(500, None);
        for _ in 0..40 {
            let rows = pace.rows();
            // 20 rows in each millisecond.
            pace.done(rows, as_f64(rows) / 20.0);
        }
        assert!((9_500..=10_500).contains(&pace.rows()), "{}", pace.rows());
    }

    #[test]
    fn others_get_a_window_before_a_second_is_over() {
        let mut windows = Windows::default();
        assert_eq!(windows.pause_ms(250.0, 20), 20);
        assert_eq!(windows.pause_ms(250.0, 20), WINDOW_MS);
        assert_eq!(windows.pause_ms(90.0, 20), 20);
        assert_eq!(windows.pause_ms(900.0, 500), 500);
        assert_eq!(windows.pause_ms(90.0, 20), 20);
    }

    #[test]
    fn one_step_at_most_half_more_or_half_less() {
        let mut pace = Pace::following(500, Some(1_000));
        pace.done(1_000, 1.0);
        assert_eq!(pace.rows(), 1_501);
        let mut pace = Pace::following(500, Some(1_000));
        pace.done(1_000, 2_000.0);
        assert_eq!(pace.rows(), 500);
    }

    #[test]
    fn a_batch_far_too_slow_cuts_at_once() {
        let mut pace = Pace::following(100, Some(10_000));
        pace.done(10_000, 10_000.0);
        assert_eq!(pace.rows(), 100);
    }

    #[test]
    fn a_time_out_halves_and_holds() {
        let mut pace = Pace::following(500, Some(1_000));
        assert!(pace.timed_out());
        assert_eq!(pace.rows(), 500);
        pace.done(500, 1.0);
        assert_eq!(pace.rows(), 500);
        let mut one = Pace::fixed(1);
        assert!(!one.timed_out());
    }

    #[test]
    fn a_fixed_size_stays() {
        let mut pace = Pace::fixed(7);
        pace.done(7, 1_000_000.0);
        assert_eq!(pace.rows(), 7);
    }

    #[test]
    fn a_fixed_size_comes_back_some_batches_after_a_time_out() {
        let mut pace = Pace::fixed(8);
        assert!(pace.timed_out());
        for _ in 1..HOLD_BATCHES {
            pace.done(4, 1.0);
            assert_eq!(pace.rows(), 4);
        }
        pace.done(4, 1.0);
        assert_eq!(pace.rows(), 8);
    }
}
