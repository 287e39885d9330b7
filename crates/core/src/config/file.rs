//! whimbrel.toml.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::backup::{BACKUP_KEYS, BackupConfig, BackupWhen, Said};
use super::keys::CONFIG_KEYS;
use super::throttle::{THROTTLE_KEYS, ThrottleConfig};
use super::units::{parse_duration, parse_size};
use super::url_source::UrlSource;
use super::words::nearest;
use crate::directive::BatchSize;
use crate::format::Format;

/// A value and the line of whimbrel.toml in which it stands, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lined<T> {
    /// The value.
    pub value: T,
    /// The line.
    pub line: u32,
}

/// whimbrel.toml, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `format`
    pub format: Option<Lined<Format>>,
    /// `migrations`
    pub migrations: Option<Lined<String>>,
    /// `environment`
    pub environment: Option<Lined<String>>,
    /// What `[project]` says about every database.
    pub project: DatabaseConfig,
    /// What `[environments.<name>]` say.
    pub environments: BTreeMap<String, DatabaseConfig>,
    /// What `[backup]` says.
    pub backup: BackupConfig,
    /// What should be said about the file.
    pub notes: Vec<String>,
}

/// Settings of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// `url`
    pub url: Option<Lined<UrlSource>>,
    /// `database`
    pub database: Option<Lined<String>>,
    /// `foreign-keys`
    pub foreign_keys: Option<Lined<bool>>,
    /// `keep-max`, in bytes
    pub keep_max: Option<Lined<u64>>,
    /// `lock-timeout`
    pub lock_timeout: Option<Lined<Duration>>,
    /// `statement-timeout`
    pub statement_timeout: Option<Lined<Duration>>,
    /// `rules`
    pub rules: Option<Lined<String>>,
    /// `checks`
    pub checks: Option<Lined<String>>,
    /// `batch-size`
    pub batch_size: Option<Lined<BatchSize>>,
    /// `max-retries`
    pub max_retries: Option<Lined<u32>>,
    /// `retry-delay`
    pub retry_delay: Option<Lined<Duration>>,
    /// `wait`
    pub wait: Option<Lined<Duration>>,
    /// `protected`
    pub protected: Option<Lined<bool>>,
    /// `backup`
    pub backup: Option<Lined<BackupWhen>>,
    /// The table `throttle`
    pub throttle: ThrottleConfig,
}

/// What is wrong in whimbrel.toml.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("whimbrel.toml:{line}:{column}: {message}")]
pub struct ConfigError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong. Never repeats a value: it may be a secret.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Config {
    /// Reads the file; all its errors are reported, in order.
    pub fn parse(text: &str) -> Result<Config, Vec<ConfigError>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader { text, errors: Vec::new(), config: Config::default() };
        match DeTable::parse(text) {
            Ok(table) => reader.root(table.get_ref()),
            Err(error) => {
                // The error's own form shows the line, which may hold a password.
                let at = error.span().map_or(0, |span| span.start);
                reader.error(at, error.message().trim().to_owned(), None);
            }
        }
        let Reader { mut errors, config, .. } = reader;
        errors.sort_by_key(|error| (error.line, error.column));
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

struct Reader<'t> {
    text: &'t str,
    errors: Vec<ConfigError>,
    config: Config,
}

impl Reader<'_> {
    fn root(&mut self, table: &DeTable<'_>) {
        let mut throttle = ThrottleConfig::default();
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            match (name, value.get_ref().as_table()) {
                ("project", Some(section)) => self.section(section, None),
                ("environments", Some(section)) => self.environments(section),
                ("throttle", Some(section)) => self.throttle(section, &mut throttle),
                ("backup", Some(section)) => self.backup(section),
                ("project" | "environments" | "throttle" | "backup", None) => {
                    let hint = Some(format!("Write `[{name}]` on a line of its own"));
                    self.error(value.span().start, format!("`{name}` is not a table"), hint);
                }
                _ => {
                    let misplaced = CONFIG_KEYS.iter().any(|row| row.project && row.name == name);
                    let hint = match misplaced {
                        true => Some(format!("`{name}` belongs under `[project]`")),
                        false => {
                            did_you_mean(name, ["project", "environments", "throttle", "backup"])
                        }
                    };
                    self.error(key.span().start, format!("Unknown key `{}`", shown(name)), hint);
                }
            }
        }
        self.config.project.throttle = throttle;
    }

    fn throttle(&mut self, table: &DeTable<'_>, to: &mut ThrottleConfig) {
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let Some(row) = THROTTLE_KEYS.iter().find(|row| row.name == name) else {
                let hint = did_you_mean(name, THROTTLE_KEYS.iter().map(|row| row.name));
                self.error(key.span().start, format!("Unknown key `{}`", shown(name)), hint);
                continue;
            };
            let at = value.span().start;
            let line = position(self.text, at).0;
            if !to.set(name, line, value.get_ref().as_str(), number(value)) {
                self.error(at, format!("`{name}` must be {}", row.values), None);
            }
        }
    }

    fn backup(&mut self, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let Some(row) = BACKUP_KEYS.iter().find(|row| row.name == name) else {
                let hint = did_you_mean(name, BACKUP_KEYS.iter().map(|row| row.name));
                self.error(key.span().start, format!("Unknown key `{}`", shown(name)), hint);
                continue;
            };
            let at = value.span().start;
            let said = Said {
                line: position(self.text, at).0,
                text: value.get_ref().as_str(),
                number: number(value),
                list: texts(value),
            };
            if !self.config.backup.set(name, said) {
                self.error(at, format!("`{name}` must be {}", row.values), None);
            }
        }
    }

    fn environments(&mut self, table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let Some(section) = value.get_ref().as_table() else {
                let hint = Some("Write `[environments.NAME]`".to_owned());
                let message = "An environment is not a table".to_owned();
                self.error(value.span().start, message, hint);
                continue;
            };
            if name.get_ref().is_empty() || name.get_ref().contains(char::is_control) {
                self.error(name.span().start, "The environment has no name".to_owned(), None);
            }
            self.section(section, Some(name.get_ref().as_ref()));
        }
    }

    fn section(&mut self, table: &DeTable<'_>, environment: Option<&str>) {
        let mut database = DatabaseConfig::default();
        let is_project = environment.is_none();
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let known = CONFIG_KEYS.iter().find(|row| row.name == name);
            if let ("throttle", false, Some(section)) =
                (name, is_project, value.get_ref().as_table())
            {
                self.throttle(section, &mut database.throttle);
                continue;
            }
            match known {
                Some(row) if row.project && is_project || row.environment && !is_project => {
                    self.key(&mut database, name, row.values, value);
                }
                Some(_) => {
                    let place = if is_project { "an environment" } else { "`[project]`" };
                    let message = format!("`{name}` does not belong here");
                    let hint = Some(format!("It is a key of {place}"));
                    self.error(key.span().start, message, hint);
                }
                None => {
                    let rows = CONFIG_KEYS.iter();
                    let here =
                        rows.filter(|row| if is_project { row.project } else { row.environment });
                    let hint = did_you_mean(name, here.map(|row| row.name));
                    self.error(key.span().start, format!("Unknown key `{}`", shown(name)), hint);
                }
            }
        }
        match environment {
            None => self.config.project = database,
            Some(name) => {
                self.config.environments.insert(name.to_owned(), database);
            }
        }
    }

    fn key(&mut self, to: &mut DatabaseConfig, name: &str, values: &str, value: &Value<'_>) {
        let at = value.span().start;
        let line = position(self.text, at).0;
        let text = value.get_ref().as_str();
        let flag = value.get_ref().as_bool();
        let duration = text.and_then(parse_duration);
        let nonempty = || text.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        let config = &mut self.config;
        let done = match name {
            "format" => put(&mut config.format, line, text.and_then(Format::from_name)),
            "migrations" => put(&mut config.migrations, line, nonempty()),
            "environment" => put(&mut config.environment, line, nonempty()),
            "url" => return self.url(to, value),
            "database" => put(&mut to.database, line, nonempty()),
            "foreign-keys" => put(&mut to.foreign_keys, line, flag),
            "keep-max" => put(&mut to.keep_max, line, text.and_then(parse_size)),
            "lock-timeout" => put(&mut to.lock_timeout, line, duration),
            "statement-timeout" => put(&mut to.statement_timeout, line, duration),
            "rules" => put(&mut to.rules, line, nonempty()),
            "checks" => put(&mut to.checks, line, nonempty()),
            "batch-size" => put(&mut to.batch_size, line, batch_size(value)),
            "max-retries" => {
                let count = number(value).and_then(|number| u32::try_from(number).ok());
                put(&mut to.max_retries, line, count)
            }
            "retry-delay" => put(&mut to.retry_delay, line, duration),
            "wait" => put(&mut to.wait, line, duration),
            "protected" => put(&mut to.protected, line, flag),
            "backup" => put(&mut to.backup, line, text.and_then(BackupWhen::from_name)),
            _ => false,
        };
        if !done {
            let known = text.filter(|_| name == "format").and_then(Format::nearest);
            let hint = known.map(|known| format!("Did you mean `{known}`?"));
            self.error(at, format!("`{name}` must be {values}"), hint);
        }
    }

    fn url(&mut self, to: &mut DatabaseConfig, value: &Value<'_>) {
        let at = value.span().start;
        let line = position(self.text, at).0;
        let Some(text) = value.get_ref().as_str() else {
            return self.error(at, "`url` must be a string".to_owned(), None);
        };
        match UrlSource::parse(text) {
            Err(error) => {
                let hint = match &error {
                    super::UrlSourceError::Url(error) => error.hint(),
                    super::UrlSourceError::BadVariable => {
                        Some("Write `env:DATABASE_URL`".to_owned())
                    }
                };
                self.error(at, error.to_string(), hint);
            }
            Ok(url) => {
                if url.holds_secret() {
                    self.config.notes.push(format!(
                        "whimbrel.toml holds a password in line {line}: write \
                         `url = \"env:DATABASE_URL\"` or `url = \"file:path\"` instead"
                    ));
                }
                to.url = Some(Lined { value: url, line });
            }
        }
    }

    fn error(&mut self, at: usize, message: String, hint: Option<String>) {
        let (line, column) = position(self.text, at);
        self.errors.push(ConfigError { line, column, message, hint });
    }
}

fn put<T>(slot: &mut Option<Lined<T>>, line: u32, value: Option<T>) -> bool {
    *slot = value.map(|value| Lined { value, line });
    slot.is_some()
}

/// A whole number that is not negative.
fn number(value: &Value<'_>) -> Option<u64> {
    let DeValue::Integer(number) = value.get_ref() else { return None };
    u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// A list of texts; a single text is a list of one.
fn texts(value: &Value<'_>) -> Option<Vec<String>> {
    if let Some(text) = value.get_ref().as_str() {
        return Some(vec![text.to_owned()]);
    }
    let list = value.get_ref().as_array()?;
    list.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect()
}

fn batch_size(value: &Value<'_>) -> Option<BatchSize> {
    match value.get_ref().as_str() {
        Some(text) => BatchSize::parse(text),
        None => number(value).filter(|rows| *rows > 0).map(BatchSize::Rows),
    }
}

fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("Did you mean `{near}`?"))
}

fn shown(name: &str) -> String {
    name.escape_debug().take(40).collect()
}

/// Line and column, in characters, of a byte.
fn position(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(line), number(column))
}
