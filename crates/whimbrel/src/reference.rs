//! The pages in docs/reference that are made from the code.
//!
//! A test compares them with the files and, with `WHIMBREL_UPDATE=1`, writes the files anew.

use std::fmt::Write;

use whimbrel_core::config::{BACKUP_KEYS, CONFIG_KEYS, THROTTLE_KEYS, VARIABLES};
use whimbrel_core::data::{Lifted, RefusalCode};
use whimbrel_core::directive;

use crate::cli::{command_line, json_schemas};

/// Width of the help texts in the page, in characters.
const WIDTH: usize = 100;
/// Where the part of every command's help begins that is the same for all.
const SHARED: &str = "\nOptions for every command:";
/// Keys of directives that are read and checked, and that nothing heeds yet.
const KEYS_WITHOUT_EFFECT: &[&str] = &["requires"];

/// Every generated page: its path below the project's folder, and its text.
pub fn reference_pages() -> Vec<(String, String)> {
    let mut pages = vec![
        ("docs/reference/cli.md".to_owned(), commands()),
        ("docs/reference/directives.md".to_owned(), directives()),
        ("docs/reference/settings.md".to_owned(), settings()),
        ("docs/reference/type-mappings.md".to_owned(), whimbrel_core::transfer::reference()),
    ];
    for (verb, schema) in json_schemas() {
        let mut value = schema.to_value();
        if let Some(object) = value.as_object_mut() {
            object.insert("title".to_owned(), format!("whimbrel {verb} --json").into());
        }
        let text = serde_json::to_string_pretty(&value).unwrap_or_default();
        pages.push((format!("docs/reference/json/{verb}.schema.json"), text + "\n"));
    }
    pages
}

fn commands() -> String {
    let mut all = command_line().term_width(WIDTH).mut_subcommands(|one| one.term_width(WIDTH));
    all.build();
    let mut page = String::from("# Commands\n\nThe help texts of `whimbrel` and of each verb.\n");
    // Writing into a string cannot fail.
    let _ = write!(page, "\n## whimbrel\n\n```text\n{}\n```\n", plain(&mut all));
    page.push_str(
        "\nEvery verb also takes the options for every command above, and ends with the codes\n\
         above ([exit codes](exit-codes.md)).\n",
    );
    for command in all.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let help = plain(command);
        let own = help.split(SHARED).next().unwrap_or_default().trim_end();
        let name = command.get_name();
        let _ = write!(page, "\n## whimbrel {name}\n\n```text\n{own}\n```\n");
    }
    page
}

/// A command's help without colours and without white space at the ends of lines.
fn plain(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn directives() -> String {
    let mut page = directive::reference();
    page.push_str("\n## What `materialize=true` lifts\n\n");
    page.push_str("For `UPDATE`, `DELETE` and `INSERT ... SELECT`: ");
    page.push_str(&lifted(Lifted::All));
    page.push_str(".\n\nFor `INSERT ... SELECT` alone: ");
    page.push_str(&lifted(Lifted::Inserts));
    page.push_str(".\n\nNot: ");
    page.push_str(&lifted(Lifted::No));
    page.push_str(".\n");
    page.push_str("\n## Not in effect yet\n\n");
    page.push_str("These keys are read and checked, and nothing heeds them yet: ");
    page.push_str(&names(KEYS_WITHOUT_EFFECT));
    page.push_str(".\n");
    page
}

/// The refusals that are lifted for those statements.
fn lifted(by: Lifted) -> String {
    let codes = RefusalCode::ALL.iter().filter(|code| code.lifted_by_materialize() == by);
    names(&codes.map(|code| code.code()).collect::<Vec<_>>())
}

fn settings() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         A setting comes from a flag, else from the environment, else from `.env`, else from\n\
         `whimbrel.toml`, else from what the project's files show. `whimbrel doctor --explain`\n\
         shows every value with its origin.\n\n\
         ## Keys of whimbrel.toml\n\n\
         A key stands in `[project]`, or in `[environments.NAME]`, where it wins. An unknown key\n\
         is an error.\n\n\
         | key | where | values | default | variable |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for key in CONFIG_KEYS {
        let place = match (key.project, key.environment) {
            (true, true) => "both",
            (true, false) => "project",
            (false, _) => "environment",
        };
        let variable = key.variable.map_or_else(String::new, |name| format!("`{name}`"));
        let (name, values, default) = (key.name, key.values, key.default);
        let _ = writeln!(page, "| `{name}` | {place} | {values} | {default} | {variable} |");
    }
    for key in CONFIG_KEYS {
        let _ = write!(page, "\n### `{}`\n\n{}\n", key.name, key.docs);
    }
    page.push_str(
        "\n## `[throttle]`\n\n\
         What holds a data migration between two batches; each signal alone is enough. Keys of\n\
         `[environments.NAME.throttle]` win over those of `[throttle]`. While a run is held, signals\n\
         are looked at again after 1 s, 2 s, 4 s and so on up to a minute; one that holds lets go at\n\
         four fifths of its threshold. A signal that the database cannot measure is an error.\n\n\
         | key | values |\n\
         | --- | --- |\n",
    );
    for key in THROTTLE_KEYS {
        let _ = writeln!(page, "| `{}` | {} |", key.name, key.values);
    }
    for key in THROTTLE_KEYS {
        let _ = write!(page, "\n### `{}`\n\n{}\n", key.name, key.docs);
    }
    page.push_str(
        "\n## `[backup]`\n\n\
         How backups are made and kept, of every database of the project.\n\n\
         | key | values | default |\n\
         | --- | --- | --- |\n",
    );
    for key in BACKUP_KEYS {
        let _ = writeln!(page, "| `{}` | {} | {} |", key.name, key.values, key.default);
    }
    for key in BACKUP_KEYS {
        let _ = write!(page, "\n### `{}`\n\n{}\n", key.name, key.docs);
    }
    page.push_str("\n## Further variables\n\n");
    for (name, docs) in VARIABLES {
        let _ = writeln!(page, "- `{name}`: {docs}");
    }
    page
}

fn names(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
