use serde_json::json;
use whimbrel_engine::{Apart, InPlacePlan, InPlaceReport, LostRows, TakeBack};

use super::backup::Restore;
use super::confirm::confirm;
use super::events::EventPrinter;
use super::text::plural;
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Format;

/// Carries out `backup restore ID --in-place`, and the way back from it.
pub(super) async fn run(args: &Restore, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.database()?;
    let (place, options) = (&args.place.at(context)?, &args.options(context)?);
    let plan = if args.take_back {
        match project.plan_take_back(place, &args.id, options).await? {
            TakeBack::Plan(plan) => *plan,
            TakeBack::Untouched => {
                context.say("The restore had not touched the database; what it left was removed");
                return Ok(Exit::Done);
            }
            TakeBack::Finished(run) => {
                context.say(&format!(
                    "Nothing to do: run {run} had taken it back before it was ended"
                ));
                return Ok(Exit::Done);
            }
        }
    } else {
        let apart = Apart::default();
        project.plan_restore_in_place(place, &args.id, options, apart).await?
    };
    if let (Some(run), 0) = (&plan.finished_by, plan.rows()) {
        context.say(&format!("Nothing to do: run {run} had restored it before it was ended"));
        project.discard(plan).await?;
        return Ok(Exit::Done);
    }
    show(&plan, context);
    if args.dry_run {
        project.discard(plan).await?;
        return Ok(Exit::Done);
    }
    let protected = project.options().protected;
    let (given, phrase) = (args.confirm.as_deref(), plan.phrase.as_deref());
    let confirmed = match confirm(given, phrase, protected, context) {
        Ok(confirmed) => confirmed,
        Err(error) => {
            project.discard(plan).await?;
            return Err(error);
        }
    };
    let run = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let report = project.restore_in_place(plan, confirmed, "restore", &run, &mut events).await?;
    done(&report, "backup restore", context);
    Ok(Exit::Done)
}

pub(super) fn show(plan: &InPlacePlan, context: &mut Context) {
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let lost: Vec<_> = plan.lost.iter().map(lost_json).collect();
        let event = json!({
            "schema_version": 1, "event": "restore-plan", "backup": plan.manifest.id,
            "lost": lost, "rows": plan.rows(), "phrase": plan.phrase, "note": plan.note,
        });
        return printer.json(&event, false);
    }
    if let Some(note) = &plan.note {
        printer.note(&format!(
            "The run's own changes are counted too, as it cannot be undone: {note}"
        ));
    }
    if plan.lost.is_empty() {
        printer.note("No row differs from those that were saved");
        return;
    }
    printer.note("Written since, and lost by it:");
    for one in &plan.lost {
        printer.note(&format!("  {}", lost_text(one)));
    }
    if let Some(phrase) = &plan.phrase {
        printer.note(&format!("It wants the phrase `{phrase}`"));
    }
}

fn lost_json(one: &LostRows) -> serde_json::Value {
    json!({
        "table": one.table, "added": one.added, "changed": one.changed, "removed": one.removed,
    })
}

/// `people: 3 rows added, 1 changed`
fn lost_text(one: &LostRows) -> String {
    let counts = [(one.added, "added"), (one.changed, "changed"), (one.removed, "removed")];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, what)| {
            let rows = plural(usize::try_from(*rows).unwrap_or(usize::MAX), "row");
            format!("{rows} {what}")
        })
        .collect();
    format!("{}: {}", one.table, parts.join(", "))
}

pub(super) fn done(report: &InPlaceReport, command: &str, context: &mut Context) {
    let kept = report.kept.display();
    if context.printer.format() == Format::Json {
        let event = json!({
            "schema_version": 1, "event": "end", "command": command,
            "run_id": report.run_id, "backup": report.backup, "rows_lost": report.rows,
            "database": report.database, "kept": kept.to_string(),
        });
        return context.printer.json(&event, false);
    }
    context.say(&format!("Restored `{}` into {}", report.backup, report.database));
    let hint = "`whimbrel backup restore ID --in-place --take-back` brings it back";
    context.printer.note(&format!("The database that was there is kept: {kept}. {hint}"));
}
