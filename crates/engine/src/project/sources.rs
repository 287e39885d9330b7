//! The databases that data migrations read by `source=`.

use std::collections::BTreeSet;

use whimbrel_core::directory::Directory;
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::PlannedMigration;

use super::Project;
use crate::data::sources::{Opened, open};
use crate::error::EngineError;
use crate::files::{self, Wanted};

impl Project {
    /// The environments that data migrations name by `source=`.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn named_sources(&self) -> Result<Vec<String>, EngineError> {
        let mut names = Vec::new();
        let entries = files::entries(&self.options.root, &self.options.layout, Wanted::Data)?;
        let (directory, _) = Directory::build(self.options.layout.clone(), entries);
        let data = directory.migrations.iter().filter(|one| one.id.kind == Kind::Data);
        for migration in data.filter(|one| one.up.text.contains("source=")) {
            // What cannot be read is said when it is to be run.
            let Ok(planned) = self.plan_up(migration) else { continue };
            names.extend(sources_of(&planned).cloned());
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Lets data migrations name another project's database by `source=NAME`. Why there is none is
    /// said when a statement wants it, so that all else goes on without it.
    pub fn add_source(&mut self, name: String, source: Result<Project, String>) {
        self.sources.insert(name, source.map(|project| project.backend));
    }

    /// Refuses a plan with a source that cannot be read, before anything runs.
    pub(super) async fn check_sources(&self, plan: &[PlannedMigration]) -> Result<(), EngineError> {
        let mut opened = Opened::new();
        let names: BTreeSet<&String> = plan.iter().flat_map(sources_of).collect();
        for name in names {
            open(&self.sources, &mut opened, name).await?;
        }
        Ok(())
    }
}

/// The sources that the statements of a migration name.
fn sources_of(migration: &PlannedMigration) -> impl Iterator<Item = &String> {
    let options = migration.script.statement_options.iter();
    options.filter_map(|one| one.batch.source.as_ref())
}
