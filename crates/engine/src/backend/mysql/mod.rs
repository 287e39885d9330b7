//! MariaDB and MySQL, by one connection of our own.
//!
//! The session is as the server's own client would have it: `sql_mode`, isolation and time zone are
//! the server's, so that a file does here what it did there.

mod catalog;
mod client;
mod connect;
mod error;
mod facts;
mod load;
mod locks;
mod programs;
mod rows;
mod text;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use whimbrel_core::backup::RowsOf;
use whimbrel_core::capabilities::Capabilities;
use whimbrel_core::database_url::MyUrl;
use whimbrel_core::snapshot::Snapshot;

use self::client::Client;
use super::{
    Backend, DbError, ForeignKeyViolation, Limits, LoadInto, Outcome, ProgramAccess, Row, RowSink,
    RowStream, Scope, ServerFacts, Session, TextIn, TextOut,
};

/// A MariaDB or MySQL database.
#[derive(Clone, Debug)]
pub struct MysqlBackend {
    url: Arc<MyUrl>,
    /// The server was found not to offer TLS, where the URL leaves it to the server.
    plain: Arc<AtomicBool>,
}

impl MysqlBackend {
    /// The database at `url`.
    pub fn new(url: MyUrl) -> Self {
        MysqlBackend { url: Arc::new(url), plain: Arc::default() }
    }
}

#[async_trait]
impl Backend for MysqlBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::MYSQL
    }

    fn label(&self) -> String {
        self.url.to_string()
    }

    fn is_missing(&self) -> bool {
        // A server is there or not; nothing is made by asking.
        false
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DbError> {
        let client = connect::connect(&self.url, &self.plain).await?;
        Ok(Box::new(MysqlSession { url: Arc::clone(&self.url), client }))
    }

    fn database(&self) -> Option<&str> {
        self.url.database.as_deref()
    }

    fn at_database(&self, name: &str) -> Option<Box<dyn Backend>> {
        let mut url = (*self.url).clone();
        url.database = Some(name.to_owned());
        Some(Box::new(MysqlBackend { url: Arc::new(url), plain: Arc::clone(&self.plain) }))
    }

    fn program_access(&self) -> Result<ProgramAccess, String> {
        Ok(programs::access(&self.url))
    }
}

struct MysqlSession {
    url: Arc<MyUrl>,
    client: Client,
}

#[async_trait]
impl Session for MysqlSession {
    async fn run(&mut self, sql: &str, _copy_data: Option<&str>) -> Result<Outcome, DbError> {
        self.client.run(sql).await
    }

    async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.client.batch(sql).await
    }

    async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DbError> {
        Ok(self.client.sets(sql).await?.pop().unwrap_or_default())
    }

    async fn stream<'a>(&'a mut self, sql: &str) -> Result<Box<dyn RowStream + 'a>, DbError> {
        Ok(Box::new(rows::MysqlRows::start(&mut self.client, sql).await?))
    }

    async fn load<'a>(&'a mut self, into: &LoadInto) -> Result<Box<dyn RowSink + 'a>, DbError> {
        Ok(Box::new(load::MysqlSink::start(&mut self.client, into)))
    }

    async fn text_out<'a>(&'a mut self, of: &RowsOf) -> Result<Box<dyn TextOut + 'a>, DbError> {
        Ok(Box::new(text::MysqlTextOut::start(&mut self.client, of).await?))
    }

    async fn text_in<'a>(
        &'a mut self,
        of: &RowsOf,
        _fresh: bool,
    ) -> Result<Box<dyn TextIn + 'a>, DbError> {
        Ok(Box::new(text::MysqlTextIn::start(&mut self.client, of)))
    }

    fn in_transaction(&self) -> Option<bool> {
        self.client.in_transaction()
    }

    async fn inspect(&mut self, scope: Option<&Scope>) -> Result<Snapshot, DbError> {
        catalog::inspect(&mut self.client, scope).await
    }

    async fn reset(&mut self) -> Result<(), DbError> {
        self.client.reset().await?;
        connect::prepare(&mut self.client, &self.url).await
    }

    fn reset_in_transaction(&self) -> Option<&'static str> {
        None
    }

    async fn limit(&mut self, limits: Limits, _local: bool) -> Result<(), DbError> {
        match locks::limit_sql(limits, self.client.is_mariadb(), self.client.version()) {
            Some(sql) => self.client.batch(&sql).await,
            None => Ok(()),
        }
    }

    async fn facts(&mut self) -> Result<ServerFacts, DbError> {
        facts::facts(&mut self.client).await
    }

    async fn foreign_key_violations(&mut self) -> Result<Vec<ForeignKeyViolation>, DbError> {
        // The server refuses each row at once, unless the author has switched that off.
        Ok(Vec::new())
    }

    async fn end_session(&mut self, session: &str) -> Result<bool, DbError> {
        locks::end(&mut self.client, session).await
    }

    async fn blockers(&mut self, session: &str) -> Result<Vec<String>, DbError> {
        locks::blockers(&mut self.client, session).await
    }

    async fn waiters(&mut self, session: &str) -> Result<u64, DbError> {
        locks::waiters(&mut self.client, session).await
    }
}
