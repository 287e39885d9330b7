use serde::Serialize;
use whimbrel_engine::event::Silent;
use whimbrel_engine::{PlanReport, PlannedBatches, PlannedLine, PlannedStatement};

use super::events::EventPrinter;
use super::rehearse::{self, RehearsalJson};
use super::text::plural;
use super::up::{SelectionArgs, one_by_one};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Printer, Style};

/// Show what `up` would do, statement by statement, without doing it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The JSON of `plan`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct PlanJson {
    /// Address without secrets.
    database: String,
    /// What is worth knowing before.
    notes: Vec<String>,
    migrations: Vec<PlanMigrationJson>,
    /// With `up --dry-run` or `--sample`: what came of trying the data migrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Vec<RehearsalJson>>,
}

/// One migration of the plan.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct PlanMigrationJson {
    name: String,
    path: String,
    /// Parts that are committed by themselves.
    steps: usize,
    /// Parts that an earlier run has done.
    steps_done: usize,
    /// It happens as a whole or not at all.
    atomic: bool,
    notes: Vec<String>,
    statements: Vec<PlanStatementJson>,
}

/// One statement of the plan.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct PlanStatementJson {
    /// Line in the file, from 1.
    line: u32,
    /// The step it belongs to, from 1; null when it is not sent.
    step: Option<usize>,
    sql: String,
    /// What it changes, in words.
    changes: Vec<String>,
    /// How it is committed, or why it is not sent.
    note: Option<String>,
    /// How a statement of a data migration runs; null for others.
    batches: Option<BatchesJson>,
}

/// How a statement of a data migration runs.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BatchesJson {
    /// Why it runs whole; null when it runs in batches.
    whole: Option<String>,
    /// Why it is refused; null when it is not.
    refused: Option<String>,
    /// What lifts the refusal.
    lift: Option<String>,
    /// The driving table.
    table: String,
    /// The key in whose order its rows are taken.
    key: Vec<String>,
    /// About how many driving rows there are.
    rows: u64,
    /// Whether what changes is kept for `undo`.
    undo: bool,
    /// About how many bytes that takes; null where it is not known before.
    undo_bytes: Option<u64>,
    /// Triggers of the written table that will fire.
    triggers: Vec<String>,
    /// Tables whose rows change along with those that are deleted.
    cascades: Vec<String>,
    /// What is worth knowing.
    notes: Vec<String>,
    /// The SQL that computes its rows and values once, before the first batch (`materialize=true`).
    computed: Option<String>,
    /// The SQL of the first batch.
    first_batch: Option<String>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let report = project.plan(&args.selection.selection()).await?;
    match context.printer.format() {
        Format::Json => {
            let value = envelope("plan", to_json(&report, None));
            context.printer.json(&value, true);
        }
        Format::Human => show(&report, context),
    }
    Ok(Exit::Done)
}

/// Tries the data migrations: all rows after the plan (`up --dry-run`), or a sample of them.
pub(super) async fn rehearse(
    selection: &SelectionArgs,
    sample: Option<u64>,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let selection = selection.selection();
    let report = project.plan(&selection).await?;
    let human = context.printer.format() == Format::Human;
    if human && sample.is_none() {
        show(&report, context);
    }
    let options = one_by_one(context);
    let found = if human {
        let mut events = EventPrinter::new(&mut context.printer);
        project.rehearse(&selection, sample, &options, &mut events).await?
    } else {
        project.rehearse(&selection, sample, &options, &mut Silent).await?
    };
    if human {
        rehearse::show(&found, &mut context.printer);
        if found.is_empty() && sample.is_some() {
            context.printer.out("No data migration is pending");
        }
    } else {
        let value = envelope("plan", to_json(&report, Some(rehearse::to_json(&found))));
        context.printer.json(&value, true);
    }
    Ok(if rehearse::has_findings(&found) { Exit::Findings } else { Exit::Done })
}

fn show(report: &PlanReport, context: &mut Context) {
    let printer = &mut context.printer;
    if report.migrations.is_empty() {
        printer.out("Nothing to do: everything is applied");
        return;
    }
    for note in &report.notes {
        printer.out(&printer.styled_out(Style::Dim, note));
    }
    for migration in &report.migrations {
        printer.out(&printer.styled_out(Style::Bold, &migration.path));
        for note in &migration.notes {
            printer.out(&format!("  note: {note}"));
        }
        if migration.steps_done > 0 {
            let done = plural(migration.steps_done, "step");
            printer.out(&format!("  {done} of {} done by an earlier run", migration.steps));
        }
        for statement in &migration.statements {
            show_statement(statement, migration, printer);
        }
    }
    let count = plural(report.migrations.len(), "migration");
    context.printer.out(&format!("{count} would be applied to {}", report.database));
}

fn show_statement(statement: &PlannedStatement, migration: &PlannedLine, printer: &mut Printer) {
    let first = statement.text.lines().next().unwrap_or_default();
    let short: String = first.chars().take(90).collect();
    let more = if short.len() < statement.text.len() { " ..." } else { "" };
    let step = match statement.step {
        Some(step) if migration.steps > 1 => format!(" [step {step}]"),
        _ => String::new(),
    };
    printer.out(&format!("  {:>4}{step} {short}{more}", statement.line));
    if let Some(batches) = &statement.batches {
        return show_batches(batches, printer);
    }
    if let Some(note) = &statement.note {
        printer.out(&format!("       {}", printer.styled_out(Style::Dim, note)));
    }
    if printer.is_verbose() {
        for change in &statement.changes {
            printer.out(&format!("       {change}"));
        }
    }
}

fn show_batches(batches: &PlannedBatches, printer: &mut Printer) {
    let mut lines = Vec::new();
    if let Some((reason, lift)) = &batches.refused {
        lines.push(reason.clone());
        lines.extend(lift.iter().map(|lift| format!("hint: {lift}")));
    } else if let Some(reason) = &batches.whole {
        lines.push(format!("runs whole, in one transaction: {reason}"));
    } else if !batches.table.is_empty() {
        let undo = match (batches.undo, batches.undo_bytes) {
            (false, _) => "not kept: no undo".to_owned(),
            (true, None) => "kept for undo".to_owned(),
            (true, Some(bytes)) => format!("kept for undo: about {} KiB", bytes.div_ceil(1_024)),
        };
        let (table, key) = (&batches.table, batches.key.join(", "));
        lines.push(match &batches.computed {
            Some(_) => format!("computed once, then in batches along {table} ({key}), {undo}"),
            None => {
                format!("in batches along {table} ({key}), about {} rows, {undo}", batches.rows)
            }
        });
    }
    if !batches.triggers.is_empty() {
        lines.push(format!("triggers that fire: {}", batches.triggers.join(", ")));
    }
    if !batches.cascades.is_empty() {
        lines.push(format!("rows that go with them: {}", batches.cascades.join(", ")));
    }
    lines.extend(batches.notes.iter().map(|(code, message)| format!("{message} ({code})")));
    for line in lines {
        printer.out(&format!("       {}", printer.styled_out(Style::Dim, &line)));
    }
    if let Some(sql) = &batches.computed {
        printer.out("       computed once:");
        for line in sql.lines() {
            printer.out(&format!("         {line}"));
        }
    }
    if let Some(sql) = &batches.first_batch {
        printer.out("       first batch:");
        for line in sql.lines() {
            printer.out(&format!("         {line}"));
        }
    }
}

fn batches_json(batches: &PlannedBatches) -> BatchesJson {
    BatchesJson {
        whole: batches.whole.clone(),
        refused: batches.refused.as_ref().map(|(reason, _)| reason.clone()),
        lift: batches.refused.as_ref().and_then(|(_, lift)| lift.clone()),
        table: batches.table.clone(),
        key: batches.key.clone(),
        rows: batches.rows,
        undo: batches.undo,
        undo_bytes: batches.undo_bytes,
        triggers: batches.triggers.clone(),
        cascades: batches.cascades.clone(),
        notes: batches.notes.iter().map(|(code, message)| format!("{code}: {message}")).collect(),
        computed: batches.computed.clone(),
        first_batch: batches.first_batch.clone(),
    }
}

fn to_json(report: &PlanReport, tried: Option<Vec<RehearsalJson>>) -> PlanJson {
    PlanJson {
        tried,
        database: report.database.clone(),
        notes: report.notes.clone(),
        migrations: report
            .migrations
            .iter()
            .map(|migration| PlanMigrationJson {
                name: migration.name.clone(),
                path: migration.path.clone(),
                steps: migration.steps,
                steps_done: migration.steps_done,
                atomic: migration.atomic,
                notes: migration.notes.clone(),
                statements: migration
                    .statements
                    .iter()
                    .map(|statement| PlanStatementJson {
                        line: statement.line,
                        step: statement.step,
                        sql: statement.text.clone(),
                        changes: statement.changes.clone(),
                        note: statement.note.clone(),
                        batches: statement.batches.as_ref().map(batches_json),
                    })
                    .collect(),
            })
            .collect(),
    }
}
