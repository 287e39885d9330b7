//! The databases that `source=` names: opened when they are needed, and only read.

use std::collections::BTreeMap;

use whimbrel_core::sql::dialect::Dialect;

use super::job::Job;
use crate::backend::{Backend, Session};
use crate::error::EngineError;

/// The databases by the names of their environments.
pub(crate) type Sources = BTreeMap<String, Box<dyn Backend>>;
/// Those that are open.
pub(crate) type Opened = BTreeMap<String, Box<dyn Session>>;

/// A database whose rows are read.
pub(crate) struct Source<'a> {
    pub(crate) name: String,
    pub(crate) session: &'a mut dyn Session,
    pub(crate) dialect: Dialect,
}

/// Opens a source, if that was not done before, for reading only and with times in UTC.
pub(crate) async fn open<'a>(
    sources: &Sources,
    opened: &'a mut Opened,
    name: &str,
) -> Result<Source<'a>, EngineError> {
    let Some(backend) = sources.get(name).filter(|backend| !backend.is_missing()) else {
        return Err(EngineError::NotFound(format!("There is no database of `source={name}`")));
    };
    let dialect = backend.capabilities().dialect;
    if !opened.contains_key(name) {
        let mut session = backend.connect().await.map_err(|error| EngineError::Connect {
            label: backend.label(),
            error: Box::new(error),
        })?;
        session.batch(read_only(dialect)).await?;
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
