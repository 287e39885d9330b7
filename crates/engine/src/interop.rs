//! Keeping another tool's history table true beside the ledger, so that a team can go back.

use whimbrel_core::history::HistoryTable;
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::{quote_ident, quote_text};

use crate::backend::Session;
use crate::error::EngineError;

/// The other tool's history table.
#[derive(Clone, Debug)]
pub struct Mirror {
    table: HistoryTable,
}

impl Mirror {
    /// A mirror of `table`.
    pub fn new(table: HistoryTable) -> Mirror {
        Mirror { table }
    }

    /// The other tool's name.
    pub fn tool(&self) -> &'static str {
        match self.table {
            HistoryTable::Wrangler { .. } => "wrangler",
            HistoryTable::Supabase => "supabase",
        }
    }

    /// Reads what the other tool has applied: file names (wrangler) or versions (supabase).
    /// Empty when the table is not there.
    pub async fn read(&self, session: &mut dyn Session) -> Result<Vec<String>, EngineError> {
        let (exists, rows) = match &self.table {
            HistoryTable::Wrangler { table } => (
                format!(
                    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower({})",
                    quote_text(table, Dialect::Sqlite)
                ),
                format!("SELECT name FROM {} ORDER BY id", quote_ident(table, Dialect::Sqlite)),
            ),
            HistoryTable::Supabase => (
                "SELECT 1 WHERE to_regclass('supabase_migrations.schema_migrations') IS NOT NULL"
                    .to_owned(),
                "SELECT version FROM supabase_migrations.schema_migrations ORDER BY version"
                    .to_owned(),
            ),
        };
        if session.query(&exists).await?.is_empty() {
            return Ok(Vec::new());
        }
        let found = session.query(&rows).await?;
        Ok(found.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// How the other tool calls a migration: its key in the table.
    pub fn key<'a>(&self, name: &'a str, version: &'a str) -> &'a str {
        match self.table {
            HistoryTable::Wrangler { .. } => name,
            HistoryTable::Supabase => version,
        }
    }

    /// Statements that make the table as the other tool makes it.
    pub(crate) fn create_sql(&self) -> Vec<String> {
        match &self.table {
            HistoryTable::Wrangler { table } => vec![format!(
                "CREATE TABLE IF NOT EXISTS {}(\n\t\tid         INTEGER PRIMARY KEY AUTOINCREMENT,\n\
                 \t\tname       TEXT UNIQUE,\n\
                 \t\tapplied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL\n)",
                quote_ident(table, Dialect::Sqlite)
            )],
            HistoryTable::Supabase => vec![
                "CREATE SCHEMA IF NOT EXISTS supabase_migrations".to_owned(),
                "CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations \
                 (version text NOT NULL PRIMARY KEY)"
                    .to_owned(),
                "ALTER TABLE supabase_migrations.schema_migrations \
                 ADD COLUMN IF NOT EXISTS statements text[]"
                    .to_owned(),
                "ALTER TABLE supabase_migrations.schema_migrations \
                 ADD COLUMN IF NOT EXISTS name text"
                    .to_owned(),
            ],
        }
    }

    /// The row that says that the migration is applied. Nothing for a migration that the other
    /// tool does not know.
    pub(crate) fn applied_sql(&self, migration: &PlannedMigration, dialect: Dialect) -> String {
        if migration.kind == Kind::Data {
            return String::new();
        }
        let statements: Vec<String> = (0..migration.script.statements.len())
            .map(|index| quote_text(migration.script.statement(index), dialect))
            .collect();
        self.insert_sql(&migration.name, &migration.version, &statements)
    }

    /// The same for a migration of which only the name is at hand.
    pub(crate) fn insert_sql(&self, name: &str, version: &str, statements: &[String]) -> String {
        match &self.table {
            HistoryTable::Wrangler { table } => format!(
                "INSERT OR IGNORE INTO {} (name) VALUES ({})",
                quote_ident(table, Dialect::Sqlite),
                quote_text(name, Dialect::Sqlite)
            ),
            HistoryTable::Supabase => {
                let title = name.strip_suffix(".sql").unwrap_or(name);
                let title = title.strip_prefix(version).unwrap_or(title).trim_start_matches('_');
                format!(
                    "INSERT INTO supabase_migrations.schema_migrations (version, name, statements) \
                     VALUES ({}, {}, ARRAY[{}]::text[]) ON CONFLICT (version) DO NOTHING",
                    quote_text(version, Dialect::Postgres),
                    quote_text(title, Dialect::Postgres),
                    statements.join(", ")
                )
            }
        }
    }

    /// The statement that takes the row out again.
    pub(crate) fn removed_sql(&self, name: &str, version: &str) -> String {
        match &self.table {
            HistoryTable::Wrangler { table } => format!(
                "DELETE FROM {} WHERE name = {}",
                quote_ident(table, Dialect::Sqlite),
                quote_text(name, Dialect::Sqlite)
            ),
            HistoryTable::Supabase => format!(
                "DELETE FROM supabase_migrations.schema_migrations WHERE version = {}",
                quote_text(version, Dialect::Postgres)
            ),
        }
    }
}
