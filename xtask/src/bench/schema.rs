//! Schema migrations: many small files into a fresh database, and nothing to do.

use std::path::{Path, PathBuf};
use std::process::Command;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres};
use whimbrel_testkit::variables::PEERS;

use super::{Request, Side, again_with_servers, compare, peak_memory};
use crate::Outcome;
use crate::output::say;

/// What somebody types who applies files one by one.
const PSQL_FOR_EACH: &str = "for file in migrations/*.sql; do \
    psql -X -q -v ON_ERROR_STOP=1 -f \"$file\" \"$URL\"; done";

/// Runs the comparisons of the schema issue.
pub(super) fn bench(program: &Path, request: &Request) -> Outcome {
    if let Some(outcome) = again_with_servers() {
        return outcome;
    }
    let files = migrations(request.files);
    let wanted = |word: &str| request.only.is_empty() || word.contains(&request.only);
    if wanted("sqlite") {
        sqlite(program, request, &files)?;
        syncs(program, &files)?;
    }
    if wanted("idle") {
        idle(program, request, &files)?;
    }
    if wanted("status") {
        status(program)?;
    }
    if wanted("postgres") {
        postgres(program, request, &files)?;
    }
    Ok(0)
}

/// Names and texts of small migrations that work on SQLite and PostgreSQL alike.
fn migrations(count: usize) -> Vec<(String, String)> {
    (1..=count)
        .map(|number| {
            let text = match number % 4 {
                1 => format!(
                    "CREATE TABLE t{number} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, \
                     amount INTEGER DEFAULT 0, note TEXT);\n"
                ),
                2 => format!("CREATE INDEX i{number} ON t{} (name);\n", number - 1),
                3 => format!("ALTER TABLE t{} ADD COLUMN extra TEXT;\n", number - 2),
                _ => format!("INSERT INTO t{} (id, name) VALUES (1, 'one');\n", number - 3),
            };
            (format!("{number:04}_step.sql"), text)
        })
        .collect()
}

fn write(folder: &Path, files: &[(String, String)]) -> Result<(), String> {
    let migrations = folder.join("migrations");
    std::fs::create_dir_all(&migrations).map_err(|error| error.to_string())?;
    for (name, text) in files {
        std::fs::write(migrations.join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn up(program: &Path, folder: &Path, url: &str, group: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["up", "--quiet", "--url", url, "--group", group, "--project"]).arg(folder);
    command.env_clear();
    command
}

/// Where the peer `dbmate` was installed, if it was.
fn dbmate() -> Option<PathBuf> {
    let peers = PathBuf::from(std::env::var_os(PEERS)?);
    Some(peers.join("@dbmate/linux-x64/bin/dbmate")).filter(|program| program.is_file())
}

fn write_for_dbmate(folder: &Path, files: &[(String, String)]) -> Result<(), String> {
    let marked: Vec<(String, String)> = files
        .iter()
        .map(|(name, text)| (name.clone(), format!("-- migrate:up\n{text}-- migrate:down\n")))
        .collect();
    write(folder, &marked)
}

fn dbmate_up(dbmate: &Path, folder: &Path, url: &str) -> Command {
    let mut command = Command::new(dbmate);
    command.args(["--no-dump-schema", "--url", url, "--migrations-dir"]);
    command.arg(folder.join("migrations")).arg("up").current_dir(folder);
    command
}

fn one_script(folder: &Path, files: &[(String, String)]) -> Result<PathBuf, String> {
    let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
    let path = folder.join("all.sql");
    std::fs::write(&path, format!("BEGIN;\n{all}COMMIT;\n")).map_err(|error| error.to_string())?;
    Ok(path)
}

fn sqlite(program: &Path, request: &Request, files: &[(String, String)]) -> Result<(), String> {
    let prepare = |folder: &Path| write(folder, files);
    let dbmate = dbmate();
    let mut sides = vec![
        Side {
            name: "sqlite3, all files in one transaction",
            prepare: Box::new(|folder| one_script(folder, files).map(|_| ())),
            command: Box::new(|folder| {
                let mut command = Command::new("sqlite3");
                command.arg(folder.join("a.db")).arg(format!(".read {}/all.sql", folder.display()));
                command
            }),
        },
        Side {
            name: "whimbrel up (grouped, verify on)",
            prepare: Box::new(prepare),
            command: Box::new(|folder| up(program, folder, "sqlite:a.db", "auto")),
        },
        Side {
            name: "whimbrel up --group=never (verify on)",
            prepare: Box::new(prepare),
            command: Box::new(|folder| up(program, folder, "sqlite:a.db", "never")),
        },
    ];
    sides.extend(dbmate.iter().map(|dbmate| Side {
        name: "dbmate up",
        prepare: Box::new(|folder| write_for_dbmate(folder, files)),
        command: Box::new(|folder| dbmate_up(dbmate, folder, "sqlite:a.db")),
    }));
    let title = format!("{} small migrations, new SQLite file", files.len());
    compare(&title, request.runs, &sides)
}

/// Counts the syncs of runs with one transaction for each migration: those of a run, and those
/// that each further migration costs.
fn syncs(program: &Path, files: &[(String, String)]) -> Result<(), String> {
    let half = files.len() / 2;
    let (Some(all), Some(some)) =
        (syncs_of(program, files)?, syncs_of(program, files.get(..half).unwrap_or_default())?)
    else {
        return Ok(());
    };
    let each = all.saturating_sub(some) as f64 / (files.len() - half) as f64;
    let run = all as f64 - each * files.len() as f64;
    say(&format!(
        "  --group=never: {all} syncs: {each:.2} for each migration and {run:.0} for the run"
    ));
    Ok(())
}

/// Counts fsync and fdatasync of a run.
fn syncs_of(program: &Path, files: &[(String, String)]) -> Result<Option<usize>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write(folder.path(), files)?;
    let log = folder.path().join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=fsync,fdatasync", "-o"]).arg(&log).arg(program);
    command.args(["up", "--quiet", "--url", "sqlite:a.db", "--group", "never", "--project"]);
    command.arg(folder.path());
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(_) => return Err("strace failed".to_owned()),
        Err(error) => {
            say(&format!("syncs were not counted: strace: {error}"));
            return Ok(None);
        }
    }
    let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    Ok(Some(text.lines().filter(|line| line.contains("sync(")).count()))
}

fn idle(program: &Path, request: &Request, files: &[(String, String)]) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write(folder.path(), files)?;
    let ready = up(program, folder.path(), "sqlite:a.db", "auto").status();
    if !ready.is_ok_and(|status| status.success()) {
        return Err("the first run failed".to_owned());
    }
    let database = folder.path().join("a.db");
    let sides = [
        Side {
            name: "sqlite3, one query",
            prepare: Box::new(|_| Ok(())),
            command: Box::new(|_| {
                let mut command = Command::new("sqlite3");
                command.arg(&database).arg("SELECT count(*) FROM whimbrel_migrations");
                command
            }),
        },
        Side {
            name: "whimbrel up, nothing to do",
            prepare: Box::new(|_| Ok(())),
            command: Box::new(|_| up(program, folder.path(), "sqlite:a.db", "auto")),
        },
    ];
    compare(&format!("{} applied, nothing to do", files.len()), request.runs, &sides)?;
    peak_memory(&up(program, folder.path(), "sqlite:a.db", "auto"))
}

fn status(program: &Path) -> Result<(), String> {
    let files = migrations(10_000);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write(folder.path(), &files)?;
    let mut command = Command::new(program);
    command.args(["status", "--url", "sqlite:a.db", "--project"]).arg(folder.path());
    say("\nstatus of 10,000 files");
    peak_memory(&command)
}

fn postgres(program: &Path, request: &Request, files: &[(String, String)]) -> Result<(), String> {
    let database = std::cell::RefCell::new(None::<TestDatabase>);
    let fresh = |folder: &Path| -> Result<(), String> {
        write(folder, files)?;
        one_script(folder, files)?;
        *database.borrow_mut() = None;
        *database.borrow_mut() = fresh_postgres("bench");
        match *database.borrow() {
            Some(_) => Ok(()),
            None => Err("PostgreSQL is left out of this run".to_owned()),
        }
    };
    let url = || database.borrow().as_ref().map_or_else(String::new, |one| one.url.clone());
    let psql = |arguments: &[String]| {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).arg(url()).args(arguments);
        command
    };
    let grouped = [
        Side {
            name: "psql, all files in one transaction",
            prepare: Box::new(fresh),
            command: Box::new(|folder| {
                psql(&["-f".to_owned(), folder.join("all.sql").display().to_string()])
            }),
        },
        Side {
            name: "whimbrel up (grouped, verify on)",
            prepare: Box::new(fresh),
            command: Box::new(|folder| up(program, folder, &url(), "auto")),
        },
    ];
    compare(&format!("{} on PostgreSQL, grouped", files.len()), request.runs, &grouped)?;
    let dbmate = dbmate();
    let local = || format!("{}?sslmode=disable", url());
    let mut single = vec![
        Side {
            name: "psql, each file by itself, one session",
            prepare: Box::new(fresh),
            command: Box::new(|folder| {
                let names = files.iter().flat_map(|(name, _)| {
                    let path = folder.join("migrations").join(name);
                    ["-f".to_owned(), path.display().to_string()]
                });
                psql(&names.collect::<Vec<_>>())
            }),
        },
        Side {
            name: "psql, started for each file",
            prepare: Box::new(fresh),
            command: Box::new(|folder| {
                let mut command = Command::new("sh");
                command.args(["-e", "-c", PSQL_FOR_EACH]).env("URL", url()).current_dir(folder);
                command
            }),
        },
        Side {
            name: "whimbrel up --group=never (verify on)",
            prepare: Box::new(fresh),
            command: Box::new(|folder| up(program, folder, &url(), "never")),
        },
    ];
    single.extend(dbmate.iter().map(|dbmate| Side {
        name: "dbmate up",
        prepare: Box::new(|folder| {
            fresh(folder)?;
            write_for_dbmate(folder, files)
        }),
        command: Box::new(|folder| dbmate_up(dbmate, folder, &local())),
    }));
    compare(&format!("{} on PostgreSQL, one by one", files.len()), request.runs, &single)
}
