//! Opening a connection: address, account, TLS by MySQL's rules, and what a session starts with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::GlobalHandler;
use mysql_async::{
    ClientIdentity, Conn, DriverError, Error, Opts, OptsBuilder, SslOpts, WhiteListFsHandler,
};
use whimbrel_core::database_url::{MyHost, MySslMode, MyUrl};

use super::client::Client;
use super::error::from_driver;
use crate::backend::{DbError, DbErrorKind};

/// How long a connection may take, unless the URL says otherwise, in seconds.
const CONNECT_S_MAX: u32 = 10;
/// How often an idle connection asks whether the other side still lives, in seconds.
const KEEPALIVE_S: u64 = 30;

/// Opens a connection. `plain` remembers that the server does not offer TLS.
pub(super) async fn connect(url: &MyUrl, plain: &AtomicBool) -> Result<Client, DbError> {
    let seconds = url.connect_timeout_s.filter(|seconds| *seconds > 0).unwrap_or(CONNECT_S_MAX);
    let limit = Duration::from_secs(u64::from(seconds));
    match tokio::time::timeout(limit, open(url, plain)).await {
        Ok(result) => result,
        Err(_) => Err(DbError::new(
            DbErrorKind::Connection,
            format!("No answer from {} within {seconds} s", place(url)),
        )),
    }
}

async fn open(url: &MyUrl, plain: &AtomicBool) -> Result<Client, DbError> {
    if url.database.is_none() {
        let mut error = DbError::new(DbErrorKind::Statement, "The URL names no database");
        error.hint = Some("Write it behind the host: `mysql://user@host/database`".to_owned());
        return Err(error);
    }
    let tls = if plain.load(Ordering::Relaxed) { None } else { tls(url)? };
    let file_asked = Arc::new(AtomicBool::new(false));
    let conn = match dial(url, tls.clone(), &file_asked).await {
        Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if is_optional(url) => {
            plain.store(true, Ordering::Relaxed);
            dial(url, None, &file_asked).await
        }
        Err(error) if mode(url) == MySslMode::VerifyCa => {
            match presented_name(&error.to_string()) {
                Some(name) => {
                    let tls = tls.map(|tls| tls.with_danger_tls_hostname_override(Some(name)));
                    dial(url, tls, &file_asked).await
                }
                None => Err(error),
            }
        }
        other => other,
    };
    let conn = conn.map_err(|error| in_words(error, url))?;
    let mut client = Client::new(conn, file_asked);
    client.learn().await?;
    prepare(&mut client, url).await?;
    Ok(client)
}

/// What a session starts with, and starts with again after a reset.
pub(super) async fn prepare(client: &mut Client, url: &MyUrl) -> Result<(), DbError> {
    let collation = match &url.collation {
        Some(name) if is_plain(name) => format!(" COLLATE {name}"),
        _ => String::new(),
    };
    // Sixty-four warnings, MariaDB's default, could hide that a value was cut.
    client
        .batch(&format!(
            "SET NAMES utf8mb4{collation}; \
             SET SESSION autocommit = 1, max_error_count = GREATEST(@@max_error_count, 1024)"
        ))
        .await?;
    if let Some(database) = &url.database {
        client.batch(&format!("USE `{}`", database.replace('`', "``"))).await?;
    }
    Ok(())
}

async fn dial(
    url: &MyUrl,
    tls: Option<SslOpts>,
    file_asked: &Arc<AtomicBool>,
) -> mysql_async::Result<Conn> {
    Conn::new(options(url, tls, Arc::clone(file_asked))).await
}

fn options(url: &MyUrl, tls: Option<SslOpts>, file_asked: Arc<AtomicBool>) -> Opts {
    let builder = OptsBuilder::default()
        .user(url.user.clone().or_else(system_user))
        .pass(url.password.as_ref().map(|password| password.expose().to_owned()))
        .db_name(url.database.clone())
        // On loopback the driver would go over to the socket, and so to another account.
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(KEEPALIVE_S)))
        // Rows that a statement matched, as the other databases count, also where nothing changed.
        .client_found_rows(true)
        .local_infile_handler(Some(refuse_files(file_asked)))
        .ssl_opts(tls);
    match &url.host {
        MyHost::Tcp(host) => builder.ip_or_hostname(host.clone()).tcp_port(url.port).into(),
        MyHost::Unix(path) => builder.socket(Some(path.clone())).into(),
    }
}

/// The protocol knows no refusal that keeps the connection, so an empty file is sent, and the
/// caller turns the statement into an error.
fn refuse_files(asked: Arc<AtomicBool>) -> impl GlobalHandler {
    const EMPTY: &str = "/dev/null";
    let empty = WhiteListFsHandler::new([EMPTY]);
    move |_: &[u8]| {
        asked.store(true, Ordering::SeqCst);
        empty.handle(EMPTY.as_bytes())
    }
}

/// The mode in force: a root certificate without a mode asks for it to be used, as in MySQL's
/// clients.
fn mode(url: &MyUrl) -> MySslMode {
    match url.ssl_mode {
        MySslMode::Preferred if url.ssl_ca.is_some() => MySslMode::VerifyCa,
        mode => mode,
    }
}

fn is_optional(url: &MyUrl) -> bool {
    mode(url) == MySslMode::Preferred
}

fn tls(url: &MyUrl) -> Result<Option<SslOpts>, DbError> {
    let mode = mode(url);
    let demanded = !matches!(mode, MySslMode::Disabled | MySslMode::Preferred);
    if matches!(url.host, MyHost::Unix(_)) {
        if !demanded {
            return Ok(None);
        }
        let mut error = DbError::new(
            DbErrorKind::Connection,
            format!("`ssl-mode={}` is not possible over a socket", mode.name()),
        );
        error.hint = Some("Leave `ssl-mode` out: a socket does not leave this machine".to_owned());
        return Err(error);
    }
    if mode == MySslMode::Disabled {
        return Ok(None);
    }
    let mut tls = SslOpts::default();
    if matches!(mode, MySslMode::VerifyCa | MySslMode::VerifyIdentity) {
        if let Some(path) = &url.ssl_ca {
            check_readable("ssl-ca", path)?;
            tls = tls
                .with_root_certs(vec![PathBuf::from(path).into()])
                .with_disable_built_in_roots(true);
        }
    } else {
        tls = tls.with_danger_accept_invalid_certs(true);
    }
    if let (Some(certificate), Some(key)) = (&url.ssl_cert, &url.ssl_key) {
        check_readable("ssl-cert", certificate)?;
        check_readable("ssl-key", key)?;
        let identity =
            ClientIdentity::new(PathBuf::from(certificate).into(), PathBuf::from(key).into());
        tls = tls.with_client_identity(Some(identity));
    }
    Ok(Some(tls))
}

fn check_readable(parameter: &str, path: &str) -> Result<(), DbError> {
    std::fs::File::open(path).map(drop).map_err(|error| {
        DbError::new(DbErrorKind::Connection, format!("`{parameter}`: {path}: {error}"))
    })
}

/// A name that the server's certificate is for, taken from the verifier's complaint that it is not
/// for the host's name.
///
/// The verifier checks the chain of signatures before the name, and checks both again when the
/// connection is made for this name; so `verify-ca` leaves out nothing but the comparison of names.
fn presented_name(complaint: &str) -> Option<String> {
    let (_, names) = complaint.split_once("is only valid for ")?;
    for (start, end) in [("DnsName(\"", "\")"), ("IpAddress(", ")")] {
        if let Some((name, _)) = names.split_once(start).and_then(|(_, rest)| rest.split_once(end))
        {
            return Some(name.replace('*', "any"));
        }
    }
    None
}

fn in_words(error: Error, url: &MyUrl) -> DbError {
    let mut out = from_driver(error, None);
    if out.code.is_none() && out.kind == DbErrorKind::Connection && out.hint.is_none() {
        out.message = format!("{}: {}", place(url), plain_words(&out.message));
        out.hint = connection_hint(&out.message);
    }
    let local = matches!(&url.host, MyHost::Tcp(host) if host == "localhost");
    if let Some(hint) = out.hint.as_mut().filter(|_| local && out.kind == DbErrorKind::Permission) {
        hint.push_str(
            ". `localhost` is reached by TCP here; \
             `?socket=/run/mysqld/mysqld.sock` takes the socket",
        );
    }
    out
}

/// The driver's layers each put their words in front.
fn plain_words(message: &str) -> &str {
    let mut rest = message;
    for prefix in ["Input/output error: ", "Input/output error: ", "TLS error: "] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    rest
}

fn connection_hint(message: &str) -> Option<String> {
    let has = |piece: &str| message.contains(piece);
    let hint = if has("refused") || has("No such file") {
        "Is the server running, and is this its port or socket?"
    } else if has("UnknownIssuer") {
        "Name the authority that signed the server's certificate: `ssl-ca=/path/ca.pem`"
    } else if has("not valid for") {
        "Connect by a name that the certificate is for, or use `ssl-mode=verify-ca`"
    } else if has("failed to lookup") {
        "Check the host's name in the URL"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn place(url: &MyUrl) -> String {
    match &url.host {
        MyHost::Tcp(host) => format!("{host}:{}", url.port),
        MyHost::Unix(path) => path.clone(),
    }
}

/// Names of collations are plain words, so that they need no quotes.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The name of the account that this process runs as, which the servers' own clients log in as.
fn system_user() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let id = ids.split_whitespace().nth(1)?.to_owned();
    let accounts = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let account = lines.find(|fields| fields.get(2) == Some(&id.as_str()))?;
    account.first().map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presented_name_is_found_in_the_complaint() {
        let complaint = "invalid peer certificate: certificate not valid for name \"127.0.0.1\"; \
                         certificate is only valid for DnsName(\"*.db.example\") or DnsName(\"x\")";
        assert_eq!(presented_name(complaint).as_deref(), Some("any.db.example"));
        assert_eq!(presented_name("only valid for IpAddress(10.0.0.1)"), None);
        let complaint = "certificate is only valid for IpAddress(10.0.0.1)";
        assert_eq!(presented_name(complaint).as_deref(), Some("10.0.0.1"));
        assert_eq!(presented_name("invalid peer certificate: UnknownIssuer"), None);
    }

    #[test]
    fn a_root_certificate_without_a_mode_is_used() {
        let parse = |text: &str| match whimbrel_core::database_url::DatabaseUrl::parse(text) {
            Ok(whimbrel_core::database_url::DatabaseUrl::Mysql(url)) => *url,
            other => panic!("{other:?}"),
        };
        assert_eq!(mode(&parse("mysql://h/d")), MySslMode::Preferred);
        assert_eq!(mode(&parse("mysql://h/d?ssl-ca=/ca.pem")), MySslMode::VerifyCa);
        let required = parse("mysql://h/d?ssl-ca=/ca.pem&ssl-mode=required");
        assert_eq!(mode(&required), MySslMode::Required);
        let socket = parse("mysql://h/d?socket=/run/x.sock&ssl-mode=required");
        assert!(tls(&socket).is_err());
    }
}
