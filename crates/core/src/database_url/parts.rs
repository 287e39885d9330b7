//! The parts of a URL with a host: credentials, hosts, path and parameters.
//!
//! libpq's rules, with one tightening: a raw `@` may stand only once, before the host. Anything
//! else is most often a password that was not percent-encoded, and would be taken for a host or a
//! database name, and so be printed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::UrlError;
use crate::secret::Secret;

/// What stands literally in a printed URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A URL cut into its parts, decoded.
pub(super) struct Parts {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// Host and port of each member of the host list; both may be empty.
    pub(super) hosts: Vec<(String, String)>,
    /// The path without its first slash.
    pub(super) path: String,
    pub(super) parameters: Vec<(String, Secret)>,
}

/// Cuts what follows `scheme://`.
pub(super) fn split(rest: &str) -> Result<Parts, UrlError> {
    let (credentials, after) = split_credentials(rest)?;
    let (user, password) = match credentials {
        None => (None, None),
        Some(text) => {
            let (user, password) = match text.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (text, None),
            };
            let password = password.map(|p| decode(p, "password")).transpose()?;
            (Some(decode(user, "user")?).filter(|u| !u.is_empty()), password.map(Secret::new))
        }
    };
    let (host_list, after) = split_at_any(after, &['/', '?'], true);
    let hosts = split_hosts(host_list)?;
    let (path, query) = match after.split_once('?') {
        Some((path, query)) => (path, query),
        None => (after, ""),
    };
    let path = decode(path.strip_prefix('/').unwrap_or(path), "database name")?;
    let password = password.filter(|p| !p.is_empty());
    Ok(Parts { user, password, hosts, path, parameters: split_parameters(query)? })
}

/// The credentials end at the first `@` before the first `/`.
fn split_credentials(rest: &str) -> Result<(Option<&str>, &str), UrlError> {
    let slash = rest.find('/').unwrap_or(rest.len());
    let (credentials, after) = match rest.split_once('@') {
        Some((before, after)) if before.len() < slash => (Some(before), after),
        Some(_) => return Err(UrlError::RawAt),
        None => (None, rest),
    };
    if after.contains('@') {
        return Err(UrlError::RawAt);
    }
    Ok((credentials, after))
}

/// Cuts before the first of `ends`; a `[...]` literal is passed over if `brackets`.
fn split_at_any<'a>(text: &'a str, ends: &[char], brackets: bool) -> (&'a str, &'a str) {
    let mut inside = false;
    for (index, c) in text.char_indices() {
        match c {
            '[' if brackets => inside = true,
            ']' => inside = false,
            c if !inside && ends.contains(&c) => {
                return text.split_at_checked(index).unwrap_or((text, ""));
            }
            _ => {}
        }
    }
    (text, "")
}

fn split_hosts(list: &str) -> Result<Vec<(String, String)>, UrlError> {
    let mut hosts = Vec::new();
    let mut rest = list;
    loop {
        let (member, after) = split_at_any(rest, &[','], true);
        hosts.push(split_host(member)?);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(hosts),
        }
    }
}

fn split_host(member: &str) -> Result<(String, String), UrlError> {
    let (host, port) = match member.strip_prefix('[') {
        Some(literal) => {
            let (address, after) = literal.split_once(']').ok_or(UrlError::BadHost)?;
            let is_address = address.bytes().all(|b| b.is_ascii_hexdigit() || b":.%".contains(&b));
            // A zone (`%eth0`) has letters of its own.
            let zone = address.split_once('%').is_some_and(|(address, _)| address.contains(':'));
            if address.is_empty() || !(is_address || zone) {
                return Err(UrlError::BadHost);
            }
            let port = match after.strip_prefix(':') {
                Some(port) => port,
                None if after.is_empty() => "",
                None => return Err(UrlError::BadHost),
            };
            (address.to_owned(), port)
        }
        None => {
            let (host, port) = member.split_once(':').unwrap_or((member, ""));
            (decode(host, "host")?, port)
        }
    };
    Ok((host, decode(port, "port")?))
}

fn split_parameters(query: &str) -> Result<Vec<(String, Secret)>, UrlError> {
    let mut parameters = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').ok_or(UrlError::ParameterWithoutValue)?;
        if value.contains('=') {
            return Err(UrlError::RawEquals);
        }
        let key = decode(key, "parameter name")?;
        parameters.push((key, Secret::new(decode(value, "parameter")?)));
    }
    Ok(parameters)
}

/// Undoes percent-encoding; `what` names the part, since its text must not be shown.
pub(super) fn decode(text: &str, what: &'static str) -> Result<String, UrlError> {
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        if *byte == b'%' && !(hex(index + 1) && hex(index + 2)) {
            return Err(UrlError::BadPercent { what });
        }
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| UrlError::BadPercent { what })?
        .into_owned();
    if decoded.contains('\0') {
        return Err(UrlError::BadPercent { what });
    }
    Ok(decoded)
}

/// Percent-encodes one part for printing.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// A port number; empty means the default.
pub(super) fn port(text: &str, default: u16) -> Result<u16, UrlError> {
    if text.is_empty() {
        return Ok(default);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        Ok(_) | Err(_) => Err(UrlError::BadPort),
    }
}

/// Refuses a host that no resolver and no socket path could mean.
pub(super) fn check_host(host: &str) -> Result<(), UrlError> {
    let socket = host.starts_with('/') || host.starts_with('@');
    let strange =
        |c: char| c.is_control() || (!socket && (c.is_whitespace() || "@/\\#\"'<>|".contains(c)));
    if host.chars().any(strange) { Err(UrlError::BadHost) } else { Ok(()) }
}
