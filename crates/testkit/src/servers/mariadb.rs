//! A private MariaDB server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Durability;
use super::postgres::{PASSWORD, ROLE};
use crate::failure::Result;
use crate::process::{Account, Daemon, capture, find_program, free_port};

const START_TRIES: usize = 3;

/// A running MariaDB with its own data folder, port and socket. Dropping it stops it.
#[derive(Debug)]
pub struct MariaDb {
    folder: PathBuf,
    program: PathBuf,
    account: Account,
    port: u16,
    durability: Durability,
    daemon: Option<Daemon>,
}

impl MariaDb {
    /// Makes a new data folder in `folder` and starts a server on it.
    pub fn start(folder: &Path) -> Result<MariaDb> {
        MariaDb::start_with(folder, Durability::Machine)
    }

    /// The same; `durability` says what committed work survives.
    pub fn start_with(folder: &Path, durability: Durability) -> Result<MariaDb> {
        let account = Account::for_server("mysql");
        let program = find_program(&["mariadbd", "mysqld"], &[])?;
        let install = find_program(&["mariadb-install-db", "mysql_install_db"], &[])?;
        account.make_folder(folder)?;
        account.check_reaches(folder)?;
        let mut server = MariaDb {
            folder: folder.to_owned(),
            program,
            account,
            port: 0,
            durability,
            daemon: None,
        };
        let mut command = account.tied_command(&install, "TERM");
        command.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        command.arg("--skip-test-db").arg(server.setting("datadir", "data"));
        capture(command.current_dir(folder), "")?;
        server.start_on_free_port()?;
        server.admin(&format!(
            "CREATE USER {ROLE}@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL PRIVILEGES ON `whimbrel%`.* TO {ROLE}@'%';\n\
             GRANT SET USER ON *.* TO {ROLE}@'%';\n\
             GRANT SELECT ON mysql.proc TO {ROLE}@'%';\n\
             CREATE DATABASE {ROLE};"
        ))?;
        Ok(server)
    }

    /// The URL of the test user over TCP. It owns every database named `whimbrel...`.
    pub fn url(&self) -> String {
        format!("mysql://{ROLE}:{PASSWORD}@127.0.0.1:{}/{ROLE}", self.port)
    }

    /// The socket on which `root` is let in without a password.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("mariadb.sock")
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// Runs SQL as `root`.
    pub fn admin(&self, sql: &str) -> Result<String> {
        capture(&mut self.client(), sql)
    }

    /// Kills the server with SIGKILL.
    pub fn crash(&mut self) -> Result<()> {
        self.daemon.take().map_or(Ok(()), |mut daemon| daemon.end_with("KILL"))
    }

    /// Stops the server; clients are disconnected.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.take().map_or(Ok(()), |mut daemon| daemon.stop())
    }

    /// Starts the server again on the same port after [`MariaDb::stop`] or [`MariaDb::crash`].
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = self.account.tied_command(&self.program, "TERM");
        command.arg("--no-defaults").arg(self.setting("datadir", "data"));
        command.arg(self.setting("socket", "mariadb.sock"));
        command.arg(self.setting("pid-file", "mariadb.pid"));
        command.arg(format!("--port={}", self.port));
        command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"]);
        command.args(["--max-connections=200", "--innodb-buffer-pool-size=64M"]);
        command.args(["--character-set-server=utf8mb4", "--default-time-zone=+00:00"]);
        if self.durability == Durability::Process {
            command.args(["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=2"]);
            command.arg("--debug-no-sync");
        }
        command.current_dir(&self.folder);
        let log = self.folder.join("mariadb.log");
        let ready = || capture(&mut self.client(), "SELECT 1;").is_ok();
        self.daemon = Some(Daemon::start("MariaDB", command, &log, "TERM", ready)?);
        Ok(())
    }

    fn start_on_free_port(&mut self) -> Result<()> {
        let mut result = Ok(());
        for _ in 0..START_TRIES {
            self.port = free_port()?;
            result = self.start_again();
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn setting(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.folder.join(file).display())
    }

    fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"]);
        command.arg(self.setting("socket", "mariadb.sock"));
        command
    }
}
