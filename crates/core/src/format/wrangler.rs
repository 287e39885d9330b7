//! wrangler projects: which D1 database, its folder of migrations, and its local file.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    DetectError, Detected, DetectedDatabase, Format, FormatRow, Layout, Pattern, Probe, Wanted,
    clean_folder,
};
use crate::config::nearest;
use crate::sql::dialect::Dialect;

pub(super) const ROW: FormatRow = FormatRow {
    format: Format::Wrangler,
    name: "wrangler",
    signal: "`d1_databases` in wrangler.json, wrangler.jsonc or wrangler.toml",
    migrations: "migrations",
    companions: Some("whimbrel"),
    dialect: Some(Dialect::Sqlite),
    history_table: Some("d1_migrations"),
    timestamps: false,
    recognise,
};

/// wrangler's configuration files, in the order in which it looks for them.
const FILES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/// One entry of `d1_databases`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct D1Database {
    /// The name by which the Worker knows it.
    pub binding: String,
    /// Its name at Cloudflare.
    pub database_name: Option<String>,
    /// Its id at Cloudflare.
    pub database_id: Option<String>,
    /// The id of the database used by previews and local work.
    pub preview_database_id: Option<String>,
    /// The folder of migrations, relative to the configuration file.
    pub migrations_dir: String,
    /// The table in which wrangler notes what ran.
    pub migrations_table: String,
    /// Which paths below the folder are migrations.
    pub migrations_pattern: Option<Pattern>,
}

/// What wrangler's configuration says about databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WranglerConfig {
    /// The databases without an environment.
    pub databases: Vec<D1Database>,
    /// The environments and their databases, in the file's order. Nothing is inherited.
    pub environments: Vec<(String, Vec<D1Database>)>,
}

impl WranglerConfig {
    /// Reads a configuration; the file's name tells TOML from JSON with comments.
    pub fn parse(file_name: &str, text: &str) -> Result<WranglerConfig, DetectError> {
        let value = parse_value(file_name, text)?;
        let databases = databases(file_name, "d1_databases", &value)?;
        let mut environments = Vec::new();
        match value.get("env") {
            None | Some(Value::Null) => {}
            Some(Value::Object(list)) => {
                for (name, environment) in list {
                    let place = format!("env.{name}.d1_databases");
                    environments
                        .push((name.clone(), self::databases(file_name, &place, environment)?));
                }
            }
            Some(_) => return Err(wrong(file_name, "`env` is not a table")),
        }
        Ok(WranglerConfig { databases, environments })
    }

    /// Whether any D1 database is named.
    pub fn has_databases(&self) -> bool {
        !self.databases.is_empty() || self.environments.iter().any(|(_, list)| !list.is_empty())
    }

    /// Picks the database of an environment, by name or binding where there are several.
    pub fn select(
        &self,
        environment: Option<&str>,
        name: Option<&str>,
    ) -> Result<&D1Database, DetectError> {
        let names = || self.environments.iter().map(|(name, _)| name.as_str());
        let list = match environment {
            None => &self.databases,
            Some(wanted) => match self.environments.iter().find(|(name, _)| name == wanted) {
                Some((_, list)) => list,
                None => {
                    let hint = match nearest(wanted, names()) {
                        Some(near) => format!("Did you mean `{near}`?"),
                        None => format!("It has {}", listed(names())),
                    };
                    let message = format!("wrangler's configuration has no environment `{wanted}`");
                    return Err(DetectError::new(message, hint));
                }
            },
        };
        if let Some(wanted) = name {
            let known = || list.iter().flat_map(D1Database::names);
            return list.iter().find(|database| database.names().any(|n| n == wanted)).ok_or_else(
                || {
                    let hint = match nearest(wanted, known()) {
                        Some(near) => format!("Did you mean `{near}`?"),
                        None => format!("There are {}", listed(known())),
                    };
                    DetectError::new(format!("There is no D1 database `{wanted}`"), hint)
                },
            );
        }
        match list.as_slice() {
            [one] => Ok(one),
            [] => Err(DetectError::new(
                match environment {
                    Some(name) => format!("wrangler's environment `{name}` has no `d1_databases`"),
                    None => "wrangler's configuration has `d1_databases` only in environments"
                        .to_owned(),
                },
                format!("Name an environment with `--env`: {}", listed(names())),
            )),
            several => Err(DetectError::new(
                "wrangler's configuration names several D1 databases",
                format!(
                    "Say which one, by name or binding, as `database` in whimbrel.toml: {}",
                    listed(several.iter().map(D1Database::label))
                ),
            )),
        }
    }
}

impl D1Database {
    /// The name by which people call it.
    pub fn label(&self) -> &str {
        self.database_name.as_deref().unwrap_or(&self.binding)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.database_name.as_deref().into_iter().chain([self.binding.as_str()])
    }

    /// What wrangler derives the local file's name from.
    pub fn local_name(&self) -> &str {
        let ids = [&self.preview_database_id, &self.database_id];
        ids.into_iter().flatten().next().unwrap_or(&self.binding)
    }

    /// The local file, relative to the configuration file.
    ///
    /// `persist_to` is what wrangler was given as `--persist-to`, if anything.
    pub fn local_path(&self, persist_to: Option<&str>) -> String {
        let state = match persist_to {
            Some(folder) => clean_folder(folder),
            None => ".wrangler/state".to_owned(),
        };
        let id = local_file_id(self.local_name());
        format!("{}/v3/d1/{NAMESPACE}/{id}.sqlite", state.trim_end_matches('/'))
    }
}

/// The Durable Object class behind which wrangler keeps local D1 databases.
const NAMESPACE: &str = "miniflare-D1DatabaseObject";

/// The name of a local database's file: the id of a Durable Object of that name.
pub fn local_file_id(name: &str) -> String {
    let namespace_key = Sha256::digest(NAMESPACE.as_bytes());
    // HMAC pads a short key with zeros, so the padded block is the same key.
    let mut block = [0_u8; 64];
    for (to, from) in block.iter_mut().zip(namespace_key.iter()) {
        *to = *from;
    }
    let half = |message: &[u8]| -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(message);
        mac.finalize().into_bytes().iter().copied().take(16).collect()
    };
    let name_half = half(name.as_bytes());
    let check_half = half(&name_half);
    name_half.iter().chain(&check_half).map(|byte| format!("{byte:02x}")).collect()
}

fn recognise(probe: &Probe, wanted: &Wanted<'_>) -> Result<Option<Detected>, DetectError> {
    let mut present = FILES.iter().filter_map(|name| Some((*name, probe.files.get(*name)?)));
    let Some((file_name, text)) = present.next() else { return Ok(None) };
    let config = WranglerConfig::parse(file_name, text)?;
    if !config.has_databases() {
        return Ok(None);
    }
    let mut notes = Vec::new();
    if let Some((other, _)) = present.next() {
        notes.push(format!("wrangler reads {file_name} and not {other}, and so does Whimbrel"));
    }
    let database = config.select(wanted.environment, wanted.database)?.clone();
    let layout = Layout {
        migrations: database.migrations_dir.clone(),
        pattern: database.migrations_pattern.clone(),
        ..Layout::new(Format::Wrangler)
    };
    let path = database.local_path(wanted.persist_to);
    let why = format!("`d1_databases` in {file_name}");
    let database = Some(DetectedDatabase::LocalD1 { database, path });
    Ok(Some(Detected { layout, why, database, notes }))
}

fn parse_value(file_name: &str, text: &str) -> Result<Value, DetectError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if file_name.ends_with(".toml") {
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let line = super::line_of(text, error.span().map_or(0, |span| span.start));
            wrong(file_name, &format!("line {line}: {}", error.message().trim()))
        })?;
        return serde_json::to_value(table).map_err(|error| wrong(file_name, &error.to_string()));
    }
    let value: Option<Value> = jsonc_parser::parse_to_serde_value(text, &Default::default())
        .map_err(|error| {
            let (line, kind) = (error.line_display(), error.kind());
            wrong(file_name, &format!("line {line}: {kind}"))
        })?;
    Ok(value.unwrap_or(Value::Null))
}

fn databases(file: &str, place: &str, parent: &Value) -> Result<Vec<D1Database>, DetectError> {
    let list = match parent.get("d1_databases") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong(file, &format!("`{place}` is not a list"))),
    };
    list.iter()
        .enumerate()
        .map(|(index, entry)| database(file, &format!("{place}[{index}]"), entry))
        .collect()
}

fn database(file: &str, place: &str, entry: &Value) -> Result<D1Database, DetectError> {
    let text = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(file, &format!("`{place}.{key}` is not a string"))),
    };
    if !entry.is_object() {
        return Err(wrong(file, &format!("`{place}` is not a table")));
    }
    let binding = text("binding")?;
    let binding = binding.ok_or_else(|| wrong(file, &format!("`{place}` has no `binding`")))?;
    let migrations_dir = text("migrations_dir")?.unwrap_or_else(|| ROW.migrations.to_owned());
    let migrations_dir = clean_folder(&migrations_dir);
    let pattern = match text("migrations_pattern")? {
        None => None,
        Some(text) => Some(pattern(&migrations_dir, &text).ok_or_else(|| {
            wrong(
                file,
                &format!(
                    "`{place}.migrations_pattern` must be `{migrations_dir}/` and names with `*`"
                ),
            )
        })?),
    };
    Ok(D1Database {
        binding,
        database_name: text("database_name")?,
        database_id: text("database_id")?,
        preview_database_id: text("preview_database_id")?,
        migrations_dir,
        migrations_table: text("migrations_table")?.unwrap_or_else(|| "d1_migrations".to_owned()),
        migrations_pattern: pattern,
    })
}

/// wrangler's pattern begins with the folder; ours is relative to it.
fn pattern(folder: &str, text: &str) -> Option<Pattern> {
    let text = text.trim_start_matches("./");
    let below = text.strip_prefix(folder)?.strip_prefix('/')?;
    Pattern::parse(below)
}

fn wrong(file_name: &str, what: &str) -> DetectError {
    DetectError::new(
        format!("{file_name}: {what}"),
        "Correct it, or pass it over with `format = \"own\"` under `[project]` in whimbrel.toml",
    )
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
