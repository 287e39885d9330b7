use super::events::EventPrinter;
use super::text::plural;
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Declare migrations applied without running them
///
/// For a database that was there before Whimbrel: everything up to and with the version is
/// recorded as applied. `--to 0` records nothing and only begins the history.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The last migration that is in the database already
    #[arg(long, value_name = "VERSION")]
    to: String,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let options = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let names = project.baseline(&args.to, &options, &mut events).await?;
    context.names("baseline", "declared", &names);
    let count = plural(names.len(), "migration");
    context.say(&format!("Recorded {count} as applied; the history begins here"));
    Ok(Exit::Done)
}
