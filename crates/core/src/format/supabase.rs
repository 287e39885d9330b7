//! Supabase projects: `supabase/migrations`, and the local database of `supabase start`.

use super::{
    DetectError, Detected, DetectedDatabase, Format, FormatRow, Layout, Probe, Wanted, line_of,
};
use crate::database_url::DatabaseUrl;
use crate::sql::dialect::Dialect;

pub(super) const ROW: FormatRow = FormatRow {
    format: Format::Supabase,
    name: "supabase",
    signal: "supabase/config.toml or supabase/migrations",
    migrations: "supabase/migrations",
    companions: Some("whimbrel"),
    dialect: Some(Dialect::Postgres),
    history_table: Some("supabase_migrations.schema_migrations"),
    timestamps: true,
    recognise,
};

const CONFIG: &str = "supabase/config.toml";

/// The port of the local database where the configuration names none.
const PORT: u16 = 54322;

/// The port of the local database, from `supabase/config.toml`.
///
/// `None` if it is taken from a variable (`env(NAME)`), which only the CLI resolves.
pub fn local_port(config: &str) -> Result<Option<u16>, DetectError> {
    let hint = "Correct it, or name the database with `--url`";
    let text = config.strip_prefix('\u{feff}').unwrap_or(config);
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        DetectError::new(format!("{CONFIG}: line {line}: {}", error.message().trim()), hint)
    })?;
    let port = table.get("db").and_then(|db| db.get("port"));
    match port {
        None => Ok(Some(PORT)),
        Some(toml::Value::Integer(number)) => match u16::try_from(*number) {
            Ok(port) if port > 0 => Ok(Some(port)),
            Ok(_) | Err(_) => {
                Err(DetectError::new(format!("{CONFIG}: `db.port` is no port"), hint))
            }
        },
        Some(toml::Value::String(text)) if text.trim().starts_with("env(") => Ok(None),
        Some(_) => Err(DetectError::new(format!("{CONFIG}: `db.port` is not a number"), hint)),
    }
}

/// The address of the local database; user and password are the same for everybody.
pub fn local_url(port: u16) -> Option<DatabaseUrl> {
    DatabaseUrl::parse(&format!("postgresql://postgres:postgres@127.0.0.1:{port}/postgres")).ok()
}

fn recognise(probe: &Probe, _: &Wanted<'_>) -> Result<Option<Detected>, DetectError> {
    let config = probe.files.get(CONFIG);
    if config.is_none() && !probe.folders.contains(ROW.migrations) {
        return Ok(None);
    }
    let mut notes = Vec::new();
    let (why, port) = match config {
        Some(text) => (CONFIG, local_port(text)?),
        None => ("the folder supabase/migrations", Some(PORT)),
    };
    if port.is_none() {
        notes.push(format!("`db.port` in {CONFIG} is a variable: name the database with `--url`"));
    }
    let database = port.and_then(local_url).map(DetectedDatabase::Url);
    let (layout, why) = (Layout::new(Format::Supabase), why.to_owned());
    Ok(Some(Detected { layout, why, database, notes }))
}
