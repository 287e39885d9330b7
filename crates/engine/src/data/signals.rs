//! The throttle's signals, measured.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::throttle::{Lag, Throttle, holds};

use super::gate::Signal;
use crate::apply::Applier;
use crate::backend::{DbError, DbErrorKind, Row};
use crate::error::EngineError;
use crate::ledger::{number, text};

/// How often signals are measured while none holds, in milliseconds.
const MEASURE_MS: u128 = 1_000;

/// The signal that is about our own batches.
pub(super) const LOCK_WAITS: &str = "lock-waits";

/// The signals that a database cannot measure, with what to do about it.
pub(crate) fn unmeasurable(throttle: &Throttle, dialect: Dialect) -> Option<String> {
    let asked = [
        ("replication-lag", throttle.replication_lag.is_some(), dialect != Dialect::Postgres),
        ("active-connections", throttle.active_connections.is_some(), dialect == Dialect::Sqlite),
        (LOCK_WAITS, throttle.lock_waits.is_some(), dialect == Dialect::Sqlite),
    ];
    let (name, ..) = asked.into_iter().find(|(_, asked, cannot)| *asked && *cannot)?;
    Some(format!(
        "`{name}` of `[throttle]` cannot be measured on {}; leave it out, or say what you mean by \
         `query`",
        dialect.name()
    ))
}

impl Applier<'_> {
    /// Lets the heartbeat count who waits for our locks, where that is a signal.
    pub(super) async fn watch_waiters(&mut self) -> Result<(), EngineError> {
        let watch = self.options.throttle.lock_waits.is_some();
        if watch {
            let name = self.lease.progress.server_session();
            let counted = self.session.waiters(&name).await;
            measured(LOCK_WAITS, counted)?;
        }
        self.lease.progress.watch_waiters(watch);
        Ok(())
    }

    /// The first signal that holds the run. `already` names the one that does so now, which must
    /// come further down to let go.
    pub(super) async fn throttled(
        &mut self,
        already: Option<&'static str>,
    ) -> Result<Option<Signal>, EngineError> {
        let throttle = &self.options.throttle;
        let waiters = self.lease.progress.take_waiters();
        if let Some(most) = throttle.lock_waits.filter(|most| waiters > *most) {
            return Ok(Some(counted(LOCK_WAITS, waiters, most)));
        }
        let recent = self.measured.is_some_and(|at| at.elapsed().as_millis() < MEASURE_MS);
        if throttle.is_off() || already.is_none() && recent {
            return Ok(None);
        }
        self.measured = Some(Instant::now());
        if let Some(signal) = self.outside() {
            return Ok(Some(signal));
        }
        let held = |name| already == Some(name);
        if let Some(most) = throttle.active_connections {
            let value = self.active_connections().await?;
            let name = "active-connections";
            if holds(value, most, held(name)) {
                return Ok(Some(counted(name, value, most)));
            }
        }
        if let Some(lag) = throttle.replication_lag
            && let Some(signal) = self.replication_lag(lag, held("replication-lag")).await?
        {
            return Ok(Some(signal));
        }
        self.throttle_query().await
    }

    /// The signals that need no database.
    fn outside(&self) -> Option<Signal> {
        let throttle = &self.options.throttle;
        if let Some(file) = &throttle.flag_file
            && self.options.root.join(file).exists()
        {
            let (value, threshold) = (format!("`{file}` exists"), "it must not".to_owned());
            return Some(Signal { name: "flag-file", value, threshold });
        }
        let window = throttle.window?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        if window.contains(now) {
            return None;
        }
        let minutes = now / 60 % 1_440;
        let value = format!("{:02}:{:02} UTC", minutes / 60, minutes % 60);
        Some(Signal { name: "window", value, threshold: format!("only {window}") })
    }

    /// Other sessions that are at work.
    async fn active_connections(&mut self) -> Result<u64, EngineError> {
        let (sql, column) = match self.ledger.dialect {
            // What our account may not see has no state (PostgreSQL manual, 27.2.3).
            Dialect::Postgres => (
                "SELECT count(*) FILTER (WHERE state = 'active'), \
                 count(*) FILTER (WHERE state IS NULL) FROM pg_stat_activity \
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
                0,
            ),
            Dialect::Mysql => ("SHOW GLOBAL STATUS LIKE 'Threads_running'", 1),
            Dialect::Sqlite => return Ok(0),
        };
        let rows = self.signal_query("active-connections", sql).await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let count = u64::try_from(number(row, column)).unwrap_or(0);
        if self.ledger.dialect == Dialect::Postgres {
            may_see("active-connections", number(row, 1))?;
            return Ok(count);
        }
        // Our own session is one of them.
        Ok(count.saturating_sub(1))
    }

    async fn replication_lag(
        &mut self,
        most: Lag,
        already: bool,
    ) -> Result<Option<Signal>, EngineError> {
        let name = "replication-lag";
        let measure = match most {
            Lag::Time(_) => {
                "extract(epoch from max(greatest(write_lag, flush_lag, replay_lag))) * 1000"
            }
            Lag::Bytes(_) => {
                "max(pg_wal_lsn_diff(pg_current_wal_lsn(), \
                 coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn)))"
            }
        };
        let sql = format!(
            "SELECT coalesce({measure}, 0)::bigint, count(*) FILTER (WHERE state IS NULL) \
             FROM pg_stat_replication"
        );
        let rows = self.signal_query(name, &sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        may_see(name, number(row, 1))?;
        let value = u64::try_from(number(row, 0)).unwrap_or(0);
        let (limit, unit) = match most {
            Lag::Time(time) => (u64::try_from(time.as_millis()).unwrap_or(u64::MAX), "ms"),
            Lag::Bytes(bytes) => (bytes, "bytes"),
        };
        Ok(holds(value, limit, already).then(|| Signal {
            name,
            value: format!("{value} {unit}"),
            threshold: format!("at most {limit} {unit}"),
        }))
    }

    async fn throttle_query(&mut self) -> Result<Option<Signal>, EngineError> {
        let Some(sql) = self.options.throttle.query.clone() else { return Ok(None) };
        let rows = self.signal_query("query", &sql).await?;
        let value = rows.first().map_or_else(String::new, |row| text(row, 0));
        if value.is_empty() {
            return Ok(None);
        }
        let Ok(found) = value.trim().parse::<f64>() else {
            return Err(EngineError::Refused(format!(
                "`query` of `[throttle]` must return a number, and it returned `{}`",
                value.escape_debug().take(40).collect::<String>()
            )));
        };
        let threshold = "at most 0".to_owned();
        Ok((found > 0.0).then_some(Signal { name: "query", value, threshold }))
    }

    /// Asks for a signal. What cannot be asked holds nothing back, so it ends the run.
    async fn signal_query(&mut self, name: &str, sql: &str) -> Result<Vec<Row>, EngineError> {
        measured(name, self.session.query(sql).await)
    }
}

/// What was measured, or why it cannot be.
fn measured<T>(name: &str, found: Result<T, DbError>) -> Result<T, EngineError> {
    match found {
        Ok(value) => Ok(value),
        Err(error) if matches!(error.kind, DbErrorKind::Connection | DbErrorKind::Locked) => {
            Err(error.into())
        }
        Err(error) => Err(EngineError::Refused(format!(
            "`{name}` of `[throttle]` cannot be measured: {error}"
        ))),
    }
}

fn counted(name: &'static str, value: u64, most: u64) -> Signal {
    Signal { name, value: value.to_string(), threshold: format!("at most {most}") }
}

/// A value made of what our account may not see would hold nothing back.
fn may_see(name: &str, hidden: i64) -> Result<(), EngineError> {
    if hidden == 0 {
        return Ok(());
    }
    Err(EngineError::Refused(format!(
        "`{name}` of `[throttle]` cannot be measured: the account may not see other sessions. \
         Let it by `GRANT pg_monitor TO` it, or leave the signal out"
    )))
}
