//! Keys of rows that other rows refer to.

use whimbrel_core::data::key_literal;
use whimbrel_core::ddl::ObjectName;
use whimbrel_core::fake::ParentKeys;
use whimbrel_core::snapshot::Snapshot;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use crate::apply::keep::sql_name;
use crate::backend::Session;
use crate::data::key::value_text;
use crate::error::EngineError;

/// Rows of a parent that are referred to: the first in key order. They are held in memory.
pub(super) const KEYS_MAX: usize = 100_000;

/// The values of some columns as literals, in their order, without rows in which one is NULL.
pub(super) async fn keys(
    session: &mut dyn Session,
    snapshot: &Snapshot,
    dialect: Dialect,
    table: &ObjectName,
    columns: &[String],
) -> Result<ParentKeys, EngineError> {
    let known = snapshot.table(table, dialect);
    let type_of = |name: &String| {
        let all = known.into_iter().flat_map(|table| &table.columns);
        all.filter(|column| column.name == *name).map(|column| column.type_name.as_str()).next()
    };
    let types: Vec<&str> = columns.iter().map(|name| type_of(name).unwrap_or("text")).collect();
    let quoted: Vec<String> = columns.iter().map(|name| quote_ident(name, dialect)).collect();
    let texts: Vec<String> = quoted
        .iter()
        .zip(&types)
        .map(|(name, type_name)| value_text(name, type_name, dialect))
        .collect();
    let filled: Vec<String> = quoted.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {KEYS_MAX}",
        texts.join(", "),
        sql_name(table, dialect),
        filled.join(" AND "),
        quoted.join(", ")
    );
    let rows = session.query(&sql).await?;
    let literals = |row: Vec<Option<String>>| -> Option<Vec<String>> {
        let values = row.into_iter().zip(&types);
        values.map(|(text, type_name)| key_literal(&text?, type_name, dialect)).collect()
    };
    Ok(rows.into_iter().filter_map(literals).collect())
}
