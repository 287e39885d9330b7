//! Rows and digests of every table, to compare a restored database with the one that was saved.

use whimbrel_core::backup::TableDigest;
use whimbrel_core::rows::Chunk;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;
use whimbrel_core::transfer::{Class, Digester, Summary};

use super::BackupPlace;
use crate::backend::Session;
use crate::error::EngineError;
use crate::ledger::text;

/// SQLite's tables with rows of their own; those of virtual tables are kept in shadow tables.
const SQLITE_TABLES: &str = "SELECT name FROM pragma_table_list \
     WHERE schema = 'main' AND type IN ('table', 'shadow')";
/// The catalog, without the pages' numbers.
const SQLITE_SCHEMA: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema";

/// The tables of a SQLite database, ordered by name.
pub(crate) async fn tables(
    session: &mut dyn Session,
    place: &BackupPlace,
) -> Result<Vec<TableDigest>, EngineError> {
    let rows = session.query(SQLITE_TABLES).await?;
    let mut names: Vec<String> = rows.iter().map(|row| text(row, 0)).collect();
    names.sort_unstable();
    let mut out = Vec::with_capacity(names.len());
    for name in names {
        let sql = match name.as_str() {
            "sqlite_schema" => SQLITE_SCHEMA.to_owned(),
            _ => format!("SELECT * FROM main.{}", quote_ident(&name, Dialect::Sqlite)),
        };
        let summary = summary(session, &sql, place).await?;
        out.push(TableDigest { name, rows: summary.rows(), digest: summary.digest() });
    }
    Ok(out)
}

async fn summary(
    session: &mut dyn Session,
    sql: &str,
    place: &BackupPlace,
) -> Result<Summary, EngineError> {
    let mut stream = session.stream(sql).await?;
    let classes = vec![Class::Other(String::new()); stream.columns().len()];
    let mut digester = Digester::new(classes, Vec::new());
    let (mut summary, mut chunk) = (Summary::default(), Chunk::default());
    while stream.next(&mut chunk).await? {
        place.go_on()?;
        for row in chunk.rows() {
            let (key, all) = digester.row(row);
            summary.add(key, all);
        }
    }
    Ok(summary)
}

/// What SQLite itself finds wrong with a database; `thorough` also holds indexes against tables.
pub(crate) async fn check_database(
    session: &mut dyn Session,
    thorough: bool,
) -> Result<Option<String>, EngineError> {
    let pragma = if thorough { "integrity_check" } else { "quick_check" };
    let rows = session.query(&format!("PRAGMA {pragma}(1)")).await?;
    let said = rows.first().map(|row| text(row, 0)).unwrap_or_default();
    Ok((said != "ok").then_some(said))
}
