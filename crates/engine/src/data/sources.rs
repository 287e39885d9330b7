//! The databases that `source=` names: opened when they are needed, and only read.

use std::collections::BTreeMap;

use whimbrel_core::sql::dialect::Dialect;

use super::batch::BATCH_LOCK_TIMEOUT_MS;
use super::job::Job;
use crate::backend::{Backend, Limits, Session};
use crate::error::EngineError;

/// The databases by the names of their environments, or why one cannot be used.
pub(crate) type Sources = BTreeMap<String, Result<Box<dyn Backend>, String>>;
/// Those that are open.
pub(crate) type Opened = BTreeMap<String, Box<dyn Session>>;

/// A database whose rows are read.
pub(crate) struct Source<'a> {
    pub(crate) name: String,
    pub(crate) session: &'a mut dyn Session,
    pub(crate) dialect: Dialect,
}

/// Opens a source, if that was not done before, for reading only and with times in UTC. A lock is
/// waited for as long as a batch waits for one, as the batch's transaction stays open meanwhile.
///
/// # Errors
/// When there is no such database, it cannot be reached, or its connection does not keep a session:
/// what is set would be the next client's.
pub(crate) async fn open<'a>(
    sources: &Sources,
    opened: &'a mut Opened,
    name: &str,
) -> Result<Source<'a>, EngineError> {
    let missing = |why: &str| EngineError::NotFound(format!("`source={name}`: {why}"));
    let backend = match sources.get(name) {
        Some(Ok(backend)) if !backend.is_missing() => backend,
        Some(Ok(backend)) => {
            return Err(missing(&format!("There is no database `{}`", backend.label())));
        }
        Some(Err(why)) => return Err(missing(why)),
        None => return Err(missing("No environment is named so")),
    };
    let dialect = backend.capabilities().dialect;
    if !opened.contains_key(name) {
        let mut session = backend.connect().await.map_err(|error| EngineError::Connect {
            label: backend.label(),
            error: Box::new(error),
        })?;
        if let Some(pooler) = session.facts().await?.pooled {
            return Err(EngineError::Refused(format!(
                "`source={name}` must be read by a session of its own, and this connection keeps \
                 none: {pooler}; name the server itself"
            )));
        }
        session.batch(read_only(dialect)).await?;
        let lock_ms = (dialect != Dialect::Sqlite).then_some(BATCH_LOCK_TIMEOUT_MS);
        session.limit(Limits { lock_ms, statement_ms: Some(0) }, false).await?;
        opened.insert(name.to_owned(), session);
    }
    match opened.get_mut(name) {
        Some(session) => Ok(Source { name: name.to_owned(), session: session.as_mut(), dialect }),
        None => Err(EngineError::NotFound(format!("`source={name}` is not open"))),
    }
}

fn read_only(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "PRAGMA query_only = 1",
        Dialect::Postgres => {
            "SET default_transaction_read_only = on; SET datestyle = 'ISO, YMD'; \
             SET intervalstyle = 'postgres'; SET timezone = 'UTC'; SET extra_float_digits = 1; \
             SET bytea_output = 'hex'; SET lc_monetary = 'C'"
        }
        Dialect::Mysql => "SET SESSION TRANSACTION READ ONLY; SET time_zone = '+00:00'",
    }
}

/// The session of a job's driving table: its source's, or the one that is written.
pub(super) fn driving<'a>(
    session: &'a mut Box<dyn Session>,
    opened: &'a mut Opened,
    job: &Job,
) -> &'a mut dyn Session {
    driving_of(session.as_mut(), opened, job)
}

/// The same with a borrowed session.
pub(crate) fn driving_of<'a>(
    session: &'a mut dyn Session,
    opened: &'a mut Opened,
    job: &Job,
) -> &'a mut dyn Session {
    let source = job.source.as_ref().and_then(|source| opened.get_mut(&source.name));
    match source {
        Some(source) => source.as_mut(),
        None => session,
    }
}
