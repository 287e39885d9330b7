//! A restore in place on MariaDB: the tables change places with those of the database beside.

use whimbrel_core::backup::RestoreJournal;
use whimbrel_core::sql::dialect::Dialect;

use super::InPlacePlan;
use super::server::Beside;
use crate::backend::Session;
use crate::backup::{
    Archive, BackupPlace, Exchange, RestoreOptions, away, refuse_exchange, replacing,
};
use crate::error::EngineError;
use crate::failpoint;
use crate::project::Project;
use crate::project::up::Run;

impl Beside {
    pub(super) fn exchange(&self) -> Exchange<'_> {
        Exchange { name: &self.name, kept: &self.kept, made: &self.made }
    }
}

impl Project {
    /// Refuses what is known not to go, before anything is made.
    pub(super) async fn refuse_on_mariadb(
        &self,
        session: &mut dyn Session,
        archive: &Archive,
        place: &BackupPlace,
        options: &RestoreOptions,
    ) -> Result<(), EngineError> {
        if let Some(id) = replacing(session).await? {
            // What dead processes of this folder have left was put in order just before.
            return Err(away(&id));
        }
        refuse_exchange(session).await?;
        self.server(place).refuse_events(archive, &options.with).await
    }

    /// Lets the tables change places. After an error the old ones are in their places, unless
    /// [`replacing`] says something else.
    pub(super) async fn exchange_with_lease(
        &self,
        run: &mut Run,
        plan: &InPlacePlan,
        beside: &mut Beside,
    ) -> Result<(), EngineError> {
        let target = self.begin_beside(&run.lease.run_id, beside).await?;
        run.lease.quiet().await;
        run.lease.fence(run.session.as_mut()).await?;
        let closed = beside.exchange().close(run.session.as_mut(), &plan.manifest.id).await;
        let changed = match closed {
            Ok(()) => self.change_places(run, plan, beside, target).await,
            Err(error) => Err(error),
        };
        if let Err(error) = changed
            && !self.was_replaced(run.session.as_mut(), &run.lease.run_id).await?
        {
            beside.exchange().open(run.session.as_mut(), false).await?;
            return Err(error);
        }
        failpoint::pass("in_place.exchanged");
        beside.exchange().open(run.session.as_mut(), true).await
    }

    async fn change_places(
        &self,
        run: &mut Run,
        plan: &InPlacePlan,
        beside: &mut Beside,
        target: Box<dyn Session>,
    ) -> Result<(), EngineError> {
        self.end_beside(run, plan, beside, target).await?;
        beside.exchange().swap(run.session.as_mut()).await
    }

    /// Goes on with a restore that was interrupted while the tables were away, or takes it back.
    pub(super) async fn open_again(
        &self,
        journal: &RestoreJournal,
        replaced: bool,
    ) -> Result<(), EngineError> {
        if self.dialect() != Dialect::Mysql {
            return Ok(());
        }
        let mut session = self.connect().await?;
        if replacing(session.as_mut()).await?.as_ref() != Some(&journal.backup) {
            return Ok(());
        }
        let name = session.facts().await?.database;
        let mut made = journal.made.clone();
        for other in self.restores_here()? {
            if journal.takes_back.as_ref() == Some(&other.journal.run_id) {
                made.clone_from(&other.journal.kept_as);
            }
        }
        let exchange = Exchange { name: &name, kept: &journal.kept_as, made: &made };
        exchange.open(session.as_mut(), replaced).await
    }
}
