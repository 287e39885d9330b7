//! A Supabase project beside the real Supabase CLI: both must agree on what is applied.

use std::process::Output;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres};
use whimbrel_testkit::peers::Peer;
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

const FIRST: &str = "20240101000000";
const SECOND: &str = "20240102000000";

struct Supabase {
    project: Project,
    database: TestDatabase,
}

/// `None` if the run leaves PostgreSQL or the peers out.
fn supabase() -> Option<Supabase> {
    Peer::Supabase.command()?;
    let database = fresh_postgres("supabase")?;
    let project = Project::new();
    project
        .file("supabase/config.toml", "project_id = \"app\"\n")
        .file(
            &format!("supabase/migrations/{FIRST}_profiles.sql"),
            "create table profiles (id bigint primary key, name text not null);\n\
             create function shout(t text) returns text language sql as $$ select upper(t); $$;\n",
        )
        .file(
            &format!("supabase/migrations/{SECOND}_posts.sql"),
            "create table posts (id bigint primary key, \
             profile_id bigint references profiles on delete cascade, body text default ';');\n",
        )
        .file(&format!("whimbrel/{SECOND}_posts.down.sql"), "drop table posts;\n");
    Some(Supabase { project, database })
}

impl Supabase {
    fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), self.project.path())
            .env("DATABASE_URL", &self.database.url)
    }

    /// What the CLI prints; it must succeed.
    fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Peer::Supabase.command().unwrap();
        let home = self.project.at("home");
        std::fs::create_dir_all(&home).unwrap();
        let url = format!("{}?sslmode=disable", self.database.url);
        command.current_dir(self.project.path()).env("HOME", &home);
        command.args(arguments).args(["--db-url", &url, "--yes"]);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{arguments:?}: {text}");
        text
    }

    /// Versions that the CLI's list shows as local and as remote.
    fn listed(&self) -> (Vec<String>, Vec<String>) {
        let text = self.cli(&["migration", "list"]);
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let cells: Vec<&str> =
                line.split(['|', '│']).map(|cell| cell.trim().trim_matches('`')).collect();
            let is_version =
                |cell: &&str| cell.len() == 14 && cell.bytes().all(|b| b.is_ascii_digit());
            if let [first, second, ..] = cells.as_slice() {
                local.extend(
                    Some(first).filter(|cell| is_version(cell)).map(|cell| (*cell).to_owned()),
                );
                remote.extend(
                    Some(second).filter(|cell| is_version(cell)).map(|cell| (*cell).to_owned()),
                );
            }
        }
        assert!(!local.is_empty(), "{text}");
        (local, remote)
    }
}

#[test]
fn what_whimbrel_applies_the_cli_knows() {
    let Some(supabase) = supabase() else { return };
    let status = supabase.whimbrel().run(["status"]).success();
    assert!(status.stdout.contains("0 applied, 2 pending"), "{status}");
    supabase.whimbrel().run(["up"]).success();
    let (local, remote) = supabase.listed();
    assert_eq!(local, [FIRST, SECOND]);
    assert_eq!(remote, [FIRST, SECOND]);
    let up = supabase.cli(&["migration", "up"]);
    assert!(up.contains("up to date"), "{up}");
    let rows = supabase.database.query(
        "SELECT version, name, array_length(statements, 1) \
         FROM supabase_migrations.schema_migrations ORDER BY 1;",
    );
    assert_eq!(rows, format!("{FIRST}|profiles|2\n{SECOND}|posts|1"));

    supabase.whimbrel().run(["down", "--confirm", "DELETE POSTS TABLE"]).success();
    assert_eq!(supabase.listed().1, [FIRST]);
    supabase.cli(&["migration", "up"]);
    let status = supabase.whimbrel().run(["status", "--check"]).success();
    assert!(status.stdout.contains("2 applied, 0 pending"), "{status}");
    supabase.whimbrel().run(["verify"]).success();
}

#[test]
fn what_the_cli_applies_whimbrel_adopts() {
    let Some(supabase) = supabase() else { return };
    supabase.cli(&["migration", "up"]);
    assert_eq!(supabase.listed().1, [FIRST, SECOND]);
    let status = supabase.whimbrel().run(["status", "--check"]).success();
    assert!(status.stdout.contains("2 applied, 0 pending"), "{status}");
    let up = supabase.whimbrel().run(["up"]).success();
    assert!(!up.stdout.contains("Applied"), "{up}");
    supabase.whimbrel().run(["verify"]).success();
    let history = supabase.whimbrel().run(["history"]).success();
    assert!(history.stdout.contains("supabase"), "{history}");

    supabase.project.file(
        "supabase/migrations/20240103000000_tags.sql",
        "create table tags (id bigint primary key);\n",
    );
    supabase.whimbrel().run(["up"]).success();
    let (local, remote) = supabase.listed();
    assert_eq!(local, remote);
    assert_eq!(remote.len(), 3);
}
