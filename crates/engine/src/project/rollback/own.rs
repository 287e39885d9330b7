//! `--how immediate`: which backup belongs to a run, and what others wrote since, apart from what
//! the run itself changed. That is found out by undoing the run in a copy of the database.

use std::path::Path;
use std::time::Duration;

use whimbrel_core::backup::TableDigest;
use whimbrel_core::database_url::{DatabaseUrl, MyUrl, PgUrl};
use whimbrel_core::plan::{GroupMode, OnConflict};

use super::super::backup::{free_the_lease, now_ms, open_file};
use super::super::in_place::Beside;
use super::super::{Project, RunOptions, Target};
use super::{Answer, Rollback, RollbackHow, RollbackStage};
use crate::apply::StopFlag;
use crate::backend::Session;
use crate::backup::{
    Archive, BackupOptions, BackupPlace, OpenWith, Scratch, SealFor, ServerSide, Writer,
    database_files, for_once,
};
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::failpoint;
use crate::ledger::{number, text};

/// The copy, in the scratch folder.
const COPY: &str = "copy.db";
/// Where a server's database lies sealed while it is copied, in the folder of the restore.
const COPIES: &str = "copies";
/// It is removed at once.
const COPY_KEEP: Duration = Duration::from_secs(24 * 3_600);

/// Says yes to everything: it is a copy.
struct Agreeing;

impl Events for Agreeing {
    fn send(&mut self, _event: Event) {}

    fn agrees(&mut self, _stage: &RollbackStage) -> Option<Answer> {
        Some(Answer::Yes)
    }
}

impl Project {
    /// The run that the user calls `asked`, and the backup that was made before it. Only reads.
    ///
    /// # Errors
    /// When there is no such run, or it has no backup.
    pub async fn backup_of_run(&self, asked: &str) -> Result<(String, String), EngineError> {
        let none = || EngineError::NotFound("No run has applied anything yet".to_owned());
        let mut session = self.connect_to_read().await?.ok_or_else(none)?;
        let picture = self.picture(Some(&mut session)).await?;
        let identity = picture.identity.as_ref().ok_or_else(none)?;
        self.check_environment(&picture)?;
        let run_id = self.run_named(session.as_mut(), asked).await?;
        let mut rows = Vec::new();
        if identity.has_backups() {
            let sql = format!(
                "SELECT backup_id FROM {} WHERE event = 'created' AND run_id = {} ORDER BY seq",
                self.ledger.table("backups"),
                self.ledger.quote(&run_id)
            );
            rows = session.query(&sql).await?;
        }
        match rows.first() {
            Some(row) => Ok((run_id, text(row, 0))),
            None => Err(EngineError::Refused(format!(
                "The run `{run_id}` has no backup, so nothing can be restored; \
                 `--how partial` and `--how staged` need none"
            ))),
        }
    }

    /// A copy of the database in which what the run did is undone, or why it cannot be.
    ///
    /// # Errors
    /// When the copy cannot be made, or somebody asked for a stop.
    pub(in crate::project) async fn undone_copy(
        &self,
        session: &mut dyn Session,
        scratch: &Scratch,
        run_id: &str,
        stop: &StopFlag,
    ) -> Result<Result<Box<dyn Session>, String>, EngineError> {
        remove_copy(&scratch.file(COPY))?;
        let copy = scratch.private(COPY)?;
        session.copy_into(&copy, stop).await?;
        free_the_lease(&copy).await?;
        let name = copy.to_str().ok_or_else(|| {
            EngineError::Refused(format!("The path {} is not UTF-8", copy.display()))
        })?;
        match self.undo_in_copy(DatabaseUrl::sqlite_file(name), run_id, stop).await {
            Ok(()) => Ok(Ok(open_file(&copy).await?)),
            Err(EngineError::Stopped) => Err(EngineError::Stopped),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// The same on a server: a database beside, made of a backup for this one use. The tables as
    /// they were before the run was undone there.
    ///
    /// # Errors
    /// When the copy cannot be made, or somebody asked for a stop.
    pub(in crate::project) async fn undone_on_server(
        &self,
        beside: &Beside,
        run_id: &str,
    ) -> Result<Result<Vec<TableDigest>, String>, EngineError> {
        let (public, secret) = for_once();
        let folder = beside.journaled.folder_for(COPIES);
        let place = BackupPlace { folder, store: None, signer: None, ..beside.place.clone() };
        let options = BackupOptions {
            seal_for: SealFor { recipients: vec![public], passphrase: None },
            keep: COPY_KEEP,
            ..BackupOptions::default()
        };
        let root = &self.options.root;
        let writer = Writer::begin(root, &place, &options, now_ms())?;
        let (manifest, contents) = self.server(&place).save(writer, &options.what).await?;
        let archive = Archive::find(root, &place, &manifest.id)?;
        let copy = beside.copy();
        let backend = self.other_database(&copy)?;
        let side = ServerSide { backend: backend.as_ref(), ..self.server(&place) };
        let with = OpenWith { identities: vec![secret], passphrase: None };
        side.restore_beside(archive, &with).await?;
        remove_folder(&place.folder)?;
        failpoint::pass("in_place.copied");
        let Some(target) = self.at_copy(&copy) else {
            return Ok(Err("the copy has no address".to_owned()));
        };
        match self.undo_in_copy(target, run_id, &beside.place.stop).await {
            Ok(()) => Ok(Ok(contents.tables)),
            Err(EngineError::Stopped) => Err(EngineError::Stopped),
            Err(error) => {
                self.server(&place).drop_database(&copy).await?;
                Ok(Err(error.to_string()))
            }
        }
    }

    /// The address of another database of the server.
    fn at_copy(&self, name: &str) -> Option<DatabaseUrl> {
        let name = Some(name.to_owned());
        match &self.options.target {
            Target::Url(DatabaseUrl::Postgres(url)) => {
                let url = PgUrl { database: name, ..(**url).clone() };
                Some(DatabaseUrl::Postgres(Box::new(url)))
            }
            Target::Url(DatabaseUrl::Mysql(url)) => {
                let url = MyUrl { database: name, ..(**url).clone() };
                Some(DatabaseUrl::Mysql(Box::new(url)))
            }
            Target::Url(DatabaseUrl::Sqlite(_)) | Target::LocalD1(_) => None,
        }
    }

    /// Undoes what a run did in the copy of the database at `target`, as far as nobody has changed
    /// it since.
    ///
    /// # Errors
    /// When it cannot be undone there either.
    async fn undo_in_copy(
        &self,
        target: DatabaseUrl,
        run_id: &str,
        stop: &StopFlag,
    ) -> Result<(), EngineError> {
        let mut options = self.options.clone();
        options.target = Target::Url(target);
        options.history = None;
        let copy = Project::new(options)?;
        let mut session = copy.connect().await?;
        let removes = copy.removes(session.as_mut(), run_id).await?;
        drop(session);
        // What the run removed comes back only with its migrations' own ways back.
        let how = if removes { RollbackHow::Staged } else { RollbackHow::Partial };
        let asked = Rollback {
            run: run_id.to_owned(),
            how,
            table: None,
            on_conflict: OnConflict::Skip,
            steps: None,
            dry_run: false,
        };
        let run = RunOptions {
            wait: Duration::ZERO,
            group: GroupMode::Never,
            stop: stop.clone(),
            ask_between: false,
            backup: None,
        };
        let report = copy.rollback(&asked, &run, &mut Agreeing).await?;
        match report.left.first() {
            Some(left) => Err(EngineError::Refused(format!("`{left}` could not be undone"))),
            None => Ok(()),
        }
    }

    /// Whether migrations of a run removed something that was kept.
    async fn removes(&self, session: &mut dyn Session, run_id: &str) -> Result<bool, EngineError> {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE run_id = {} AND event = 'kept' \
             AND kind NOT IN ('update', 'delete', 'insert', 'work', 'read')",
            self.ledger.table("undo"),
            self.ledger.quote(run_id)
        );
        let rows = session.query(&sql).await?;
        Ok(rows.first().is_some_and(|row| number(row, 0) > 0))
    }
}

/// Removes what an earlier count has left.
fn remove_copy(copy: &Path) -> Result<(), EngineError> {
    for path in database_files(copy) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::File { path, error });
            }
            _ => {}
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), EngineError> {
    std::fs::remove_dir_all(folder)
        .map_err(|error| EngineError::File { path: folder.to_owned(), error })
}
