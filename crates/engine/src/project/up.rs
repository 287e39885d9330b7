//! `up`: apply what is pending.

use whimbrel_core::compare::{Compared, State};
use whimbrel_core::ledger::{Direction, MigrationEvent};
use whimbrel_core::plan::PlannedMigration;

use super::load::Picture;
use super::requires;
use super::{Project, RunOptions, Selection};
use crate::apply::{Applier, ApplyOptions, Tools, lost_connection};
use crate::backend::Session;
use crate::data::signals::unmeasurable;
use crate::error::{EngineError, Problem};
use crate::event::{Event, Events};
use crate::lease::{self, Claim, Lease};
use crate::ledger::MigrationEntry;
use crate::report::RunReport;
use crate::tables;

/// A run that holds the lease.
pub(super) struct Run {
    pub(super) session: Box<dyn Session>,
    pub(super) lease: Lease,
    pub(super) verb: &'static str,
    /// How it ends, unless it fails.
    pub(super) outcome: &'static str,
    /// The database had no table of the user's when the run began.
    pub(super) fresh: bool,
    /// What its last row says, unless it fails.
    pub(super) detail: String,
}

impl Project {
    /// Applies pending migrations and stops at the first that fails.
    ///
    /// # Errors
    /// The first failure; what was finished before it stays, and is said in the error.
    pub async fn up(
        &self,
        selection: &Selection,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RunReport, EngineError> {
        // Nothing to do is the most frequent answer, and it needs neither lease nor ledger.
        if self.is_up_to_date(selection).await? {
            return Ok(RunReport::default());
        }
        #[cfg(feature = "sqlite")]
        if let Some(backup) = &options.backup {
            backup.check()?;
        }
        let mut run = self.begin("up", options, events).await?;
        let result = self.up_with_lease(&mut run, selection, options, events).await;
        self.end(run, result).await
    }

    async fn is_up_to_date(&self, selection: &Selection) -> Result<bool, EngineError> {
        let Some(mut session) = self.connect_to_read().await? else {
            let files = self.read_files()?;
            return Ok(files.directory.migrations.is_empty() && files.issues.is_empty());
        };
        #[cfg(feature = "sqlite")]
        self.refuse_restoring(session.as_mut()).await?;
        let picture = self.picture(Some(&mut session)).await?;
        Self::check_files(&picture.files)?;
        self.check_environment(&picture)?;
        if picture.identity.is_none() {
            return Ok(false);
        }
        let chosen = self.choose(&picture, selection)?;
        let mirrored = self.mirror.is_none() || !self.needs_reconciling(&picture);
        Ok(chosen.is_empty() && mirrored)
    }

    async fn up_with_lease(
        &self,
        run: &mut Run,
        selection: &Selection,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RunReport, EngineError> {
        let mut picture = self.picture(Some(&mut run.session)).await?;
        Self::check_files(&picture.files)?;
        self.check_environment(&picture)?;
        self.reconcile(run, &mut picture, events).await?;
        let plan = self.choose(&picture, selection)?;
        self.check_parents(&plan, &picture, Some(&mut run.session)).await?;
        self.check_required_now(&plan, run.session.as_mut()).await?;
        self.check_pooled(&plan, run.session.as_mut()).await?;
        self.check_sources(&plan).await?;
        if let Some(message) = unmeasurable(&self.options.throttle, self.ledger.dialect) {
            return Err(EngineError::Refused(message));
        }
        let mut apply = self.apply_options(options);
        apply.rules = self.rule_texts(&plan)?;
        let fresh = run.fresh;
        let mut report = RunReport { run_id: run.lease.run_id.clone(), ..RunReport::default() };
        #[cfg(feature = "sqlite")]
        if let (Some(backup), false) = (&options.backup, plan.is_empty()) {
            report.backup = self.back_up_before(run, backup, events).await?;
        }
        for part in requires::parts(&plan) {
            if let Some(first) = part.first() {
                self.check_required(first, run.session.as_mut()).await?;
            }
            let mut applier = self.applier(run, &apply, events);
            let result = applier.up(part, &picture.ledger, fresh).await;
            report.add(applier.report);
            result?;
            if report.interrupted || report.paused_before.is_some() {
                break;
            }
        }
        if report.interrupted {
            run.outcome = "interrupted";
        }
        Ok(report)
    }

    pub(super) fn applier<'a>(
        &'a self,
        run: &'a mut Run,
        options: &'a ApplyOptions,
        events: &'a mut dyn Events,
    ) -> Applier<'a> {
        let tools = Tools {
            backend: self.backend.as_ref(),
            session: &mut run.session,
            ledger: self.ledger,
            lease: &mut run.lease,
            actor: &self.owner.actor,
            options,
            events,
            sources: &self.sources,
        };
        Applier { mirror: self.mirror.as_ref(), ..Applier::new(tools) }
    }

    pub(super) fn apply_options(&self, options: &RunOptions) -> ApplyOptions {
        ApplyOptions {
            group: options.group,
            lock_timeout_ms: self.options.lock_timeout_ms,
            statement_timeout_ms: self.options.statement_timeout_ms,
            keep_bytes_max: self.options.keep_bytes_max,
            rules: Vec::new(),
            stop: options.stop.clone(),
            ask_between: options.ask_between,
            retries: self.options.retries,
            throttle: self.options.throttle.clone(),
            root: self.options.root.clone(),
            agreed: None,
        }
    }

    /// Connects, refuses a database whose history is not known, makes the ledger and takes the
    /// lease.
    pub(super) async fn begin(
        &self,
        verb: &'static str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Run, EngineError> {
        self.begin_saying(verb, "", options, events).await
    }

    /// The same; `detail` says in the run's first row what was asked.
    pub(super) async fn begin_saying(
        &self,
        verb: &'static str,
        detail: &str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Run, EngineError> {
        let files = self.read_files()?;
        Self::check_files(&files)?;
        self.refuse_open_file().await?;
        let mut session = self.connect().await?;
        #[cfg(feature = "sqlite")]
        self.refuse_restoring(session.as_mut()).await?;
        let known = self.ledger.identity(session.as_mut()).await?.is_some();
        let other = self.other_tables();
        let dialect = self.ledger.dialect;
        let found = tables::user_tables(session.as_mut(), dialect, other.as_deref()).await?;
        if !known && verb != "baseline" && !found.is_empty() {
            let foreign = match &self.mirror {
                Some(mirror) => mirror.read(session.as_mut()).await?,
                None => Vec::new(),
            };
            if foreign.is_empty() {
                return Err(EngineError::NoHistory { tables: found });
            }
        }
        self.hold(session, (verb, detail), found.is_empty(), options, events).await
    }

    /// Makes the ledger, or brings it up to date, takes the lease, and writes that the run begins.
    pub(super) async fn hold(
        &self,
        mut session: Box<dyn Session>,
        (verb, detail): (&'static str, &str),
        fresh: bool,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Run, EngineError> {
        self.ledger.ensure(session.as_mut(), &self.options.environment).await?;
        let claim = Claim { owner: &self.owner, verb, wait: options.wait };
        let backend = self.backend.as_ref();
        let lease = lease::acquire(self.ledger, backend, session.as_mut(), &claim, events).await?;
        let outcome = "done";
        let mut run = Run { session, lease, verb, outcome, fresh, detail: String::new() };
        match self.run_row(&mut run, "start", None, detail).await {
            Ok(()) => Ok(run),
            Err(error) => self.end(run, Err(error)).await,
        }
    }

    /// Writes how the run ended and gives the lease back, whatever happened.
    pub(super) async fn end<T>(
        &self,
        mut run: Run,
        mut result: Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if let Err(error) = &result
            && lost_connection(error).is_some()
            && self.is_taken_over(&mut run).await
        {
            result = Err(EngineError::LeaseLost);
        }
        let (outcome, detail) = match &result {
            Ok(_) => (run.outcome, std::mem::take(&mut run.detail)),
            Err(EngineError::LeaseLost) => return result,
            Err(EngineError::NeedsDecision(_)) => ("needs-decision", String::new()),
            Err(error) => ("failed", error.to_string()),
        };
        let written = self.run_row(&mut run, "end", Some(outcome), &detail).await;
        let released = run.lease.release(run.session.as_mut()).await;
        let value = result?;
        written.and(released)?;
        Ok(value)
    }

    pub(super) fn check_environment(&self, picture: &Picture) -> Result<(), EngineError> {
        let Some(identity) = &picture.identity else { return Ok(()) };
        let (found, asked) = (&identity.environment, &self.options.environment);
        if !found.is_empty() && !asked.is_empty() && found != asked {
            return Err(EngineError::WrongEnvironment {
                found: found.clone(),
                asked: asked.clone(),
            });
        }
        Ok(())
    }

    /// The pending migrations that were asked for, understood, in their order.
    pub(super) fn choose(
        &self,
        picture: &Picture,
        selection: &Selection,
    ) -> Result<Vec<PlannedMigration>, EngineError> {
        check_changed(&picture.compared, &picture.files.directory.layout.migrations)?;
        let last = match &selection.to {
            Some(version) => Some(self.position_of(picture, version)?),
            None => None,
        };
        let mut plan = Vec::new();
        let mut problems = Vec::new();
        for (index, one) in picture.compared.iter().enumerate() {
            if last.is_some_and(|last| index > last) || selection.steps == Some(plan.len()) {
                break;
            }
            if one.state.is_applied() {
                continue;
            }
            let Some(migration) = picture.files.directory.get(&one.name) else { continue };
            match self.plan_up(migration) {
                Ok(planned) => plan.push(planned),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(EngineError::Files(problems));
        }
        if !selection.out_of_order {
            self.check_order(picture, &plan)?;
        }
        Ok(plan)
    }

    /// Where the migration that the user calls `version` stands in the order.
    pub(super) fn position_of(
        &self,
        picture: &Picture,
        version: &str,
    ) -> Result<usize, EngineError> {
        let found = picture.files.directory.find(version);
        let name = match found.as_slice() {
            [one] => one.id.file_name.as_str(),
            [] => {
                let message = format!("There is no migration `{version}`");
                return Err(EngineError::NotFound(message));
            }
            many => match many.last() {
                Some(last) => last.id.file_name.as_str(),
                None => "",
            },
        };
        Ok(picture.compared.iter().position(|one| one.name == name).unwrap_or(0))
    }

    fn needs_reconciling(&self, picture: &Picture) -> bool {
        let (take_over, write) = self.differences(picture);
        !take_over.is_empty() || !write.is_empty()
    }

    /// File names that only the other tool has applied, and those that only we have.
    fn differences(&self, picture: &Picture) -> (Vec<String>, Vec<String>) {
        let (mut take_over, mut write) = (Vec::new(), Vec::new());
        let Some(mirror) = &self.mirror else { return (take_over, write) };
        for migration in &picture.files.directory.migrations {
            if migration.id.kind == whimbrel_core::migration::Kind::Data {
                continue;
            }
            let version = migration.id.version();
            let name = &migration.id.file_name;
            let theirs = picture.foreign.iter().any(|key| key == mirror.key(name, &version));
            match (theirs, picture.ledger.is_applied(name)) {
                (true, false) => take_over.push(name.clone()),
                (false, true) => write.push(name.clone()),
                _ => {}
            }
        }
        (take_over, write)
    }

    /// Brings the other tool's history table and the ledger together, both ways.
    pub(super) async fn reconcile(
        &self,
        run: &mut Run,
        picture: &mut Picture,
        events: &mut dyn Events,
    ) -> Result<(), EngineError> {
        let Some(mirror) = &self.mirror else { return Ok(()) };
        let (taken_over, written) = self.differences(picture);
        let mut sql = mirror.create_sql();
        for name in &taken_over {
            sql.extend(self.adopt_sql(run, picture, name));
        }
        for name in &written {
            let version =
                picture.files.directory.get(name).map_or(String::new(), |one| one.id.version());
            sql.push(mirror.insert_sql(name, &version, &[]));
        }
        run.session.batch(self.ledger.begin()).await?;
        let result = async {
            run.lease.fence(run.session.as_mut()).await?;
            for statement in &sql {
                run.session.batch(statement).await?;
            }
            run.session.batch("COMMIT").await?;
            Ok::<(), EngineError>(())
        }
        .await;
        if let Err(error) = result {
            crate::ledger::rollback(run.session.as_mut()).await;
            return Err(error);
        }
        if taken_over.is_empty() && written.is_empty() {
            return Ok(());
        }
        events.send(Event::Reconciled { tool: mirror.tool(), taken_over, written });
        picture.ledger = self.ledger.read(run.session.as_mut()).await?;
        picture.foreign = mirror.read(run.session.as_mut()).await?;
        picture.compared = self.compare(&picture.files, &picture.ledger, &picture.foreign);
        Ok(())
    }

    fn adopt_sql(&self, run: &Run, picture: &Picture, name: &str) -> Option<String> {
        let migration = picture.files.directory.get(name)?;
        let facts = picture.files.facts.iter().find(|facts| facts.name == name)?;
        let tool = self.mirror.as_ref()?.tool();
        Some(self.ledger.migration_sql(&MigrationEntry {
            name,
            version: &migration.id.version(),
            kind: migration.id.kind.name(),
            event: MigrationEvent::Adopt,
            text_checksum: &facts.text_checksum,
            token_checksum: &facts.token_checksum,
            up_text: Some(&migration.up.text),
            down_text: migration.down.as_ref().map(|down| down.text.as_str()),
            run_id: &run.lease.run_id,
            actor: tool,
            duration_ms: 0,
            token: run.lease.token,
        }))
    }
}

/// A file whose code is not what ran must be decided about before anything else runs.
fn check_changed(compared: &[Compared], folder: &str) -> Result<(), EngineError> {
    let changed: Vec<Problem> = compared
        .iter()
        .filter_map(|one| match &one.state {
            State::AppliedChanged => Some(Problem {
                path: format!("{folder}/{}", one.name),
                place: None,
                message: format!("`{}` was changed after it was applied", one.name),
                hint: Some(
                    "Put the file back as it was and write a new migration for the change; if \
                     the database already has the change, run `whimbrel accept`"
                        .to_owned(),
                ),
            }),
            State::Partial { direction: Direction::Down, .. } => Some(Problem {
                path: format!("{folder}/{}", one.name),
                place: None,
                message: format!("`{}` is half taken back", one.name),
                hint: Some("Finish it with `whimbrel down` first".to_owned()),
            }),
            _ => None,
        })
        .collect();
    if changed.is_empty() { Ok(()) } else { Err(EngineError::Changed(changed)) }
}
