//! The servers' own dump and client programs: which of them fits, and running one so that nothing
//! cut short is taken for whole.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::apply::StopFlag;
use crate::backend::ProgramAccess;
use crate::error::EngineError;

/// Most bytes of a schema's text.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most bytes that are shown of what a program complains.
const COMPLAINT_BYTES_MAX: u64 = 8 * 1024;
/// How often it is looked whether somebody asked for a stop.
const STOP_EVERY: Duration = Duration::from_millis(100);
/// Where Debian keeps PostgreSQL's programs of each version.
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// A program that was found.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// Its major version.
    pub(crate) major: u32,
    /// What it says of its version.
    pub(crate) version: String,
}

/// Finds `name` of PostgreSQL for a server with this major version: the same one, or else the
/// oldest that is newer, in `PATH` first. An older one cannot read the server's catalog.
pub(crate) async fn postgres(name: &str, server: u32) -> Result<Program, EngineError> {
    let mut folders = path_folders();
    let mut versions: Vec<PathBuf> = std::fs::read_dir(POSTGRES_FOLDER)
        .map(|all| all.flatten().map(|one| one.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions);
    let mut best: Option<Program> = None;
    let mut seen = None;
    for folder in folders {
        let Some(program) = ask(&folder.join(name)).await else { continue };
        seen = seen.max(Some(program.major));
        let better = best.as_ref().is_none_or(|best| program.major < best.major);
        if program.major >= server && better {
            best = Some(program);
        }
        if best.as_ref().is_some_and(|best| best.major == server) {
            break;
        }
    }
    best.ok_or_else(|| EngineError::ProgramMissing {
        program: format!("{name} of version {server} or newer"),
        found: seen.map(|major| major.to_string()),
        package: format!("postgresql-client-{server}"),
    })
}

/// Finds the first of `names`, which are those of MariaDB's program and of MySQL's.
pub(crate) async fn mariadb(names: [&str; 2]) -> Result<Program, EngineError> {
    for name in names {
        for folder in path_folders() {
            if let Some(program) = ask(&folder.join(name)).await {
                return Ok(program);
            }
        }
    }
    Err(EngineError::ProgramMissing {
        program: names.join(" or "),
        found: None,
        package: "mariadb-client".to_owned(),
    })
}

fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// What stands in front of the version, in the words of each program.
const BEFORE_VERSION: [&str; 3] = ["PostgreSQL) ", "Distrib ", "from "];

/// Asks a program for its version.
async fn ask(path: &Path) -> Option<Program> {
    if !path.is_file() {
        return None;
    }
    let mut command = Command::new(path);
    let output = command.arg("--version").stdin(Stdio::null()).output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().to_owned();
    let number = BEFORE_VERSION.iter().find_map(|word| version.split_once(word))?.1;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let major = number.get(..end)?.parse().ok()?;
    output.status.success().then(|| Program { path: path.to_owned(), major, version })
}

impl Program {
    /// Version and place, for people.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.version, self.path.display())
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether it is MariaDB's, not MySQL's.
    pub(crate) fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB")
    }

    /// Runs it with `input`; what it writes.
    ///
    /// # Errors
    /// When it cannot be started, does not end with 0, writes too much, or a stop is asked for.
    pub(crate) async fn run(
        &self,
        arguments: &[String],
        access: &ProgramAccess,
        input: &[u8],
        stop: &StopFlag,
    ) -> Result<Vec<u8>, EngineError> {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            // What was meant for others must not lead elsewhere.
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.args(&access.arguments).args(arguments);
        for (name, value) in &access.environment {
            command.env(name, value.expose());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| self.io(error))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that ends early says why by its status.
                let _ = stdin.write_all(input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let all = async {
            tokio::join!(
                feed,
                read(stdout, OUTPUT_BYTES_MAX),
                read(stderr, COMPLAINT_BYTES_MAX),
                child.wait()
            )
        };
        let ((), output, complaint, status) = tokio::select! {
            all = all => all,
            () = stopped(stop) => return Err(EngineError::Stopped),
        };
        let (output, is_long) = output.map_err(|error| self.io(error))?;
        let status = status.map_err(|error| self.io(error))?;
        if !status.success() {
            let said = complaint.map(|(bytes, _)| bytes).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            return Err(self.failed(status.to_string(), said));
        }
        if is_long {
            return Err(self.failed(format!("more than {OUTPUT_BYTES_MAX} bytes"), String::new()));
        }
        Ok(output)
    }

    fn io(&self, error: std::io::Error) -> EngineError {
        EngineError::File { path: self.path.clone(), error }
    }

    /// The error that says how it ended.
    pub(crate) fn failed(&self, how: String, said: String) -> EngineError {
        EngineError::Program { program: self.name(), how, said }
    }
}

/// Reads to the end, and keeps at most `bytes_max`; whether there was more.
async fn read(
    from: Option<impl AsyncRead + Unpin>,
    bytes_max: u64,
) -> std::io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return Ok((kept, false)) };
    (&mut from).take(bytes_max).read_to_end(&mut kept).await?;
    let mut rest = tokio::io::sink();
    let more = tokio::io::copy(&mut from, &mut rest).await?;
    Ok((kept, more > 0))
}

async fn stopped(stop: &StopFlag) {
    while !stop.is_set() {
        tokio::time::sleep(STOP_EVERY).await;
    }
}
