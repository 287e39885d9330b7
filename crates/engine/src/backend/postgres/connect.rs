//! Making a connection: hosts in turn, `sslmode`'s second tries, the role of the server.

use std::future::{Future, Ready, ready};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{self, Config, SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding as Binding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Connection, Error};
use whimbrel_core::database_url::{
    ChannelBinding, HostAddress, PgHost, PgSslMode, PgUrl, TargetSession,
};

use super::error::{from_connection, from_login, from_socket, from_tls};
use super::socket;
use super::tls::{Tls, TlsFacts};
use super::wire::{Duplex, Wire};
use crate::backend::{DbError, DbErrorKind};

/// How long a host may take to let us in, where the URL says nothing.
const CONNECT_TIMEOUT_S: u32 = 10;
/// Where servers put their socket.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// A connection that is made but not driven yet.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) connection: Connection<Wire, Bound>,
    pub(super) tls: Option<TlsFacts>,
    /// The backend's pid as it was announced.
    pub(super) announced_pid: Arc<AtomicI32>,
    /// The server's host and port, for messages.
    place: String,
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

fn limit(url: &PgUrl) -> Duration {
    Duration::from_secs(u64::from(url.connect_timeout_s.unwrap_or(CONNECT_TIMEOUT_S)))
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
    let limit = limit(url);
    let seconds = limit.as_secs();
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

/// How one try is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    Never,
    IfOffered,
    Always,
}

/// Connects as `sslmode` says; `allow` and `prefer` have a second try. Sockets are never encrypted.
async fn by_sslmode(url: &PgUrl, host: &PgHost, home: Option<&Path>) -> Result<Connected, Refusal> {
    let local = matches!(host.address, HostAddress::Unix(_));
    let mode = if local { PgSslMode::Disable } else { url.sslmode };
    let tls = if mode == PgSslMode::Disable { None } else { Some(read_tls(url, home)?) };
    let tls = tls.as_ref();
    let first = match mode {
        PgSslMode::Disable | PgSslMode::Allow => Encryption::Never,
        PgSslMode::Prefer => Encryption::IfOffered,
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => Encryption::Always,
    };
    let refused = match once(url, host, tls, first).await {
        Ok(connected) => return Ok(connected),
        Err(failure) => failure,
    };
    let second = match mode {
        PgSslMode::Allow if refused.by_server => Encryption::Always,
        PgSslMode::Prefer if refused.encrypted => Encryption::Never,
        _ => return Err(refused.refusal),
    };
    once(url, host, tls, second).await.map_err(|again| {
        let last = refused.refusal.last || again.refusal.last;
        let error = together(vec![*refused.refusal.error, *again.refusal.error]);
        Refusal { error: Box::new(error), last }
    })
}

fn read_tls(url: &PgUrl, home: Option<&Path>) -> Result<Tls, Refusal> {
    Tls::new(url, home).map_err(|words| Refusal {
        error: Box::new(DbError::new(DbErrorKind::Connection, words)),
        last: true,
    })
}

/// Why one try did not end in a connection.
struct Failure {
    refusal: Refusal,
    /// The server itself said no.
    by_server: bool,
    /// TLS had begun.
    encrypted: bool,
}

impl Failure {
    fn new(error: DbError) -> Failure {
        Failure { refusal: Refusal::go_on(error), by_server: false, encrypted: false }
    }
}

async fn once(
    url: &PgUrl,
    host: &PgHost,
    tls: Option<&Tls>,
    encryption: Encryption,
) -> Result<Connected, Failure> {
    let place = place(host);
    let lost = |error: io::Error| Failure::new(from_socket(&error, &place));
    let mut socket = socket::open(url, host, limit(url)).await.map_err(lost)?;
    let wanted = match (tls, encryption) {
        (Some(tls), Encryption::IfOffered | Encryption::Always) => Some(tls),
        (_, Encryption::Never) | (None, _) => None,
    };
    let direct = url.direct_tls && encryption == Encryption::Always;
    let Some(tls) = wanted else { return log_in(url, socket, None, place).await };
    if !direct && !socket::offers_tls(&mut socket).await.map_err(lost)? {
        if encryption == Encryption::IfOffered {
            return log_in(url, socket, None, place).await;
        }
        let words = format!("The server at {place} does not offer TLS");
        let mut error = DbError::new(DbErrorKind::Connection, words);
        error.hint = Some("`sslmode=prefer` or `disable` connects without encryption".to_owned());
        return Err(Failure::new(error));
    }
    let encrypted = tls
        .encrypt(socket, name(host))
        .await
        .map_err(|error| Failure { encrypted: true, ..Failure::new(from_tls(&error, &place)) })?;
    let facts = Some((encrypted.facts, encrypted.end_point));
    log_in(url, encrypted.stream, facts, place).await
}

async fn log_in(
    url: &PgUrl,
    stream: Box<dyn Duplex>,
    tls: Option<(TlsFacts, Option<Vec<u8>>)>,
    place: String,
) -> Result<Connected, Failure> {
    let wire = Wire::new(stream);
    let announced_pid = wire.announced_pid();
    let (facts, end_point) = tls.unzip();
    let encrypted = facts.is_some();
    let config = config(url, encrypted);
    match config.connect_raw(wire, AlreadyEncrypted(end_point.flatten())).await {
        Ok((client, connection)) => {
            Ok(Connected { client, connection, tls: facts, announced_pid, place })
        }
        Err(error) => {
            let code = error.as_db_error().map(|server| server.code().code());
            // A server that is starting may have a neighbour that is not.
            let last = code.is_some_and(|code| code != "57P03");
            let refusal = Refusal { error: Box::new(from_login(&error, &place)), last };
            Err(Failure { refusal, by_server: code.is_some(), encrypted })
        }
    }
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
    connection: &mut Connection<Wire, Bound>,
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

/// The name that the server's certificate must have.
fn name(host: &PgHost) -> &str {
    match &host.address {
        HostAddress::Tcp(name) => name,
        HostAddress::Default | HostAddress::Unix(_) => "localhost",
    }
}

/// What is said at log-in. The library believes that it starts TLS itself.
fn config(url: &PgUrl, encrypted: bool) -> Config {
    let mut config = Config::new();
    if encrypted {
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    } else {
        config.ssl_mode(SslMode::Disable);
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
    config
}

/// Hands the library a stream that is encrypted already, with what binds the password to it.
struct AlreadyEncrypted(Option<Vec<u8>>);

/// An encrypted stream, and what the password exchange is bound to.
pub(super) struct Bound {
    wire: Wire,
    end_point: Option<Vec<u8>>,
}

impl TlsConnect<Wire> for AlreadyEncrypted {
    type Stream = Bound;
    type Error = io::Error;
    type Future = Ready<io::Result<Bound>>;

    fn connect(self, wire: Wire) -> Self::Future {
        ready(Ok(Bound { wire, end_point: self.0 }))
    }
}

impl TlsStream for Bound {
    fn channel_binding(&self) -> Binding {
        self.end_point.clone().map_or_else(Binding::none, Binding::tls_server_end_point)
    }
}

impl AsyncRead for Bound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
