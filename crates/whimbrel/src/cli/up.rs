use serde_json::json;
use whimbrel_core::plan::GroupMode;
use whimbrel_engine::{RunOptions, RunReport, Selection};

use super::events::EventPrinter;
use super::text::plural;
use crate::context::Context;
use crate::error::{CommandError, Exit, fact_text};
use crate::printer::Format;

/// Apply pending migrations
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Show what would be done, as `plan` does, and try data migrations on all their rows, each
    /// batch rolled back; nothing of it stays
    #[arg(long)]
    dry_run: bool,
    /// Try data migrations on the first N rows of each statement, show values before and after, and
    /// roll all of it back
    #[arg(long, value_name = "N", conflicts_with = "dry_run",
          value_parser = clap::value_parser!(u64).range(1..=SAMPLE_ROWS_MAX))]
    sample: Option<u64>,
    /// Ask before each further migration; without a terminal, stop after the first
    #[arg(long)]
    pause_between: bool,
    /// Save the database first, whatever the settings say
    #[arg(long, conflicts_with_all = ["no_backup", "dry_run", "sample"])]
    backup: bool,
    /// Do not save the database first, whatever the settings say
    #[arg(long)]
    no_backup: bool,
    /// Whether several migrations share one transaction: `auto` does so in an empty database
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    group: Group,
}

/// Most rows of a sample.
const SAMPLE_ROWS_MAX: u64 = 1_000;

/// Which of the pending migrations.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SelectionArgs {
    /// Up to and with this migration: a version or a file name
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// At most so many migrations
    #[arg(long, value_name = "N", conflicts_with = "to")]
    steps: Option<usize>,
    /// Apply also what comes before an applied migration and touches the same objects
    #[arg(long)]
    out_of_order: bool,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Group {
    #[default]
    Auto,
    Always,
    Never,
}

impl SelectionArgs {
    pub(super) fn selection(&self) -> Selection {
        Selection { to: self.to.clone(), steps: self.steps, out_of_order: self.out_of_order }
    }
}

/// How a verb goes about it that runs one migration at a time, or none.
pub(super) fn one_by_one(context: &Context) -> RunOptions {
    RunOptions {
        wait: context.wait(),
        group: GroupMode::Never,
        stop: context.stop.clone(),
        ask_between: false,
        backup: None,
    }
}

impl From<Group> for GroupMode {
    fn from(group: Group) -> GroupMode {
        match group {
            Group::Auto => GroupMode::Auto,
            Group::Always => GroupMode::Always,
            Group::Never => GroupMode::Never,
        }
    }
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    if args.dry_run || args.sample.is_some() {
        return super::plan::rehearse(&args.selection, args.sample, context).await;
    }
    let project = context.project()?;
    let group = if args.pause_between { GroupMode::Never } else { args.group.into() };
    let asked = (args.backup || context.backs_up()) && !args.no_backup;
    let backup = if asked { Some(Box::new(super::backup::before_up(context)?)) } else { None };
    let ask_between = args.pause_between;
    let options = RunOptions { group, ask_between, backup, ..one_by_one(context) };
    let selection = args.selection.selection();
    let mut events = EventPrinter::new(&mut context.printer);
    let report = project.up(&selection, &options, &mut events).await?;
    Ok(finish(&report, "applied", "up", context))
}

/// Says what a run did, and what follows from it.
pub(super) fn finish(report: &RunReport, done: &str, command: &str, context: &mut Context) -> Exit {
    let printer = &mut context.printer;
    let ms: u128 = report.finished.iter().map(|one| one.duration_ms).sum();
    match printer.format() {
        Format::Json => printer.json(
            &json!({
                "schema_version": 1, "event": "end", "command": command, "run_id": report.run_id,
                "finished": report.finished.iter().map(|one| &one.name).collect::<Vec<_>>(),
                "interrupted": report.interrupted, "cancelled_by": report.cancelled_by,
                "paused_before": report.paused_before, "backup": report.backup,
            }),
            false,
        ),
        Format::Human if report.finished.is_empty() && !report.interrupted => {
            printer.out("Nothing to do: everything is applied");
        }
        Format::Human => {
            let count = plural(report.finished.len(), "migration");
            let mut done = done.to_owned();
            if let Some(first) = done.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            printer.out(&format!("{done} {count} in {ms} ms"));
        }
    }
    for (name, fact) in &report.unverified {
        printer.err(&format!("{name}: {}", fact_text(fact)));
    }
    if let Some(next) = &report.paused_before {
        printer.note(&format!("Stopped before `{next}`, as `--pause-between` asks; run it again"));
    }
    if let Some(actor) = &report.cancelled_by {
        printer.err(&format!(
            "Cancelled by {actor}, after the batch in progress; `whimbrel {command}` goes on"
        ));
        return Exit::Interrupted;
    }
    if report.interrupted {
        printer.err("Stopped as asked, after the step in progress; the same command goes on");
        return Exit::Interrupted;
    }
    if report.unverified.is_empty() { Exit::Done } else { Exit::Findings }
}
