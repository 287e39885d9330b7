//! Loading the rows of a backup into a new database, on several connections.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use whimbrel_core::backup::{Contents, Damage, FileEntry, RowsOf};
use whimbrel_core::sql::dialect::Dialect;

use super::rows::{CONNECTIONS, all_of};
use super::{ServerSide, mariadb, postgres};
use crate::backend::Session;
use crate::backup::{Archive, BackupPlace, Sealer};
use crate::error::EngineError;
use crate::failpoint;

/// Fewest chunks of a table that several connections load side by side.
const SPLIT_CHUNKS_MIN: usize = 4;

/// A table to be loaded, or a slice of one.
struct Job {
    rows: RowsOf,
    /// It is all of the table.
    whole: bool,
    chunks: Vec<FileEntry>,
}

/// What the connections share.
struct Shared {
    archive: Arc<Archive>,
    sealer: Arc<Sealer>,
    waiting: Mutex<VecDeque<Job>>,
    dialect: Dialect,
    place: BackupPlace,
}

impl ServerSide<'_> {
    /// Loads the rows of the tables, big ones first.
    pub(super) async fn load(
        &self,
        archive: &Arc<Archive>,
        sealer: &Arc<Sealer>,
        contents: &Contents,
    ) -> Result<(), EngineError> {
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        for (index, part) in contents.parts.iter().enumerate() {
            let Some(rows) = part.rows.clone().filter(|_| part.chunks > 0) else { continue };
            if !contents.tables.iter().any(|table| table.name == rows.name()) {
                continue;
            }
            bytes += part.bytes;
            let chunks: Vec<FileEntry> = archive.manifest.chunks_of(index + 1).cloned().collect();
            let slices = slices(archive, sealer, chunks)?;
            let parts = contents.parts.iter().filter(|one| one.rows.as_ref() == Some(&rows));
            let whole = slices.len() == 1 && parts.count() == 1;
            jobs.extend(slices.into_iter().map(|chunks| Job { rows: rows.clone(), whole, chunks }));
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.chunks.len()));
        self.place.meter.begin(bytes);
        let count = jobs.len().min(CONNECTIONS);
        let shared = Arc::new(Shared {
            archive: Arc::clone(archive),
            sealer: Arc::clone(sealer),
            waiting: Mutex::new(jobs.into()),
            dialect: self.dialect(),
            place: self.place.clone(),
        });
        let mut loaders = JoinSet::new();
        for _ in 0..count {
            let mut session = self.backend.connect().await?;
            match self.dialect() {
                Dialect::Mysql => mariadb::prepare_load(session.as_mut()).await?,
                Dialect::Postgres | Dialect::Sqlite => postgres::prepare(session.as_mut()).await?,
            }
            loaders.spawn(work(session, Arc::clone(&shared)));
        }
        all_of(loaders).await
    }
}

/// Cuts the chunks of a big table into slices, one for each connection, where a row ends.
fn slices(
    archive: &Archive,
    sealer: &Sealer,
    mut chunks: Vec<FileEntry>,
) -> Result<Vec<Vec<FileEntry>>, EngineError> {
    let mut out = Vec::new();
    if chunks.len() >= SPLIT_CHUNKS_MIN {
        let each = chunks.len() / CONNECTIONS;
        for _ in 1..CONNECTIONS {
            let mut end = each;
            while let Some(last) = end.checked_sub(1).and_then(|at| chunks.get(at)) {
                if archive.chunk(sealer, last)?.last() == Some(&b'\n') {
                    break;
                }
                end += 1;
            }
            let rest = chunks.split_off(end.min(chunks.len()));
            out.push(std::mem::replace(&mut chunks, rest));
        }
    }
    out.push(chunks);
    out.retain(|slice| !slice.is_empty());
    Ok(out)
}

/// One connection: table after table until none is left.
async fn work(mut session: Box<dyn Session>, shared: Arc<Shared>) -> Result<(), EngineError> {
    loop {
        let next = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(job) = next else { return Ok(()) };
        let loaded = table(session.as_mut(), &job, &shared).await;
        if loaded.is_err() {
            // The others need not begin another table.
            shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        loaded?;
        failpoint::pass("restore.table");
    }
}

/// Loads one table, or a slice of it, in one transaction.
async fn table(
    session: &mut dyn Session,
    job: &Job,
    shared: &Arc<Shared>,
) -> Result<(), EngineError> {
    // The rows of an extension's table that the extension has made stay.
    let fresh = shared.dialect == Dialect::Postgres && job.rows.only.is_none() && job.whole;
    let empty = match fresh {
        true => format!("; TRUNCATE ONLY {}", postgres::ident(&job.rows)),
        false => String::new(),
    };
    session.batch(&format!("BEGIN{empty}")).await?;
    let mut into = session.text_in(&job.rows, fresh).await?;
    let mut entries = job.chunks.iter();
    let mut ahead = entries.next().map(|entry| open(shared, entry));
    while let Some(opening) = ahead {
        let bytes = opening.await.unwrap_or_else(|_| {
            let reason = "the thread that opened it is gone".to_owned();
            shared.archive.none(vec![Damage::Contents { reason }]).map(|()| Vec::new())
        })?;
        ahead = entries.next().map(|entry| open(shared, entry));
        shared.place.go_on()?;
        let length = bytes.len();
        into.write(bytes).await?;
        shared.place.meter.add(length);
    }
    into.finish().await?;
    Ok(session.batch("COMMIT").await?)
}

/// Opens a chunk on another thread.
fn open(shared: &Arc<Shared>, entry: &FileEntry) -> JoinHandle<Result<Vec<u8>, EngineError>> {
    let (shared, entry) = (Arc::clone(shared), entry.clone());
    spawn_blocking(move || shared.archive.chunk(&shared.sealer, &entry))
}
