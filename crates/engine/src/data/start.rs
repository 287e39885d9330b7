//! Beginning a statement that runs in batches, or going on with one.

use whimbrel_core::data::DataKind;
use whimbrel_core::directive::BatchSize;
use whimbrel_core::ledger::AttemptEvent;
use whimbrel_core::pace::{BATCH_ROWS_FIRST, Pace};
use whimbrel_core::sql::dialect::Dialect;

use super::aside::same_database;
use super::copy::MYSQL_SESSION;
use super::cursor::{Cursor, CursorId, Details, Tally};
use super::insert::suffix;
use super::job::Job;
use super::key::{ALIAS, Rows};
use super::sources;
use crate::apply::{Applier, StepWork};
use crate::backend::Session;
use crate::error::{EngineError, Problem};
use crate::failpoint;
use crate::ledger::{Ledger, UndoEntry, number, text};

/// A batch fills the log beyond the 1,000 pages after which SQLite carries it over to the database,
/// which costs three more syncs each time. In pages: 64 MiB where they have their usual size.
const SQLITE_SESSION: &str = "PRAGMA wal_autocheckpoint = 16384";

impl Applier<'_> {
    /// Makes the temporary tables of a job, where the connection keeps them.
    pub(super) async fn open_temporary(&mut self, job: &Job) -> Result<(), EngineError> {
        if job.source.is_some() && self.ledger.dialect == Dialect::Mysql {
            self.session.batch(MYSQL_SESSION).await?;
        }
        if self.ledger.dialect == Dialect::Sqlite {
            self.session.batch(SQLITE_SESSION).await?;
        }
        for sql in job.temporary_sql() {
            self.session.batch(&sql).await?;
        }
        Ok(())
    }

    /// The cursor of a statement: the one that an earlier run has left, or a new one.
    pub(super) async fn cursor(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
    ) -> Result<Cursor, EngineError> {
        let id = cursor_id(work);
        let ledger = self.ledger;
        if let Some(cursor) = Cursor::read(&ledger, self.session.as_mut(), id).await? {
            let key_columns = job.keys.json();
            check_resumable(work, &cursor, (&job.keys.table, &key_columns))?;
            self.check_rowids(work, job, &cursor).await?;
            return Ok(cursor);
        }
        self.begin_cursor(work, job).await
    }

    /// A rowid is a key only while the schema stays as it is.
    async fn check_rowids(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
    ) -> Result<(), EngineError> {
        let Some(before) = cursor.details.schema_version else { return Ok(()) };
        if before == self.schema_version(job).await? {
            return Ok(());
        }
        let message = format!(
            "`{}` has no key but the rowid, and the schema was changed (or VACUUM ran) since this \
             began: rowids may be others now",
            cursor.driving
        );
        let hint =
            "Take back what is done with `whimbrel undo`, give the table a key, and begin again";
        Err(problem(work, message, hint))
    }

    async fn begin_cursor(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
    ) -> Result<Cursor, EngineError> {
        let mut details = Details {
            run_id: job.moment.run_id.clone(),
            rows_estimated: if job.work.is_some() {
                0
            } else {
                let driving = sources::driving(self.session, &mut self.opened, job);
                job.estimate(driving).await?
            },
            ..Details::default()
        };
        let mysql = self.ledger.dialect == Dialect::Mysql;
        if mysql {
            // Making a table would end the transaction; an empty one that is left over is harmless.
            self.make_tables(work, job, &mut details).await?;
        }
        match job.work {
            // Reads for as long as it takes, and on MySQL without locks.
            Some(_) => self.begin_batch(work).await?,
            // The bounds of its parts are found.
            None if job.workers > 1 => self.begin_batch(work).await?,
            None => self.session.batch(self.ledger.begin()).await?,
        }
        let made = self.begin_in_transaction(work, job, details, mysql).await;
        if made.is_err() {
            crate::ledger::rollback(self.session.as_mut()).await;
        }
        made?;
        failpoint::pass("batch.after_cursor");
        let ledger = self.ledger;
        let mut cursor = Cursor::read(&ledger, self.session.as_mut(), cursor_id(work))
            .await?
            .ok_or_else(|| EngineError::LedgerDamaged("a cursor is not there".to_owned()))?;
        if job.keys.columns.iter().any(|column| column.rowid) {
            cursor.details.schema_version = Some(self.schema_version(job).await?);
            let sql = cursor.details_sql(&ledger);
            self.write_rows(&[sql]).await?;
        }
        Ok(cursor)
    }

    async fn begin_in_transaction(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        mut details: Details,
        made: bool,
    ) -> Result<(), EngineError> {
        self.lease.fence(self.session.as_mut()).await?;
        if !made {
            self.make_tables(work, job, &mut details).await?;
        }
        if let Some(undo) = &details.undo_table {
            let sql = self.undo_row(work, job, undo);
            self.session.batch(&sql).await?;
        }
        if let Some(read) = &details.read_table {
            let sql = self.beside_row(work, (job, read), "read", "kept");
            self.session.batch(&sql).await?;
        }
        if let Some(frozen) = &job.work {
            details.rows_estimated = self.fill_work(work, job, frozen).await?;
            self.check_room(work, job, details.rows_estimated).await?;
        }
        let driving = sources::driving(self.session, &mut self.opened, job);
        let upper = job.keys.greatest(driving).await?;
        let bounds = job.bounds(driving, upper.as_ref()).await?;
        details.parts = bounds.len();
        let cursor = Cursor {
            seq: 0,
            hash: work.step.hash.clone(),
            done: false,
            driving: job.keys.table.clone(),
            key_columns: job.keys.json(),
            last: None,
            upper,
            details,
            batches: 0,
            total: Tally::default(),
            size: match job.settled.size {
                BatchSize::Auto => BATCH_ROWS_FIRST,
                BatchSize::Rows(rows) => rows,
            },
            began_ms: job.moment.began_ms,
            part: None,
        };
        let sql = cursor.insert_sql(&self.ledger, cursor_id(work), self.lease.token);
        self.session.batch(&sql).await?;
        if !bounds.is_empty() {
            let (ledger, token) = (self.ledger, self.lease.token);
            let made = Cursor::read(&ledger, self.session.as_mut(), cursor_id(work)).await?;
            let rows = made.unwrap_or(cursor).parts_sql(&ledger, &bounds, token);
            self.session.batch(&rows).await?;
        }
        let begun = self.attempt_row(work, AttemptEvent::Begun, None, None, None);
        self.session.batch(&begun).await?;
        failpoint::pass("batch.before_cursor");
        Ok(self.session.batch("COMMIT").await?)
    }

    /// Makes the empty undo table, and the table of driving rows that produced nothing unless an
    /// earlier statement of the file has made it.
    async fn make_tables(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        details: &mut Details,
    ) -> Result<(), EngineError> {
        let end = self.kept_suffix(job.statement);
        if job.undo {
            let name = format!("undo_{end}");
            let sql = format!(
                "CREATE TABLE {} AS {}{}",
                self.undo_table(&name),
                job.undo_table_select(),
                empty(self.ledger.dialect)
            );
            self.session.batch(&sql).await?;
            details.undo_table = Some(name);
        }
        if job.source.is_some() {
            let name = format!("undo_{end}_read");
            for sql in job.read_table_sql(&self.undo_table(&name)) {
                self.session.batch(&sql).await?;
            }
            details.read_table = Some(name);
            let newest =
                format!("SELECT coalesce(max(seq), 0) FROM {}", self.ledger.table("batches"));
            let rows = self.session.query(&newest).await?;
            details.batches_after = rows.first().map_or(0, |row| number(row, 0));
        }
        if let Some(frozen) = &job.work {
            self.make_work(frozen).await?;
            details.work_table = frozen.kept_as();
            details.frozen_change = job.batchable.kind != DataKind::Insert;
        }
        if job.is_staged() || details.frozen_change {
            details.missing_table = match self.missing_table(work, job).await? {
                Some(name) => Some(name),
                None => {
                    let name = format!("missing_{end}");
                    let sql = format!(
                        "CREATE TABLE {} AS {}{}",
                        self.undo_table(&name),
                        job.missing_select(),
                        empty(self.ledger.dialect)
                    );
                    self.session.batch(&sql).await?;
                    Some(name)
                }
            };
        }
        Ok(())
    }

    /// What the names of tables end with that are made for statement `index`: never the same twice.
    pub(super) fn kept_suffix(&mut self, index: usize) -> String {
        let run = self.lease.run_id.get(24..).unwrap_or("run");
        self.copies_made += 1;
        // The number tells the migrations of one run apart, and tries that a lost connection ended.
        format!("{run}_{}{}", self.copies_made, suffix(index))
    }

    /// The table of missing keys that an earlier statement of the same file has made for the same
    /// driving table and key.
    async fn missing_table(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
    ) -> Result<Option<String>, EngineError> {
        if job.work.is_some() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT details FROM {} c WHERE migration = {} AND direction = 'up' \
             AND state <> 'undone' AND driving = {} AND key_columns = {} AND {} ORDER BY seq",
            self.ledger.table("cursors"),
            self.ledger.quote(&work.migration.name),
            self.ledger.quote(&job.keys.table),
            self.ledger.quote(&job.keys.json()),
            same_database(work.migration, job.statement, "c")
        );
        let rows = self.session.query(&sql).await?;
        Ok(rows.iter().find_map(|row| {
            let details: Details = serde_json::from_str(&text(row, 0)).ok()?;
            details.missing_table.filter(|_| !details.frozen_change)
        }))
    }

    fn undo_row(&self, work: &StepWork<'_>, job: &Job, undo: &str) -> String {
        let (keys, columns) = match job.batchable.kind {
            DataKind::Update | DataKind::Delete => (job.key_names(), job.image_columns()),
            DataKind::Insert => (job.target_key.clone(), job.stored_columns()),
        };
        self.ledger.undo_sql(&UndoEntry {
            run_id: &self.lease.run_id,
            migration: &work.migration.name,
            statement_index: job.statement,
            event: "kept",
            kind: job.batchable.kind.word(),
            object: &job.target.name.to_string(),
            kept_as: undo,
            key_columns: &keys,
            columns: &columns,
            rows_kept: 0,
            token: self.lease.token,
        })
    }

    async fn schema_version(&mut self, job: &Job) -> Result<i64, EngineError> {
        let driving = sources::driving(self.session, &mut self.opened, job);
        let rows = driving.query("PRAGMA schema_version").await?;
        Ok(rows.first().map_or(0, |row| number(row, 0)))
    }
}

impl Job {
    /// About how many driving rows there are, cheaply.
    pub(crate) async fn estimate(&self, session: &mut dyn Session) -> Result<u64, EngineError> {
        let ledger = Ledger { dialect: self.keys.dialect };
        let table = self.keys.walked();
        let sql = match ledger.dialect {
            _ if self.work.is_some() => format!("SELECT count(*) FROM {table}"),
            Dialect::Postgres => format!(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = {}::regclass",
                ledger.quote(table)
            ),
            Dialect::Mysql => format!(
                "SELECT table_rows FROM information_schema.tables \
                 WHERE table_schema = coalesce({}, DATABASE()) AND table_name = {}",
                self.batchable
                    .driving
                    .schema
                    .as_ref()
                    .map_or_else(|| "NULL".to_owned(), |name| ledger.quote(name)),
                ledger.quote(&self.batchable.driving.name)
            ),
            Dialect::Sqlite => format!("SELECT count(*) FROM {table}"),
        };
        let rows = session.query(&sql).await?;
        let found = rows.first().map_or(-1, |row| number(row, 0));
        // PostgreSQL says -1, and small tables are said to be empty, before they were analysed.
        if found > 0 || ledger.dialect == Dialect::Sqlite {
            return Ok(u64::try_from(found).unwrap_or(0));
        }
        let rows = session.query(&format!("SELECT count(*) FROM {table}")).await?;
        Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
    }

    /// The statement as the first batch will send it; none without rows.
    pub(crate) async fn first_batch(
        &self,
        session: &mut dyn Session,
        rows: u64,
    ) -> Result<Option<String>, EngineError> {
        let Some(upper) = self.keys.greatest(session).await? else { return Ok(None) };
        let size = match self.settled.size {
            BatchSize::Auto => BATCH_ROWS_FIRST,
            BatchSize::Rows(size) => size,
        };
        let last = if rows > size {
            self.keys.nth(session, None, &upper, size).await?.unwrap_or(upper)
        } else {
            upper
        };
        let range = self.keys.as_written_among(Rows::Range(None, &last))?;
        if let Some(source) = &self.source {
            return Ok(Some(source.read.source_select("", &range)));
        }
        Ok(Some(self.batchable.restricted(&range)))
    }

    /// Statements that make the temporary tables that the batches need.
    pub(super) fn temporary_sql(&self) -> Vec<String> {
        match self.batchable.kind {
            DataKind::Insert if self.is_staged() => self.stage_table_sql(),
            DataKind::Update | DataKind::Delete if self.captures() => self.image_table_sql(),
            DataKind::Insert | DataKind::Update | DataKind::Delete => Vec::new(),
        }
    }

    /// The select whose columns the table of missing rows has. Keys of another database are texts.
    fn missing_select(&self) -> String {
        if self.source.is_some() {
            return format!("SELECT {}", self.text_keys());
        }
        format!(
            "SELECT {} FROM {} {ALIAS}",
            self.keys.aliased(&self.keys.of(ALIAS)),
            self.keys.table
        )
    }

    /// The select whose columns the undo table has.
    fn undo_table_select(&self) -> String {
        match self.batchable.kind {
            DataKind::Update | DataKind::Delete => self.undo_columns_select(),
            DataKind::Insert => {
                let items = self.inserted_items("whimbrel_t").join(", ");
                format!("SELECT {items} FROM {} whimbrel_t", self.target_sql())
            }
        }
    }

    pub(crate) fn key_names(&self) -> Vec<String> {
        self.keys.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// How large the batches are, going on from where the cursor stands.
    pub(super) fn pace(&self, cursor: &Cursor) -> Pace {
        match self.settled.size {
            BatchSize::Auto => Pace::following(self.settled.target_ms, Some(cursor.size)),
            BatchSize::Rows(rows) => Pace::fixed(rows),
        }
    }
}

/// A statement that has begun must be the same when it goes on, and so must its key.
pub(super) fn check_resumable(
    work: &StepWork<'_>,
    cursor: &Cursor,
    (driving, key_columns): (&str, &str),
) -> Result<(), EngineError> {
    if cursor.hash != work.step.hash {
        let message =
            format!("This statement was changed after {} of its batches were done", cursor.batches);
        let hint = "Put it back as it was and run `whimbrel up` again, or take back what is done \
                    with `whimbrel undo` first";
        return Err(problem(work, message, hint));
    }
    if cursor.key_columns != key_columns || cursor.driving != driving {
        let message = format!("The key of `{}` is not what it was when this began", cursor.driving);
        let hint = "Make the key as it was, or take back what is done with `whimbrel undo`";
        return Err(problem(work, message, hint));
    }
    Ok(())
}

fn problem(work: &StepWork<'_>, message: String, hint: &str) -> EngineError {
    let index = work.step.statements.start;
    let line = work.migration.script.statements.get(index).map_or(1, |one| one.line);
    EngineError::Files(vec![Problem {
        path: work.migration.path.clone(),
        place: Some((line + work.migration.lines_before, 1)),
        message,
        hint: Some(hint.to_owned()),
    }])
}

pub(super) fn cursor_id<'a>(work: &StepWork<'a>) -> CursorId<'a> {
    let statement = work.step.statements.start;
    CursorId { migration: &work.migration.name, direction: "up", statement }
}

/// The end of a query of which only the columns are wanted.
pub(super) fn empty(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => " WITH NO DATA",
        Dialect::Sqlite | Dialect::Mysql => " LIMIT 0",
    }
}
