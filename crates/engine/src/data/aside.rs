//! A driving row that one statement of a file could not move is left alone by the statements that
//! follow, and comes back with all of them: what a row produces in a file belongs together.

use whimbrel_core::plan::PlannedMigration;

use super::cursor::{Cursor, Tally};
use super::job::{Job, Prepared, said};
use super::key::{ALIAS, Key, Rows};
use super::sources;
use super::start::cursor_id;
use crate::apply::{Applier, StepWork};
use crate::error::EngineError;
use crate::ledger::{number, text};

/// A later statement of the file over the same driving rows, whose batches are done.
pub(super) struct Follower<'a> {
    pub(super) work: StepWork<'a>,
    pub(super) job: Box<Job>,
}

/// The condition that a row of the ledger is of a statement whose driving rows are in the same
/// database as those of `statement`.
pub(super) fn same_database(migration: &PlannedMigration, statement: usize, alias: &str) -> String {
    let source = said(migration, statement).source;
    let same: Vec<String> = (0..migration.script.statements.len())
        .filter(|index| said(migration, *index).source == source)
        .map(|index| index.to_string())
        .collect();
    format!("{alias}.statement_index IN ({})", same.join(", "))
}

impl Applier<'_> {
    /// The keys of driving rows that earlier statements of the file have set aside.
    pub(super) async fn keys_aside(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
    ) -> Result<Vec<Key>, EngineError> {
        let ledger = self.ledger;
        let sql = format!(
            "SELECT DISTINCT q.row_key FROM {} q JOIN {} c ON c.migration = q.migration \
             AND c.statement_index = q.statement_index AND c.direction = 'up' \
             AND c.state <> 'undone' AND c.key_columns = {} WHERE q.migration = {} \
             AND q.driving = {} AND q.state = 'open' AND q.statement_index < {} AND {}",
            ledger.table("quarantine"),
            ledger.table("cursors"),
            ledger.quote(&job.keys.json()),
            ledger.quote(&work.migration.name),
            ledger.quote(&job.keys.table),
            job.statement,
            same_database(work.migration, job.statement, "q")
        );
        let rows = self.session.query(&sql).await?;
        Ok(rows.iter().filter_map(|row| Key::of_json(&text(row, 0))).collect())
    }

    /// How many of a range's rows have been set aside by earlier statements.
    pub(super) async fn count_aside(
        &mut self,
        job: &Job,
        after: Option<&Key>,
        last: &Key,
    ) -> Result<u64, EngineError> {
        let columns = job.keys.of(ALIAS);
        let Some(aside) = job.keys.is_aside(&columns)? else { return Ok(0) };
        let sql = format!(
            "SELECT count(*) FROM {} {ALIAS} WHERE {} AND {aside}",
            job.keys.walked(),
            job.keys.range(&columns, after, last)?
        );
        let driving = sources::driving(self.session, &mut self.opened, job);
        let rows = driving.query(&sql).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
    }

    /// The statements after `statement` that have left its rows alone.
    pub(super) async fn followers<'a>(
        &mut self,
        migration: &'a PlannedMigration,
        leader: &Job,
    ) -> Result<Vec<Follower<'a>>, EngineError> {
        let mut out = Vec::new();
        let later = leader.statement + 1..migration.script.statements.len();
        let source = said(migration, leader.statement).source;
        for index in later.filter(|index| said(migration, *index).source == source) {
            let Some(work) = StepWork::of_statement(migration, index) else { continue };
            let ledger = self.ledger;
            let id = cursor_id(&work);
            let Some(cursor) = Cursor::read(&ledger, self.session.as_mut(), id).await? else {
                continue;
            };
            if cursor.driving != leader.keys.table || cursor.key_columns != leader.keys.json() {
                continue;
            }
            if !cursor.done {
                return Err(EngineError::Refused(format!(
                    "`{}` is not finished: run `whimbrel up` first",
                    migration.name
                )));
            }
            if let Prepared::Batches(job) = self.prepare(&work).await? {
                out.push(Follower { work, job });
            }
        }
        Ok(out)
    }

    /// Runs a later statement for one driving row, inside of the retry's transaction.
    pub(super) async fn follow(
        &mut self,
        follower: &Follower<'_>,
        key: &Key,
    ) -> Result<(), EngineError> {
        let (work, job) = (&follower.work, follower.job.as_ref());
        self.open_temporary(job).await?;
        let ledger = self.ledger;
        let id = cursor_id(work);
        let Some(mut cursor) = Cursor::read(&ledger, self.session.as_mut(), id).await? else {
            return Ok(());
        };
        let tally = self.range(work, job, &cursor, Rows::One(key)).await?;
        cursor.total.add(Tally { read: 1, ..tally });
        Ok(self.session.batch(&cursor.advance_sql(&ledger, self.lease.token)).await?)
    }
}
