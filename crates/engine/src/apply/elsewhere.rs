//! `USE` of MariaDB and MySQL: a file may go on in another database, the ledger stays in ours.

use whimbrel_core::ddl::Change;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use super::Applier;
use crate::error::EngineError;
use crate::ledger::text;

/// Where a file has gone by `USE`.
pub(crate) struct Elsewhere {
    /// The database in which the ledger is.
    own: String,
    /// The one in which the file's statements run.
    used: String,
}

impl Applier<'_> {
    /// Before a statement of the author's: to the database that the file has chosen. Returns
    /// whether [`Applier::come_back`] is to follow the statement.
    pub(super) async fn go_there(
        &mut self,
        migration: &PlannedMigration,
        index: usize,
    ) -> Result<bool, EngineError> {
        if self.ledger.dialect != Dialect::Mysql {
            return Ok(false);
        }
        self.keep_own_database(migration, index).await?;
        if let Some(elsewhere) = &self.elsewhere {
            let used = use_sql(&elsewhere.used);
            self.session.batch(&used).await?;
            return Ok(true);
        }
        let uses = migration.script.infos.get(index).is_some_and(|info| info.verb == "USE");
        if uses {
            let own = self.current_database().await?;
            self.elsewhere = Some(Elsewhere { used: own.clone(), own });
        }
        Ok(uses)
    }

    /// After it, also if it failed: back to the database in which the ledger is.
    pub(super) async fn come_back(&mut self) -> Result<(), EngineError> {
        let used = self.current_database().await?;
        let Some(elsewhere) = &mut self.elsewhere else { return Ok(()) };
        let back = use_sql(&elsewhere.own);
        // None is used any more once it was dropped.
        if used.is_empty() || used == elsewhere.own {
            self.elsewhere = None;
        } else {
            elsewhere.used = used;
        }
        Ok(self.session.batch(&back).await?)
    }

    async fn current_database(&mut self) -> Result<String, EngineError> {
        let rows = self.session.query("SELECT DATABASE()").await?;
        Ok(rows.first().map_or_else(String::new, |row| text(row, 0)))
    }

    /// With the database itself the ledger would go, and with it what is known of this run.
    async fn keep_own_database(
        &mut self,
        migration: &PlannedMigration,
        index: usize,
    ) -> Result<(), EngineError> {
        let changes = migration.changes.get(index).map_or(&[][..], Vec::as_slice);
        let dropped = changes.iter().find_map(|change| match change {
            Change::DropSchema { name, .. } => Some(name.clone()),
            _ => None,
        });
        let Some(dropped) = dropped else { return Ok(()) };
        if self.current_database().await?.eq_ignore_ascii_case(&dropped) {
            return Err(EngineError::Refused(format!(
                "`{}` drops the database `{dropped}`, in which this run and its history are. Leave \
                 the statement out and start with an empty database",
                migration.name
            )));
        }
        Ok(())
    }
}

fn use_sql(database: &str) -> String {
    format!("USE {}", quote_ident(database, Dialect::Mysql))
}
