//! An UPDATE of every row in batches, beside the database's own client that sends it as one.

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};

use super::rows::{mariadb_rows, postgres_rows, sqlite_rows};
use crate::bench::{Request, Side, compare, peak_memory};
use crate::output::say;

/// What is run: two columns of every row.
const UPDATE: &str = "UPDATE accounts SET age = age + 1, tier = upper(tier);\n";

type Fresh = fn(usize) -> Option<TestDatabase>;

pub(super) fn bench(program: &Path, request: &Request) -> Result<(), String> {
    let engines: [(&str, Fresh); 3] =
        [("SQLite (WAL)", sqlite), ("PostgreSQL", postgres), ("MariaDB", mariadb)];
    for (title, fresh) in engines {
        one(program, request, title, fresh)?;
    }
    Ok(())
}

fn sqlite(rows: usize) -> Option<TestDatabase> {
    let database = fresh_sqlite();
    database.query("PRAGMA journal_mode = WAL");
    database.query(&sqlite_rows(rows));
    database.query("PRAGMA wal_checkpoint(TRUNCATE)");
    Some(database)
}

fn postgres(rows: usize) -> Option<TestDatabase> {
    let database = fresh_postgres("bench_update")?;
    for sql in postgres_rows(rows).split_inclusive(';') {
        database.query(sql);
    }
    database.admin("CHECKPOINT");
    Some(database)
}

fn mariadb(rows: usize) -> Option<TestDatabase> {
    let database = fresh_mariadb("bench_update")?;
    database.query(&mariadb_rows(rows));
    Some(database)
}

fn one(program: &Path, request: &Request, title: &str, fresh: Fresh) -> Result<(), String> {
    let database = RefCell::new(None::<TestDatabase>);
    let prepare = |folder: &Path, undo: Option<&str>| -> Result<(), String> {
        *database.borrow_mut() = None;
        *database.borrow_mut() = fresh(request.rows);
        let url = url(&database);
        if url.is_empty() {
            return Err(format!("{title} is left out of this run"));
        }
        let Some(undo) = undo else { return Ok(()) };
        let migrations = folder.join("migrations");
        let text = format!("-- whimbrel: batch undo={undo}\n{UPDATE}");
        std::fs::create_dir_all(&migrations)
            .and_then(|()| std::fs::write(migrations.join("0001_older.data.sql"), text))
            .map_err(|error| error.to_string())?;
        let mut baseline = ours(program, &url, folder, &["baseline", "--to", "0", "--quiet"]);
        match baseline.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    let client = |_: &Path| {
        let database = database.borrow();
        let mut command = match database.as_ref() {
            Some(database) => database.client_command(),
            None => Command::new("false"),
        };
        command.arg(match title {
            "PostgreSQL" => format!("--command={UPDATE}"),
            "MariaDB" => format!("--execute={UPDATE}"),
            _ => UPDATE.to_owned(),
        });
        command
    };
    let up = |folder: &Path| ours(program, &url(&database), folder, &["up", "--quiet"]);
    let sides = [
        Side {
            name: "one UPDATE by the database's client",
            prepare: Box::new(|folder| prepare(folder, None)),
            command: Box::new(client),
        },
        Side {
            name: "whimbrel up, undo off",
            prepare: Box::new(|folder| prepare(folder, Some("off"))),
            command: Box::new(up),
        },
        Side {
            name: "whimbrel up, undo on",
            prepare: Box::new(|folder| prepare(folder, Some("on"))),
            command: Box::new(up),
        },
    ];
    let what = format!("UPDATE of {} rows of 10 columns on {title}, no rules", request.rows);
    if let Err(error) = compare(&what, request.runs, &sides) {
        say(&error);
        return Ok(());
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    prepare(folder.path(), Some("on"))?;
    peak_memory(&up(folder.path()))
}

fn url(database: &RefCell<Option<TestDatabase>>) -> String {
    database.borrow().as_ref().map_or_else(String::new, |database| database.url.clone())
}

fn ours(program: &Path, url: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).args(["--url", url, "--project"]).arg(folder);
    command.env_clear();
    command
}
