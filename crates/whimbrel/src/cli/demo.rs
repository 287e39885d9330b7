use crate::context::Context;
use crate::error::{CommandError, Exit};

/// See it all happen on a small SQLite database
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(_args: &Args, _context: &mut Context) -> Result<Exit, CommandError> {
    Err(CommandError::usage("demo"))
}
