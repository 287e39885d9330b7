//! A backup in an object store.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use object_store::{Error, ObjectMeta, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use whimbrel_core::backup::{BackupId, Damage, Manifest, to_hex};

use super::UNFINISHED;
use super::client::Client;
use super::requests::REQUESTS_MAX;
use crate::backup::store::{Found, MANIFEST, SIGNATURE, Stored, VERIFIED, at, create_private};
use crate::error::EngineError;

/// A backup in an object store.
pub(super) struct BucketStored {
    pub(super) client: Client,
    pub(super) id: BackupId,
}

impl Stored for BucketStored {
    fn read(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Damage> {
        let file = || name.to_owned();
        let path = self.client.path_of(&self.id, name);
        let read = self.client.try_ask(|client| async move {
            let got = client.store.get(&path).await?;
            match got.meta.size {
                size if size > bytes_max => Ok(Err(size)),
                _ => got.bytes().await.map(|bytes| Ok(Vec::from(bytes))),
            }
        });
        let unreadable =
            |error: EngineError| Damage::Unreadable { file: file(), reason: error.to_string() };
        match read.map_err(unreadable)? {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(found)) => Err(Damage::Length { file: file(), expected: bytes_max, found }),
            Err(Error::NotFound { .. }) => Err(Damage::Missing { file: file() }),
            Err(error) => Err(unreadable(self.client.failed(&error))),
        }
    }

    fn files(&self, manifest: &Manifest, to: Option<&Path>) -> Result<Found, EngineError> {
        let named: BTreeSet<String> = manifest.files().map(|one| one.file.clone()).collect();
        let look = Arc::new(Look { named, to: to.map(Path::to_owned) });
        let (client, prefix) = (self.client.clone(), self.client.path(self.id.as_str()));
        let found = self.client.wait(async move {
            let objects = client.store.list(Some(&prefix)).map_err(|error| client.failed(&error));
            let hashed = objects.map_ok(|meta| {
                let name = meta.location.as_ref().strip_prefix(prefix.as_ref());
                let name = name.unwrap_or_default().trim_start_matches('/').to_owned();
                look_at(client.clone(), Arc::clone(&look), meta, name)
            });
            hashed.try_buffer_unordered(REQUESTS_MAX).try_collect::<Found>().await
        })?;
        let others = [MANIFEST, SIGNATURE, VERIFIED, UNFINISHED];
        let found = found?.into_iter();
        Ok(found.filter(|(name, _)| !others.contains(&name.as_str())).collect())
    }

    fn put_mark(&self, bytes: &[u8]) -> Result<(), EngineError> {
        self.client.write(&self.id, VERIFIED, bytes)
    }

    fn is_near(&self) -> bool {
        false
    }
}

/// What is to be read of a backup.
struct Look {
    named: BTreeSet<String>,
    /// The folder into which it is copied.
    to: Option<PathBuf>,
}

/// Length and hash of an object, which is written into a new file on the way. What does not belong
/// to the backup is not read.
async fn look_at(
    client: Client,
    look: Arc<Look>,
    meta: ObjectMeta,
    name: String,
) -> Result<(String, Result<(u64, String), String>), EngineError> {
    if !look.named.contains(&name) {
        return Ok((name, Ok((meta.size, String::new()))));
    }
    let path = look.to.as_ref().map(|to| to.join(&name)).unwrap_or_default();
    let mut file: Option<File> = match look.to {
        Some(_) => Some(create_private(&path)?),
        None => None,
    };
    let mut bytes = match client.store.get(&meta.location).await {
        Ok(got) => got.into_stream(),
        Err(error @ Error::NotFound { .. }) => {
            return Ok((name, Err(client.failed(&error).to_string())));
        }
        Err(error) => return Err(client.failed(&error)),
    };
    let (mut hash, mut length) = (Sha256::new(), 0u64);
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| client.failed(&error))?;
        hash.update(&piece);
        length += piece.len() as u64;
        if let Some(file) = &mut file {
            file.write_all(&piece).map_err(at(&path))?;
        }
    }
    Ok((name, Ok((length, to_hex(&hash.finalize())))))
}
