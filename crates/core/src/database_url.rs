//! Where a database is: URLs of SQLite files, PostgreSQL and MariaDB or MySQL.
//!
//! Parsed once, at the border. Nothing printed from here holds a password: `Display` and `Debug`
//! show `***`, and an error never repeats a part of the text that could be one.

mod mysql;
mod parts;
mod pooler;
mod postgres;
mod postgres_parameters;
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;

pub use mysql::{MyHost, MySslMode, MyUrl};
pub use pooler::{PoolerHint, PoolerMode};
pub use postgres::{
    ChannelBinding, HostAddress, PgHost, PgSslMode, PgUrl, RootCertificate, TargetSession,
};
pub use sqlite::{SQLITE_EXTENSIONS, SqliteMode, SqlitePath, SqliteUrl, has_sqlite_extension};

use crate::config::nearest;
use crate::sql::dialect::Dialect;

/// A database's address, with what is needed to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, or a database in memory.
    Sqlite(SqliteUrl),
    /// A PostgreSQL server, or one that speaks its protocol.
    Postgres(Box<PgUrl>),
    /// A MariaDB or MySQL server.
    Mysql(Box<MyUrl>),
}

impl DatabaseUrl {
    /// Reads a URL, a libpq keyword string (`host=... dbname=...`) or the path of a SQLite file.
    ///
    /// White space around the text is dropped, since a secret read from a file ends in a newline.
    pub fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.contains(|c: char| c.is_control()) {
            return Err(UrlError::ControlCharacter);
        }
        if let Some((scheme, rest)) = split_scheme(text) {
            return parse_scheme(&scheme.to_ascii_lowercase(), rest);
        }
        if postgres::is_keyword_form(text) {
            return PgUrl::parse_keywords(text).map(|url| DatabaseUrl::Postgres(Box::new(url)));
        }
        SqliteUrl::parse_bare(text).map(DatabaseUrl::Sqlite)
    }

    /// The SQLite file at `path`, taken as it stands.
    pub fn sqlite_file(path: impl Into<String>) -> DatabaseUrl {
        DatabaseUrl::Sqlite(SqliteUrl::from_path(path))
    }

    /// The SQL that this database speaks.
    pub fn dialect(&self) -> Dialect {
        match self {
            DatabaseUrl::Sqlite(_) => Dialect::Sqlite,
            DatabaseUrl::Postgres(_) => Dialect::Postgres,
            DatabaseUrl::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Whether a secret stands in the URL itself.
    pub fn holds_secret(&self) -> bool {
        match self {
            DatabaseUrl::Sqlite(_) => false,
            DatabaseUrl::Postgres(url) => url.password.is_some() || url.sslpassword.is_some(),
            DatabaseUrl::Mysql(url) => url.password.is_some(),
        }
    }

    /// Recognises the address of a connection pooler, and names the direct one where it is known.
    pub fn pooler_hint(&self) -> Option<PoolerHint> {
        match self {
            DatabaseUrl::Postgres(url) => pooler::hint(url),
            DatabaseUrl::Sqlite(_) | DatabaseUrl::Mysql(_) => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(url) => url.fmt(f),
            DatabaseUrl::Postgres(url) => url.fmt(f),
            DatabaseUrl::Mysql(url) => url.fmt(f),
        }
    }
}

/// `scheme:rest`; a Windows drive letter is no scheme, nor is the `key` of `key=...:...`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let first = scheme.chars().next()?;
    let valid = first.is_ascii_alphabetic()
        && scheme.len() > 1
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
    (valid
        && (rest.starts_with("//")
            || scheme.eq_ignore_ascii_case("sqlite")
            || scheme.eq_ignore_ascii_case("file")))
    .then_some((scheme, rest))
}

/// Every scheme that can be opened.
const SCHEMES: &[&str] = &["sqlite", "file", "postgres", "postgresql", "mysql", "mariadb"];

fn parse_scheme(scheme: &str, rest: &str) -> Result<DatabaseUrl, UrlError> {
    let after_slashes = rest.strip_prefix("//").unwrap_or(rest);
    match scheme {
        "sqlite" => SqliteUrl::parse_sqlite(rest).map(DatabaseUrl::Sqlite),
        "file" => SqliteUrl::parse_file(rest).map(DatabaseUrl::Sqlite),
        "postgres" | "postgresql" => {
            PgUrl::parse_uri(after_slashes).map(|url| DatabaseUrl::Postgres(Box::new(url)))
        }
        "mysql" | "mariadb" => {
            MyUrl::parse(after_slashes).map(|url| DatabaseUrl::Mysql(Box::new(url)))
        }
        other => {
            // `postgresql+psycopg2` and `sqlite3` are other tools' spellings of ours.
            let base = other.split(['+', '3']).next().unwrap_or(other);
            let nearest = nearest(base, SCHEMES.iter().copied());
            Err(UrlError::UnknownScheme { scheme: shown(other), nearest })
        }
    }
}

/// A piece of the URL that is safe to repeat, short and without control characters.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    let mut out: String = text.escape_debug().take(CHARACTERS_MAX).collect();
    if text.chars().count() > CHARACTERS_MAX {
        out.push('…');
    }
    out
}

/// Why a text is not a database's address. Never holds a part that may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing was given.
    #[error("The database URL is empty")]
    Empty,
    /// Neither a URL nor the path of a SQLite file.
    #[error("The text is neither a database URL nor the path of a SQLite file")]
    NotAUrl,
    /// A newline, tab or another control character.
    #[error("The database URL holds a control character")]
    ControlCharacter,
    /// A scheme that Whimbrel has no backend for.
    #[error("Unknown kind of database `{scheme}`")]
    UnknownScheme {
        /// The scheme as written.
        scheme: String,
        /// The known scheme that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A raw `@` in the password, path or parameters.
    #[error("The database URL holds an `@` that is not percent-encoded")]
    RawAt,
    /// A raw `=` in the value of a parameter.
    #[error("The value of a URL parameter holds an `=` that is not percent-encoded")]
    RawEquals,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("The {what} in the database URL is not valid percent-encoding")]
    BadPercent {
        /// Which part of the URL.
        what: &'static str,
    },
    /// A host that cannot be one.
    #[error("A host in the database URL is not valid")]
    BadHost,
    /// A port that is not a number from 1 to 65535.
    #[error("A port in the database URL is not a number from 1 to 65535")]
    BadPort,
    /// A list of hosts and a list of ports of different length.
    #[error("The database URL names {hosts} hosts and {ports} ports")]
    PortCount {
        /// How many hosts.
        hosts: usize,
        /// How many ports.
        ports: usize,
    },
    /// A parameter without `=`.
    #[error("A parameter in the database URL has no value")]
    ParameterWithoutValue,
    /// A value in quotes that never ends.
    #[error("A quoted value in the connection string does not end")]
    UnterminatedQuote,
    /// A parameter that does not exist.
    #[error("Unknown parameter `{name}` in the database URL")]
    UnknownParameter {
        /// The parameter as written.
        name: String,
        /// The known parameter that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A parameter that does not exist, and whose name may be a part of a password.
    #[error("What follows the password in the connection string is not a known parameter")]
    UnknownAfterPassword,
    /// A parameter that exists, but not here.
    #[error("The parameter `{name}` is not supported in a database URL")]
    RefusedParameter {
        /// The parameter.
        name: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A value outside what the parameter allows.
    #[error("The parameter `{name}` must be {allowed}")]
    InvalidValue {
        /// The parameter.
        name: &'static str,
        /// The values that it may have.
        allowed: &'static str,
    },
    /// `sslrootcert=system` with a mode that would not look at it.
    #[error("`sslrootcert=system` needs `sslmode=verify-full`")]
    WeakSystemRoot,
    /// A SQLite URL with a host.
    #[error("A `file:` URL must not name a host")]
    FileWithHost,
    /// A SQLite URL without a path.
    #[error("The SQLite URL names no file")]
    NoPath,
    /// A raw `#`, which SQLite would cut the path at.
    #[error("The SQLite URL holds a `#` that is not percent-encoded")]
    RawHash,
}

impl UrlError {
    /// What to try next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            UrlError::Empty | UrlError::NotAUrl => {
                "Write `postgres://user@host/database`, `mysql://user@host/database` or \
                 `sqlite:path/to/file.db`"
            }
            UrlError::RawAt => "Write `%40` for an `@` in the password, and `%2F` for a `/` in it",
            UrlError::RawEquals => "Write `%3D` for `=` inside a value",
            UrlError::BadPercent { .. } => "Write `%25` for a percent sign",
            UrlError::RawHash => "Write `%23` for `#`",
            UrlError::ControlCharacter => "Percent-encode it, and look for a line break",
            UrlError::BadPort => {
                "If the password holds a `/`, write it as `%2F`: what follows is then read rightly"
            }
            UrlError::UnknownAfterPassword | UrlError::UnterminatedQuote => {
                "In `key=value` form, put a password with spaces into single quotes"
            }
            UrlError::FileWithHost => "Write `file:relative/path` or `file:///absolute/path`",
            UrlError::RefusedParameter { instead, .. } => instead,
            UrlError::UnknownScheme { nearest: Some(word), .. } => {
                return Some(format!("Did you mean `{word}:`?"));
            }
            UrlError::UnknownParameter { nearest: Some(word), .. } => {
                return Some(format!("Did you mean `{word}`?"));
            }
            UrlError::UnknownScheme { nearest: None, .. }
            | UrlError::UnknownParameter { nearest: None, .. }
            | UrlError::BadHost
            | UrlError::PortCount { .. }
            | UrlError::ParameterWithoutValue
            | UrlError::InvalidValue { .. }
            | UrlError::WeakSystemRoot
            | UrlError::NoPath => return None,
        };
        Some(text.to_owned())
    }
}
