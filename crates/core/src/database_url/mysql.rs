//! MariaDB and MySQL URLs.

use std::fmt;

use super::{UrlError, parts, shown};
use crate::config::nearest;
use crate::secret::Secret;

/// A MariaDB or MySQL server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MyUrl {
    /// Where it listens.
    pub host: MyHost,
    /// The port.
    pub port: u16,
    /// The user; the operating system's user if absent.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The database.
    pub database: Option<String>,
    /// How the connection is encrypted and what is checked.
    pub ssl_mode: MySslMode,
    /// A PEM file of trusted root certificates.
    pub ssl_ca: Option<String>,
    /// The path of a client certificate.
    pub ssl_cert: Option<String>,
    /// The path of its key.
    pub ssl_key: Option<String>,
    /// The collation of the connection; the server's for utf8mb4 if absent.
    pub collation: Option<String>,
    /// Seconds to wait for a connection; no limit if absent.
    pub connect_timeout_s: Option<u32>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MyHost {
    /// A name or an address.
    Tcp(String),
    /// The file of a Unix-domain socket.
    Unix(String),
}

/// The clients' `ssl-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MySslMode {
    /// Never encrypted.
    Disabled,
    /// Encrypted if the server can.
    #[default]
    Preferred,
    /// Encrypted; nothing is checked.
    Required,
    /// Encrypted, and the certificate comes from a trusted root.
    VerifyCa,
    /// As `verify-ca`, and the certificate names the host.
    VerifyIdentity,
}

impl MySslMode {
    /// The word in a URL.
    pub fn name(self) -> &'static str {
        match self {
            MySslMode::Disabled => "disabled",
            MySslMode::Preferred => "preferred",
            MySslMode::Required => "required",
            MySslMode::VerifyCa => "verify-ca",
            MySslMode::VerifyIdentity => "verify-identity",
        }
    }
}

/// Every parameter, in its `kebab-case` spelling.
const PARAMETERS: &[&str] = &[
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "socket",
    "charset",
    "collation",
    "connect-timeout",
];

impl MyUrl {
    /// Reads what follows `mysql://`.
    pub(super) fn parse(rest: &str) -> Result<MyUrl, UrlError> {
        let parts = parts::split(rest)?;
        let [(host, port)] = parts.hosts.as_slice() else {
            return Err(UrlError::BadHost);
        };
        parts::check_host(host)?;
        let host = match host.as_str() {
            "" => MyHost::Tcp("localhost".to_owned()),
            path if path.starts_with('/') => MyHost::Unix(path.to_owned()),
            name => MyHost::Tcp(name.to_owned()),
        };
        let mut url = MyUrl {
            host,
            port: parts::port(port, 3306)?,
            user: parts.user,
            password: parts.password,
            database: Some(parts.path).filter(|path| !path.is_empty()),
            ssl_mode: MySslMode::default(),
            ssl_ca: None,
            ssl_cert: None,
            ssl_key: None,
            collation: None,
            connect_timeout_s: None,
        };
        for (name, value) in &parts.parameters {
            url.store(name, value.expose())?;
        }
        Ok(url)
    }

    fn store(&mut self, name: &str, value: &str) -> Result<(), UrlError> {
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        match kebab(name).as_str() {
            "ssl-mode" | "sslmode" => self.ssl_mode = ssl_mode(value)?,
            "ssl-ca" => self.ssl_ca = text(),
            "ssl-cert" => self.ssl_cert = text(),
            "ssl-key" => self.ssl_key = text(),
            "socket" => self.host = MyHost::Unix(value.to_owned()),
            "charset" => match value.to_ascii_lowercase().as_str() {
                "utf8mb4" | "utf8" | "utf8mb3" => {}
                _ => {
                    let allowed = "`utf8mb4`: migrations are read as UTF-8";
                    return Err(UrlError::InvalidValue { name: "charset", allowed });
                }
            },
            "collation" => {
                let valid = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !valid || value.is_empty() {
                    let allowed = "the name of a collation";
                    return Err(UrlError::InvalidValue { name: "collation", allowed });
                }
                self.collation = text();
            }
            "connect-timeout" => match value.parse::<u32>() {
                Ok(seconds) => self.connect_timeout_s = Some(seconds).filter(|s| *s > 0),
                Err(_) => {
                    let allowed = "a number of seconds";
                    return Err(UrlError::InvalidValue { name: "connect-timeout", allowed });
                }
            },
            other => {
                let nearest = nearest(other, PARAMETERS.iter().copied());
                return Err(UrlError::UnknownParameter { name: shown(name), nearest });
            }
        }
        Ok(())
    }
}

/// `ssl_mode` and `sslMode` are other clients' spellings of `ssl-mode`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '_' => out.push('-'),
            c if c.is_ascii_uppercase() => {
                out.push('-');
                out.push(c.to_ascii_lowercase());
            }
            c => out.push(c),
        }
    }
    out
}

fn ssl_mode(value: &str) -> Result<MySslMode, UrlError> {
    match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disabled" | "disable" => Ok(MySslMode::Disabled),
        "preferred" | "prefer" => Ok(MySslMode::Preferred),
        "required" | "require" => Ok(MySslMode::Required),
        "verify-ca" => Ok(MySslMode::VerifyCa),
        "verify-identity" | "verify-full" => Ok(MySslMode::VerifyIdentity),
        _ => Err(UrlError::InvalidValue {
            name: "ssl-mode",
            allowed: "`disabled`, `preferred`, `required`, `verify-ca` or `verify-identity`",
        }),
    }
}

impl fmt::Display for MyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mysql://")?;
        if let Some(user) = &self.user {
            f.write_str(&parts::encode(user))?;
        }
        if self.password.is_some() {
            f.write_str(":***")?;
        }
        if self.user.is_some() || self.password.is_some() {
            f.write_str("@")?;
        }
        match &self.host {
            MyHost::Tcp(host) if host.contains(':') => write!(f, "[{host}]")?,
            MyHost::Tcp(host) => f.write_str(host)?,
            MyHost::Unix(path) => f.write_str(&parts::encode(path))?,
        }
        if self.port != 3306 {
            write!(f, ":{}", self.port)?;
        }
        if let Some(database) = &self.database {
            write!(f, "/{}", parts::encode(database))?;
        }
        if self.ssl_mode != MySslMode::default() {
            write!(f, "?ssl-mode={}", self.ssl_mode.name())?;
        }
        Ok(())
    }
}
