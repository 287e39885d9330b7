//! One connection.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio_postgres::{
    AsyncMessage, Client, Connection, Error, SimpleQueryMessage, SimpleQueryRow, SimpleQueryStream,
};
use whimbrel_core::backup::RowsOf;
use whimbrel_core::snapshot::Snapshot;

use super::connect::{Bound, Connected};
use super::copy::{self, Words};
use super::error::{Places, from_connection, from_statement};
use super::shared::Shared;
use super::tls::TlsFacts;
use super::wire::Wire;
use super::{PostgresBackend, catalog, facts, load, others, rows, text};
use crate::backend::{
    DbError, DbErrorKind, ForeignKeyViolation, Limits, LoadInto, Notice, Outcome, Row, RowSink,
    RowStream, Scope, ServerFacts, Session, TextIn, TextOut,
};

/// Everything that `DISCARD ALL` does, as statements that a transaction allows.
const RESET_IN_TRANSACTION: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
    DEALLOCATE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD PLANS; \
    DISCARD TEMP; DISCARD SEQUENCES";

/// Longest time-out that the server takes, in milliseconds.
const MS_MAX: u64 = 2_147_483_647;

pub(super) struct PgSession {
    pub(super) backend: PostgresBackend,
    pub(super) client: Client,
    pub(super) tls: Option<TlsFacts>,
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
    server_version: String,
    announced_pid: Arc<AtomicI32>,
    places: Places,
    /// The role has the name of the ledger's schema.
    is_named_as_ledger: bool,
    /// Answers to what was sent ahead, which nobody has waited for yet.
    ahead: Option<Pin<Box<SimpleQueryStream>>>,
    /// Names of the statements that the server kept for this session when it was last asked.
    pub(super) prepared: HashSet<String>,
}

impl PgSession {
    /// Drives the connection from a task of its own, which ends with the session.
    pub(super) fn start(backend: PostgresBackend, connected: Connected) -> PgSession {
        let Connected { client, connection, tls, announced_pid, .. } = connected;
        let server_version = connection.parameter("server_version").unwrap_or_default().to_owned();
        let places = match connection.parameter("server_encoding") {
            Some("SQL_ASCII") => Places::Bytes,
            _ => Places::Characters,
        };
        let is_named_as_ledger = connection.parameter("session_authorization") == Some("whimbrel");
        let shared = Arc::new(Shared::default());
        let driver = tokio::spawn(drive(connection, Arc::clone(&shared)));
        PgSession {
            backend,
            client,
            tls,
            shared,
            driver,
            server_version,
            announced_pid,
            places,
            is_named_as_ledger,
            ahead: None,
            prepared: HashSet::new(),
        }
    }

    /// Takes the ledger's schema off the search path, if the server itself is at the other end; a
    /// pooler would keep the setting for others.
    pub(super) async fn leave_own_schema(&mut self) -> Result<(), DbError> {
        if !self.is_named_as_ledger {
            return Ok(());
        }
        let pid = self.announced_pid();
        let path = crate::ledger::path::FOR_SESSION;
        self.results(&format!("{path} AND pg_catalog.pg_backend_pid() = {pid}")).await?;
        Ok(())
    }

    /// The server's major version.
    pub(super) fn major(&self) -> Option<u32> {
        let end = self.server_version.find(|c: char| !c.is_ascii_digit());
        self.server_version.get(..end.unwrap_or(self.server_version.len()))?.parse().ok()
    }

    /// The backend's pid as it was announced when the connection began; a pooler's own number
    /// behind a pooler.
    pub(super) fn announced_pid(&self) -> i32 {
        self.announced_pid.load(Ordering::Relaxed)
    }

    /// Runs several statements in one message and returns the rows of each that has rows.
    pub(super) async fn results(&mut self, sql: &str) -> Result<Vec<Vec<Row>>, DbError> {
        let mut results: Vec<Vec<Row>> = Vec::new();
        let sent = self.sent(sql).await?;
        let answer = async {
            let mut messages = pin!(sent);
            while let Some(message) = messages.try_next().await? {
                match message {
                    SimpleQueryMessage::RowDescription(_) => results.push(Vec::new()),
                    SimpleQueryMessage::Row(row) => {
                        if let Some(rows) = results.last_mut() {
                            rows.push(values(&row)?);
                        }
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        answer.await.map_err(|error| self.failure(&error, sql))?;
        Ok(results)
    }

    /// Sends statements, and waits for the answer to what was sent ahead of them.
    async fn sent(&mut self, sql: &str) -> Result<SimpleQueryStream, DbError> {
        let sent = self.client.simple_query_raw(sql).await;
        let sent = sent.map_err(|error| self.failure(&error, sql))?;
        self.settle().await?;
        Ok(sent)
    }

    /// Waits for the answer to what was sent ahead.
    async fn settle(&mut self) -> Result<(), DbError> {
        let Some(mut messages) = self.ahead.take() else { return Ok(()) };
        loop {
            match messages.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(DbError { ahead: true, ..self.failure(&error, "") }),
            }
        }
    }

    /// The answer to one statement of the author's, whose rows are dropped as they come.
    async fn answer(
        messages: SimpleQueryStream,
        sql: &str,
        words: Words,
    ) -> Result<Option<u64>, Error> {
        let mut messages = pin!(messages);
        let (mut count, mut has_rows) = (0, false);
        loop {
            match messages.try_next().await {
                Ok(Some(SimpleQueryMessage::CommandComplete(rows))) => count = rows,
                Ok(Some(SimpleQueryMessage::RowDescription(_))) => has_rows = true,
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The client library knows no copied rows here; they are dropped like others.
                Err(error) if words == Words::CopyOut && is_unexpected(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(match words {
            Words::Changes | Words::CopyIn => Some(count),
            Words::CopyOut => None,
            // The count of a query is that of the rows it returned.
            Words::Perhaps if has_rows => changes_inside(sql).then_some(count),
            Words::Perhaps => Some(count),
            Words::Other => (count > 0 && !has_rows).then_some(count),
        })
    }

    pub(super) fn failure(&self, error: &Error, sql: &str) -> DbError {
        if error.as_db_error().is_none()
            && let Some(reason) = self.shared.ended()
        {
            return reason;
        }
        if is_unexpected(error) {
            // Both sides wait for the other now: nothing that is sent later would be answered.
            self.driver.abort();
        }
        from_statement(error, sql, self.places)
    }

    /// Whether it is known that a prepared statement lasts.
    pub(super) fn keeps_statements(&self) -> bool {
        matches!(self.backend.known.pooled.get(), Some(None))
    }

    /// The reason why this connection does not keep its session, once it is known.
    pub(super) fn pooled(&self) -> Option<&str> {
        self.backend.known.pooled.get()?.as_deref()
    }
}

fn set_limits(limits: Limits, scope: &str) -> String {
    let names = [("lock_timeout", limits.lock_ms), ("statement_timeout", limits.statement_ms)];
    let set = names
        .into_iter()
        .filter_map(|(name, ms)| Some(format!("SET {scope} {name} = {}", ms?.min(MS_MAX))));
    set.collect::<Vec<_>>().join("; ")
}

fn values(row: &SimpleQueryRow) -> Result<Row, Error> {
    (0..row.len()).map(|index| Ok(row.try_get(index)?.map(str::to_owned))).collect()
}

/// Whether a `WITH` that returns rows may have changed some.
fn changes_inside(sql: &str) -> bool {
    let upper = sql.to_ascii_uppercase();
    ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|word| upper.contains(word))
}

fn is_unexpected(error: &Error) -> bool {
    error.as_db_error().is_none() && error.to_string().contains("unexpected message")
}

/// Moves bytes both ways until the connection ends, and keeps the notices. A notice is kept before
/// the end of its statement is passed on, as both come in order.
async fn drive(mut connection: Connection<Wire, Bound>, shared: Arc<Shared>) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => shared.notice(&notice),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let mut reason = from_connection(&error);
                if reason.code.is_none() {
                    reason.message = format!("The connection was lost: {}", reason.message);
                }
                shared.end(reason);
                return;
            }
            None => return,
        }
    }
}

#[async_trait]
impl Session for PgSession {
    async fn run(&mut self, sql: &str, copy_data: Option<&str>) -> Result<Outcome, DbError> {
        // What our own statements were told is nobody's.
        self.shared.take_notices();
        let words = copy::words(sql);
        let answer = match words {
            Words::CopyIn => {
                self.settle().await?;
                copy::copy_in(&self.client, sql, copy_data.unwrap_or_default()).await.map(Some)
            }
            _ => PgSession::answer(self.sent(sql).await?, sql, words).await,
        };
        let rows_affected = answer.map_err(|error| self.failure(&error, sql))?;
        Ok(Outcome { rows_affected, notices: self.shared.take_notices() })
    }

    fn said_before_error(&mut self) -> Vec<Notice> {
        self.shared.take_notices()
    }

    async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.results(sql).await.map(drop)
    }

    async fn ahead(&mut self, sql: &str) -> Result<(), DbError> {
        self.settle().await?;
        let sent = self.client.simple_query_raw(sql).await;
        self.ahead = Some(Box::pin(sent.map_err(|error| self.failure(&error, sql))?));
        Ok(())
    }

    async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DbError> {
        Ok(self.results(sql).await?.pop().unwrap_or_default())
    }

    async fn stream<'a>(&'a mut self, sql: &str) -> Result<Box<dyn RowStream + 'a>, DbError> {
        self.settle().await?;
        Ok(Box::new(rows::PgRows::start(self, sql).await?))
    }

    async fn load<'a>(&'a mut self, into: &LoadInto) -> Result<Box<dyn RowSink + 'a>, DbError> {
        self.settle().await?;
        Ok(Box::new(load::PgSink::start(self, into).await?))
    }

    async fn text_out<'a>(&'a mut self, of: &RowsOf) -> Result<Box<dyn TextOut + 'a>, DbError> {
        self.settle().await?;
        Ok(Box::new(text::PgTextOut::start(self, of).await?))
    }

    async fn text_in<'a>(
        &'a mut self,
        of: &RowsOf,
        fresh: bool,
    ) -> Result<Box<dyn TextIn + 'a>, DbError> {
        self.settle().await?;
        Ok(Box::new(text::PgTextIn::start(self, of, fresh).await?))
    }

    fn in_transaction(&self) -> Option<bool> {
        None
    }

    async fn inspect(&mut self, scope: Option<&Scope>) -> Result<Snapshot, DbError> {
        catalog::inspect(self, scope).await
    }

    async fn reset(&mut self) -> Result<(), DbError> {
        if self.pooled().is_some() {
            // The next transaction has another session; this one is not ours to reset.
            return Ok(());
        }
        self.batch("DISCARD ALL").await?;
        self.leave_own_schema().await
    }

    fn reset_in_transaction(&self) -> Option<&'static str> {
        Some(RESET_IN_TRANSACTION)
    }

    async fn limit(&mut self, limits: Limits, local: bool) -> Result<(), DbError> {
        let set = set_limits(limits, if local { "LOCAL" } else { "SESSION" });
        // A pooler would keep the setting for others.
        if set.is_empty() || (!local && self.pooled().is_some()) {
            return Ok(());
        }
        self.batch(&set).await
    }

    fn limit_text(&self, limits: Limits) -> Option<String> {
        Some(set_limits(limits, "LOCAL"))
    }

    async fn limits(&mut self) -> Result<Limits, DbError> {
        let sql = "SELECT name, setting FROM pg_catalog.pg_settings \
                   WHERE name IN ('lock_timeout', 'statement_timeout') ORDER BY name";
        let rows = self.query(sql).await?;
        let ms = |row: usize| rows.get(row)?.get(1)?.as_ref()?.parse().ok();
        Ok(Limits { lock_ms: ms(0), statement_ms: ms(1) })
    }

    async fn facts(&mut self) -> Result<ServerFacts, DbError> {
        facts::facts(self).await
    }

    async fn foreign_key_violations(&mut self) -> Result<Vec<ForeignKeyViolation>, DbError> {
        Ok(Vec::new())
    }

    async fn end_session(&mut self, session: &str) -> Result<bool, DbError> {
        others::end(self, session).await
    }

    async fn blockers(&mut self, session: &str) -> Result<Vec<String>, DbError> {
        others::blockers(self, session).await
    }

    async fn waiters(&mut self, session: &str) -> Result<u64, DbError> {
        others::waiters(self, session).await
    }
}

/// An answer that does not have the shape that was asked for.
pub(super) fn unexpected_answer(what: &str) -> DbError {
    DbError::new(
        DbErrorKind::Statement,
        format!("The server's answer about {what} is not understood"),
    )
}
