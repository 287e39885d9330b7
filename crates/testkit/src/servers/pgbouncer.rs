//! A private pgbouncer in transaction pooling mode.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::postgres::{PASSWORD, Postgres, ROLE};
use crate::failure::{Doing, Result};
use crate::process::{Account, Daemon, capture, find_program, free_port};

/// A running pgbouncer in front of a [`Postgres`]. Dropping it stops it.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    daemon: Daemon,
}

impl PgBouncer {
    /// Starts a pooler that forwards every database name to `server`.
    pub fn start(folder: &Path, server: &Postgres) -> Result<PgBouncer> {
        let account = Account::for_server("postgres");
        let program = find_program(&["pgbouncer"], &[])?;
        account.make_folder(folder)?;
        let users = folder.join("users.txt");
        let text = format!("\"{ROLE}\" \"{PASSWORD}\"\n");
        std::fs::write(&users, text).doing("write the pooler's users")?;
        account.own(&users, 0o600)?;
        let port = free_port()?;
        let settings = folder.join("pgbouncer.ini");
        std::fs::write(&settings, configuration(folder, &users, port, server))
            .doing("write the pooler's settings")?;
        account.own(&settings, 0o600)?;
        let mut command = account.tied_command(&program, "TERM");
        command.arg("-q").arg(&settings).current_dir(folder);
        let url = format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{ROLE}");
        let ready = || {
            let mut psql = Command::new("psql");
            capture(psql.args(["-X", "-q", "-d", &url, "-c", "SELECT 1"]), "").is_ok()
        };
        let log: PathBuf = folder.join("pgbouncer.log");
        let daemon = Daemon::start("pgbouncer", command, &log, "TERM", ready)?;
        Ok(PgBouncer { port, daemon })
    }

    /// The URL of the test role through the pooler.
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{ROLE}", self.port)
    }

    /// The process id of the pooler.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Stops the pooler; clients are disconnected.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.stop()
    }
}

/// Only what the mode needs: start-up parameters that a hosted pooler refuses are refused here too.
fn configuration(folder: &Path, users: &Path, port: u16, server: &Postgres) -> String {
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir = {}\n\
         auth_type = scram-sha-256\n\
         auth_file = {}\n\
         admin_users = {ROLE}\n\
         pool_mode = transaction\n\
         max_client_conn = 300\n\
         default_pool_size = 10\n\
         server_idle_timeout = 5\n",
        server.port(),
        folder.display(),
        users.display()
    )
}
