//! The values that directives set, typed.

use std::time::Duration;

use super::{BatchSettings, Directive, DirectiveError, KEYS, Key, Scope, Setting};
use crate::config::parse_duration;

/// `transaction=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transaction {
    /// In one transaction where the database and the statements can.
    #[default]
    Auto,
    /// Each statement commits by itself.
    Never,
}

/// `keep=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// What is removed is kept, up to `keep-max`.
    #[default]
    On,
    /// What is removed is lost.
    Off,
    /// What is removed is kept, however large.
    Force,
}

/// `requires=`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The account of the data migration of this version is complete.
    Account(String),
}

/// What the directives of a file, or of a statement, say. `None` is "not said".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `transaction=`
    pub transaction: Option<Transaction>,
    /// `keep=`
    pub keep: Option<Keep>,
    /// `lock-timeout=`; zero waits without end.
    pub lock_timeout: Option<Duration>,
    /// `statement-timeout=`; zero is no limit.
    pub statement_timeout: Option<Duration>,
    /// `purpose=`
    pub purpose: Option<String>,
    /// `requires=`
    pub requires: Option<Vec<Requirement>>,
    /// `verify=`
    pub verify: Option<bool>,
    /// What is said about batches.
    pub batch: BatchSettings,
}

impl Options {
    /// Takes over what a directive says, at the place where it stands.
    ///
    /// The same key in two directives of one scope is an error: which of them holds would be a
    /// guess.
    pub fn apply(&mut self, directive: &Directive, scope: Scope) -> Result<(), DirectiveError> {
        directive
            .settings
            .iter()
            .try_for_each(|setting| self.set(setting, scope))
            .map_err(|(message, hint)| DirectiveError { line: directive.line, message, hint })
    }

    /// These options where they say something, else those of the file.
    pub fn or(&self, file: &Options) -> Options {
        Options {
            transaction: self.transaction.or(file.transaction),
            keep: self.keep.or(file.keep),
            lock_timeout: self.lock_timeout.or(file.lock_timeout),
            statement_timeout: self.statement_timeout.or(file.statement_timeout),
            purpose: self.purpose.clone().or_else(|| file.purpose.clone()),
            requires: self.requires.clone().or_else(|| file.requires.clone()),
            verify: self.verify.or(file.verify),
            batch: self.batch.or(&file.batch),
        }
    }

    fn set(&mut self, setting: &Setting, scope: Scope) -> Result<(), (String, Option<String>)> {
        let Setting { key, value } = setting;
        let name = key.name();
        if !key.allowed_in(scope) {
            let message = format!("The key `{name}` must stand before the first statement");
            return Err((message, None));
        }
        let first = match key {
            Key::Transaction => put(&mut self.transaction, transaction(value)),
            Key::Keep => put(&mut self.keep, keep(value)),
            Key::LockTimeout => put(&mut self.lock_timeout, parse_duration(value)),
            Key::StatementTimeout => put(&mut self.statement_timeout, parse_duration(value)),
            Key::Purpose => put(&mut self.purpose, Some(value.trim().to_owned())),
            Key::Requires => put(&mut self.requires, requirements(value)),
            Key::Verify => put(&mut self.verify, on_off(value)),
            key => self.batch.set(*key, value),
        };
        match first {
            Put::Done => Ok(()),
            Put::Twice => Err((format!("The key `{name}` is set twice"), None)),
            Put::Invalid => {
                let row = KEYS.iter().find(|row| row.key == *key);
                let hint = row.map(|row| format!("It is {}", row.values));
                let shown: String = value.escape_debug().take(40).collect();
                Err((format!("`{shown}` is no value of `{name}`"), hint))
            }
        }
    }
}

pub(super) enum Put {
    Done,
    Twice,
    Invalid,
}

pub(super) fn put<T>(slot: &mut Option<T>, value: Option<T>) -> Put {
    match value {
        None => Put::Invalid,
        Some(_) if slot.is_some() => Put::Twice,
        Some(value) => {
            *slot = Some(value);
            Put::Done
        }
    }
}

fn transaction(value: &str) -> Option<Transaction> {
    match value {
        "auto" => Some(Transaction::Auto),
        "never" => Some(Transaction::Never),
        _ => None,
    }
}

fn keep(value: &str) -> Option<Keep> {
    match value {
        "on" => Some(Keep::On),
        "off" => Some(Keep::Off),
        "force" => Some(Keep::Force),
        _ => None,
    }
}

fn on_off(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn requirements(value: &str) -> Option<Vec<Requirement>> {
    value
        .split(',')
        .map(|part| {
            let version = part.trim().strip_prefix("account:")?;
            let valid = version.starts_with(|c: char| c.is_ascii_digit())
                && version.bytes().all(|b| b.is_ascii_alphanumeric());
            valid.then(|| Requirement::Account(version.to_owned()))
        })
        .collect()
}
