use serde_json::json;
use whimbrel_engine::PrunePlan;

use super::Place;
use crate::cli::confirm::confirm;
use crate::cli::text::{plural, time};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Format;

/// Carries out `backup prune`.
pub(super) async fn run(
    dry_run: bool,
    place: &Place,
    context: &mut Context,
) -> Result<Exit, CommandError> {
    // The ledger is told, if the database is there; the files do not need it.
    let project = match context.database() {
        Ok(project) => project,
        Err(_) => context.project_files()?,
    };
    let (at, keep_count) = (place.at(context)?, context.backups().keep_count);
    let plan = project.plan_prune(&at, keep_count)?;
    show(&plan, context);
    if dry_run || plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !confirm(None, Some("yes"), false, context)? {
        return Err(CommandError {
            exit: Exit::Unconfirmed,
            message: "Nothing was removed: nobody said yes".to_owned(),
            lines: Vec::new(),
            hints: vec!["Without a terminal, pass `--yes`".to_owned()],
        });
    }
    for note in project.prune(&at, keep_count, &plan).await? {
        context.printer.note(&format!("note: {note}"));
    }
    context.say(&format!("Removed {}", count(&plan)));
    Ok(Exit::Done)
}

fn count(plan: &PrunePlan) -> String {
    let backups = plural(plan.backups.len(), "backup");
    format!("{backups} ({} bytes), {} of killed commands", plan.bytes(), plan.remains.len())
}

fn show(plan: &PrunePlan, context: &mut Context) {
    if context.printer.format() == Format::Json {
        let backups: Vec<_> = plan.backups.iter().map(|one| &one.id).collect();
        let remains: Vec<_> = plan.remains.iter().collect();
        let event = json!({
            "schema_version": 1, "event": "prune-plan", "backups": backups,
            "bytes": plan.bytes(), "remains": remains,
        });
        return context.printer.json(&event, false);
    }
    if plan.is_empty() {
        return context.printer.out("Nothing to remove");
    }
    for one in &plan.backups {
        let (bytes, until) = (one.stored_bytes(), time(one.expires_ms));
        context.printer.note(&format!("{}: {bytes} bytes, kept until {until}", one.id));
    }
    for one in &plan.remains {
        context.printer.note(&format!("{one}: left by a killed command"));
    }
}
