//! Texts that look like what they stand for. Addresses are those that nobody has: `example.com`
//! (RFC 2606) and telephone numbers kept for stories (555-01..).

use super::dice::Dice;
use super::names::Style;

const FIRST: &[&str] = &[
    "Ada", "Alan", "Amina", "Björn", "Chloé", "Dmitri", "Edsger", "Emeka", "Fatima", "Grace",
    "Hana", "Ines", "Jürgen", "Kofi", "Lena", "Mei", "Niko", "Oksana", "Priya", "Rosa", "Sofía",
    "Tariq", "Uma", "Viktor", "Wen", "Zoë",
];
const LAST: &[&str] = &[
    "Adeyemi",
    "Bauer",
    "Costa",
    "Dubois",
    "Eriksson",
    "Fernández",
    "García",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lovelace",
    "Müller",
    "Nakamura",
    "O'Brien",
    "Papadopoulos",
    "Rossi",
    "Sato",
    "Turing",
    "Ueda",
    "Vasquez",
    "Weber",
    "Yılmaz",
    "Zhang",
];
const WORDS: &[&str] = &[
    "amber", "anchor", "autumn", "basket", "bridge", "candle", "cedar", "cloud", "copper", "dawn",
    "ember", "fern", "field", "garden", "harbor", "hollow", "island", "juniper", "lantern",
    "maple", "meadow", "morning", "north", "ocean", "orchard", "paper", "pebble", "pine", "quiet",
    "rain", "river", "silver", "stone", "summer", "thistle", "valley", "willow", "winter",
    "yellow",
];
const CITIES: &[&str] = &[
    "Accra",
    "Bergen",
    "Bogotá",
    "Graz",
    "Hanoi",
    "Kraków",
    "Lyon",
    "Mumbai",
    "Nairobi",
    "Osaka",
    "Porto",
    "Quito",
    "Riga",
    "São Paulo",
    "Tampere",
    "Zürich",
];
const COUNTRIES: &[(&str, &str)] = &[
    ("AT", "Austria"),
    ("BR", "Brazil"),
    ("CO", "Colombia"),
    ("DE", "Germany"),
    ("FI", "Finland"),
    ("FR", "France"),
    ("GH", "Ghana"),
    ("IN", "India"),
    ("JP", "Japan"),
    ("KE", "Kenya"),
    ("NO", "Norway"),
    ("PL", "Poland"),
    ("PT", "Portugal"),
    ("VN", "Vietnam"),
];
const LOCALES: &[&str] = &["de", "en", "es", "fi", "fr", "hi", "it", "ja", "pl", "pt"];
const CURRENCIES: &[&str] = &["CHF", "EUR", "GBP", "INR", "JPY", "KES", "NOK", "PLN", "USD"];
const FILES: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("jpg", "image/jpeg"),
    ("mp4", "video/mp4"),
    ("md", "text/markdown"),
];
const ZONES: &[&str] = &["UTC", "Europe/Berlin", "America/Bogota", "Asia/Tokyo", "Africa/Nairobi"];
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// What a text must keep.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// At least so many characters.
    pub(super) least: usize,
    /// At most so many.
    pub(super) most: Option<usize>,
    /// No other characters.
    pub(super) ascii: bool,
    /// The text is no other row's: it holds this number.
    pub(super) number: Option<u64>,
}

/// A text of a style. On later tries of one row it is plainer, in case that a pattern asks for it.
pub(super) fn text(style: Style, shape: Shape, attempt: u32, dice: &mut Dice) -> String {
    let number = shape.number.map(|number| number.saturating_add(1));
    let (head, tail) = match attempt {
        0 | 1 => styled(style, number, dice),
        2 => (word(dice), number.map(base36).unwrap_or_default()),
        3 => (String::new(), digits(number.unwrap_or_else(|| dice.below(90_000) + 10_000), 5)),
        4 => (word(dice).to_uppercase(), number.map(base36).unwrap_or_default().to_uppercase()),
        _ => (format!("{} ", capital(&word(dice))), number.map(base36).unwrap_or_default()),
    };
    let head = if shape.ascii { plain(&head) } else { head };
    fitted(head, tail, shape, dice)
}

/// Head and tail within the limits; of the two the head gives way.
fn fitted(mut head: String, mut tail: String, shape: Shape, dice: &mut Dice) -> String {
    let length = |text: &str| text.chars().count();
    while length(&head) + length(&tail) < shape.least {
        let more = word(dice);
        head = if head.is_empty() { more } else { format!("{head} {more}") };
    }
    let Some(most) = shape.most else { return head + &tail };
    if let (Some(number), true) = (shape.number, length(&tail) + 1 > most.max(1)) {
        // Only the number itself is short enough.
        let short = base36(number);
        let missing = shape.least.saturating_sub(short.len());
        tail = "0".repeat(missing) + &short;
        head.clear();
    }
    let room = most.saturating_sub(length(&tail));
    if length(&head) > room {
        head = head.chars().take(room).collect();
        let trimmed = head.trim_end().len();
        // A blank at the end is no character to some databases.
        if shape.least == 0 || length(&head) > shape.least {
            head.truncate(trimmed);
        }
    }
    let out = head + &tail;
    if length(&out) > most && shape.number.is_none() {
        return out.chars().take(most).collect();
    }
    out
}

/// The two halves of a text; the number of a unique one is in the second.
fn styled(style: Style, number: Option<u64>, dice: &mut Dice) -> (String, String) {
    let shown = |before: &str| number.map(|n| format!("{before}{n}")).unwrap_or_default();
    let first = dice.pick(FIRST).copied().unwrap_or("Ada");
    let last = dice.pick(LAST).copied().unwrap_or("Bauer");
    let address = || plain(&format!("{first}.{last}")).to_lowercase().replace('\'', "");
    let (code, country) = dice.pick(COUNTRIES).copied().unwrap_or(("AT", "Austria"));
    let (suffix, mime) = dice.pick(FILES).copied().unwrap_or(("txt", "text/plain"));
    let two = [word(dice), word(dice)];
    let pick = |list: &[&str], dice: &mut Dice| {
        (dice.pick(list).copied().unwrap_or_default().to_owned(), shown("-"))
    };
    match style {
        Style::Email => (address(), format!("{}@example.com", shown(""))),
        Style::Url => (format!("https://example.com/{}", two[0]), shown("/")),
        Style::Phone => match number {
            Some(number) => ("+1 555 01".to_owned(), digits(number, 2)),
            None => ("+1 555 01".to_owned(), digits(dice.below(100), 2)),
        },
        Style::FirstName => (first.to_owned(), shown(" ")),
        Style::LastName => (last.to_owned(), shown(" ")),
        Style::FullName => (format!("{first} {last}"), shown(" ")),
        Style::UserName => (address().replace('.', "_"), shown("")),
        Style::Slug => (two.join("-"), shown("-")),
        Style::Title => (format!("{} {}", capital(&two[0]), two[1]), shown(" ")),
        Style::Sentence => (sentence(dice), shown(" ")),
        Style::Word => (two[0].clone(), shown("-")),
        Style::City => pick(CITIES, dice),
        Style::Country => (country.to_owned(), shown(" ")),
        Style::CountryCode => match number {
            None => (code.to_owned(), String::new()),
            Some(number) => (String::new(), base36(number).to_uppercase()),
        },
        Style::Zip => (String::new(), digits(number.unwrap_or_else(|| dice.below(100_000)), 5)),
        Style::Street => (
            format!("{} Street", capital(&two[0])),
            format!(" {}", { number.unwrap_or_else(|| dice.below(200) + 1) }),
        ),
        Style::Company => (format!("{} {} Ltd", capital(&two[0]), capital(&two[1])), shown(" ")),
        Style::Locale => pick(LOCALES, dice),
        Style::Currency => pick(CURRENCIES, dice),
        Style::Color => {
            (String::new(), format!("#{:06x}", number.unwrap_or_else(|| dice.below(1 << 24))))
        }
        Style::Ip => (String::new(), ip(number.unwrap_or_else(|| dice.below(1 << 24)))),
        Style::UserAgent => (AGENT.to_owned(), shown(" ")),
        Style::Secret => {
            let random = format!("{:016x}{:016x}", dice.roll(), dice.roll());
            (random, number.map(|n| format!("{n:08x}")).unwrap_or_default())
        }
        Style::FileName => (two[0].clone(), format!("{}.{suffix}", shown("-"))),
        Style::Mime => (mime.to_owned(), shown(";n=")),
        Style::TimeZone => pick(ZONES, dice),
        Style::Json => (String::new(), json(number, dice)),
        // These come from their own kinds; as text they are made by `value.rs`.
        Style::Uuid | Style::Date | Style::Time | Style::Moment => (two[0].clone(), shown("-")),
    }
}

/// A small document.
pub(super) fn json(number: Option<u64>, dice: &mut Dice) -> String {
    let count = number.unwrap_or_else(|| dice.below(100));
    format!("{{\"label\": \"{}\", \"count\": {count}}}", word(dice))
}

/// An address of a private network (RFC 1918).
fn ip(number: u64) -> String {
    format!("10.{}.{}.{}", (number >> 16) & 255, (number >> 8) & 255, number & 255)
}

fn word(dice: &mut Dice) -> String {
    dice.pick(WORDS).copied().unwrap_or("word").to_owned()
}

fn sentence(dice: &mut Dice) -> String {
    let count = dice.below(8) + 4;
    let words: Vec<String> = (0..count).map(|_| word(dice)).collect();
    format!("{}.", capital(&words.join(" ")))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |c| c.to_uppercase().chain(letters).collect())
}

fn digits(number: u64, width: usize) -> String {
    format!("{number:0width$}")
}

/// A number in digits and small letters.
pub(super) fn base36(mut number: u64) -> String {
    let mut out = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        out.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return out.iter().rev().collect();
        }
    }
}

/// The nearest ASCII letters of the lists above; what has none is left out.
fn plain(text: &str) -> String {
    let near = |c: char| match c {
        'ö' => Some('o'),
        'ü' => Some('u'),
        'é' | 'ë' => Some('e'),
        'á' | 'ã' => Some('a'),
        'í' | 'ı' => Some('i'),
        'ó' => Some('o'),
        c => c.is_ascii().then_some(c),
    };
    text.chars().filter_map(near).collect()
}
