//! `down`: take migrations back, with the text that the ledger kept.

use whimbrel_core::ddl::{Change, ObjectName};
use whimbrel_core::ledger::Recorded;
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::PlannedMigration;

use super::load::{Picture, changes_of};
use super::purge::purged_of;
use super::up::Run;
use super::{Project, ProjectOptions, RunOptions};
use crate::backend::Session;
use crate::error::{EngineError, Problem};
use crate::event::Events;
use crate::report::RunReport;
use crate::tables::count_rows;

/// Something that a way back removes, with what is in it.
#[derive(Clone, Debug)]
pub struct Loss {
    /// File name of the migration.
    pub migration: String,
    /// `table chats`, `column users.nickname`, `rows of users`.
    pub what: String,
    /// How many rows hold something there, if that can be counted.
    pub rows: Option<u64>,
}

/// What `down` will do.
#[derive(Clone, Debug)]
pub struct DownPlan {
    /// The migrations, in the order in which they are taken back.
    pub migrations: Vec<String>,
    /// What will be lost.
    pub losses: Vec<Loss>,
    /// What must be typed, if something is lost.
    pub phrase: Option<String>,
    /// What the migrations had removed and does not come back, because it was purged.
    pub purged: Vec<String>,
    planned: Vec<PlannedMigration>,
}

/// Which migrations are taken back.
#[derive(Clone, Debug, Default)]
pub struct DownSelection {
    /// Back to this version, which stays; `0` takes all back.
    pub to: Option<String>,
    /// The last so many; one by default.
    pub steps: Option<usize>,
    /// The files' down texts are used in place of those that the ledger kept.
    pub from_file: bool,
}

impl Project {
    /// Says what `down` will take back and what will be lost by it. Changes nothing.
    ///
    /// # Errors
    /// When a migration has no way back, or its text cannot be read.
    pub async fn plan_down(&self, selection: &DownSelection) -> Result<DownPlan, EngineError> {
        let Some(mut session) = self.connect_to_read().await? else {
            return Ok(DownPlan {
                migrations: Vec::new(),
                losses: Vec::new(),
                phrase: None,
                purged: Vec::new(),
                planned: Vec::new(),
            });
        };
        let picture = self.picture(Some(&mut session)).await?;
        Self::check_files(&picture.files)?;
        self.check_environment(&picture)?;
        let planned = self.choose_down(&picture, session.as_mut(), selection).await?;
        self.check_pooled(&planned, session.as_mut()).await?;
        let (mut losses, mut purged) = (Vec::new(), Vec::new());
        for migration in &planned {
            self.losses(migration, session.as_mut(), &mut losses).await;
            purged.extend(purged_of(self, session.as_mut(), &migration.name).await?);
        }
        let phrase = phrase(&planned).map(|phrase| self.with_environment(phrase));
        let migrations = planned.iter().map(|one| one.name.clone()).collect();
        Ok(DownPlan { migrations, losses, phrase, purged, planned })
    }

    /// In a protected environment its name belongs to the phrase, so that what is typed for one
    /// database does nothing to another.
    pub(super) fn with_environment(&self, phrase: String) -> String {
        let ProjectOptions { protected, environment, .. } = &self.options;
        if *protected { format!("{phrase} IN {environment}") } else { phrase }
    }

    /// Takes back what `plan` says. `typed` is the phrase that the user typed, if one was asked.
    ///
    /// # Errors
    /// Without the phrase nothing is done; otherwise the first failure.
    pub async fn down(
        &self,
        plan: DownPlan,
        selection: &DownSelection,
        confirmed: bool,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RunReport, EngineError> {
        if let (Some(phrase), false) = (&plan.phrase, confirmed) {
            return Err(EngineError::NotConfirmed { phrase: phrase.clone() });
        }
        if plan.planned.is_empty() {
            return Ok(RunReport::default());
        }
        let mut run = self.begin("down", options, events).await?;
        let result = self.down_with_lease(&mut run, &plan, selection, options, events).await;
        self.end(run, result).await
    }

    async fn down_with_lease(
        &self,
        run: &mut Run,
        plan: &DownPlan,
        selection: &DownSelection,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<RunReport, EngineError> {
        let mut picture = self.picture(Some(&mut run.session)).await?;
        Self::check_files(&picture.files)?;
        self.reconcile(run, &mut picture, events).await?;
        let planned = self.choose_down(&picture, run.session.as_mut(), selection).await?;
        let names: Vec<&str> = planned.iter().map(|one| one.name.as_str()).collect();
        if names != plan.migrations {
            return Err(EngineError::Refused(
                "Another run changed the history in the meantime; look again with `whimbrel status`"
                    .to_owned(),
            ));
        }
        let detail = format!("{{\"migrations\":{names:?},\"confirmed\":{:?}}}", plan.phrase);
        let audit = self.audit(run, "down", &detail);
        self.write(run, &[audit]).await?;
        let apply = self.apply_options(options);
        let mut applier = self.applier(run, &apply, events);
        let result = applier.down(&planned, &picture.ledger).await;
        let report = applier.report;
        result.map(|()| report)
    }

    /// The applied migrations that were asked for, newest first, with their ways back.
    async fn choose_down(
        &self,
        picture: &Picture,
        session: &mut dyn Session,
        selection: &DownSelection,
    ) -> Result<Vec<PlannedMigration>, EngineError> {
        let mut applied: Vec<&Recorded> = Vec::new();
        for one in picture.compared.iter().rev() {
            if let Some(recorded) = one.recorded.as_ref().filter(|found| found.is_applied()) {
                applied.push(recorded);
            }
        }
        // Those without a file come last in the comparison; their own order is that of applying.
        applied.sort_by_key(|one| std::cmp::Reverse(order_key(one)));
        let count = match (&selection.to, selection.steps) {
            (Some(to), _) => self.count_after(picture, &applied, to)?,
            (None, steps) => steps.unwrap_or(1),
        };
        let mut out = Vec::new();
        for recorded in applied.into_iter().take(count) {
            out.push(self.plan_back(picture, session, recorded, selection.from_file).await?);
        }
        Ok(out)
    }

    fn count_after(
        &self,
        picture: &Picture,
        applied: &[&Recorded],
        to: &str,
    ) -> Result<usize, EngineError> {
        if to.bytes().all(|byte| byte == b'0') && picture.files.directory.find(to).is_empty() {
            return Ok(applied.len());
        }
        let index = self.position_of(picture, to)?;
        let name = picture.compared.get(index).map_or("", |one| one.name.as_str());
        applied.iter().position(|recorded| recorded.row.name == name).ok_or_else(|| {
            EngineError::NotFound(format!("`{name}` is not applied, so there is no way back to it"))
        })
    }

    pub(super) async fn plan_back(
        &self,
        picture: &Picture,
        session: &mut dyn Session,
        recorded: &Recorded,
        from_file: bool,
    ) -> Result<PlannedMigration, EngineError> {
        let name = &recorded.row.name;
        let file = picture.files.directory.get(name);
        let (up_text, kept) = self.ledger.texts(session, name).await?;
        let of_file = file.and_then(|file| file.down.as_ref());
        let source = match (kept, of_file) {
            (Some(text), _) if !from_file => Some((text, String::new(), 0)),
            (_, Some(down)) => Some((down.text.clone(), down.path.clone(), down.lines_before)),
            (Some(_) | None, None) => None,
        };
        let data = recorded.row.kind == "data";
        let Some((text, path, lines_before)) = source else {
            if let (true, Some(up)) = (data, up_text) {
                return self.plan_undo(recorded, up, whimbrel_core::plan::OnConflict::Stop);
            }
            return Err(EngineError::Files(vec![no_way_back(picture, recorded)]));
        };
        let shown = if path.is_empty() { format!("{name} (way back)") } else { path.clone() };
        let script = self
            .script(&text, &shown, lines_before)
            .map_err(|problem| EngineError::Files(vec![problem]))?;
        let nothing_up = up_text.as_deref().is_some_and(|up| {
            self.script(up, name, 0).is_ok_and(|script| script.statements.is_empty())
        });
        if script.statements.is_empty() && !nothing_up {
            // Recording a migration as taken back while all of it stays would be a lie.
            return Err(EngineError::Files(vec![no_way_back(picture, recorded)]));
        }
        Ok(PlannedMigration {
            name: name.clone(),
            version: recorded.row.version.clone(),
            kind: if recorded.row.kind == "data" { Kind::Data } else { Kind::Schema },
            path: shown,
            lines_before,
            changes: changes_of(&script, self.ledger.dialect),
            text_checksum: recorded.text_checksum.clone(),
            token_checksum: recorded.token_checksum.clone(),
            up_text: up_text.unwrap_or_default(),
            down_text: Some(text),
            verify_script: None,
            verify: false,
            undo: None,
            script,
        })
    }

    /// The way back of a data migration that has no other: what its batches changed is undone.
    pub(super) fn plan_undo(
        &self,
        recorded: &Recorded,
        up_text: String,
        on_conflict: whimbrel_core::plan::OnConflict,
    ) -> Result<PlannedMigration, EngineError> {
        let name = &recorded.row.name;
        let script = self
            .data_script(&up_text, name, 0)
            .map_err(|problem| EngineError::Files(vec![problem]))?;
        Ok(PlannedMigration {
            name: name.clone(),
            version: recorded.row.version.clone(),
            kind: Kind::Data,
            path: name.clone(),
            lines_before: 0,
            changes: Vec::new(),
            text_checksum: recorded.text_checksum.clone(),
            token_checksum: recorded.token_checksum.clone(),
            up_text,
            down_text: None,
            verify_script: None,
            verify: false,
            undo: Some(on_conflict),
            script,
        })
    }

    async fn losses(
        &self,
        migration: &PlannedMigration,
        session: &mut dyn Session,
        out: &mut Vec<Loss>,
    ) {
        for change in migration.changes.iter().flatten() {
            let (what, table) = match change {
                Change::DropTable { name, .. } => (format!("table {name}"), name),
                Change::DropColumn { table, column, .. } => {
                    (format!("column {table}.{column}"), table)
                }
                Change::Truncate { tables, .. } => match tables.first() {
                    Some(table) => (format!("all rows of {table}"), table),
                    None => continue,
                },
                Change::DeleteRows { table } => (format!("rows of {table}"), table),
                _ => continue,
            };
            let rows = match change {
                Change::DeleteRows { .. } => None,
                _ => count_rows(session, self.ledger.dialect, table).await,
            };
            out.push(Loss { migration: migration.name.clone(), what, rows });
        }
    }
}

fn order_key(recorded: &Recorded) -> i64 {
    recorded.row.seq
}

fn no_way_back(picture: &Picture, recorded: &Recorded) -> Problem {
    let layout = &picture.files.directory.layout;
    let name = &recorded.row.name;
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    let place = whimbrel_core::format::Place::Companions;
    Problem {
        path: layout.path(whimbrel_core::format::Place::Migrations, name),
        place: None,
        message: format!("`{name}` has no way back"),
        hint: Some(format!(
            "Write its statements into {} and run `whimbrel down --from-file`",
            layout.path(place, &format!("{stem}.down.sql"))
        )),
    }
}

/// What must be typed: `DELETE CHATS TABLE` for the one table that goes, the migration's name for
/// more, nothing when nothing is lost.
fn phrase(planned: &[PlannedMigration]) -> Option<String> {
    let lost: Vec<&Change> = planned
        .iter()
        .flat_map(|one| one.changes.iter().flatten())
        .filter(|change| {
            matches!(
                change,
                Change::DropTable { .. }
                    | Change::DropColumn { .. }
                    | Change::Truncate { .. }
                    | Change::DeleteRows { .. }
                    | Change::DropSchema { .. }
            )
        })
        .collect();
    match (lost.as_slice(), planned) {
        ([], _) => None,
        ([Change::DropTable { name: ObjectName { name, .. }, .. }], [_]) => {
            Some(format!("DELETE {} TABLE", name.to_uppercase()))
        }
        (_, [.., last]) => Some(last.name.clone()),
        (_, []) => None,
    }
}
