//! Projects of `wrangler` in their other shapes: JSON with comments, another history table,
//! another folder, another place for the local data.

use std::path::PathBuf;

use whimbrel_testkit::peers::Peer;
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::{Output, Whimbrel};

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn whimbrel(project: &Project, arguments: &[&str]) -> Output {
    Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), project.path()).run(arguments)
}

/// `None` if the run leaves the peers out.
fn wrangler(project: &Project, arguments: &[&str]) -> Option<String> {
    let mut command = Peer::Wrangler.command()?;
    let home = project.at("home");
    std::fs::create_dir_all(&home).unwrap();
    command.current_dir(project.path()).env("HOME", &home).args(arguments);
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{arguments:?}: {text}");
    Some(text)
}

fn databases(project: &Project) -> Vec<PathBuf> {
    let files = project.files();
    let found = files.iter().filter(|file| {
        file.ends_with(".sqlite") && !file.ends_with("metadata.sqlite") && file.contains("/d1/")
    });
    found.map(|file| project.at(file)).collect()
}

/// Whimbrel applies the first migration, wrangler the second, Whimbrel the third; at each turn both
/// must name the same pending ones and use the same file.
fn take_turns(project: &Project, folder: &str, options: &[&str]) {
    let file = |name: &str, text: &str| project.file(&format!("{folder}/{name}"), text);
    file("0001_one.sql", "CREATE TABLE one (id INTEGER PRIMARY KEY);\n");
    let with = |arguments: &[&'static str]| -> Vec<String> {
        arguments.iter().chain(options).map(|word| (*word).to_owned()).collect()
    };
    let ours = |arguments: &[&'static str]| {
        let arguments = with(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        whimbrel(project, &arguments)
    };
    let theirs = |arguments: &[&'static str]| {
        let arguments = with(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        wrangler(project, &arguments)
    };
    ours(&["up"]).success();
    let list = ["d1", "migrations", "list", "app", "--local"];
    let Some(text) = theirs(&list) else { return };
    assert!(text.contains("No migrations to apply"), "{text}");

    file(
        "0002_two.sql",
        "CREATE TABLE two (id INTEGER PRIMARY KEY, one_id INTEGER REFERENCES one);\n",
    );
    let text = theirs(&list).unwrap_or_default();
    assert!(text.contains("0002_two.sql") && !text.contains("0001_one.sql"), "{text}");
    theirs(&["d1", "migrations", "apply", "app", "--local"]);
    let status = ours(&["status", "--check"]).success();
    assert!(status.stdout.contains("2 applied, 0 pending"), "{status}");

    file("0003_three.sql", "ALTER TABLE two ADD COLUMN note TEXT DEFAULT ';';\n");
    ours(&["up"]).success();
    let text = theirs(&list).unwrap_or_default();
    assert!(text.contains("No migrations to apply"), "{text}");
    ours(&["verify"]).success();
    let found = databases(project);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn jsonc_with_another_table_and_folder() {
    let project = Project::new();
    project.file(
        "wrangler.jsonc",
        &format!(
            "{{\n  // the app's settings\n  \"name\": \"app\",\n  \"d1_databases\": [{{\n    \
             \"binding\": \"DB\", /* one */ \"database_name\": \"app\",\n    \
             \"database_id\": \"{ID}\",\n    \"migrations_table\": \"our_migrations\",\n    \
             \"migrations_dir\": \"db/changes\",\n  }}],\n}}\n"
        ),
    );
    take_turns(&project, "db/changes", &[]);
}

#[test]
fn plain_json() {
    let project = Project::new();
    project.file(
        "wrangler.json",
        &format!(
            "{{\"name\": \"app\", \"d1_databases\": [{{\"binding\": \"DB\", \
             \"database_name\": \"app\", \"database_id\": \"{ID}\"}}]}}"
        ),
    );
    take_turns(&project, "migrations", &[]);
}

#[test]
fn another_place_for_the_local_data() {
    let project = Project::new();
    project.file(
        "wrangler.toml",
        &format!(
            "name = \"app\"\n[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"app\"\n\
             database_id = \"{ID}\"\npreview_database_id = \"preview-of-app\"\n"
        ),
    );
    take_turns(&project, "migrations", &["--persist-to", "data/local"]);
}
