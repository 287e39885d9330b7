//! The client programs of the three databases, called alike.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::Result;
use crate::process::capture;

/// A database and the program that speaks to it.
#[derive(Clone, Debug)]
pub(super) enum Client {
    /// A file.
    Sqlite(PathBuf),
    /// A URL.
    Postgres(String),
    /// A URL.
    Mariadb(String),
    /// A socket on which `root` needs no password.
    MariadbRoot(PathBuf),
}

impl Client {
    /// Runs SQL and returns the rows: one a line, columns separated by `|`.
    pub(super) fn run(&self, sql: &str) -> Result<String> {
        let text = capture(&mut self.command(), sql)?;
        Ok(match self {
            Client::Sqlite(_) | Client::Postgres(_) => text,
            Client::Mariadb(_) | Client::MariadbRoot(_) => text.replace('\t', "|"),
        }
        .trim_end()
        .to_owned())
    }

    /// The same server, another database.
    pub(super) fn in_database(&self, name: &str) -> Client {
        match self {
            Client::Postgres(url) => Client::Postgres(super::with_database(url, name)),
            Client::Mariadb(url) => Client::Mariadb(super::with_database(url, name)),
            Client::Sqlite(_) | Client::MariadbRoot(_) => self.clone(),
        }
    }

    pub(super) fn command(&self) -> Command {
        match self {
            Client::Sqlite(path) => {
                let mut command = Command::new("sqlite3");
                command.args([
                    "-batch",
                    "-bail",
                    "-list",
                    "-nullvalue",
                    "NULL",
                    "-init",
                    "/dev/null",
                ]);
                command.args(["-cmd", ".timeout 10000"]).arg(path);
                command
            }
            Client::Postgres(url) => {
                let mut command = Command::new("psql");
                command.args(["-X", "-q", "-A", "-t", "-P", "null=NULL"]);
                command.args(["-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"]);
                command
            }
            Client::Mariadb(_) | Client::MariadbRoot(_) => {
                let mut command = Command::new("mariadb");
                command.args(["--no-defaults", "--batch", "--skip-column-names"]);
                command.args(self.mariadb_arguments());
                command
            }
        }
    }

    /// How MariaDB's programs are told the server; the database is the last argument.
    pub(super) fn mariadb_arguments(&self) -> Vec<String> {
        match self {
            Client::Sqlite(_) | Client::Postgres(_) => Vec::new(),
            Client::MariadbRoot(socket) => {
                vec![format!("--socket={}", socket.display()), "--user=root".to_owned()]
            }
            Client::Mariadb(url) => from_url(url),
        }
    }
}

fn from_url(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (user, rest) = rest.split_once('@').unwrap_or(("root", rest));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = server.split_once(':').unwrap_or((server, "3306"));
    let database = database.split_once('?').map_or(database, |(name, _)| name);
    vec![
        format!("--host={host}"),
        format!("--port={port}"),
        "--protocol=tcp".to_owned(),
        format!("--user={user}"),
        format!("--password={password}"),
        database.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mariadb_url_becomes_arguments() {
        let got = from_url("mysql://whimbrel:pw@127.0.0.1:3307/one?x=1").join(" ");
        let want = "--host=127.0.0.1 --port=3307 --protocol=tcp --user=whimbrel --password=pw one";
        assert_eq!(got, want);
    }
}
