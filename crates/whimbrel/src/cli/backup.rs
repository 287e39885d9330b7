mod prune;
mod show;

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use whimbrel_core::config::parse_duration;
use whimbrel_engine::{
    BackupBefore, BackupOptions, BackupPlace, BackupWhat, Meter, OpenWith, Project, PrunePlan,
    RestoreOptions, SealFor,
};

pub(super) use self::show::{BackupJson, ListJson};
use self::show::{list, say, show, verified};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Printer;

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
    /// Remove backups that have expired, and what killed commands have left
    ///
    /// The newest verified backup of each database never goes (`keep-count` under `[backup]` says
    /// how many), nor a damaged one. What would go is shown first.
    Prune {
        /// Show what would go, and do nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Copy a backup into another folder, each file checked on the way
    Download {
        /// Id of the backup, as `list` shows it
        id: String,
        /// The folder to copy it into
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Make a database of a backup: a new one, or in the place of the present one
    ///
    /// Everything is checked before the first byte is written, and the rows are compared before the
    /// database gets its name. A database whose place is taken is kept until `purge`.
    Restore(Restore),
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// Id of the backup, as `list` shows it
    pub(super) id: String,
    /// The new database: an address such as `sqlite:restored.db`, or an environment
    #[arg(long, value_name = "URL", required_unless_present = "in_place")]
    to: Option<String>,
    /// Put it in the place of the present database
    ///
    /// Rows that were added, changed or removed since are counted first, and losing them must be
    /// confirmed by typing a phrase. If it is interrupted, the same command goes on.
    #[arg(long, conflicts_with = "to")]
    in_place: bool,
    /// Take the last restore in place back: the database that it replaced
    #[arg(long, requires = "in_place")]
    pub(super) take_back: bool,
    /// The phrase, where nobody can type it; in a protected environment it ends with ` IN NAME`
    #[arg(long, value_name = "PHRASE", requires = "in_place")]
    pub(super) confirm: Option<String>,
    /// Show which rows would be lost, and do nothing
    #[arg(long, requires = "in_place")]
    pub(super) dry_run: bool,
    /// Rows of these tables only; the rest of the schema is made all the same (servers)
    #[arg(long, value_name = "TABLE", value_delimiter = ',', conflicts_with = "in_place")]
    tables: Vec<String>,
    /// Remove what an interrupted restore has left in the database, and begin anew (servers)
    #[arg(long, conflicts_with = "in_place")]
    again: bool,
    /// Also if it has expired
    #[arg(long)]
    expired: bool,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    keys: Keys,
}

/// What a rollback needs to know of backups.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Opening {
    /// Restore the backup also if it has expired (with `--how immediate`)
    #[arg(long)]
    expired: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    keys: Keys,
}

impl Opening {
    pub(super) fn read(
        &self,
        context: &Context,
    ) -> Result<(BackupPlace, RestoreOptions), CommandError> {
        let with = self.keys.read(context)?;
        let (tables, again) = (Vec::new(), false);
        let options = RestoreOptions { with, expired: self.expired, tables, again };
        Ok((self.place.at(context)?, options))
    }
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
    /// How long it is kept (24h, or `keep` under `[backup]`)
    #[arg(long, value_name = "DURATION")]
    keep: Option<String>,
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
pub(super) struct Place {
    /// Folder of the backups (`.whimbrel/backups`, or `folder` under `[backup]`)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Object store of the backups (`s3://bucket/prefix`, or `store` under `[backup]`)
    ///
    /// `gs://` and `az://` too. Its keys are only taken from the environment.
    #[arg(long, value_name = "URL", conflicts_with = "dir")]
    store: Option<String>,
    /// Public key (64 hexadecimal digits) that must have signed them, in place of the project's
    #[arg(long, value_name = "KEY")]
    signer: Option<String>,
}

impl Restore {
    pub(super) fn options(&self, context: &Context) -> Result<RestoreOptions, CommandError> {
        Ok(RestoreOptions {
            with: self.keys.read(context)?,
            expired: self.expired,
            tables: self.tables.clone(),
            again: self.again,
        })
    }
}

impl Place {
    pub(super) fn at(&self, context: &Context) -> Result<BackupPlace, CommandError> {
        let settings = context.backups();
        let (folder, store) = match &self.dir {
            Some(folder) => (context.root().join(folder), None),
            None => (
                context.root().join(&settings.folder),
                context.store(&settings, self.store.as_deref())?,
            ),
        };
        let (signer, stop) = (self.signer.clone(), context.stop.clone());
        Ok(BackupPlace { folder, store, signer, stop, meter: Meter::default() })
    }

    /// That of the settings.
    fn of_settings(context: &Context) -> Result<BackupPlace, CommandError> {
        Place { dir: None, store: None, signer: None }.at(context)
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
        let settings = context.backups().identity;
        let names = if self.identities.is_empty() { &settings } else { &self.identities };
        let named = names.iter().map(|one| context.secret("secret key", one));
        let passphrase = context.variable(PASSPHRASE)?;
        Ok(OpenWith { identities: named.collect::<Result<_, _>>()?, passphrase })
    }
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    match &args.action {
        Action::Create(create) => make(create, context).await,
        Action::List(place) => {
            let project = context.project_files()?;
            let lines = project.backups(&place.at(context)?)?;
            list(&lines, context);
            Ok(Exit::Done)
        }
        Action::Show { id, place, keys } => {
            let project = context.project_files()?;
            let with = keys.read(context)?;
            let report = project.backup_show(&place.at(context)?, id, &with)?;
            show(&report, context);
            Ok(Exit::Done)
        }
        Action::Verify { id, restore, scratch, place, keys } => {
            let mut project = context.project_files()?;
            let (with, at) = (keys.read(context)?, place.at(context)?);
            if *restore && project.backup_engine(&at, id)? != FILE_ENGINE {
                project = match scratch {
                    Some(url) => context.database_at(url)?,
                    None => context.database()?,
                };
            } else if *restore && let Ok(database) = context.database() {
                // Its ledger is told; the database need not be there.
                project = database;
            }
            let work = project.backup_verify(&at, id, &with, *restore);
            let report = watched("Proving", &at.meter, work, &mut context.printer).await?;
            say(&verified(&report), &report, context);
            Ok(Exit::Done)
        }
        Action::Prune { dry_run, place } => prune::run(*dry_run, place, context).await,
        Action::Download { id, to, place } => {
            let project = context.project_files()?;
            let to = context.root().join(to);
            let copy = project.backup_download(&place.at(context)?, id, &to)?;
            let report = project.backup_show(&place.at(context)?, id, &OpenWith::default())?;
            say(&format!("Copied to {}", copy.display()), &report, context);
            Ok(Exit::Done)
        }
        Action::Restore(restore) => {
            let Some(to) = &restore.to else {
                return super::in_place::run(restore, context).await;
            };
            let project = context.database_at(to)?;
            let (id, place) = (&restore.id, restore.place.at(context)?);
            let options = restore.options(context)?;
            let work = project.backup_restore(&place, id, &options);
            let report = watched("Restoring", &place.meter, work, &mut context.printer).await?;
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
    let project = context.project()?;
    let keep = match &create.keep {
        Some(text) => keep(text)?,
        None => context.backups().keep,
    };
    let seal_for = match create.no_encrypt {
        true => SealFor::default(),
        false => seal_for(&create.recipients, context)?,
    };
    let what = BackupWhat {
        tables: create.tables.clone(),
        schema_only: create.schema_only,
        leave_out: create.leave_out.clone(),
    };
    let options = BackupOptions { seal_for, unencrypted: create.no_encrypt, keep, what, run: None };
    let place = create.place.at(context)?;
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

/// For whom backups are sealed: those that are named, else those of the settings; and whoever knows
/// the passphrase.
fn seal_for(named: &[String], context: &Context) -> Result<SealFor, CommandError> {
    let settings = context.backups().recipients;
    let mut recipients = Vec::new();
    for one in if named.is_empty() { &settings } else { named } {
        recipients.push(match one.contains(':') {
            true => context.secret("key", one)?.expose().trim().to_owned(),
            false => one.clone(),
        });
    }
    Ok(SealFor { recipients, passphrase: context.variable(PASSPHRASE)? })
}

/// Where backups lie, how many are kept in any case, and which of them may go.
pub(super) fn prunable(
    project: &Project,
    context: &Context,
) -> Result<(BackupPlace, u64, PrunePlan), CommandError> {
    let place = Place::of_settings(context)?;
    let keep_count = context.backups().keep_count;
    let plan = match place.store.is_some() || place.folder.is_dir() {
        true => project.plan_prune(&place, keep_count)?,
        false => PrunePlan { backups: Vec::new(), remains: Vec::new() },
    };
    Ok((place, keep_count, plan))
}

/// The backup before `up`, as the settings say.
pub(super) fn before_up(context: &Context) -> Result<BackupBefore, CommandError> {
    let place = Place::of_settings(context)?;
    let seal_for = seal_for(&[], context)?;
    Ok(BackupBefore { place, seal_for, keep: context.backups().keep })
}

fn keep(text: &str) -> Result<Duration, CommandError> {
    parse_duration(text).ok_or_else(|| {
        CommandError::usage(format!("`{text}` is no duration"))
            .hinted("Write hours, minutes or seconds: `24h`")
    })
}
