//! The environment variables that tests read, and what may be left out of a run.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Failure, Result, must};

/// URL of a PostgreSQL role that owns its databases but is no superuser.
pub const POSTGRES: &str = "WHIMBREL_TEST_POSTGRES";
/// URL of that server's superuser.
pub const POSTGRES_ADMIN: &str = "WHIMBREL_TEST_POSTGRES_ADMIN";
/// That server's log file.
pub const POSTGRES_LOG: &str = "WHIMBREL_TEST_POSTGRES_LOG";
/// URL of a pgbouncer in transaction mode in front of it.
pub const PGBOUNCER: &str = "WHIMBREL_TEST_PGBOUNCER";
/// Folder with `ca.pem` and `other-ca.pem` for the TLS clusters.
pub const TLS_DIR: &str = "WHIMBREL_TEST_TLS_DIR";
/// URL of a MariaDB user that owns every database named `whimbrel...`.
pub const MARIADB: &str = "WHIMBREL_TEST_MARIADB";
/// Socket on which that server lets `root` in.
pub const MARIADB_SOCKET: &str = "WHIMBREL_TEST_MARIADB_SOCKET";
/// Folder of the installed peers (`node_modules` of `tests/peers`).
pub const PEERS: &str = "WHIMBREL_TEST_PEERS";
/// The installed program `s3s-fs`, an object store that is compatible with S3.
pub const S3_SERVER: &str = "WHIMBREL_TEST_S3_SERVER";
/// Folder of an installed PostgreSQL that has pgvector.
pub const PGVECTOR: &str = "WHIMBREL_TEST_PGVECTOR";
/// What to leave out: `postgres`, `mariadb`, `peers`, separated by commas.
pub const SKIP: &str = "WHIMBREL_TEST_SKIP";
/// File to which each test that left something out adds a line.
pub const SKIPPED_FILE: &str = "WHIMBREL_TEST_SKIPPED_FILE";

/// What a test needs and a run may leave out by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// PostgreSQL, pgbouncer and the TLS clusters.
    Postgres,
    /// MariaDB.
    Mariadb,
    /// Wrangler, the Supabase CLI, the object store, and the PostgreSQL that has pgvector.
    Peers,
}

impl Backend {
    /// Every backend that can be left out.
    pub const ALL: [Backend; 3] = [Backend::Postgres, Backend::Mariadb, Backend::Peers];

    /// Its word in [`SKIP`].
    pub fn name(self) -> &'static str {
        match self {
            Backend::Postgres => "postgres",
            Backend::Mariadb => "mariadb",
            Backend::Peers => "peers",
        }
    }
}

/// Reads the value of [`SKIP`]. A word that is not known is an error: it would leave out nothing
/// and say nothing.
pub fn parse_skip(value: &str) -> Result<Vec<Backend>> {
    let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let known = Backend::ALL.into_iter().find(|backend| backend.name() == word);
            known.ok_or_else(|| {
                Failure::new(format!(
                    "`{SKIP}` names `{word}`; it can name postgres, mariadb and peers"
                ))
            })
        })
        .collect()
}

/// What this run leaves out, by its environment.
pub fn skip_from_environment() -> Result<Vec<Backend>> {
    parse_skip(&std::env::var(SKIP).unwrap_or_default())
}

/// Whether this run leaves `backend` out by name; says so if it does. For tests that start a server
/// of their own.
///
/// # Panics
/// If the variable [`SKIP`] cannot be understood.
#[track_caller]
pub fn is_left_out(backend: Backend) -> bool {
    let left_out = must(skip_from_environment()).contains(&backend);
    if left_out {
        report_skipped(backend);
    }
    left_out
}

/// The value of a variable, `None` if the run leaves `backend` out by name.
///
/// # Panics
/// If the variable is missing and nobody asked to leave the backend out.
#[track_caller]
pub(crate) fn required(name: &str, backend: Backend) -> Option<String> {
    if is_left_out(backend) {
        return None;
    }
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => panic!("{}", missing(name, backend)),
    }
}

fn missing(name: &str, backend: Backend) -> String {
    let word = backend.name();
    let start = match backend {
        Backend::Postgres | Backend::Mariadb => {
            "start the servers with `cargo xtask servers run -- cargo nextest run`"
        }
        Backend::Peers => "run `./test`, which installs the peers",
    };
    format!("`{name}` is not set: {start}, or leave {word} out by name with `{SKIP}={word}`")
}

/// Says that a test did nothing, on its output and in the file that the run sums up.
fn report_skipped(backend: Backend) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test} (no {}, as asked for by {SKIP})\n", backend.name());
    // A report that cannot be written must not fail a test that was left out on purpose.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(SKIPPED_FILE).map(PathBuf::from) {
        let file = File::options().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_names_are_read() {
        let both = parse_skip("postgres, mariadb").unwrap();
        assert_eq!(both, [Backend::Postgres, Backend::Mariadb]);
        assert!(parse_skip("").unwrap().is_empty());
        let error = parse_skip("mysql").unwrap_err().to_string();
        assert!(error.contains("`mysql`"), "{error}");
    }

    #[test]
    fn a_missing_server_names_both_ways_out() {
        let text = missing(POSTGRES, Backend::Postgres);
        assert!(text.contains("cargo xtask servers run -- cargo nextest run"), "{text}");
        assert!(text.contains("WHIMBREL_TEST_SKIP=postgres"), "{text}");
    }
}
