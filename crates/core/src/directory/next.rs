//! The next free number, and the file name of a new migration.

use super::Directory;
use crate::format::Format;
use crate::migration::{Kind, Number};

/// Digits of a number that counts up, where no migration shows another width.
const WIDTH: usize = 4;

/// Characters that a name may have; file names end at 255 bytes on most systems.
const NAME_MAX: usize = 100;

/// Why a migration cannot be called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of it.
    #[error("The name `{0}` holds no letter from a to z and no digit")]
    NothingLeft(String),
    /// The caller's clock gave something else than 14 digits.
    #[error("`{0}` is no timestamp of the form YYYYMMDDhhmmss")]
    NoTimestamp(String),
}

impl Directory {
    /// The next free number.
    ///
    /// It follows what the migrations there show: a sequence goes on in its width, timestamps go on
    /// with `now` (`YYYYMMDDhhmmss`, UTC), or one later than the last if that lies in the future.
    pub fn next_number(&self, now: &str) -> Result<Number, NameError> {
        let last = self.ids().map(|id| &id.number).filter(|number| !number.is_absent()).max();
        let timestamps = match last {
            Some(last) => last.is_timestamp(),
            None => self.layout.format.row().timestamps,
        };
        if timestamps {
            let now = timestamp(now)?;
            return Ok(match last {
                Some(last) if *last >= now => last.next(),
                _ => now,
            });
        }
        // Nothing above the last is taken, so the next one is free.
        Ok(last.map_or_else(|| Number::leading("1").padded(WIDTH), Number::next))
    }

    /// The next free number in a sequence, for hints.
    pub(super) fn next_in_sequence(&self) -> Number {
        let last = self.ids().map(|id| &id.number).filter(|number| !number.is_absent()).max();
        last.map_or_else(|| Number::leading("1").padded(WIDTH), Number::next)
    }

    /// The file name of a new migration called `name`.
    pub fn new_file_name(&self, name: &str, kind: Kind, now: &str) -> Result<String, NameError> {
        let slug = slug(name)?;
        let number = self.next_number(now)?;
        let data = if kind == Kind::Data { ".data" } else { "" };
        let pattern = self.layout.pattern.as_ref();
        // A project with a folder for each migration goes on so.
        let nested = format!("{number}_{slug}/migration.sql");
        let is_nested = self.layout.format == Format::Wrangler
            && kind == Kind::Schema
            && pattern.is_some_and(|pattern| pattern.matches(&nested));
        Ok(if is_nested { nested } else { format!("{number}_{slug}{data}.sql") })
    }
}

fn timestamp(now: &str) -> Result<Number, NameError> {
    let number = Number::leading(now);
    if number.digits() == now && number.is_timestamp() && now.len() == 14 {
        Ok(number)
    } else {
        Err(NameError::NoTimestamp(now.to_owned()))
    }
}

/// A name as file names have it: small letters, digits, single underscores.
///
/// Only ASCII: other letters have several spellings in Unicode, and file systems change one to the
/// other.
pub fn slug(name: &str) -> Result<String, NameError> {
    let mut slug = String::new();
    for c in name.trim().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
        if slug.len() >= NAME_MAX {
            break;
        }
    }
    let slug = slug.trim_end_matches('_');
    if slug.is_empty() {
        let shown = name.escape_debug().take(40).collect();
        return Err(NameError::NothingLeft(shown));
    }
    Ok(slug.to_owned())
}
