//! From the files on disk to migrations that can be planned.

use std::collections::HashMap;

use whimbrel_core::checksum::{text_checksum, token_checksum};
use whimbrel_core::compare::{Compared, FileFacts, compare};
use whimbrel_core::ddl;
use whimbrel_core::directory::{Directory, DirectoryIssue, Severity};
use whimbrel_core::ledger::LedgerState;
use whimbrel_core::migration::{Kind, Migration};
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::step::{Script, ScriptError};

use super::Project;
use crate::backend::Session;
use crate::error::{EngineError, Problem};
use crate::files::{self, Wanted};
use crate::ledger::Identity;

/// The files of a project, with what is wrong with them.
pub(crate) struct Files {
    pub(crate) directory: Directory,
    pub(crate) issues: Vec<DirectoryIssue>,
    pub(crate) facts: Vec<FileFacts>,
}

/// Files, ledger and the other tool's history, brought together.
pub(crate) struct Picture {
    pub(crate) files: Files,
    pub(crate) identity: Option<Identity>,
    pub(crate) ledger: LedgerState,
    /// Keys of the other tool's history table.
    pub(crate) foreign: Vec<String>,
    pub(crate) compared: Vec<Compared>,
}

impl Project {
    /// Reads the files.
    pub(crate) fn read_files(&self) -> Result<Files, EngineError> {
        let entries = files::entries(&self.options.root, &self.options.layout, Wanted::All)?;
        let (directory, issues) = Directory::build(self.options.layout.clone(), entries);
        let facts = directory
            .migrations
            .iter()
            .map(|migration| FileFacts {
                name: migration.id.file_name.clone(),
                text_checksum: text_checksum(&migration.up.text),
                token_checksum: token_checksum(&migration.up.text, self.ledger.dialect),
            })
            .collect();
        Ok(Files { directory, issues, facts })
    }

    /// Reads files and database; the database is only looked at.
    pub(crate) async fn picture(
        &self,
        session: Option<&mut Box<dyn Session>>,
    ) -> Result<Picture, EngineError> {
        let files = self.read_files()?;
        let (mut identity, mut ledger, mut foreign) = (None, LedgerState::default(), Vec::new());
        if let Some(session) = session {
            identity = self.ledger.identity(session.as_mut()).await?;
            if identity.is_some() {
                ledger = self.ledger.read(session.as_mut()).await?;
            }
            if let Some(mirror) = &self.mirror {
                foreign = mirror.read(session.as_mut()).await?;
            }
        }
        let compared = self.compare(&files, &ledger, &foreign);
        Ok(Picture { files, identity, ledger, foreign, compared })
    }

    pub(crate) fn compare(
        &self,
        files: &Files,
        ledger: &LedgerState,
        foreign: &[String],
    ) -> Vec<Compared> {
        let keys: HashMap<&str, String> = files
            .directory
            .migrations
            .iter()
            .map(|one| (one.id.file_name.as_str(), one.id.version()))
            .collect();
        compare(&files.facts, ledger, |name| {
            let version = keys.get(name).map_or("", String::as_str);
            self.mirror.as_ref().is_some_and(|mirror| {
                let key = mirror.key(name, version);
                foreign.iter().any(|one| one == key)
            })
        })
    }

    /// Errors of the files, if there are any: then nothing may run.
    pub(crate) fn check_files(files: &Files) -> Result<(), EngineError> {
        let problems: Vec<Problem> = files
            .issues
            .iter()
            .filter(|issue| issue.severity == Severity::Error)
            .map(|issue| Problem {
                path: issue.path.clone(),
                place: None,
                message: issue.message.clone(),
                hint: issue.hint.clone(),
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(EngineError::Files(problems)) }
    }

    /// Understands one migration's way up.
    pub(crate) fn plan_up(&self, migration: &Migration) -> Result<PlannedMigration, Problem> {
        let dialect = self.ledger.dialect;
        let up = &migration.up;
        let script = match migration.id.kind {
            Kind::Schema => self.script(&up.text, &up.path, up.lines_before)?,
            Kind::Data => self.data_script(&up.text, &up.path, up.lines_before)?,
        };
        let verify_script = match &migration.verify {
            Some(verify) => {
                let read = self.script(&verify.text, &verify.path, verify.lines_before)?;
                Some((verify.path.clone(), read))
            }
            None => None,
        };
        Ok(PlannedMigration {
            name: migration.id.file_name.clone(),
            version: migration.id.version(),
            kind: migration.id.kind,
            path: migration.up.path.clone(),
            lines_before: migration.up.lines_before,
            changes: changes_of(&script, dialect),
            text_checksum: text_checksum(&migration.up.text),
            token_checksum: token_checksum(&migration.up.text, dialect),
            up_text: migration.up.text.clone(),
            down_text: migration.down.as_ref().map(|down| down.text.clone()),
            verify_script,
            verify: script.options.verify.unwrap_or(true),
            undo: None,
            script,
        })
    }

    /// Understands a text of SQL.
    pub(crate) fn script(
        &self,
        text: &str,
        path: &str,
        lines_before: u32,
    ) -> Result<Script, Problem> {
        Script::read(text, &self.backend.capabilities())
            .map_err(|error| script_problem(&error, path, lines_before))
    }

    /// Understands the text of a data migration.
    pub(super) fn data_script(
        &self,
        text: &str,
        path: &str,
        lines_before: u32,
    ) -> Result<Script, Problem> {
        let mut script = Script::read_data(text, &self.backend.capabilities())
            .map_err(|error| script_problem(&error, path, lines_before))?;
        for options in &mut script.statement_options {
            options.batch.size.get_or_insert(self.options.batch_size);
        }
        Ok(script)
    }
}

/// What each statement changes.
pub(crate) fn changes_of(script: &Script, dialect: Dialect) -> Vec<Vec<ddl::Change>> {
    let taken_back = script.taken_back();
    let of = |index: usize| match taken_back.contains(&index) {
        true => Vec::new(),
        false => ddl::read(script.statement(index), dialect),
    };
    (0..script.statements.len()).map(of).collect()
}

fn script_problem(error: &ScriptError, path: &str, lines_before: u32) -> Problem {
    let (line, column) = error.position();
    Problem {
        path: path.to_owned(),
        place: Some((line + lines_before, column)),
        message: error.to_string(),
        hint: script_hint(error),
    }
}

fn script_hint(error: &ScriptError) -> Option<String> {
    match error {
        ScriptError::Split(error) => Some(error.kind.hint().to_owned()),
        ScriptError::Directive(error) => error.hint.clone(),
        ScriptError::Unended { .. } => {
            Some("End it with COMMIT, or leave out the BEGIN".to_owned())
        }
        ScriptError::NotData { .. } => Some(
            "Put it into a schema migration of its own; a `.data.sql` file holds INSERT, UPDATE \
             and DELETE"
                .to_owned(),
        ),
        ScriptError::Refused { verb, .. } if verb == "PRAGMA" => Some(
            "Leave it out: D1 would take no notice of it. If it is `foreign_keys = OFF` around a \
             DROP TABLE, first see to it that no table references the dropped one with ON DELETE \
             CASCADE: those rows would be deleted, and `ALTER TABLE` keeps them"
                .to_owned(),
        ),
        ScriptError::Refused { .. } => {
            Some("Leave it out; each file is one transaction".to_owned())
        }
    }
}
