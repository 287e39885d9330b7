use super::events::EventPrinter;
use super::text::plural;
use super::up::RunArgs;
use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Accept that the file of an applied migration has changed
///
/// The ledger keeps the old text; from now on the new one is the migration's text.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Versions or file names; all changed ones if none is named
    migrations: Vec<String>,
    /// Why, for the audit
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let options = args.run.options(context);
    let mut events = EventPrinter { printer: &mut context.printer };
    let names =
        project.accept(&args.migrations, &args.reason, &options, &mut events).await?;
    context.names("accept", "accepted", &names);
    context.say(&format!("Accepted {}", plural(names.len(), "changed file")));
    Ok(Exit::Done)
}
