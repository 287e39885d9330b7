//! Where a URL comes from: given as it is, in a variable, or in a file of its own.

use std::fmt;

use crate::database_url::{DatabaseUrl, UrlError, has_sqlite_extension};

/// A setting that names a database, directly or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// The URL itself.
    Literal(DatabaseUrl),
    /// `env:NAME`: a variable of the environment, or of `.env`, holds it.
    Variable(String),
    /// `file:path`: a file holds it, as container platforms mount secrets.
    SecretFile(String),
}

/// Why a setting names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlSourceError {
    /// It is no URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// What follows `env:` cannot be a variable's name.
    #[error("What follows `env:` is not the name of a variable")]
    BadVariable,
}

impl UrlSource {
    /// Reads a setting.
    ///
    /// `file:` names a file that holds a URL, unless its path ends as SQLite files do, or has
    /// parameters: then it is SQLite's own form of a URL.
    pub fn parse(text: &str) -> Result<UrlSource, UrlSourceError> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("env:") {
            let name = name.trim();
            let valid = !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return match valid && !name.is_empty() {
                true => Ok(UrlSource::Variable(name.to_owned())),
                false => Err(UrlSourceError::BadVariable),
            };
        }
        if let Some(path) = text.strip_prefix("file:")
            && !path.is_empty()
            && !path.contains('?')
            && !has_sqlite_extension(path)
            && path != ":memory:"
        {
            // `file:///run/secrets/url` is a path with three slashes too many.
            let path = match path.strip_prefix("//") {
                Some(absolute) if absolute.starts_with('/') => absolute,
                Some(_) | None => path,
            };
            return Ok(UrlSource::SecretFile(path.to_owned()));
        }
        Ok(UrlSource::Literal(DatabaseUrl::parse(text)?))
    }

    /// Whether a secret stands in the setting itself.
    pub fn holds_secret(&self) -> bool {
        matches!(self, UrlSource::Literal(url) if url.holds_secret())
    }
}

impl fmt::Display for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlSource::Literal(url) => url.fmt(f),
            UrlSource::Variable(name) => write!(f, "env:{name}"),
            UrlSource::SecretFile(path) => write!(f, "file:{path}"),
        }
    }
}
