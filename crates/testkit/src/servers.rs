//! Private database servers for tests, benchmarks and proofs.
//!
//! Every server lives in a folder of its own, listens on loopback and on a socket only, and ends
//! with this process: by [`Servers::stop`], by being dropped, or by the system when this process is
//! killed. What it commits reaches the disk, unless [`Durability::Process`] is asked for.

mod mariadb;
mod pgbouncer;
mod postgres;
mod s3;
mod tls;

use std::path::{Path, PathBuf};

pub use self::mariadb::MariaDb;
pub use self::pgbouncer::PgBouncer;
pub use self::postgres::{
    ENCRYPTED_ONLY_ROLE, PASSWORD, PLAIN_ONLY_ROLE, Postgres, ROLE, ServerCertificate,
};
pub use self::s3::{S3_BUCKET, S3_KEY, S3_SECRET, S3Server};
pub use self::tls::{Certificates, TlsKind, TlsServers};
use crate::failure::{Doing, Result};
use crate::variables::{self, Backend};

/// The file in the servers' folder that holds their variables, one `NAME=value` a line.
pub const VARIABLES_FILE: &str = "servers.env";

/// What a server's committed work survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the machine: all is synced, as on a server that people rely on.
    #[default]
    Machine,
    /// The end of the server's process, not that of the machine: nothing waits for the disk. Tests
    /// that make thousands of databases end processes, and never the machine.
    Process,
}

/// Every server that the tests use. Start it from a thread that lives as long as the servers
/// shall: they end with it.
#[derive(Debug, Default)]
pub struct Servers {
    folder: PathBuf,
    // In the order in which they are dropped and stopped: the pooler before its server.
    pgbouncer: Option<PgBouncer>,
    tls: Option<TlsServers>,
    postgres: Option<Postgres>,
    mariadb: Option<MariaDb>,
}

impl Servers {
    /// Starts the servers in `folder`, leaving out the backends in `skip`.
    pub fn start(folder: &Path, skip: &[Backend], durability: Durability) -> Result<Servers> {
        open_for_all(folder)?;
        let mut servers = Servers { folder: folder.to_owned(), ..Servers::default() };
        if !skip.contains(&Backend::Postgres) {
            let postgres =
                Postgres::start(&folder.join("postgres"), Postgres::settings(durability), None)?;
            servers.pgbouncer = Some(PgBouncer::start(&folder.join("pgbouncer"), &postgres)?);
            servers.postgres = Some(postgres);
            let certificates = Certificates::make(&servers.tls_folder())?;
            servers.tls = Some(TlsServers::start(folder, &certificates)?);
        }
        if !skip.contains(&Backend::Mariadb) {
            servers.mariadb = Some(MariaDb::start_with(&folder.join("mariadb"), durability)?);
        }
        let lines: Vec<String> =
            servers.variables().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(folder.join(VARIABLES_FILE), lines.concat())
            .doing("write the servers' variables")?;
        Ok(servers)
    }

    /// What tests read from their environment to find the servers.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        if let Some(postgres) = &self.postgres {
            all.push((variables::POSTGRES, postgres.url()));
            all.push((variables::POSTGRES_ADMIN, postgres.admin_url()));
            all.push((variables::POSTGRES_LOG, postgres.log().display().to_string()));
            all.push((TlsKind::NoTls.variable(), by_name(&postgres.url())));
        }
        if let Some(pgbouncer) = &self.pgbouncer {
            all.push((variables::PGBOUNCER, pgbouncer.url()));
        }
        if let Some(tls) = &self.tls {
            all.push((variables::TLS_DIR, self.tls_folder().display().to_string()));
            for (kind, cluster) in tls.clusters() {
                all.push((kind.variable(), by_name(&cluster.url())));
            }
        }
        if let Some(mariadb) = &self.mariadb {
            all.push((variables::MARIADB, mariadb.url()));
            all.push((variables::MARIADB_SOCKET, mariadb.socket().display().to_string()));
        }
        all
    }

    /// The process ids of all servers.
    pub fn pids(&self) -> Vec<u32> {
        let tls = self.tls.iter().flat_map(|tls| tls.clusters().filter_map(|(_, s)| s.pid()));
        let pooler = self.pgbouncer.iter().map(PgBouncer::pid);
        let postgres = self.postgres.iter().filter_map(Postgres::pid);
        let mariadb = self.mariadb.iter().filter_map(MariaDb::pid);
        pooler.chain(tls).chain(postgres).chain(mariadb).collect()
    }

    /// Stops every server by its pid; the first failure is returned after all were tried.
    pub fn stop(mut self) -> Result<()> {
        let results = [
            self.pgbouncer.as_mut().map_or(Ok(()), PgBouncer::stop),
            self.tls.as_mut().map_or(Ok(()), TlsServers::stop),
            self.postgres.as_mut().map_or(Ok(()), Postgres::stop),
            self.mariadb.as_mut().map_or(Ok(()), MariaDb::stop),
        ];
        results.into_iter().collect()
    }

    fn tls_folder(&self) -> PathBuf {
        self.folder.join("tls")
    }
}

/// The servers run as accounts of their own and must be able to pass through to their folders.
fn open_for_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
        .doing(format_args!("open {}", folder.display()))
}

/// Certificates are for a name, so clients that check them must use it.
fn by_name(url: &str) -> String {
    url.replace("@127.0.0.1:", "@localhost:")
}
