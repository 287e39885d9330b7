//! UPDATE and DELETE: what a batch changes, with the values before and after.

use whimbrel_core::data::{DataKind, stamped_columns};
use whimbrel_core::sql::dialect::Dialect;

use super::job::{Job, quote_column};
use super::key::{Keys, Rows};
use crate::apply::{Applier, StepWork};
use crate::error::EngineError;
use crate::failpoint;

/// Temporary table with the keys and old values of one batch.
pub(super) const IMAGE: &str = "whimbrel_image";

impl Job {
    /// Whether the rows to be changed are captured first: to keep them, to judge them, or to know
    /// which of the frozen ones are as they were.
    pub(super) fn captures(&self) -> bool {
        self.undo || self.rules.is_some() || self.work.is_some()
    }

    /// The columns whose values before the statement are kept.
    pub(super) fn image_columns(&self) -> Vec<String> {
        match self.batchable.kind {
            DataKind::Update => {
                let mut columns = self.batchable.written.clone();
                for name in stamped_columns(&self.target) {
                    if !columns.iter().any(|one| one.eq_ignore_ascii_case(name)) {
                        columns.push(name.to_owned());
                    }
                }
                columns
            }
            DataKind::Delete | DataKind::Insert => self.stored_columns(),
        }
    }

    /// Statements that make the temporary table, outside of a batch where the connection keeps it.
    pub(super) fn image_table_sql(&self) -> Vec<String> {
        let alias = "whimbrel_t";
        let columns = format!(
            "{}, {}",
            self.keys.aliased(&self.keys.of(alias)),
            self.old_items(alias).join(", ")
        );
        let from = format!("FROM {} {alias}", self.target_sql());
        self.temporary_table_sql(IMAGE, &format!("SELECT {columns} {from}"))
    }

    /// `t.a AS whimbrel_o1, ...`
    fn old_items(&self, alias: &str) -> Vec<String> {
        let columns = self.image_columns();
        let numbered = columns.iter().enumerate();
        numbered
            .map(|(at, name)| {
                format!("{alias}.{} AS {}", quote_column(name, self.dialect), old_name(at))
            })
            .collect()
    }

    /// The select that the undo table is filled with after each batch. The range is said again:
    /// without it a plan that walks the whole key from its beginning looks cheap, once for each
    /// batch.
    fn undo_select(&self, rows: Rows<'_>) -> Result<String, EngineError> {
        let count = self.image_columns().len();
        let mut items = self.keys.names_in("whimbrel_i");
        items.extend((0..count).map(|at| format!("whimbrel_i.{}", old_name(at))));
        if self.batchable.kind == DataKind::Delete {
            let image = self.temporary(IMAGE);
            return Ok(format!("SELECT {} FROM {image} whimbrel_i", items.join(", ")));
        }
        let columns = self.image_columns();
        items.extend(columns.iter().enumerate().map(|(at, name)| {
            format!("whimbrel_t.{} AS {}", quote_column(name, self.dialect), new_name(at))
        }));
        let target = self.keys.of("whimbrel_t");
        let same = Keys::same(&target, &self.keys.names_in("whimbrel_i"));
        Ok(format!(
            "SELECT {} FROM {} whimbrel_i JOIN {} whimbrel_t ON {same} WHERE {}",
            items.join(", "),
            self.temporary(IMAGE),
            self.target_sql(),
            self.keys.among(&target, rows)?
        ))
    }

    /// The select whose columns the undo table of an UPDATE or DELETE has.
    pub(super) fn undo_columns_select(&self) -> String {
        let mut items = vec![self.keys.aliased(&self.keys.of("whimbrel_t"))];
        items.extend(self.old_items("whimbrel_t"));
        if self.batchable.kind == DataKind::Update {
            let columns = self.image_columns();
            items.extend(columns.iter().enumerate().map(|(at, name)| {
                format!("whimbrel_t.{} AS {}", quote_column(name, self.dialect), new_name(at))
            }));
        }
        format!("SELECT {} FROM {} whimbrel_t", items.join(", "), self.target_sql())
    }

    /// A temporary table of ours as it stands in SQL.
    pub(super) fn temporary(&self, name: &str) -> String {
        temporary(self.dialect, name)
    }

    fn image_fill_sql(&self, range: &str) -> String {
        let dialect = self.dialect;
        let alias = &self.batchable.target_qualifier;
        let written = self.batchable.key_sql();
        let items =
            format!("{}, {}", self.keys.aliased(&written), self.old_items(alias).join(", "));
        let lock = match (dialect, self.batchable.kind) {
            (Dialect::Sqlite, _) => String::new(),
            (Dialect::Mysql, _) => "FOR UPDATE".to_owned(),
            (Dialect::Postgres, DataKind::Delete) => format!("FOR UPDATE OF {alias}"),
            (Dialect::Postgres, _) => format!("FOR NO KEY UPDATE OF {alias}"),
        };
        let rows = self.batchable.matching(&items, range, &lock);
        format!("INSERT INTO {} {rows}", self.temporary(IMAGE))
    }
}

impl Applier<'_> {
    /// Changes the rows of one range, and keeps what they were and became.
    pub(super) async fn change_range(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        undo_table: Option<&str>,
        rows: Rows<'_>,
    ) -> Result<u64, EngineError> {
        let range = job.keys.as_written_among(rows)?;
        if !job.captures() {
            let sql = job.batchable.restricted(&range);
            return self.author(work, job, &sql).await;
        }
        let changed = match self.change_alone(work, job, &range).await? {
            Some(changed) => changed,
            None => self.change_captured(work, job, &range).await?,
        };
        if let Some(undo) = undo_table {
            let keep = format!("INSERT INTO {} {}", self.undo_table(undo), job.undo_select(rows)?);
            self.session.batch(&keep).await?;
        }
        Ok(changed)
    }

    /// Captures what a range will change. On servers the rows are locked.
    async fn capture(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        range: &str,
    ) -> Result<u64, EngineError> {
        self.session.batch(&format!("DELETE FROM {}", job.temporary(IMAGE))).await?;
        self.author_reads(work, job, &job.image_fill_sql(range)).await
    }

    /// Changes a range as the author wrote it, if that surely is what was captured: nobody else can
    /// write between the two, or it is as many rows, and those that are locked are all among them.
    /// Where it is not, nothing is changed.
    async fn change_alone(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        range: &str,
    ) -> Result<Option<u64>, EngineError> {
        let sql = job.batchable.restricted(range);
        if job.dialect == Dialect::Sqlite {
            self.capture(work, job, range).await?;
            return Ok(Some(self.author(work, job, &sql).await?));
        }
        if !job.batchable.matches_alone() {
            return Ok(None);
        }
        // Before the rows are locked: PostgreSQL would note two owners for each of them else.
        self.session.ahead("SAVEPOINT whimbrel_alone").await?;
        let captured = self.capture(work, job, range).await?;
        failpoint::pass("batch.captured");
        let changed = self.author(work, job, &sql).await?;
        if changed == captured {
            return Ok(Some(changed));
        }
        self.session.batch("ROLLBACK TO SAVEPOINT whimbrel_alone").await?;
        Ok(None)
    }

    /// Changes those rows of a range that were captured, as others may have come since.
    async fn change_captured(
        &mut self,
        work: &StepWork<'_>,
        job: &Job,
        range: &str,
    ) -> Result<u64, EngineError> {
        self.capture(work, job, range).await?;
        let written = job.batchable.key_sql();
        let same = Keys::same(&job.keys.names_in("whimbrel_i"), &written);
        let image = job.temporary(IMAGE);
        let sql = job.batchable.restricted(&format!(
            "{range} AND EXISTS (SELECT 1 FROM {image} whimbrel_i WHERE {same})"
        ));
        self.author(work, job, &sql).await
    }
}

pub(super) fn old_name(at: usize) -> String {
    format!("whimbrel_o{}", at + 1)
}

pub(super) fn new_name(at: usize) -> String {
    format!("whimbrel_n{}", at + 1)
}

pub(super) fn temporary(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("temp.{name}"),
        Dialect::Postgres => format!("pg_temp.{name}"),
        Dialect::Mysql => name.to_owned(),
    }
}

impl Job {
    /// The statements that make an empty temporary table with the columns of a query.
    pub(super) fn temporary_table_sql(&self, name: &str, select: &str) -> Vec<String> {
        // Keys of another database are long texts.
        let indexed = self.source.is_none();
        let is_indexed = indexed && self.keys.may_be_indexed();
        let index = KeyIndex {
            names: &self.keys.names().join(", "),
            is_indexed,
            // What a batch that is rolled back has left there is deleted by the next one.
            in_aria: !is_indexed || self.keys.is_short(),
        };
        temporary_table_sql(self.dialect, (name, select), &index, self.pooled)
    }
}

/// The index of a temporary table on the columns of the key.
pub(super) struct KeyIndex<'a> {
    /// The columns.
    pub(super) names: &'a str,
    /// Whether MySQL can make one.
    pub(super) is_indexed: bool,
    /// Whether MariaDB may keep the table in its engine Aria, in which no change is rolled back:
    /// filling it takes a third of the time, and emptying it none.
    pub(super) in_aria: bool,
}

/// The statements that make the empty temporary table `name` with the columns of a query, and an
/// index on those of the key, by which rows are looked up one by one where no hash join is made.
/// `ends` says that the table goes with the transaction,
/// where the database can do that.
pub(super) fn temporary_table_sql(
    dialect: Dialect,
    (name, select): (&str, &str),
    key: &KeyIndex<'_>,
    ends: bool,
) -> Vec<String> {
    let table = temporary(dialect, name);
    match dialect {
        Dialect::Sqlite => vec![
            format!("DROP TABLE IF EXISTS {table}"),
            format!("CREATE TABLE {table} AS {select} LIMIT 0"),
            format!("CREATE INDEX {table}_key ON {name} ({})", key.names),
        ],
        Dialect::Postgres => {
            let end = if ends { "DROP" } else { "DELETE ROWS" };
            vec![
                format!("DROP TABLE IF EXISTS {table}"),
                format!("CREATE TEMP TABLE {name} ON COMMIT {end} AS {select} WITH NO DATA"),
            ]
        }
        Dialect::Mysql => {
            let names = key.names;
            let index = if key.is_indexed { format!(" (KEY ({names}))") } else { String::new() };
            // MySQL, which has no such engine, takes this for a comment.
            let engine = if key.in_aria { " /*M! ENGINE=Aria */" } else { "" };
            vec![
                format!("DROP TEMPORARY TABLE IF EXISTS {table}"),
                format!("CREATE TEMPORARY TABLE {table}{index}{engine} AS {select} LIMIT 0"),
            ]
        }
    }
}
