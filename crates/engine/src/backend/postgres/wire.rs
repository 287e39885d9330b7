//! The bytes between the client library and the server, watched message by message.
//!
//! Two things cannot be had from the library itself:
//!
//! - The backend's pid that the server announces at the start; `pooler` needs it.
//! - A failing `COPY ... FROM STDIN` that does not cost the connection. When the server refuses the
//!   statement (an unknown column, say), the library still sends the end of a copy, `CopyFail` and
//!   `Sync`; the server answers that `Sync` too, which the library does not expect. So an end of a
//!   copy that never began is not sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any connection to a server.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

const AUTHENTICATION_KEY: u8 = b'K';
const COPY_BEGINS: u8 = b'G';
const COPY_FAIL: u8 = b'f';
const READY_FOR_QUERY: u8 = b'Z';
const SYNC: u8 = b'S';
/// Type and length in front of each message.
const HEADER: usize = 5;

/// A watched connection.
pub(super) struct Wire {
    inner: Box<dyn Duplex>,
    incoming: Messages,
    outgoing: Outgoing,
    copying: bool,
    announced_pid: Arc<AtomicI32>,
    key: Vec<u8>,
}

impl Wire {
    pub(super) fn new(inner: Box<dyn Duplex>) -> Wire {
        let (incoming, outgoing) = (Messages::default(), Outgoing::default());
        let announced_pid = Arc::default();
        Wire { inner, incoming, outgoing, copying: false, announced_pid, key: Vec::new() }
    }

    /// Where the announced pid is put as soon as it comes; 0 until then.
    pub(super) fn announced_pid(&self) -> Arc<AtomicI32> {
        Arc::clone(&self.announced_pid)
    }

    fn watch(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let before = self.incoming.header_bytes;
            let taken = self.incoming.take(bytes);
            let (message, rest) = bytes.split_at(taken);
            if before == 0 {
                match self.incoming.kind {
                    COPY_BEGINS => self.copying = true,
                    READY_FOR_QUERY => self.copying = false,
                    _ => {}
                }
            }
            if self.incoming.kind == AUTHENTICATION_KEY && self.key.len() < HEADER + 4 {
                self.key.extend_from_slice(message);
                if let Some(Ok(pid)) = self.key.get(HEADER..HEADER + 4).map(TryInto::try_into) {
                    self.announced_pid.store(i32::from_be_bytes(pid), Ordering::Relaxed);
                }
            }
            bytes = rest;
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.watch(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut after = self.outgoing.clone();
        let (count, left_out) = after.take(bytes, usize::MAX, self.copying);
        if left_out {
            self.outgoing = after;
            return Poll::Ready(Ok(count));
        }
        let passed = bytes.get(..count).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, passed))?;
        let copying = self.copying;
        self.outgoing.take(bytes, written, copying);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Finds the borders of messages in a stream of bytes.
#[derive(Clone, Default)]
struct Messages {
    kind: u8,
    header: [u8; 4],
    header_bytes: usize,
    body_left: usize,
}

impl Messages {
    /// Takes the bytes of the message that is being read, at most to its end; returns how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        let mut rest = bytes;
        while self.header_bytes < HEADER {
            let Some((&byte, after)) = rest.split_first() else { return taken };
            match self.header_bytes.checked_sub(1).and_then(|at| self.header.get_mut(at)) {
                Some(slot) => *slot = byte,
                None => self.kind = byte,
            }
            self.header_bytes += 1;
            (taken, rest) = (taken + 1, after);
            if self.header_bytes == HEADER {
                let length = u32::from_be_bytes(self.header).saturating_sub(4);
                self.body_left = usize::try_from(length).unwrap_or(usize::MAX);
            }
        }
        let body = self.body_left.min(rest.len());
        self.body_left -= body;
        if self.body_left == 0 {
            self.header_bytes = 0;
        }
        taken + body
    }
}

/// What is sent, and which of it is left out.
#[derive(Clone, Default)]
struct Outgoing {
    messages: Messages,
    /// The first message has no type; it passes as it is.
    startup: Startup,
    leaving_out: bool,
    sync_too: bool,
}

#[derive(Clone, Default)]
struct Startup {
    header: [u8; 4],
    seen: usize,
    done: bool,
}

impl Startup {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            if let Some(slot) = self.header.get_mut(self.seen) {
                *slot = *byte;
            }
            self.seen += 1;
            taken += 1;
            let length = usize::try_from(u32::from_be_bytes(self.header)).unwrap_or(usize::MAX);
            if self.seen >= 4 && self.seen >= length {
                self.done = true;
                break;
            }
        }
        taken
    }
}

impl Outgoing {
    /// Takes bytes as long as they all pass or are all left out, and at most `limit`; returns how
    /// many, and whether they are left out.
    fn take(&mut self, bytes: &[u8], limit: usize, copying: bool) -> (usize, bool) {
        let bytes = bytes.get(..limit.min(bytes.len())).unwrap_or(bytes);
        let mut count = 0;
        let mut first = None;
        while let Some((kind, _)) = bytes.get(count..).and_then(<[u8]>::split_first) {
            let rest = bytes.get(count..).unwrap_or_default();
            if !self.startup.done {
                count += self.startup.take(rest);
                first = Some(false);
                continue;
            }
            let (mut leaving_out, mut sync_too) = (self.leaving_out, self.sync_too);
            if self.messages.header_bytes == 0 {
                let end_without_copy = *kind == COPY_FAIL && !copying;
                leaving_out = end_without_copy || (sync_too && *kind == SYNC);
                sync_too = end_without_copy;
            }
            if *first.get_or_insert(leaving_out) != leaving_out {
                break;
            }
            (self.leaving_out, self.sync_too) = (leaving_out, sync_too);
            count += self.messages.take(rest);
        }
        (count, first.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], length.to_be_bytes().as_slice(), body].concat()
    }

    fn startup() -> Vec<u8> {
        [&12_u32.to_be_bytes()[..], b"\0\x03\0\0abcd"].concat()
    }

    /// What comes out at the other end, however the bytes are cut.
    async fn sent(bytes: &[u8], cut: usize, answer: &[u8]) -> Vec<u8> {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let mut wire = Wire::new(Box::new(client));
        server.write_all(answer).await.unwrap();
        if !answer.is_empty() {
            wire.read_exact(&mut vec![0; answer.len()]).await.unwrap();
        }
        for piece in bytes.chunks(cut) {
            wire.write_all(piece).await.unwrap();
        }
        drop(wire);
        let mut out = Vec::new();
        server.read_to_end(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn the_end_of_a_copy_that_never_began_is_left_out() {
        let (fail, sync) = (message(b'f', b"\0"), message(b'S', b""));
        let query = message(b'Q', b"SELECT 1\0");
        let all =
            [startup(), query.clone(), fail.clone(), sync.clone(), sync.clone(), query.clone()];
        let begun = message(b'G', b"\0\0\0");
        let broken = [begun.clone(), message(b'E', b"\0")].concat();
        let over = [begun.clone(), message(b'C', b"\0"), message(b'Z', b"I")].concat();
        for cut in [1, 2, 3, 5, 7, 64] {
            let got = sent(&all.concat(), cut, b"").await;
            assert_eq!(got, [startup(), query.clone(), sync.clone(), query.clone()].concat());
            assert_eq!(sent(&all.concat(), cut, &begun).await, all.concat());
            assert_eq!(sent(&all.concat(), cut, &broken).await, all.concat());
            assert_eq!(sent(&all.concat(), cut, &over).await, got);
        }
    }

    #[tokio::test]
    async fn the_announced_pid_is_read() {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let mut wire = Wire::new(Box::new(client));
        let pid = wire.announced_pid();
        let bytes = [message(b'S', b"a\0b\0"), message(b'K', &[0, 0, 1, 2, 9, 9, 9, 9])].concat();
        for byte in bytes {
            server.write_all(&[byte]).await.unwrap();
            wire.read_u8().await.unwrap();
        }
        assert_eq!(pid.load(Ordering::Relaxed), 258);
    }
}
