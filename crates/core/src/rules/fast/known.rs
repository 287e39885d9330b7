//! Formats and patterns that are checked by hand. Each accepts only what both the format and the
//! pattern accept; what it does not accept may still be valid.

/// A text whose form is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A format that JSON Schema does not know says nothing.
    Anything,
    Uuid,
    Email,
    Date,
    Time,
    DateTime,
}

/// Patterns that zod 4 prints, word by word: <https://zod.dev/json-schema>.
const PATTERNS: &[(&str, Known)] = &[
    (
        "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-\
         [0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|\
         ffffffff-ffff-ffff-ffff-ffffffffffff)$",
        Known::Uuid,
    ),
    (
        "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$",
        Known::Uuid,
    ),
    (
        "^(?:[A-Za-z0-9_'+\\-]+\\.)*[A-Za-z0-9_'+\\-]*[A-Za-z0-9_+-]@\
         (?:[A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$",
        Known::Email,
    ),
    (
        "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@\
         ([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$",
        Known::Email,
    ),
];
/// How zod's patterns for dates begin.
const ZOD_DATE: &str = "(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|\
    [13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-\
    (?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))";
/// What follows in those for dates with a time that ends with `Z`.
const ZOD_TIMES: &[&str] = &[
    "T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$",
    "T(?:(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?(?:Z))$",
    "T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?\
     (?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$",
];
const ZOD_TIME: &str = "^(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?$";

impl Known {
    /// The check for a format; `None` if only JSON Schema itself can judge it.
    pub(super) fn format(name: &str) -> Option<Known> {
        match name {
            "uuid" => Some(Known::Uuid),
            "email" => Some(Known::Email),
            "date" => Some(Known::Date),
            "date-time" => Some(Known::DateTime),
            // Printed by zod and pydantic; no format of JSON Schema.
            "starts_with" | "ends_with" | "includes" | "lowercase" | "uppercase" | "cuid"
            | "cuid2" | "ulid" | "nanoid" | "base64" | "base64url" | "e164" | "jwt" | "emoji"
            | "binary" | "password" | "uuid4" => Some(Known::Anything),
            _ => None,
        }
    }

    /// The check for a pattern; `None` if only a regular expression can judge it.
    pub(super) fn pattern(pattern: &str) -> Option<Known> {
        if let Some((_, known)) = PATTERNS.iter().find(|(text, _)| *text == pattern) {
            return Some(*known);
        }
        if pattern == ZOD_TIME {
            return Some(Known::Time);
        }
        let rest = pattern.strip_prefix('^')?.strip_prefix(ZOD_DATE)?;
        match rest {
            "$" => Some(Known::Date),
            _ if ZOD_TIMES.contains(&rest) => Some(Known::DateTime),
            _ => None,
        }
    }

    /// Whether the text certainly has the form.
    pub(super) fn accepts(self, text: &[u8]) -> bool {
        match self {
            Known::Anything => true,
            Known::Uuid => is_uuid(text),
            Known::Email => is_email(text),
            Known::Date => text.len() == 10 && is_date(text),
            Known::Time => is_time(text),
            Known::DateTime => {
                let (Some(date), Some(rest)) = (text.get(..10), text.get(10..)) else {
                    return false;
                };
                let [b'T', time @ .., b'Z'] = rest else { return false };
                is_date(date) && is_time(time)
            }
        }
    }
}

/// A UUID of the versions 1 to 8.
fn is_uuid(text: &[u8]) -> bool {
    if text.len() != 36 {
        return false;
    }
    text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => matches!(byte, b'1'..=b'8'),
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
        _ => byte.is_ascii_hexdigit(),
    })
}

/// An address of plain letters, with short parts.
fn is_email(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| *byte == b'@') else { return false };
    let (local, domain) = (text.get(..at), text.get(at + 1..));
    let (Some(local), Some(domain)) = (local, domain) else { return false };
    if local.is_empty() || local.len() > 64 || domain.len() > 180 {
        return false;
    }
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-');
    let is_local =
        local.split(|byte| *byte == b'.').all(|part| !part.is_empty() && part.iter().all(word));
    is_local && is_domain(domain)
}

fn is_domain(domain: &[u8]) -> bool {
    let mut count = 0;
    let mut last: &[u8] = &[];
    for label in domain.split(|byte| *byte == b'.') {
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let fits = label.len() <= 63 && ends(label.first()) && ends(label.last());
        if !fits || !label.iter().all(inside) {
            return false;
        }
        count += 1;
        last = label;
    }
    count >= 2 && last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic)
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    let digit = |at: usize| {
        text.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'))
    };
    Some(digit(at)? * 10 + digit(at + 1)?)
}

/// A day that exists, in its first ten bytes.
fn is_date(text: &[u8]) -> bool {
    let parts = (two(text, 0), two(text, 2), two(text, 5), two(text, 8));
    let (Some(century), Some(rest), Some(month), Some(day)) = parts else { return false };
    if text.get(4) != Some(&b'-') || text.get(7) != Some(&b'-') {
        return false;
    }
    let year = century * 100 + rest;
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day) && year > 0
}

/// `10:15:00` with at most nine digits of a fraction, and no leap second.
fn is_time(text: &[u8]) -> bool {
    let parts = (two(text, 0), two(text, 3), two(text, 6));
    let (Some(hour), Some(minute), Some(second)) = parts else { return false };
    if text.get(2) != Some(&b':') || text.get(5) != Some(&b':') {
        return false;
    }
    let fraction = match text.get(8..) {
        None | Some([]) => true,
        Some([b'.', digits @ ..]) => {
            (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        Some(_) => false,
    };
    hour < 24 && minute < 60 && second < 60 && fraction
}
