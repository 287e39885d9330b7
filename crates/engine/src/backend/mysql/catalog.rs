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
///
/// The server prints expressions by the session's `sql_mode`; a picture shall not depend on it.
pub(super) async fn inspect(
    client: &mut Client,
    scope: Option<&Scope>,
) -> Result<Snapshot, DbError> {
    let sets = client.sets("SELECT DATABASE(), @@SESSION.sql_mode").await?;
    let row = sets.into_iter().flatten().next().unwrap_or_default();
    let (current, mode) = (text(&row, 0), text(&row, 1));
    if !mode.contains("ANSI_QUOTES") {
        return picture(client, scope, current).await;
    }
    client.batch("SET SESSION sql_mode = ''").await?;
    let snapshot = picture(client, scope, current).await;
    // The value is a list of plain words.
    client.batch(&format!("SET SESSION sql_mode = '{mode}'")).await?;
    snapshot
}

async fn picture(
    client: &mut Client,
    scope: Option<&Scope>,
    current: String,
) -> Result<Snapshot, DbError> {
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
        let place = Place { own: &wanted.schema, written: schema.as_deref() };
        for filter in wanted.tables.parts() {
            relations(client, &place, &filter, &mut snapshot).await?;
        }
        if wanted.routines != Filter::None {
            let sets = client.sets(&routines_sql(&wanted.schema, &wanted.routines)).await?;
            snapshot.routines.extend(routines(&sets, &place));
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

/// A schema, and how names in it are written.
struct Place<'a> {
    own: &'a str,
    /// The schema in front of a name; none in the connection's own database.
    written: Option<&'a str>,
}

impl Place<'_> {
    fn object(&self, name: String) -> ObjectName {
        ObjectName { schema: self.written.map(str::to_owned), name }
    }
}

/// Tables, views, sequences and triggers of one schema.
async fn relations(
    client: &mut Client,
    place: &Place<'_>,
    filter: &Filter,
    snapshot: &mut Snapshot,
) -> Result<(), DbError> {
    let sql = sequence_of_queries(client, place.own, filter);
    let mut sets = client.sets(&sql).await?.into_iter();
    let mut next = || sets.next().unwrap_or_default();
    let named = |name: String| place.object(name);
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
    table::foreign_keys(&key_columns, &rules, place, &mut tables);
    table::checks(&next(), &mut tables);
    snapshot.triggers.extend(next().iter().map(|row| trigger(row, place)));
    snapshot.views.extend(next().iter().map(|row| view(row, place)));
    partitions(client, place, &mut tables).await?;
    snapshot.tables.extend(tables.into_values());
    Ok(())
}

/// Partitions are looked up for partitioned tables only.
async fn partitions(
    client: &mut Client,
    place: &Place<'_>,
    tables: &mut BTreeMap<String, Table>,
) -> Result<(), DbError> {
    let partitioned = |table: &Table| table.options.contains("partitioned");
    let names: Vec<String> = tables
        .iter()
        .filter(|(_, table)| partitioned(table))
        .map(|(name, _)| name.clone())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let sql = queries::partitions_sql(place.own, &Filter::Names(names));
    let sets = client.sets(&sql).await?;
    for row in sets.iter().flatten() {
        if let Some(table) = tables.get_mut(&text(row, 0)) {
            let parts: Vec<&str> = row.iter().skip(1).filter_map(Option::as_deref).collect();
            table.options.push_str(&format!("; partition {}", parts.join(" ")));
        }
    }
    Ok(())
}

fn trigger(row: &Row, place: &Place<'_>) -> Trigger {
    let table = place.object(text(row, 1));
    let definition = format!(
        "{} {} ON {} FOR EACH ROW {}",
        text(row, 2),
        text(row, 3),
        text(row, 1),
        text(row, 4)
    );
    Trigger { name: text(row, 0), table, definition }
}

fn view(row: &Row, place: &Place<'_>) -> View {
    let mut definition = text(row, 1);
    if place.written.is_none() {
        // The server prints the database in front of every name.
        definition = definition.replace(&format!("`{}`.", place.own.replace('`', "``")), "");
    }
    if let Some(check) = optional(row, 2).filter(|check| check != "NONE") {
        definition.push_str(&format!(" WITH {check} CHECK OPTION"));
    }
    View { name: place.object(text(row, 0)), definition, ..View::default() }
}

/// Functions and procedures, and the parameters of all of them.
fn routines(sets: &[Vec<Row>], place: &Place<'_>) -> Vec<Routine> {
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
                name: place.object(text(row, 1)),
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
