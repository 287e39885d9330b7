//! INSERT ... SELECT: a batch's rows are staged with the key of the driving row that each comes
//! from, counted, and inserted from there.

use whimbrel_core::data::{Conflict, DataKind};
use whimbrel_core::sql::dialect::Dialect;

use super::cursor::{Cursor, Details, Tally};
use super::job::{Job, quote_column};
use super::judge::RULE_CODE;
use super::key::{ALIAS, Key, Keys, Rows, key_columns};
use super::staging::{DIGEST, SOURCE_CODE, empty_text};
use crate::apply::{Applier, StepWork};
use crate::backend::DbErrorKind;
use crate::error::EngineError;

/// Temporary table with the rows that one batch will insert.
pub(super) const STAGE: &str = "whimbrel_stage";
/// Most keys in one condition.
const KEYS_AT_ONCE_MAX: usize = 500;

impl Job {
    /// Whether rows can be staged: the statement's own end must not speak of its source.
    pub(super) fn is_staged(&self) -> bool {
        self.batchable.kind == DataKind::Insert && self.batchable.insert_from("", None).is_some()
    }

    /// Statements that make the stage: the driving key, and columns of the types that the target
    /// has, so that values are converted as the INSERT itself would.
    pub(super) fn stage_table_sql(&self) -> Vec<String> {
        let dialect = self.dialect;
        let between = self.source.is_some();
        let keys = match between {
            true => self.text_keys(),
            false => self.keys.aliased(&self.keys.of(ALIAS)),
        };
        let mut items = vec![keys];
        items.extend(self.batchable.written.iter().enumerate().map(|(at, name)| {
            format!("whimbrel_t.{} AS {}", quote_column(name, dialect), column_name(at))
        }));
        if between {
            items.push(format!("{} AS {DIGEST}", empty_text(dialect)));
        }
        let driving = match between {
            true => "(SELECT 1 AS whimbrel_1)",
            false => self.keys.table.as_str(),
        };
        let select = format!(
            // Outer columns may be NULL, so that a missing value is an error of the target's.
            "SELECT {} FROM {driving} {ALIAS} LEFT JOIN {} whimbrel_t ON 1 = 0",
            items.join(", "),
            self.target_sql()
        );
        self.temporary_table_sql(STAGE, &select)
    }

    fn stage_fill_sql(&self, range: &str) -> String {
        let written = self.batchable.key_sql();
        let rows = self.batchable.source_select(&self.keys.aliased(&written), range);
        let mut columns = self.keys.names();
        columns.extend((0..self.batchable.written.len()).map(column_name));
        format!("INSERT INTO {} ({}) {rows}", self.temporary(STAGE), columns.join(", "))
    }

    /// The same with values that a person has written in place of what the statement computes, so
    /// that a value which fits no column is never put into one.
    fn stage_edited_sql(&self, range: &str, values: &[(String, String)]) -> String {
        let written = self.batchable.key_sql();
        let rows = self.batchable.source_select(&self.keys.aliased(&written), range);
        let mut columns = self.keys.names();
        columns.extend((0..self.batchable.written.len()).map(column_name));
        let edited = |name: &String| {
            let found = values.iter().find(|(one, _)| one == name);
            found.map_or_else(|| format!("whimbrel_e.{name}"), |(_, value)| value.clone())
        };
        let items: Vec<String> = columns.iter().map(edited).collect();
        let columns = columns.join(", ");
        format!(
            "INSERT INTO {} ({columns}) WITH whimbrel_e ({columns}) AS ({rows}) SELECT {} \
             FROM whimbrel_e",
            self.temporary(STAGE),
            items.join(", ")
        )
    }

    /// The author's INSERT, from the stage.
    fn insert_sql(&self, returning: Option<&str>) -> Option<String> {
        let columns: Vec<String> = (0..self.batchable.written.len()).map(column_name).collect();
        let source = format!(
            "SELECT {} FROM {} ORDER BY {}",
            columns.join(", "),
            self.temporary(STAGE),
            self.keys.names().join(", ")
        );
        self.batchable.insert_from(&source, returning)
    }

    /// Whether the target's key is among what the statement writes and every staged row is new.
    pub(super) fn knows_new_keys(&self) -> bool {
        self.batchable.conflict() == Conflict::None
            && self.target_key.iter().all(|name| self.staged_as(name).is_some())
    }

    pub(super) fn staged_as(&self, name: &str) -> Option<String> {
        let at = self.batchable.written.iter().position(|one| one.eq_ignore_ascii_case(name))?;
        Some(column_name(at))
    }

    /// The condition that a row of the target is the staged one.
    pub(super) fn staged_key_matches(&self) -> String {
        let pairs: Vec<String> = self
            .target_key
            .iter()
            .filter_map(|name| {
                let staged = self.staged_as(name)?;
                let name = quote_column(name, self.dialect);
                Some(format!("whimbrel_t.{name} = whimbrel_s.{staged}"))
            })
            .collect();
        pairs.join(" AND ")
    }

    /// The columns of the undo table of an INSERT: the key, then every stored column.
    pub(super) fn inserted_items(&self, alias: &str) -> Vec<String> {
        let dialect = self.dialect;
        let key = self.target_key.iter().enumerate().map(|(at, name)| {
            format!("{alias}.{} AS whimbrel_k{}", quote_column(name, dialect), at + 1)
        });
        let stored = self.stored_columns();
        let columns = stored.iter().enumerate().map(|(at, name)| {
            format!("{alias}.{} AS {}", quote_column(name, dialect), super::image::new_name(at))
        });
        key.chain(columns).collect()
    }
}

pub(super) fn column_name(at: usize) -> String {
    format!("whimbrel_c{}", at + 1)
}

impl Applier<'_> {
    /// Inserts what the driving rows of one range produce.
    pub(super) async fn insert_range(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        cursor: &Cursor,
        rows: Rows<'_>,
    ) -> Result<Tally, EngineError> {
        let details = &cursor.details;
        let range = job.keys.as_written_among(rows)?;
        if !job.is_staged() {
            let written = self.author(work, job, &job.batchable.restricted(&range)).await?;
            return Ok(Tally { written, produced: written, ..Tally::default() });
        }
        self.session.batch(&format!("DELETE FROM {}", job.temporary(STAGE))).await?;
        let (staged, mut tally) = if job.source.is_some() {
            let (staged, digest) =
                self.stage_from_source(work, job, &job.source_sql(&range)).await?;
            self.note_read(job, cursor, rows).await?;
            let tally = self.account_between(job, details, rows).await?;
            (staged, Tally { digest: Some(digest), ..tally })
        } else {
            let staged = self.author_reads(work, job, &job.stage_fill_sql(&range)).await?;
            (staged, self.account(job, details, rows).await?)
        };
        tally.staged = staged;
        let names = job.keys.names().join(", ");
        let produced = format!(
            "SELECT count(*) FROM (SELECT DISTINCT {names} FROM {}) whimbrel_p",
            job.temporary(STAGE)
        );
        tally.produced = self.counted(&produced).await?;
        tally.written = match details.undo_table.as_deref() {
            Some(undo) => self.insert_and_keep(work, job, undo).await?,
            None => {
                let sql = job.insert_sql(None).unwrap_or_default();
                self.author(work, job, &sql).await?
            }
        };
        Ok(tally)
    }

    /// Notes what a batch has read of another database. A row that was set aside and is tried by
    /// itself is of no batch.
    async fn note_read(
        &mut self,
        job: &Job,
        cursor: &Cursor,
        rows: Rows<'_>,
    ) -> Result<(), EngineError> {
        let (Some(table), Rows::Range(..)) = (&cursor.details.read_table, rows) else {
            return Ok(());
        };
        let sql = job.note_read_sql(&self.undo_table(table), cursor.batches + 1);
        Ok(self.session.batch(&sql).await?)
    }

    /// Inserts what one driving row produces, with values that a person has written.
    pub(super) async fn insert_edited(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        key: &Key,
        values: &[(String, String)],
    ) -> Result<Tally, EngineError> {
        let stage = job.temporary(STAGE);
        self.session.batch(&format!("DELETE FROM {stage}")).await?;
        let (names, literals): (Vec<_>, Vec<_>) = values.iter().cloned().unzip();
        let staged = if values.len() == job.batchable.written.len() {
            // All of it is written by hand: what the statement computes does not matter.
            let sql = format!(
                "INSERT INTO {stage} ({}, {}) VALUES ({}, {})",
                job.keys.names().join(", "),
                names.join(", "),
                job.stage_literals(key)?.join(", "),
                literals.join(", ")
            );
            self.author(work, job, &sql).await?
        } else {
            let range = job.keys.as_written_among(Rows::One(key))?;
            match job.source {
                Some(_) => self.stage_edited_from_source(work, job, &range, values).await?,
                None => {
                    let sql = job.stage_edited_sql(&range, values);
                    self.author_reads(work, job, &sql).await?
                }
            }
        };
        let id = super::start::cursor_id(work);
        let ledger = self.ledger;
        let cursor = Cursor::read(&ledger, self.session.as_mut(), id).await?;
        let undo = cursor.and_then(|cursor| cursor.details.undo_table);
        let written = match undo {
            Some(undo) => self.insert_and_keep(work, job, &undo).await?,
            None => self.author(work, job, &job.insert_sql(None).unwrap_or_default()).await?,
        };
        self.judge_range(work, job, Rows::One(key)).await?;
        Ok(Tally { staged, produced: 1, written, ..Tally::default() })
    }

    /// Driving rows that produced nothing are noted until another statement of the file produces
    /// something from them.
    async fn account(
        &mut self,
        job: &Job,
        details: &Details,
        rows: Rows<'_>,
    ) -> Result<Tally, EngineError> {
        let mut tally = Tally::default();
        let Some(missing) = details.missing_table.as_deref() else { return Ok(tally) };
        let missing = self.undo_table(missing);
        let stage = job.temporary(STAGE);
        let staged_keys = job.keys.names_in("whimbrel_s");
        let range = job.keys.among(&job.keys.of(ALIAS), rows)?;
        let same = Keys::same(&job.keys.of(ALIAS), &staged_keys);
        let none = format!(
            "FROM {} {ALIAS} WHERE {range} AND NOT EXISTS (SELECT 1 FROM {stage} whimbrel_s \
             WHERE {same})",
            job.keys.table
        );
        if self.is_first_on(job, details) {
            if let Some(skips) = &job.settled.skips {
                let sql = format!("SELECT count(*) {none} AND ({skips})");
                tally.skipped = self.counted(&sql).await?;
            }
            let declared = job
                .settled
                .skips
                .as_ref()
                .map_or_else(String::new, |skips| format!(" AND ({skips}) IS NOT TRUE"));
            let sql = format!(
                "INSERT INTO {missing} SELECT {} {none}{declared}",
                job.keys.of(ALIAS).join(", ")
            );
            let outcome = self.session.run(&sql, None).await?;
            tally.missing = outcome.rows_affected.unwrap_or(0);
            return Ok(tally);
        }
        let in_missing = job.keys.names_in(&missing);
        let produced = format!(
            "DELETE FROM {missing} WHERE EXISTS (SELECT 1 FROM {stage} whimbrel_s WHERE {})",
            Keys::same(&in_missing, &staged_keys)
        );
        self.session.batch(&produced).await?;
        if let Some(skips) = &job.settled.skips {
            let sql = format!(
                "DELETE FROM {missing} WHERE EXISTS (SELECT 1 FROM {} {ALIAS} WHERE {range} \
                 AND {} AND ({skips}))",
                job.keys.table,
                Keys::same(&in_missing, &job.keys.of(ALIAS))
            );
            tally.skipped = self.session.run(&sql, None).await?.rows_affected.unwrap_or(0);
        }
        Ok(tally)
    }

    async fn counted(&mut self, sql: &str) -> Result<u64, EngineError> {
        let rows = self.session.query(sql).await?;
        let count = rows.first().map_or(0, |row| crate::ledger::number(row, 0));
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Whether every staged row has its own key. One without gets it from the database.
    pub(super) async fn knows_staged_keys(&mut self, job: &Job) -> Result<bool, EngineError> {
        if !job.is_staged() || !job.knows_new_keys() {
            return Ok(false);
        }
        let mut without = Vec::new();
        for name in &job.target_key {
            let Some(staged) = job.staged_as(name) else { return Ok(false) };
            without.push(format!("{staged} IS NULL"));
            let numbered = job.target.columns.iter().any(|one| one.name == *name && one.identity);
            if numbered && job.keys.dialect == Dialect::Mysql {
                // AUTO_INCREMENT takes 0 for no number either.
                without.push(format!("{staged} = 0"));
            }
        }
        let (stage, without) = (job.temporary(STAGE), without.join(" OR "));
        let sql = format!("SELECT 1 FROM {stage} WHERE {without} LIMIT 1");
        Ok(self.session.query(&sql).await?.is_empty())
    }

    /// Inserts the staged rows and notes what was inserted, with all its values.
    async fn insert_and_keep(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        undo: &str,
    ) -> Result<u64, EngineError> {
        let undo = self.undo_table(undo);
        let target = job.target_sql();
        if job.dialect == Dialect::Postgres {
            let insert = job.insert_sql(Some("*")).unwrap_or_default();
            let keep = format!(
                "WITH whimbrel_n AS ({insert}) INSERT INTO {undo} SELECT {} FROM whimbrel_n",
                job.inserted_items("whimbrel_n").join(", ")
            );
            return self.author(work, job, &keep).await;
        }
        if self.knows_staged_keys(job).await? {
            let rows = self.author(work, job, &job.insert_sql(None).unwrap_or_default()).await?;
            let keep = format!(
                "INSERT INTO {undo} SELECT {} FROM {target} whimbrel_t JOIN {} whimbrel_s ON {}",
                job.inserted_items("whimbrel_t").join(", "),
                job.temporary(STAGE),
                job.staged_key_matches()
            );
            self.session.batch(&keep).await?;
            return Ok(rows);
        }
        self.insert_returning(work, job, &undo).await
    }

    /// Where RETURNING cannot feed another statement: its keys come here and go back.
    async fn insert_returning(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        undo: &str,
    ) -> Result<u64, EngineError> {
        let columns = key_columns(&job.target, &job.target_key);
        let keys = Keys::new(job.dialect, job.target_sql(), columns);
        let texts: Vec<String> = job
            .quoted(&job.target_key)
            .iter()
            .zip(&keys.columns)
            .map(|(name, column)| keys.text_of(column, name))
            .collect();
        let insert = job.insert_sql(Some(&texts.join(", "))).unwrap_or_default();
        let rows = match self.session.query(&insert).await {
            Ok(rows) => rows,
            Err(mut error) => {
                error.offset = None;
                return Err(self.failure(work.migration, job.statement, error, work.kept));
            }
        };
        let items = job.inserted_items("whimbrel_t").join(", ");
        let columns = keys.of("whimbrel_t");
        for chunk in rows.chunks(KEYS_AT_ONCE_MAX) {
            let mut values = Vec::new();
            for key in chunk.iter().filter_map(Key::of_row) {
                values.push(format!("({})", keys.literals(&key)?.join(", ")));
            }
            let condition = match (columns.as_slice(), keys.dialect) {
                ([one], _) => format!("{one} IN ({})", values.join(", ")),
                (many, Dialect::Sqlite) => {
                    format!("({}) IN (VALUES {})", many.join(", "), values.join(", "))
                }
                (many, _) => format!("({}) IN ({})", many.join(", "), values.join(", ")),
            };
            let keep = format!(
                "INSERT INTO {undo} SELECT {items} FROM {} whimbrel_t WHERE {condition}",
                job.target_sql()
            );
            self.session.batch(&keep).await?;
        }
        Ok(u64::try_from(rows.len()).unwrap_or(0))
    }

    /// Whether no earlier statement of the file reads the same driving table.
    pub(super) fn is_first_on(&self, job: &Job, details: &Details) -> bool {
        details.missing_table.as_deref().is_some_and(|name| name.ends_with(&suffix(job.statement)))
    }
}

/// The end of the name of the table that statement `index` was the first to need.
pub(super) fn suffix(index: usize) -> String {
    format!("_{}", index + 1)
}

/// Whether an error says something about the rows and not about the statement.
pub(super) fn is_about_rows(error: &crate::backend::DbError, dialect: Dialect) -> bool {
    if error.kind != DbErrorKind::Statement {
        return false;
    }
    let begins = |word: &str| error.code.as_deref().is_some_and(|code| code.starts_with(word));
    if begins(RULE_CODE) || begins(SOURCE_CODE) {
        return true;
    }
    // SQLite and MariaDB: number or name first, then what it extends to.
    let code = error.code.as_deref().unwrap_or("").split(' ').next().unwrap_or("");
    match dialect {
        // Classes: data exception, integrity constraint violation; raised by a trigger; WITH CHECK
        // OPTION (PostgreSQL manual, appendix A).
        Dialect::Postgres => {
            code.starts_with("22") || code.starts_with("23") || matches!(code, "P0001" | "44000")
        }
        Dialect::Mysql => MYSQL_ROW_ERRORS.contains(&code),
        // The statement itself was checked when the first batch was prepared.
        Dialect::Sqlite => {
            ["SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_ERROR"]
                .contains(&code)
                && !error.message.contains("no such")
                && !error.message.contains("syntax error")
        }
    }
}

/// MariaDB's and MySQL's errors about values and keys (MariaDB knowledge base, error codes).
const MYSQL_ROW_ERRORS: &[&str] = &[
    "1022", "1048", "1062", "1169", "1216", "1217", "1242", "1264", "1265", "1292", "1364", "1365",
    "1366", "1367", "1369", "1406", "1411", "1416", "1441", "1451", "1452", "1525", "1557", "1586",
    "1644", "1690", "1761", "1762", "3140", "3141", "3819", "4025", "4038",
];
