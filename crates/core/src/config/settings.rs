//! Settings, settled: one value for each, with its origin.

use std::time::Duration;

use super::backup::{BackupSettings, BackupWhen};
use super::file::{DatabaseConfig, Lined};
use super::layers::{Layers, Origin, Sourced, Strength};
use super::units::{parse_duration, parse_size};
use super::url_source::{UrlSource, UrlSourceError};
use super::words::nearest;
use crate::database_url::{DatabaseUrl, UrlError};
use crate::directive::BatchSize;
use crate::format::{Detected, DetectedDatabase, Format};
use crate::retry::{RETRIES, RETRY_DELAY};
use crate::throttle::{Lag, Throttle};

/// Where the rules for rows lie when nothing is said.
const RULES_FOLDER: &str = "rules";
/// The same of checks.
const CHECKS_FOLDER: &str = "checks";
const KEEP_MAX_BYTES: u64 = 1 << 30;
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(60);

/// Every setting with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The environment, if one is named.
    pub environment: Option<Sourced<String>>,
    /// The database, if anything names one. Variables are resolved; a secret file is still to be
    /// read.
    pub url: Option<Sourced<UrlSource>>,
    /// The folder's conventions.
    pub format: Sourced<Format>,
    /// The folder of migrations.
    pub migrations: Sourced<String>,
    /// Whether SQLite enforces foreign keys.
    pub foreign_keys: Sourced<bool>,
    /// Bytes up to which removed rows are kept without being asked.
    pub keep_max: Sourced<u64>,
    /// How long one try waits for a lock; zero waits without end.
    pub lock_timeout: Sourced<Duration>,
    /// How long one statement may run; zero is no limit.
    pub statement_timeout: Sourced<Duration>,
    /// The folder of the rules for rows.
    pub rules: Sourced<String>,
    /// The folder of checks.
    pub checks: Sourced<String>,
    /// How many driving rows a batch has where no directive says it.
    pub batch_size: Sourced<BatchSize>,
    /// How often a batch is tried again.
    pub max_retries: Sourced<u32>,
    /// About how long the first wait before that is.
    pub retry_delay: Sourced<Duration>,
    /// What holds a run between two batches.
    pub throttle: Throttle,
    /// Where each of its signals comes from: name, value and origin.
    throttled: Vec<(&'static str, String, String)>,
    /// How long to wait for the lease.
    pub wait: Sourced<Duration>,
    /// Whether destructive acts want the typed name.
    pub protected: Sourced<bool>,
    /// When a backup is made without being asked for.
    pub backup: Sourced<BackupWhen>,
    /// How backups are made and kept.
    pub backups: BackupSettings,
    /// Where each of those comes from: name, value and line.
    backups_said: Vec<(&'static str, String, u32)>,
    /// What should be said about the settings.
    pub notes: Vec<String>,
}

/// Why settings cannot be settled. Never repeats a value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl SettingsError {
    fn new(message: String, hint: Option<String>) -> SettingsError {
        SettingsError { message, hint }
    }
}

impl Settings {
    /// Settles every setting from the layers and what the project shows.
    pub fn settle(layers: &Layers<'_>, detected: &Detected) -> Result<Settings, SettingsError> {
        check_environment(layers, detected)?;
        let mut notes = layers.config.notes.clone();
        notes.extend(detected.notes.iter().cloned());
        let url = url(layers, detected, &mut notes)?;
        let pick = Picker { layers, section: layers.section() };
        let flags = layers.flags;
        let protected = pick.configured(|c| c.protected.as_ref(), false);
        let backup = if protected.value { BackupWhen::BeforeUp } else { BackupWhen::None };
        let name = layers.environment_name();
        let (throttle, throttled) = throttle(&pick);
        Ok(Settings {
            environment: name.map(|name| Sourced::new(name.value.to_owned(), name.origin)),
            url,
            format: format(layers, detected),
            migrations: migrations(layers, detected),
            foreign_keys: foreign_keys(&pick, detected, &mut notes)?,
            keep_max: pick.value(&Ask {
                flag: None,
                variable: Some("WHIMBREL_KEEP_MAX"),
                configured: |c| c.keep_max.as_ref(),
                parse: parse_size,
                default: KEEP_MAX_BYTES,
            })?,
            lock_timeout: pick.value(&Ask {
                flag: Some(("--lock-timeout", &flags.lock_timeout)),
                variable: Some("WHIMBREL_LOCK_TIMEOUT"),
                configured: |c| c.lock_timeout.as_ref(),
                parse: parse_duration,
                default: LOCK_TIMEOUT,
            })?,
            statement_timeout: pick.value(&Ask {
                flag: Some(("--statement-timeout", &flags.statement_timeout)),
                variable: Some("WHIMBREL_STATEMENT_TIMEOUT"),
                configured: |c| c.statement_timeout.as_ref(),
                parse: parse_duration,
                default: Duration::ZERO,
            })?,
            rules: pick.configured(|c| c.rules.as_ref(), RULES_FOLDER.to_owned()),
            checks: pick.configured(|c| c.checks.as_ref(), CHECKS_FOLDER.to_owned()),
            batch_size: pick.value(&Ask {
                flag: None,
                variable: Some("MIGRATION_BATCH_SIZE"),
                configured: |c| c.batch_size.as_ref(),
                parse: BatchSize::parse,
                default: BatchSize::Auto,
            })?,
            max_retries: pick.value(&Ask {
                flag: None,
                variable: Some("MIGRATION_MAX_RETRIES"),
                configured: |c| c.max_retries.as_ref(),
                parse: |text| text.parse().ok(),
                default: RETRIES,
            })?,
            retry_delay: pick.value(&Ask {
                flag: None,
                variable: Some("MIGRATION_RETRY_DELAY"),
                configured: |c| c.retry_delay.as_ref(),
                parse: |text| {
                    parse_duration(text).or_else(|| text.parse().ok().map(Duration::from_millis))
                },
                default: RETRY_DELAY,
            })?,
            throttle,
            throttled,
            wait: pick.value(&Ask {
                flag: Some(("--wait", &flags.wait)),
                variable: Some("WHIMBREL_WAIT"),
                configured: |c| c.wait.as_ref(),
                parse: parse_duration,
                default: WAIT,
            })?,
            protected,
            backup: pick.configured(|c| c.backup.as_ref(), backup),
            backups: layers.config.backup.settled(),
            backups_said: layers.config.backup.said(),
            notes,
        })
    }

    /// Every setting as name, value and origin, for `doctor --explain`. No secret among them.
    pub fn explain(&self) -> Vec<(&'static str, String, String)> {
        fn row<T>(
            name: &'static str,
            setting: &Sourced<T>,
            value: impl ToString,
        ) -> (&'static str, String, String) {
            (name, value.to_string(), setting.origin.to_string())
        }
        let duration = |setting: &Sourced<Duration>| format!("{:?}", setting.value);
        let mut rows = Vec::new();
        rows.extend(self.environment.as_ref().map(|s| row("environment", s, &s.value)));
        rows.extend(self.url.as_ref().map(|s| row("url", s, &s.value)));
        rows.extend([
            row("format", &self.format, self.format.value.name()),
            row("migrations", &self.migrations, &self.migrations.value),
            row("foreign-keys", &self.foreign_keys, self.foreign_keys.value),
            row("keep-max", &self.keep_max, self.keep_max.value),
            row("lock-timeout", &self.lock_timeout, duration(&self.lock_timeout)),
            row("statement-timeout", &self.statement_timeout, duration(&self.statement_timeout)),
            row("rules", &self.rules, &self.rules.value),
            row("checks", &self.checks, &self.checks.value),
            row("batch-size", &self.batch_size, size_text(self.batch_size.value)),
            row("max-retries", &self.max_retries, self.max_retries.value),
            row("retry-delay", &self.retry_delay, duration(&self.retry_delay)),
            row("wait", &self.wait, duration(&self.wait)),
            row("protected", &self.protected, self.protected.value),
            row("backup", &self.backup, self.backup.value.name()),
        ]);
        rows.extend(self.throttled.iter().cloned());
        rows.extend(self.backups_said.iter().map(|(name, value, line)| {
            (*name, value.clone(), Origin::Config { line: *line }.to_string())
        }));
        rows
    }
}

/// Where one setting may be said, and how it is read.
struct Ask<'a, T> {
    flag: Option<(&'static str, &'a Option<String>)>,
    variable: Option<&'static str>,
    configured: fn(&DatabaseConfig) -> Option<&Lined<T>>,
    parse: fn(&str) -> Option<T>,
    default: T,
}

/// Picks the strongest layer's value of one setting.
struct Picker<'a> {
    layers: &'a Layers<'a>,
    section: Option<&'a DatabaseConfig>,
}

impl<'a> Picker<'a> {
    fn value<T: Clone>(&self, ask: &Ask<'a, T>) -> Result<Sourced<T>, SettingsError> {
        if let Some(given) = self.layers.given(ask.flag, ask.variable.unwrap_or_default()) {
            let row = super::CONFIG_KEYS.iter().find(|row| row.variable == ask.variable);
            let hint = row.map(|row| format!("It is {}", row.values));
            let value = (ask.parse)(given.value.trim()).ok_or_else(|| {
                SettingsError::new(format!("The value of {} is not valid", given.origin), hint)
            })?;
            return Ok(Sourced::new(value, given.origin));
        }
        Ok(self.configured(ask.configured, ask.default.clone()))
    }

    /// What whimbrel.toml says.
    fn configured<T: Clone>(
        &self,
        configured: fn(&DatabaseConfig) -> Option<&Lined<T>>,
        default: T,
    ) -> Sourced<T> {
        let project = &self.layers.config.project;
        match self.section.and_then(configured).or_else(|| configured(project)) {
            Some(lined) => Sourced::new(lined.value.clone(), Origin::Config { line: lined.line }),
            None => Sourced::new(default, Origin::Default),
        }
    }
}

fn size_text(size: BatchSize) -> String {
    match size {
        BatchSize::Auto => "auto".to_owned(),
        BatchSize::Rows(rows) => rows.to_string(),
    }
}

type Explained = Vec<(&'static str, String, String)>;

/// The signals that hold a run, each from the environment's table, else from `[throttle]`.
fn throttle(pick: &Picker<'_>) -> (Throttle, Explained) {
    fn one<T: Clone>(
        pick: &Picker<'_>,
        configured: fn(&DatabaseConfig) -> Option<&Lined<T>>,
        explained: &mut Explained,
        (name, shown): (&'static str, fn(&T) -> String),
    ) -> Option<T> {
        let said = pick.section.and_then(configured);
        let said = said.or_else(|| configured(&pick.layers.config.project))?;
        let origin = Origin::Config { line: said.line }.to_string();
        explained.push((name, shown(&said.value), origin));
        Some(said.value.clone())
    }
    let mut rows = Vec::new();
    let text = |text: &String| text.clone();
    let count = |count: &u64| count.to_string();
    let lag = |lag: &Lag| match lag {
        Lag::Time(time) => format!("{time:?}"),
        Lag::Bytes(bytes) => format!("{bytes} bytes"),
    };
    let throttle = Throttle {
        replication_lag: one(
            pick,
            |c| c.throttle.replication_lag.as_ref(),
            &mut rows,
            ("throttle.replication-lag", lag),
        ),
        active_connections: one(
            pick,
            |c| c.throttle.active_connections.as_ref(),
            &mut rows,
            ("throttle.active-connections", count),
        ),
        lock_waits: one(
            pick,
            |c| c.throttle.lock_waits.as_ref(),
            &mut rows,
            ("throttle.lock-waits", count),
        ),
        query: one(pick, |c| c.throttle.query.as_ref(), &mut rows, ("throttle.query", text)),
        flag_file: one(
            pick,
            |c| c.throttle.flag_file.as_ref(),
            &mut rows,
            ("throttle.flag-file", text),
        ),
        window: one(
            pick,
            |c| c.throttle.window.as_ref(),
            &mut rows,
            ("throttle.window", ToString::to_string),
        ),
    };
    (throttle, rows)
}

/// An environment is known to whimbrel.toml, or to the other tool, which then has answered for it.
fn check_environment(layers: &Layers<'_>, detected: &Detected) -> Result<(), SettingsError> {
    let Some(name) = layers.environment_name() else { return Ok(()) };
    let tool_knows = matches!(detected.database, Some(DetectedDatabase::LocalD1 { .. }));
    if layers.section().is_some() || tool_knows {
        return Ok(());
    }
    let known = layers.config.environments.keys().map(String::as_str);
    let shown: String = name.value.escape_debug().take(40).collect();
    let hint = match nearest(name.value, known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "Write `[environments.NAME]` into whimbrel.toml".to_owned(),
    };
    let message = format!("There is no environment `{shown}` (named by {})", name.origin);
    Err(SettingsError::new(message, Some(hint)))
}

fn format(layers: &Layers<'_>, detected: &Detected) -> Sourced<Format> {
    let origin = match &layers.config.format {
        Some(format) => Origin::Config { line: format.line },
        None => Origin::Detected(detected.why.clone()),
    };
    Sourced::new(detected.layout.format, origin)
}

fn migrations(layers: &Layers<'_>, detected: &Detected) -> Sourced<String> {
    let origin = match &layers.config.migrations {
        Some(folder) => Origin::Config { line: folder.line },
        None => Origin::Detected(detected.why.clone()),
    };
    Sourced::new(detected.layout.migrations.clone(), origin)
}

fn foreign_keys(
    pick: &Picker<'_>,
    detected: &Detected,
    notes: &mut Vec<String>,
) -> Result<Sourced<bool>, SettingsError> {
    let asked = pick.value(&Ask {
        flag: None,
        variable: Some("WHIMBREL_FOREIGN_KEYS"),
        configured: |c| c.foreign_keys.as_ref(),
        parse: |text| text.parse().ok(),
        default: false,
    })?;
    if detected.layout.format != Format::Wrangler {
        return Ok(asked);
    }
    if !asked.value && asked.origin != Origin::Default {
        let origin = &asked.origin;
        notes.push(format!("D1 always enforces foreign keys: `false` from {origin} has no effect"));
    }
    Ok(Sourced::new(true, Origin::Detected("D1 always enforces foreign keys".to_owned())))
}

/// The database: a flag, a named environment's URL, a variable, whimbrel.toml, the project itself.
///
/// The URL of an environment counts as strongly as the layer that names the environment: `--env
/// prod` must not end in the database of a `DATABASE_URL` that happens to be set.
fn url(
    layers: &Layers<'_>,
    detected: &Detected,
    notes: &mut Vec<String>,
) -> Result<Option<Sourced<UrlSource>>, SettingsError> {
    if let Some(url) = &layers.flags.url {
        return read(layers, url.expose(), Origin::Flag("--url")).map(Some);
    }
    let section = layers.section().and_then(|section| section.url.as_ref());
    let named_by = layers.environment_name().and_then(|name| name.origin.strength());
    let configured = |url: &Lined<UrlSource>| {
        let origin = Origin::Config { line: url.line };
        resolve(layers, url.value.clone(), origin).map(Some)
    };
    let variable = layers.variable("WHIMBREL_URL");
    let strength = variable.as_ref().and_then(|variable| variable.origin.strength());
    if let Some(url) = section
        && named_by == Some(Strength::Flag)
    {
        return configured(url);
    }
    if let Some(variable) = variable
        && (section.is_none() || strength >= named_by)
    {
        return read(layers, variable.value, variable.origin).map(Some);
    }
    if let Some(variable) = layers.variable("DATABASE_URL") {
        let stronger = section.is_none() || variable.origin.strength() > named_by;
        if stronger && let Some(url) = database_url(layers, detected, variable, notes)? {
            return Ok(Some(url));
        }
    }
    if let Some(url) = section.or(layers.config.project.url.as_ref()) {
        return configured(url);
    }
    Ok(detected.database.as_ref().map(|database| {
        let url = match database {
            DetectedDatabase::Url(url) => url.clone(),
            DetectedDatabase::LocalD1 { path, .. } => DatabaseUrl::sqlite_file(path),
        };
        Sourced::new(UrlSource::Literal(url), Origin::Detected(detected.why.clone()))
    }))
}

/// `DATABASE_URL` is everybody's variable: one for another kind of database is not meant for us.
fn database_url(
    layers: &Layers<'_>,
    detected: &Detected,
    variable: Sourced<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<Sourced<UrlSource>>, SettingsError> {
    let other = match (UrlSource::parse(variable.value), detected.layout.dialect) {
        (_, None) => false,
        (Ok(UrlSource::Literal(url)), Some(dialect)) => url.dialect() != dialect,
        // A kind of database that we do not know; a misspelt one that we do know is an error.
        (Err(UrlSourceError::Url(UrlError::UnknownScheme { nearest, .. })), _) => nearest.is_none(),
        (Ok(_) | Err(_), _) => false,
    };
    if other {
        let (origin, format) = (variable.origin, detected.layout.format.name());
        notes.push(format!("{origin} is passed over: it names no database of a {format} project"));
        return Ok(None);
    }
    read(layers, variable.value, variable.origin).map(Some)
}

fn read(
    layers: &Layers<'_>,
    text: &str,
    origin: Origin,
) -> Result<Sourced<UrlSource>, SettingsError> {
    let url = UrlSource::parse(text).map_err(|error| {
        let hint = match &error {
            UrlSourceError::Url(error) => error.hint(),
            UrlSourceError::BadVariable => None,
        };
        SettingsError::new(format!("{error} (from {origin})"), hint)
    })?;
    resolve(layers, url, origin)
}

/// Follows `env:NAME`, once.
fn resolve(
    layers: &Layers<'_>,
    url: UrlSource,
    origin: Origin,
) -> Result<Sourced<UrlSource>, SettingsError> {
    let UrlSource::Variable(name) = &url else { return Ok(Sourced::new(url, origin)) };
    let Some(variable) = layers.variable(name) else {
        let message = format!("The variable `{name}` is not set (named by {origin})");
        let hint = Some(format!("Set `{name}` in the environment or in `.env`"));
        return Err(SettingsError::new(message, hint));
    };
    match UrlSource::parse(variable.value) {
        Ok(UrlSource::Variable(_)) => {
            let message = format!("The variable `{name}` names another variable");
            Err(SettingsError::new(message, Some("Put the URL itself into it".to_owned())))
        }
        Ok(url) => Ok(Sourced::new(url, variable.origin)),
        Err(error) => {
            let hint = match &error {
                UrlSourceError::Url(error) => error.hint(),
                UrlSourceError::BadVariable => None,
            };
            Err(SettingsError::new(format!("{error} (from {})", variable.origin), hint))
        }
    }
}
