use serde_json::json;
use whimbrel_core::migration::Kind;

use super::text::now_digits;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Format;

/// Write a new, empty migration with the next free number
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it does, in a few words
    #[arg(required = true)]
    name: Vec<String>,
    /// A data migration; it needs no file for the way back, because `undo` is one
    #[arg(long)]
    data: bool,
    /// No file for the way back
    #[arg(long)]
    no_down: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project_files()?;
    let kind = if args.data { Kind::Data } else { Kind::Schema };
    let name = args.name.join(" ");
    let files = project.new_migration(&name, kind, !args.no_down && !args.data, &now_digits())?;
    let paths: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    match context.printer.format() {
        Format::Json => {
            let value =
                json!({ "schema_version": 1, "command": "new", "data": { "files": paths } });
            context.printer.json(&value, true);
        }
        Format::Human => {
            for path in &paths {
                context.printer.out(path);
            }
            context.printer.note("Next: write the SQL into them, then `whimbrel plan`");
        }
    }
    Ok(Exit::Done)
}
