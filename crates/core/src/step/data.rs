//! The steps of a data migration.

use super::{Script, ScriptError, Step, StepMode, slice};
use crate::capabilities::Capabilities;
use crate::checksum::token_checksum;
use crate::sql::statement::StatementClass;

impl Script {
    /// Reads `text` as a data migration: each statement that changes rows is a step of its own, in
    /// batches if it can be cut into them.
    ///
    /// # Errors
    /// As [`Script::read`], and when a statement does something else than changing rows or the
    /// session.
    pub fn read_data(text: &str, can: &Capabilities) -> Result<Script, ScriptError> {
        let mut script = Script::read(text, can)?;
        script.steps.clear();
        for index in 0..script.statements.len() {
            let Some(info) = script.infos.get(index) else { break };
            let mode = match info.class {
                StatementClass::Dml if is_batchable_verb(&info.verb) => StepMode::Batches,
                StatementClass::Dml | StatementClass::Query => StepMode::Transaction,
                StatementClass::Setting => StepMode::Session,
                StatementClass::Maintenance => StepMode::Bare,
                StatementClass::Ddl
                | StatementClass::Control
                | StatementClass::Routine
                | StatementClass::Privilege
                | StatementClass::Unknown => return Err(script.not_data(index)),
            };
            if script.skipped.iter().any(|(skipped, _)| *skipped == index) {
                return Err(script.not_data(index));
            }
            let Some(statement) = script.statements.get(index) else { break };
            let end = statement.copy_data.as_ref().map_or(statement.span.end, |data| data.end);
            let hash = token_checksum(slice(text, &(statement.span.start..end)), can.dialect);
            script.steps.push(Step { statements: index..index + 1, mode, hash });
        }
        Ok(script)
    }

    fn not_data(&self, index: usize) -> ScriptError {
        let (line, column) =
            self.statements.get(index).map_or((1, 1), |one| (one.line, one.column));
        let verb = self.infos.get(index).map_or_else(String::new, |info| info.verb.clone());
        ScriptError::NotData { verb, line, column }
    }
}

/// Statements that change existing rows, or make rows from others.
fn is_batchable_verb(verb: &str) -> bool {
    ["INSERT", "UPDATE", "DELETE", "REPLACE"].iter().any(|word| verb.starts_with(word))
}
