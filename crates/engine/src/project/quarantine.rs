//! `quarantine`: rows that could not be moved.

use super::up::Run;
use super::{Project, RunOptions};
use crate::data::key::shown_table;
use crate::data::quarantine::Set;
use crate::error::EngineError;
use crate::event::Events;
use crate::ledger::{number, text};

pub use crate::data::quarantine::Retried;

/// A row that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// Its number.
    pub id: i64,
    /// File name of the migration.
    pub migration: String,
    /// The statement, from 1.
    pub statement: usize,
    /// The driving table.
    pub table: String,
    /// Its key, as a JSON array of texts.
    pub key: String,
    /// The driving row, as JSON.
    pub row: String,
    /// What the database or the rule said.
    pub error: String,
    /// The database's code, or the rule's name.
    pub code: String,
    /// `open`, `done` or `dropped`.
    pub state: String,
    /// Output columns that were written by hand, as JSON.
    pub edit: Option<String>,
    /// How often it was tried.
    pub tries: u64,
    /// Who changed it last.
    pub actor: String,
    /// When it was set aside, in milliseconds since 1970 by the server's clock.
    pub at_ms: i64,
}

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Of this migration: a version or a file name.
    pub migration: Option<String>,
    /// With these numbers; all without any.
    pub ids: Vec<i64>,
    /// Those that are done or dropped, too.
    pub all: bool,
}

/// What is changed in rows that are set aside.
struct Change<'a> {
    /// The audit's word for it.
    action: &'static str,
    detail: &'a str,
    /// What the UPDATE sets.
    set: &'a str,
}

impl Project {
    /// The rows that were set aside, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn quarantine(
        &self,
        filter: &QuarantineFilter,
    ) -> Result<Vec<QuarantinedRow>, EngineError> {
        let Some(mut session) = self.connect_to_read().await? else { return Ok(Vec::new()) };
        if !self.has_batches(session.as_mut()).await? {
            return Ok(Vec::new());
        }
        let name = self.name_of(filter.migration.as_deref())?;
        let sql = format!(
            "SELECT seq, migration, statement_index, driving, row_key, row_json, error, code, state, \
             edit_json, tries, actor, at_ms FROM {} WHERE {} ORDER BY seq",
            self.ledger.table("quarantine"),
            self.condition(filter, name.as_deref())
        );
        let rows = session.query(&sql).await?;
        Ok(rows
            .iter()
            .map(|row| QuarantinedRow {
                id: number(row, 0),
                migration: text(row, 1),
                statement: usize::try_from(number(row, 2)).unwrap_or(0) + 1,
                table: shown_table(&text(row, 3), self.ledger.dialect),
                key: text(row, 4),
                row: text(row, 5),
                error: text(row, 6),
                code: text(row, 7),
                state: text(row, 8),
                edit: row.get(9).cloned().flatten(),
                tries: u64::try_from(number(row, 10)).unwrap_or(0),
                actor: text(row, 11),
                at_ms: number(row, 12),
            })
            .collect())
    }

    fn condition(&self, filter: &QuarantineFilter, name: Option<&str>) -> String {
        let mut parts = vec!["1 = 1".to_owned()];
        if let Some(name) = name {
            parts.push(format!("migration = {}", self.ledger.quote(name)));
        }
        if !filter.ids.is_empty() {
            let ids: Vec<String> = filter.ids.iter().map(i64::to_string).collect();
            parts.push(format!("seq IN ({})", ids.join(", ")));
        }
        if !filter.all {
            parts.push("state = 'open'".to_owned());
        }
        parts.join(" AND ")
    }

    /// The file name of the migration that the user calls `version`.
    pub(super) fn name_of(&self, version: Option<&str>) -> Result<Option<String>, EngineError> {
        let Some(version) = version else { return Ok(None) };
        let files = self.read_files()?;
        match files.directory.find(version).as_slice() {
            [one] => Ok(Some(one.id.file_name.clone())),
            [] => Err(EngineError::NotFound(format!("There is no migration `{version}`"))),
            _ => Err(EngineError::NotFound(format!("`{version}` names several migrations"))),
        }
    }

    /// Tries open rows again, each by itself, with the statement that the file holds now.
    ///
    /// # Errors
    /// When the statement cannot run at all; rows that are refused again are counted.
    pub async fn quarantine_retry(
        &self,
        filter: &QuarantineFilter,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Retried, EngineError> {
        let rows = self.quarantine(filter).await?;
        let mut run = self.begin("quarantine", options, events).await?;
        let result = self.retry_with_lease(&mut run, &rows, options, events).await;
        self.end(run, result).await
    }

    async fn retry_with_lease(
        &self,
        run: &mut Run,
        rows: &[QuarantinedRow],
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Retried, EngineError> {
        let picture = self.picture(Some(&mut run.session)).await?;
        let mut apply = self.apply_options(options);
        apply.rules = self.all_rule_texts()?;
        let mut out = Retried::default();
        let mut names: Vec<&str> = rows.iter().map(|row| row.migration.as_str()).collect();
        names.dedup();
        for name in names {
            let Some(file) = picture.files.directory.get(name) else {
                return Err(EngineError::NotFound(format!("There is no file of `{name}`")));
            };
            let planned =
                self.plan_up(file).map_err(|problem| EngineError::Files(vec![problem]))?;
            let sets: Vec<Set> = rows
                .iter()
                .filter(|row| row.migration == name && row.state == "open")
                .map(|row| Set {
                    id: row.id,
                    statement: row.statement.saturating_sub(1),
                    key: row.key.clone(),
                    edit: row.edit.clone(),
                })
                .collect();
            let mut applier = self.applier(run, &apply, events);
            let retried = applier.retry_rows(&planned, &sets).await?;
            out.done += retried.done;
            out.failed += retried.failed;
        }
        Ok(out)
    }

    /// Gives up rows: they stay where they were, and nothing comes of them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn quarantine_drop(
        &self,
        filter: &QuarantineFilter,
        reason: &str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<i64>, EngineError> {
        self.change_open(
            filter,
            Change { action: "quarantine-drop", detail: reason, set: "state = 'dropped'" },
            options,
            events,
        )
        .await
    }

    /// Sets what columns of the output shall be when the row is tried again.
    ///
    /// # Errors
    /// When `edit` is no JSON object, or the row is not open.
    pub async fn quarantine_edit(
        &self,
        id: i64,
        edit: &str,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<i64>, EngineError> {
        let parsed: Result<serde_json::Map<String, serde_json::Value>, _> =
            serde_json::from_str(edit);
        if let Err(error) = parsed {
            return Err(EngineError::Refused(format!(
                "What is to be set must be a JSON object of columns and values: {error}"
            )));
        }
        let filter = QuarantineFilter { ids: vec![id], ..QuarantineFilter::default() };
        let set = format!("edit_json = {}", self.ledger.quote(edit));
        let change = Change { action: "quarantine-edit", detail: edit, set: &set };
        self.change_open(&filter, change, options, events).await
    }

    async fn change_open(
        &self,
        filter: &QuarantineFilter,
        change: Change<'_>,
        options: &RunOptions,
        events: &mut dyn Events,
    ) -> Result<Vec<i64>, EngineError> {
        let rows = self.quarantine(filter).await?;
        let ids: Vec<i64> =
            rows.iter().filter(|row| row.state == "open").map(|row| row.id).collect();
        if ids.is_empty() {
            return Err(EngineError::NotFound("There is no such open row".to_owned()));
        }
        let mut run = self.begin("quarantine", options, events).await?;
        let now = crate::ledger::now_ms(self.ledger.dialect);
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        let update = format!(
            "UPDATE {} SET {}, actor = {}, updated_ms = {now} WHERE state = 'open' \
             AND seq IN ({})",
            self.ledger.table("quarantine"),
            change.set,
            self.ledger.quote(&self.owner.actor),
            list.join(", ")
        );
        let detail = serde_json::json!({ "rows": ids, "detail": change.detail });
        let audit = self.audit(&run, change.action, &detail.to_string());
        let result = self.write(&mut run, &[update, audit]).await;
        self.end(run, result.map(|()| ids)).await
    }
}
