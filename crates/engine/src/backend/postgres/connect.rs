//! Making a connection: hosts in turn, `sslmode`'s second tries, the role of the server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::{self, Config, SslMode, SslNegotiation};
use tokio_postgres::{Client, Connection, Error, Socket};
use whimbrel_core::database_url::{
    ChannelBinding, HostAddress, PgHost, PgSslMode, PgUrl, TargetSession,
};

use super::error::{from_connect, from_connection};
use super::tls::{Encrypted, Handshake, Tls, TlsFacts};
use crate::backend::{DbError, DbErrorKind};

/// How long a host may take to let us in, where the URL says nothing.
const CONNECT_TIMEOUT_S: u32 = 10;
/// Idle seconds before the system looks whether the server is still there. Firewalls forget
/// connections that are silent for some minutes, and building an index is silent.
const KEEPALIVE_IDLE_S: u32 = 60;
/// Seconds between such looks.
const KEEPALIVE_INTERVAL_S: u32 = 15;
/// Where servers put their socket.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// A connection that is made but not driven yet.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) connection: Connection<Socket, Encrypted<Socket>>,
    pub(super) tls: Option<TlsFacts>,
    /// The server's host and port, for messages.
    pub(super) place: String,
}

/// Connects to the first host that answers and has the wanted role.
pub(super) async fn connect(url: &PgUrl, home: Option<&Path>) -> Result<Connected, DbError> {
    if url.direct_tls && url.sslmode < PgSslMode::Require {
        let message = "`sslnegotiation=direct` needs `sslmode=require` or a stronger one";
        return Err(DbError::new(DbErrorKind::Connection, message));
    }
    let passes: &[TargetSession] = match url.target_session {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        _ => std::slice::from_ref(&url.target_session),
    };
    let mut failures: Vec<DbError> = Vec::new();
    for wanted in passes {
        for host in hosts_in_order(url) {
            match connect_host(url, &host, *wanted, home).await {
                Ok(connected) => return Ok(connected),
                Err(Refusal { error, last }) => {
                    failures.push(*error);
                    if last {
                        return Err(together(failures));
                    }
                }
            }
        }
    }
    Err(together(failures))
}

/// Why a host was not taken.
struct Refusal {
    error: Box<DbError>,
    /// The other hosts would say the same (as libpq: a refused password is not tried elsewhere).
    last: bool,
}

impl Refusal {
    fn go_on(error: DbError) -> Refusal {
        Refusal { error: Box::new(error), last: false }
    }
}

/// The hosts as they are tried, with the local server's address filled in.
fn hosts_in_order(url: &PgUrl) -> Vec<PgHost> {
    let mut hosts: Vec<PgHost> = url.hosts.iter().map(filled_in).collect();
    if url.load_balance_hosts {
        hosts.sort_by_cached_key(|_| uuid::Uuid::new_v4());
    }
    hosts
}

fn filled_in(host: &PgHost) -> PgHost {
    let address = match (&host.address, &host.hostaddr) {
        (HostAddress::Default, Some(hostaddr)) => HostAddress::Tcp(hostaddr.clone()),
        (HostAddress::Default, None) => SOCKET_FOLDERS
            .iter()
            .find(|folder| Path::new(folder).join(format!(".s.PGSQL.{}", host.port)).exists())
            .map_or(HostAddress::Tcp("localhost".to_owned()), |folder| {
                HostAddress::Unix((*folder).to_owned())
            }),
        (HostAddress::Tcp(_) | HostAddress::Unix(_), _) => host.address.clone(),
    };
    PgHost { address, ..host.clone() }
}

async fn connect_host(
    url: &PgUrl,
    host: &PgHost,
    wanted: TargetSession,
    home: Option<&Path>,
) -> Result<Connected, Refusal> {
    let seconds = url.connect_timeout_s.unwrap_or(CONNECT_TIMEOUT_S);
    let limit = Duration::from_secs(u64::from(seconds));
    let attempt = async {
        let connected = by_sslmode(url, host, home).await?;
        in_role(connected, wanted).await
    };
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
        let message = format!("No answer from {} within {seconds} seconds", place(host));
        let mut error = DbError::new(DbErrorKind::Connection, message);
        error.hint = Some("Is a firewall in between? `connect_timeout` waits longer".to_owned());
        Err(Refusal::go_on(error))
    })
}

/// Connects as `sslmode` says; `allow` and `prefer` have a second try. Sockets are never encrypted.
async fn by_sslmode(url: &PgUrl, host: &PgHost, home: Option<&Path>) -> Result<Connected, Refusal> {
    let encrypting = || {
        let refused = |words| {
            let error = DbError::new(DbErrorKind::Connection, words);
            Refusal { error: Box::new(error), last: true }
        };
        Tls::new(url, home).map_err(refused)
    };
    let local = matches!(host.address, HostAddress::Unix(_));
    let mode = if local { PgSslMode::Disable } else { url.sslmode };
    let place = place(host);
    let try_once = |tls, mode| once(config(url, host, mode), tls, &place);
    let (first, second) = match mode {
        PgSslMode::Disable => {
            return try_once(Tls::none(), SslMode::Disable).await.map_err(|e| refusal(&e, &place));
        }
        PgSslMode::Allow => match try_once(Tls::none(), SslMode::Disable).await {
            Ok(connected) => return Ok(connected),
            Err(error) if error.as_db_error().is_some() => {
                (error, try_once(encrypting()?, SslMode::Require).await)
            }
            Err(error) => return Err(refusal(&error, &place)),
        },
        PgSslMode::Prefer => {
            let tls = encrypting()?;
            match try_once(tls.clone(), SslMode::Prefer).await {
                Ok(connected) => return Ok(connected),
                Err(error) if tls.handshake() != Handshake::NotTried => {
                    (error, try_once(Tls::none(), SslMode::Disable).await)
                }
                Err(error) => return Err(refusal(&error, &place)),
            }
        }
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => {
            let connected = try_once(encrypting()?, SslMode::Require).await;
            return connected.map_err(|error| refusal(&error, &place));
        }
    };
    second.map_err(|second| {
        let mut both = refusal(&second, &place);
        let first = refusal(&first, &place);
        both.last |= first.last;
        both.error = Box::new(together(vec![*first.error, *both.error]));
        both
    })
}

fn refusal(error: &Error, place: &str) -> Refusal {
    // A server that is starting may have a neighbour that is not.
    let last = error.as_db_error().is_some_and(|server| server.code().code() != "57P03");
    Refusal { error: Box::new(from_connect(error, place)), last }
}

async fn once(config: Config, tls: Tls, place: &str) -> Result<Connected, Error> {
    let (client, connection) = config.connect(tls.clone()).await?;
    let tls = match tls.handshake() {
        Handshake::Done(facts) => Some(facts),
        Handshake::NotTried | Handshake::Begun => None,
    };
    Ok(Connected { client, connection, tls, place: place.to_owned() })
}

/// Checks that the server has the wanted role.
async fn in_role(mut connected: Connected, wanted: TargetSession) -> Result<Connected, Refusal> {
    let sql = "SELECT pg_catalog.pg_is_in_recovery()::text, \
               pg_catalog.current_setting('transaction_read_only')";
    if wanted == TargetSession::Any {
        return Ok(connected);
    }
    let asked = connected.client.simple_query(sql);
    let rows = drive(&mut connected.connection, asked)
        .await
        .map_err(|error| Refusal::go_on(from_connection(&error)))?;
    let value = |index| {
        rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.try_get(index).ok().flatten(),
            _ => None,
        })
    };
    let (standby, read_only) = (value(0) == Some("true"), value(1) == Some("on"));
    let (fits, is) = match wanted {
        TargetSession::Any | TargetSession::PreferStandby => (true, ""),
        TargetSession::ReadWrite => (!standby && !read_only, "is read-only"),
        TargetSession::ReadOnly => (standby || read_only, "is not read-only"),
        TargetSession::Primary => (!standby, "is a standby"),
        TargetSession::Standby => (standby, "is not a standby"),
    };
    if fits {
        return Ok(connected);
    }
    let message = format!("The server at {} {is}", connected.place);
    Err(Refusal::go_on(DbError::new(DbErrorKind::Connection, message)))
}

/// Waits for an answer while driving the connection by hand.
async fn drive<T>(
    connection: &mut Connection<Socket, Encrypted<Socket>>,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answered = &mut answer => answered,
        ended = connection => match ended {
            Err(error) => Err(error),
            Ok(()) => answer.await,
        },
    }
}

/// One failure out of several, each said once.
fn together(mut failures: Vec<DbError>) -> DbError {
    let Some(mut out) = failures.pop() else {
        return DbError::new(DbErrorKind::Connection, "No host to connect to");
    };
    failures.dedup();
    failures.retain(|failure| failure.message != out.message);
    if !failures.is_empty() {
        let others: Vec<String> = failures.iter().map(ToString::to_string).collect();
        out.message = format!("{}; then: {}", others.join("; then: "), out.message);
    }
    out
}

/// Host and port as people write them.
fn place(host: &PgHost) -> String {
    match &host.address {
        HostAddress::Default => format!("localhost:{}", host.port),
        HostAddress::Tcp(name) if name.contains(':') => format!("[{name}]:{}", host.port),
        HostAddress::Tcp(name) => format!("{name}:{}", host.port),
        HostAddress::Unix(folder) => format!("{folder}/.s.PGSQL.{}", host.port),
    }
}

fn config(url: &PgUrl, host: &PgHost, mode: SslMode) -> Config {
    let mut config = Config::new();
    match &host.address {
        HostAddress::Unix(folder) => config.host_path(socket_folder(folder)),
        HostAddress::Tcp(name) => config.host(name),
        HostAddress::Default => config.host("localhost"),
    };
    if let Some(address) = host.hostaddr.as_ref().and_then(|text| text.parse().ok())
        && !matches!(host.address, HostAddress::Unix(_))
    {
        config.hostaddr(address);
    }
    config.port(host.port).ssl_mode(mode);
    if url.direct_tls && mode == SslMode::Require {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    config.channel_binding(match url.channel_binding {
        ChannelBinding::Disable => config::ChannelBinding::Disable,
        ChannelBinding::Prefer => config::ChannelBinding::Prefer,
        ChannelBinding::Require => config::ChannelBinding::Require,
    });
    if let Some(user) = &url.user {
        config.user(user);
    }
    if let Some(password) = &url.password {
        config.password(password.expose());
    }
    if let Some(database) = &url.database {
        config.dbname(database);
    }
    if let Some(options) = &url.options {
        config.options(options);
    }
    config.application_name(url.application_name.as_deref().unwrap_or("whimbrel"));
    keep_alive(url, &mut config);
    config
}

fn keep_alive(url: &PgUrl, config: &mut Config) {
    let seconds =
        |given: Option<u32>, default| Duration::from_secs(u64::from(given.unwrap_or(default)));
    config
        .keepalives(url.keepalives)
        .keepalives_idle(seconds(url.keepalives_idle_s, KEEPALIVE_IDLE_S))
        .keepalives_interval(seconds(url.keepalives_interval_s, KEEPALIVE_INTERVAL_S));
    if let Some(count) = url.keepalives_count {
        config.keepalives_retries(count);
    }
    if let Some(ms) = url.tcp_user_timeout_ms {
        config.tcp_user_timeout(Duration::from_millis(u64::from(ms)));
    }
}

/// libpq writes an abstract socket with `@` where the system wants a NUL.
fn socket_folder(folder: &str) -> PathBuf {
    match folder.strip_prefix('@') {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => PathBuf::from(folder),
    }
}
