use serde::Serialize;
use whimbrel_engine::HistoryLine;

use super::text::{plural, time};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Style};

/// Show what ran, when, by whom, and what it made
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The JSON of `history`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct HistoryJson {
    /// Applied migrations in the order in which they were applied.
    migrations: Vec<HistoryEntryJson>,
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

pub(super) async fn run(_args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let lines = project.history().await?;
    if context.printer.format() == Format::Json {
        let value =
            envelope("history", HistoryJson { migrations: lines.iter().map(entry).collect() });
        context.printer.json(&value, true);
        return Ok(Exit::Done);
    }
    let printer = &mut context.printer;
    if lines.is_empty() {
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
    Ok(Exit::Done)
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
