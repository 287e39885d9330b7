use serde_json::json;

use crate::context::{CONFIG_FILE, Context};
use crate::error::{CommandError, Exit};
use crate::printer::Format;

/// Set a project up
///
/// Writes a `whimbrel.toml` that takes the address of the database from DATABASE_URL, and the
/// folder of migrations. Nothing that is there already is touched. A wrangler or Supabase project
/// needs none of this.
#[derive(Debug, clap::Args)]
pub struct Args {}

const CONFIG: &str = "\
# Settings of Whimbrel. All of them are optional; `whimbrel doctor --explain` shows their values.

[project]
url = \"env:DATABASE_URL\"
# migrations = \"migrations\"
# foreign-keys = true          # SQLite: enforce foreign keys

# [environments.production]
# url = \"env:PRODUCTION_DATABASE_URL\"
# protected = true             # `--yes` does not replace the typed phrase of `down`
";

pub(super) async fn run(_args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let root = context.root();
    let project = context.project_files()?;
    let mut made = Vec::new();
    let foreign = project.options().layout.format.is_foreign();
    if foreign {
        let format = project.options().layout.format.name();
        context.say(&format!("This is a {format} project; it needs no settings of Whimbrel's"));
    } else {
        let folder = root.join(&project.options().layout.migrations);
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
            made.push(format!("{}/", project.options().layout.migrations));
        }
        let config = root.join(CONFIG_FILE);
        if !config.exists() {
            std::fs::write(&config, CONFIG).map_err(|error| failed(&config, &error))?;
            made.push(CONFIG_FILE.to_owned());
        }
    }
    if context.printer.format() == Format::Json {
        let value = json!({ "schema_version": 1, "command": "init", "data": { "made": made } });
        context.printer.json(&value, true);
        return Ok(Exit::Done);
    }
    for path in &made {
        context.say(&format!("made {path}"));
    }
    if made.is_empty() && !foreign {
        context.say("Everything is there already");
    }
    context
        .printer
        .note("Next: `whimbrel new create users`; set DATABASE_URL before `whimbrel up`");
    Ok(Exit::Done)
}

fn failed(path: &std::path::Path, error: &std::io::Error) -> CommandError {
    CommandError::usage(format!("{}: {error}", path.display()))
}
