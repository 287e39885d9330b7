//! A private PostgreSQL cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Durability;
use crate::failure::{Doing, Result, must};
use crate::process::{Account, Daemon, capture, find_program, free_port};
use crate::project::copy_folder;
use crate::variables::{self, Backend, required};

/// The role that tests connect with: no superuser, owner of its databases, like an application.
pub const ROLE: &str = "app_owner";
/// The password of every test role. A test may look for it in output, where it must never be.
pub const PASSWORD: &str = "correct-horse-9";
/// A role that the server accepts over TLS only (for `sslmode=allow`).
pub const ENCRYPTED_ONLY_ROLE: &str = "encrypted_only";
/// A role that the server accepts without TLS only (for `sslmode=prefer`).
pub const PLAIN_ONLY_ROLE: &str = "plain_only";

const START_TRIES: usize = 3;

const ACCESS: &str = "\
local     all all trust
local     replication all trust
hostssl   all encrypted_only 127.0.0.1/32 scram-sha-256
hostnossl all encrypted_only 127.0.0.1/32 reject
hostssl   all plain_only     127.0.0.1/32 reject
hostnossl all plain_only     127.0.0.1/32 scram-sha-256
host      all all            127.0.0.1/32 scram-sha-256
";

/// A running PostgreSQL with its own data folder, port and socket. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    account: Account,
    port: u16,
    daemon: Option<Daemon>,
}

/// The certificate and the key that a cluster shows to its clients.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// The certificate in PEM.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

impl Postgres {
    /// Settings for what committed work survives (PostgreSQL manual, 14.5, Non-Durable Settings).
    pub fn settings(durability: Durability) -> &'static [(&'static str, &'static str)] {
        match durability {
            Durability::Machine => &[],
            Durability::Process => &[("fsync", "off"), ("full_page_writes", "off")],
        }
    }

    /// Makes a new cluster in `folder` and starts it, with the extra `settings` and, if a
    /// certificate is given, with TLS.
    pub fn start(
        folder: &Path,
        settings: &[(&str, &str)],
        tls: Option<&ServerCertificate>,
    ) -> Result<Postgres> {
        Postgres::start_by(program_folder()?, folder, settings, tls)
    }

    /// The same with the PostgreSQL that has pgvector, from a copy of it in `folder`; `None` if the
    /// run leaves the peers out by name. Everybody must be able to enter `folder`.
    ///
    /// # Panics
    /// If it is not installed and nobody asked to leave it out, or does not start.
    #[track_caller]
    pub fn with_pgvector(folder: &Path) -> Option<Postgres> {
        let installed = PathBuf::from(required(variables::PGVECTOR, Backend::Peers)?);
        // The server's own account may not be able to reach this checkout.
        let copy = folder.join("programs");
        must(copy_folder(&installed, &copy));
        let programs = copy.join("pgserver/pginstall/bin");
        Some(must(Postgres::start_by(programs, &folder.join("cluster"), &[], None)))
    }

    /// The folder of the server's programs, with its own `pg_dump` and `psql`.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    fn start_by(
        programs: PathBuf,
        folder: &Path,
        settings: &[(&str, &str)],
        tls: Option<&ServerCertificate>,
    ) -> Result<Postgres> {
        let account = Account::for_server("postgres");
        account.make_folder(folder)?;
        account.check_reaches(folder)?;
        let mut server =
            Postgres { folder: folder.to_owned(), programs, account, port: 0, daemon: None };
        server.initialise(settings, tls)?;
        server.start_on_free_port()?;
        for role in [ROLE, ENCRYPTED_ONLY_ROLE, PLAIN_ONLY_ROLE] {
            server.admin(&format!("CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{PASSWORD}';"))?;
        }
        server.admin(&format!("CREATE DATABASE {ROLE} OWNER {ROLE};"))?;
        Ok(server)
    }

    /// The URL of the test role over TCP.
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{ROLE}", self.port)
    }

    /// The URL of the superuser over the socket, for making and dropping databases.
    pub fn admin_url(&self) -> String {
        let host = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{host}:{}/postgres", self.port)
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// The server's log: one entry a line, further lines of an entry begin with a tab.
    pub fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    /// Runs SQL as the superuser.
    pub fn admin(&self, sql: &str) -> Result<String> {
        capture(&mut self.psql(), sql)
    }

    /// Ends the server as a power failure would: no checkpoint, no goodbye to clients.
    pub fn crash(&mut self) -> Result<()> {
        self.daemon.take().map_or(Ok(()), |mut daemon| daemon.end_with("QUIT"))
    }

    /// Stops the server; clients are disconnected.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.take().map_or(Ok(()), |mut daemon| daemon.stop())
    }

    /// Starts the server again on the same port after [`Postgres::stop`] or [`Postgres::crash`].
    pub fn start_again(&mut self) -> Result<()> {
        let port = self.port.to_string();
        let mut command = self.account.tied_command(&self.programs.join("postgres"), "INT");
        command.arg("-D").arg(self.data()).args(["-p", &port]).current_dir(&self.folder);
        let ready = || capture(&mut self.psql(), "SELECT 1;").is_ok();
        self.daemon = Some(Daemon::start("PostgreSQL", command, &self.log(), "INT", ready)?);
        Ok(())
    }

    fn start_on_free_port(&mut self) -> Result<()> {
        let mut result = Ok(());
        // Between finding a port and listening on it somebody else may have taken it.
        for _ in 0..START_TRIES {
            self.port = free_port()?;
            result = self.start_again();
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn initialise(&self, settings: &[(&str, &str)], tls: Option<&ServerCertificate>) -> Result<()> {
        let mut initdb = self.account.tied_command(&self.programs.join("initdb"), "TERM");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--no-sync", "-D"]).arg(self.data()).current_dir(&self.folder);
        capture(&mut initdb, "")?;
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\n\
             unix_socket_directories = '{}'\n\
             max_connections = 200\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n\
             log_line_prefix = '%m [%p] db=%d user=%u app=%a '\n",
            self.folder.display()
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{value}'\n"));
        }
        if let Some(tls) = tls {
            self.install(&tls.certificate, "server.crt")?;
            self.install(&tls.key, "server.key")?;
            text.push_str("ssl = on\n");
        }
        let file = self.data().join("postgresql.auto.conf");
        std::fs::write(&file, text).doing("write the server's settings")?;
        std::fs::write(self.data().join("pg_hba.conf"), ACCESS).doing("write pg_hba.conf")
    }

    fn install(&self, source: &Path, name: &str) -> Result<()> {
        let target = self.data().join(name);
        std::fs::copy(source, &target).doing(format_args!("copy {}", source.display()))?;
        self.account.own(&target, 0o600)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"]);
        command.arg(self.admin_url()).args(["-f", "-"]);
        command
    }
}

/// The folder of the newest installed PostgreSQL's programs.
fn program_folder() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let number = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        versions.push((number, entry.path().join("bin")));
    }
    versions.sort();
    versions.reverse();
    let folders: Vec<PathBuf> = versions.into_iter().map(|(_, folder)| folder).collect();
    let initdb = find_program(&["initdb"], &folders)?;
    Ok(initdb.parent().map(Path::to_owned).unwrap_or_default())
}
