//! UPDATE and DELETE: the key that batches go along, and what the statement does to it.

use super::key::{Key, choose, column, implied_writes, unique_keys};
use super::parse::Parsed;
use super::refusal::{Refusal, RefusalCode};
use super::rewrite::Cuts;
use super::scope::Relation;
use super::{BatchOptions, Catalog, side};
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;

/// The key that `by` names, else the first one that the statement leaves as it is.
pub(super) fn target_key(
    table: &Table,
    relation: &Relation,
    written: &[String],
    catalog: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Key, Refusal> {
    let (span, dialect) = (relation.span.clone(), catalog.dialect);
    if let Some(by) = &options.by {
        let wanted = side::named_key(by, relation, table, dialect);
        return wanted.map_err(|message| Refusal::new(RefusalCode::ByNotUsable, span, message));
    }
    let stays = |set: &Vec<String>| {
        !set.iter().any(|part| written.iter().any(|name| same_column_name(name, part, dialect)))
    };
    if let Some(columns) = unique_keys(table, dialect).into_iter().find(stays) {
        return Ok(Key { columns, rowid: false });
    }
    choose(table, dialect).map_err(|(code, message)| Refusal::new(code, span, message))
}

/// Refuses an UPDATE that moves rows along the key.
pub(super) fn writes_key(
    table: &Table,
    key: &Key,
    written: &[String],
    catalog: &Catalog<'_>,
    parsed: &Parsed,
) -> Result<(), Refusal> {
    let dialect = catalog.dialect;
    let implied = implied_writes(table).map(str::to_owned);
    let written: Vec<String> = written.iter().cloned().chain(implied).collect();
    // Where rowids stand in for a primary key that admits NULL, that key is still the key.
    let primary = if key.rowid { table.primary_key.as_slice() } else { &[] };
    let rowids = ["rowid", "_rowid_", "oid"].map(str::to_owned);
    let rowids = if key.rowid { rowids.as_slice() } else { &[] };
    let mut parts = key.columns.iter().chain(primary).chain(rowids);
    let moved = parts.find(|part| written.iter().any(|name| same_column_name(name, part, dialect)));
    match moved {
        Some(column) => {
            let message = format!("The statement changes the key column `{column}`");
            Err(Refusal::new(RefusalCode::WritesBatchKey, parsed.text.span(), message))
        }
        None => Ok(()),
    }
}

/// Refuses `OR IGNORE` where it leaves out rows whose new value another row has at that moment.
pub(super) fn left_out(
    parsed: &Parsed,
    cuts: Option<&Cuts>,
    table: &Table,
    written: &[String],
) -> Result<(), Refusal> {
    let (text, dialect) = (&parsed.text, parsed.text.dialect);
    let mut prefix = cuts.into_iter().flat_map(|cuts| cuts.prefix.clone());
    let ignores = prefix.any(|at| text.at(at, "IGNORE"));
    let is_written = |name: &String| match column(table, name, dialect) {
        Some(_) => written.iter().any(|written| same_column_name(written, name, dialect)),
        // What an expression is computed from is not looked for.
        None => true,
    };
    let uniques = table.uniques.iter().map(|unique| &unique.columns);
    let indexes = table.indexes.iter().filter(|index| index.unique).map(|index| &index.columns);
    let mut sets = std::iter::once(&table.primary_key).chain(uniques).chain(indexes);
    if ignores && sets.any(|set| set.iter().any(is_written)) {
        let message = "IGNORE leaves out rows whose new unique value is taken at that moment";
        return Err(Refusal::new(RefusalCode::NotParsed, text.span(), message));
    }
    Ok(())
}
