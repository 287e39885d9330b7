//! Who may write now: the lease, and the fence that keeps out whoever lost it.

mod heartbeat;
#[cfg(feature = "sqlite")]
mod keeper;

use std::sync::Arc;
use std::time::{Duration, Instant};

use whimbrel_core::sql::dialect::Dialect;

pub(crate) use self::heartbeat::Heartbeat;
#[cfg(feature = "sqlite")]
pub(crate) use self::keeper::Keeper;
use crate::backend::{Backend, DbError, DbErrorKind, Row, Session};
use crate::error::EngineError;
use crate::event::{Event, Events};
use crate::failpoint;
use crate::ledger::{Ledger, now_ms, number, rollback, text};
use crate::owner::Owner;

/// A setting that no PostgreSQL server has: asking for it is how a statement fails whose token is
/// not the fence's.
pub(crate) const LOST: &str = "whimbrel.lease_lost";
/// How long a lease lasts without being renewed, in milliseconds by the server's clock.
pub const LEASE_MS: i64 = 30_000;
/// How often a waiting process says that it waits, in milliseconds.
const WAIT_REPORT_MS: u128 = 5_000;

/// What the lease's row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Who holds it.
    pub owner: Owner,
    /// How the server knows the holder's connection.
    pub server_session: String,
    /// Its run.
    pub run_id: String,
    /// What it does: `up`, `down`, ...
    pub verb: String,
    /// For how long it has held it, in milliseconds.
    pub held_ms: i64,
    /// Until when it is valid: milliseconds from now, negative when it has run out.
    pub left_ms: i64,
    /// Steps done and steps in all.
    pub progress: (u64, u64),
    /// What is being done.
    pub step_now: String,
}

/// A lease that this process holds.
pub(crate) struct Lease {
    pub(crate) run_id: String,
    pub(crate) token: i64,
    pub(crate) progress: Arc<heartbeat::Shared>,
    ledger: Ledger,
    single_writer: bool,
    heartbeat: Option<Heartbeat>,
}

/// What a process says when it asks for the lease.
pub(crate) struct Claim<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) verb: &'a str,
    pub(crate) wait: Duration,
}

enum Try {
    Taken(i64),
    Held(Option<Box<LeaseInfo>>),
}

/// Reads who holds the lease; `None` when it is free.
pub(crate) async fn read(
    ledger: &Ledger,
    session: &mut dyn Session,
) -> Result<Option<LeaseInfo>, DbError> {
    let rows = session.query(&select_sql(ledger, "")).await?;
    Ok(rows.first().and_then(info_of))
}

/// Takes the lease, waiting for another holder as long as the claim allows.
pub(crate) async fn acquire(
    ledger: Ledger,
    backend: &dyn Backend,
    session: &mut dyn Session,
    claim: &Claim<'_>,
    events: &mut dyn Events,
) -> Result<Lease, EngineError> {
    failpoint::pass("lock.before_acquire");
    let run_id = uuid::Uuid::now_v7().to_string();
    let server_session = session.facts().await?.session.unwrap_or_default();
    let began = Instant::now();
    let mut reported_ms = None;
    let token = loop {
        let held = match attempt(ledger, session, claim, &run_id, &server_session).await? {
            Try::Taken(token) => break token,
            Try::Held(info) => info,
        };
        if began.elapsed() >= claim.wait {
            return Err(EngineError::LeaseHeld { info: held, waited: began.elapsed() });
        }
        let due = reported_ms.is_none_or(|at| began.elapsed().as_millis() - at >= WAIT_REPORT_MS);
        if due {
            reported_ms = Some(began.elapsed().as_millis());
            events.send(Event::LeaseWaiting { holder: held });
        }
        tokio::time::sleep(crate::jitter::between_ms(80, 300)).await;
    };
    failpoint::pass("lock.after_acquire");
    let capabilities = backend.capabilities();
    let progress = Arc::new(heartbeat::Shared::new(server_session));
    let heartbeat = if capabilities.heartbeat {
        Some(Heartbeat::start(ledger, backend.connect().await?, token, Arc::clone(&progress)))
    } else {
        None
    };
    let single_writer = capabilities.single_writer;
    Ok(Lease { run_id, token, progress, ledger, single_writer, heartbeat })
}

async fn attempt(
    ledger: Ledger,
    session: &mut dyn Session,
    claim: &Claim<'_>,
    run_id: &str,
    server_session: &str,
) -> Result<Try, EngineError> {
    match attempt_in_transaction(ledger, session, claim, run_id, server_session).await {
        Ok(Try::Taken(token)) => Ok(Try::Taken(token)),
        Ok(held) => {
            rollback(session).await;
            Ok(held)
        }
        Err(error) => {
            rollback(session).await;
            if error.is_transient() {
                return Ok(Try::Held(read(&ledger, session).await.ok().flatten().map(Box::new)));
            }
            Err(error.into())
        }
    }
}

async fn attempt_in_transaction(
    ledger: Ledger,
    session: &mut dyn Session,
    claim: &Claim<'_>,
    run_id: &str,
    server_session: &str,
) -> Result<Try, DbError> {
    session.batch(&begin_sql(ledger.dialect)).await?;
    let lock = if ledger.dialect == Dialect::Sqlite { "" } else { " FOR UPDATE" };
    let rows = session.query(&select_sql(&ledger, lock)).await?;
    if let Some(info) = rows.first().and_then(info_of) {
        let dead = claim.owner.knows_dead(&info.owner);
        if info.left_ms > 0 && !dead {
            return Ok(Try::Held(Some(Box::new(info))));
        }
        // The statement that the old owner sent last may still be running in the server.
        if !info.server_session.is_empty() && !session.end_session(&info.server_session).await? {
            return Ok(Try::Held(Some(Box::new(info))));
        }
        for worker in workers_of_holder(ledger, session).await? {
            if !session.end_session(&worker).await? {
                return Ok(Try::Held(Some(Box::new(info))));
            }
        }
    }
    let fence = ledger.table("fence");
    // This waits for a step that is still in its transaction, and from here on no step with the
    // old token can commit.
    session.batch(&format!("UPDATE {fence} SET token = token + 1 WHERE id = 1")).await?;
    let rows = session.query(&format!("SELECT token FROM {fence} WHERE id = 1")).await?;
    let token = rows.first().map_or(0, |row| number(row, 0));
    session.batch(&take_sql(&ledger, claim, run_id, server_session, token)).await?;
    session.batch("COMMIT").await?;
    Ok(Try::Taken(token))
}

/// How the server knows the further connections of the run that has the lease.
async fn workers_of_holder(
    ledger: Ledger,
    session: &mut dyn Session,
) -> Result<Vec<String>, DbError> {
    let sql = format!(
        "SELECT DISTINCT p.server_session FROM {} p JOIN {} l ON l.token = p.token \
         WHERE l.id = 1 AND p.server_session <> ''",
        ledger.table("parts"),
        ledger.table("lease")
    );
    Ok(session.query(&sql).await?.iter().map(|row| text(row, 0)).collect())
}

fn begin_sql(dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite => "BEGIN IMMEDIATE".to_owned(),
        Dialect::Postgres => "BEGIN; SET LOCAL lock_timeout = '1s'".to_owned(),
        Dialect::Mysql => "START TRANSACTION".to_owned(),
    }
}

fn select_sql(ledger: &Ledger, lock: &str) -> String {
    let now = now_ms(ledger.dialect);
    format!(
        "SELECT owner, host, boot_id, pid, process_start, server_session, run_id, verb, \
         {now} - acquired_ms, expires_ms - {now}, steps_done, steps_total, step_now \
         FROM {} WHERE id = 1{lock}",
        ledger.table("lease")
    )
}

fn info_of(row: &Row) -> Option<LeaseInfo> {
    let actor = row.first().cloned().flatten()?;
    Some(LeaseInfo {
        owner: Owner {
            actor,
            host: text(row, 1),
            boot_id: text(row, 2),
            pid: u32::try_from(number(row, 3)).unwrap_or(0),
            process_start: text(row, 4),
        },
        server_session: text(row, 5),
        run_id: text(row, 6),
        verb: text(row, 7),
        held_ms: number(row, 8),
        left_ms: number(row, 9),
        progress: (
            u64::try_from(number(row, 10)).unwrap_or(0),
            u64::try_from(number(row, 11)).unwrap_or(0),
        ),
        step_now: text(row, 12),
    })
}

fn take_sql(
    ledger: &Ledger,
    claim: &Claim<'_>,
    run_id: &str,
    server_session: &str,
    token: i64,
) -> String {
    let now = now_ms(ledger.dialect);
    let owner = claim.owner;
    format!(
        "UPDATE {} SET owner = {}, host = {}, boot_id = {}, pid = {}, process_start = {}, \
         server_session = {}, run_id = {}, verb = {}, token = {token}, acquired_ms = {now}, \
         expires_ms = {now} + {LEASE_MS}, steps_done = 0, steps_total = 0, step_now = '' \
         WHERE id = 1",
        ledger.table("lease"),
        ledger.quote(&owner.actor),
        ledger.quote(&owner.host),
        ledger.quote(&owner.boot_id),
        owner.pid,
        ledger.quote(&owner.process_start),
        ledger.quote(server_session),
        ledger.quote(run_id),
        ledger.quote(claim.verb),
    )
}

impl Lease {
    /// No lease at all, for what is rolled back: whoever holds it cannot commit.
    pub(crate) fn none(ledger: Ledger) -> Lease {
        Lease {
            run_id: uuid::Uuid::now_v7().to_string(),
            token: 0,
            progress: Arc::new(heartbeat::Shared::new(String::new())),
            ledger,
            single_writer: false,
            heartbeat: None,
        }
    }

    /// The same lease for a further connection that works for this run.
    pub(crate) fn share(&self, server_session: String) -> Lease {
        Lease {
            run_id: self.run_id.clone(),
            token: self.token,
            progress: heartbeat::Shared::beside(&self.progress, server_session),
            ledger: self.ledger,
            single_writer: self.single_writer,
            heartbeat: None,
        }
    }

    /// Locks the fence until the end of the open transaction, and makes sure that the lease is
    /// still ours. On SQLite the write transaction is the lock, and the lease is renewed in it.
    pub(crate) async fn fence(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        self.check_lost()?;
        let fence = self.ledger.table("fence");
        let rows = match self.ledger.dialect {
            Dialect::Sqlite => {
                session.batch(&self.renew_sql()).await?;
                session.query(&format!("SELECT token FROM {fence} WHERE id = 1")).await?
            }
            Dialect::Postgres => {
                session.query(&format!("SELECT token FROM {fence} WHERE id = 1 FOR SHARE")).await?
            }
            Dialect::Mysql => {
                let sql = format!("SELECT token FROM {fence} WHERE id = 1 LOCK IN SHARE MODE");
                session.query(&sql).await?
            }
        };
        let token = rows.first().map_or(0, |row| number(row, 0));
        if token == self.token { Ok(()) } else { Err(EngineError::LeaseLost) }
    }

    /// The same after the statements `before`, which begin the transaction. On PostgreSQL all of it
    /// is sent ahead of what comes next, as each answer costs more than its statement; a wrong
    /// token is an error of the database there, so that nothing that follows takes effect.
    pub(crate) async fn fence_ahead(
        &self,
        before: &str,
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        if self.ledger.dialect != Dialect::Postgres {
            session.batch(before).await?;
            return self.fence(session).await;
        }
        self.check_lost()?;
        let (fence, token) = (self.ledger.table("fence"), self.token);
        let sql = format!(
            "{before};\nSELECT CASE WHEN (SELECT token FROM {fence} WHERE id = 1 FOR SHARE) = \
             {token} THEN '' ELSE pg_catalog.current_setting('{LOST}') END"
        );
        Ok(session.ahead(&sql).await?)
    }

    /// Whether the heartbeat has found the lease taken.
    pub(crate) fn check_lost(&self) -> Result<(), EngineError> {
        if self.progress.is_lost() { Err(EngineError::LeaseLost) } else { Ok(()) }
    }

    fn renew_sql(&self) -> String {
        heartbeat::renew_sql(&self.ledger, self.token, &self.progress.now())
    }

    /// Renews a lease that no heartbeat renews, outside of a step.
    pub(crate) async fn renew(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        self.check_lost()?;
        if !self.single_writer {
            return Ok(());
        }
        let outcome = session.run(&self.renew_sql(), None).await?;
        if outcome.rows_affected == Some(1) { Ok(()) } else { Err(EngineError::LeaseLost) }
    }

    /// Goes on with a new connection: the statement that the old one sent last is ended, and the
    /// lease must still be ours.
    pub(crate) async fn move_to(
        &mut self,
        backend: &dyn Backend,
        session: &mut dyn Session,
    ) -> Result<(), EngineError> {
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.stop().await;
        }
        let old = self.progress.server_session();
        if !old.is_empty() && !session.end_session(&old).await? {
            let error = DbError::new(DbErrorKind::Connection, "The old connection is still busy");
            return Err(error.into());
        }
        let new = session.facts().await?.session.unwrap_or_default();
        let outcome = session
            .run(
                &format!(
                    "UPDATE {} SET server_session = {}, expires_ms = {} + {LEASE_MS} \
                     WHERE id = 1 AND token = {}",
                    self.ledger.table("lease"),
                    self.ledger.quote(&new),
                    now_ms(self.ledger.dialect),
                    self.token
                ),
                None,
            )
            .await?;
        if outcome.rows_affected != Some(1) {
            return Err(EngineError::LeaseLost);
        }
        self.progress = Arc::new(heartbeat::Shared::new(new));
        if backend.capabilities().heartbeat {
            let other = backend.connect().await?;
            let shared = Arc::clone(&self.progress);
            self.heartbeat = Some(Heartbeat::start(self.ledger, other, self.token, shared));
        }
        Ok(())
    }

    /// Ends the connection that renews the lease. From here on it lasts as long as it was last
    /// renewed for, and as the locks that the caller holds keep others from it.
    pub(crate) async fn quiet(&mut self) {
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.stop().await;
        }
    }

    /// Gives the lease back. A lease that was lost is left to its new owner.
    pub(crate) async fn release(mut self, session: &mut dyn Session) -> Result<(), EngineError> {
        failpoint::pass("lock.before_release");
        self.quiet().await;
        session.batch(&self.release_sql()).await?;
        failpoint::pass("lock.after_release");
        Ok(())
    }

    fn release_sql(&self) -> String {
        format!(
            "UPDATE {} SET owner = NULL, expires_ms = 0, step_now = '' \
             WHERE id = 1 AND token = {}",
            self.ledger.table("lease"),
            self.token
        )
    }
}
