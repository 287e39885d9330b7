//! A TCP proxy on loopback that cuts a connection at a chosen moment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use crate::failure::{Doing, Result};

/// Which side of the server's work the cut is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The server never sees the message.
    BeforeServer,
    /// The server has done what the message says and has answered, but the answer does not arrive.
    AfterServer,
}

/// When a connection is cut: at the `nth` message that contains the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What the message contains.
    pub word: &'static str,
    /// Which of those messages, from 1; 0 cuts nothing and counts.
    pub nth: usize,
    /// On which side of the server's work.
    pub moment: Moment,
}

/// A running proxy. It ends when it is dropped; connections end with their clients.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    cut: Cut,
    seen: AtomicUsize,
    /// Bytes, in both directions, until a connection is cut; it happens once.
    left: AtomicI64,
    bytes: AtomicI64,
    closed: AtomicBool,
}

impl Shared {
    /// How many of `count` bytes may pass.
    fn allow(&self, count: usize) -> usize {
        let wanted = i64::try_from(count).unwrap_or(i64::MAX);
        self.bytes.fetch_add(wanted, Ordering::SeqCst);
        let before = self.left.fetch_sub(wanted, Ordering::SeqCst);
        if before >= wanted {
            return count;
        }
        self.left.store(i64::MAX, Ordering::SeqCst);
        usize::try_from(before).unwrap_or(0)
    }
}

impl Proxy {
    /// Forwards a new port on loopback to the port `target`.
    pub fn start(target: u16, cut: Cut) -> Result<Proxy> {
        Proxy::with(target, cut, i64::MAX)
    }

    /// As [`Proxy::start`]; cuts one connection after so many bytes in both directions together.
    pub fn cutting_after(target: u16, bytes: i64) -> Result<Proxy> {
        let cut = Cut { word: "no message has this word", nth: 0, moment: Moment::BeforeServer };
        Proxy::with(target, cut, bytes)
    }

    fn with(target: u16, cut: Cut, left: i64) -> Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).doing("start a proxy")?;
        let port = listener.local_addr().doing("read the proxy's port")?.port();
        let (seen, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (left, bytes) = (AtomicI64::new(left), AtomicI64::new(0));
        let shared = Arc::new(Shared { target, cut, seen, left, bytes, closed });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if own.closed.load(Ordering::SeqCst) {
                    return;
                }
                // A server that is not there closes the connection, as without a proxy.
                let _ = Link::start(client, &own);
            }
        });
        Ok(Proxy { port, shared })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes came by, in both directions.
    pub fn bytes(&self) -> i64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// How many messages with the word were seen.
    pub fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the listener up, so that it sees that it is closed.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One connection through the proxy.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// The next answer is swallowed and ends the connection.
    swallow: AtomicBool,
}

impl Link {
    fn start(client: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", shared.target))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let link = Arc::new(Link { client, server, swallow: AtomicBool::new(false) });
        let (up, down) = (Arc::clone(&link), link);
        let (shared, answered) = (Arc::clone(shared), Arc::clone(shared));
        std::thread::spawn(move || {
            let _ = up.requests(&shared);
            up.close();
        });
        std::thread::spawn(move || {
            let _ = down.answers(&answered);
            down.close();
        });
        Ok(())
    }

    fn requests(&self, shared: &Shared) -> std::io::Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            let count = (&self.client).read(&mut buffer)?;
            let message = buffer.get(..count).unwrap_or_default();
            if count == 0 {
                return Ok(());
            }
            if contains_word(message, shared.cut.word.as_bytes()) {
                let number = shared.seen.fetch_add(1, Ordering::SeqCst) + 1;
                match shared.cut.moment {
                    _ if number != shared.cut.nth => {}
                    Moment::BeforeServer => return Ok(()),
                    Moment::AfterServer => self.swallow.store(true, Ordering::SeqCst),
                }
            }
            if !pass(&self.server, message, shared)? {
                return Ok(());
            }
        }
    }

    fn answers(&self, shared: &Shared) -> std::io::Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            let count = (&self.server).read(&mut buffer)?;
            if count == 0 || self.swallow.load(Ordering::SeqCst) {
                return Ok(());
            }
            if !pass(&self.client, buffer.get(..count).unwrap_or_default(), shared)? {
                return Ok(());
            }
        }
    }

    fn close(&self) {
        // They fail only if the other side has closed already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// Sends what may pass, and says whether that was all of it.
fn pass(mut to: &TcpStream, message: &[u8], shared: &Shared) -> std::io::Result<bool> {
    let allowed = shared.allow(message.len());
    to.write_all(message.get(..allowed).unwrap_or_default())?;
    Ok(allowed == message.len())
}

/// Whether the word is in the message, and not as the beginning of a longer one (`COMMITTED`).
fn contains_word(message: &[u8], word: &[u8]) -> bool {
    message.windows(word.len()).enumerate().any(|(at, window)| {
        let after = message.get(at + word.len());
        window == word && !after.is_some_and(u8::is_ascii_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every message with `done`, and returns what it got.
    fn server() -> (u16, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 100]);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                got.extend_from_slice(&buffer[..count]);
                if stream.write_all(b"done").is_err() {
                    break;
                }
            }
            got
        });
        (port, thread)
    }

    /// Sends two messages through a proxy that cuts at the second; returns what the server saw.
    fn cut_at_the_second(moment: Moment) -> Vec<u8> {
        let (port, server) = server();
        let proxy = Proxy::start(port, Cut { word: "COMMIT", nth: 2, moment }).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let mut buffer = [0; 4];
        client.write_all(b"COMMIT;").unwrap();
        client.read_exact(&mut buffer).unwrap();
        client.write_all(b"COMMIT!").unwrap();
        assert!(client.read_exact(&mut buffer).is_err(), "the answer arrived");
        assert_eq!(proxy.seen(), 2);
        server.join().unwrap()
    }

    #[test]
    fn connections_are_cut_on_the_right_side() {
        assert_eq!(cut_at_the_second(Moment::BeforeServer), b"COMMIT;");
        assert_eq!(cut_at_the_second(Moment::AfterServer), b"COMMIT;COMMIT!");
    }

    #[test]
    fn a_longer_word_is_another_word() {
        assert!(contains_word(b"; COMMIT", b"COMMIT"));
        assert!(!contains_word(b"READ COMMITTED", b"COMMIT"));
    }
}
