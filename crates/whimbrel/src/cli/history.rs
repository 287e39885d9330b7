use serde::Serialize;
use whimbrel_engine::{BatchLine, HistoryLine, RunLine};

use super::text::{plural, table, time};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Style};

/// Show what ran, when, by whom, and what it made
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this migration: a version or a file name
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    /// Show the batches of this data migration: rows, time, size
    #[arg(long, requires = "version")]
    batches: bool,
}

/// The JSON of `history`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct HistoryJson {
    /// Applied migrations in the order in which they were applied.
    migrations: Vec<HistoryEntryJson>,
    /// Runs that can be rolled back, oldest first.
    runs: Vec<RunJson>,
    /// With `--batches`: the batches of the data migration in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    batches: Option<Vec<BatchJson>>,
}

/// A run that can be rolled back.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RunJson {
    run_id: String,
    /// When it applied the first of what is left, in milliseconds since 1970 by the server's clock.
    at_ms: i64,
    actor: String,
    /// Its migrations that are applied, in the order of applying.
    migrations: Vec<String>,
    /// In which ways: `partial`, `staged`.
    how: Vec<String>,
}

/// One batch.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BatchJson {
    /// `up`, or `undo` for the way back.
    direction: String,
    /// The statement, from 1.
    statement: usize,
    /// From 1.
    number: u64,
    /// Driving rows.
    rows_read: u64,
    /// Rows changed, deleted or inserted.
    rows_written: u64,
    /// Driving rows set aside.
    rows_quarantined: u64,
    duration_ms: u64,
    /// Milliseconds since 1970 by the server's clock.
    at_ms: i64,
    run_id: String,
}

/// One applied migration.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct HistoryEntryJson {
    name: String,
    version: String,
    /// `up`, `baseline` or `adopt`.
    event: String,
    /// Milliseconds since 1970 by the server's clock.
    at_ms: i64,
    /// When a changed text was accepted in place of the one that ran, if one was.
    accepted_ms: Option<i64>,
    duration_ms: i64,
    actor: String,
    run_id: String,
    purpose: Option<String>,
    /// What it made: `table users`, ...
    made: Vec<String>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let mut lines = project.history().await?;
    if let Some(version) = &args.version {
        lines.retain(|line| line.version == *version || line.name == *version);
    }
    let mut runs = project.runs_to_roll_back().await?;
    runs.retain(|run| lines.iter().any(|line| line.run_id == run.run_id));
    let batches = match &args.version {
        Some(version) if args.batches => Some(project.batches(version).await?),
        _ => None,
    };
    if context.printer.format() == Format::Json {
        let value = envelope(
            "history",
            HistoryJson {
                migrations: lines.iter().map(entry).collect(),
                runs: runs.iter().map(run_json).collect(),
                batches: batches.map(|batches| batches.iter().map(batch).collect()),
            },
        );
        context.printer.json(&value, true);
        return Ok(Exit::Done);
    }
    let printer = &mut context.printer;
    if lines.is_empty() && batches.as_ref().is_none_or(Vec::is_empty) {
        printer.out("Nothing was applied yet");
    }
    for line in &lines {
        let how = match line.event {
            "baseline" => ", declared by a baseline",
            "adopt" => ", taken over",
            _ => "",
        };
        let head = printer.styled_out(Style::Bold, &line.name);
        printer.out(&format!(
            "{head}  {}  {} ms  {}{how}",
            time(line.at_ms),
            line.duration_ms,
            line.actor
        ));
        if let Some(at_ms) = line.accepted_ms {
            printer.out(&format!("    accepted as changed {}", time(at_ms)));
        }
        if let Some(purpose) = &line.purpose {
            printer.out(&format!("    {purpose}"));
        }
        for made in made_by_kind(line) {
            printer.out(&format!("    {made}"));
        }
    }
    for line in table(&batches.iter().flatten().map(batch_row).collect::<Vec<_>>()) {
        printer.out(&format!("    {line}"));
    }
    if !runs.is_empty() {
        printer.out("Runs that can be rolled back (`whimbrel rollback RUN --how ...`):");
    }
    for run in &runs {
        printer.out(&format!(
            "    {}  {}  {}: {}",
            run.run_id,
            time(run.at_ms),
            plural(run.migrations.len(), "migration"),
            run.how.join(", ")
        ));
    }
    Ok(Exit::Done)
}

fn run_json(run: &RunLine) -> RunJson {
    RunJson {
        run_id: run.run_id.clone(),
        at_ms: run.at_ms,
        actor: run.actor.clone(),
        migrations: run.migrations.clone(),
        how: run.how.iter().map(|how| (*how).to_owned()).collect(),
    }
}

fn batch_row(line: &BatchLine) -> Vec<String> {
    let way = if line.direction == "up" { "statement" } else { "undo of statement" };
    let mut row = vec![
        format!("{way} {}", line.statement),
        format!("batch {}", line.number),
        plural(usize::try_from(line.rows_read).unwrap_or(usize::MAX), "row"),
        format!("{} written", line.rows_written),
        format!("{} ms", line.duration_ms),
    ];
    if line.rows_quarantined > 0 {
        row.push(format!("{} set aside", line.rows_quarantined));
    }
    row
}

fn batch(line: &BatchLine) -> BatchJson {
    BatchJson {
        direction: line.direction.clone(),
        statement: line.statement,
        number: line.number,
        rows_read: line.rows_read,
        rows_written: line.rows_written,
        rows_quarantined: line.rows_quarantined,
        duration_ms: line.duration_ms,
        at_ms: line.at_ms,
        run_id: line.run_id.clone(),
    }
}

/// `2 tables: a, b`, `1 index: i`.
fn made_by_kind(line: &HistoryLine) -> Vec<String> {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for made in &line.made {
        let (kind, name) = made.split_once(' ').unwrap_or(("object", made));
        match kinds.iter_mut().find(|(seen, _)| *seen == kind) {
            Some((_, names)) => names.push(name),
            None => kinds.push((kind, vec![name])),
        }
    }
    kinds
        .into_iter()
        .map(|(kind, names)| {
            let count = if kind == "index" && names.len() > 1 {
                format!("{} indexes", names.len())
            } else {
                plural(names.len(), kind)
            };
            format!("{count}: {}", names.join(", "))
        })
        .collect()
}

fn entry(line: &HistoryLine) -> HistoryEntryJson {
    HistoryEntryJson {
        name: line.name.clone(),
        version: line.version.clone(),
        event: line.event.to_owned(),
        at_ms: line.at_ms,
        accepted_ms: line.accepted_ms,
        duration_ms: line.duration_ms,
        actor: line.actor.clone(),
        run_id: line.run_id.clone(),
        purpose: line.purpose.clone(),
        made: line.made.clone(),
    }
}
