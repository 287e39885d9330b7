//! The layers that settings come from, and the origin that each value keeps.

use std::collections::BTreeMap;
use std::fmt;

use super::file::{Config, DatabaseConfig, Lined};
use crate::format::Wanted;
use crate::secret::Secret;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, such as `--url`.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(String),
    /// A variable in `.env`.
    DotEnv {
        /// The variable.
        name: String,
        /// The line of `.env`, from 1.
        line: u32,
    },
    /// A line of whimbrel.toml.
    Config {
        /// The line, from 1.
        line: u32,
    },
    /// What the project's files show.
    Detected(String),
    /// Nothing says otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => f.write_str(name),
            Origin::Environment(name) => write!(f, "variable {name}"),
            Origin::DotEnv { name, line } => write!(f, ".env line {line} ({name})"),
            Origin::Config { line } => write!(f, "whimbrel.toml line {line}"),
            Origin::Detected(why) => write!(f, "detected: {why}"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value that knows where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    pub(super) fn new(value: T, origin: Origin) -> Sourced<T> {
        Sourced { value, origin }
    }
}

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--url`
    pub url: Option<Secret>,
    /// `--env`
    pub environment: Option<String>,
    /// `--database`
    pub database: Option<String>,
    /// `--persist-to`
    pub persist_to: Option<String>,
    /// `--lock-timeout`
    pub lock_timeout: Option<String>,
    /// `--statement-timeout`
    pub statement_timeout: Option<String>,
    /// `--wait`
    pub wait: Option<String>,
}

/// A line of `.env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotEnvEntry {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// The line, from 1.
    pub line: u32,
}

/// All layers but detection.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// The command line.
    pub flags: &'a Flags,
    /// The environment. Not printed.
    pub environment: &'a Variables,
    /// `.env`, in the order of its lines; the first line of a name counts.
    pub dotenv: &'a [DotEnvEntry],
    /// whimbrel.toml.
    pub config: &'a Config,
}

/// The environment's variables, whose values are not printed.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Takes the variables of a process.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Variables {
        Variables(variables.into_iter().collect())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How strongly a layer speaks; more is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    Config,
    DotEnv,
    Environment,
    Flag,
}

impl Origin {
    pub(super) fn strength(&self) -> Option<Strength> {
        match self {
            Origin::Flag(_) => Some(Strength::Flag),
            Origin::Environment(_) => Some(Strength::Environment),
            Origin::DotEnv { .. } => Some(Strength::DotEnv),
            Origin::Config { .. } => Some(Strength::Config),
            Origin::Detected(_) | Origin::Default => None,
        }
    }
}

impl<'a> Layers<'a> {
    /// A variable of the environment or of `.env`. One that is empty counts as not set.
    pub fn variable(&self, name: &str) -> Option<Sourced<&'a str>> {
        if let Some(value) = self.environment.0.get(name).filter(|value| !value.trim().is_empty()) {
            return Some(Sourced::new(value, Origin::Environment(name.to_owned())));
        }
        let line = self.dotenv.iter().find(|entry| entry.name == name)?;
        let value = line.value.expose();
        let origin = Origin::DotEnv { name: name.to_owned(), line: line.line };
        (!value.trim().is_empty()).then(|| Sourced::new(value, origin))
    }

    /// A text from a flag or a variable.
    pub(super) fn given(
        &self,
        flag: Option<(&'static str, &'a Option<String>)>,
        variable: &str,
    ) -> Option<Sourced<&'a str>> {
        let flag = flag.and_then(|(name, value)| Some((name, value.as_deref()?)));
        match flag {
            Some((name, value)) => Some(Sourced::new(value, Origin::Flag(name))),
            None => self.variable(variable),
        }
    }

    /// The environment that is meant.
    pub fn environment_name(&self) -> Option<Sourced<&'a str>> {
        let given = self.given(Some(("--env", &self.flags.environment)), "WHIMBREL_ENV");
        given.or_else(|| self.config.environment.as_ref().map(sourced))
    }

    /// What whimbrel.toml says about that environment.
    pub(super) fn section(&self) -> Option<&'a DatabaseConfig> {
        self.config.environments.get(self.environment_name()?.value)
    }

    /// What recognising the project must know.
    ///
    /// An environment that whimbrel.toml gives a URL is its own; any other must be the other
    /// tool's.
    pub fn wanted(&self) -> Wanted<'a> {
        let section = self.section();
        let has_url = section.is_some_and(|section| section.url.is_some());
        let environment = self.environment_name().map(|name| name.value);
        Wanted {
            format: self.config.format.as_ref().map(|format| format.value),
            migrations: self.config.migrations.as_ref().map(|folder| folder.value.as_str()),
            environment: environment.filter(|_| !has_url),
            database: self.database_name().map(|name| name.value),
            persist_to: self
                .given(Some(("--persist-to", &self.flags.persist_to)), "WHIMBREL_PERSIST_TO")
                .map(|folder| folder.value),
        }
    }

    fn database_name(&self) -> Option<Sourced<&'a str>> {
        let given = self.given(Some(("--database", &self.flags.database)), "WHIMBREL_DATABASE");
        let section = self.section().and_then(|section| section.database.as_ref());
        let configured = section.or(self.config.project.database.as_ref());
        given.or_else(|| configured.map(sourced))
    }
}

/// A text of whimbrel.toml with its line as origin.
fn sourced(lined: &Lined<String>) -> Sourced<&str> {
    Sourced::new(&lined.value, Origin::Config { line: lined.line })
}
