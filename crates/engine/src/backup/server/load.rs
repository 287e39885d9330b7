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

/// A table to be loaded.
struct Job {
    rows: RowsOf,
    /// Rows that were saved.
    expected: u64,
    bytes: u64,
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
        let mut jobs = Vec::new();
        for (index, part) in contents.parts.iter().enumerate() {
            let Some(rows) = part.rows.clone().filter(|_| part.chunks > 0) else { continue };
            let saved = contents.tables.iter().find(|table| table.name == rows.name());
            let Some(expected) = saved.map(|table| table.rows) else { continue };
            let chunks = archive.manifest.chunks_of(index + 1).cloned().collect();
            jobs.push(Job { rows, expected, bytes: part.bytes, chunks });
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes));
        self.place.meter.begin(jobs.iter().map(|job| job.bytes).sum());
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

/// Loads one table, in one transaction.
async fn table(
    session: &mut dyn Session,
    job: &Job,
    shared: &Arc<Shared>,
) -> Result<(), EngineError> {
    // The rows of an extension's table that the extension has made stay.
    let fresh = shared.dialect == Dialect::Postgres && job.rows.only.is_none();
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
    let found = into.finish().await?;
    if found != job.expected {
        let (table, expected) = (job.rows.name(), job.expected);
        shared.archive.none(vec![Damage::Rows { table, expected, found }])?;
    }
    Ok(session.batch("COMMIT").await?)
}

/// Opens a chunk on another thread.
fn open(shared: &Arc<Shared>, entry: &FileEntry) -> JoinHandle<Result<Vec<u8>, EngineError>> {
    let (shared, entry) = (Arc::clone(shared), entry.clone());
    spawn_blocking(move || shared.archive.chunk(&shared.sealer, &entry))
}
