//! `backup`: save a whole database outside of it, look after what was saved, bring it back.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use whimbrel_core::backup::{Contents, Damage, Manifest};
use whimbrel_core::sql::dialect::Dialect;

use super::Project;
use crate::backend::sqlite::SqliteBackend;
use crate::backend::{Backend, Session};
use crate::backup::{
    Archive, BackupLine, BackupOptions, BackupPlace, BackupReport, OpenWith, RestoreOptions,
    Restoring, ServerSide, Writer, check_database, room_for, server_engine, state, tables,
};
use crate::error::EngineError;
use crate::failpoint;
use crate::ledger::Ledger;

/// The one part of a SQLite backup.
const DATABASE: &str = "database";
/// The kind of a database that is a file.
const ENGINE: &str = "sqlite";

impl Project {
    /// Saves the database into a new backup. Others may go on meanwhile.
    ///
    /// # Errors
    /// When there is no database, it is damaged, no key is given, or the disk is full. Nothing is
    /// listed then.
    pub async fn backup_create(
        &self,
        place: &BackupPlace,
        options: &BackupOptions,
    ) -> Result<BackupReport, EngineError> {
        if self.backend.is_missing() {
            return Err(EngineError::NotFound(format!("There is no database `{}`", self.label())));
        }
        let mut writer = Writer::begin(&self.options.root, place, options, now_ms())?;
        if server_engine(self.dialect()).is_some() {
            let (manifest, contents) = self.server(place).save(writer, &options.what).await?;
            return Ok(self.created((place, options), manifest, contents).await);
        }
        if !options.what.is_all() {
            return Err(only_whole());
        }
        self.check_room(&place.folder)?;
        let scratch = writer.scratch()?;
        let copy = scratch.private("copy.db")?;
        let copied = self.backend.copy_into(&copy, &place.stop).await;
        place.go_on()?;
        copied?;
        failpoint::pass("backup.copied");
        let contents = look(&copy, place, &mut writer).await?;
        writer.part(DATABASE, &copy)?;
        drop(scratch);
        let (manifest, contents) = writer.finish(contents)?;
        Ok(self.created((place, options), manifest, contents).await)
    }

    /// What came of making a backup, after it was noted in the ledger.
    async fn created(
        &self,
        (place, options): (&BackupPlace, &BackupOptions),
        manifest: Manifest,
        contents: Contents,
    ) -> BackupReport {
        let location = place.location(&manifest.id);
        let run = options.run.as_ref();
        let note = self.note_backup(&manifest, "created", &location, run).await;
        let contents = Some(contents);
        BackupReport { manifest, contents, restored: false, target: None, note }
    }

    pub(super) fn server<'a>(&'a self, place: &'a BackupPlace) -> ServerSide<'a> {
        ServerSide {
            backend: self.backend.as_ref(),
            ledger: self.ledger,
            place,
            lock_timeout_ms: self.options.lock_timeout_ms,
        }
    }

    /// Of which kind of database a backup is, in the manifest's word.
    ///
    /// # Errors
    /// When it is not there, or signature or manifest are not good.
    pub fn backup_engine(&self, place: &BackupPlace, id: &str) -> Result<String, EngineError> {
        Ok(Archive::find(&self.options.root, place, id)?.manifest.engine)
    }

    /// The copy of the database needs room as large as itself; the chunks, which are smaller,
    /// some more.
    fn check_room(&self, folder: &Path) -> Result<(), EngineError> {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        room_for(self.backend.file().map_or(0, length), folder)
    }

    /// The backups that are there, oldest first, each with its manifest or what is wrong with it.
    ///
    /// # Errors
    /// When the folder cannot be read, or nobody knows whose signature counts.
    pub fn backups(&self, place: &BackupPlace) -> Result<Vec<BackupLine>, EngineError> {
        state(&self.options.root, place, now_ms())
    }

    /// What one backup says of itself; what it holds too where a key is given.
    ///
    /// # Errors
    /// When it is not there, or signature or manifest are not good, or the key is wrong.
    pub fn backup_show(
        &self,
        place: &BackupPlace,
        id: &str,
        with: &OpenWith,
    ) -> Result<BackupReport, EngineError> {
        let archive = Archive::find(&self.options.root, place, id)?;
        let contents = match archive.open(with) {
            Ok(contents) => Some(contents),
            Err(EngineError::BackupKey { given: false, .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(BackupReport {
            manifest: archive.manifest,
            contents,
            restored: false,
            target: None,
            note: None,
        })
    }

    /// Checks every byte of a backup. With a key each chunk is opened too; with `restore` a
    /// database is made of it, compared, and thrown away.
    ///
    /// # Errors
    /// With all that is wrong.
    pub async fn backup_verify(
        &self,
        place: &BackupPlace,
        id: &str,
        with: &OpenWith,
        restore: bool,
    ) -> Result<BackupReport, EngineError> {
        self.verify_for(place, id, (with, restore), None).await
    }

    /// The same on behalf of a run.
    pub(super) async fn verify_for(
        &self,
        place: &BackupPlace,
        id: &str,
        (with, restore): (&OpenWith, bool),
        run: Option<&(String, i64)>,
    ) -> Result<BackupReport, EngineError> {
        let found = Archive::find(&self.options.root, place, id)?;
        let archive = if restore { found.bring()? } else { found };
        if restore && archive.manifest.engine != ENGINE {
            let (manifest, contents) = self.server(place).prove(archive, with).await?;
            let archive = Archive::find(&self.options.root, place, id)?;
            let (contents, note) = (Some(contents), self.note_verified(&archive, run).await);
            return Ok(BackupReport { manifest, contents, restored: true, target: None, note });
        }
        let contents = if restore {
            let scratch = archive.scratch()?;
            let (restoring, mut file) = Restoring::begin(&scratch.file("restored.db"))?;
            let contents = archive.extract(with, &mut file, restoring.path())?;
            compare(&archive, place, &contents, restoring.path()).await?;
            Some(contents)
        } else {
            match archive.check(with) {
                Ok(contents) => Some(contents),
                Err(EngineError::BackupKey { given: false, .. }) => None,
                Err(error) => return Err(error),
            }
        };
        let note = if restore { self.note_verified(&archive, run).await } else { None };
        let manifest = archive.manifest;
        Ok(BackupReport { manifest, contents, restored: restore, target: None, note })
    }

    /// Restores a backup into this project's database, which must not be there yet. It gets its
    /// name when all of it was checked and compared.
    ///
    /// # Errors
    /// When the backup is not good, has expired, no key opens it, or the database is there.
    pub async fn backup_restore(
        &self,
        place: &BackupPlace,
        id: &str,
        options: &RestoreOptions,
    ) -> Result<BackupReport, EngineError> {
        let archive = Archive::find(&self.options.root, place, id)?;
        self.not_expired(&archive.manifest, place, options)?;
        let archive = archive.bring()?;
        let label = self.label();
        let Some(target) = self.backend.file() else {
            let (manifest, contents) = self.server(place).restore(archive, options).await?;
            let (contents, target) = (Some(contents), Some(label));
            return Ok(BackupReport { manifest, contents, restored: true, target, note: None });
        };
        if archive.manifest.engine != ENGINE {
            let engine = &archive.manifest.engine;
            let message = format!(
                "`{id}` is a backup of a {engine} database and cannot be restored into {label}"
            );
            return Err(EngineError::Refused(message));
        }
        if !options.tables.is_empty() {
            return Err(only_whole());
        }
        let (restoring, mut file) = Restoring::begin(target)?;
        room_for(archive.manifest.data_bytes, restoring.path())?;
        let contents = archive.extract(&options.with, &mut file, restoring.path())?;
        drop(file);
        failpoint::pass("restore.extracted");
        compare(&archive, place, &contents, restoring.path()).await?;
        free_the_lease(restoring.path()).await?;
        failpoint::pass("restore.before_rename");
        restoring.finish()?;
        failpoint::pass("restore.after_rename");
        Ok(BackupReport {
            manifest: archive.manifest,
            contents: Some(contents),
            restored: true,
            target: Some(label),
            note: None,
        })
    }
}

/// Reads from the copy what the backup says of it.
async fn look(
    copy: &Path,
    place: &BackupPlace,
    writer: &mut Writer,
) -> Result<Contents, EngineError> {
    let mut session = open_file(copy).await?;
    if let Some(said) = check_database(session.as_mut(), false).await? {
        let message = format!("The database itself is damaged, and was not saved: {said}");
        return Err(EngineError::Refused(message));
    }
    let ledger = Ledger { dialect: Dialect::Sqlite };
    let migrations = writer.identify(ledger, session.as_mut()).await?;
    let manifest = &mut writer.manifest;
    manifest.engine = ENGINE.to_owned();
    manifest.engine_version = session.facts().await?.version;
    manifest.tool_version = env!("CARGO_PKG_VERSION").to_owned();
    let tables = tables(session.as_mut(), place).await?;
    Ok(Contents { tables, migrations, ..Contents::default() })
}

/// Holds a restored database against what was saved.
pub(super) async fn compare(
    archive: &Archive,
    place: &BackupPlace,
    saved: &Contents,
    path: &Path,
) -> Result<(), EngineError> {
    let mut session = open_file(path).await?;
    if let Some(reason) = check_database(session.as_mut(), true).await? {
        archive.none(vec![Damage::Database { reason }])?;
    }
    archive.none(saved.compare(&tables(session.as_mut(), place).await?))
}

/// Whoever held the lease when the backup was made does not hold it in the restored database, and
/// what it still wants to write there has the token of another time.
pub(super) async fn free_the_lease(path: &Path) -> Result<(), EngineError> {
    let mut session = open_file(path).await?;
    let ledger = Ledger { dialect: Dialect::Sqlite };
    if ledger.identity(session.as_mut()).await?.is_none() {
        return Ok(());
    }
    let sql = format!("BEGIN IMMEDIATE; {}; COMMIT", ledger.free_sql(0));
    Ok(session.batch(&sql).await?)
}

pub(super) async fn open_file(path: &Path) -> Result<Box<dyn Session>, EngineError> {
    Ok(SqliteBackend::new(path, false).connect().await?)
}

fn only_whole() -> EngineError {
    let message = "A backup of a SQLite database is its pages: only all of it can be saved and \
                   restored. Restore it into a file, and copy from there";
    EngineError::Refused(message.to_owned())
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
