//! Why a value cannot be brought over.

use std::fmt;

/// Why a value cannot be brought over unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// `0000-00-00` and the like.
    ZeroDate,
    /// No date or time, or one that the target does not know.
    NoTime,
    /// Outside of the target's range.
    OutOfRange,
    /// Digits would be lost.
    Digits,
    /// Text in a column of numbers.
    TextAsNumber,
    /// SQLite would turn the text into a number.
    NumberLike,
    /// Not a number that the target knows.
    NotANumber,
    /// A NUL byte in text.
    NulByte,
    /// Bytes, or text that is not UTF-8, where text is wanted.
    NotUtf8,
    /// Longer than the target's column.
    TooLong,
    /// Blanks at its end would be lost.
    Blanks,
    /// The time zone is not known, or would be lost.
    Zone,
    /// Not a value of the target's type.
    WrongType,
}

impl Loss {
    /// A stable word for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Loss::ZeroDate => "zero-date",
            Loss::NoTime => "no-time",
            Loss::OutOfRange => "out-of-range",
            Loss::Digits => "digits",
            Loss::TextAsNumber => "text-as-number",
            Loss::NumberLike => "number-like",
            Loss::NotANumber => "not-a-number",
            Loss::NulByte => "nul-byte",
            Loss::NotUtf8 => "not-utf-8",
            Loss::TooLong => "too-long",
            Loss::Blanks => "blanks",
            Loss::Zone => "time-zone",
            Loss::WrongType => "wrong-type",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::ZeroDate => "a date without a day, such as `0000-00-00`",
            Loss::NoTime => "no date or time that the target knows",
            Loss::OutOfRange => "outside of the target's range",
            Loss::Digits => "digits would be lost",
            Loss::TextAsNumber => "text where the target wants a number",
            Loss::NumberLike => "text that the target would turn into a number",
            Loss::NotANumber => "a number that the target does not know",
            Loss::NulByte => "a NUL byte, which the target's text cannot hold",
            Loss::NotUtf8 => "bytes that are no UTF-8 text",
            Loss::TooLong => "longer than the target's column",
            Loss::Blanks => "blanks at its end, which the target would drop",
            Loss::Zone => "a time without its time zone (`--times-are-utc` says that all are UTC)",
            Loss::WrongType => "no value of the target's type",
        })
    }
}
