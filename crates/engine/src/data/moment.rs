//! The parameters of data migrations: one moment and one run for all batches, also after a resume.

use whimbrel_core::data::with_parameters;
use whimbrel_core::sql::dialect::Dialect;

use super::cursor::Details;
use super::frozen::WorkName;
use crate::apply::Applier;
use crate::backend::Session;
use crate::error::EngineError;
use crate::ledger::{Ledger, now_ms, number, text};

/// When a data migration began, and in which run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(super) began_ms: i64,
    pub(super) run_id: String,
    /// What the work table of a statement is called that has one.
    pub(super) work: WorkName,
}

impl Applier<'_> {
    /// The moment of a data migration: that of its first cursor, or now.
    pub(crate) async fn moment(&mut self, migration: &str) -> Result<Moment, EngineError> {
        let run_id = self.lease.run_id.clone();
        moment(self.ledger, self.session.as_mut(), migration, run_id).await
    }
}

/// The moment of a data migration in a database that has a ledger.
pub(crate) async fn moment(
    ledger: Ledger,
    session: &mut dyn Session,
    migration: &str,
    run_id: String,
) -> Result<Moment, EngineError> {
    let work = WorkName::for_plan();
    let sql = format!(
        "SELECT began_ms, details FROM {} WHERE migration = {} AND direction = 'up' \
                 AND state <> 'undone' ORDER BY seq LIMIT 1",
        ledger.table("cursors"),
        ledger.quote(migration)
    );
    if let Some(row) = session.query(&sql).await?.first() {
        let details: Details = serde_json::from_str(&text(row, 1)).unwrap_or_default();
        return Ok(Moment { began_ms: number(row, 0), run_id: details.run_id, work });
    }
    let sql = format!("SELECT {}", now_ms(ledger.dialect));
    let rows = session.query(&sql).await?;
    let began_ms = rows.first().map_or(0, |row| number(row, 0));
    Ok(Moment { began_ms, run_id, work })
}

impl Moment {
    /// Now, for looking only.
    pub(crate) fn for_plan() -> Moment {
        Moment { began_ms: 0, run_id: String::new(), work: WorkName::for_plan() }
    }

    /// A statement with its parameters filled in.
    pub(crate) fn fill(&self, sql: &str, dialect: Dialect) -> String {
        if !sql.contains(':') {
            return sql.to_owned();
        }
        let started = started_at(self.began_ms, dialect);
        let run_id = whimbrel_core::sql::quote::quote_text(&self.run_id, dialect);
        let values = [("run_started_at", started.as_str()), ("run_id", run_id.as_str())];
        with_parameters(sql, dialect, &values)
    }
}

/// A moment as the database's own functions for "now" give it.
fn started_at(ms: i64, dialect: Dialect) -> String {
    let (seconds, rest) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
    match dialect {
        Dialect::Sqlite => format!("datetime({seconds}, 'unixepoch')"),
        Dialect::Postgres => format!("to_timestamp({seconds}.{rest:03})"),
        Dialect::Mysql => format!("FROM_UNIXTIME({seconds}.{rest:03})"),
    }
}
