use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;
use whimbrel_core::backup::{Manifest, Sealed};
use whimbrel_core::config::parse_duration;
use whimbrel_engine::{
    BackupLine, BackupOptions, BackupPlace, BackupReport, BackupWhat, Meter, OpenWith,
    RestoreOptions, SealFor,
};

use super::text::{plural, table, time};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Printer};

/// Where backups lie, below the project's folder.
const FOLDER: &str = ".whimbrel/backups";
/// The kind of a database that is a file and needs no server to be restored.
const FILE_ENGINE: &str = "sqlite";
/// How often it is shown how far the work is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Bytes of a megabyte.
const MEGABYTE: f64 = 1_000_000.0;
/// Holds the passphrase.
const PASSPHRASE: &str = "WHIMBREL_BACKUP_PASSPHRASE";

/// Save the whole database, look after what was saved, and bring it back
///
/// SQLite, PostgreSQL and MariaDB. A backup is compressed, sealed with age for the keys that are
/// named, and signed with the project's key, which the first backup makes
/// (`.whimbrel/signing.key`). What lies in it and how to open it without Whimbrel is in
/// docs/formats/backup.md.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Save the database; others may go on meanwhile
    ///
    /// Rows are counted and hashed in the copy, and every file is read again at the end.
    Create(Create),
    /// Show the backups, oldest first
    List(Place),
    /// Show what a backup says of itself, and what it holds where a key is given
    Show {
        /// Id of the backup, as `list` shows it
        id: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        keys: Keys,
    },
    /// Check every byte of a backup; with a key, open all of it
    Verify {
        /// Id of the backup, as `list` shows it
        id: String,
        /// Also make a database of it, compare all rows, and throw it away
        #[arg(long)]
        restore: bool,
        /// A server's address: the database is made there and not beside the project's own
        #[arg(long, value_name = "URL", requires = "restore")]
        scratch: Option<String>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        keys: Keys,
    },
    /// Make a new database of a backup
    ///
    /// Everything is checked before the first byte is written, and the rows are compared before the
    /// database gets its name.
    Restore {
        /// Id of the backup, as `list` shows it
        id: String,
        /// The new database: an address such as `sqlite:restored.db`, or an environment
        #[arg(long, value_name = "URL")]
        to: String,
        /// Rows of these tables only; the rest of the schema is made all the same (servers)
        #[arg(long, value_name = "TABLE", value_delimiter = ',')]
        tables: Vec<String>,
        /// Remove what an interrupted restore has left in the database, and begin anew (servers)
        #[arg(long)]
        again: bool,
        /// Also if it has expired
        #[arg(long)]
        expired: bool,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        keys: Keys,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// A public age key that may open it (`age1...`, `env:NAME`, `file:PATH`); several may be given
    ///
    /// With WHIMBREL_BACKUP_PASSPHRASE set, the passphrase opens it too.
    #[arg(long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// Do not seal it: whoever sees the files can read the rows
    #[arg(long, conflicts_with = "recipients")]
    no_encrypt: bool,
    /// How long it is kept
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    keep: String,
    /// Rows of these tables only; the schema is saved as a whole (servers)
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    tables: Vec<String>,
    /// No rows (servers)
    #[arg(long, conflicts_with = "tables")]
    schema_only: bool,
    /// What cannot be saved and may be missing: a foreign table, `large-objects`, `history`
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// Where backups lie and whose signature counts.
#[derive(Clone, Debug, clap::Args)]
struct Place {
    /// Folder of the backups
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    dir: PathBuf,
    /// Public key (64 hexadecimal digits) that must have signed them, in place of the project's
    #[arg(long, value_name = "KEY")]
    signer: Option<String>,
}

impl Place {
    fn at(&self, context: &Context) -> BackupPlace {
        BackupPlace {
            folder: context.root().join(&self.dir),
            signer: self.signer.clone(),
            stop: context.stop.clone(),
            meter: Meter::default(),
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
struct Keys {
    /// A secret age key that opens it (`env:NAME`, `file:PATH`); several may be given
    ///
    /// With WHIMBREL_BACKUP_PASSPHRASE set, the passphrase is tried too.
    #[arg(long = "identity", value_name = "WHERE")]
    identities: Vec<String>,
}

impl Keys {
    fn read(&self, context: &Context) -> Result<OpenWith, CommandError> {
        let named = self.identities.iter().map(|one| context.secret("secret key", one));
        let passphrase = context.variable(PASSPHRASE)?;
        Ok(OpenWith { identities: named.collect::<Result<_, _>>()?, passphrase })
    }
}

/// What `backup list --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ListJson {
    /// Oldest first.
    backups: Vec<LineJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LineJson {
    /// Id.
    id: String,
    /// `good`, `expired` or `damaged`, as far as signature and manifest tell.
    state: String,
    /// What is wrong with it.
    damage: Option<String>,
    /// What it says of itself; null when it is damaged.
    manifest: Option<ManifestJson>,
}

/// What `backup create`, `show`, `verify` and `restore` print with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BackupJson {
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

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    match &args.action {
        Action::Create(create) => make(create, context).await,
        Action::List(place) => {
            let lines = context.project_files()?.backups(&place.at(context))?;
            list(&lines, context);
            Ok(Exit::Done)
        }
        Action::Show { id, place, keys } => {
            let with = keys.read(context)?;
            let report = context.project_files()?.backup_show(&place.at(context), id, &with)?;
            show(&report, context);
            Ok(Exit::Done)
        }
        Action::Verify { id, restore, scratch, place, keys } => {
            let (with, at) = (keys.read(context)?, place.at(context));
            let mut project = context.project_files()?;
            if *restore && project.backup_engine(&at, id)? != FILE_ENGINE {
                project = match scratch {
                    Some(url) => context.database_at(url)?,
                    None => context.database()?,
                };
            }
            let work = project.backup_verify(&at, id, &with, *restore);
            let report = watched("Proving", &at.meter, work, &mut context.printer).await?;
            say(&verified(&report), &report, context);
            Ok(Exit::Done)
        }
        Action::Restore { id, to, tables, again, expired, place, keys } => {
            let options = RestoreOptions {
                with: keys.read(context)?,
                expired: *expired,
                tables: tables.clone(),
                again: *again,
            };
            let (project, at) = (context.database_at(to)?, place.at(context));
            let work = project.backup_restore(&at, id, &options);
            let report = watched("Restoring", &at.meter, work, &mut context.printer).await?;
            let target = report.target.clone().unwrap_or_default();
            say(&format!("Restored `{id}` into {target}; all rows are the same"), &report, context);
            Ok(Exit::Done)
        }
    }
}

/// Shows how far a piece of work is while it goes on.
async fn watched<T>(
    what: &str,
    meter: &Meter,
    work: impl Future<Output = T>,
    printer: &mut Printer,
) -> T {
    let began = Instant::now();
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let (done, all) = meter.read();
        let rate = done as f64 / MEGABYTE / began.elapsed().as_secs_f64();
        let (done, all) = (done as f64 / MEGABYTE, all as f64 / MEGABYTE);
        printer.progress(&format!("{what}: {done:.0} of about {all:.0} MB, {rate:.0} MB/s"));
    }
}

async fn make(create: &Create, context: &mut Context) -> Result<Exit, CommandError> {
    let keep = keep(&create.keep)?;
    let mut recipients = Vec::new();
    for one in &create.recipients {
        recipients.push(match one.contains(':') {
            true => context.secret("key", one)?.expose().trim().to_owned(),
            false => one.clone(),
        });
    }
    let passphrase = if create.no_encrypt { None } else { context.variable(PASSPHRASE)? };
    let seal_for = SealFor { recipients, passphrase };
    let what = BackupWhat {
        tables: create.tables.clone(),
        schema_only: create.schema_only,
        leave_out: create.leave_out.clone(),
    };
    let options = BackupOptions { seal_for, unencrypted: create.no_encrypt, keep, what };
    let place = create.place.at(context);
    let project = context.project()?;
    let work = project.backup_create(&place, &options);
    let report = watched("Saving", &place.meter, work, &mut context.printer).await?;
    let id = report.manifest.id.clone();
    project.backup_verify(&place, &id, &OpenWith::default(), false).await?;
    if create.no_encrypt {
        context.printer.note("note: whoever sees its files can read the rows");
    }
    say(&format!("Saved as `{id}`"), &report, context);
    Ok(Exit::Done)
}

fn keep(text: &str) -> Result<Duration, CommandError> {
    parse_duration(text).ok_or_else(|| {
        CommandError::usage(format!("`{text}` is no duration"))
            .hinted("Write hours, minutes or seconds: `24h`")
    })
}

fn verified(report: &BackupReport) -> String {
    let id = &report.manifest.id;
    match (report.restored, &report.contents) {
        (true, _) => format!("`{id}` is good: it was restored, and all rows are the same"),
        (false, Some(_)) => format!("`{id}` is good: every chunk opens"),
        (false, None) => format!(
            "`{id}` is good: signature and every byte; with a key it can be opened and restored too"
        ),
    }
}

fn list(lines: &[BackupLine], context: &mut Context) {
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
fn say(line: &str, report: &BackupReport, context: &mut Context) {
    if context.printer.format() == Format::Json {
        return show(report, context);
    }
    context.printer.out(line);
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

fn show(report: &BackupReport, context: &mut Context) {
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
