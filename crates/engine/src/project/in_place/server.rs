//! A restore in place on a server: a database is made beside, and takes the name of the present
//! one, which is kept under another name.
//!
//! Whether it happened is read from the server: the database with the name that the application
//! knows holds the end of the run, or it does not.

use std::path::PathBuf;

use whimbrel_core::backup::{Phase, TableDigest};
use whimbrel_core::sql::dialect::Dialect;

use super::carry::carry;
use super::{InPlacePlan, InPlaceReport};
use crate::backend::{Backend, Session};
use crate::backup::{
    AS_ASKED, Apart, Archive, BackupPlace, Journaled, LostRows, RestoreOptions, ServerSide, Swap,
    lock, lost_between, refuse, replacing, swap,
};
use crate::error::EngineError;
use crate::event::Events;
use crate::failpoint;
use crate::ledger::rollback;
use crate::project::up::Run;
use crate::project::{Project, RunOptions};

/// Bytes of a database's name, at most (PostgreSQL: `NAMEDATALEN`; MariaDB takes 64 characters).
const NAME_BYTES_MAX: usize = 63;
/// In the name of a database that is made beside.
const RESTORING: &str = "_restoring_";
/// In the name of a copy in which a run is undone.
const COPY: &str = "_copy_";
/// In the name of a database that was replaced.
const BEFORE: &str = "_before_";

/// The databases of a restore in place.
pub(in crate::project) struct Beside {
    /// The present one.
    pub(super) name: String,
    /// What holds the rows as they were saved.
    base: String,
    /// What is to take the place: the same, or the one that an earlier restore has replaced.
    pub(super) made: String,
    /// Under which name the present one is kept.
    pub(super) kept: String,
    /// Tables of the copy in which the run was undone, as they were before.
    copied: Option<Vec<TableDigest>>,
    pub(in crate::project) journaled: Journaled,
    pub(in crate::project) place: BackupPlace,
}

impl Beside {
    /// A copy of the present one, for a while.
    pub(in crate::project) fn copy(&self) -> String {
        copy_of(&self.base)
    }
}

/// The copy that belongs to a database that is made beside.
pub(super) fn copy_of(base: &str) -> String {
    match base.rsplit_once(RESTORING) {
        Some((name, short)) => format!("{name}{COPY}{short}"),
        None => format!("{base}{COPY}"),
    }
}

/// `name` with something behind, short enough.
fn beside(name: &str, word: &str, short: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX.saturating_sub(word.len() + short.len()));
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{word}{short}", name.get(..end).unwrap_or_default())
}

impl Project {
    /// Makes a database of the backup beside the present one, and counts which rows would be lost.
    /// With `back` it is the one that this restore has replaced that would take the place.
    ///
    /// # Errors
    /// When it cannot be done; nothing is left then.
    pub(super) async fn plan_on_server(
        &self,
        archive: Archive,
        place: &BackupPlace,
        options: &RestoreOptions,
        apart: Apart,
        back: Option<Journaled>,
    ) -> Result<InPlacePlan, EngineError> {
        let takes_back = back.as_ref().map(|one| one.journal.run_id.clone());
        let finished_by = self.sweep(&archive.manifest.id, takes_back.as_deref()).await?;
        let mut session = self.connect().await?;
        if self.dialect() == Dialect::Mysql {
            self.refuse_on_mariadb(session.as_mut(), &archive, place, options).await?;
        } else {
            refuse(session.as_mut()).await?;
            let belongings = self.server(place).belongings(session.as_mut()).await?;
            belongings.refuse(session.as_mut()).await?;
        }
        let name = session.facts().await?.database;
        if let Some(back) = &back
            && self.size_of(session.as_mut(), &back.journal.kept_as).await?.is_none()
        {
            let message = format!("The database `{}` is not there any more", back.journal.kept_as);
            return Err(EngineError::NotFound(message));
        }
        drop(session);
        archive.check_files()?;
        check_whole(&archive, options)?;
        let short: String = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
        let (base, kept) = (beside(&name, RESTORING, &short), beside(&name, BEFORE, &short));
        let run_id = uuid::Uuid::now_v7().to_string();
        let mut journal = self.journal_of(&run_id, &archive.manifest, takes_back.clone());
        (journal.made, journal.kept_as) = (base.clone(), kept.clone());
        let journaled = Journaled::begin(&self.options.root, journal)?;
        let made = back.map_or_else(|| base.clone(), |back| back.journal.kept_as);
        let (copied, place) = (None, place.clone());
        let mut apart = apart;
        apart.tables.extend(self.other_tables());
        let mut plan = InPlacePlan {
            location: archive.location(),
            manifest: archive.manifest.clone(),
            lost: Vec::new(),
            phrase: None,
            note: None,
            finished_by,
            apart,
            stop: place.stop.clone(),
            takes_back,
            scratch: None,
            beside: Some(Beside { name, base, made, kept, copied, journaled, place }),
        };
        match self.fill_beside(archive, options, &mut plan).await {
            Ok(()) => Ok(plan),
            Err(error) => {
                let _ = self.discard(plan).await;
                Err(error)
            }
        }
    }

    async fn fill_beside(
        &self,
        archive: Archive,
        options: &RestoreOptions,
        plan: &mut InPlacePlan,
    ) -> Result<(), EngineError> {
        let Some(beside) = &mut plan.beside else { return Ok(()) };
        let backend = self.other_database(&beside.base)?;
        let side = ServerSide { backend: backend.as_ref(), ..self.server(&beside.place) };
        side.restore_beside(archive, &options.with).await?;
        if self.dialect() == Dialect::Mysql && plan.takes_back.is_none() {
            let mut session = self.connect().await?;
            beside.exchange().refuse_code(session.as_mut()).await?;
        }
        failpoint::pass("in_place.beside");
        let mut counted = None;
        if let Some(run_id) = &plan.apart.run {
            match self.undone_on_server(beside, run_id).await? {
                Ok(tables) => {
                    counted = Some(self.lost_in(&beside.copy(), beside, &plan.apart).await?);
                    self.server(&beside.place).drop_database(&beside.copy()).await?;
                    beside.copied = Some(tables);
                }
                Err(reason) => plan.note = Some(reason),
            }
        }
        plan.lost = match counted {
            Some(lost) => lost,
            None => self.lost_in(&beside.name, beside, &plan.apart).await?,
        };
        plan.phrase = self.lose_phrase(plan.rows());
        Ok(())
    }

    /// Which rows of the database `name` differ from those that were saved.
    async fn lost_in(
        &self,
        name: &str,
        beside: &Beside,
        apart: &Apart,
    ) -> Result<Vec<LostRows>, EngineError> {
        let mut here = self.other_database(name)?.connect().await?;
        let mut there = self.other_database(&beside.base)?.connect().await?;
        here.batch(match self.dialect() {
            Dialect::Mysql => "START TRANSACTION WITH CONSISTENT SNAPSHOT",
            _ => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
        .await?;
        lost_between(here.as_mut(), there.as_mut(), self.dialect(), apart).await
    }

    pub(in crate::project) fn other_database(
        &self,
        name: &str,
    ) -> Result<Box<dyn Backend>, EngineError> {
        let other = self.backend.at_database(name);
        other.ok_or_else(|| EngineError::Refused("This database is not a server's".to_owned()))
    }

    /// Lets go of a plan that is not carried out, with what was made for it.
    ///
    /// # Errors
    /// When the database that was made cannot be dropped; `status` shows it then.
    pub async fn discard(&self, plan: InPlacePlan) -> Result<(), EngineError> {
        match plan.beside {
            Some(beside) => self.clean(beside.journaled).await,
            None => Ok(()),
        }
    }

    /// Carries out a plan, as a run of `verb`.
    pub(super) async fn restore_on_server(
        &self,
        mut plan: InPlacePlan,
        verb: &'static str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<InPlaceReport, EngineError> {
        let held = async {
            let session = self.connect().await?;
            self.hold(session, (verb, ""), false, options, events).await
        };
        let mut run = match held.await {
            Ok(run) => run,
            Err(error) => {
                let _ = self.discard(plan).await;
                return Err(error);
            }
        };
        match self.replace_on_server(&mut run, &mut plan).await {
            Ok(report) => Ok(report),
            Err(error) => {
                rollback(run.session.as_mut()).await;
                let result = self.end(run, Err(error)).await;
                let _ = self.discard(plan).await;
                result
            }
        }
    }

    async fn replace_on_server(
        &self,
        run: &mut Run,
        plan: &mut InPlacePlan,
    ) -> Result<InPlaceReport, EngineError> {
        let rows = plan.rows();
        let Some(mut beside) = plan.beside.take() else { return Err(EngineError::Stopped) };
        if self.dialect() == Dialect::Mysql {
            if let Err(error) = self.exchange_with_lease(run, plan, &mut beside).await {
                // What has begun is gone on with, or taken back, by the next command.
                if replacing(run.session.as_mut()).await?.is_none() {
                    plan.beside = Some(beside);
                }
                return Err(error);
            }
        } else if let Err(error) = self.swap_with_lease(run, plan, &mut beside).await {
            // Nobody knows of a COMMIT whose answer was lost, but the server.
            match self.is_kept(&beside.kept).await {
                Ok(true) => {}
                Ok(false) => {
                    plan.beside = Some(beside);
                    run.session = self.connect().await?;
                    return Err(error);
                }
                // What is there is looked at by the next command.
                Err(_) => return Err(error),
            }
        }
        failpoint::pass("in_place.replaced");
        let report = InPlaceReport {
            run_id: run.lease.run_id.clone(),
            backup: plan.manifest.id.clone(),
            rows,
            kept: PathBuf::from(&beside.kept),
            database: self.label(),
        };
        // Should this fail, the next command does it.
        let _ = self.finish(beside.journaled).await;
        failpoint::pass("in_place.done");
        Ok(report)
    }

    async fn swap_with_lease(
        &self,
        run: &mut Run,
        plan: &InPlacePlan,
        beside: &mut Beside,
    ) -> Result<(), EngineError> {
        let place = beside.place.clone();
        let side = self.server(&place);
        let belongings = side.belongings(run.session.as_mut()).await?;
        let mut target = self.begin_beside(&run.lease.run_id, beside).await?;
        belongings.give(target.as_mut()).await?;
        run.lease.quiet().await;
        let locked = lock(run.session.as_mut(), self.options.lock_timeout_ms).await?;
        run.lease.fence(run.session.as_mut()).await?;
        self.end_beside(run, plan, beside, target).await?;
        let admin = side.administration().await?;
        let own = std::mem::replace(&mut run.session, admin);
        let names = Swap {
            name: &beside.name,
            kept: &beside.kept,
            made: &beside.made,
            then: &belongings.database,
            locked: &locked,
        };
        swap(run.session.as_mut(), own, &names).await
    }

    /// Notes in the journal that a run has begun, and opens the database that is to take
    /// the place, with a ledger.
    pub(super) async fn begin_beside(
        &self,
        run_id: &str,
        beside: &mut Beside,
    ) -> Result<Box<dyn Session>, EngineError> {
        beside.journaled.journal.run_id = run_id.to_owned();
        beside.journaled.set(Phase::Begun)?;
        let mut target = self.other_database(&beside.made)?.connect().await?;
        self.ledger.ensure(target.as_mut(), &self.options.environment).await?;
        Ok(target)
    }

    /// Counts once more, now that nobody writes, and ends the run in the database that is to take
    /// the place: all but the change of places itself.
    pub(super) async fn end_beside(
        &self,
        run: &mut Run,
        plan: &InPlacePlan,
        beside: &mut Beside,
        mut target: Box<dyn Session>,
    ) -> Result<(), EngineError> {
        failpoint::pass("in_place.locked");
        let place = beside.place.clone();
        self.check_counted(plan, beside, &self.server(&place)).await?;
        beside.journaled.set(Phase::Replacing)?;
        failpoint::pass("in_place.journaled");
        target.batch("BEGIN").await?;
        carry(&self.ledger, run.session.as_mut(), target.as_mut()).await?;
        let end = self.end_sql(run, plan, plan.rows());
        target.batch(&format!("{end}; COMMIT")).await?;
        // No database is renamed while somebody is connected to it.
        drop(target);
        failpoint::pass("in_place.prepared");
        if plan.stop.is_set() {
            return Err(EngineError::Stopped);
        }
        Ok(())
    }

    /// Makes sure that what would be lost is what was counted. Nobody writes by now.
    async fn check_counted(
        &self,
        plan: &InPlacePlan,
        beside: &Beside,
        side: &ServerSide<'_>,
    ) -> Result<(), EngineError> {
        let Some(copied) = &beside.copied else {
            let lost = self.lost_in(&beside.name, beside, &plan.apart).await?;
            return plan.check_lost(&lost);
        };
        let names = side.unlike(copied, &plan.apart).await?;
        if names.is_empty() {
            return Ok(());
        }
        let message = format!(
            "`{}` was written after the rows that would be lost were counted; nothing was done, \
             look again",
            names.join("`, `")
        );
        Err(EngineError::Refused(message))
    }

    /// Whether a database of this name is there.
    async fn is_kept(&self, name: &str) -> Result<bool, EngineError> {
        let place = self.own_place();
        let mut session = self.server(&place).administration().await?;
        Ok(self.size_of(session.as_mut(), name).await?.is_some())
    }

    /// Bytes of a database of the server; nothing when it is not there.
    pub(in crate::project) async fn size_of(
        &self,
        session: &mut dyn Session,
        name: &str,
    ) -> Result<Option<u64>, EngineError> {
        let name = self.ledger.quote(name);
        let sql = match self.dialect() {
            Dialect::Mysql => {
                let there =
                    format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = {name}");
                if session.query(&there).await?.is_empty() {
                    return Ok(None);
                }
                // With the name as a literal, so that no other database is looked into.
                format!(
                    "SELECT COALESCE(SUM(data_length + index_length), 0) \
                     FROM information_schema.tables WHERE table_schema = {name}"
                )
            }
            _ => format!(
                "SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database \
                 WHERE datname = {name}"
            ),
        };
        let rows = session.query(&sql).await?;
        let bytes = |row: &crate::backend::Row| crate::ledger::text(row, 0).parse().unwrap_or(0);
        Ok(rows.first().map(bytes))
    }
}

/// Refuses a backup that holds only a part: in its place the rest would be gone.
fn check_whole(archive: &Archive, options: &RestoreOptions) -> Result<(), EngineError> {
    let contents = archive.open(&options.with)?;
    let asked = contents.left_out.iter().find(|one| one.ends_with(AS_ASKED));
    if !contents.partial && asked.is_none() {
        return Ok(());
    }
    let message = format!(
        "`{}` does not hold all of the database ({}), and so cannot take its place; restore it \
         into a new one with `--to`",
        archive.manifest.id,
        asked.map_or("rows of some tables only", String::as_str)
    );
    Err(EngineError::Refused(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_are_short_enough_and_lead_to_the_copy() {
        assert_eq!(beside("app", RESTORING, "0a1b2c3d"), "app_restoring_0a1b2c3d");
        let long = beside(&"ä".repeat(31), BEFORE, "0a1b2c3d");
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("ä_before_0a1b2c3d"), "{long}");
        assert_eq!(copy_of("a_restoring_b_restoring_01"), "a_restoring_b_copy_01");
    }
}
