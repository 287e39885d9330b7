//! The installed peers run.

use whimbrel_testkit::peers::Peer;
use whimbrel_testkit::project::Project;

#[test]
fn wrangler_lists_local_migrations() {
    let Some(mut wrangler) = Peer::Wrangler.command() else { return };
    let project = Project::new();
    project.file("migrations/0001_init.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY);").file(
        "wrangler.toml",
        "name = \"w\"\ncompatibility_date = \"2024-01-01\"\n[[d1_databases]]\n\
         binding = \"DB\"\ndatabase_name = \"DB\"\ndatabase_id = \"local\"\n",
    );
    wrangler.args(["d1", "migrations", "list", "DB", "--local"]);
    let output = wrangler.current_dir(project.path()).env("HOME", project.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("0001_init.sql"), "{text}");
}

#[test]
fn supabase_says_its_version() {
    let Some(mut supabase) = Peer::Supabase.command() else { return };
    let home = Project::new();
    let output = supabase.arg("--version").env("HOME", home.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "3.1.0");
}
