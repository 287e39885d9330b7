//! `backup restore --in-place`: put a saved database into the place of the present one. On servers
//! by [`server`]; what follows here is SQLite.
//!
//! The journal lies outside of the database. Whether it was replaced is never read from there: the
//! new database holds the end of the run that restored it, and the old one does not.

mod carry;
mod kept;
mod mariadb;
mod server;
mod sweep;

use std::path::{Path, PathBuf};

use whimbrel_core::backup::{Manifest, Phase};
use whimbrel_core::sql::dialect::Dialect;

use self::carry::CARRIED;
pub(super) use self::server::Beside;
use super::backup::{compare, open_file};
use super::up::Run;
use super::{Project, RunOptions};
use crate::backend::Session;
use crate::backup::{
    Apart, Archive, BackupPlace, Journaled, LostRows, RestoreOptions, SAVED, Scratch, lost_rows,
    room_for,
};
use crate::error::EngineError;
use crate::event::Events;
use crate::failpoint;
use crate::ledger::{Identity, Ledger, RunEntry, columns_of};

/// What a restore in place would do.
pub struct InPlacePlan {
    /// The backup.
    pub manifest: Manifest,
    /// Rows that would be lost, by table.
    pub lost: Vec<LostRows>,
    /// What must be typed; `None` when nothing is lost.
    pub phrase: Option<String>,
    /// Why the changes of the run that is rolled back are counted too, if they are.
    pub note: Option<String>,
    /// The run that has done it already: an earlier command was killed after it.
    pub finished_by: Option<String>,
    apart: Apart,
    stop: crate::apply::StopFlag,
    /// Where the backup lies.
    location: String,
    /// The run whose restore is taken back.
    takes_back: Option<String>,
    /// Holds the new database, where it is a file.
    scratch: Option<Scratch>,
    /// The new database, where it is one of a server.
    beside: Option<Beside>,
}

/// What taking back the last restore in place would do.
pub enum TakeBack {
    /// The restore had not touched the database; what it left was removed.
    Untouched,
    /// The run that has taken it back already, before it was ended.
    Finished(String),
    /// This.
    Plan(Box<InPlacePlan>),
}

/// What a restore in place did.
#[derive(Clone, Debug)]
pub struct InPlaceReport {
    /// Its run.
    pub run_id: String,
    /// The backup.
    pub backup: String,
    /// Rows that were lost.
    pub rows: u64,
    /// Where the replaced database is kept.
    pub kept: PathBuf,
    /// The database's address.
    pub database: String,
}

/// The new database in the scratch folder.
const NEW: &str = "new.db";
/// What was saved, where that is not the new database.
const BASE: &str = "base.db";

impl InPlacePlan {
    /// All rows that would be lost.
    pub fn rows(&self) -> u64 {
        rows_of(&self.lost)
    }

    fn new_file(&self) -> PathBuf {
        self.file(NEW)
    }

    /// What the rows are held against.
    fn base_file(&self) -> PathBuf {
        self.file(if self.takes_back.is_some() { BASE } else { NEW })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.as_ref().map(|scratch| scratch.file(name)).unwrap_or_default()
    }

    /// Refuses when other rows would be lost than those that were counted.
    fn check_lost(&self, lost: &[LostRows]) -> Result<(), EngineError> {
        let (rows, counted) = (rows_of(lost), self.rows());
        if rows == counted {
            return Ok(());
        }
        let message =
            format!("{rows} rows would be lost, and not {counted} as a moment ago; look again");
        Err(EngineError::Refused(message))
    }
}

/// What became of the last restore in place.
enum Last {
    /// It had not touched the database; its journal is gone.
    Untouched,
    /// This run has taken it back, and was ended before it could say so.
    TakenBack(String),
    /// It has replaced the database.
    Replaced(Box<Journaled>),
}

fn no_such_restore(id: &str) -> EngineError {
    let message = format!("The last restore in place of this database was not of `{id}`");
    EngineError::NotFound(message)
}

fn rows_of(lost: &[LostRows]) -> u64 {
    lost.iter().map(LostRows::rows).fold(0, u64::saturating_add)
}

impl Project {
    /// Opens and checks a backup of this database, and counts which rows would be lost if it took
    /// the database's place; `apart` says which differences do not count. Changes nothing.
    ///
    /// # Errors
    /// When the backup is not good, of another database, has expired, or no key opens it.
    pub async fn plan_restore_in_place(
        &self,
        place: &BackupPlace,
        id: &str,
        options: &RestoreOptions,
        apart: Apart,
    ) -> Result<InPlacePlan, EngineError> {
        let archive = self.archive_of_this_database(place, id).await?;
        self.not_expired(&archive.manifest, place, options)?;
        if self.is_on_server() {
            return self.plan_on_server(archive, place, options, apart, None).await;
        }
        let scratch = archive.scratch()?;
        extract(&archive, place, options, &scratch.file(NEW)).await?;
        self.plan_with(archive, scratch, place, apart, None).await
    }

    /// The same for the way back from the last restore of the backup `id`: the database that it
    /// replaced. What a restore has left that had not touched the database is removed.
    ///
    /// # Errors
    /// When there was no such restore, another one came after it, or as for the restore.
    pub async fn plan_take_back(
        &self,
        place: &BackupPlace,
        id: &str,
        options: &RestoreOptions,
    ) -> Result<TakeBack, EngineError> {
        let archive = self.archive_of_this_database(place, id).await?;
        if self.is_on_server() {
            return self.take_back_on_server(archive, place, options).await;
        }
        let last = match self.last_restore(id).await? {
            Last::Replaced(last) => last,
            Last::Untouched => return Ok(TakeBack::Untouched),
            Last::TakenBack(run) => return Ok(TakeBack::Finished(run)),
        };
        let scratch = archive.scratch()?;
        extract(&archive, place, options, &scratch.file(BASE)).await?;
        last.copy_kept(&scratch.private(NEW)?)?;
        let run_id = Some(last.journal.run_id);
        let plan = self.plan_with(archive, scratch, place, Apart::default(), run_id).await?;
        Ok(TakeBack::Plan(Box::new(plan)))
    }

    /// The last restore of the backup `id`, past ways back that had not touched the database.
    async fn last_restore(&self, id: &str) -> Result<Last, EngineError> {
        let mut session = self.connect().await?;
        let mut all = self.restores_here()?;
        loop {
            let Some(mut last) = all.pop().filter(|one| one.journal.backup == id) else {
                return Err(no_such_restore(id));
            };
            let replaced = self.was_replaced(session.as_mut(), &last.journal.run_id).await?;
            let is_way_back = last.journal.takes_back.is_some();
            if replaced && is_way_back && last.journal.phase != Phase::Done {
                last.set(Phase::Done)?;
                return Ok(Last::TakenBack(last.journal.run_id));
            }
            if replaced {
                return Ok(Last::Replaced(Box::new(last)));
            }
            last.remove()?;
            if !is_way_back {
                return Ok(Last::Untouched);
            }
        }
    }

    async fn plan_with(
        &self,
        archive: Archive,
        scratch: Scratch,
        place: &BackupPlace,
        apart: Apart,
        takes_back: Option<String>,
    ) -> Result<InPlacePlan, EngineError> {
        let mut apart = apart;
        // What another tool remembers of migrations is no row of the user's.
        apart.tables.extend(self.other_tables());
        let mut plan = InPlacePlan {
            location: archive.location(),
            manifest: archive.manifest,
            lost: Vec::new(),
            phrase: None,
            note: None,
            finished_by: None,
            apart,
            stop: place.stop.clone(),
            takes_back,
            scratch: Some(scratch),
            beside: None,
        };
        let mut session = self.connect().await?;
        (plan.lost, plan.note) = self.count(session.as_mut(), &plan).await?;
        plan.phrase = self.lose_phrase(plan.rows());
        for mut one in self.restores_here()? {
            let journal = &one.journal;
            let same = journal.backup == plan.manifest.id && journal.phase != Phase::Done;
            if same
                && journal.takes_back == plan.takes_back
                && self.was_replaced(session.as_mut(), &journal.run_id).await?
            {
                plan.finished_by = Some(journal.run_id.clone());
                one.set(Phase::Done)?;
            }
        }
        Ok(plan)
    }

    /// Does what `plan` says, as a run of `verb`.
    ///
    /// # Errors
    /// Without the phrase, or when the rows that would be lost are others than those of the plan,
    /// nothing is done. After any error the old database is in its place.
    pub async fn restore_in_place(
        &self,
        plan: InPlacePlan,
        confirmed: bool,
        verb: &'static str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<InPlaceReport, EngineError> {
        if let (Some(phrase), false) = (&plan.phrase, confirmed) {
            let phrase = phrase.clone();
            self.discard(plan).await?;
            return Err(EngineError::NotConfirmed { phrase });
        }
        if plan.beside.is_some() {
            return self.restore_on_server(plan, verb, options, events).await;
        }
        self.refuse_open_file().await?;
        let session = self.connect().await?;
        let mut run = self.hold(session, (verb, ""), false, options, events).await?;
        match self.replace_with_lease(&mut run, &plan).await {
            // The run has ended in the new database, and nobody holds its lease.
            Ok(report) => Ok(report),
            Err(error) => self.end(run, Err(error)).await,
        }
    }

    async fn replace_with_lease(
        &self,
        run: &mut Run,
        plan: &InPlacePlan,
    ) -> Result<InPlaceReport, EngineError> {
        self.lock_out_others(run).await?;
        failpoint::pass("in_place.locked");
        self.settle(run.session.as_mut()).await?;
        let (lost, _) = self.count(run.session.as_mut(), plan).await?;
        plan.check_lost(&lost)?;
        let rows = plan.rows();
        let mut journaled = self.journal(run, plan)?;
        failpoint::pass("in_place.journaled");
        let kept = journaled.make_kept()?;
        let replaced = async {
            run.session.copy_into(&kept, &plan.stop).await?;
            journaled.seal_kept()?;
            failpoint::pass("in_place.kept");
            self.prepare(run, plan, rows).await?;
            failpoint::pass("in_place.prepared");
            if plan.stop.is_set() {
                return Err(EngineError::Stopped);
            }
            failpoint::pass("in_place.before_pages");
            Ok(run.session.replace(&plan.new_file()).await?)
        };
        if let Err(error) = replaced.await {
            // The old database is in its place, and the journal is of no more use.
            let _ = journaled.remove();
            return Err(error);
        }
        failpoint::pass("in_place.replaced");
        // Should this fail, the next verb finds out from the database.
        let _ = journaled.set(Phase::Done);
        failpoint::pass("in_place.done");
        Ok(InPlaceReport {
            run_id: run.lease.run_id.clone(),
            backup: plan.manifest.id.clone(),
            rows,
            kept,
            database: self.label(),
        })
    }

    /// Finds a backup, and makes sure that it is one of this database.
    async fn archive_of_this_database(
        &self,
        place: &BackupPlace,
        id: &str,
    ) -> Result<Archive, EngineError> {
        let archive = Archive::find(&self.options.root, place, id)?.bring()?;
        let found = match self.connect_to_read().await? {
            Some(mut session) => self.ledger.identity(session.as_mut()).await?,
            None => None,
        };
        let of_backup = archive.manifest.database_id.clone();
        match found {
            Some(Identity { database_id, .. }) if Some(&database_id) == of_backup.as_ref() => {
                Ok(archive)
            }
            found => Err(EngineError::OtherDatabase {
                id: id.to_owned(),
                backup: of_backup,
                database: found.map(|one| one.database_id),
            }),
        }
    }

    fn lose_phrase(&self, rows: u64) -> Option<String> {
        (rows > 0).then(|| self.with_environment(format!("LOSE {rows} ROWS")))
    }

    /// Which rows would be lost, apart from what the run that is rolled back changed itself; and
    /// why that could not be told apart, if it could not.
    async fn count(
        &self,
        session: &mut dyn Session,
        plan: &InPlacePlan,
    ) -> Result<(Vec<LostRows>, Option<String>), EngineError> {
        let (Some(run_id), Some(scratch)) = (&plan.apart.run, &plan.scratch) else {
            return Ok((differing(session, plan).await?, None));
        };
        match self.undone_copy(session, scratch, run_id, &plan.stop).await? {
            Ok(mut copy) => Ok((differing(copy.as_mut(), plan).await?, None)),
            Err(reason) => Ok((differing(session, plan).await?, Some(reason))),
        }
    }

    async fn lock_out_others(&self, run: &mut Run) -> Result<(), EngineError> {
        match run.session.lock_out_others().await {
            Err(error) if error.is_transient() => Err(EngineError::Refused(format!(
                "Another process has {} open; stop it, so that nothing it writes is lost",
                self.label()
            ))),
            other => Ok(other?),
        }
    }

    /// Brings the ledger of the new database up to date: the runs and acts of the present one,
    /// this run and its end, a fence above both, and nobody at it.
    async fn prepare(
        &self,
        run: &mut Run,
        plan: &InPlacePlan,
        rows: u64,
    ) -> Result<(), EngineError> {
        let (new, ledger) = (plan.new_file(), self.ledger);
        let mut target = open_file(&new).await?;
        ledger.ensure(target.as_mut(), &self.options.environment).await?;
        drop(target);
        attach(run.session.as_mut(), &new).await?;
        let carried = run.session.batch(&carry_sql(&ledger)).await;
        if carried.is_err() {
            crate::ledger::rollback(run.session.as_mut()).await;
        }
        detach(run.session.as_mut()).await?;
        carried?;
        let mut target = open_file(&new).await?;
        let end = self.end_sql(run, plan, rows);
        Ok(target.batch(&format!("BEGIN IMMEDIATE; {end}; COMMIT")).await?)
    }

    /// What the ledger of the new database is told: that this run has ended, what it did, a fence
    /// above both, and that nobody is at it.
    fn end_sql(&self, run: &Run, plan: &InPlacePlan, rows: u64) -> String {
        let ledger = self.ledger;
        let detail = serde_json::json!({
            "backup": plan.manifest.id, "rows_lost": rows, "takes_back": plan.takes_back,
        });
        let end = ledger.run_sql(&RunEntry {
            run_id: &run.lease.run_id,
            event: "end",
            verb: run.verb,
            outcome: Some("done"),
            actor: &self.owner.actor,
            detail: "",
            token: run.lease.token,
        });
        let audit = self.audit(run, "restore", &detail.to_string());
        let restored = match plan.takes_back {
            None => {
                let by = (run.lease.run_id.clone(), run.lease.token);
                self.backup_row(&plan.manifest, "restored", &plan.location, Some(&by))
            }
            Some(_) => "SELECT 1".to_owned(),
        };
        let free = ledger.free_sql(run.lease.token);
        format!("{restored}; {end}; {audit}; {free}")
    }
}

/// Copies the rows of the present ledger that the attached one does not have.
fn carry_sql(ledger: &Ledger) -> String {
    let copies = CARRIED.iter().map(|(name, key)| {
        let (table, columns) = (ledger.table(name), columns_of(name).join(", "));
        format!(
            "INSERT INTO {SAVED}.{table} ({columns}) SELECT {columns} FROM main.{table} \
             WHERE ({key}) NOT IN (SELECT {key} FROM {SAVED}.{table}) ORDER BY seq"
        )
    });
    format!("BEGIN IMMEDIATE; {}; COMMIT", copies.collect::<Vec<_>>().join("; "))
}

/// Makes a database of a backup, checked and compared, in the new file `path`.
async fn extract(
    archive: &Archive,
    place: &BackupPlace,
    options: &RestoreOptions,
    path: &Path,
) -> Result<(), EngineError> {
    let mut file = crate::backup::create_private(path)?;
    room_for(archive.manifest.data_bytes, path)?;
    let contents = archive.extract(&options.with, &mut file, path)?;
    drop(file);
    compare(archive, place, &contents, path).await
}

/// Which rows of the database differ from those that the plan restores.
async fn differing(
    session: &mut dyn Session,
    plan: &InPlacePlan,
) -> Result<Vec<LostRows>, EngineError> {
    attach(session, &plan.base_file()).await?;
    let lost = lost_rows(session, &plan.apart).await;
    detach(session).await?;
    lost
}

async fn attach(session: &mut dyn Session, file: &Path) -> Result<(), EngineError> {
    let Some(path) = file.to_str() else {
        let message = format!("The path {} is not UTF-8", file.display());
        return Err(EngineError::Refused(message));
    };
    let path = whimbrel_core::sql::quote::quote_text(path, Dialect::Sqlite);
    Ok(session.batch(&format!("ATTACH {path} AS {SAVED}")).await?)
}

async fn detach(session: &mut dyn Session) -> Result<(), EngineError> {
    Ok(session.batch(&format!("DETACH {SAVED}")).await?)
}
