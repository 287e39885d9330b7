//! What is asked of an object store.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use whimbrel_core::backup::BackupId;

use super::UNFINISHED;
use super::client::{Client, is_lost};
use crate::backup::store::SIGNATURE;
use crate::error::EngineError;
use crate::failpoint;

/// How many requests are under way at once.
pub(super) const REQUESTS_MAX: usize = 8;

/// How long to wait before a write is tried again that must not replace anything: the store's own
/// retries leave those out, as they may have happened.
const CREATE_WAITS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// What is there of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is whole, or was until somebody damaged it.
    Listed,
    /// It is being written or removed, or was.
    Unfinished,
}

impl Client {
    /// Every id of which something is there, oldest first, with its state.
    pub(super) async fn states(self) -> Result<Vec<(BackupId, State)>, Error> {
        let prefix = self.path("");
        let listed = self.store.list_with_delimiter(Some(&prefix)).await?;
        let ids: Vec<BackupId> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| BackupId::parse(path.filename()?))
            .collect();
        let look = |id: BackupId| {
            let client = self.clone();
            async move { client.state(&id).await.map(|state| (id, state)) }
        };
        let states = futures_util::stream::iter(ids).map(look).buffer_unordered(REQUESTS_MAX);
        let mut states: Vec<_> = states.try_collect().await?;
        states.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(states)
    }

    /// What is there of a backup of which something is there.
    pub(super) async fn state(&self, id: &BackupId) -> Result<State, Error> {
        // What has neither is a backup that somebody has damaged, and not what is left of one.
        let finished = self.has(&self.path_of(id, SIGNATURE)).await?;
        match finished || !self.has(&self.path_of(id, UNFINISHED)).await? {
            true => Ok(State::Listed),
            false => Ok(State::Unfinished),
        }
    }

    async fn has(&self, path: &Path) -> Result<bool, Error> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether an object is there.
    pub(super) fn is_there(&self, path: &Path) -> Result<bool, EngineError> {
        let path = path.clone();
        self.ask(|client| async move { client.has(&path).await })
    }

    /// Every object of a backup.
    pub(super) fn objects(&self, id: &BackupId) -> Result<Vec<ObjectMeta>, EngineError> {
        let prefix = self.path(id.as_str());
        self.ask(|client| async move { client.store.list(Some(&prefix)).try_collect().await })
    }

    /// Writes an object of a backup, also over one of that name.
    pub(super) fn write(&self, id: &BackupId, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let (path, payload) = (self.path_of(id, name), PutPayload::from(bytes.to_vec()));
        self.ask(|client| async move { client.store.put(&path, payload).await.map(|_| ()) })
    }

    /// Writes an object of a backup if there is none of that name.
    pub(super) fn create(
        &self,
        id: &BackupId,
        name: &str,
        bytes: &[u8],
    ) -> Result<Result<(), Error>, EngineError> {
        let (path, payload) = (self.path_of(id, name), PutPayload::from(bytes.to_vec()));
        self.try_ask(|client| async move { client.create_at(&path, payload).await })
    }

    async fn create_at(&self, path: &Path, payload: PutPayload) -> Result<(), Error> {
        let mut waits = CREATE_WAITS.iter();
        loop {
            let options = PutOptions::from(PutMode::Create);
            let error = match self.store.put_opts(path, payload.clone(), options).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            match (&error, waits.next()) {
                // A try before this one has written it, and its answer was lost.
                (Error::AlreadyExists { .. }, _) if self.holds(path, &payload).await? => {
                    return Ok(());
                }
                (error, _) if knows_no_create(error) => break,
                (error, Some(wait)) if is_lost(error) => tokio::time::sleep(*wait).await,
                _ => return Err(error),
            }
        }
        // This server cannot do it in one request.
        if self.has(path).await? {
            let (path, source) = (path.to_string(), "it is there".into());
            return Err(Error::AlreadyExists { path, source });
        }
        self.store.put(path, payload).await.map(|_| ())
    }

    async fn holds(&self, path: &Path, payload: &PutPayload) -> Result<bool, Error> {
        let got = self.store.get(path).await?;
        if got.meta.size != payload.content_length() as u64 {
            return Ok(false);
        }
        let expected: Vec<u8> = payload.iter().flat_map(|piece| piece.to_vec()).collect();
        Ok(got.bytes().await? == expected)
    }

    /// Removes everything of a backup: its signature first, without which it is not there, and
    /// last the mark that says so.
    pub(super) fn remove(&self, id: &BackupId) -> Result<(), EngineError> {
        let objects = self.objects(id)?;
        let (first, last) = (self.path_of(id, SIGNATURE), self.path_of(id, UNFINISHED));
        self.ask(|client| async move {
            client.clone().delete(first.clone()).await?;
            failpoint::pass("prune.renamed");
            let paths = objects.into_iter().map(|one| one.location);
            let rest: Vec<Path> = paths.filter(|path| *path != first && *path != last).collect();
            let gone = |path: Path| client.clone().delete(path);
            let gone = futures_util::stream::iter(rest).map(gone).buffer_unordered(REQUESTS_MAX);
            gone.try_collect::<()>().await?;
            client.clone().delete(last).await
        })
    }

    /// Removes an object, if it is there.
    pub(super) async fn delete(self, path: Path) -> Result<(), Error> {
        match self.store.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether a server does not know how to write only where nothing is.
fn knows_no_create(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
        || error.to_string().contains("<Code>NotImplemented</Code>")
}
