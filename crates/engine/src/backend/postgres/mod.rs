//! PostgreSQL, by tokio-postgres.
//!
//! Statements are sent by the simple protocol: no prepared statement is left behind, so that the
//! same code works through a pooler. Only a `COPY` that carries rows needs a prepared one, for the
//! time of the copy.

mod catalog;
mod certificate;
mod connect;
mod copy;
mod error;
mod facts;
mod load;
mod others;
mod pooler;
mod programs;
mod rows;
mod session;
mod shared;
mod socket;
mod text;
mod tls;
mod verifier;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use whimbrel_core::capabilities::Capabilities;
use whimbrel_core::database_url::PgUrl;

use self::session::PgSession;
use super::{Backend, DbError, ProgramAccess, Session};

/// The first version in which `ALTER TYPE ... ADD VALUE` may be part of a transaction.
const ENUM_IN_TRANSACTION_SINCE: u32 = 12;

/// Days from 1970-01-01 to PostgreSQL's first day, 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;

/// A PostgreSQL database, or one that speaks its protocol.
#[derive(Clone, Debug)]
pub struct PostgresBackend {
    url: PgUrl,
    home: Option<PathBuf>,
    known: Arc<Known>,
}

/// What the first connection found out, for all later ones.
#[derive(Debug, Default)]
struct Known {
    /// The server's major version.
    major: OnceLock<u32>,
    /// Why sessions are not kept, if they are not.
    pooled: OnceLock<Option<String>>,
}

impl PostgresBackend {
    /// The database at `url`. libpq's default certificates are looked for in this user's home.
    pub fn new(url: PgUrl) -> Self {
        PostgresBackend { url, home: std::env::home_dir(), known: Arc::default() }
    }

    /// The same, with libpq's default certificates in `home/.postgresql`.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    async fn open(&self) -> Result<PgSession, DbError> {
        let connected = connect::connect(&self.url, self.home.as_deref()).await?;
        let mut session = PgSession::start(self.clone(), connected);
        if let Some(major) = session.major() {
            self.known.major.get_or_init(|| major);
        }
        session.leave_own_schema().await?;
        Ok(session)
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    fn capabilities(&self) -> Capabilities {
        let old = self.known.major.get().is_some_and(|major| *major < ENUM_IN_TRANSACTION_SINCE);
        Capabilities { enum_value_in_transaction: !old, ..Capabilities::POSTGRES }
    }

    fn label(&self) -> String {
        self.url.to_string()
    }

    fn is_missing(&self) -> bool {
        false
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DbError> {
        Ok(Box::new(self.open().await?))
    }

    fn database(&self) -> Option<&str> {
        self.url.database.as_deref().or(self.url.user.as_deref())
    }

    fn at_database(&self, name: &str) -> Option<Box<dyn Backend>> {
        let mut other = self.clone();
        other.url.database = Some(name.to_owned());
        Some(Box::new(other))
    }

    fn program_access(&self) -> Result<ProgramAccess, String> {
        programs::access(&self.url)
    }
}
