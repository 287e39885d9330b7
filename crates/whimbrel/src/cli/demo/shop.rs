//! The application that owns the database: it makes the tables before there is any migration, and
//! it counts rows with a connection of its own, so that no verb is believed by its own word.
//!
//! This is the one place of the command line that opens a database itself.

use std::path::{Path, PathBuf};

use whimbrel_engine::backend::sqlite::SqliteBackend;
use whimbrel_engine::backend::{Backend, DbError, Session};

use crate::error::{CommandError, Exit};

const LEGACY: &str = include_str!("files/legacy.sql");
/// The database's file.
pub(super) const FILE: &str = "shop.db";

/// The tables of the user's with their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables(pub(super) Vec<(String, u64)>);

/// The application.
pub(super) struct Shop {
    path: PathBuf,
}

impl Shop {
    pub(super) fn new(folder: &Path) -> Shop {
        Shop { path: folder.join(FILE) }
    }

    /// Makes the tables and fills them, as the application did before anybody thought of
    /// migrations.
    pub(super) async fn make(&self) -> Result<(), CommandError> {
        let mut session = self.open().await?;
        session.batch(LEGACY).await.map_err(failed)
    }

    /// The tables that are there now, without the ledger's.
    pub(super) async fn tables(&self) -> Result<Tables, CommandError> {
        let mut session = self.open().await?;
        let names = session
            .query(
                "SELECT name FROM sqlite_schema WHERE type = 'table' \
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                 AND name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' ORDER BY name",
            )
            .await
            .map_err(failed)?;
        let mut out = Vec::new();
        for name in names.into_iter().flatten().flatten() {
            let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
            let rows = session.query(&sql).await.map_err(failed)?;
            let count = rows.first().and_then(|row| row.first()).cloned().flatten();
            out.push((name, count.and_then(|count| count.parse().ok()).unwrap_or(0)));
        }
        Ok(Tables(out))
    }

    async fn open(&self) -> Result<Box<dyn Session>, CommandError> {
        SqliteBackend::new(&self.path, true).connect().await.map_err(failed)
    }
}

impl Tables {
    /// How many rows a table has; `None` when it is not there.
    pub(super) fn rows(&self, table: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| name == table).map(|(_, rows)| *rows)
    }

    /// `customers 200 rows, orders 1000 rows`.
    pub(super) fn words(&self) -> String {
        let parts: Vec<String> =
            self.0.iter().map(|(name, rows)| format!("{name} {rows} rows")).collect();
        parts.join(", ")
    }
}

fn failed(error: DbError) -> CommandError {
    CommandError {
        exit: Exit::Failed,
        message: format!("The demo's own look into {FILE} failed: {error}"),
        lines: Vec::new(),
        hints: Vec::new(),
    }
}
