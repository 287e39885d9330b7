//! `copy` beside the databases' own ways of moving rows.

use std::path::Path;
use std::process::Command;

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};

use super::rows::{mariadb_rows, postgres_rows, sqlite_rows};
use crate::bench::{Request, Side, compare, peak_memory};
use crate::output::say;

pub(super) fn bench(program: &Path, request: &Request) -> Result<(), String> {
    let (Some(target), Some(other)) = (fresh_postgres("bench_to"), fresh_postgres("bench_from"))
    else {
        say("PostgreSQL is left out of this run");
        return Ok(());
    };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rows = postgres_rows(request.rows);
    let table = rows.split(';').next().unwrap_or_default();
    project(program, folder.path(), table, &target)?;
    other.query(&rows);
    let bench = Bench { program, request, folder: folder.path(), target: &target };
    let sqlite = fresh_sqlite();
    sqlite.query(&sqlite_rows(request.rows));
    bench.sqlite_to_postgres(&sqlite)?;
    bench.postgres_to_postgres(&other)?;
    let Some(mariadb) = fresh_mariadb("bench_from") else {
        say("MariaDB is left out of this run");
        return Ok(());
    };
    mariadb.query(&mariadb_rows(request.rows));
    bench.mariadb_to_postgres(&mariadb)
}

/// The target's table, made by a migration.
fn project(
    program: &Path,
    folder: &Path,
    table: &str,
    target: &TestDatabase,
) -> Result<(), String> {
    let file = folder.join("migrations/0001_accounts.sql");
    std::fs::create_dir_all(folder.join("migrations"))
        .and_then(|()| std::fs::write(&file, format!("{table};\n")))
        .map_err(|error| error.to_string())?;
    let mut up = Command::new(program);
    up.args(["up", "--quiet", "--url", &target.url, "--project"]).arg(folder);
    let status = up.status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err("`up` of the bench's table failed".to_owned()) }
}

struct Bench<'a> {
    program: &'a Path,
    request: &'a Request,
    folder: &'a Path,
    target: &'a TestDatabase,
}

impl Bench<'_> {
    fn empty(&self) -> Result<(), String> {
        self.target.query("TRUNCATE accounts");
        self.target.admin("CHECKPOINT");
        Ok(())
    }

    fn side<'a>(&'a self, name: &'static str, command: impl Fn() -> Command + 'a) -> Side<'a> {
        Side { name, prepare: Box::new(|_| self.empty()), command: Box::new(move |_| command()) }
    }

    fn shell(&self, script: &str, source: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("SOURCE", source).env("TARGET", &self.target.url);
        command
    }

    fn copy(&self, from: &str, more: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["copy", "--quiet", "accounts", "--from", from, "--to", &self.target.url]);
        if from.starts_with("mysql") {
            command.arg("--times-are-utc");
        }
        command.args(more).arg("--project").arg(self.folder).env_clear();
        command
    }

    /// The three ways of ours, from all that is on by default to the least.
    fn ours<'a>(&'a self, from: &'a str) -> [Side<'a>; 3] {
        [
            self.side("whimbrel copy --verify", || self.copy(from, &["--verify"])),
            self.side("whimbrel copy (scan on)", || self.copy(from, &[])),
            self.side("whimbrel copy --no-scan", || self.copy(from, &["--no-scan"])),
        ]
    }

    /// The peer, where it is installed.
    fn pgloader<'a>(&'a self, from: String) -> Result<Option<Side<'a>>, String> {
        if Command::new("pgloader").arg("--version").output().is_err() {
            say("  pgloader is not installed");
            return Ok(None);
        }
        let schema = from.rsplit('/').next().unwrap_or_default();
        let renamed = match from.starts_with("mysql") {
            true => format!("\nALTER SCHEMA '{schema}' RENAME TO 'public'"),
            false => String::new(),
        };
        let orders = format!(
            "LOAD DATABASE FROM {from} INTO {}?sslmode=disable\n\
             WITH data only{renamed};\n",
            self.target.url
        );
        let file = self.folder.join("pgloader.load");
        std::fs::write(&file, orders).map_err(|error| error.to_string())?;
        Ok(Some(self.side("pgloader", move || {
            let mut command = Command::new("pgloader");
            command.arg("--on-error-stop").arg(&file);
            command
        })))
    }

    fn mariadb_to_postgres(&self, mariadb: &TestDatabase) -> Result<(), String> {
        let select = "SELECT id, public_id, email, tier, created_at, age, balance, active, name, \
                      ifnull(bio, concat(char(92), 'N')) FROM accounts";
        let pipe = "\"$@\" | psql -q \"$TARGET\" -c '\\copy accounts from stdin'";
        let client = mariadb.client_command();
        let text = || {
            let mut command = self.shell(pipe, "");
            command.arg("sh").arg(client.get_program()).args(client.get_args());
            command.args(["--raw".to_owned(), format!("--execute={select}")]);
            command
        };
        let mut sides = vec![self.side("mariadb --batch --raw | psql", text)];
        sides.extend(self.pgloader(mariadb.url.replace("mariadb://", "mysql://"))?);
        sides.extend(self.ours(&mariadb.url));
        let title = format!("{} rows of 10 columns, MariaDB to PostgreSQL", self.request.rows);
        compare(&title, self.request.runs, &sides)?;
        self.empty()?;
        peak_memory(&self.copy(&mariadb.url, &[]))
    }

    fn sqlite_to_postgres(&self, sqlite: &TestDatabase) -> Result<(), String> {
        // The file holds what the first copy of ours has brought.
        self.empty()?;
        let first = self.copy(&sqlite.url, &[]).status().map_err(|error| error.to_string())?;
        if !first.success() {
            return Err("the first copy failed".to_owned());
        }
        let file = self.folder.join("accounts.bin").display().to_string();
        let out = format!("\\copy accounts to '{file}' (format binary)");
        let status = self.shell(&format!("psql -q \"$TARGET\" -c \"{out}\""), "").status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("psql could not write the binary file".to_owned());
        }
        let ready =
            format!("psql -q \"$TARGET\" -c \"\\copy accounts from '{file}' (format binary)\"");
        let csv = "sqlite3 -csv \"$SOURCE\" 'SELECT * FROM accounts' | \
                   psql -q \"$TARGET\" -c '\\copy accounts from stdin (format csv)'";
        let mut sides = vec![
            self.side("psql, ready binary file", || self.shell(&ready, "")),
            self.side("sqlite3 -csv | psql", || self.shell(csv, &sqlite.name)),
        ];
        sides.extend(self.pgloader(format!("sqlite://{}", sqlite.name))?);
        sides.extend(self.ours(&sqlite.url));
        let title = format!("{} rows of 10 columns, SQLite to PostgreSQL", self.request.rows);
        compare(&title, self.request.runs, &sides)?;
        self.empty()?;
        peak_memory(&self.copy(&sqlite.url, &[]))
    }

    fn postgres_to_postgres(&self, other: &TestDatabase) -> Result<(), String> {
        let pipe = "psql -q \"$SOURCE\" -c 'COPY accounts TO STDOUT (FORMAT binary)' | \
                    psql -q \"$TARGET\" -c 'COPY accounts FROM STDIN (FORMAT binary)'";
        let mut sides =
            vec![self.side("COPY binary | COPY binary", || self.shell(pipe, &other.url))];
        sides.extend(self.ours(&other.url));
        let title = format!("{} rows of 10 columns, PostgreSQL to PostgreSQL", self.request.rows);
        compare(&title, self.request.runs, &sides)?;
        self.empty()?;
        peak_memory(&self.copy(&other.url, &[]))
    }
}
