//! Rows that refer to what a data migration has inserted. To take such a row back would delete or
//! change them too, or leave them without their parent: so they are a conflict.

use whimbrel_core::ddl::ForeignKey;
use whimbrel_core::plan::OnConflict;
use whimbrel_core::snapshot::Table;
use whimbrel_core::sql::dialect::Dialect;

use super::job::quote_column;
use super::undo::{Kept, Undo};
use crate::apply::Applier;
use crate::apply::keep::sql_name;
use crate::error::EngineError;

/// A foreign key to the table whose rows are taken back.
pub(super) struct Referrer {
    /// The table that refers.
    pub(super) name: String,
    /// Its rows, called `c`, that the migration itself did not insert.
    from: String,
    /// Pairs of columns: the referring one, the one it points to.
    pairs: Vec<(String, String)>,
    /// MariaDB may not read the table that it deletes from, except through a derived table.
    is_own: bool,
}

impl Applier<'_> {
    /// What a statement has kept, brought together with the table as it is now and with the rows
    /// that refer to it. `all` is what the statements of the migration have kept.
    pub(super) async fn undo_among<'k>(
        &mut self,
        kept: &'k Kept,
        all: &[Kept],
    ) -> Result<Undo<'k>, EngineError> {
        let mut undo = self.undo_of(kept).await?;
        if kept.kind != "insert" {
            return Ok(undo);
        }
        let dialect = self.ledger.dialect;
        let snapshot = self.session.inspect(None).await?;
        for child in &snapshot.tables {
            let is_child = |key: &&ForeignKey| {
                let parent = snapshot.table(&key.to_table, dialect);
                parent.is_some_and(|parent| parent.name == undo.target.name)
            };
            for key in child.foreign_keys.iter().filter(is_child) {
                let referrer = self.referrer(child, key, &undo.target, all);
                undo.referrers.push(referrer);
            }
        }
        Ok(undo)
    }

    /// Where rows of one table refer to each other, those above a row that stays would have to
    /// stay too, which cannot be told batch by batch.
    pub(super) async fn check_tree(
        &mut self,
        undo: &Undo<'_>,
        on_conflict: OnConflict,
    ) -> Result<(), EngineError> {
        let is_tree = undo.referrers.iter().any(|one| one.is_own);
        if on_conflict != OnConflict::Skip || !is_tree {
            return Ok(());
        }
        let (shown, count) = self.conflicts(undo, &[]).await?;
        let Some(first) = shown.first().filter(|_| count > 0) else { return Ok(()) };
        Err(EngineError::Refused(format!(
            "Rows of `{}` refer to each other, and {count} of them cannot be taken back, such as \
             {}: so none of the others can be either. Settle those rows first, or take back all \
             of them with `--on-conflict force`",
            undo.kept.object, first.key
        )))
    }

    fn referrer(&self, child: &Table, key: &ForeignKey, target: &Table, all: &[Kept]) -> Referrer {
        let dialect = self.ledger.dialect;
        let to = match key.to_columns.is_empty() {
            true => &target.primary_key,
            false => &key.to_columns,
        };
        let name = child.name.to_string();
        let mut from = format!("{} c WHERE 1 = 1", sql_name(&child.name, dialect));
        for one in all.iter().filter(|one| one.kind == "insert" && one.object == name) {
            let same = one.keys.iter().enumerate().map(|(at, name)| {
                format!("l.whimbrel_k{} = c.{}", at + 1, quote_column(name, dialect))
            });
            let same: Vec<String> = same.collect();
            from.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM {} l WHERE {})",
                self.undo_table(&one.kept_as),
                same.join(" AND ")
            ));
        }
        let is_own = child.name == target.name;
        let pairs = key.columns.iter().cloned().zip(to.iter().cloned()).collect();
        Referrer { name, from, pairs, is_own }
    }
}

impl Referrer {
    /// The condition that a row, called `t`, is referred to.
    pub(super) fn refers(&self, dialect: Dialect) -> String {
        let column = |alias: &str, name: &str| format!("{alias}.{}", quote_column(name, dialect));
        if self.is_own && dialect == Dialect::Mysql {
            let items: Vec<String> = self.pairs.iter().map(|(own, _)| column("c", own)).collect();
            let to: Vec<String> = self.pairs.iter().map(|(_, to)| column("t", to)).collect();
            let filled: Vec<String> =
                items.iter().map(|item| format!(" AND {item} IS NOT NULL")).collect();
            return format!(
                "({}) IN (SELECT * FROM (SELECT {} FROM {}{}) whimbrel_c)",
                to.join(", "),
                items.join(", "),
                self.from,
                filled.concat()
            );
        }
        let same: Vec<String> = self
            .pairs
            .iter()
            .map(|(own, to)| format!(" AND {} = {}", column("c", own), column("t", to)))
            .collect();
        format!("EXISTS (SELECT 1 FROM {}{})", self.from, same.concat())
    }
}
