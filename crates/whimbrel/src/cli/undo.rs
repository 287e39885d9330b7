use serde_json::json;
use whimbrel_core::plan::OnConflict;
use whimbrel_engine::{UndoConflict, UndoPlan, UndoStatement};

use super::events::EventPrinter;
use super::text::plural;
use super::up::{finish, one_by_one};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Format;

/// Take back what a data migration changed
///
/// Each value goes back to what it was, where it is still what the migration wrote. What somebody
/// changed since is a conflict: it is listed, and by default nothing is taken back then.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data migration: a version or a file name
    #[arg(value_name = "VERSION")]
    migration: String,
    /// What happens to values that somebody changed since
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    on_conflict: How,
    /// Show what would be taken back, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum How {
    /// Nothing is taken back
    #[default]
    Stop,
    /// They stay as they are, the rest is taken back
    Skip,
    /// They are taken back too
    Force,
}

impl From<How> for OnConflict {
    fn from(how: How) -> OnConflict {
        match how {
            How::Stop => OnConflict::Stop,
            How::Skip => OnConflict::Skip,
            How::Force => OnConflict::Force,
        }
    }
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let options = one_by_one(context);
    if args.dry_run {
        let plan = project.plan_undo_of(&args.migration, &options).await?;
        show(&plan, context);
        return Ok(if plan.conflicts == 0 { Exit::Done } else { Exit::Findings });
    }
    let how = args.on_conflict.into();
    let mut events = EventPrinter::new(&mut context.printer);
    let report = project.undo(&args.migration, how, &options, &mut events).await?;
    Ok(finish(&report, "took back", "undo", context))
}

fn show(plan: &UndoPlan, context: &mut Context) {
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let statements: Vec<_> = plan.statements.iter().map(statement_json).collect();
        let conflicts: Vec<_> = plan.shown.iter().map(conflict_json).collect();
        printer.json(
            &json!({
                "schema_version": 1, "event": "undo-plan", "migration": plan.migration,
                "statements": statements, "conflicts": plan.conflicts, "shown": conflicts,
            }),
            false,
        );
        return;
    }
    if plan.statements.is_empty() {
        printer.out(&format!("{}: there is nothing to take back", plan.migration));
        return;
    }
    printer.out(&format!("{}:", plan.migration));
    for one in &plan.statements {
        let rows = plural(usize::try_from(one.rows).unwrap_or(usize::MAX), "row");
        printer.out(&format!(
            "  statement {}: {} of {} would be taken back ({rows})",
            one.statement, one.kind, one.table
        ));
    }
    if plan.conflicts > 0 {
        let rows = plural(usize::try_from(plan.conflicts).unwrap_or(usize::MAX), "row");
        printer.out(&format!("{rows} changed since:"));
    }
    for conflict in &plan.shown {
        printer.out(&format!("  {}", conflict_text(conflict)));
    }
}

/// A conflict with its three values.
pub(crate) fn conflict_text(conflict: &UndoConflict) -> String {
    if let Some(referrer) = &conflict.referrer {
        return format!(
            "{} ({}): rows of {referrer} refer to it, which the migration did not write",
            conflict.table, conflict.key
        );
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    format!(
        "{} ({}) {}: was {}, the migration wrote {}, is {} now",
        conflict.table,
        conflict.key,
        conflict.column,
        value(&conflict.old),
        value(&conflict.new),
        value(&conflict.now)
    )
}

pub(super) fn statement_json(one: &UndoStatement) -> serde_json::Value {
    json!({ "statement": one.statement, "kind": one.kind, "table": one.table, "rows": one.rows })
}

pub(super) fn conflict_json(conflict: &UndoConflict) -> serde_json::Value {
    json!({
        "table": conflict.table, "key": conflict.key, "column": conflict.column,
        "old": conflict.old, "new": conflict.new, "now": conflict.now,
        "referrer": conflict.referrer,
    })
}
