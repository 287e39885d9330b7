//! Reaching a server: sockets, and the agreement on TLS that comes before anything else.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whimbrel_core::database_url::{HostAddress, PgHost, PgUrl};

use super::wire::Duplex;

/// Idle seconds before the system looks whether the server is still there. Firewalls forget
/// connections that are silent for some minutes, and building an index is silent.
const KEEPALIVE_IDLE_S: u32 = 60;
/// Seconds between such looks.
const KEEPALIVE_INTERVAL_S: u32 = 15;
/// Length and code of the request for TLS.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Opens a socket to the host, within `limit`.
pub(super) async fn open(
    url: &PgUrl,
    host: &PgHost,
    limit: Duration,
) -> io::Result<Box<dyn Duplex>> {
    match (&host.address, &host.hostaddr) {
        (HostAddress::Unix(folder), _) => unix(folder, host.port).await,
        (HostAddress::Tcp(_) | HostAddress::Default, Some(address)) => {
            tcp(url, (address, host.port), limit).await
        }
        (HostAddress::Tcp(name), None) => tcp(url, (name, host.port), limit).await,
        (HostAddress::Default, None) => tcp(url, ("localhost", host.port), limit).await,
    }
}

async fn tcp(
    url: &PgUrl,
    (name, port): (&str, u16),
    limit: Duration,
) -> io::Result<Box<dyn Duplex>> {
    let stream = first_that_answers(name, port, limit).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    if url.keepalives {
        let seconds = |given: Option<u32>, default: u32| {
            Duration::from_secs(u64::from(given.unwrap_or(default)))
        };
        let mut keepalive = TcpKeepalive::new()
            .with_time(seconds(url.keepalives_idle_s, KEEPALIVE_IDLE_S))
            .with_interval(seconds(url.keepalives_interval_s, KEEPALIVE_INTERVAL_S));
        if let Some(count) = url.keepalives_count {
            keepalive = keepalive.with_retries(count);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(ms) = url.tcp_user_timeout_ms {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(ms))))?;
    }
    Ok(Box::new(stream))
}

/// Tries the addresses of the name in turn. Each has its share of the time, so that one behind a
/// broken route does not use up that of the others.
async fn first_that_answers(name: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let began = Instant::now();
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = limit.saturating_sub(began.elapsed()) / others;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::Error::new(io::ErrorKind::TimedOut, "no answer in time"),
        }
    }
    Err(failure)
}

#[cfg(unix)]
async fn unix(folder: &str, port: u16) -> io::Result<Box<dyn Duplex>> {
    // libpq writes an abstract socket with `@` where the system wants a NUL.
    let folder = match folder.strip_prefix('@') {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => PathBuf::from(folder),
    };
    let path = folder.join(format!(".s.PGSQL.{port}"));
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_: &str, _: u16) -> io::Result<Box<dyn Duplex>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets on this system"))
}

/// Asks whether the server speaks TLS.
pub(super) async fn offers_tls(socket: &mut dyn Duplex) -> io::Result<bool> {
    socket.write_all(&TLS_REQUEST).await?;
    match socket.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        // An error of a server that is full or too old. What it says is not to be believed here,
        // before anybody has proven who he is.
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the server did not answer the request for TLS; does PostgreSQL listen there?",
        )),
    }
}
