//! `history`: what ran, when, by whom, and what it made.

use whimbrel_core::directory::Directory;
use whimbrel_core::ledger::{MigrationEvent, Recorded};
use whimbrel_core::migration::Kind;

use super::load::changes_of;
use super::{Project, RollbackHow};
use crate::error::EngineError;

/// One applied migration.
#[derive(Clone, Debug)]
pub struct HistoryLine {
    /// File name.
    pub name: String,
    /// Leading digits and suffix as written.
    pub version: String,
    /// `up`, `baseline` or `adopt`.
    pub event: &'static str,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// When a changed text was accepted in place of the one that ran, if one was.
    pub accepted_ms: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Who.
    pub actor: String,
    /// The run.
    pub run_id: String,
    /// What it is for, where the file says so.
    pub purpose: Option<String>,
    /// What it made: `table users`, `index idx_users_email`, ...
    pub made: Vec<String>,
}

/// A run of which something can be rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLine {
    /// Its id.
    pub run_id: String,
    /// When it applied the first of what is left, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// Its migrations that are applied, in the order of applying.
    pub migrations: Vec<String>,
    /// In which ways it can be rolled back: `partial` where it has data migrations, `staged`.
    pub how: Vec<&'static str>,
}

impl Project {
    /// The runs of which something is applied, oldest first. Changes nothing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs_to_roll_back(&self) -> Result<Vec<RunLine>, EngineError> {
        let mut session = self.connect_to_read().await?;
        let picture = self.picture(session.as_mut()).await?;
        let mut runs: Vec<RunLine> = Vec::new();
        for recorded in picture.ledger.applied() {
            let row = &recorded.row;
            if row.event != MigrationEvent::Up {
                continue;
            }
            let at = runs.iter().position(|run| run.run_id == row.run_id).unwrap_or_else(|| {
                runs.push(RunLine {
                    run_id: row.run_id.clone(),
                    at_ms: row.at_ms,
                    actor: row.actor.clone(),
                    migrations: Vec::new(),
                    how: vec![RollbackHow::Staged.word()],
                });
                runs.len() - 1
            });
            let Some(run) = runs.get_mut(at) else { continue };
            run.migrations.push(row.name.clone());
            if row.kind == Kind::Data.name() && run.how.len() == 1 {
                run.how.insert(0, RollbackHow::Partial.word());
            }
        }
        Ok(runs)
    }

    /// The applied migrations in the order in which they were applied. Changes nothing.
    pub async fn history(&self) -> Result<Vec<HistoryLine>, EngineError> {
        let mut session = self.connect_to_read().await?;
        let picture = self.picture(session.as_mut()).await?;
        let texts = match (&mut session, &picture.identity) {
            (Some(session), Some(_)) => self.ledger.applied_texts(session.as_mut()).await?,
            _ => Vec::new(),
        };
        let directory = &picture.files.directory;
        Ok(picture
            .ledger
            .applied()
            .map(|recorded| {
                let text = texts
                    .iter()
                    .find(|(name, _)| *name == recorded.row.name)
                    .and_then(|(_, text)| text.clone());
                self.history_line(recorded, directory, text)
            })
            .collect())
    }

    fn history_line(
        &self,
        recorded: &Recorded,
        directory: &Directory,
        text: Option<String>,
    ) -> HistoryLine {
        let row = &recorded.row;
        let text = text
            .or_else(|| directory.get(&row.name).map(|file| file.up.text.clone()))
            .unwrap_or_default();
        let script = self.script(&text, &row.name, 0).ok();
        let made = script.as_ref().map_or_else(Vec::new, |script| {
            changes_of(script, self.ledger.dialect)
                .iter()
                .flatten()
                .filter_map(whimbrel_core::ddl::Change::created)
                .map(|(kind, name)| format!("{} {name}", kind.word()))
                .collect()
        });
        HistoryLine {
            name: row.name.clone(),
            version: row.version.clone(),
            event: row.event.name(),
            at_ms: row.at_ms,
            accepted_ms: recorded.accepted_ms,
            duration_ms: row.duration_ms,
            actor: row.actor.clone(),
            run_id: row.run_id.clone(),
            purpose: script
                .and_then(|script| script.options.purpose)
                .or_else(|| purpose_comment(&text)),
            made,
        }
    }
}

/// `-- Purpose: ...` at the head of a file, as people write it without any tool.
fn purpose_comment(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with("--"))
        .find_map(|line| line.trim_start_matches('-').trim().strip_prefix("Purpose:"))
        .map(|purpose| purpose.trim().to_owned())
}
