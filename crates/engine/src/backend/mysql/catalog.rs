//! The server's catalog as a snapshot, from `information_schema`.
//!
//! Each query names the schema and the tables as constants: the server then opens those tables
//! only. All of them go to the server in one message.
//!
//! Names in the connection's own database come without a schema, so that the same schema in another
//! database gives the same picture.

mod queries;
mod scope;
mod table;

use std::collections::BTreeMap;

use whimbrel_core::ddl::{ObjectKind, ObjectName};
use whimbrel_core::snapshot::{Routine, Snapshot, Table, Trigger, View};

use self::queries::{Filter, routines_sql, sequence_of_queries};
use self::scope::Wanted;
use super::client::Client;
use crate::backend::{DbError, Row, Scope};

/// Rows of the ledger's own tables are never part of a picture.
const OWN_PREFIX: &str = "whimbrel_";

/// Reads the picture of the objects in `scope`, or of the connection's whole database.
pub(super) async fn inspect(
    client: &mut Client,
    scope: Option<&Scope>,
) -> Result<Snapshot, DbError> {
    let sets = client.sets("SELECT DATABASE()").await?;
    let current = sets.first().and_then(|rows| rows.first()).map(|row| text(row, 0));
    let current = current.unwrap_or_default();
    let mut snapshot = Snapshot {
        default_schema: Some(current.clone()).filter(|name| !name.is_empty()),
        // There are none.
        not_inspected: vec![ObjectKind::Type, ObjectKind::Extension],
        ..Snapshot::default()
    };
    let wanted = match scope {
        None => {
            snapshot.schemas.push(current.clone());
            vec![Wanted::all(&current)]
        }
        Some(scope) => {
            snapshot.schemas = schemas(client, scope).await?;
            scope::wanted(client, scope, &current).await?
        }
    };
    for wanted in &wanted {
        let schema = Some(wanted.schema.clone()).filter(|schema| *schema != current);
        if wanted.tables != Filter::None {
            relations(client, wanted, schema.as_deref(), &mut snapshot).await?;
        }
        if wanted.routines != Filter::None {
            let sets = client.sets(&routines_sql(&wanted.schema, &wanted.routines)).await?;
            snapshot.routines.extend(routines(&sets, schema.as_deref()));
        }
    }
    Ok(snapshot)
}

/// The databases among the names of kind schema.
async fn schemas(client: &mut Client, scope: &Scope) -> Result<Vec<String>, DbError> {
    let names: Vec<String> = scope
        .iter()
        .filter(|(kind, _)| *kind == ObjectKind::Schema)
        .map(|(_, name)| name.name.clone())
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE {}",
        Filter::Names(names).sql("SCHEMA_NAME")
    );
    let sets = client.sets(&sql).await?;
    Ok(sets.iter().flatten().map(|row| text(row, 0)).collect())
}

/// Tables, views, sequences and triggers of one schema.
async fn relations(
    client: &mut Client,
    wanted: &Wanted,
    schema: Option<&str>,
    snapshot: &mut Snapshot,
) -> Result<(), DbError> {
    let sql = sequence_of_queries(client, &wanted.schema, &wanted.tables);
    let mut sets = client.sets(&sql).await?.into_iter();
    let mut next = || sets.next().unwrap_or_default();
    let named = |name: String| ObjectName { schema: schema.map(str::to_owned), name };
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in next() {
        let name = text(&row, 0);
        match text(&row, 1).as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => {
                let mut table = Table { name: named(name.clone()), ..Table::default() };
                table::options(&row, &mut table);
                tables.insert(name, table);
            }
            "SEQUENCE" => snapshot.sequences.push(named(name)),
            // Views come with their text below.
            _ => {}
        }
    }
    table::columns(&next(), client.is_mariadb(), &mut tables);
    table::indexes(&next(), &mut tables);
    let (key_columns, rules) = (next(), next());
    table::foreign_keys(&key_columns, &rules, schema, &wanted.schema, &mut tables);
    table::checks(&next(), &mut tables);
    snapshot.triggers.extend(next().iter().map(|row| trigger(row, schema)));
    snapshot.views.extend(next().iter().map(|row| view(row, schema)));
    partitions(client, wanted, &mut tables).await?;
    snapshot.tables.extend(tables.into_values());
    Ok(())
}

/// Partitions are looked up for partitioned tables only.
async fn partitions(
    client: &mut Client,
    wanted: &Wanted,
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), DbError> {
    let partitioned = |table: &Table| table.options.contains("partitioned");
    let names: Vec<String> =
        tables.iter().filter(|(_, table)| partitioned(table)).map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let sql = queries::partitions_sql(&wanted.schema, &Filter::Names(names));
    let sets = client.sets(&sql).await?;
    for row in sets.iter().flatten() {
        if let Some(table) = tables.get_mut(&text(row, 0)) {
            let parts: Vec<&str> = row.iter().skip(1).filter_map(Option::as_deref).collect();
            table.options.push_str(&format!("; partition {}", parts.join(" ")));
        }
    }
    Ok(())
}

fn trigger(row: &Row, schema: Option<&str>) -> Trigger {
    let table = ObjectName { schema: schema.map(str::to_owned), name: text(row, 1) };
    let definition = format!(
        "{} {} ON {} FOR EACH ROW {}",
        text(row, 2),
        text(row, 3),
        text(row, 1),
        text(row, 4)
    );
    Trigger { name: text(row, 0), table, definition }
}

fn view(row: &Row, schema: Option<&str>) -> View {
    let mut definition = text(row, 1);
    if let Some(check) = optional(row, 2).filter(|check| check != "NONE") {
        definition.push_str(&format!(" WITH {check} CHECK OPTION"));
    }
    let name = ObjectName { schema: schema.map(str::to_owned), name: text(row, 0) };
    View { name, definition, ..View::default() }
}

/// Functions and procedures, and the parameters of all of them.
fn routines(sets: &[Vec<Row>], schema: Option<&str>) -> Vec<Routine> {
    let (Some(rows), Some(parameters)) = (sets.first(), sets.get(1)) else { return Vec::new() };
    rows.iter()
        .map(|row| {
            let (specific, kind) = (text(row, 0), text(row, 2));
            let arguments: Vec<String> = parameters
                .iter()
                .filter(|one| text(one, 0) == specific && text(one, 1) == kind)
                .map(|one| {
                    let words = [text(one, 2), text(one, 3), text(one, 4)];
                    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
                })
                .collect();
            let rest: Vec<&str> = row.iter().skip(2).filter_map(Option::as_deref).collect();
            Routine {
                name: ObjectName { schema: schema.map(str::to_owned), name: text(row, 1) },
                arguments: arguments.join(", "),
                definition: rest.join(" "),
            }
        })
        .collect()
}

fn text(row: &Row, at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

fn optional(row: &Row, at: usize) -> Option<String> {
    row.get(at).cloned().flatten()
}
