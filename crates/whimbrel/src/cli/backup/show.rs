//! Backups as people and programs see them.

use schemars::JsonSchema;
use serde::Serialize;
use whimbrel_core::backup::{Manifest, Sealed};
use whimbrel_engine::{BackupLine, BackupReport};

use crate::cli::text::{plural, table, time};
use crate::context::Context;
use crate::output::envelope;
use crate::printer::Format;

/// What `backup list --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ListJson {
    /// Oldest first.
    backups: Vec<LineJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LineJson {
    /// Id.
    id: String,
    /// `good`, `expired` or `damaged`, as far as signature and manifest tell.
    state: String,
    /// When it was restored and compared last, in milliseconds since 1970. Only a verified one
    /// counts as the last good one, which never goes.
    verified_ms: Option<i64>,
    /// What is wrong with it.
    damage: Option<String>,
    /// What it says of itself; null when it is damaged.
    manifest: Option<ManifestJson>,
}

/// What `backup create`, `show`, `verify` and `restore` print with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct BackupJson {
    /// What it says of itself.
    manifest: ManifestJson,
    /// What is in it; null when no key was given.
    tables: Option<Vec<TableJson>>,
    /// The applied migrations; null when no key was given.
    migrations: Option<Vec<String>>,
    /// What was in the database and is not in the backup; null when no key was given.
    left_out: Option<Vec<String>>,
    /// A database was made of it, and all rows were compared.
    restored: bool,
    /// Where the restored database lies.
    target: Option<String>,
    /// Why something about it could not be noted in the ledger or beside it.
    note: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ManifestJson {
    /// Id.
    id: String,
    /// UUID of the database, if it has a ledger.
    database_id: Option<String>,
    /// Environment; empty without one.
    environment: String,
    /// Kind of database.
    engine: String,
    /// Its version.
    engine_version: String,
    /// Version of Whimbrel that made it.
    tool_version: String,
    /// When it was made, in milliseconds since 1970.
    created_ms: i64,
    /// Until when it is kept, in milliseconds since 1970.
    expires_ms: i64,
    /// Bytes of the data before compression.
    data_bytes: u64,
    /// Bytes of its files.
    stored_bytes: u64,
    /// Whether it is sealed.
    encrypted: bool,
    /// How many chunks it has.
    chunks: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TableJson {
    /// Its name.
    name: String,
    /// How many rows.
    rows: u64,
    /// Digest over all of them.
    digest: String,
}

pub(super) fn verified(report: &BackupReport) -> String {
    let id = &report.manifest.id;
    match (report.restored, &report.contents) {
        (true, _) => format!("`{id}` is good: it was restored, and all rows are the same"),
        (false, Some(_)) => format!("`{id}` is good: every chunk opens"),
        (false, None) => format!(
            "`{id}` is good: signature and every byte; with a key it can be opened and restored too"
        ),
    }
}

pub(super) fn list(lines: &[BackupLine], context: &mut Context) {
    if context.printer.format() == Format::Json {
        let backups = lines.iter().map(line_json).collect();
        context.printer.json(&envelope("backup-list", ListJson { backups }), true);
        return;
    }
    if lines.is_empty() {
        context.printer.out("There is no backup. `whimbrel backup create` makes one");
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| match &line.manifest {
            Ok(manifest) => vec![
                line.id.clone(),
                time(manifest.created_ms),
                state(line).to_owned(),
                format!("{} bytes", manifest.stored_bytes()),
                sealed(manifest).to_owned(),
                if line.verified_ms.is_some() { "verified" } else { "not verified" }.to_owned(),
                manifest.environment.clone(),
            ],
            Err(damage) => vec![line.id.clone(), String::new(), format!("DAMAGED: {damage}")],
        })
        .collect();
    for row in table(&rows) {
        context.printer.out(&row);
    }
}

fn state(line: &BackupLine) -> &'static str {
    match (&line.manifest, line.expired) {
        (Err(_), _) => "damaged",
        (Ok(_), true) => "expired",
        (Ok(_), false) => "good",
    }
}

fn sealed(manifest: &Manifest) -> &'static str {
    if manifest.sealed == Sealed::None { "NOT ENCRYPTED" } else { "encrypted" }
}

/// A result with what the backup is, in the format that was asked for.
pub(super) fn say(line: &str, report: &BackupReport, context: &mut Context) {
    if context.printer.format() == Format::Json {
        return show(report, context);
    }
    context.printer.out(line);
    if let Some(note) = &report.note {
        context.printer.note(&format!("note: {note}"));
    }
    let manifest = &report.manifest;
    let tables = report.contents.as_ref().map(|contents| {
        let rows: u64 = contents.tables.iter().map(|one| one.rows).sum();
        format!("{} with {rows} rows, ", plural(contents.tables.len(), "table"))
    });
    context.printer.out(&format!(
        "{}{} bytes, {} bytes on disk, {}, kept until {}",
        tables.unwrap_or_default(),
        manifest.data_bytes,
        manifest.stored_bytes(),
        sealed(manifest),
        time(manifest.expires_ms)
    ));
    left_out(report, context);
}

/// What is not in it.
fn left_out(report: &BackupReport, context: &mut Context) {
    for line in report.contents.iter().flat_map(|contents| &contents.left_out) {
        context.printer.note(&format!("not in the backup: {line}"));
    }
}

pub(super) fn show(report: &BackupReport, context: &mut Context) {
    if context.printer.format() == Format::Json {
        context.printer.json(&envelope("backup", report_json(report)), true);
        return;
    }
    let manifest = &report.manifest;
    let database = manifest.database_id.clone().unwrap_or_else(|| "without a ledger".to_owned());
    let lines = [
        ("id", manifest.id.clone()),
        ("database", database),
        ("environment", manifest.environment.clone()),
        ("engine", manifest.engine_version.clone()),
        ("made", format!("{} by Whimbrel {}", time(manifest.created_ms), manifest.tool_version)),
        ("kept until", time(manifest.expires_ms)),
        ("size", format!("{} bytes, {} on disk", manifest.data_bytes, manifest.stored_bytes())),
        ("sealed", sealed(manifest).to_owned()),
    ];
    let rows: Vec<Vec<String>> =
        lines.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    for line in table(&rows) {
        context.printer.out(&line);
    }
    let Some(contents) = &report.contents else {
        context.printer.note("With a key (`--identity`) its tables are shown too");
        return;
    };
    for one in &contents.tables {
        context.printer.out(&format!("  {}: {} rows", one.name, one.rows));
    }
    if let Some(last) = contents.migrations.last() {
        let count = plural(contents.migrations.len(), "migration");
        context.printer.out(&format!("{count}, the last `{last}`"));
    }
    left_out(report, context);
}

fn line_json(line: &BackupLine) -> LineJson {
    LineJson {
        id: line.id.clone(),
        state: state(line).to_owned(),
        verified_ms: line.verified_ms,
        damage: line.manifest.as_ref().err().map(ToString::to_string),
        manifest: line.manifest.as_ref().ok().map(manifest_json),
    }
}

fn report_json(report: &BackupReport) -> BackupJson {
    let tables = report.contents.as_ref().map(|contents| {
        let json = contents.tables.iter().map(|one| TableJson {
            name: one.name.clone(),
            rows: one.rows,
            digest: one.digest.clone(),
        });
        json.collect()
    });
    BackupJson {
        manifest: manifest_json(&report.manifest),
        tables,
        migrations: report.contents.as_ref().map(|contents| contents.migrations.clone()),
        left_out: report.contents.as_ref().map(|contents| contents.left_out.clone()),
        restored: report.restored,
        target: report.target.clone(),
        note: report.note.clone(),
    }
}

fn manifest_json(manifest: &Manifest) -> ManifestJson {
    ManifestJson {
        id: manifest.id.clone(),
        database_id: manifest.database_id.clone(),
        environment: manifest.environment.clone(),
        engine: manifest.engine.clone(),
        engine_version: manifest.engine_version.clone(),
        tool_version: manifest.tool_version.clone(),
        created_ms: manifest.created_ms,
        expires_ms: manifest.expires_ms,
        data_bytes: manifest.data_bytes,
        stored_bytes: manifest.stored_bytes(),
        encrypted: manifest.sealed == Sealed::Age,
        chunks: manifest.chunks.len(),
    }
}
