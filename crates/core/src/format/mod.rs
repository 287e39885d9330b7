//! Formats: whose conventions a project follows.
//!
//! A project is recognised from a few files, without any configuration. To add a format: one file
//! here, one row in [`FORMATS`].

mod own;
mod pattern;
pub mod supabase;
#[cfg(test)]
mod tests;
pub mod wrangler;

use std::collections::{BTreeMap, BTreeSet};

pub use pattern::Pattern;

use crate::config::nearest;
use crate::database_url::DatabaseUrl;
use crate::sql::dialect::Dialect;

/// A tool's conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Whimbrel's own.
    Own,
    /// Cloudflare's `wrangler d1 migrations`.
    Wrangler,
    /// The Supabase CLI.
    Supabase,
}

/// A row of the table of formats.
#[derive(Debug)]
pub struct FormatRow {
    /// The format.
    pub format: Format,
    /// The lower-case word used in whimbrel.toml, JSON and messages.
    pub name: &'static str,
    /// What a project is recognised by.
    pub signal: &'static str,
    /// Where migrations lie, unless the project says otherwise.
    pub migrations: &'static str,
    /// Where `.down.sql`, `.verify.sql` and `.data.sql` files lie, if not beside the migrations:
    /// the other tool would run them.
    pub companions: Option<&'static str>,
    /// The dialect, where the tool has only one.
    pub dialect: Option<Dialect>,
    /// The tool's own table of what ran.
    pub history_table: Option<&'static str>,
    /// Whether new migrations are numbered by time.
    pub timestamps: bool,
    recognise: fn(&Probe, &Wanted<'_>) -> Result<Option<Detected>, DetectError>,
}

/// Every format; [`Format::Own`] is last, since it recognises everything.
pub const FORMATS: &[FormatRow] = &[wrangler::ROW, supabase::ROW, own::ROW];

impl Format {
    /// The format's row.
    pub fn row(self) -> &'static FormatRow {
        match self {
            Format::Own => &own::ROW,
            Format::Wrangler => &wrangler::ROW,
            Format::Supabase => &supabase::ROW,
        }
    }

    /// The lower-case word used in whimbrel.toml, JSON and messages.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        FORMATS.iter().find(|row| row.name == name).map(|row| row.format)
    }

    /// Whether another tool reads the same folder.
    pub fn is_foreign(self) -> bool {
        self != Format::Own
    }

    /// The name nearest to a mistyped one.
    pub fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, FORMATS.iter().map(|row| row.name))
    }
}

/// The files that tell what a project is, to be read before [`detect`].
pub const PROBED_FILES: &[&str] =
    &["wrangler.json", "wrangler.jsonc", "wrangler.toml", "supabase/config.toml"];

/// The folders that tell what a project is.
pub const PROBED_FOLDERS: &[&str] = &["migrations", "supabase/migrations"];

/// What is there of [`PROBED_FILES`] and [`PROBED_FOLDERS`].
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// Contents by path; invalid UTF-8 replaced.
    pub files: BTreeMap<String, String>,
    /// The folders that exist.
    pub folders: BTreeSet<String>,
}

/// What the user asks for, beyond what the project's files say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The format, if whimbrel.toml names it.
    pub format: Option<Format>,
    /// The folder of migrations, if whimbrel.toml names it.
    pub migrations: Option<&'a str>,
    /// The environment, as the other tool knows it.
    pub environment: Option<&'a str>,
    /// Which of several databases, by name or binding.
    pub database: Option<&'a str>,
    /// Where wrangler keeps local state, if not in `.wrangler/state`.
    pub persist_to: Option<&'a str>,
}

/// A recognised project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// Where its files lie and how they are named.
    pub layout: Layout,
    /// What it was recognised by, for `doctor`.
    pub why: String,
    /// The database that the other tool would use on this machine.
    pub database: Option<DetectedDatabase>,
    /// What should be said about it.
    pub notes: Vec<String>,
}

/// A database that a project names by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectedDatabase {
    /// wrangler's local copy of a D1 database; `path` is relative to the project unless absolute.
    LocalD1 {
        /// The entry in wrangler's configuration.
        database: wrangler::D1Database,
        /// The file.
        path: String,
    },
    /// A database with a URL.
    Url(DatabaseUrl),
}

/// Where a project's migrations lie and how they are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The conventions.
    pub format: Format,
    /// The folder of migrations, relative to the project.
    pub migrations: String,
    /// The folder of companions, where it is another one.
    pub companions: Option<String>,
    /// The dialect of the files, if it is known without a database.
    pub dialect: Option<Dialect>,
    /// Which paths below the folder are migrations, where the tool lets one say.
    pub pattern: Option<Pattern>,
}

/// One of a layout's two folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The folder of migrations.
    Migrations,
    /// The folder of companions of a foreign project.
    Companions,
}

impl Layout {
    /// The format's usual layout.
    pub fn new(format: Format) -> Layout {
        let row = format.row();
        Layout {
            format,
            migrations: row.migrations.to_owned(),
            companions: row.companions.map(str::to_owned),
            dialect: row.dialect,
            pattern: None,
        }
    }

    /// The folder of a place, relative to the project.
    pub fn folder(&self, place: Place) -> &str {
        match place {
            Place::Migrations => &self.migrations,
            Place::Companions => self.companions.as_deref().unwrap_or(&self.migrations),
        }
    }

    /// The path of a file below a place, as shown in messages.
    pub fn path(&self, place: Place, below: &str) -> String {
        match self.folder(place) {
            "" | "." => below.to_owned(),
            folder => format!("{folder}/{below}"),
        }
    }

    /// How many folders deep files must be listed; 1 is the folder itself.
    pub fn depth_max(&self) -> usize {
        self.pattern.as_ref().map_or(1, Pattern::depth_max)
    }
}

/// Why a project cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DetectError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl DetectError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> DetectError {
        DetectError { message: message.into(), hint: Some(hint.into()) }
    }
}

/// Recognises a project.
pub fn detect(probe: &Probe, wanted: &Wanted<'_>) -> Result<Detected, DetectError> {
    let own = || own::layout(wanted);
    if let Some(format) = wanted.format {
        let found = (format.row().recognise)(probe, wanted)?;
        let mut found = found.ok_or_else(|| {
            let signal = format.row().signal;
            DetectError::new(
                format!("This is no {} project: {signal} is missing", format.name()),
                "Look at `format` in whimbrel.toml, and at the folder given by `--project`",
            )
        })?;
        if let Some(migrations) = wanted.migrations {
            found.layout.migrations = clean_folder(migrations);
        }
        return Ok(found);
    }
    let foreign = FORMATS.iter().filter(|row| row.format.is_foreign());
    let mut found = Vec::new();
    for row in foreign {
        found.extend((row.recognise)(probe, wanted)?);
    }
    let mut found = found.into_iter();
    let (first, second) = (found.next(), found.next());
    let Some(first) = first else { return Ok(own()) };
    // A folder of its own, named in whimbrel.toml, is not the other tool's.
    if wanted.migrations.is_some_and(|folder| clean_folder(folder) != first.layout.migrations) {
        let mut detected = own();
        detected.notes.push(format!(
            "A {} project too, but whimbrel.toml names another folder of migrations",
            first.layout.format.name()
        ));
        return Ok(detected);
    }
    if let Some(second) = second {
        let (a, b) = (first.layout.format.name(), second.layout.format.name());
        return Err(DetectError::new(
            format!("The project is one of {a} ({}) and of {b} ({})", first.why, second.why),
            format!(
                "Write `format = \"{a}\"` or `format = \"{b}\"` under `[project]` in whimbrel.toml"
            ),
        ));
    }
    Ok(first)
}

/// A folder without `./` in front and `/` behind.
pub(crate) fn clean_folder(folder: &str) -> String {
    let mut folder = folder.trim();
    while let Some(rest) = folder.strip_prefix("./") {
        folder = rest.trim_start_matches('/');
    }
    let cleaned = folder.trim_end_matches('/');
    match (cleaned, folder.starts_with('/')) {
        ("", true) => "/".to_owned(),
        ("", false) => ".".to_owned(),
        _ => cleaned.to_owned(),
    }
}

/// The line, from 1, of a byte of a text.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
