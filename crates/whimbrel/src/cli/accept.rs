use super::events::EventPrinter;
use super::text::plural;
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Accept that the file of an applied migration has changed
///
/// For a change that the database has already. The new text takes the place of the one that ran:
/// `verify` proves what it promises, `history` shows what it makes, and `down` uses its way back
/// (or the one kept before, if it has none). The text that ran stays in the ledger.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Versions or file names; all changed ones if none is named
    migrations: Vec<String>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let options = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let names = project
        .accept(&args.migrations, args.reason.as_deref().unwrap_or_default(), &options, &mut events)
        .await?;
    context.names("accept", "accepted", &names);
    context.say(&format!("Accepted {}", plural(names.len(), "changed file")));
    if !names.is_empty() {
        let text = "`whimbrel verify` shows whether the database holds what it promises now";
        context.printer.note(text);
    }
    Ok(Exit::Done)
}
