//! What comes after the rows: counters, statistics, foreign keys that were not looked at.

use whimbrel_core::rules::{Scope, queries};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use super::{Copier, Job};
use crate::error::EngineError;
use crate::ledger::{number, text};

impl Copier<'_> {
    /// Lets the target's counters go on behind the greatest number, and its planner know the rows.
    pub(super) async fn follow(&mut self, job: &Job) -> Result<(), EngineError> {
        for column in &job.target.columns {
            let numbered = column.default.as_deref().is_some_and(|text| text.contains("nextval"));
            let only_key = job.target.primary_key.as_slice() == [column.name.clone()];
            let sqlite = self.ledger.dialect == Dialect::Sqlite && only_key;
            if column.identity || numbered || sqlite {
                self.follow_column(job, &column.name).await?;
            }
        }
        let table = &job.into.table;
        let sql = match self.ledger.dialect {
            Dialect::Sqlite | Dialect::Postgres => format!("ANALYZE {table}"),
            Dialect::Mysql => format!("ANALYZE TABLE {table}"),
        };
        self.target.run(&sql, None).await?;
        Ok(())
    }

    async fn follow_column(&mut self, job: &Job, column: &str) -> Result<(), EngineError> {
        let dialect = self.ledger.dialect;
        let table = &job.into.table;
        let source = match job.pair.columns.iter().find(|pair| pair.target == column) {
            Some(pair) => self.source_counter(job, &pair.source.clone()).await?,
            None => 0,
        };
        let sql = format!("SELECT coalesce(max({}), 0) FROM {table}", quote_ident(column, dialect));
        let greatest = self.target.query(&sql).await?.first().map_or(0, |row| number(row, 0));
        let last = source.max(greatest);
        if last <= 0 {
            return Ok(());
        }
        match dialect {
            Dialect::Postgres => {
                let sql = format!(
                    "SELECT pg_catalog.pg_get_serial_sequence({}, {})",
                    quote_text(table, dialect),
                    quote_text(column, dialect)
                );
                let found = self.target.query(&sql).await?;
                let sequence = found.first().map(|row| text(row, 0)).unwrap_or_default();
                if !sequence.is_empty() {
                    // The name is quoted where it needs to be.
                    let sql = format!(
                        "SELECT pg_catalog.setval({}, {last}) FROM {sequence} \
                         WHERE NOT is_called OR last_value < {last}",
                        quote_text(&sequence, dialect)
                    );
                    self.target.query(&sql).await?;
                }
            }
            Dialect::Mysql if source > greatest => {
                let sql = format!("ALTER TABLE {table} AUTO_INCREMENT = {}", last + 1);
                self.target.batch(&sql).await?;
            }
            Dialect::Mysql => {}
            Dialect::Sqlite => self.follow_sqlite(job, last).await?,
        }
        Ok(())
    }

    /// `sqlite_sequence` follows by itself for rows; here for numbers that were used before.
    async fn follow_sqlite(&mut self, job: &Job, last: i64) -> Result<(), EngineError> {
        let name = self.ledger.quote(&job.pair.target.name);
        let sql = format!(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = {name} COLLATE NOCASE \
             AND upper(sql) LIKE '%AUTOINCREMENT%'"
        );
        if self.target.query(&sql).await?.is_empty() {
            return Ok(());
        }
        self.target
            .batch(&format!(
                "INSERT INTO sqlite_sequence (name, seq) SELECT {name}, 0 WHERE NOT EXISTS \
                 (SELECT 1 FROM sqlite_sequence WHERE name = {name}); \
                 UPDATE sqlite_sequence SET seq = {last} WHERE name = {name} AND seq < {last}"
            ))
            .await?;
        Ok(())
    }

    /// The last number that the source gave out; 0 where it does not count.
    async fn source_counter(&mut self, job: &Job, column: &str) -> Result<i64, EngineError> {
        let dialect = job.source_dialect;
        let name = quote_text(&job.pair.source.name, dialect);
        let sql = match dialect {
            Dialect::Postgres => {
                let sql = format!(
                    "SELECT pg_catalog.pg_get_serial_sequence({}, {})",
                    quote_text(&job.keys.table, dialect),
                    quote_text(column, dialect)
                );
                let found = self.source.query(&sql).await?;
                let sequence = found.first().map(|row| text(row, 0)).unwrap_or_default();
                if sequence.is_empty() {
                    return Ok(0);
                }
                format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")
            }
            Dialect::Mysql => format!(
                "SELECT coalesce(auto_increment, 1) - 1 FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = {name}"
            ),
            Dialect::Sqlite => {
                let there = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'";
                if self.source.query(there).await?.is_empty() {
                    return Ok(0);
                }
                format!("SELECT seq FROM sqlite_sequence WHERE name = {name}")
            }
        };
        Ok(self.source.query(&sql).await?.first().map_or(0, |row| number(row, 0)))
    }

    /// Switches the looking at foreign keys off, for this session alone; says how it was.
    pub(super) async fn without_keys(&mut self) -> Result<i64, EngineError> {
        let (ask, set) = match self.ledger.dialect {
            Dialect::Sqlite => ("PRAGMA foreign_keys", "PRAGMA foreign_keys = 0"),
            Dialect::Postgres => return Ok(1),
            Dialect::Mysql => {
                ("SELECT @@SESSION.foreign_key_checks", "SET SESSION foreign_key_checks = 0")
            }
        };
        let was = self.target.query(ask).await?.first().map_or(1, |row| number(row, 0));
        self.target.batch(set).await?;
        Ok(was)
    }

    /// Puts it back.
    pub(super) async fn with_keys(&mut self, was: i64) -> Result<(), EngineError> {
        let sql = match self.ledger.dialect {
            Dialect::Sqlite => format!("PRAGMA foreign_keys = {was}"),
            Dialect::Postgres => return Ok(()),
            Dialect::Mysql => format!("SET SESSION foreign_key_checks = {was}"),
        };
        Ok(self.target.batch(&sql).await?)
    }

    /// Refuses rows without their parent, where the keys were not looked at.
    pub(super) async fn check_orphans(&mut self, jobs: &[&Job]) -> Result<(), EngineError> {
        let dialect = self.ledger.dialect;
        let snapshot = self.target.inspect(None).await?;
        for job in jobs {
            let queries = queries(&job.target, &snapshot, dialect, Scope::Own);
            for query in queries.iter().filter(|query| query.rule.kind() == "foreign-key") {
                let sql = format!("SELECT 1 FROM ({}) whimbrel_q LIMIT 1", query.sql);
                if !self.target.query(&sql).await?.is_empty() {
                    return Err(EngineError::Refused(format!(
                        "Rows of {} at the target break {}: the source has such rows, too. \
                         Correct them there, empty the table and copy again",
                        job.into.table, query.rule
                    )));
                }
            }
        }
        Ok(())
    }
}
