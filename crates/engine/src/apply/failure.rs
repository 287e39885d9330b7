//! Turning a database's error into one that shows the place in the author's file.

use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::split::position;

use super::Applier;
use crate::backend::DbError;
use crate::error::{EngineError, StatementFailure};

impl Applier<'_> {
    /// The failure of statement `index` of the migration.
    pub(crate) fn failure(
        &self,
        migration: &PlannedMigration,
        index: usize,
        error: DbError,
        steps_kept: usize,
    ) -> EngineError {
        if error.ahead {
            return error.into();
        }
        let script = &migration.script;
        let text = script.statement(index).to_owned();
        let (start, first_line) = script
            .statements
            .get(index)
            .map_or((0, 1), |statement| (statement.span.start, statement.line));
        let at = start + error.offset.filter(|offset| *offset <= text.len()).unwrap_or(0);
        let (line, column) = position(&script.text, at);
        EngineError::Statement(Box::new(StatementFailure {
            migration: migration.name.clone(),
            path: migration.path.clone(),
            statement: index + 1,
            statements: script.statements.len(),
            line: line + migration.lines_before,
            column,
            first_line: first_line + migration.lines_before,
            offset: error.offset,
            text,
            error,
            blockers: self.lease.progress.blockers(),
            steps_kept,
            finished: self.finished_names(),
        }))
    }

    /// Names of the migrations that this run has finished.
    pub(super) fn finished_names(&self) -> Vec<String> {
        self.report.finished.iter().map(|one| one.name.clone()).collect()
    }
}
