//! Values that an undo overwrites although somebody changed them since: never more than were agreed
//! to.

use whimbrel_core::plan::OnConflict;
use whimbrel_core::sql::dialect::Dialect;

use super::undo::{Kept, Undo};
use super::undo_sql::KeptRows;
use crate::apply::Applier;
use crate::error::EngineError;
use crate::ledger::number;

impl Applier<'_> {
    /// How many rows that were changed since an undo by force would overwrite or delete.
    ///
    /// # Errors
    /// When rows of others refer to what it would delete: how many would go with them is not known.
    pub(crate) async fn overwritten(
        &mut self,
        kept: &Kept,
        all: &[Kept],
    ) -> Result<u64, EngineError> {
        let undo = self.undo_among(kept, all).await?;
        let among = undo.kept_rows("1 = 1".to_owned());
        self.refuse_referred(&undo, &among).await?;
        let Some(from) = undo.overwritten_from(&among) else { return Ok(0) };
        let rows = self.session.query(&format!("SELECT count(*) {from}")).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
    }

    /// The same for the rows of a batch, which nobody else can change any more until its end.
    ///
    /// # Errors
    /// When it would be more than was agreed to.
    pub(super) async fn check_overwritten(
        &mut self,
        migration: &str,
        undo: &Undo<'_>,
        among: &KeptRows,
        on_conflict: OnConflict,
    ) -> Result<u64, EngineError> {
        let agreed = self.options.agreed.as_ref().map(|agreed| agreed.rows);
        let (Some(agreed), OnConflict::Force) = (agreed, on_conflict) else { return Ok(0) };
        let Some(from) = undo.overwritten_from(among) else { return Ok(0) };
        if self.ledger.dialect != Dialect::Sqlite {
            self.session.query(&undo.lock_sql(among)).await?;
        }
        self.refuse_referred(undo, among).await?;
        let rows = self.session.query(&format!("SELECT count(*) {from}")).await?;
        let more = rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0));
        let found = self.overwritten + more;
        if found > agreed {
            let migration = migration.to_owned();
            return Err(EngineError::MoreLost { migration, agreed, found });
        }
        Ok(more)
    }

    async fn refuse_referred(
        &mut self,
        undo: &Undo<'_>,
        among: &KeptRows,
    ) -> Result<(), EngineError> {
        for referrer in &undo.referrers {
            let sql = format!(
                "SELECT 1 {} AND {} LIMIT 1",
                undo.pairs_from(among),
                referrer.refers(undo.dialect)
            );
            if !self.session.query(&sql).await?.is_empty() {
                return Err(EngineError::Refused(format!(
                    "Rows of `{}` refer to rows of `{}` that would be deleted, and nobody can say \
                     how much would go with them. Settle those rows first",
                    referrer.name, undo.kept.object
                )));
            }
        }
        Ok(())
    }
}

impl Undo<'_> {
    /// `FROM ... WHERE` of the rows that are kept and there now, called `u` and `t`.
    fn pairs_from(&self, among: &KeptRows) -> String {
        let (target, undo) = (self.target_sql(), &self.keys.table);
        format!("FROM {undo} u JOIN {target} t ON {} WHERE {}", among.matches, among.rows)
    }

    /// `FROM ... WHERE` of the rows that lose what somebody wrote since. Deleted rows that are
    /// there again are left alone.
    fn overwritten_from(&self, among: &KeptRows) -> Option<String> {
        let old_too = match self.kept.kind.as_str() {
            "delete" => return None,
            "insert" => false,
            _ => true,
        };
        Some(format!("{} AND NOT ({})", self.pairs_from(among), self.unchanged(old_too)))
    }

    /// Locks the rows of a batch.
    fn lock_sql(&self, among: &KeptRows) -> String {
        let of = if self.dialect == Dialect::Postgres { " FOR UPDATE OF t" } else { " FOR UPDATE" };
        format!("SELECT 1 {}{of}", self.pairs_from(among))
    }
}
