//! Reading single values strictly.

use super::loss::Loss;

/// Decimal digits that a floating point number of eight bytes always keeps.
const REAL_DIGITS_MAX: usize = 15;

/// The bytes of a UUID of 36 characters.
pub fn read_uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut out = [0_u8; 16];
    let mut digits = text.bytes().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
    if [8, 13, 18, 23].iter().any(|at| text.as_bytes().get(*at) != Some(&b'-')) {
        return None;
    }
    for byte in &mut out {
        let mut digit = || char::from(digits.next()?.1).to_digit(16);
        *byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
    }
    Some(out)
}

/// A time without zeros at the end of its fraction, which MySQL prints.
pub(super) fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

pub(super) fn no_time(text: &str) -> Loss {
    let zero = text.get(..10).is_some_and(|day| {
        let parts: Vec<&str> = day.split('-').collect();
        let digits = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        parts.len() == 3 && digits && parts.iter().any(|part| part.bytes().all(|b| b == b'0'))
    });
    if zero { Loss::ZeroDate } else { Loss::NoTime }
}

pub(super) fn fits_fraction(micros: i64, digits: u8) -> Result<(), Loss> {
    let unit = 10_i64.pow(u32::from(6_u8.saturating_sub(digits)));
    if micros.rem_euclid(unit) == 0 { Ok(()) } else { Err(Loss::Digits) }
}

/// `-12.50`: a sign, digits, perhaps a point and digits.
pub(super) fn is_plain_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all(whole) && all(fraction)
}

/// The digits in front of the point without leading zeros, and those behind it without zeros at
/// the end.
pub(super) fn significant(text: &str) -> (&str, &str) {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    (whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

/// The number, if a floating point number of eight bytes keeps all its digits.
pub(super) fn decimal_as_real(text: &str) -> Result<f64, Loss> {
    if !is_plain_decimal(text) {
        return Err(Loss::NotANumber);
    }
    let (whole, fraction) = significant(text);
    // Zeros at the end of a whole number, and behind the point before the first digit, are no
    // digits that must be kept.
    let count = if fraction.is_empty() {
        whole.trim_end_matches('0').len()
    } else if whole.is_empty() {
        fraction.trim_start_matches('0').len()
    } else {
        whole.len() + fraction.len()
    };
    if count > REAL_DIGITS_MAX {
        return Err(Loss::Digits);
    }
    text.parse().map_err(|_| Loss::NotANumber)
}

/// The number of four bytes as the eight byte number with the same shortest decimal.
pub(super) fn shortest_single(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap_or(value)
}

/// Whether SQLite's numeric affinity would turn the text into a number: blanks around a number
/// do not keep it from that (sqlite.org/datatype3.html, section 3).
pub(super) fn looks_like_a_number(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    begins && text.parse::<f64>().is_ok() && !text.ends_with(|c: char| c.is_ascii_alphabetic())
}
