use super::events::EventPrinter;
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Say whether an interrupted statement happened, where the database cannot tell
///
/// `up` names the step and shows the evidence. Afterwards run `up` again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The step, as `up` names it: MIGRATION:STATEMENT
    #[arg(value_name = "STEP")]
    step: String,
    /// Its effect is there; it is not sent again
    #[arg(long, group = "answer")]
    happened: bool,
    /// Its effect is not there; it is sent again
    #[arg(long, group = "answer")]
    retry: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let wrong = || {
        CommandError::usage(format!("`{}` does not name a step", args.step))
            .hinted("Write it as `up` does: MIGRATION:STATEMENT, such as 0007_add_owner.sql:2")
    };
    let (migration, number) = args.step.rsplit_once(':').ok_or_else(wrong)?;
    let statement: usize = number.parse().map_err(|_| wrong())?;
    let project = context.project()?;
    let options = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let name = project.resolve(migration, statement, args.happened, &options, &mut events).await?;
    let answer = if args.happened { "happened" } else { "did not happen" };
    context.names("resolve", answer, std::slice::from_ref(&name));
    context.say(&format!("Noted: statement {statement} of {name} {answer}. Run `whimbrel up`"));
    Ok(Exit::Done)
}
