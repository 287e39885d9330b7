//! `demo`: a small database from before its migrations to the way back, by running the real verbs.
//!
//! Nothing here says what a verb prints: every verb prints for itself, and every sentence between
//! them is counted from the database or the files at that moment.

mod folder;
mod killed;
mod shop;
mod stage;
mod story;

use std::path::PathBuf;

use crate::context::Context;
use crate::error::{CommandError, Exit};
use stage::Stage;

/// See it all happen on a small SQLite database
///
/// Makes a folder with a database as an application left it, and with migrations; then applies
/// them, verifies, lets one fail and corrects it, kills a run half-way and finishes it, takes a
/// migration back and applies it again. What is printed is what these commands say.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make
    #[arg(value_name = "DIR", default_value = "whimbrel-demo")]
    folder: PathBuf,
    /// Replace an earlier demo in the folder (so does `--yes`)
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let folder = context.root().join(&args.folder);
    folder::prepare(&folder, args.force || context.global.yes)?;
    let mut stage = Stage::new(folder, context);
    story::tell(&mut stage).await?;
    Ok(Exit::Done)
}
