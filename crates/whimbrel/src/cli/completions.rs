use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::command_line(), "whimbrel", &mut text);
    context.printer.out(String::from_utf8_lossy(&text).trim_end());
    Ok(Exit::Done)
}
