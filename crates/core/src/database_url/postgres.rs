//! PostgreSQL URLs and keyword strings, by libpq's rules.

use std::fmt;

use super::postgres_parameters::{Effect, PARAMETERS};
use super::{UrlError, parts, shown};
use crate::config::nearest;
use crate::secret::Secret;

/// A PostgreSQL server, or a list of servers to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgUrl {
    /// The servers, in the order in which they are tried; never empty.
    pub hosts: Vec<PgHost>,
    /// The user; the operating system's user if absent.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The database; named like the user if absent.
    pub database: Option<String>,
    /// How the connection is encrypted and what is checked.
    pub sslmode: PgSslMode,
    /// What the server's certificate must come from.
    pub sslrootcert: Option<RootCertificate>,
    /// The path of a client certificate.
    pub sslcert: Option<String>,
    /// The path of its key.
    pub sslkey: Option<String>,
    /// The password of that key.
    pub sslpassword: Option<Secret>,
    /// Start TLS at once (`sslnegotiation=direct`).
    pub direct_tls: bool,
    /// Whether the password exchange must be bound to the TLS channel.
    pub channel_binding: ChannelBinding,
    /// Command-line options for the server (`-c name=value`).
    pub options: Option<String>,
    /// The name shown in `pg_stat_activity`; Whimbrel's own if absent.
    pub application_name: Option<String>,
    /// Seconds to wait for a connection; no limit if absent.
    pub connect_timeout_s: Option<u32>,
    /// Which of the servers is wanted.
    pub target_session: TargetSession,
    /// Try the hosts in random order.
    pub load_balance_hosts: bool,
    /// Whether TCP keepalives are sent.
    pub keepalives: bool,
    /// Idle seconds before the first keepalive; the system's if absent.
    pub keepalives_idle_s: Option<u32>,
    /// Seconds between keepalives; the system's if absent.
    pub keepalives_interval_s: Option<u32>,
    /// How many may be lost; the system's if absent.
    pub keepalives_count: Option<u32>,
    /// Milliseconds that sent data may stay unacknowledged; the system's if absent.
    pub tcp_user_timeout_ms: Option<u32>,
}

/// One server of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgHost {
    /// Where it listens.
    pub address: HostAddress,
    /// The address to connect to in place of a look-up (`hostaddr`); the name is still checked.
    pub hostaddr: Option<String>,
    /// The port, also part of a socket's file name.
    pub port: u16,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostAddress {
    /// Not said: the local server, by socket if there is one, else by TCP.
    Default,
    /// A name or an address.
    Tcp(String),
    /// A folder with a Unix-domain socket, or `@name` for an abstract one.
    Unix(String),
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PgSslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only if the server insists.
    Allow,
    /// Encrypted if the server can.
    #[default]
    Prefer,
    /// Encrypted; the server's certificate is checked only if a root certificate is given.
    Require,
    /// Encrypted, and the certificate comes from a trusted root.
    VerifyCa,
    /// As `verify-ca`, and the certificate names the host.
    VerifyFull,
}

impl PgSslMode {
    /// Every mode, weakest first.
    pub const ALL: [PgSslMode; 6] = [
        PgSslMode::Disable,
        PgSslMode::Allow,
        PgSslMode::Prefer,
        PgSslMode::Require,
        PgSslMode::VerifyCa,
        PgSslMode::VerifyFull,
    ];

    /// The word in a URL.
    pub fn name(self) -> &'static str {
        match self {
            PgSslMode::Disable => "disable",
            PgSslMode::Allow => "allow",
            PgSslMode::Prefer => "prefer",
            PgSslMode::Require => "require",
            PgSslMode::VerifyCa => "verify-ca",
            PgSslMode::VerifyFull => "verify-full",
        }
    }
}

/// Where trusted root certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCertificate {
    /// The operating system's.
    System,
    /// A PEM file.
    File(String),
}

/// libpq's `channel_binding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Not used.
    Disable,
    /// Used if the server offers it.
    #[default]
    Prefer,
    /// No connection without it.
    Require,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetSession {
    /// The first that answers.
    #[default]
    Any,
    /// One that accepts writes.
    ReadWrite,
    /// One that does not.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One that is.
    Standby,
    /// A standby if there is one.
    PreferStandby,
}

/// What was read, before lists are cut and defaults are filled in.
pub(super) struct RawPg {
    pub(super) host: String,
    pub(super) hostaddr: String,
    pub(super) port: String,
    pub(super) sslmode: Option<PgSslMode>,
    pub(super) url: PgUrl,
    password_seen: bool,
}

impl PgUrl {
    /// Reads what follows `postgres://`.
    pub(super) fn parse_uri(rest: &str) -> Result<PgUrl, UrlError> {
        let parts = parts::split(rest)?;
        let mut raw = RawPg::new();
        raw.url.user = parts.user;
        raw.url.password = parts.password;
        raw.url.database = Some(parts.path).filter(|path| !path.is_empty());
        raw.host = join(parts.hosts.iter().map(|(host, _)| host.as_str()));
        raw.port = join(parts.hosts.iter().map(|(_, port)| port.as_str()));
        // A bad host or port comes first: it tells of a password that was not encoded.
        raw.members()?;
        for (name, value) in &parts.parameters {
            raw.store(name, value.expose())?;
        }
        raw.finish()
    }

    /// Reads libpq's keyword form, `host=... dbname=...`.
    pub(super) fn parse_keywords(text: &str) -> Result<PgUrl, UrlError> {
        let mut raw = RawPg::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(UrlError::ParameterWithoutValue)?;
            let name = name.trim_end();
            let one_word = !name.is_empty() && !name.contains(char::is_whitespace);
            if !one_word {
                return Err(UrlError::ParameterWithoutValue);
            }
            let (value, after) = keyword_value(after.trim_start())?;
            raw.store(name, value.expose())?;
            rest = after.trim_start();
        }
        raw.finish()
    }

    /// Whether the database is reached over a network rather than a socket of this host.
    pub fn is_tcp(&self) -> bool {
        self.hosts.iter().any(|host| matches!(host.address, HostAddress::Tcp(_)))
    }
}

/// Whether a text is libpq's keyword form: it begins with `word =`.
pub(super) fn is_keyword_form(text: &str) -> bool {
    text.split_once('=').is_some_and(|(word, _)| {
        let word = word.trim_end();
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    })
}

/// One value: in single quotes, or up to white space; a backslash takes the next character as it
/// is.
fn keyword_value(text: &str) -> Result<(Secret, &str), UrlError> {
    let quoted = text.strip_prefix('\'');
    let body = quoted.unwrap_or(text);
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            '\'' if quoted.is_some() => {
                let after = body.get(index + 1..).unwrap_or("");
                return Ok((Secret::new(value), after));
            }
            c if c.is_whitespace() && quoted.is_none() => {
                return Ok((Secret::new(value), body.get(index..).unwrap_or("")));
            }
            c => value.push(c),
        }
    }
    if quoted.is_some() { Err(UrlError::UnterminatedQuote) } else { Ok((Secret::new(value), "")) }
}

fn join<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(",")
}

impl RawPg {
    fn new() -> RawPg {
        let url = PgUrl {
            hosts: Vec::new(),
            user: None,
            password: None,
            database: None,
            sslmode: PgSslMode::default(),
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            sslpassword: None,
            direct_tls: false,
            channel_binding: ChannelBinding::default(),
            options: None,
            application_name: None,
            connect_timeout_s: None,
            target_session: TargetSession::default(),
            load_balance_hosts: false,
            keepalives: true,
            keepalives_idle_s: None,
            keepalives_interval_s: None,
            keepalives_count: None,
            tcp_user_timeout_ms: None,
        };
        let empty = String::new;
        RawPg {
            host: empty(),
            hostaddr: empty(),
            port: empty(),
            sslmode: None,
            url,
            password_seen: false,
        }
    }

    fn store(&mut self, name: &str, value: &str) -> Result<(), UrlError> {
        let known = PARAMETERS.iter().find(|(known, _)| *known == name);
        match known {
            Some((_, Effect::Keep(keep))) => keep(self, value),
            Some((_, Effect::Set(set))) => set(self, value)?,
            Some((_, Effect::Ignored)) => {}
            Some((name, Effect::Refused(instead))) => {
                return Err(UrlError::RefusedParameter { name, instead });
            }
            // The rest of a password that was not quoted would be shown as a name.
            None if self.password_seen => return Err(UrlError::UnknownAfterPassword),
            None => {
                let nearest = nearest(name, PARAMETERS.iter().map(|(known, _)| *known));
                return Err(UrlError::UnknownParameter { name: shown(name), nearest });
            }
        }
        self.password_seen |= name == "password" || name == "sslpassword";
        Ok(())
    }

    fn finish(mut self) -> Result<PgUrl, UrlError> {
        self.url.hosts = self.members()?;
        let system = self.url.sslrootcert == Some(RootCertificate::System);
        self.url.sslmode = match self.sslmode {
            // As in libpq 16: public roots prove nothing without the name.
            None if system => PgSslMode::VerifyFull,
            Some(mode) if system && mode != PgSslMode::VerifyFull => {
                return Err(UrlError::WeakSystemRoot);
            }
            mode => mode.unwrap_or_default(),
        };
        Ok(self.url)
    }

    /// Pairs hosts with ports: one port serves all hosts.
    fn members(&self) -> Result<Vec<PgHost>, UrlError> {
        let hosts: Vec<&str> = self.host.split(',').collect();
        let addresses: Vec<&str> = self.hostaddr.split(',').collect();
        let ports: Vec<&str> = self.port.split(',').collect();
        let count = if self.host.is_empty() { addresses.len() } else { hosts.len() };
        if ports.len() > 1 && ports.len() != count {
            return Err(UrlError::PortCount { hosts: count, ports: ports.len() });
        }
        if !self.hostaddr.is_empty() && addresses.len() != count {
            return Err(UrlError::InvalidValue {
                name: "hostaddr",
                allowed: "one address for each host",
            });
        }
        (0..count)
            .map(|index| {
                let host = hosts.get(index).copied().unwrap_or("");
                parts::check_host(host)?;
                let hostaddr = addresses.get(index).copied().filter(|a| !a.is_empty());
                if hostaddr.is_some_and(|a| a.parse::<std::net::IpAddr>().is_err()) {
                    return Err(UrlError::InvalidValue {
                        name: "hostaddr",
                        allowed: "a numeric address",
                    });
                }
                let port = ports.get(index).or(ports.first()).copied().unwrap_or("");
                let port = parts::port(port, 5432)?;
                let hostaddr = hostaddr.map(str::to_owned);
                Ok(PgHost { address: HostAddress::new(host), hostaddr, port })
            })
            .collect()
    }
}

impl HostAddress {
    fn new(host: &str) -> HostAddress {
        match host.chars().next() {
            None => HostAddress::Default,
            Some('/' | '@') => HostAddress::Unix(host.to_owned()),
            Some(_) => HostAddress::Tcp(host.to_owned()),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostAddress::Default => Ok(()),
            HostAddress::Tcp(host) if host.contains(':') => write!(f, "[{host}]"),
            HostAddress::Tcp(host) => f.write_str(host),
            HostAddress::Unix(path) => f.write_str(&parts::encode(path)),
        }
    }
}

impl fmt::Display for PgUrl {
    /// Users, hosts, database and `sslmode`; `options` may hold anything and stays out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            f.write_str(&parts::encode(user))?;
        }
        if self.password.is_some() {
            f.write_str(":***")?;
        }
        if self.user.is_some() || self.password.is_some() {
            f.write_str("@")?;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}", host.address)?;
            if host.port != 5432 {
                write!(f, ":{}", host.port)?;
            }
        }
        if let Some(database) = &self.database {
            write!(f, "/{}", parts::encode(database))?;
        }
        if self.sslmode != PgSslMode::default() {
            write!(f, "?sslmode={}", self.sslmode.name())?;
        }
        Ok(())
    }
}
