//! Which names of which schemas a scope means.

use std::collections::BTreeMap;

use whimbrel_core::ddl::{ObjectKind, ObjectName};

use super::queries::{Filter, quoted};
use super::text;
use crate::backend::mysql::client::Client;
use crate::backend::{DbError, Scope};

/// What is wanted of one schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) schema: String,
    /// Tables, views and sequences.
    pub(super) tables: Filter,
    /// Functions and procedures.
    pub(super) routines: Filter,
}

impl Wanted {
    /// All that is in `schema`.
    pub(super) fn all(schema: &str) -> Wanted {
        Wanted { schema: schema.to_owned(), tables: Filter::All, routines: Filter::All }
    }
}

/// Names by schema.
#[derive(Default)]
struct Names {
    tables: Vec<String>,
    routines: Vec<String>,
    indexes: Vec<String>,
    triggers: Vec<String>,
}

/// Sorts a scope by schema. An index or trigger comes with its table, which is looked up unless
/// the scope names it too.
pub(super) async fn wanted(
    client: &mut Client,
    scope: &Scope,
    current: &str,
) -> Result<Vec<Wanted>, DbError> {
    let mut out = Vec::new();
    for (schema, mut names) in by_schema(scope, current) {
        let mut owners = Vec::new();
        if !names.indexes.is_empty() {
            let from = ("STATISTICS", "TABLE_SCHEMA", "INDEX_NAME", "TABLE_NAME");
            owners.extend(owner_tables(client, from, &schema, &names).await?);
        }
        if !names.triggers.is_empty() {
            let from = ("TRIGGERS", "EVENT_OBJECT_SCHEMA", "TRIGGER_NAME", "EVENT_OBJECT_TABLE");
            owners.extend(owner_tables(client, from, &schema, &names).await?);
        }
        names.tables.extend(owners);
        out.push(Wanted { schema, tables: filter(names.tables), routines: filter(names.routines) });
    }
    Ok(out)
}

fn by_schema(scope: &Scope, current: &str) -> BTreeMap<String, Names> {
    let mut out: BTreeMap<String, Names> = BTreeMap::new();
    for (kind, ObjectName { schema, name }) in scope {
        let schema = schema.clone().unwrap_or_else(|| current.to_owned());
        let names = out.entry(schema).or_default();
        let list = match kind {
            ObjectKind::Table | ObjectKind::View | ObjectKind::Sequence => &mut names.tables,
            ObjectKind::Routine => &mut names.routines,
            ObjectKind::Index => &mut names.indexes,
            ObjectKind::Trigger => &mut names.triggers,
            ObjectKind::Type | ObjectKind::Schema | ObjectKind::Extension => continue,
        };
        list.push(name.clone());
    }
    out
}

fn filter(mut names: Vec<String>) -> Filter {
    names.sort();
    names.dedup();
    if names.is_empty() { Filter::None } else { Filter::Names(names) }
}

/// The tables of indexes or triggers. `from` is the view and its columns for schema, name and
/// table. An index's name says nothing without its table, and the server must open every table to
/// find it, so it is looked up only where the scope names no table at all.
async fn owner_tables(
    client: &mut Client,
    from: (&str, &str, &str, &str),
    schema: &str,
    names: &Names,
) -> Result<Vec<String>, DbError> {
    let (view, schema_column, name_column, table_column) = from;
    let is_index = view == "STATISTICS";
    if is_index && !names.tables.is_empty() {
        return Ok(Vec::new());
    }
    let list = if is_index { &names.indexes } else { &names.triggers };
    let sql = format!(
        "SELECT DISTINCT {table_column} FROM information_schema.{view} \
         WHERE {schema_column} = {} AND {}",
        quoted(schema),
        filter(list.clone()).sql(name_column)
    );
    let sets = client.sets(&sql).await?;
    Ok(sets.iter().flatten().map(|row| text(row, 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_schema() {
        let scope = [
            (ObjectKind::Table, ObjectName::bare("a")),
            (ObjectKind::View, ObjectName::in_schema("other", "v")),
            (ObjectKind::Routine, ObjectName::in_schema("app", "f")),
            (ObjectKind::Schema, ObjectName::bare("new")),
        ];
        let found = by_schema(&scope, "app");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["app", "other"]);
        assert_eq!(found["app"].tables, ["a"]);
        assert_eq!(found["app"].routines, ["f"]);
        assert_eq!(found["other"].tables, ["v"]);
    }

    #[test]
    fn one_name_is_compared_and_several_are_listed() {
        let one = filter(vec!["a".into(), "a".into()]);
        assert_eq!(one.sql("T"), format!("T = {}", quoted("a")));
        let two = filter(vec!["b".into(), "a".into()]);
        assert_eq!(two.sql("T"), format!("T IN ({}, {})", quoted("a"), quoted("b")));
        assert_eq!(filter(Vec::new()), Filter::None);
    }
}
