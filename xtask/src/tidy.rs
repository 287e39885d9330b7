//! `cargo xtask tidy`: the rules of this project that no compiler or linter checks. One group of
//! rules, one file, one row in [`CHECKS`]; every rule has a test that it fires.

mod deny;
mod layout;
mod length;
mod licences;
mod places;
mod purity;
mod text;

use std::fmt;

use serde_json::Value;

use crate::Outcome;
use crate::output::say;
use crate::workspace::{self, SourceFile};

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.path, self.message);
        }
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// What the checks look at.
struct Project {
    files: Vec<SourceFile>,
    packages: Vec<Value>,
}

impl Project {
    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Project {
        let files = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
        Project { files, packages: Vec::new() }
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is_rust())
    }
}

type Check = fn(&Project) -> Vec<Finding>;

const CHECKS: &[(&str, Check)] = &[
    ("text", text::check),
    ("layout", layout::check),
    ("purity", purity::check),
    ("length", length::check),
    ("places", places::check),
    ("licences", licences::check),
];

/// Carries out `tidy`.
pub(crate) fn main(_arguments: &[String]) -> Outcome {
    let project = Project { files: workspace::files()?, packages: workspace::packages()? };
    let mut count = 0;
    for (name, check) in CHECKS {
        let findings = check(&project);
        count += findings.len();
        findings.iter().for_each(|finding| say(&format!("{finding} [{name}]")));
    }
    let denied = deny::run_if_installed(&workspace::root()?)?;
    if count == 0 && !denied {
        say(&format!("Tidy: {} files, nothing to say", project.files.len()));
        return Ok(0);
    }
    say(&format!("Tidy: {count} findings"));
    Ok(1)
}
