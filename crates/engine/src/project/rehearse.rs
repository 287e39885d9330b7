//! Trying out pending data migrations: nothing of it stays.

use std::sync::{Arc, Mutex, PoisonError};

use whimbrel_core::migration::Kind;

use super::up::Run;
use super::{Project, RunOptions, Selection};
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::lease::Lease;
use crate::report::Rehearsed;

/// Most refused rows of one migration that are put into words.
const BAD_SHOWN_MAX: usize = 10;

/// What came of trying one pending data migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// File name.
    pub migration: String,
    /// Why it was not tried, if it was not.
    pub skipped: Option<String>,
    /// Its statements.
    pub statements: Vec<Rehearsed>,
}

impl Project {
    /// Tries the pending data migrations on real rows: the first `sample` driving rows of each
    /// statement, or all. Each migration is tried on the database as it is now, and rolled back.
    /// PostgreSQL's sequences and MariaDB's AUTO_INCREMENT keep the numbers that were drawn.
    ///
    /// # Errors
    /// When the database cannot be read; what the migrations run into is part of the answer.
    pub async fn rehearse(
        &self,
        selection: &Selection,
        sample: Option<u64>,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<Rehearsal>, EngineError> {
        let Some(mut session) = self.connect_to_read().await? else { return Ok(Vec::new()) };
        let picture = self.picture(Some(&mut session)).await?;
        Self::check_files(&picture.files)?;
        self.check_environment(&picture)?;
        let plan = self.choose(&picture, selection)?;
        if plan.first().is_some_and(|first| first.kind == Kind::Data) {
            self.refuse_open_file().await?;
        }
        let has_ledger = self.has_batches(session.as_mut()).await?;
        let mut apply = self.apply_options(options);
        apply.rules = self.rule_texts(&plan)?;
        let lease = Lease::none(self.ledger);
        let (outcome, detail) = ("done", String::new());
        let mut run = Run { session, lease, verb: "up", outcome, fresh: false, detail };
        let mut out = Vec::new();
        let mut waits = !has_ledger;
        for migration in &plan {
            if migration.kind == Kind::Schema {
                waits = true;
                continue;
            }
            let mut one = Rehearsal { migration: migration.name.clone(), ..Rehearsal::default() };
            if waits {
                let why = "schema migrations before it are pending";
                one.skipped = Some(why.to_owned());
                out.push(one);
                continue;
            }
            let bad = Bad::default();
            let mut listener = Listener { inner: events, bad: Arc::clone(&bad) };
            let mut applier = self.applier(&mut run, &apply, &mut listener);
            one.statements = applier.rehearse(migration, sample).await?;
            for (statement, reason) in bad.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if let Some(found) = one.statements.iter_mut().find(|one| one.table == *statement)
                    && found.bad.len() < BAD_SHOWN_MAX
                {
                    found.bad.push(reason.clone());
                }
            }
            out.push(one);
        }
        Ok(out)
    }
}

/// Driving table and words of each refused row.
type Bad = Arc<Mutex<Vec<(String, String)>>>;

/// Takes note of refused rows and lets progress through; nothing else has happened for good.
struct Listener<'a> {
    inner: &'a mut dyn Events,
    bad: Bad,
}

impl Events for Listener<'_> {
    fn send(&mut self, event: Event) {
        match event {
            Event::Quarantined { table, key, reason, .. } => {
                let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
                if bad.len() < BAD_SHOWN_MAX {
                    bad.push((table, format!("{key}: {reason}")));
                }
            }
            event @ (Event::Judging { .. } | Event::Held { .. } | Event::Released { .. }) => {
                self.inner.send(event);
            }
            _ => {}
        }
    }
}
