//! `verify`: proving that the database holds what the applied migrations promise.

use whimbrel_core::compare::State;
use whimbrel_core::verify::{Expected, Verdict};

use super::Project;
use super::load::{Picture, changes_of};
use crate::backend::Session;
use crate::error::EngineError;
use crate::report::FactLine;
use crate::verify;

/// What `verify` found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// The database's address without secrets.
    pub database: String,
    /// How many applied migrations were folded into the facts.
    pub migrations: usize,
    /// Every fact with its verdict.
    pub facts: Vec<FactLine>,
    /// What does not fit besides: changed files, pending and interrupted migrations.
    pub drift: Vec<String>,
    /// Rows without their parent, in words.
    pub orphans: Vec<String>,
}

impl VerifyReport {
    /// Whether everything that could be checked holds.
    pub fn holds(&self) -> bool {
        !self.facts.iter().any(FactLine::fails) && self.drift.is_empty() && self.orphans.is_empty()
    }

    /// How many facts hold, fail and could not be checked.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Verdict) -> bool| {
            self.facts.iter().filter(|fact| wanted(&fact.verdict)).count()
        };
        (
            count(|verdict| matches!(verdict, Verdict::Holds)),
            count(|verdict| matches!(verdict, Verdict::Fails { .. })),
            count(|verdict| matches!(verdict, Verdict::NotChecked { .. })),
        )
    }
}

impl Project {
    /// Folds all applied migrations into facts and checks each in the catalog, runs their
    /// `.verify.sql` queries, and compares files with the ledger. Changes nothing.
    pub async fn verify(&self) -> Result<VerifyReport, EngineError> {
        let mut session = self.connect_to_read().await?;
        let picture = self.picture(session.as_mut()).await?;
        Self::check_files(&picture.files)?;
        match session.as_mut() {
            Some(session) => self.verify_on(session.as_mut(), &picture).await,
            None => Ok(VerifyReport { database: self.backend.label(), ..VerifyReport::default() }),
        }
    }

    /// The same on a connection that is open, for files and ledger as they were read.
    pub(super) async fn verify_on(
        &self,
        session: &mut dyn Session,
        picture: &Picture,
    ) -> Result<VerifyReport, EngineError> {
        let mut report = VerifyReport { database: self.backend.label(), ..VerifyReport::default() };
        for one in &picture.compared {
            match &one.state {
                State::AppliedChanged => {
                    report.drift.push(format!("`{}` was changed after it was applied", one.name));
                }
                State::Partial { .. } => {
                    report.drift.push(format!("`{}` was interrupted", one.name));
                }
                _ => {}
            }
        }
        let mut expected = Expected::new(self.ledger.dialect);
        let mut scripts = Vec::new();
        let texts = match &picture.identity {
            Some(_) => self.ledger.applied_texts(session).await?,
            None => Vec::new(),
        };
        for one in picture.compared.iter().filter(|one| one.state.is_applied()) {
            report.migrations += 1;
            let recorded = texts.iter().find(|(name, _)| *name == one.name);
            let file = picture.files.directory.get(&one.name);
            let text = match (recorded, file) {
                (Some((_, Some(text))), _) => text.as_str(),
                (_, Some(file)) => file.up.text.as_str(),
                _ => continue,
            };
            match self.script(text, &one.name, 0) {
                Ok(script) if script.options.verify != Some(false) => {
                    let changes = changes_of(&script, self.ledger.dialect);
                    expected.apply(&changes.into_iter().flatten().collect::<Vec<_>>());
                }
                Ok(_) => {}
                Err(problem) => report.drift.push(problem.message),
            }
            if let Some(verify) = file.and_then(|file| file.verify.as_ref()) {
                let script = self
                    .script(&verify.text, &verify.path, verify.lines_before)
                    .map_err(|problem| EngineError::Files(vec![problem]))?;
                scripts.push((verify.path.clone(), script));
            }
        }
        report.facts = verify::facts(session, self.ledger.dialect, &expected).await?;
        for (path, script) in &scripts {
            report.facts.extend(verify::run_script(session, path, script).await?);
        }
        if self.backend.capabilities().refuses_orphans {
            for one in session.foreign_key_violations().await? {
                report.orphans.push(format!(
                    "{} rows of `{}` point to rows of `{}` that do not exist (rowid {})",
                    one.rows,
                    one.child,
                    one.parent,
                    one.sample.join(", ")
                ));
            }
        }
        Ok(report)
    }
}
