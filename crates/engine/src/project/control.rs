//! `run`: looking at a run in progress and telling it what to do; the batches that runs did.

use super::Project;
use crate::backend::Session;
use crate::error::EngineError;
use crate::lease::{self, LeaseInfo};
use crate::ledger::{now_ms, number, text};

/// What somebody wants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It waits after the batch in progress.
    Pause,
    /// It goes on.
    Resume,
    /// It ends after the batch in progress; a later `up` goes on.
    Cancel,
}

impl Wish {
    /// The verb, as written.
    pub fn word(self) -> &'static str {
        match self {
            Wish::Pause => "pause",
            Wish::Resume => "resume",
            Wish::Cancel => "cancel",
        }
    }

    /// As it stands in the ledger.
    fn wanted(self) -> &'static str {
        match self {
            Wish::Resume => "go",
            other => other.word(),
        }
    }
}

/// A run in progress.
#[derive(Clone, Debug)]
pub struct CurrentRun {
    /// Who is at it, since when and how far.
    pub lease: LeaseInfo,
    /// What was asked of it last (`pause`, `cancel`, `go`) and by whom; nothing if nobody did.
    pub wanted: Option<(String, String)>,
}

/// One batch of a data migration, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// `up`, or `undo` for the way back.
    pub direction: String,
    /// The statement, from 1.
    pub statement: usize,
    /// The batch, from 1.
    pub number: u64,
    /// Driving rows.
    pub rows_read: u64,
    /// Rows changed, deleted or inserted.
    pub rows_written: u64,
    /// Driving rows set aside.
    pub rows_quarantined: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// When it was committed, in milliseconds since 1970 by the server's clock.
    pub at_ms: i64,
    /// The run that did it.
    pub run_id: String,
}

impl Project {
    /// The run in progress; none if there is none. Changes nothing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn current_run(&self) -> Result<Option<CurrentRun>, EngineError> {
        let Some(mut session) = self.connect_to_read().await? else { return Ok(None) };
        if !self.has_batches(session.as_mut()).await? {
            return Ok(None);
        }
        self.run_of(session.as_mut()).await
    }

    /// Tells the run in progress what to do. It hears of it after the batch in progress.
    ///
    /// # Errors
    /// When there is no run, or the ledger cannot be written.
    pub async fn tell_run(&self, wish: Wish) -> Result<CurrentRun, EngineError> {
        let none = || EngineError::NotFound("No run is in progress".to_owned());
        let mut session = self.connect_to_read().await?.ok_or_else(none)?;
        if !self.has_batches(session.as_mut()).await? {
            return Err(none());
        }
        let run = self.run_of(session.as_mut()).await?.ok_or_else(none)?;
        let (run_id, actor) = (&run.lease.run_id, &self.owner.actor);
        let control = format!(
            "UPDATE {} SET run_id = {}, wanted = '{}', actor = {}, at_ms = {} WHERE id = 1",
            self.ledger.table("control"),
            self.ledger.quote(run_id),
            wish.wanted(),
            self.ledger.quote(actor),
            now_ms(self.ledger.dialect)
        );
        let audit = format!(
            "INSERT INTO {} (run_id, actor, action, detail, at_ms, token) \
             VALUES ({}, {}, '{}', '{{}}', {}, (SELECT token FROM {} WHERE id = 1))",
            self.ledger.table("audit"),
            self.ledger.quote(run_id),
            self.ledger.quote(actor),
            wish.word(),
            now_ms(self.ledger.dialect),
            self.ledger.table("lease")
        );
        let begin = self.ledger.begin();
        session.batch(begin).await?;
        session.batch(&format!("{control}; {audit}; COMMIT")).await?;
        Ok(run)
    }

    async fn run_of(&self, session: &mut dyn Session) -> Result<Option<CurrentRun>, EngineError> {
        let lease = lease::read(&self.ledger, session).await?;
        let alive = |info: &LeaseInfo| info.left_ms > 0 && !self.owner.knows_dead(&info.owner);
        let Some(lease) = lease.filter(alive) else { return Ok(None) };
        let sql = format!(
            "SELECT wanted, actor FROM {} WHERE id = 1 AND run_id = {}",
            self.ledger.table("control"),
            self.ledger.quote(&lease.run_id)
        );
        let rows = session.query(&sql).await?;
        let wanted = rows.first().map(|row| (text(row, 0), text(row, 1)));
        Ok(Some(CurrentRun { lease, wanted }))
    }

    /// Whether the ledger knows of batches.
    pub(super) async fn has_batches(&self, session: &mut dyn Session) -> Result<bool, EngineError> {
        let identity = self.ledger.identity(session).await?;
        Ok(identity.is_some_and(|identity| identity.has_batches()))
    }

    /// The batches of the data migration that the user calls `version`, in their order.
    ///
    /// # Errors
    /// When there is no such migration, or the database cannot be read.
    pub async fn batches(&self, version: &str) -> Result<Vec<BatchLine>, EngineError> {
        let name = self.name_of(Some(version))?.unwrap_or_default();
        let Some(mut session) = self.connect_to_read().await? else { return Ok(Vec::new()) };
        if !self.has_batches(session.as_mut()).await? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT direction, statement_index, number, rows_read, rows_written, \
             rows_quarantined, duration_ms, at_ms, run_id FROM {} WHERE migration = {} ORDER BY seq",
            self.ledger.table("batches"),
            self.ledger.quote(&name)
        );
        let rows = session.query(&sql).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let count = |index| u64::try_from(number(row, index)).unwrap_or(0);
                BatchLine {
                    direction: text(row, 0),
                    statement: usize::try_from(number(row, 1)).unwrap_or(0) + 1,
                    number: count(2),
                    rows_read: count(3),
                    rows_written: count(4),
                    rows_quarantined: count(5),
                    duration_ms: count(6),
                    at_ms: number(row, 7),
                    run_id: text(row, 8),
                }
            })
            .collect())
    }
}
