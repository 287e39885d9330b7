//! Addresses of object stores in which backups lie: `s3://bucket/prefix`.

use std::fmt;
use std::net::IpAddr;

/// Fewest and most bytes of a bucket's name: those of S3 and Google Cloud Storage together.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 3..=222;
/// Most bytes of a prefix; S3 has 1,024 for the whole name of an object.
const PREFIX_BYTES_MAX: usize = 512;

/// Whose protocol an object store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Amazon S3, and all servers that are compatible with it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl StoreKind {
    /// Every kind with the beginning of its addresses.
    const SCHEMES: [(&'static str, StoreKind); 3] =
        [("s3://", StoreKind::S3), ("gs://", StoreKind::Google), ("az://", StoreKind::Azure)];
}

/// The address of a place in an object store. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    /// Whose protocol it speaks.
    pub kind: StoreKind,
    /// The bucket (Azure: the container).
    pub bucket: String,
    /// What the names of its objects begin with, without a slash at its ends; empty for the whole
    /// bucket.
    pub prefix: String,
}

impl StoreUrl {
    /// Reads an address such as `s3://bucket/prefix`.
    ///
    /// # Errors
    /// Why it is none, in words that never repeat what was given: it may be a secret.
    pub fn parse(text: &str) -> Result<StoreUrl, String> {
        let known = StoreKind::SCHEMES
            .iter()
            .find_map(|(scheme, kind)| Some((text.strip_prefix(scheme)?, *kind)));
        let Some((rest, kind)) = known else {
            return Err("it must begin with `s3://`, `gs://` or `az://`".to_owned());
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let of_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        if !NAME_BYTES.contains(&bucket.len())
            || !bucket.bytes().all(of_name)
            || !bucket.starts_with(|first: char| first.is_ascii_alphanumeric())
        {
            return Err(
                "a bucket's name has 3 or more of `a-z`, `0-9`, `.`, `_` and `-`; keys and \
                        options do not stand in the address"
                    .to_owned(),
            );
        }
        let of_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=+,".contains(&byte);
        let is_part =
            |part: &str| !part.trim_matches('.').is_empty() && part.bytes().all(of_prefix);
        if prefix.len() > PREFIX_BYTES_MAX || !(prefix.is_empty() || prefix.split('/').all(is_part))
        {
            return Err(
                "a prefix has parts of letters, digits and `-_.=+,`, with one `/` between \
                        them"
                    .to_owned(),
            );
        }
        Ok(StoreUrl { kind, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The address of something in it.
    pub fn of(&self, name: &str) -> String {
        format!("{self}/{name}")
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = StoreKind::SCHEMES.iter().find(|(_, kind)| *kind == self.kind);
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let scheme = scheme.map_or("", |(scheme, _)| scheme);
        write!(f, "{scheme}{}{slash}{}", self.bucket, self.prefix)
    }
}

/// Checks the address of an S3-compatible server. Without TLS whoever is on the way reads and
/// changes everything, so that is only for this machine, or for the one host that was named.
///
/// # Errors
/// Why it cannot be used, in words that never repeat it.
pub fn check_endpoint(endpoint: &str, plain_host: Option<&str>) -> Result<(), String> {
    let (rest, is_plain) =
        match (endpoint.strip_prefix("https://"), endpoint.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err("it must begin with `https://`".to_owned()),
        };
    let host = host(rest).ok_or("it is a host and a port, such as `https://minio.example:9000`")?;
    let is_loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_plain && !is_loopback && plain_host != Some(host) {
        return Err(format!(
            "without TLS only this machine is reached; name `{host}` in `plain-http-host`, if \
             everybody on the way may read what is sent"
        ));
    }
    Ok(())
}

/// The host of `host:port`; `None` when there is anything else.
fn host(rest: &str) -> Option<&str> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    let fits = !host.is_empty() && host.bytes().all(of_host);
    (fits && port.is_none_or(|port| port.parse::<u16>().is_ok())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        for (text, bucket, prefix) in [
            ("s3://backups", "backups", ""),
            ("gs://my_backups.example/", "my_backups.example", ""),
            ("az://abc/whimbrel/prod-1", "abc", "whimbrel/prod-1"),
            ("s3://abc/app=1/v1.0/", "abc", "app=1/v1.0"),
        ] {
            let url = StoreUrl::parse(text).unwrap();
            assert_eq!((&*url.bucket, &*url.prefix), (bucket, prefix));
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
            assert_eq!(
                StoreUrl::parse(&url.of("x")).unwrap().prefix,
                format!("{prefix}/x").trim_start_matches('/')
            );
        }
        for wrong in [
            "",
            "s3:/backups",
            "S3://backups",
            "file://backups",
            "s3://",
            "s3://ab",
            "s3://Backups",
            "s3://-abc",
            "s3://key:secret@abc/x",
            "s3://abc?endpoint=x",
            "s3://abc//x",
            "s3://abc/x//y",
            "s3://abc/../x",
            "s3://abc/x/.",
            "s3://abc/x y",
            "s3://abc/x?y",
            "s3://abc/x#y",
            "s3://abc/\u{e4}",
        ] {
            let error = StoreUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}: {error}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_or_a_named_host() {
        for good in [
            "https://s3.example",
            "https://s3.example:9000/",
            "http://localhost:9000",
            "http://127.0.0.2",
            "http://[::1]:8014",
        ] {
            assert_eq!(check_endpoint(good, None), Ok(()), "{good}");
        }
        for wrong in [
            "",
            "ftp://s3.example",
            "https://",
            "https://key:secret@s3.example",
            "https://s3.example/path",
            "https://s3.example:port",
            "https://[::1",
            "http://localhost.example",
            "http://127.0.0.1.example:80",
            "http://minio:9000",
        ] {
            let error = check_endpoint(wrong, None).unwrap_err();
            assert!(!error.contains("secret"), "{wrong}: {error}");
            assert!(check_endpoint(wrong, Some("other")).is_err(), "{wrong}");
        }
        assert_eq!(check_endpoint("http://minio:9000", Some("minio")), Ok(()));
    }
}
