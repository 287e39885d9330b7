//! Rows that a thread or a task of its own reads ahead, while those before are looked at.

use std::mem;

use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use whimbrel_core::rows::{Chunk, ColumnHead};

use super::{DbError, DbErrorKind};

/// Chunks that are read ahead.
const AHEAD_MAX: usize = 2;

/// What the reader says.
pub(super) enum Message {
    /// Comes first, and only once.
    Columns(Vec<ColumnHead>),
    Rows(Chunk),
    /// Comes last.
    Failed(DbError),
}

/// The reader's end.
pub(super) struct Feed {
    /// Nobody listens any more when it fails.
    pub(super) sender: Sender<Message>,
    unused: UnboundedReceiver<Chunk>,
}

impl Feed {
    /// An empty chunk of `width` columns, in place of the full one that is handed over.
    pub(super) fn replace(&mut self, chunk: &mut Chunk, width: usize) -> Message {
        let mut next = self.unused.try_recv().unwrap_or_default();
        next.clear(width);
        Message::Rows(mem::replace(chunk, next))
    }
}

/// The other end.
pub(super) struct Ahead {
    pub(super) columns: Vec<ColumnHead>,
    messages: Receiver<Message>,
    /// Chunks whose memory is used again.
    used: UnboundedSender<Chunk>,
}

/// Both ends.
pub(super) fn ahead() -> (Ahead, Feed) {
    let (sender, messages) = channel(AHEAD_MAX);
    let (used, unused) = unbounded_channel();
    (Ahead { columns: Vec::new(), messages, used }, Feed { sender, unused })
}

impl Ahead {
    /// Waits for the columns.
    pub(super) async fn begin(&mut self) -> Result<(), DbError> {
        match self.messages.recv().await {
            Some(Message::Columns(columns)) => {
                self.columns = columns;
                Ok(())
            }
            Some(Message::Failed(error)) => Err(error),
            Some(Message::Rows(_)) | None => {
                let message = "The reading of rows ended without a reason";
                Err(DbError::new(DbErrorKind::Storage, message))
            }
        }
    }

    /// Puts the next rows into `chunk`; false when there is none left.
    pub(super) async fn next(&mut self, chunk: &mut Chunk) -> Result<bool, DbError> {
        chunk.clear(self.columns.len());
        match self.messages.recv().await {
            Some(Message::Rows(rows)) => {
                let _ = self.used.send(mem::replace(chunk, rows));
                Ok(true)
            }
            Some(Message::Failed(error)) => Err(error),
            Some(Message::Columns(_)) | None => Ok(false),
        }
    }

    /// Lets the reader end, wherever it is.
    pub(super) fn close(&mut self) {
        self.messages.close();
        while self.messages.try_recv().is_ok() {}
    }
}
