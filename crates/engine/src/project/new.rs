//! `init` and `new`: files that a project begins with.

use std::path::PathBuf;

use whimbrel_core::format::Place;
use whimbrel_core::migration::Kind;

use super::Project;
use crate::error::EngineError;
use crate::files::write_new;

impl Project {
    /// Writes an empty migration with the next free number, and its reverse. `now` is the time as
    /// `YYYYMMDDhhmmss`, for projects that number by time.
    ///
    /// # Errors
    /// When the name cannot be used, the files have errors, or a file cannot be written.
    pub fn new_migration(
        &self,
        name: &str,
        kind: Kind,
        with_down: bool,
        now: &str,
    ) -> Result<Vec<PathBuf>, EngineError> {
        let files = self.read_files()?;
        Self::check_files(&files)?;
        let file_name = files
            .directory
            .new_file_name(name, kind, now)
            .map_err(|error| EngineError::Refused(error.to_string()))?;
        let layout = &self.options.layout;
        let place = if kind == Kind::Data { Place::Companions } else { Place::Migrations };
        let path = layout.path(place, &file_name);
        let stem = file_name.strip_suffix(".sql").unwrap_or(&file_name);
        let mut written = vec![PathBuf::from(&path)];
        write_new(&self.options.root.join(&path), &template(layout.format, stem, now))?;
        if with_down {
            let down = layout.path(Place::Companions, &format!("{stem}.down.sql"));
            let text = format!("-- The reverse of {file_name}, run by `whimbrel down`.\n");
            write_new(&self.options.root.join(&down), &text)?;
            written.push(PathBuf::from(down));
        }
        Ok(written)
    }
}

/// What a new migration holds: for wrangler the line that it writes itself.
fn template(format: whimbrel_core::format::Format, stem: &str, now: &str) -> String {
    use whimbrel_core::format::Format;
    let number: String = stem.chars().take_while(char::is_ascii_digit).collect();
    match format {
        Format::Wrangler => format!("-- Migration number: {number} \t {}\n", iso(now)),
        Format::Own | Format::Supabase => String::new(),
    }
}

/// `YYYYMMDDhhmmss` as ISO 8601.
fn iso(now: &str) -> String {
    let part = |from: usize, to: usize| now.get(from..to).unwrap_or("00");
    format!(
        "{}-{}-{}T{}:{}:{}.000Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    )
}
