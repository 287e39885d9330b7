//! docs/reference/directives.md, made from the tables.

use std::fmt::Write;

use super::{KEYS, Scope, VERBS};

/// The page about directives, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Directives\n\n\
         A directive is a comment that Whimbrel reads:\n\
         `-- whimbrel: key=value key=\"quoted value\"`.\n\
         Before the first statement it holds for the file, elsewhere for the next statement;\n\
         with the word `batch` (`-- whimbrel: batch size=500`) always for the next statement.\n\
         Inside double quotes, `\\\"` and `\\\\` stand for `\"` and `\\`. An unknown key is an\n\
         error.\n\n\
         | key | values | default | where |\n\
         | --- | --- | --- | --- |\n",
    );
    // Writing into a string cannot fail.
    for row in KEYS {
        let values = row.values.replace('|', "\\|");
        let places: Vec<&str> = row.scopes.iter().map(|scope| place(*scope)).collect();
        let (name, default, places) = (row.name, row.default, places.join(", "));
        let _ = writeln!(page, "| `{name}` | {values} | {default} | {places} |");
    }
    for row in KEYS {
        let _ = write!(page, "\n## `{}`\n\n{}\n", row.name, row.docs);
    }
    page.push_str("\n## Sections\n\nA verb in the place of keys begins a section of the file.\n\n");
    for (_, name, docs) in VERBS {
        let _ = writeln!(page, "- `-- whimbrel: {name}`: {docs}");
    }
    page
}

fn place(scope: Scope) -> &'static str {
    match scope {
        Scope::File => "file",
        Scope::Statement => "statement",
    }
}
