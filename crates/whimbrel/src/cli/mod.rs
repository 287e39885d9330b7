//! The command line: one file for each verb, and the options that all verbs share.

mod accept;
mod account;
mod ask;
mod backup;
mod baseline;
mod batches;
mod completions;
mod confirm;
pub(crate) mod copy;
mod demo;
mod doctor;
mod down;
mod ends;
mod events;
mod fake;
mod history;
mod in_place;
mod init;
mod new;
mod plan;
mod purge;
mod quarantine;
mod rehearse;
mod resolve;
mod rollback;
mod run;
mod status;
mod text;
pub(crate) mod undo;
mod up;
mod validate;
mod verify;

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::Envelope;
use crate::printer::ColorChoice;

/// Exit codes, as every command's help lists them.
pub const EXIT_CODES: &str = "Exit codes:
  0  done, or nothing to do
  1  failed; what was done is said
  2  wrong usage or configuration
  3  findings, drift or pending migrations, where asked (`status --check`, `verify`, `validate`)
  4  a person must decide
  5  another run still holds the lease after `--wait`
  6  a confirmation is missing
  130  interrupted";

/// Database migrations that arrive: schema, data, verification and the way back
///
/// Without configuration, Whimbrel reads `migrations/` (or recognises a wrangler or Supabase
/// project) and takes the database from `DATABASE_URL`, also in a `.env` file.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What all verbs share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that all verbs share.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options for every command")]
pub struct Global {
    /// Folder of the project
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Environment of whimbrel.toml, or of the other tool's configuration
    #[arg(long, global = true, value_name = "NAME")]
    pub env: Option<String>,
    /// Address of the database; `env:NAME` takes it from an environment variable
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Which of several databases of a wrangler project, by name or binding
    #[arg(long, global = true, value_name = "NAME")]
    pub database: Option<String>,
    /// Where wrangler keeps its local state, as in its own `--persist-to`
    #[arg(long, global = true, value_name = "DIR")]
    pub persist_to: Option<String>,
    /// How long to wait while another run is at it (60s by default)
    #[arg(long, global = true, value_name = "DURATION")]
    pub wait: Option<String>,
    /// How long a statement waits for a lock before its step is tried again (2s by default)
    #[arg(long, global = true, value_name = "DURATION")]
    pub lock_timeout: Option<String>,
    /// How long a statement may run before it is ended (no limit by default)
    #[arg(long, global = true, value_name = "DURATION")]
    pub statement_timeout: Option<String>,
    /// Write JSON: a document, or an object a line while something goes on
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say each step
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
    /// Answer yes to questions (never enough for destructive acts in a protected environment)
    #[arg(long, short, global = true)]
    pub yes: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a project up
    Init(init::Args),
    /// Write a new, empty migration with the next free number
    New(new::Args),
    /// Show what is applied, what is pending and who is at it
    Status(status::Args),
    /// Show what `up` would do, statement by statement, without doing it
    Plan(plan::Args),
    /// Apply pending migrations
    Up(up::Args),
    /// Take migrations back
    Down(down::Args),
    /// Prove that a data migration lost no row
    Account(account::Args),
    /// Look at a run in progress, let it pause, go on, or end
    Run(run::Args),
    /// Look after rows that a data migration could not move
    Quarantine(quarantine::Args),
    /// Take back what a data migration changed
    Undo(undo::Args),
    /// Take back what a run of `up` did
    Rollback(rollback::Args),
    /// Let go of what was kept for the way back
    Purge(purge::Args),
    /// Prove that the database holds what the applied migrations promise
    Verify(verify::Args),
    /// Judge existing rows by rules, without writing
    Validate(validate::Args),
    /// Fill tables with rows for testing
    Fake(fake::Args),
    /// Copy whole tables from one database into another
    Copy(copy::Args),
    /// Save the whole database, look after what was saved, and bring it back
    Backup(backup::Args),
    /// Show what ran, when, by whom, and what it made
    History(history::Args),
    /// Accept that the file of an applied migration has changed
    Accept(accept::Args),
    /// Declare migrations applied without running them
    Baseline(baseline::Args),
    /// Say whether an interrupted statement happened, where the database cannot tell
    Resolve(resolve::Args),
    /// Check connection, server and settings
    Doctor(doctor::Args),
    /// See it all happen on a small SQLite database
    Demo(demo::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// The command line, with the exit codes in the help of each command.
pub fn command_line() -> clap::Command {
    Cli::command().mut_subcommands(|command| command.after_help(EXIT_CODES))
}

/// The JSON documents of the reading verbs, as JSON Schema.
pub(crate) fn json_schemas() -> Vec<(&'static str, schemars::Schema)> {
    vec![
        ("status", schemars::schema_for!(Envelope<status::StatusJson>)),
        ("plan", schemars::schema_for!(Envelope<plan::PlanJson>)),
        ("verify", schemars::schema_for!(Envelope<verify::VerifyJson>)),
        ("validate", schemars::schema_for!(Envelope<validate::ValidateJson>)),
        ("history", schemars::schema_for!(Envelope<history::HistoryJson>)),
        ("doctor", schemars::schema_for!(Envelope<doctor::DoctorJson>)),
        ("account", schemars::schema_for!(Envelope<account::AccountJson>)),
        ("run", schemars::schema_for!(Envelope<run::RunJson>)),
        ("quarantine", schemars::schema_for!(Envelope<quarantine::QuarantineJson>)),
        ("backup-list", schemars::schema_for!(Envelope<backup::ListJson>)),
        ("backup", schemars::schema_for!(Envelope<backup::BackupJson>)),
    ]
}

impl Cli {
    /// Reads the words of a command line; the first is the program's name.
    ///
    /// # Errors
    /// When they are no command, or ask for help or the version.
    pub fn read<I, W>(words: I) -> Result<Cli, clap::Error>
    where
        I: IntoIterator<Item = W>,
        W: Into<std::ffi::OsString> + Clone,
    {
        Cli::from_arg_matches(&command_line().try_get_matches_from(words)?)
    }
}

/// Runs one command.
pub async fn run(cli: Cli, context: &mut Context) -> Result<Exit, CommandError> {
    match cli.command {
        Command::Init(args) => init::run(&args, context).await,
        Command::New(args) => new::run(&args, context).await,
        Command::Status(args) => status::run(&args, context).await,
        Command::Plan(args) => plan::run(&args, context).await,
        Command::Up(args) => up::run(&args, context).await,
        Command::Down(args) => down::run(&args, context).await,
        Command::Account(args) => account::run(&args, context).await,
        Command::Run(args) => run::run(&args, context).await,
        Command::Quarantine(args) => quarantine::run(&args, context).await,
        Command::Undo(args) => undo::run(&args, context).await,
        Command::Rollback(args) => rollback::run(&args, context).await,
        Command::Purge(args) => purge::run(&args, context).await,
        Command::Verify(args) => verify::run(&args, context).await,
        Command::Validate(args) => validate::run(&args, context).await,
        Command::Fake(args) => fake::run(&args, context).await,
        Command::Copy(args) => copy::run(&args, context).await,
        Command::Backup(args) => backup::run(&args, context).await,
        Command::History(args) => history::run(&args, context).await,
        Command::Accept(args) => accept::run(&args, context).await,
        Command::Baseline(args) => baseline::run(&args, context).await,
        Command::Resolve(args) => resolve::run(&args, context).await,
        Command::Doctor(args) => doctor::run(&args, context).await,
        Command::Demo(args) => demo::run(&args, context).await,
        Command::Completions(args) => completions::run(&args, context),
    }
}
