//! Days, times and moments as text, read strictly: what is not one in every database is none.

use crate::calendar::days_from_civil;

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// A moment that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970-01-01, in UTC if there was a zone.
    pub micros: i64,
    /// A time zone was said.
    pub zoned: bool,
}

/// Days from 1970-01-01 of `2026-11-21`; years of more digits have a sign, as ISO 8601 wants.
/// None if there is no such day.
pub fn read_date(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let signed = rest.len() != text.len();
    let (year_text, month_day) = rest.split_at_checked(rest.len().checked_sub(6)?)?;
    let year_digits = year_text.len();
    if !(4..=6).contains(&year_digits) || (year_digits > 4 && !signed) {
        return None;
    }
    let [b'-', m1, m2, b'-', d1, d2] = month_day.as_bytes() else { return None };
    let year = sign * number(year_text.as_bytes())?;
    let (month, day) = (number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    let within = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    let zero = year == 0 && sign > 0 && !signed;
    (within && !zero).then(|| days_from_civil(year, month, day))
}

/// Microseconds since midnight of `10:15`, `10:15:00` or `10:15:00.25`; None if it is no time of
/// a day or has more than six digits behind the second.
pub fn read_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let [h1, h2, b':', m1, m2, rest @ ..] = bytes else { return None };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (second, fraction) = match rest {
        [] => (0, 0),
        [b':', s1, s2] => (number(&[*s1, *s2])?, 0),
        [b':', s1, s2, b'.', digits @ ..] => (number(&[*s1, *s2])?, micros(digits)?),
        _ => return None,
    };
    let within = hour < 24 && minute < 60 && second < 60;
    within.then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
}

/// A moment: a day, `T` or a blank, a time, and perhaps `Z` or an offset as `+02`, `+02:00` or
/// `+0200`.
pub fn read_moment(text: &str) -> Option<Moment> {
    let from = usize::from(text.starts_with(['-', '+']));
    let at = text.get(from..)?.find(['T', ' '])? + from;
    let days = read_date(text.get(..at)?)?;
    let rest = text.get(at + 1..)?;
    let end = rest.find(['Z', '+', '-', ' ']).unwrap_or(rest.len());
    let time = read_time(rest.get(..end)?)?;
    let zone = rest.get(end..)?.trim_start();
    let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
    let local = days.checked_mul(DAY_MICROS)?.checked_add(time)?;
    let micros = local.checked_sub(offset.unwrap_or(0) * 60_000_000)?;
    Some(Moment { micros, zoned: offset.is_some() })
}

/// Minutes east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = match zone.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [h1, h2] => (number(&[*h1, *h2])?, 0),
        [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn micros(digits: &[u8]) -> Option<i64> {
    let kept = digits.get(..digits.len().min(6))?;
    if digits.is_empty() || digits.iter().skip(6).any(|digit| *digit != b'0') {
        return None;
    }
    let missing = u32::try_from(6 - kept.len()).ok()?;
    Some(number(kept)? * 10_i64.pow(missing))
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        value = value * 10 + digit;
    }
    Some(value)
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::write_date;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "0000-00-00",
            "2026-00-01",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "0000-01-01",
            "",
            "12026-01-01",
            "x026-01-01",
        ] {
            assert_eq!(read_date(text), None, "{text}");
        }
        for text in ["24:00:00", "1:00:00", "10:60:00", "10:15:00.", "10:15:00.0000001", "10"] {
            assert_eq!(read_time(text), None, "{text}");
        }
        for text in ["2026-11-21", "2026-11-21T", "2026-11-21 10:15:00 +2", "0000-00-00 00:00:00"] {
            assert_eq!(read_moment(text), None, "{text}");
        }
    }

    #[test]
    fn moments() {
        let read = |text| read_moment(text).map(|moment| (moment.micros, moment.zoned));
        assert_eq!(read("1970-01-01 00:00:01"), Some((1_000_000, false)));
        assert_eq!(read("1970-01-01T02:00:00.5+02:00"), Some((500_000, true)));
        assert_eq!(read("1970-01-01 00:00Z"), Some((0, true)));
        assert_eq!(read("1969-12-31 23:00:00 -0100"), Some((0, true)));
        assert_eq!(read_time("10:15:00.2500000"), Some(36_900_250_000));
    }

    #[test]
    fn the_year_before_the_first_reads_back() {
        for days in [-719_529, -719_528, -719_163, -719_162] {
            let mut text = String::new();
            write_date(&mut text, days);
            assert_eq!(read_date(&text), Some(days), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_date_that_is_written_reads_back(days in -2_000_000_i64..2_932_897 + 1_000_000) {
            let mut text = String::new();
            write_date(&mut text, days);
            prop_assert_eq!(read_date(&text), Some(days), "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = (read_date(&text), read_time(&text), read_moment(&text));
        }
    }
}
