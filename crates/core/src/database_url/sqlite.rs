//! Addresses of SQLite files.

use std::fmt;

use super::{UrlError, parts};
use crate::config::nearest;

/// File name endings that make a bare path a SQLite file.
pub const SQLITE_EXTENSIONS: &[&str] = &[".db", ".sqlite", ".sqlite3", ".db3"];

/// Whether a path ends as SQLite files do.
pub fn has_sqlite_extension(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    SQLITE_EXTENSIONS.iter().any(|extension| lower.ends_with(extension))
}

/// A SQLite database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteUrl {
    /// Where it is.
    pub path: SqlitePath,
    /// How the file may be opened.
    pub mode: SqliteMode,
    /// The file cannot change: SQLite then takes no lock and ignores a journal. Reading only.
    pub immutable: bool,
}

/// Where a SQLite database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlitePath {
    /// In memory; gone when the connection closes.
    Memory,
    /// A file, relative to the project unless absolute.
    File(String),
}

/// How a SQLite file may be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SqliteMode {
    /// Reading only.
    ReadOnly,
    /// Reading and writing a file that exists.
    ReadWrite,
    /// Reading and writing; the file is made if it is missing.
    #[default]
    Create,
}

impl SqliteUrl {
    /// The file at `path`, as it stands, nothing decoded.
    pub fn from_path(path: impl Into<String>) -> SqliteUrl {
        let path = SqlitePath::File(path.into());
        SqliteUrl { path, mode: SqliteMode::default(), immutable: false }
    }

    pub(super) fn parse_bare(text: &str) -> Result<SqliteUrl, UrlError> {
        if text == ":memory:" {
            return SqliteUrl::from_uri(text, "");
        }
        if text.contains("://") || !has_sqlite_extension(text) {
            return Err(UrlError::NotAUrl);
        }
        // `sqllite:app.db` is a slip, and not the name of a file.
        if let Some((scheme, _)) = text.split_once(':')
            && scheme.len() > 1
            && let Some(near) = nearest(scheme, ["sqlite", "file"])
        {
            let scheme = super::shown(scheme);
            return Err(UrlError::UnknownScheme { scheme, nearest: Some(near) });
        }
        Ok(SqliteUrl::from_path(text))
    }

    /// `sqlite:path`, `sqlite://path`, `sqlite:///absolute`.
    pub(super) fn parse_sqlite(rest: &str) -> Result<SqliteUrl, UrlError> {
        let (path, query) = cut(rest)?;
        SqliteUrl::from_uri(path.strip_prefix("//").unwrap_or(path), query)
    }

    /// `file:path`, `file:///absolute`, `file://localhost/absolute`, as SQLite's own URIs.
    pub(super) fn parse_file(rest: &str) -> Result<SqliteUrl, UrlError> {
        let (path, query) = cut(rest)?;
        let Some(after) = path.strip_prefix("//") else {
            return SqliteUrl::from_uri(path, query);
        };
        let path = after.strip_prefix("localhost").unwrap_or(after);
        if !path.starts_with('/') {
            return Err(UrlError::FileWithHost);
        }
        SqliteUrl::from_uri(path, query)
    }

    fn from_uri(path: &str, query: &str) -> Result<SqliteUrl, UrlError> {
        let decoded = parts::decode(path, "path")?;
        if decoded.is_empty() {
            return Err(UrlError::NoPath);
        }
        // `sqlite:////abs` is how SQLAlchemy writes an absolute path.
        let path = match decoded.strip_prefix("//") {
            Some(after) => format!("/{}", after.trim_start_matches('/')),
            None => decoded,
        };
        let path = match path.as_str() {
            ":memory:" => SqlitePath::Memory,
            _ => SqlitePath::File(path),
        };
        let mut url = SqliteUrl { path, mode: SqliteMode::default(), immutable: false };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            url.set(pair)?;
        }
        Ok(url)
    }

    fn set(&mut self, pair: &str) -> Result<(), UrlError> {
        const NAMES: [&str; 5] = ["mode", "immutable", "cache", "nolock", "vfs"];
        let (name, value) = pair.split_once('=').ok_or(UrlError::ParameterWithoutValue)?;
        match (name, value) {
            ("mode", "ro") => self.mode = SqliteMode::ReadOnly,
            ("mode", "rw") => self.mode = SqliteMode::ReadWrite,
            ("mode", "rwc") => self.mode = SqliteMode::Create,
            ("mode", "memory") => self.path = SqlitePath::Memory,
            ("immutable", "1" | "true") => self.immutable = true,
            ("immutable", "0" | "false") => self.immutable = false,
            ("cache", "private") => {}
            ("mode", _) => {
                return Err(UrlError::InvalidValue {
                    name: "mode",
                    allowed: "`ro`, `rw`, `rwc` or `memory`",
                });
            }
            ("immutable", _) => {
                return Err(UrlError::InvalidValue { name: "immutable", allowed: "`0` or `1`" });
            }
            ("cache", _) => {
                let instead = "A shared cache hides locks from Whimbrel: remove it";
                return Err(UrlError::RefusedParameter { name: "cache", instead });
            }
            ("nolock", _) => {
                let instead = "Whimbrel relies on the file's locks: remove it";
                return Err(UrlError::RefusedParameter { name: "nolock", instead });
            }
            ("vfs", _) => {
                let instead = "Only the system's own file access is used: remove it";
                return Err(UrlError::RefusedParameter { name: "vfs", instead });
            }
            _ => {
                let nearest = nearest(name, NAMES);
                return Err(UrlError::UnknownParameter { name: super::shown(name), nearest });
            }
        }
        Ok(())
    }
}

/// Path and query; a raw `#` would end the path for SQLite and not for other tools.
fn cut(rest: &str) -> Result<(&str, &str), UrlError> {
    if rest.contains('#') {
        return Err(UrlError::RawHash);
    }
    Ok(rest.split_once('?').unwrap_or((rest, "")))
}

impl fmt::Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            SqlitePath::Memory => f.write_str("sqlite::memory:")?,
            SqlitePath::File(path) => {
                let path: Vec<String> = path.split('/').map(parts::encode).collect();
                write!(f, "sqlite:{}", path.join("/"))?;
            }
        }
        match self.mode {
            SqliteMode::ReadOnly => f.write_str("?mode=ro"),
            SqliteMode::ReadWrite => f.write_str("?mode=rw"),
            SqliteMode::Create => Ok(()),
        }
    }
}
