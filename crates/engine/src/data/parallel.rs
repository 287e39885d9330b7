//! `parallel=`: which statements may have several connections, and how these go through the parts
//! of the key range.

use std::collections::VecDeque;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use whimbrel_core::data::{self, Batchable, Conflict, DataKind, FunctionFacts, Note, Volatility};
use whimbrel_core::ddl::ObjectName;
use whimbrel_core::directive::BatchSettings;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{TokenKind, ident_value, lex};
use whimbrel_core::step::StepMode;

use super::cursor::Cursor;
use super::job::{Job, said};
use super::sources::Sources;
use crate::apply::{Applier, ApplyOptions, StepWork, StopFlag, Tools};
use crate::backend::{Backend, DbError, DbErrorKind, Session};
use crate::error::EngineError;
use crate::event::{Event, Events, Sender};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::threads::can_wait;

/// How often who listens to the workers looks whether the run shall stop.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// What decides whether the batches of a statement may run side by side.
pub(super) struct Case<'a> {
    pub(super) migration: &'a PlannedMigration,
    pub(super) statement: usize,
    pub(super) dialect: Dialect,
    pub(super) snapshot: &'a Snapshot,
    pub(super) functions: &'a std::collections::BTreeMap<String, FunctionFacts>,
}

impl Case<'_> {
    /// How many connections go through the rows of a statement; what the plan should say of it
    /// becomes one of the statement's notes.
    pub(super) fn workers(&self, said: &BatchSettings, batchable: &mut Batchable) -> usize {
        let why = self.alone(said, batchable);
        workers(said, batchable, why)
    }

    /// Why a statement's batches must come one after the other; none where their order is known
    /// not to matter.
    fn alone(&self, said: &BatchSettings, batchable: &Batchable) -> Option<String> {
        let target = &batchable.target;
        if self.dialect == Dialect::Sqlite {
            return Some("on SQLite one connection writes at a time".to_owned());
        }
        if said.materialize == Some(true) {
            return Some("with `materialize=true` one connection applies the rows".to_owned());
        }
        if said.allow.is_some() || said.self_read_stable.is_some() {
            let why = "with `allow=` or `self-read=` the order of the batches may matter";
            return Some(why.to_owned());
        }
        if batchable.kind != DataKind::Insert && !batchable.driving_is_target {
            return Some(format!("several rows of `{}` may change one row", batchable.driving));
        }
        if batchable.conflict() != Conflict::None {
            return Some("which of two rows with one key comes first matters".to_owned());
        }
        let triggers = &self.snapshot.triggers;
        if let Some(one) = triggers.iter().find(|one| one.table.matches(target, self.dialect)) {
            return Some(format!("the trigger `{}` may read what other batches write", one.name));
        }
        let reads =
            |one: &FunctionFacts| one.reads_tables && one.volatility != Volatility::Immutable;
        let unknown = batchable.notes.iter().any(|note| note.code == "unknown-function");
        if unknown || self.functions.values().any(reads) {
            return Some("a function of it may read what other batches write".to_owned());
        }
        if self.reads_target(batchable) {
            return Some(format!("it reads `{target}`, which other batches write"));
        }
        self.rows_depend(batchable).or_else(|| self.after_others(batchable))
    }

    /// Whether the statement names its target once more, or a view.
    fn reads_target(&self, batchable: &Batchable) -> bool {
        let sql = batchable.restricted("1 = 1");
        let tokens = lex(&sql, self.dialect);
        let names = tokens.iter().enumerate().filter(|(at, token)| {
            let qualifies = tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Dot);
            !qualifies
                && ident_value(token.text(&sql), self.dialect)
                    .eq_ignore_ascii_case(&batchable.target.name)
        });
        let views = &self.snapshot.views;
        let is_view =
            |name: &ObjectName| views.iter().any(|view| view.name.matches(name, self.dialect));
        names.count() > 1
            || data::mentions(&sql, self.dialect)
                .map_or(true, |found| found.relations.iter().any(is_view))
    }

    /// Why a row of the target can be written only after another: in key order all may be well.
    fn rows_depend(&self, batchable: &Batchable) -> Option<String> {
        let target = &batchable.target;
        let table = self.snapshot.table(target, self.dialect)?;
        if table.foreign_keys.iter().any(|key| key.to_table.matches(target, self.dialect)) {
            return Some(format!("rows of `{target}` refer to each other"));
        }
        if batchable.kind != DataKind::Update {
            return None;
        }
        // A name that is no column is an expression, which may have anything in it.
        let stays = |name: &String| {
            let column = table.columns.iter().find(|column| column.name == *name);
            column.is_some_and(|column| column.generated.is_none())
                && !batchable.written.iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        let unique = table.indexes.iter().filter(|index| index.unique).map(|one| &one.columns);
        let mut keys = unique.chain(table.uniques.iter().map(|one| &one.columns));
        let changes = keys.any(|columns| !columns.iter().all(stays));
        changes.then(|| format!("rows may take over unique values of `{target}` from each other"))
    }

    /// Statements before it may have set something for their connection, and on MariaDB the note
    /// of rows that produced nothing so far is locked whole by whoever takes a row from it.
    fn after_others(&self, batchable: &Batchable) -> Option<String> {
        let script = &self.migration.script;
        let mut before = script.steps.iter().filter(|one| one.statements.start < self.statement);
        if before.clone().any(|step| step.mode != StepMode::Batches) {
            let why = "a statement before it may have set something for its connection";
            return Some(why.to_owned());
        }
        let shares = |index: usize| {
            let sql = script.statement(index);
            let inserts = data::writes(sql, self.dialect)
                .is_none_or(|writes| writes.kind == DataKind::Insert);
            let driving = &batchable.driving;
            inserts
                && data::mentions(sql, self.dialect).map_or(true, |found| {
                    found.relations.iter().any(|name| name.matches(driving, self.dialect))
                })
        };
        let second = self.dialect == Dialect::Mysql
            && batchable.kind == DataKind::Insert
            && before.any(|step| shares(step.statements.start));
        second.then(|| format!("an INSERT before it reads `{}`, too", batchable.driving))
    }
}

/// How many connections a statement has that may have several unless there is a reason against it.
pub(super) fn workers(
    said: &BatchSettings,
    batchable: &mut Batchable,
    why: Option<String>,
) -> usize {
    let asked = said.parallel.unwrap_or(1);
    if asked < 2 {
        return 1;
    }
    let (code, message, workers) = match why {
        Some(why) => ("one-connection", format!("`parallel=` is 1 here: {why}"), 1),
        None => {
            let numbers = match batchable.kind {
                DataKind::Insert => "; numbers that the database gives do not follow the key",
                DataKind::Update | DataKind::Delete => "",
            };
            let message = format!(
                "The key range is cut into {asked} parts that {asked} connections go through at \
                 the same time{numbers}"
            );
            ("parallel", message, asked)
        }
    };
    batchable.notes.push(Note { code, message, span: 0..0 });
    workers
}

/// What the workers of a statement share.
struct Crew<'a> {
    backend: &'a dyn Backend,
    sources: &'a Sources,
    ledger: Ledger,
    actor: &'a str,
    /// Those of the run, with a stop of the crew's own.
    options: &'a ApplyOptions,
    position: (usize, usize),
    work: &'a StepWork<'a>,
    job: &'a Job,
    /// The parts that nobody has begun with.
    open: Mutex<VecDeque<Cursor>>,
    /// Held by the one that looks for what holds the run.
    turn: tokio::sync::Mutex<()>,
}

/// A connection of its own, and the run's lease.
type Member = (Box<dyn Session>, Lease);
/// How a worker ended, and who has cancelled the run.
type Ended = (Result<(), EngineError>, Option<String>);

impl Applier<'_> {
    /// Goes through the parts of a statement's key range that are not done, several at a time. The
    /// first worker that fails stops the others after their batch.
    ///
    /// # Errors
    /// What the first worker ran into; [`EngineError::Stopped`] when somebody asked for the end.
    pub(super) async fn run_parts(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        whole: &Cursor,
    ) -> Result<(), EngineError> {
        let ledger = self.ledger;
        let mut open = whole.open_parts(&ledger, self.session.as_mut()).await?;
        if open.is_empty() {
            return Ok(());
        }
        for old in whole.part_sessions(&ledger, self.session.as_mut()).await? {
            if !self.session.end_session(&old).await? {
                let busy = "A connection that worked on a part is still busy";
                return Err(DbError::new(DbErrorKind::Connection, busy).into());
            }
        }
        let count = job.workers.min(open.len());
        if count < 2 || !can_wait() {
            for part in &mut open {
                self.run_range(work, job, part, None).await?;
            }
            return Ok(());
        }
        let members = self.members(&open, count).await?;
        let stop = StopFlag::default();
        let options = ApplyOptions { stop: stop.clone(), ..self.options.clone() };
        let crew = Crew {
            backend: self.backend,
            sources: self.sources,
            ledger,
            actor: self.actor,
            options: &options,
            position: self.position,
            work,
            job,
            open: Mutex::new(open.into()),
            turn: tokio::sync::Mutex::new(()),
        };
        let (ended, moved) = crew.all(members, &self.options.stop, &mut *self.events);
        if moved {
            self.reconnects = 0;
        }
        self.outcome(ended)
    }

    /// Connects the workers. The ledger knows their connections before they lock anything.
    async fn members(&mut self, open: &[Cursor], count: usize) -> Result<Vec<Member>, EngineError> {
        let (mut members, mut rows) = (Vec::new(), Vec::new());
        for part in open.iter().take(count) {
            let mut session = self.backend.connect().await?;
            let name = session.facts().await?.session.unwrap_or_default();
            rows.push(part.session_sql(&self.ledger, &name, self.lease.token));
            members.push((session, self.lease.share(name)));
        }
        self.write_rows(&rows).await?;
        Ok(members)
    }

    /// What became of all workers: the error of the one that stopped the others.
    fn outcome(&mut self, ended: Vec<Ended>) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        for (result, cancelled_by) in ended {
            if cancelled_by.is_some() {
                self.report.cancelled_by = cancelled_by;
            }
            if matches!(outcome, Ok(()) | Err(EngineError::Stopped)) && result.is_err() {
                outcome = result;
            }
        }
        outcome
    }
}

impl Crew<'_> {
    /// Lets all members work until they have ended, each in a thread. Says also whether any batch
    /// was done.
    fn all(
        &self,
        members: Vec<Member>,
        asked: &StopFlag,
        events: &mut dyn Events,
    ) -> (Vec<Ended>, bool) {
        let handle = Handle::current();
        let (send, receive) = mpsc::channel();
        tokio::task::block_in_place(|| {
            thread::scope(|scope| {
                let mut threads = Vec::new();
                for member in members {
                    let (sender, handle) = (Sender(send.clone()), handle.clone());
                    threads.push(scope.spawn(move || handle.block_on(self.work(member, sender))));
                }
                drop(send);
                let moved = self.listen(&receive, asked, events);
                let stopped = "A thread of `parallel=` ended by itself";
                let ended = threads.into_iter().map(|one| {
                    let nothing = |_| (Err(EngineError::Refused(stopped.to_owned())), None);
                    one.join().unwrap_or_else(nothing)
                });
                (ended.collect(), moved)
            })
        })
    }

    /// Passes on what the workers say until the last one has ended, and a stop to them.
    fn listen(
        &self,
        receive: &mpsc::Receiver<Event>,
        asked: &StopFlag,
        events: &mut dyn Events,
    ) -> bool {
        let mut batches = 0;
        loop {
            if asked.is_set() {
                self.options.stop.stop();
            }
            match receive.recv_timeout(STOP_LOOK) {
                // Another worker was quicker to say a later one.
                Ok(Event::Batch(batch)) if batch.batches < batches => {}
                Ok(event) => {
                    if let Event::Batch(batch) = &event {
                        batches = batch.batches;
                    }
                    events.send(event);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return batches > 0,
            }
        }
    }

    /// One worker: a part after the other.
    async fn work(&self, (mut session, mut lease): Member, mut events: Sender) -> Ended {
        let tools = Tools {
            backend: self.backend,
            session: &mut session,
            ledger: self.ledger,
            lease: &mut lease,
            actor: self.actor,
            options: self.options,
            events: &mut events,
            sources: self.sources,
        };
        let mut applier = Applier { position: self.position, ..Applier::new(tools) };
        let result = self.parts(&mut applier).await;
        if result.is_err() {
            self.options.stop.stop();
            crate::ledger::rollback(applier.session.as_mut()).await;
        }
        (result, applier.report.cancelled_by)
    }

    async fn parts(&self, applier: &mut Applier<'_>) -> Result<(), EngineError> {
        applier.open_temporary(self.job).await?;
        let next = || self.open.lock().ok().and_then(|mut open| open.pop_front());
        while let Some(mut part) = next() {
            applier.run_range(self.work, self.job, &mut part, Some(&self.turn)).await?;
        }
        Ok(())
    }
}

/// Of a statement whose rows come from another database.
pub(super) const BETWEEN: &str = "with `source=` one connection reads the rows";

/// What `until=no-rows` says where several connections were asked for.
pub(crate) fn until_note(migration: &PlannedMigration, index: usize) -> Option<&'static str> {
    (said(migration, index).parallel.unwrap_or(1) > 1)
        .then_some("`parallel=` is 1 here: with `until=no-rows` there is no key range")
}
