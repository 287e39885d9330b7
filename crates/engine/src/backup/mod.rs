//! Backups: whole databases in files that outlive them (`docs/formats/backup.md`).

#[cfg(feature = "buckets")]
mod bucket;
mod digest;
mod folder;
mod journal;
mod keys;
mod lost;
mod meter;
mod prune;
mod read;
mod seal;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_core::backup::{Contents, Damage, Manifest, StoreUrl};
use whimbrel_core::secret::Secret;

use crate::apply::StopFlag;
use crate::error::EngineError;

pub(crate) use self::digest::{check_database, tables};
pub(crate) use self::folder::Scratch;
pub(crate) use self::journal::Journaled;
pub(crate) use self::keys::for_once;
pub use self::keys::{OpenWith, SealFor};
pub use self::lost::{Apart, LostRows};
pub(crate) use self::lost::{SAVED, lost_rows};
pub use self::meter::Meter;
pub use self::prune::PrunePlan;
pub(crate) use self::prune::{clean, plan as plan_prune, remove};
pub(crate) use self::read::{Archive, state};
use self::seal::Sealer;
pub(crate) use self::server::{
    AS_ASKED, Exchange, ServerSide, Swap, away, dump_program, interrupted, lock, lost_between,
    refuse, refuse_exchange, replacing, server_engine, swap,
};
pub(crate) use self::store::{Restoring, create_private, database_files, room_for};
pub(crate) use self::write::Writer;

/// Where backups lie, whose are trusted, and who may stop the work on them.
#[derive(Clone, Debug)]
pub struct BackupPlace {
    /// The folder of backups; with a store, of what is being worked on.
    pub folder: PathBuf,
    /// The object store in which they lie, in place of the folder.
    pub store: Option<BackupStore>,
    /// Public key in hexadecimal digits in place of the project's own.
    pub signer: Option<String>,
    /// Asked to stop.
    pub stop: StopFlag,
    /// Says how far the work is.
    pub meter: Meter,
}

/// An object store with backups.
#[derive(Clone, Debug)]
pub struct BackupStore {
    /// Its address.
    pub url: StoreUrl,
    /// The server, where the store is compatible with S3 and not that of AWS.
    pub endpoint: Option<String>,
    /// The region (S3).
    pub region: Option<String>,
    /// The host that may be reached without TLS.
    pub plain_http_host: Option<String>,
    /// Values of [`STORE_VARIABLES`], as far as they are set.
    pub keys: Vec<(&'static str, Secret)>,
}

/// The variables of the environment with the keys of object stores.
pub const STORE_VARIABLES: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
];

impl BackupPlace {
    /// Where they lie, in words.
    pub(crate) fn shown(&self) -> String {
        match &self.store {
            Some(store) => store.url.to_string(),
            None => self.folder.display().to_string(),
        }
    }

    /// Where a backup lies.
    pub(crate) fn location(&self, id: &str) -> String {
        match &self.store {
            Some(store) => store.url.of(id),
            None => self.folder.join(id).display().to_string(),
        }
    }

    /// The error that ends the work, if somebody asked for a stop.
    pub(crate) fn go_on(&self) -> Result<(), EngineError> {
        if self.stop.is_set() { Err(EngineError::Stopped) } else { Ok(()) }
    }
}

/// How a backup is made.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// For whom it is sealed.
    pub seal_for: SealFor,
    /// It is not sealed at all.
    pub unencrypted: bool,
    /// How long it is kept.
    pub keep: Duration,
    /// What of the database is saved.
    pub what: BackupWhat,
    /// The run that it is made for, with its token.
    pub run: Option<(String, i64)>,
}

/// A backup before a run, without which it does not begin.
#[derive(Clone, Debug)]
pub struct BackupBefore {
    /// Where it is put.
    pub place: BackupPlace,
    /// For whom it is sealed.
    pub seal_for: SealFor,
    /// How long it is kept.
    pub keep: Duration,
}

/// What of a server's database is saved; by default all of it.
#[derive(Clone, Debug, Default)]
pub struct BackupWhat {
    /// Rows of these tables only (`table` or `schema.table`); of all when there is none. The
    /// schema is always whole.
    pub tables: Vec<String>,
    /// No rows.
    pub schema_only: bool,
    /// What cannot be saved and may be left out, by name.
    pub leave_out: Vec<String>,
}

impl BackupWhat {
    /// Whether it is the whole database.
    pub fn is_all(&self) -> bool {
        self.tables.is_empty() && !self.schema_only && self.leave_out.is_empty()
    }
}

/// A backup as `backup list` shows it.
#[derive(Clone, Debug)]
pub struct BackupLine {
    /// Its id.
    pub id: String,
    /// What its manifest says; signature and form were checked.
    pub manifest: Result<Manifest, Damage>,
    /// Whether it has expired.
    pub expired: bool,
    /// When it was restored and compared last, in milliseconds since 1970, if it was.
    pub verified_ms: Option<i64>,
}

/// A backup with what it holds.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// The manifest.
    pub manifest: Manifest,
    /// What is in it; `None` when no key was given.
    pub contents: Option<Contents>,
    /// A database was made from it and compared.
    pub restored: bool,
    /// Where the restored database lies, when it was kept.
    pub target: Option<String>,
    /// Why something about it could not be noted, if that is so.
    pub note: Option<String>,
}

/// Keys and passphrases, and what an expired backup is allowed.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// What opens it.
    pub with: OpenWith,
    /// It may have expired.
    pub expired: bool,
    /// Rows of these tables only; of all when there is none.
    pub tables: Vec<String>,
    /// What an interrupted restore has left is removed first.
    pub again: bool,
}

impl OpenWith {
    /// Whether nothing is given.
    pub fn is_nothing(&self) -> bool {
        self.identities.iter().all(Secret::is_empty) && self.passphrase.is_none()
    }
}
