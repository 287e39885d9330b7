//! UPDATE and DELETE: what a batch changes, with the values before and after.

use whimbrel_core::data::{DataKind, stamped_columns};
use whimbrel_core::sql::dialect::Dialect;

use super::job::{Job, quote_column};
use super::key::{Keys, Rows};
use crate::apply::{Applier, StepWork};
use crate::error::EngineError;

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
        let written: Vec<String> =
            self.batchable.key.iter().map(|column| column.sql.clone()).collect();
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
        self.session.batch(&format!("DELETE FROM {}", job.temporary(IMAGE))).await?;
        self.author_reads(work, job, &job.image_fill_sql(&range)).await?;
        let sql = match job.dialect {
            // Nobody else can write between the two.
            Dialect::Sqlite => job.batchable.restricted(&range),
            Dialect::Postgres | Dialect::Mysql => {
                let written: Vec<String> =
                    job.batchable.key.iter().map(|column| column.sql.clone()).collect();
                let same = Keys::same(&job.keys.names_in("whimbrel_i"), &written);
                job.batchable.restricted(&format!(
                    "{range} AND EXISTS (SELECT 1 FROM {} whimbrel_i WHERE {same})",
                    job.temporary(IMAGE)
                ))
            }
        };
        let changed = self.author(work, job, &sql).await?;
        if let Some(undo) = undo_table {
            let keep = format!("INSERT INTO {} {}", self.undo_table(undo), job.undo_select(rows)?);
            self.session.batch(&keep).await?;
        }
        Ok(changed)
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
        let keys = indexed && self.keys.may_be_indexed();
        let names = self.keys.names().join(", ");
        temporary_table_sql(self.dialect, (name, select), (&names, keys), self.pooled)
    }
}

/// The statements that make the empty temporary table `name` with the columns of a query, and an
/// index on those of the key, by which rows are looked up one by one where no hash join is made;
/// `indexed` is whether MySQL can make one. `ends` says that the table goes with the transaction,
/// where the database can do that.
pub(super) fn temporary_table_sql(
    dialect: Dialect,
    (name, select): (&str, &str),
    (key, indexed): (&str, bool),
    ends: bool,
) -> Vec<String> {
    let table = temporary(dialect, name);
    match dialect {
        Dialect::Sqlite => vec![
            format!("DROP TABLE IF EXISTS {table}"),
            format!("CREATE TABLE {table} AS {select} LIMIT 0"),
            format!("CREATE INDEX {table}_key ON {name} ({key})"),
        ],
        Dialect::Postgres => {
            let end = if ends { "DROP" } else { "DELETE ROWS" };
            vec![
                format!("DROP TABLE IF EXISTS {table}"),
                format!("CREATE TEMP TABLE {name} ON COMMIT {end} AS {select} WITH NO DATA"),
            ]
        }
        Dialect::Mysql => {
            let index = if indexed { format!(" (KEY ({key}))") } else { String::new() };
            vec![
                format!("DROP TEMPORARY TABLE IF EXISTS {table}"),
                format!("CREATE TEMPORARY TABLE {table}{index} AS {select} LIMIT 0"),
            ]
        }
    }
}
