//! Rows of all tables on several connections: read, cut, and hashed and sealed on other threads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use whimbrel_core::backup::{FileEntry, Piece, Pieces, RowHasher, RowsOf};

use crate::backend::{DbError, DbErrorKind, Session};
use crate::backup::BackupPlace;
use crate::backup::write::ChunkWriter;
use crate::error::EngineError;

/// Connections that read or write rows at the same time.
pub(super) const CONNECTIONS: usize = 2;
/// Threads that hash and seal, at most; each holds about three chunks.
const SEALERS_MAX: usize = 4;
/// Pieces that wait for a thread, at most; with those that are being read and sealed about 80 MiB.
const WAITING_MAX: usize = 2;

/// A table to be read.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) rows: RowsOf,
    /// Which of its rows are meant where they are not all: the condition behind `SELECT`.
    pub(super) slice: Option<String>,
    /// About how many bytes it has; big ones come first.
    pub(super) bytes: u64,
}

impl Table {
    /// What is read.
    fn read(&self) -> RowsOf {
        let only = self.slice.clone().or_else(|| self.rows.only.clone());
        RowsOf { only, ..self.rows.clone() }
    }
}

/// What was read of a table.
#[derive(Default)]
pub(super) struct ReadTable {
    pub(super) chunks: Vec<FileEntry>,
    pub(super) bytes: u64,
    pub(super) hasher: RowHasher,
}

/// A piece of a table for the threads.
struct Work {
    table: usize,
    number: usize,
    piece: Piece,
}

/// What readers and threads share.
struct Shared {
    tables: Vec<Table>,
    /// Tables that nobody has begun.
    waiting: Mutex<VecDeque<usize>>,
    done: Mutex<Vec<ReadTable>>,
    /// Writes chunks; the first table is this part.
    chunks: Option<(ChunkWriter, usize)>,
    place: BackupPlace,
}

/// Reads all rows of the tables, each connection one table at a time. With a writer of chunks they
/// are written as parts from the given number on; without one they are only hashed.
pub(super) async fn read_all(
    sessions: Vec<Box<dyn Session>>,
    tables: Vec<Table>,
    chunks: Option<(ChunkWriter, usize)>,
    place: &BackupPlace,
) -> Result<Vec<ReadTable>, EngineError> {
    place.meter.begin(tables.iter().map(|table| table.bytes).sum());
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(tables.get(*at).map_or(0, |table| table.bytes)));
    let done = (0..tables.len()).map(|_| ReadTable::default()).collect();
    let (waiting, done) = (Mutex::new(order.into()), Mutex::new(done));
    let shared = Arc::new(Shared { tables, waiting, done, chunks, place: place.clone() });
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut threads = JoinSet::new();
    for _ in 0..thread::available_parallelism().map_or(1, |n| n.get().min(SEALERS_MAX)) {
        let (shared, receiver) = (Arc::clone(&shared), Arc::clone(&receiver));
        threads.spawn_blocking(move || seal(&shared, &receiver));
    }
    // When the last thread is gone, so are the receiver and the readers' hope.
    drop(receiver);
    let mut readers = JoinSet::new();
    for session in sessions {
        readers.spawn(read(session, Arc::clone(&shared), sender.clone()));
    }
    drop(sender);
    // What a thread could not write is the cause of what a reader could not hand over.
    let read = all_of(readers).await;
    let sealed = all_of(threads).await;
    sealed.and(read)?;
    let shared = Arc::try_unwrap(shared).map_err(|_| lost())?;
    Ok(shared.done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Waits for all tasks; the first error.
pub(super) async fn all_of(mut tasks: JoinSet<Result<(), EngineError>>) -> Result<(), EngineError> {
    let mut first = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let result = ended.unwrap_or_else(|_| Err(lost()));
        // Somebody who has lost the other side only knows that.
        let is_better = first.is_ok() || matches!(&first, Err(error) if is_lost(error));
        if result.is_err() && is_better {
            first = result;
        }
    }
    first
}

const LOST: &str = "The rows have lost their way between two threads";

fn lost() -> EngineError {
    DbError::new(DbErrorKind::Connection, LOST).into()
}

fn is_lost(error: &EngineError) -> bool {
    matches!(error, EngineError::Database(error) if error.message == LOST)
}

/// One connection: table after table until none is left.
async fn read(
    mut session: Box<dyn Session>,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Work>,
) -> Result<(), EngineError> {
    loop {
        let next = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(table) = next else { return Ok(()) };
        let Some(rows) = shared.tables.get(table).map(Table::read) else { continue };
        let mut out = session.text_out(&rows).await?;
        let (mut pieces, mut hasher, mut number) = (Pieces::default(), RowHasher::default(), 0);
        let mut send = async |piece: Piece| {
            number += 1;
            if !piece.whole {
                // A row that is longer than a chunk is hashed by the one who sees all of it.
                hasher.add(&piece.bytes);
            }
            let work = Work { table, number, piece };
            sender.send(work).await.map_err(|_| lost())
        };
        loop {
            shared.place.go_on()?;
            let more = out.next(pieces.buffer()).await?;
            while let Some(piece) = pieces.full() {
                send(piece).await?;
            }
            if !more {
                break;
            }
        }
        if let Some(piece) = pieces.last() {
            send(piece).await?;
        }
        shared.with(table, |done| done.hasher.merge(&hasher));
    }
}

/// One thread: piece after piece until there are no more.
fn seal(shared: &Shared, receiver: &Mutex<mpsc::Receiver<Work>>) -> Result<(), EngineError> {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Work { table, number, piece }) = next else { return Ok(()) };
        let mut hasher = RowHasher::default();
        if piece.whole {
            hasher.add(&piece.bytes);
        }
        let written = match &shared.chunks {
            Some((writer, first)) => {
                let entry = writer.write((first + table, number), &piece.bytes);
                if entry.is_err() {
                    // The readers need not go on.
                    receiver.lock().unwrap_or_else(PoisonError::into_inner).close();
                }
                Some(entry?)
            }
            None => None,
        };
        shared.place.meter.add(piece.bytes.len());
        shared.with(table, |done| {
            done.chunks.extend(written);
            done.bytes += piece.bytes.len() as u64;
            done.hasher.merge(&hasher);
        });
    }
}

impl Shared {
    fn with(&self, table: usize, act: impl FnOnce(&mut ReadTable)) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = done.get_mut(table) {
            act(one);
        }
    }
}
