use serde_json::json;
use whimbrel_engine::{DownPlan, DownSelection};

use super::confirm::confirm;
use super::events::EventPrinter;
use super::text::plural;
use super::up::{finish, one_by_one};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Format;

/// Take migrations back
///
/// Uses the way back that the ledger kept when the migration was applied. What will be lost is
/// shown first, and must be confirmed by typing a phrase. What the migration removed comes back
/// with its rows, if it was kept; what the way back itself removes is not kept.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Back to this migration, which stays; 0 takes all back
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// How many migrations, newest first (1 by default)
    #[arg(long, value_name = "N", conflicts_with = "to")]
    steps: Option<usize>,
    /// Use the files' down texts, not those that the ledger kept
    #[arg(long)]
    from_file: bool,
    /// The phrase, where nobody can type it; in a protected environment it ends with ` IN NAME`
    #[arg(long, value_name = "PHRASE")]
    confirm: Option<String>,
    /// Show what would be lost, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let selection =
        DownSelection { to: args.to.clone(), steps: args.steps, from_file: args.from_file };
    let plan = project.plan_down(&selection).await?;
    show(&plan, args.dry_run, context);
    if args.dry_run || plan.migrations.is_empty() {
        return Ok(Exit::Done);
    }
    let protected = project.options().protected;
    let (given, phrase) = (args.confirm.as_deref(), plan.phrase.as_deref());
    let confirmed = confirm(given, phrase, protected, context)?;
    let options = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let report = project.down(plan, &selection, confirmed, &options, &mut events).await?;
    Ok(finish(&report, "took back", "down", context))
}

fn show(plan: &DownPlan, dry_run: bool, context: &mut Context) {
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let losses: Vec<_> = plan
            .losses
            .iter()
            .map(
                |loss| json!({ "migration": loss.migration, "what": loss.what, "rows": loss.rows }),
            )
            .collect();
        printer.json(
            &json!({
                "schema_version": 1, "event": "down-plan", "migrations": plan.migrations,
                "losses": losses, "phrase": plan.phrase, "purged": plan.purged,
            }),
            false,
        );
        return;
    }
    if plan.migrations.is_empty() {
        printer.out("Nothing to do: nothing is applied");
        return;
    }
    printer.note(&format!("Takes back {}:", plural(plan.migrations.len(), "migration")));
    for name in &plan.migrations {
        printer.note(&format!("  {name}"));
    }
    for what in &plan.purged {
        printer.note(&format!("Does not come back, as it was purged: {what}"));
    }
    if !plan.losses.is_empty() {
        printer.note("What will be lost:");
    }
    for loss in &plan.losses {
        let rows = match loss.rows {
            Some(rows) => format!(" ({rows} {})", if rows == 1 { "row" } else { "rows" }),
            None => String::new(),
        };
        printer.note(&format!("  {}{rows}", loss.what));
    }
    if let (true, Some(phrase)) = (dry_run, &plan.phrase) {
        printer.note(&format!("It will ask for the phrase `{phrase}`"));
    }
}
