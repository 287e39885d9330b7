use serde_json::{Value, json};
use whimbrel_core::plan::OnConflict;
use whimbrel_engine::{
    Answer, Apart, EngineError, Rollback, RollbackHow, RollbackReport, RollbackStage, RollbackStep,
};

use super::ask::Asking;
use super::backup::Opening;
use super::events::EventPrinter;
use super::in_place;
use super::text::plural;
use super::undo::{How as OnConflictArg, conflict_json, conflict_text, statement_json};
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit, fact_text};
use crate::printer::{Format, Printer};

/// Take back what a run of `up` did
///
/// What would be taken back and what would be lost is shown first, then somebody is asked. Where
/// rows would be lost, the phrase with exactly their number must be given. The same command goes
/// on where an earlier one was stopped or killed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: its id as `history` shows it, the beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// In which way
    #[arg(long, value_enum, value_name = "HOW")]
    how: How,
    /// Only migrations that touch this table, and those of the run that depend on them
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// At most so many migrations (with `--how staged`)
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// What happens to values that somebody changed since
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    on_conflict: OnConflictArg,
    /// The phrase, where nobody can type it; each one given is good for one question
    #[arg(long, value_name = "PHRASE")]
    confirm: Vec<String>,
    /// Show what would be taken back and lost, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    opening: Opening,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// The backup that was made before the run is restored
    Immediate,
    /// The data migrations of the run are undone, the schema stays; they can run again
    Partial,
    /// The migrations of the run are taken back one at a time, newest first; each is verified
    Staged,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    if args.steps.is_some() && args.how != How::Staged {
        return Err(CommandError::usage("`--steps` goes with `--how staged` only"));
    }
    let how = match args.how {
        How::Partial => RollbackHow::Partial,
        How::Staged => RollbackHow::Staged,
        How::Immediate if args.table.is_some() => {
            return Err(CommandError::usage("`--how immediate` restores all tables")
                .hinted("For one table, use `--how partial` or `--how staged`"));
        }
        How::Immediate => return immediate(args, context).await,
    };
    let project = context.project()?;
    let asked = Rollback {
        run: args.run.clone(),
        how,
        table: args.table.clone(),
        on_conflict: OnConflict::from(args.on_conflict),
        steps: args.steps,
        dry_run: args.dry_run,
    };
    let options = one_by_one(context);
    let asking = Asking::new(context.global.yes, args.confirm.clone());
    let mut events = EventPrinter::asking(&mut context.printer, asking);
    match project.rollback(&asked, &options, &mut events).await {
        Ok(report) => Ok(finish(args, how, &report, context)),
        Err(error) => Err(explained(args, how, error)),
    }
}

/// Restores the backup of the run in the place of the present database.
async fn immediate(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let (run_id, backup) = project.backup_of_run(&args.run).await?;
    let (place, options) = args.opening.read(context)?;
    let apart = Apart { run: Some(run_id.clone()), ..Apart::default() };
    let plan = project.plan_restore_in_place(&place, &backup, &options, apart).await?;
    context.printer.note(&format!("Rollback of run {run_id}, immediate: restores {backup}"));
    if let (Some(by), 0) = (&plan.finished_by, plan.rows()) {
        context.say(&format!("Nothing to do: run {by} had restored it before it was ended"));
        project.discard(plan).await?;
        return Ok(Exit::Done);
    }
    in_place::show(&plan, context);
    if args.dry_run {
        project.discard(plan).await?;
        return Ok(Exit::Done);
    }
    let mut asking = Asking::new(context.global.yes, args.confirm.clone());
    match asking.wait(context, plan.phrase.as_deref())? {
        Answer::Yes => {}
        Answer::No => {
            project.discard(plan).await?;
            context.printer.err("Nothing was changed");
            return Ok(Exit::Unconfirmed);
        }
        Answer::Missing => {
            let what = format!("the rollback of run {run_id}");
            let phrase = plan.phrase.clone();
            project.discard(plan).await?;
            return Err(match phrase {
                Some(phrase) => EngineError::NotConfirmed { phrase }.into(),
                None => EngineError::NotAnswered { what }.into(),
            });
        }
    }
    let run = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let report = project.restore_in_place(plan, true, "rollback", &run, &mut events).await?;
    in_place::done(&report, "rollback", context);
    Ok(Exit::Done)
}

/// The error with advice for this command.
fn explained(args: &Args, how: RollbackHow, error: EngineError) -> CommandError {
    let conflicts = matches!(error, EngineError::UndoConflicts { .. });
    let mut error = CommandError::from(error);
    if conflicts {
        let how = format!("whimbrel rollback {} --how {}", args.run, how.word());
        error.hints = vec![
            "Nothing of these migrations was taken back. To leave those rows as they are and take \
             back the rest, run"
                .to_owned(),
            format!("    {how} --on-conflict skip"),
            "and to overwrite them as well (it asks for the number of rows),".to_owned(),
            format!("    {how} --on-conflict force"),
        ];
    }
    error
}

fn finish(args: &Args, how: RollbackHow, report: &RollbackReport, context: &mut Context) -> Exit {
    let printer = &mut context.printer;
    let run = &report.run;
    if printer.format() == Format::Json {
        let unverified: Vec<Value> = run
            .unverified
            .iter()
            .map(|(name, fact)| json!({ "migration": name, "fact": fact_text(fact) }))
            .collect();
        printer.json(
            &json!({
                "schema_version": 1, "event": "end", "command": "rollback", "run_id": run.run_id,
                "rolled_back": report.rolled_back, "how": how.word(),
                "finished": run.finished.iter().map(|one| &one.name).collect::<Vec<_>>(),
                "left": report.left, "declined": report.declined,
                "interrupted": run.interrupted, "unverified": unverified,
            }),
            false,
        );
    } else {
        let count = plural(run.finished.len(), "migration");
        match (run.finished.is_empty(), report.left.as_slice()) {
            (true, []) => printer
                .out(&format!("Nothing to do: nothing of run {} is applied", report.rolled_back)),
            (true, left) => {
                printer.out(&format!("Nothing was taken back; {} left", are(left)));
            }
            (false, []) => printer.out(&format!("Took back {count} of run {}", report.rolled_back)),
            (false, left) => printer.out(&format!(
                "Took back {count} of run {}; {} left",
                report.rolled_back,
                are(left)
            )),
        }
    }
    for (name, fact) in &run.unverified {
        printer.err(&format!("after {name}: {}", fact_text(fact)));
    }
    if run.interrupted {
        printer.err("Stopped as asked; the same command goes on");
        return Exit::Interrupted;
    }
    if !run.unverified.is_empty() {
        printer.err("Stopped, as the database does not hold what the other migrations promise");
        return Exit::Findings;
    }
    if args.dry_run && report.conflicts > 0 { Exit::Findings } else { Exit::Done }
}

fn are(left: &[String]) -> String {
    let verb = if left.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", plural(left.len(), "migration"))
}

/// Shows a stage.
pub(super) fn show(printer: &mut Printer, stage: &RollbackStage) {
    let mut lines = vec![format!(
        "Rollback of run {}, {}, {} of {}:",
        stage.run_id, stage.how, stage.stage, stage.stages
    )];
    for step in &stage.steps {
        lines.extend(step_lines(step));
    }
    match (&stage.phrase, stage.lost) {
        (Some(phrase), _) if stage.dry_run => {
            lines.push(format!("  it will ask for the phrase `{phrase}`"));
        }
        (None, _) => lines.push("  nothing would be lost".to_owned()),
        _ => {}
    }
    for line in lines {
        if stage.dry_run { printer.out(&line) } else { printer.note(&line) }
    }
}

fn step_lines(step: &RollbackStep) -> Vec<String> {
    let rows = |rows: u64| plural(usize::try_from(rows).unwrap_or(usize::MAX), "row");
    let way = if step.is_undo { "its values are undone" } else { "its way back runs" };
    let mut lines = vec![format!("  {}: {way}", step.migration)];
    for one in &step.statements {
        lines.push(format!(
            "    statement {}: {} of {} ({})",
            one.statement,
            one.kind,
            one.table,
            rows(one.rows)
        ));
    }
    if step.conflicts > 0 {
        lines.push(format!("    {} changed since:", rows(step.conflicts)));
    }
    lines.extend(step.shown.iter().map(|one| format!("      {}", conflict_text(one))));
    for (what, count) in &step.losses {
        lines.push(match count {
            Some(count) => format!("    will be lost: {what} ({})", rows(*count)),
            None => format!("    will be lost: {what} (nobody can say how many rows)"),
        });
    }
    for what in &step.purged {
        lines.push(format!("    does not come back, as it was purged: {what}"));
    }
    lines
}

/// The same as JSON.
pub(super) fn stage_json(stage: &RollbackStage) -> Value {
    let steps: Vec<Value> = stage
        .steps
        .iter()
        .map(|step| {
            let statements: Vec<Value> = step.statements.iter().map(statement_json).collect();
            let losses: Vec<Value> = step
                .losses
                .iter()
                .map(|(what, rows)| json!({ "what": what, "rows": rows }))
                .collect();
            let shown: Vec<Value> = step.shown.iter().map(conflict_json).collect();
            json!({
                "migration": step.migration, "undo": step.is_undo, "statements": statements,
                "conflicts": step.conflicts, "shown": shown, "losses": losses,
                "purged": step.purged,
            })
        })
        .collect();
    json!({
        "event": "rollback-plan", "run_id": stage.run_id, "how": stage.how, "stage": stage.stage,
        "stages": stage.stages, "steps": steps, "lost": stage.lost, "phrase": stage.phrase,
        "dry_run": stage.dry_run,
    })
}
