//! `backup` beside the databases' own programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use whimbrel_testkit::database::{TestDatabase, fresh_postgres, fresh_sqlite};

use super::data::rows::{postgres_rows, sqlite_rows};
use super::{Request, Side, again_with_servers, compare, peak_memory};
use crate::Outcome;
use crate::output::say;

/// A public age key and its secret half, which everybody knows.
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
/// Writes a row every five milliseconds until the folder's file `stop` is there.
const WRITER: &str = "echo 'PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS ticks (t);'; \
    while [ ! -e \"$STOP\" ]; do echo 'INSERT INTO ticks VALUES (1);'; sleep 0.005; done";

/// Runs the comparisons of the backup issue. All figures are compressed; ours are encrypted,
/// signed and hashed row by row, and read once more at the end.
pub(super) fn bench(program: &Path, request: &Request) -> Outcome {
    if let Some(outcome) = again_with_servers() {
        return outcome;
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let bench = Bench { program, request, folder: folder.path().to_owned() };
    std::fs::create_dir_all(folder.path().join("migrations"))
        .and_then(|()| std::fs::write(folder.path().join("key"), format!("{SECRET}\n")))
        .map_err(|error| error.to_string())?;
    if request.only.is_empty() || "postgres".contains(&request.only) {
        bench.postgres()?;
    }
    if request.only.is_empty() || "sqlite".contains(&request.only) {
        bench.sqlite()?;
    }
    Ok(0)
}

struct Bench<'a> {
    program: &'a Path,
    request: &'a Request,
    folder: PathBuf,
}

impl Bench<'_> {
    fn whimbrel(&self, url: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["backup"]).args(words).arg("--quiet").arg("--project").arg(&self.folder);
        command.env("DATABASE_URL", url);
        command
    }

    fn shell(&self, script: &str, url: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", script]).env("URL", url).current_dir(&self.folder);
        command
    }

    fn create(&self, url: &str) -> Command {
        self.whimbrel(url, &["create", "--recipient", PUBLIC])
    }

    /// A side before which what the last run has written is removed.
    fn side<'a>(&'a self, name: &'static str, command: impl Fn() -> Command + 'a) -> Side<'a> {
        let clear = move |_: &Path| {
            for path in [".whimbrel/backups", "dump", "copy.db", "copy.zst"] {
                let path = self.folder.join(path);
                let _ = std::fs::remove_dir_all(&path);
                let _ = std::fs::remove_file(&path);
            }
            Ok(())
        };
        Side { name, prepare: Box::new(clear), command: Box::new(move |_| command()) }
    }

    fn bytes(&self, path: &str) -> u64 {
        let script = format!("du -sb {path} | cut -f1");
        let output = self.shell(&script, "").output();
        output.map_or(0, |out| String::from_utf8_lossy(&out.stdout).trim().parse().unwrap_or(0))
    }

    fn postgres(&self) -> Result<(), String> {
        let Some(database) = fresh_postgres("bench_backup") else {
            say("PostgreSQL is left out of this run");
            return Ok(());
        };
        database.query(&postgres_rows(self.request.rows));
        let dump = || self.shell("pg_dump -Fd -j2 -f dump \"$URL\"", &database.url);
        let sides = [
            self.side("pg_dump -Fd -j2", dump),
            self.side("whimbrel backup create", || self.create(&database.url)),
        ];
        let title = format!("{} rows of 10 columns, PostgreSQL to a backup", self.request.rows);
        compare(&title, self.request.runs, &sides)?;
        let ours = self.bytes(".whimbrel/backups");
        peak_memory(&self.create(&database.url))?;
        run(dump())?;
        say(&format!("bytes: pg_dump {}, whimbrel {ours}", self.bytes("dump")));
        self.postgres_back(&database)
    }

    fn postgres_back(&self, database: &TestDatabase) -> Result<(), String> {
        let target = format!("{}_back", database.name);
        let url = database.url.replace(&database.name, &target);
        let _ = std::fs::remove_dir_all(self.folder.join(".whimbrel/backups"));
        run(self.create(&database.url))?;
        let id =
            self.shell("ls .whimbrel/backups", "").output().map_err(|error| error.to_string())?;
        let id = String::from_utf8_lossy(&id.stdout).trim().to_owned();
        let fresh = |_: &Path| {
            database.query(&format!("DROP DATABASE IF EXISTS {target}"));
            database.query(&format!("CREATE DATABASE {target} TEMPLATE template0"));
            database.admin("CHECKPOINT");
            Ok(())
        };
        let back = || {
            let words = ["restore", &id, "--to", &url, "--identity", "file:key"];
            self.whimbrel(&url, &words)
        };
        let theirs = || self.shell("pg_restore -j2 --no-owner -d \"$URL\" dump", &url);
        let sides = [
            Side {
                name: "pg_restore -j2",
                prepare: Box::new(fresh),
                command: Box::new(|_| theirs()),
            },
            Side {
                name: "whimbrel backup restore",
                prepare: Box::new(fresh),
                command: Box::new(|_| back()),
            },
        ];
        let title = format!("{} rows of 10 columns, a backup to PostgreSQL", self.request.rows);
        compare(&title, self.request.runs, &sides)?;
        fresh(&self.folder)?;
        peak_memory(&back())?;
        database.query(&format!("DROP DATABASE IF EXISTS {target}"));
        Ok(())
    }

    fn sqlite(&self) -> Result<(), String> {
        let database = fresh_sqlite();
        database.query("PRAGMA journal_mode = WAL");
        database.query(&sqlite_rows(self.request.rows));
        let stop = self.folder.join("stop");
        let mut writer = Command::new("sh");
        let script = format!("({WRITER}) | sqlite3 -cmd '.timeout 60000' \"$FILE\" > /dev/null");
        writer.args(["-c", &script]).env("FILE", &database.name).env("STOP", &stop);
        let mut writer = writer.spawn().map_err(|error| error.to_string())?;
        let plain = "sqlite3 \"${URL#sqlite:}\" \"VACUUM INTO 'copy.db'\" && zstd -q -1 copy.db -o copy.zst";
        let sides = [
            self.side("VACUUM INTO and zstd -1", || self.shell(plain, &database.url)),
            self.side("whimbrel backup create", || self.create(&database.url)),
        ];
        let rows = self.request.rows;
        let title = format!("{rows} rows of 10 columns, SQLite with a writer every 5 ms");
        let compared = compare(&title, self.request.runs, &sides);
        let memory = compared.and_then(|()| peak_memory(&self.create(&database.url)));
        let stopped = std::fs::write(&stop, "").map_err(|error| error.to_string());
        let _ = writer.wait();
        memory.and(stopped)
    }
}

fn run(mut command: Command) -> Result<(), String> {
    let status = command.status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed")) }
}
