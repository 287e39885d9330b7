//! The files of rules and checks.

use std::io::ErrorKind;
use std::path::Path;

use whimbrel_core::ddl::ObjectName;
use whimbrel_core::rules::{SCHEMA_SUFFIX, check_statements, table_of_file};
use whimbrel_core::step::Script;

use super::problem;
use crate::error::{EngineError, Problem};
use crate::project::Project;

const RULES: &str = "rules";
const CHECKS: &str = "checks";

/// A file with the rules of one table.
pub(in crate::project) struct RuleFile {
    /// Relative to the project.
    pub(super) path: String,
    pub(in crate::project) table: ObjectName,
    pub(in crate::project) text: String,
}

/// A file with queries that must return no row.
pub(super) struct CheckFile {
    /// Relative to the project.
    pub(super) path: String,
    /// Without folder and suffix.
    pub(super) name: String,
    pub(super) script: Script,
}

/// A file of rules for a table that does not exist.
pub(super) fn no_table(file: &RuleFile) -> Problem {
    Problem {
        path: file.path.clone(),
        place: None,
        message: format!("The database has no table `{}`", file.table),
        hint: Some("A file of rules is named after its table: `TABLE.schema.json`".to_owned()),
    }
}

impl Project {
    /// Every rule file of the folder that was asked for, else of the project's. One that somebody
    /// has named must be there.
    pub(in crate::project) fn read_rules(
        &self,
        asked: Option<&Path>,
    ) -> Result<Vec<RuleFile>, EngineError> {
        let named = asked.or(self.options.rules.as_deref());
        let folder = named.map_or(RULES.to_owned(), |folder| folder.display().to_string());
        let mut out = Vec::new();
        let mut problems = Vec::new();
        for (name, text) in texts(&self.options.root, &folder, ".json", named.is_some())? {
            let path = format!("{folder}/{name}");
            match (table_of_file(&name), text) {
                (Some(table), Ok(text)) => out.push(RuleFile { path, table, text }),
                (None, _) => problems.push(Problem {
                    path,
                    place: None,
                    message: format!("`{name}` does not name a table"),
                    hint: Some(format!("Rules are called `TABLE{SCHEMA_SUFFIX}`")),
                }),
                (Some(_), Err(message)) => {
                    problems.push(Problem { path, place: None, message, hint: None });
                }
            }
        }
        if problems.is_empty() { Ok(out) } else { Err(EngineError::Files(problems)) }
    }

    /// Every file of checks, understood.
    pub(super) fn read_checks(&self) -> Result<Vec<CheckFile>, EngineError> {
        let named = self.options.checks.as_deref();
        let folder = named.map_or(CHECKS.to_owned(), |folder| folder.display().to_string());
        let mut out = Vec::new();
        let mut problems = Vec::new();
        for (file, text) in texts(&self.options.root, &folder, ".sql", named.is_some())? {
            let path = format!("{folder}/{file}");
            let text = match text {
                Ok(text) => text,
                Err(message) => {
                    problems.push(Problem { path, place: None, message, hint: None });
                    continue;
                }
            };
            let script = match self.script(&text, &path, 0) {
                Ok(script) => script,
                Err(found) => {
                    problems.push(found);
                    continue;
                }
            };
            if let Err(error) = check_statements(&script, self.ledger.dialect) {
                problems.push(problem(&path, error));
                continue;
            }
            let name = file.strip_suffix(".sql").unwrap_or(&file).to_owned();
            out.push(CheckFile { path, name, script });
        }
        if problems.is_empty() { Ok(out) } else { Err(EngineError::Files(problems)) }
    }
}

type Text = Result<String, String>;

/// Names and texts of the files in a folder that end so, in order.
fn texts(
    root: &Path,
    folder: &str,
    suffix: &str,
    asked: bool,
) -> Result<Vec<(String, Text)>, EngineError> {
    let path = root.join(folder);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && !asked => return Ok(Vec::new()),
        Err(error) => return Err(EngineError::File { path, error }),
    };
    let mut out = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| EngineError::File { path: path.clone(), error })?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(suffix) || name.starts_with('.') {
            continue;
        }
        let text = std::fs::read(entry.path()).map_err(|error| error.to_string());
        let text = text.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| "The file is not UTF-8".to_owned())
        });
        out.push((name, text));
    }
    out.sort();
    Ok(out)
}
