//! What every command starts from: settings from all layers, the printer, and the project.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use whimbrel_core::backup::StoreUrl;
use whimbrel_core::config::{
    BackupSettings, BackupWhen, Config, DotEnvEntry, Flags, Layers, Origin, Settings, Sourced,
    UrlSource, Variables,
};
use whimbrel_core::database_url::DatabaseUrl;
use whimbrel_core::format::{self, Detected, DetectedDatabase, Format};
use whimbrel_core::history::HistoryTable;
use whimbrel_core::retry::Retries;
use whimbrel_core::secret::Secret;
use whimbrel_engine::{
    BackupStore, Project, ProjectOptions, STORE_VARIABLES, StopFlag, Target, files,
};

use crate::cli::Global;
use crate::error::CommandError;
use crate::printer::{Format as OutputFormat, Printer};

/// The file of settings.
pub const CONFIG_FILE: &str = "whimbrel.toml";
/// The file of a never opened database, for commands that need no database.
const NO_DATABASE: &str = "no-database.sqlite";

/// What every command starts from.
pub struct Context {
    /// Options that all commands share.
    pub global: Global,
    /// Where results and messages go.
    pub printer: Printer,
    /// Set when the user asks to stop.
    pub stop: StopFlag,
    /// The environment's variables.
    pub variables: Variables,
    /// Name of the account.
    pub user: String,
    settings: Option<Settings>,
}

impl Context {
    /// A context for one command.
    pub fn new(
        global: Global,
        printer: Printer,
        stop: StopFlag,
        variables: Variables,
        user: String,
    ) -> Context {
        Context { global, printer, stop, variables, user, settings: None }
    }

    /// The project's folder; empty for the present one, so that paths read `app.db` and not
    /// `./app.db`.
    pub fn root(&self) -> PathBuf {
        let here = Path::new(".");
        self.global.project.clone().filter(|folder| folder != here).unwrap_or_default()
    }

    /// The project with its database.
    ///
    /// # Errors
    /// When settings are wrong, no database is named, or the folder is missing.
    pub fn project(&mut self) -> Result<Project, CommandError> {
        let mut project = self.open(true, true)?;
        let settings = self.settings.take();
        for name in project.named_sources()? {
            let source = self.project_at(&name).map_err(|error| error.in_one_line());
            project.add_source(name, source);
        }
        self.settings = settings;
        Ok(project)
    }

    /// The project with the database that a command names: an environment, or an address
    /// (`env:NAME` takes it from an environment variable).
    ///
    /// # Errors
    /// As [`Context::project`].
    pub fn project_at(&mut self, name: &str) -> Result<Project, CommandError> {
        self.at(name, true)
    }

    /// The same for commands that need no file of the project, and so no folder of migrations.
    ///
    /// # Errors
    /// When settings are wrong.
    pub fn database_at(&mut self, name: &str) -> Result<Project, CommandError> {
        self.at(name, false)
    }

    /// The project's database, for commands that need no folder of migrations.
    ///
    /// # Errors
    /// When settings are wrong or no database is named.
    pub fn database(&mut self) -> Result<Project, CommandError> {
        self.open(true, false)
    }

    fn at(&mut self, name: &str, needs_folder: bool) -> Result<Project, CommandError> {
        let before = (self.global.env.clone(), self.global.url.clone());
        (self.global.env, self.global.url) = match name.contains(':') {
            true => (None, Some(name.to_owned())),
            false => (Some(name.to_owned()), None),
        };
        let project = self.open(true, needs_folder);
        (self.global.env, self.global.url) = before;
        let project = project?;
        let config = read_config(&self.root())?;
        let section = config.environments.get(name);
        if section.is_some_and(|section| section.url.is_none())
            && matches!(project.options().target, Target::Url(_))
        {
            let message = format!("The environment `{name}` has no `url` of its own");
            return Err(CommandError::usage(message)
                .hinted(format!("Write it into `[environments.{name}]` of {CONFIG_FILE}")));
        }
        Ok(project)
    }

    /// The project for commands that only need its files.
    ///
    /// # Errors
    /// When settings are wrong or the folder is missing.
    pub fn project_files(&mut self) -> Result<Project, CommandError> {
        self.open(false, false)
    }

    fn open(&mut self, needs_database: bool, needs_folder: bool) -> Result<Project, CommandError> {
        let root = self.root();
        if !root.as_os_str().is_empty() && !root.is_dir() {
            return Err(CommandError::usage(format!("There is no folder `{}`", root.display())));
        }
        let mut config = read_config(&root)?;
        let dotenv = read_dotenv(&root)?;
        let mut flags = self.flags();
        if !needs_database {
            // A variable that is not set yet must not keep anybody from writing a migration.
            flags.url = None;
            config.project.url = None;
            config.environments.values_mut().for_each(|environment| environment.url = None);
        }
        let layers = Layers {
            flags: &flags,
            environment: &self.variables,
            dotenv: &dotenv,
            config: &config,
        };
        let probe = files::probe(&root);
        let detected = format::detect(&probe, &layers.wanted())
            .map_err(|error| usage(error.message, error.hint))?;
        let settings = Settings::settle(&layers, &detected)
            .map_err(|error| usage(error.message, error.hint))?;
        for note in &settings.notes {
            self.printer.note(&format!("note: {note}"));
        }
        let target = match target(&root, &settings, &detected)? {
            Some(target) => target,
            None if needs_database => return Err(no_database()),
            None => Target::Url(DatabaseUrl::sqlite_file(NO_DATABASE)),
        };
        let mut options = self.options(root, &settings, detected, target);
        options.backup_store = self.store(&settings.backups, None)?;
        if needs_folder && !options.root.join(&options.layout.migrations).is_dir() {
            return Err(no_folder(&options));
        }
        self.settings = Some(settings);
        Ok(Project::new(options)?)
    }

    fn options(
        &self,
        root: PathBuf,
        settings: &Settings,
        detected: Detected,
        target: Target,
    ) -> ProjectOptions {
        let mut layout = detected.layout;
        if layout.dialect.is_none()
            && let Target::Url(url) = &target
        {
            layout.dialect = Some(url.dialect());
        }
        let history = match (layout.format, &detected.database) {
            (Format::Wrangler, Some(DetectedDatabase::LocalD1 { database, .. })) => {
                Some(HistoryTable::Wrangler { table: database.migrations_table.clone() })
            }
            (Format::Supabase, _) => Some(HistoryTable::Supabase),
            _ => None,
        };
        let backups = root.join(&settings.backups.folder);
        ProjectOptions {
            root,
            layout,
            target,
            environment: settings
                .environment
                .as_ref()
                .map_or_else(String::new, |name| name.value.clone()),
            protected: settings.protected.value,
            foreign_keys: settings.foreign_keys.value,
            history,
            user: self.user.clone(),
            keep_bytes_max: settings.keep_max.value,
            lock_timeout_ms: millis(settings.lock_timeout.value),
            statement_timeout_ms: millis(settings.statement_timeout.value),
            rules: named(&settings.rules),
            checks: named(&settings.checks),
            batch_size: settings.batch_size.value,
            retries: Retries { max: settings.max_retries.value, delay: settings.retry_delay.value },
            throttle: settings.throttle.clone(),
            backups,
            backup_store: None,
        }
    }

    /// The object store in which backups lie: that of `url`, else that of the settings.
    ///
    /// # Errors
    /// When `url` is no address of one, or `.env` cannot be read.
    pub fn store(
        &self,
        settings: &BackupSettings,
        url: Option<&str>,
    ) -> Result<Option<BackupStore>, CommandError> {
        let named = url.map(|url| {
            StoreUrl::parse(url).map_err(|reason| {
                CommandError::usage(format!("The value of `--store` is not valid: {reason}"))
            })
        });
        let Some(url) = named.transpose()?.or_else(|| settings.store.clone()) else {
            return Ok(None);
        };
        let mut keys = Vec::new();
        for name in STORE_VARIABLES {
            keys.extend(self.variable(name)?.map(|value| (name, value)));
        }
        let BackupSettings { endpoint, region, plain_http_host, .. } = settings.clone();
        Ok(Some(BackupStore { url, endpoint, region, plain_http_host, keys }))
    }

    /// A variable of the environment, or else of `.env`; an empty one is none.
    ///
    /// # Errors
    /// When `.env` cannot be read.
    pub fn variable(&self, name: &str) -> Result<Option<Secret>, CommandError> {
        let value = match self.variables.get(name) {
            Some(value) => Some(Secret::new(value)),
            None => {
                let lines = read_dotenv(&self.root())?;
                lines.into_iter().find(|line| line.name == name).map(|line| line.value)
            }
        };
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// A secret that is named by `env:NAME` or `file:PATH`.
    ///
    /// # Errors
    /// When it is named in another way, or is not there.
    pub fn secret(&self, what: &str, named: &str) -> Result<Secret, CommandError> {
        if let Some(name) = named.strip_prefix("env:") {
            let missing = || CommandError::usage(format!("The variable `{name}` is not set"));
            return self.variable(name)?.ok_or_else(missing);
        }
        let Some(path) = named.strip_prefix("file:") else {
            return Err(CommandError::usage(format!("The {what} is not to stand in a command"))
                .hinted("Name where it is: `env:NAME` or `file:PATH`"));
        };
        let path = self.root().join(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?;
        Ok(Secret::new(text))
    }

    fn flags(&self) -> Flags {
        Flags {
            url: self.global.url.clone().map(Secret::new),
            environment: self.global.env.clone(),
            database: self.global.database.clone(),
            persist_to: self.global.persist_to.clone(),
            wait: self.global.wait.clone(),
            lock_timeout: self.global.lock_timeout.clone(),
            statement_timeout: self.global.statement_timeout.clone(),
        }
    }

    /// How long to wait for another run.
    pub fn wait(&self) -> Duration {
        self.settings.as_ref().map_or(Duration::from_secs(60), |settings| settings.wait.value)
    }

    /// How backups are made and kept; without a project opened before, as if nothing was said.
    pub fn backups(&self) -> BackupSettings {
        self.settings.as_ref().map_or_else(BackupSettings::default, |one| one.backups.clone())
    }

    /// Whether the database is saved before `up`.
    pub fn backs_up(&self) -> bool {
        self.settings.as_ref().is_some_and(|one| one.backup.value == BackupWhen::BeforeUp)
    }

    /// Every setting with its value and origin.
    pub fn explained(&self) -> Vec<(&'static str, String, String)> {
        self.settings.as_ref().map_or_else(Vec::new, Settings::explain)
    }

    /// Says a result line, in human output only.
    pub fn say(&mut self, line: &str) {
        if self.printer.format() == OutputFormat::Human {
            self.printer.out(line);
        }
    }

    /// The result of a command that acts on named migrations, in JSON output only.
    pub fn names(&mut self, command: &str, done: &str, names: &[String]) {
        if self.printer.format() == OutputFormat::Json {
            let value = json!({
                "schema_version": 1, "event": "end", "command": command, "done": done,
                "migrations": names,
            });
            self.printer.json(&value, false);
        }
    }
}

/// A folder that somebody has named, and which must be there.
fn named(folder: &Sourced<String>) -> Option<PathBuf> {
    (folder.origin != Origin::Default).then(|| PathBuf::from(&folder.value))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn usage(message: String, hint: Option<String>) -> CommandError {
    let error = CommandError::usage(message);
    match hint {
        Some(hint) => error.hinted(hint),
        None => error,
    }
}

fn no_database() -> CommandError {
    CommandError::usage("No database is named")
        .hinted("Set DATABASE_URL (in the environment or in .env), or pass `--url`")
        .hinted("For a file: `whimbrel --url sqlite:app.db status`")
}

fn no_folder(options: &ProjectOptions) -> CommandError {
    let folder = options.root.join(&options.layout.migrations);
    CommandError::usage(format!("There is no folder `{}`", folder.display()))
        .hinted("`whimbrel new NAME` makes it with a first migration")
        .hinted("If the project is elsewhere, name its folder with `--project`")
}

fn read_config(root: &Path) -> Result<Config, CommandError> {
    let path = root.join(CONFIG_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(CommandError::usage(format!("{}: {error}", path.display()))),
    };
    Config::parse(&text).map_err(|errors| {
        let mut out = CommandError::usage(format!("{CONFIG_FILE} cannot be used"));
        for error in errors {
            out.lines
                .push(format!("{CONFIG_FILE}:{}:{}: {}", error.line, error.column, error.message));
            out.hints.extend(error.hint);
        }
        out
    })
}

fn read_dotenv(root: &Path) -> Result<Vec<DotEnvEntry>, CommandError> {
    let path = root.join(".env");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CommandError::usage(format!("{}: {error}", path.display()))),
    };
    let mut out = Vec::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        // The parser's own message would repeat the line, and with it perhaps a password.
        let Ok((name, value)) = entry else {
            return Err(CommandError::usage(".env has a line that is not NAME=VALUE")
                .hinted("Put values with blanks or # into quotes"));
        };
        let line = line_of(&text, &name);
        out.push(DotEnvEntry { name, value: Secret::new(value), line });
    }
    Ok(out)
}

fn line_of(text: &str, name: &str) -> u32 {
    let found = text.lines().position(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    });
    u32::try_from(found.map_or(0, |index| index + 1)).unwrap_or(u32::MAX)
}

/// The database that the settings name.
fn target(
    root: &Path,
    settings: &Settings,
    detected: &Detected,
) -> Result<Option<Target>, CommandError> {
    let Some(source) = &settings.url else { return Ok(None) };
    let url = match &source.value {
        UrlSource::Literal(url) => url.clone(),
        UrlSource::SecretFile(path) => read_secret_file(root, path)?,
        UrlSource::Variable(name) => {
            return Err(CommandError::usage(format!("The variable `{name}` is not set")));
        }
    };
    if detected.layout.format == Format::Wrangler
        && let DatabaseUrl::Sqlite(sqlite) = &url
        && let whimbrel_core::database_url::SqlitePath::File(path) = &sqlite.path
    {
        return Ok(Some(Target::LocalD1(root.join(path))));
    }
    Ok(Some(Target::Url(url)))
}

fn read_secret_file(root: &Path, path: &str) -> Result<DatabaseUrl, CommandError> {
    let path = root.join(path);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?;
    DatabaseUrl::parse(text.trim())
        .map_err(|error| usage(format!("{error} (from the file {})", path.display()), error.hint()))
}
