use serde::Serialize;
use whimbrel_engine::{CurrentRun, Wish};

use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Style};

/// Look at a run in progress, let it pause, go on, or end
///
/// The run hears of it after the batch in progress, or between two migrations. A run that is paused
/// keeps its lease.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show who is at it, how far it is and what holds it
    Status,
    /// Let it wait after the batch in progress
    Pause,
    /// Let it go on
    Resume,
    /// Let it end after the batch in progress; what is done stays, and the same command goes on
    Cancel,
}

/// The JSON of `run`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct RunJson {
    /// The run in progress; null if there is none.
    run: Option<CurrentRunJson>,
}

/// A run in progress.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct CurrentRunJson {
    run_id: String,
    /// `user@host`.
    owner: String,
    /// Process id on that host.
    pid: u32,
    /// What it does.
    verb: String,
    /// For how long, in milliseconds.
    held_ms: i64,
    /// Migrations done and in all.
    done: u64,
    total: u64,
    /// What is being done, or what holds it.
    step: String,
    /// What was asked of it last: `pause`, `go` or `cancel`; null if nobody asked.
    wanted: Option<String>,
    /// Who asked.
    wanted_by: Option<String>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let wish = match args.action {
        Action::Status => None,
        Action::Pause => Some(Wish::Pause),
        Action::Resume => Some(Wish::Resume),
        Action::Cancel => Some(Wish::Cancel),
    };
    let Some(wish) = wish else {
        let run = project.current_run().await?;
        show(run.as_ref(), context);
        return Ok(Exit::Done);
    };
    let run = project.tell_run(wish).await?;
    let word = match wish {
        Wish::Pause => "It waits after the batch in progress; `whimbrel run resume` lets it go on",
        Wish::Resume => "It goes on",
        Wish::Cancel => "It ends after the batch in progress",
    };
    if context.printer.format() == Format::Json {
        show(Some(&run), context);
    } else {
        context.printer.out(&format!(
            "Told the run of {} (pid {}): {}. {word}",
            run.lease.owner.actor,
            run.lease.owner.pid,
            wish.word()
        ));
    }
    Ok(Exit::Done)
}

fn show(run: Option<&CurrentRun>, context: &mut Context) {
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let value = envelope("run", RunJson { run: run.map(to_json) });
        printer.json(&value, true);
        return;
    }
    let Some(CurrentRun { lease, wanted }) = run else {
        printer.out("No run is in progress");
        return;
    };
    let head = format!("`{}` by {} (pid {})", lease.verb, lease.owner.actor, lease.owner.pid);
    printer.out(&printer.styled_out(Style::Bold, &head));
    let (done, total) = lease.progress;
    printer.out(&format!("  since {} s, {done} of {total} migrations", lease.held_ms / 1_000));
    if !lease.step_now.is_empty() {
        printer.out(&format!("  {}", lease.step_now));
    }
    if let Some((what, actor)) = wanted {
        printer.out(&format!("  asked last: {what}, by {actor}"));
    }
}

fn to_json(run: &CurrentRun) -> CurrentRunJson {
    let CurrentRun { lease, wanted } = run;
    CurrentRunJson {
        run_id: lease.run_id.clone(),
        owner: lease.owner.actor.clone(),
        pid: lease.owner.pid,
        verb: lease.verb.clone(),
        held_ms: lease.held_ms,
        done: lease.progress.0,
        total: lease.progress.1,
        step: lease.step_now.clone(),
        wanted: wanted.as_ref().map(|(what, _)| what.clone()),
        wanted_by: wanted.as_ref().map(|(_, actor)| actor.clone()),
    }
}
