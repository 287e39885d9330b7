//! Numbers that look random and follow from a seed.

/// The step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A row of numbers, the same for the same seed, place and row.
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// The hash of a place such as a column's name (FNV-1a with 64 bits).
pub(super) fn place(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Dice {
    /// The numbers of a place (a hash, such as of a column's name) in one row, at one try.
    pub fn new(seed: u64, place: u64, row: u64, attempt: u32) -> Dice {
        let row = mixed(row.wrapping_add(STEP).wrapping_mul(STEP));
        Dice(mixed(seed ^ mixed(place)) ^ row ^ mixed(u64::from(attempt)))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll().checked_rem(end).unwrap_or(0)
    }

    /// A number in `low..=high`; `low` if there is none.
    pub(super) fn between(&mut self, low: i128, high: i128) -> i128 {
        let span = high.saturating_sub(low).saturating_add(1);
        let Ok(span) = u128::try_from(span) else { return low };
        let roll = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        i128::try_from(roll.checked_rem(span).unwrap_or(0)).map_or(low, |n| low.saturating_add(n))
    }

    /// A number in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something with this probability happens.
    pub fn hits(&mut self, rate: f64) -> bool {
        self.unit() < rate
    }

    /// One of a list; nothing of an empty one.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = self.below(list.len() as u64);
        list.get(usize::try_from(at).unwrap_or(0))
    }
}
