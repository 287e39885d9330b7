//! One migration: what identifies it, what it consists of.

use std::cmp::Ordering;
use std::fmt;

/// What identifies a migration: its file name, read.
///
/// Two migrations are the same if their file names are. They are ordered by number, suffix and name
/// (so `0003` comes before `0003b` and that before `0004`), a schema migration before a data
/// migration of the same number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MigrationId {
    /// The digits that the name begins with.
    pub number: Number,
    /// Letters and digits that follow the number at once: the `b` of `0003b_fix.sql`.
    pub suffix: String,
    /// What follows the separator: `add_owner`. May be empty.
    pub name: String,
    /// Schema or data.
    pub kind: Kind,
    /// The path below its folder, which the ledger and other tools' history tables store.
    pub file_name: String,
}

impl MigrationId {
    /// Number and suffix as written: `0003b`. The whole stem where there is no number.
    pub fn version(&self) -> String {
        if self.number.is_absent() {
            return self.name.clone();
        }
        format!("{}{}", self.number, self.suffix)
    }

    /// The file name without its extension, to which companions attach.
    pub fn stem(&self) -> &str {
        let name = match self.file_name.split_once('/') {
            // `0001_init/migration.sql` is named by its folder.
            Some((folder, _)) => folder,
            None => &self.file_name,
        };
        let name = name.strip_suffix(".sql").unwrap_or(name);
        match self.kind {
            Kind::Data => name.strip_suffix(".data").unwrap_or(name),
            Kind::Schema => name,
        }
    }

    /// A data migration follows the schema migration of its number, whatever the two are called.
    fn order(&self) -> (&Number, &str, Kind, &str, &str) {
        (&self.number, &self.suffix, self.kind, &self.name, &self.file_name)
    }
}

impl Ord for MigrationId {
    fn cmp(&self, other: &MigrationId) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for MigrationId {
    fn partial_cmp(&self, other: &MigrationId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name)
    }
}

/// A migration's number: its digits as written, compared by value, of any length.
///
/// A file without one (which only wrangler runs) has no digits and comes last.
#[derive(Clone, Debug, Default)]
pub struct Number {
    digits: String,
}

impl Number {
    /// Takes the ASCII digits that `text` begins with; none of any other script count.
    pub fn leading(text: &str) -> Number {
        let end = text.bytes().take_while(u8::is_ascii_digit).count();
        Number { digits: text.get(..end).unwrap_or("").to_owned() }
    }

    /// The digits as written.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Whether the file has no number.
    pub fn is_absent(&self) -> bool {
        self.digits.is_empty()
    }

    /// The digits without leading zeros; `0` for zero, empty if absent.
    pub fn value(&self) -> &str {
        match self.digits.trim_start_matches('0') {
            "" if !self.is_absent() => "0",
            value => value,
        }
    }

    /// Whether it reads as a timestamp `YYYYMMDDhhmmss`, perhaps with fractions of a second.
    pub fn is_timestamp(&self) -> bool {
        let value = self.value();
        (14..=17).contains(&value.len()) && (value.starts_with("19") || value.starts_with("20"))
    }

    /// The next number, written with at least as many digits.
    pub fn next(&self) -> Number {
        let mut digits: Vec<u8> = self.digits.bytes().collect();
        for digit in digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return Number { digits: String::from_utf8_lossy(&digits).into_owned() };
            }
            *digit = b'0';
        }
        Number { digits: format!("1{}", String::from_utf8_lossy(&digits)) }
    }

    /// The same number with leading zeros up to `width` digits.
    pub fn padded(&self, width: usize) -> Number {
        Number { digits: format!("{:0>width$}", self.value()) }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.value() == other.value()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value().hash(state);
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        let key = |number: &Number| (number.is_absent(), number.value().len());
        key(self).cmp(&key(other)).then_with(|| self.value().cmp(other.value()))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

/// What a migration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Tables, columns, indexes: runs as written.
    Schema,
    /// Rows: runs in batches.
    Data,
}

impl Kind {
    /// The lower-case word used in JSON and messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Schema => "schema",
            Kind::Data => "data",
        }
    }
}

/// One migration with all its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// What identifies it.
    pub id: MigrationId,
    /// What `up` runs.
    pub up: SourceText,
    /// What `down` runs.
    pub down: Option<SourceText>,
    /// Queries that must return no row.
    pub verify: Option<SourceText>,
}

/// A text of SQL and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The file, as shown in messages.
    pub path: String,
    /// The text, decoded, without a byte order mark; line endings as they are.
    pub text: String,
    /// How many lines of the file come before the text: not zero for a section of a file.
    pub lines_before: u32,
    /// How the file is encoded.
    pub encoding: Encoding,
}

/// How a file's bytes became text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a mark.
    Utf8,
    /// UTF-8 behind a byte order mark.
    Utf8Bom,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(file_name: &str, suffix: &str, name: &str, kind: Kind) -> MigrationId {
        let number = Number::leading(file_name);
        let (suffix, name) = (suffix.to_owned(), name.to_owned());
        MigrationId { number, suffix, name, kind, file_name: file_name.to_owned() }
    }

    #[test]
    fn numbers_compare_by_value() {
        for (a, order, b) in [
            ("1", Ordering::Equal, "0001"),
            ("9", Ordering::Less, "10"),
            ("010", Ordering::Greater, "9"),
            ("0", Ordering::Less, "1"),
            ("0", Ordering::Equal, "000"),
            ("20240101000000", Ordering::Greater, "9999"),
            ("99999999999999999999999999998", Ordering::Less, "99999999999999999999999999999"),
            ("x", Ordering::Greater, "99999"),
            ("x", Ordering::Equal, "y"),
        ] {
            assert_eq!(Number::leading(a).cmp(&Number::leading(b)), order, "{a} {b}");
        }
    }

    #[test]
    fn the_next_number_keeps_its_width() {
        for (number, want) in
            [("0009", "0010"), ("9999", "10000"), ("99", "100"), ("0", "1"), ("007", "008")]
        {
            assert_eq!(Number::leading(number).next().digits(), want);
        }
        assert_eq!(Number::leading("7").padded(4).digits(), "0007");
        assert!(Number::leading("20240131235959").is_timestamp());
        assert!(!Number::leading("0042").is_timestamp());
    }

    #[test]
    fn migrations_are_ordered_by_number_suffix_and_name() {
        let in_order = [
            id("0001_init.sql", "", "init", Kind::Schema),
            id("2_b.sql", "", "b", Kind::Schema),
            id("0003_z.sql", "", "z", Kind::Schema),
            id("0003_a.data.sql", "", "a", Kind::Data),
            id("0003b_a.sql", "b", "a", Kind::Schema),
            id("0010_a.sql", "", "a", Kind::Schema),
            id("seed.sql", "", "seed", Kind::Schema),
        ];
        let mut sorted = in_order.clone();
        sorted.reverse();
        sorted.sort();
        assert_eq!(sorted, in_order);
    }

    #[test]
    fn stems_and_versions() {
        let nested = id("0001_init/migration.sql", "", "init", Kind::Schema);
        assert_eq!((nested.stem(), nested.version().as_str()), ("0001_init", "0001"));
        let data = id("0003b_a.data.sql", "b", "a", Kind::Data);
        assert_eq!((data.stem(), data.version().as_str()), ("0003b_a", "0003b"));
        assert_eq!(id("seed.sql", "", "seed", Kind::Schema).version(), "seed");
    }

    proptest! {
        #[test]
        fn next_is_greater_and_agrees_with_arithmetic(n in 0u64..u64::MAX, width in 0usize..24) {
            let number = Number::leading(&n.to_string()).padded(width);
            prop_assert!(number.next() > number);
            let next = number.next();
            prop_assert_eq!(next.value(), (n + 1).to_string());
        }

        #[test]
        fn order_is_that_of_the_values(a: u64, b: u64, zeros in 0usize..5) {
            let padded = format!("{}{a}", "0".repeat(zeros));
            let order = Number::leading(&padded).cmp(&Number::leading(&b.to_string()));
            prop_assert_eq!(order, a.cmp(&b));
        }
    }
}
