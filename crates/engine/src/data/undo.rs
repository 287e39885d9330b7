//! Taking back what the batches of a data migration changed, where it is still what they wrote.
//!
//! The statements are taken back in reverse order, each in batches over its undo table, with a
//! cursor of their own: so an undo is resumed like any other run.

use std::time::Instant;

use whimbrel_core::ddl::{ObjectKind, ObjectName};
use whimbrel_core::pace::{Pace, Windows};
use whimbrel_core::plan::{OnConflict, PlannedMigration};
use whimbrel_core::snapshot::Table;
use whimbrel_core::sql::dialect::Dialect;

use super::batch::BATCH_LOCK_TIMEOUT_MS;
use super::cursor::{BatchRow, Cursor, CursorId, Details, Tally};
use super::failure::Trials;
use super::job::PAUSE_SQLITE_MS;
use super::key::{Key, Keys, key_columns};
use super::undo_referrers::Referrer;
use super::undo_sql::KeptRows;
use crate::apply::Applier;
use crate::backend::Limits;
use crate::error::{EngineError, UndoConflict};
use crate::event::Event;
use crate::failpoint;
use crate::ledger::{UndoEntry, names_of, number, text};
use crate::project::UndoStatement;

/// How long a batch of an undo should take, in milliseconds.
const TARGET_MS: u64 = 300;
/// Most conflicts that are listed.
const CONFLICTS_SHOWN_MAX: usize = 20;

/// What one statement has left to be taken back.
pub(crate) struct Kept {
    pub(super) statement: usize,
    pub(super) kind: String,
    pub(super) object: String,
    pub(super) kept_as: String,
    pub(super) keys: Vec<String>,
    pub(super) columns: Vec<String>,
}

/// A statement's undo table brought together with the table as it is now.
pub(super) struct Undo<'a> {
    pub(super) kept: &'a Kept,
    pub(super) keys: Keys,
    pub(super) target: Table,
    pub(super) dialect: Dialect,
    /// Of inserted rows: who refers to them.
    pub(super) referrers: Vec<Referrer>,
}

impl Applier<'_> {
    /// What the statements of a data migration have kept and nothing has taken back, newest first.
    pub(crate) async fn kept_values(&mut self, migration: &str) -> Result<Vec<Kept>, EngineError> {
        let undo = self.ledger.table("undo");
        let sql = format!(
            "SELECT u.statement_index, u.kind, u.object, u.kept_as, u.key_columns, u.columns \
             FROM {undo} u WHERE u.migration = {} AND u.event = 'kept' \
             AND u.kind IN ('update', 'delete', 'insert') AND NOT EXISTS (SELECT 1 FROM {undo} r \
             WHERE r.kept_as = u.kept_as AND r.event <> 'kept') ORDER BY u.statement_index DESC",
            self.ledger.quote(migration)
        );
        let rows = self.session.query(&sql).await?;
        Ok(rows
            .iter()
            .map(|row| Kept {
                statement: usize::try_from(number(row, 0)).unwrap_or(0),
                kind: text(row, 1),
                object: text(row, 2),
                kept_as: text(row, 3),
                keys: names_of(&text(row, 4)),
                columns: names_of(&text(row, 5)),
            })
            .collect())
    }

    /// Takes back all that a data migration changed.
    pub(crate) async fn undo_migration(
        &mut self,
        migration: &PlannedMigration,
        on_conflict: OnConflict,
    ) -> Result<(), EngineError> {
        let kept = self.kept_values(&migration.name).await?;
        self.check_all_kept(migration, &kept).await?;
        if on_conflict == OnConflict::Stop {
            self.check_conflicts(migration, &kept).await?;
        }
        for one in &kept {
            // Of the rows of later statements only those are left that stay.
            let undo = self.undo_among(one, std::slice::from_ref(one)).await?;
            self.check_tree(&undo, on_conflict).await?;
            self.undo_statement(migration, &undo, on_conflict).await?;
        }
        self.drop_beside(&migration.name).await
    }

    /// The undo table of a statement with its key.
    pub(super) async fn undo_of<'k>(&mut self, kept: &'k Kept) -> Result<Undo<'k>, EngineError> {
        let dialect = self.ledger.dialect;
        let name = match kept.object.split_once('.') {
            Some((schema, name)) if dialect == Dialect::Postgres => {
                ObjectName::in_schema(schema, name)
            }
            _ => ObjectName::bare(kept.object.clone()),
        };
        let scope = [(ObjectKind::Table, name.clone())];
        let snapshot = self.session.inspect(Some(&scope)).await?;
        let Some(target) = snapshot.table(&name, dialect).cloned() else {
            let message = format!("The table `{}` is not there any more", kept.object);
            return Err(EngineError::Refused(message));
        };
        if let Some(gone) = kept.columns.iter().chain(&kept.keys).find(|name| {
            *name != "rowid" && !target.columns.iter().any(|column| column.name == **name)
        }) {
            return Err(EngineError::Refused(format!(
                "The column `{gone}` of `{}` is not there any more; bring it back first",
                kept.object
            )));
        }
        let mut columns = key_columns(&target, &kept.keys);
        for (at, column) in columns.iter_mut().enumerate() {
            column.name = format!("whimbrel_k{}", at + 1);
            column.sql = format!("u.{}", column.name);
            column.rowid = false;
        }
        let keys = Keys::new(dialect, self.undo_table(&kept.kept_as), columns);
        Ok(Undo { kept, keys, target, dialect, referrers: Vec::new() })
    }

    /// With `stop`, nothing is taken back while anything was changed since.
    async fn check_conflicts(
        &mut self,
        migration: &PlannedMigration,
        kept: &[Kept],
    ) -> Result<(), EngineError> {
        let mut shown = Vec::new();
        let mut count = 0;
        for (at, one) in kept.iter().enumerate() {
            let undo = self.undo_among(one, kept).await?;
            let later = kept.get(..at).unwrap_or_default();
            let (found, total) = self.conflicts(&undo, later).await?;
            count += total;
            shown.extend(found);
        }
        if count == 0 {
            return Ok(());
        }
        shown.truncate(CONFLICTS_SHOWN_MAX);
        Err(EngineError::UndoConflicts { migration: migration.name.clone(), count, shown })
    }

    /// What one statement has kept, and what somebody changed of it since. `later` are the
    /// statements after it, `all` those of the migration.
    pub(crate) async fn undo_statement_plan(
        &mut self,
        kept: &Kept,
        later: &[Kept],
        all: &[Kept],
    ) -> Result<(UndoStatement, u64, Vec<UndoConflict>), EngineError> {
        let undo = self.undo_among(kept, all).await?;
        let (shown, conflicts) = self.conflicts(&undo, later).await?;
        let count = format!("SELECT count(*) FROM {}", undo.keys.table);
        let rows = self.session.query(&count).await?;
        let statement = UndoStatement {
            statement: kept.statement + 1,
            kind: kept.kind.clone(),
            table: kept.object.clone(),
            rows: rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)),
        };
        Ok((statement, conflicts, shown))
    }

    /// Rows that somebody changed since, some of them in words, and how many they are.
    ///
    /// Rows that a later statement of the same file changed too are left out: whether they are as
    /// this statement left them can be seen when that one is taken back.
    pub(super) async fn conflicts(
        &mut self,
        undo: &Undo<'_>,
        later: &[Kept],
    ) -> Result<(Vec<UndoConflict>, u64), EngineError> {
        let mut parts: Vec<String> = self.undone_until(undo).await?.into_iter().collect();
        for one in later.iter().filter(|one| one.object == undo.kept.object) {
            if one.keys != undo.kept.keys {
                return Ok((Vec::new(), 0));
            }
            let same = Keys::same(&undo.keys.names_in("l"), &undo.keys.of("u"));
            let table = self.undo_table(&one.kept_as);
            parts.push(format!("NOT EXISTS (SELECT 1 FROM {table} l WHERE {same})"));
        }
        parts.push("1 = 1".to_owned());
        let among = undo.kept_rows(parts.join(" AND "));
        let count = format!("SELECT count(*) {}", undo.conflicts_from(&among));
        let rows = self.session.query(&count).await?;
        let count = rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0));
        if count == 0 {
            return Ok((Vec::new(), 0));
        }
        let sql = format!(
            "SELECT {} {} LIMIT {CONFLICTS_SHOWN_MAX}",
            undo.shown_items().join(", "),
            undo.conflicts_from(&among)
        );
        let rows = self.session.query(&sql).await?;
        Ok((rows.iter().flat_map(|row| undo.conflict_of(row)).collect(), count))
    }

    /// The condition that a row was not taken back by an earlier, interrupted undo.
    async fn undone_until(&mut self, undo: &Undo<'_>) -> Result<Option<String>, EngineError> {
        let sql = format!(
            "SELECT last_key, upper_key FROM {} WHERE direction = 'undo' AND driving = {} \
             AND state = 'running' AND last_key IS NOT NULL",
            self.ledger.table("cursors"),
            self.ledger.quote(&undo.keys.table)
        );
        let rows = self.session.query(&sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (last, upper) = (Key::of_json(&text(row, 0)), Key::of_json(&text(row, 1)));
        let (Some(last), Some(upper)) = (last, upper) else { return Ok(None) };
        Ok(Some(undo.keys.range(&undo.keys.of("u"), Some(&last), &upper)?))
    }

    async fn undo_statement(
        &mut self,
        migration: &PlannedMigration,
        undo: &Undo<'_>,
        on_conflict: OnConflict,
    ) -> Result<(), EngineError> {
        let id = CursorId {
            migration: &migration.name,
            direction: "undo",
            statement: undo.kept.statement,
        };
        let mut cursor = self.undo_cursor(id, undo).await?;
        let mut pace = Pace::following(TARGET_MS, Some(cursor.size));
        let (mut trials, mut windows) = (Trials::default(), Windows::default());
        let asked_ms = if undo.dialect == Dialect::Sqlite { PAUSE_SQLITE_MS } else { 0 };
        let mut pause_ms = 0;
        while !cursor.done {
            self.gate(&migration.name, pause_ms).await?;
            trials.begin();
            let mut began = Instant::now();
            cursor = loop {
                let batch = (&cursor, &mut pace);
                match self.undo_batch(migration, undo, batch, on_conflict).await {
                    Ok(next) => break next,
                    Err(error) => {
                        crate::ledger::rollback(self.session.as_mut()).await;
                        self.try_again(&migration.name, error, &mut trials).await?;
                        began = Instant::now();
                    }
                }
            };
            trials.done();
            self.reconnects = 0;
            pause_ms = self.pause_after(&mut windows, began.elapsed(), asked_ms);
        }
        self.events.send(Event::Restored {
            migration: migration.name.clone(),
            what: format!("{} of statement {}", undo.kept.object, undo.kept.statement + 1),
            rows: i64::try_from(cursor.total.written).unwrap_or(i64::MAX),
        });
        Ok(())
    }

    async fn undo_cursor(
        &mut self,
        id: CursorId<'_>,
        undo: &Undo<'_>,
    ) -> Result<Cursor, EngineError> {
        let ledger = self.ledger;
        if let Some(cursor) = Cursor::read(&ledger, self.session.as_mut(), id).await? {
            return Ok(cursor);
        }
        let names = undo.keys.names().join(", ");
        let index = match ledger.dialect {
            Dialect::Mysql => String::new(),
            Dialect::Sqlite => format!(
                "CREATE INDEX IF NOT EXISTS {}_key ON {} ({names})",
                undo.keys.table, undo.keys.table
            ),
            Dialect::Postgres => format!(
                "CREATE INDEX IF NOT EXISTS {}_key ON {} ({names})",
                undo.kept.kept_as, undo.keys.table
            ),
        };
        if index.is_empty() {
            let add = format!("ALTER TABLE {} ADD INDEX IF NOT EXISTS ({names})", undo.keys.table);
            self.session.batch(&add).await?;
        }
        self.session.batch(ledger.begin()).await?;
        let made = self.begin_undo(id, undo, &index).await;
        if made.is_err() {
            crate::ledger::rollback(self.session.as_mut()).await;
        }
        made?;
        Cursor::read(&ledger, self.session.as_mut(), id)
            .await?
            .ok_or_else(|| EngineError::LedgerDamaged("a cursor is not there".to_owned()))
    }

    async fn begin_undo(
        &mut self,
        id: CursorId<'_>,
        undo: &Undo<'_>,
        index: &str,
    ) -> Result<(), EngineError> {
        self.lease.fence(self.session.as_mut()).await?;
        if !index.is_empty() {
            self.session.batch(index).await?;
        }
        let upper = undo.keys.greatest(self.session.as_mut()).await?;
        let cursor = Cursor {
            seq: 0,
            hash: String::new(),
            done: false,
            driving: undo.keys.table.clone(),
            key_columns: undo.keys.json(),
            last: None,
            upper,
            details: Details::default(),
            batches: 0,
            total: Tally::default(),
            size: whimbrel_core::pace::BATCH_ROWS_FIRST,
            began_ms: 0,
            part: None,
        };
        self.session.batch(&cursor.insert_sql(&self.ledger, id, self.lease.token)).await?;
        failpoint::pass("batch.before_cursor");
        Ok(self.session.batch("COMMIT").await?)
    }

    async fn undo_batch(
        &mut self,
        migration: &PlannedMigration,
        undo: &Undo<'_>,
        (cursor, pace): (&Cursor, &mut Pace),
        on_conflict: OnConflict,
    ) -> Result<Cursor, EngineError> {
        failpoint::pass("batch.before_begin");
        self.session.batch(self.ledger.begin()).await?;
        if self.ledger.dialect != Dialect::Sqlite {
            let lock_ms = Some(BATCH_LOCK_TIMEOUT_MS);
            self.session.limit(Limits { lock_ms, statement_ms: Some(0) }, true).await?;
        }
        let began = Instant::now();
        self.lease.fence(self.session.as_mut()).await?;
        let mut next = cursor.clone();
        let range = undo.keys.next(self.session.as_mut(), cursor, pace.rows()).await?;
        let Some((after, last, rows)) = range else {
            next.done = true;
            return self.commit_undo(undo, next, None).await;
        };
        let among = undo.kept_range(after.as_ref(), &last)?;
        let overwritten =
            self.check_overwritten(&migration.name, undo, &among, on_conflict).await?;
        let sql = undo.restore_sql(&among, on_conflict);
        let written = match self.session.run(&sql, None).await {
            Ok(outcome) => outcome.rows_affected.unwrap_or(0),
            Err(mut error) => {
                error.offset = None;
                return Err(self.failure(migration, undo.kept.statement, error, 0));
            }
        };
        failpoint::pass("batch.after_statement");
        if on_conflict == OnConflict::Stop && self.is_left(undo, &among, written != rows).await? {
            let (shown, count) = self.conflicts(undo, &[]).await?;
            return Err(EngineError::UndoConflicts {
                migration: migration.name.clone(),
                count,
                shown,
            });
        }
        let tally = Tally { read: rows, written, ..Tally::default() };
        next.total.add(tally);
        next.done = Some(&last) == cursor.upper.as_ref();
        next.batches += 1;
        pace.done(rows, began.elapsed().as_secs_f64() * 1_000.0);
        next.size = pace.rows();
        let row = BatchRow {
            run_id: &self.lease.run_id,
            id: CursorId {
                migration: &migration.name,
                direction: "undo",
                statement: undo.kept.statement,
            },
            number: next.number(&self.ledger),
            after: after.as_ref(),
            last: &last,
            tally,
            duration_ms: began.elapsed().as_millis(),
            token: self.lease.token,
        }
        .sql(&self.ledger);
        next.last = Some(last);
        let next = self.commit_undo(undo, next, Some(row)).await?;
        self.overwritten += overwritten;
        Ok(next)
    }

    /// Whether somebody changed a row of the range while it was being taken back.
    async fn is_left(
        &mut self,
        undo: &Undo<'_>,
        among: &KeptRows,
        fewer: bool,
    ) -> Result<bool, EngineError> {
        if undo.kept.kind != "insert" || !fewer {
            return Ok(fewer);
        }
        // An inserted row that is gone already is no conflict.
        let sql = format!("SELECT 1 {} LIMIT 1", undo.conflicts_from(among));
        Ok(!self.session.query(&sql).await?.is_empty())
    }

    async fn commit_undo(
        &mut self,
        undo: &Undo<'_>,
        next: Cursor,
        row: Option<String>,
    ) -> Result<Cursor, EngineError> {
        let mut sql = vec![next.advance_sql(&self.ledger, self.lease.token)];
        sql.extend(row);
        let migration = self.cursor_migration(next.seq).await?;
        if next.done {
            sql.push(self.ledger.undo_sql(&UndoEntry {
                run_id: &self.lease.run_id,
                migration: &migration,
                statement_index: undo.kept.statement,
                event: "restored",
                kind: &undo.kept.kind,
                object: &undo.kept.object,
                kept_as: &undo.kept.kept_as,
                key_columns: &undo.kept.keys,
                columns: &undo.kept.columns,
                rows_kept: i64::try_from(next.total.written).unwrap_or(i64::MAX),
                token: self.lease.token,
            }));
            sql.push(format!(
                "UPDATE {} SET state = 'undone' WHERE migration = {} AND statement_index = {} \
                 AND state <> 'undone'",
                self.ledger.table("cursors"),
                self.ledger.quote(&migration),
                undo.kept.statement
            ));
        }
        self.session.batch(&sql.join("; ")).await?;
        failpoint::pass("batch.before_commit");
        self.session.batch("COMMIT").await?;
        failpoint::pass("batch.after_commit");
        Ok(next)
    }

    async fn cursor_migration(&mut self, seq: i64) -> Result<String, EngineError> {
        let sql =
            format!("SELECT migration FROM {} WHERE seq = {seq}", self.ledger.table("cursors"));
        let rows = self.session.query(&sql).await?;
        Ok(rows.first().map(|row| text(row, 0)).unwrap_or_default())
    }
}
