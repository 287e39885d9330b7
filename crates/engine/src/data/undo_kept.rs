//! Whether all that a data migration changed was kept, so that it can be taken back.

use whimbrel_core::plan::PlannedMigration;

use super::cursor::Details;
use super::undo::Kept;
use crate::apply::Applier;
use crate::error::EngineError;
use crate::ledger::{number, text};

impl Applier<'_> {
    /// Each statement that ran must have kept what it changed.
    pub(crate) async fn check_all_kept(
        &mut self,
        migration: &PlannedMigration,
        kept: &[Kept],
    ) -> Result<(), EngineError> {
        let sql = format!(
            "SELECT statement_index, details FROM {} WHERE migration = {} AND direction = 'up' \
             AND state <> 'undone' ORDER BY seq",
            self.ledger.table("cursors"),
            self.ledger.quote(&migration.name)
        );
        for row in self.session.query(&sql).await? {
            let statement = usize::try_from(number(&row, 0)).unwrap_or(0);
            let details: Details = serde_json::from_str(&text(&row, 1)).unwrap_or_default();
            let known = kept.iter().any(|one| one.statement == statement);
            if details.undo_table.is_none() && !known {
                return Err(self.nothing_kept(migration, statement, "it ran with `undo=off`"));
            }
            if details.undo_table.is_some() && !known {
                return Err(self.nothing_kept(migration, statement, "what it kept was purged"));
            }
        }
        match self.ran_whole(&migration.name).await? {
            Some(statement) => {
                let why = "it ran in one go, not in batches, and nothing is kept of it";
                Err(self.nothing_kept(migration, statement, why))
            }
            None => Ok(()),
        }
    }

    /// A statement that changed something without batches since the migration was last taken back.
    async fn ran_whole(&mut self, migration: &str) -> Result<Option<usize>, EngineError> {
        let (attempts, name) = (self.ledger.table("attempts"), self.ledger.quote(migration));
        let undo = self.ledger.table("undo");
        let since = format!(
            "(SELECT coalesce(max(m.after_attempt), 0) FROM {} m WHERE m.name = {name} \
             AND m.event = 'down')",
            self.ledger.table("migrations")
        );
        let sql = format!(
            "SELECT min(a.statement_index) FROM {attempts} a WHERE a.migration = {name} \
             AND a.direction = 'up' AND a.event IN ('done', 'happened') \
             AND coalesce(a.rows_affected, 1) > 0 AND a.seq > {since} AND NOT EXISTS \
             (SELECT 1 FROM {attempts} b WHERE b.migration = a.migration \
             AND b.direction = 'up' AND b.statement_index = a.statement_index \
             AND b.event = 'begun' AND b.seq > {since}) AND NOT EXISTS (SELECT 1 FROM {undo} u \
             WHERE u.migration = a.migration AND u.statement_index = a.statement_index \
             AND u.run_id = a.run_id AND u.event = 'kept' AND NOT EXISTS (SELECT 1 FROM {undo} p \
             WHERE p.kept_as = u.kept_as AND p.event = 'purged'))"
        );
        let rows = self.session.query(&sql).await?;
        let index = rows.first().and_then(|row| row.first().cloned().flatten());
        Ok(index.and_then(|index| index.parse().ok()))
    }

    fn nothing_kept(
        &self,
        migration: &PlannedMigration,
        statement: usize,
        why: &str,
    ) -> EngineError {
        EngineError::Refused(format!(
            "Statement {} of `{}` cannot be taken back: {why}. Write a `.down.sql` file and run \
             `whimbrel down --from-file`, or restore a backup",
            statement + 1,
            migration.name
        ))
    }
}
