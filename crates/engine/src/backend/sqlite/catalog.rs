//! SQLite's catalog as a snapshot, by its PRAGMAs (which answer from the parsed schema in memory)
//! and by the texts in `sqlite_schema`.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Result, Row};
use whimbrel_core::ddl::{
    self, Change, Check, Constraint, ForeignKey, ObjectKind, ObjectName, ReferentialAction,
};
use whimbrel_core::snapshot::{Column, Index, IndexOrigin, Snapshot, Table, Trigger, Unique, View};
use whimbrel_core::sql::dialect::Dialect;

use crate::backend::Scope;

/// Reads the picture of the objects in `scope`, or of all.
pub(super) fn inspect(connection: &Connection, scope: Option<&Scope>) -> Result<Snapshot> {
    let mut snapshot = Snapshot {
        not_inspected: vec![
            ObjectKind::Schema,
            ObjectKind::Routine,
            ObjectKind::Type,
            ObjectKind::Sequence,
            ObjectKind::Extension,
        ],
        ..Snapshot::default()
    };
    for entry in entries(connection, scope)? {
        match entry.kind.as_str() {
            "table" => snapshot.tables.push(table(connection, &entry)?),
            "view" => snapshot.views.push(View {
                name: ObjectName::bare(entry.name),
                definition: entry.sql,
                ..View::default()
            }),
            _ => snapshot.triggers.push(Trigger {
                name: entry.name,
                table: ObjectName::bare(entry.table),
                definition: entry.sql,
            }),
        }
    }
    Ok(snapshot)
}

/// A row of `sqlite_schema`.
struct Entry {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

const COLUMNS: &str = "type, name, tbl_name, coalesce(sql, '')";
/// From so many objects on, the whole of `sqlite_schema` is read once in place of a look-up each.
const LOOK_UPS_MAX: usize = 32;

/// Tables, views and triggers of the scope. An index counts as its table. Triggers are listed when
/// they are asked for by name, or when everything is.
fn entries(connection: &Connection, scope: Option<&Scope>) -> Result<Vec<Entry>> {
    let Some(scope) = scope else { return all_entries(connection) };
    let names: BTreeSet<String> =
        scope.iter().map(|(_, name)| name.name.to_ascii_lowercase()).collect();
    if names.len() > LOOK_UPS_MAX {
        let mut wanted = names;
        let all = all_entries(connection)?;
        let own = index_tables(connection, &wanted)?;
        wanted.extend(own);
        return Ok(all
            .into_iter()
            .filter(|entry| wanted.contains(&entry.name.to_ascii_lowercase()))
            .collect());
    }
    let mut out: Vec<Entry> = Vec::new();
    for name in &names {
        let Some(found) = entry(connection, name)? else { continue };
        let table = match found.kind.as_str() {
            "index" | "trigger" => entry(connection, &found.table)?,
            _ => None,
        };
        for one in [Some(found), table].into_iter().flatten() {
            let known = out.iter().any(|seen| seen.kind == one.kind && seen.name == one.name);
            if one.kind != "index" && !known {
                out.push(one);
            }
        }
    }
    Ok(out)
}

fn all_entries(connection: &Connection) -> Result<Vec<Entry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sqlite_schema WHERE type IN ('table', 'view', 'trigger') \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' \
         AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY type, name"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], read_entry)?;
    rows.collect()
}

/// The newest object of that name. Objects that were just made stand at the end, so the look-up
/// from there stays short however many there are.
fn entry(connection: &Connection, name: &str) -> Result<Option<Entry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE \
         ORDER BY rowid DESC LIMIT 1"
    );
    connection.prepare_cached(&sql)?.query_row([name], read_entry).optional()
}

/// The tables of those names that are indexes or triggers.
fn index_tables(connection: &Connection, names: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT lower(name), lower(tbl_name) FROM sqlite_schema WHERE type IN ('index', 'trigger')",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let pairs: Vec<(String, String)> = rows.collect::<Result<_>>()?;
    Ok(pairs.into_iter().filter(|(name, _)| names.contains(name)).map(|(_, table)| table).collect())
}

fn read_entry(row: &Row<'_>) -> Result<Entry> {
    Ok(Entry { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
}

fn table(connection: &Connection, entry: &Entry) -> Result<Table> {
    let created =
        ddl::read(&entry.sql, Dialect::Sqlite).into_iter().find_map(|change| match change {
            Change::CreateTable(table) => Some(*table),
            _ => None,
        });
    let mut out = Table { name: ObjectName::bare(entry.name.clone()), ..Table::default() };
    columns(connection, &entry.name, &mut out)?;
    indexes(connection, &entry.name, &mut out)?;
    out.foreign_keys = foreign_keys(connection, &entry.name)?;
    if let Some(created) = created {
        // Checks and generated expressions stand only in the text.
        for column in &created.columns {
            out.checks.extend(column.checks.iter().cloned());
            let live =
                out.columns.iter_mut().find(|live| live.name.eq_ignore_ascii_case(&column.name));
            if let Some(live) = live {
                live.generated.clone_from(&column.generated);
                live.identity = column.identity;
            }
        }
        out.checks.extend(created.constraints.iter().filter_map(|constraint| match constraint {
            Constraint::Check(check) => Some(Check::clone(check)),
            _ => None,
        }));
    }
    Ok(out)
}

/// `PRAGMA table_xinfo`: cid, name, type, notnull, dflt_value, pk, hidden (1 = of a virtual table,
/// 2 and 3 = generated).
fn columns(connection: &Connection, table: &str, out: &mut Table) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)",
    )?;
    let mut rows = statement.query([table])?;
    let mut key: Vec<(i64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, hidden): (String, i64) = (row.get(0)?, row.get(5)?);
        if hidden == 1 {
            continue;
        }
        let place: i64 = row.get(4)?;
        if place > 0 {
            key.push((place, name.clone()));
        }
        out.columns.push(Column {
            name,
            type_name: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            nullable: row.get::<_, i64>(2)? == 0,
            default: row.get(3)?,
            ..Column::default()
        });
    }
    key.sort();
    out.primary_key = key.into_iter().map(|(_, name)| name).collect();
    Ok(())
}

/// `PRAGMA index_list`: seq, name, unique, origin (c = created, u = UNIQUE, pk), partial.
fn indexes(connection: &Connection, table: &str, out: &mut Table) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT l.name, l.\"unique\", l.origin, l.partial, i.name, i.cid \
         FROM pragma_index_list(?1) l JOIN pragma_index_xinfo(l.name) i \
         WHERE i.key = 1 ORDER BY l.name, i.seqno",
    )?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let column: Option<String> = row.get(4)?;
        let column = column.unwrap_or_else(|| "<expression>".to_owned());
        if let Some(last) = out.indexes.last_mut().filter(|last| last.name == name) {
            last.columns.push(column);
            continue;
        }
        let origin: String = row.get(2)?;
        let partial: i64 = row.get(3)?;
        out.indexes.push(Index {
            name,
            columns: vec![column],
            unique: row.get::<_, i64>(1)? == 1,
            valid: true,
            predicate: (partial == 1).then(String::new),
            origin: match origin.as_str() {
                "pk" => IndexOrigin::PrimaryKey,
                "u" => IndexOrigin::Constraint,
                _ => IndexOrigin::Created,
            },
        });
    }
    out.uniques = out
        .indexes
        .iter()
        .filter(|index| index.origin == IndexOrigin::Constraint)
        .map(|index| Unique { name: None, columns: index.columns.clone() })
        .collect();
    index_texts(connection, out)
}

/// Expressions and predicates stand only in the index's text.
fn index_texts(connection: &Connection, out: &mut Table) -> Result<()> {
    for index in &mut out.indexes {
        let expression = index.columns.iter().any(|column| column == "<expression>");
        if index.origin != IndexOrigin::Created || !(expression || index.predicate.is_some()) {
            continue;
        }
        let sql: String = connection
            .prepare_cached("SELECT coalesce(sql, '') FROM sqlite_schema WHERE name = ?1")?
            .query_row([&index.name], |row| row.get(0))?;
        for change in ddl::read(&sql, Dialect::Sqlite) {
            let Change::CreateIndex(created) = change else { continue };
            if created.columns.len() == index.columns.len() {
                index.columns = created
                    .columns
                    .iter()
                    .map(|part| part.column.clone().unwrap_or_else(|| part.text.clone()))
                    .collect();
            }
            index.predicate.clone_from(&created.partial);
        }
    }
    Ok(())
}

/// `PRAGMA foreign_key_list`: id, seq, table, from, to, on_update, on_delete, match.
fn foreign_keys(connection: &Connection, table: &str) -> Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete \
         FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut out: Vec<(i64, ForeignKey)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let from: String = row.get(2)?;
        let to: Option<String> = row.get(3)?;
        if out.last().is_none_or(|(last, _)| *last != id) {
            let key = ForeignKey {
                to_table: ObjectName::bare(row.get::<_, String>(1)?),
                on_update: action(&row.get::<_, String>(4)?),
                on_delete: action(&row.get::<_, String>(5)?),
                ..ForeignKey::default()
            };
            out.push((id, key));
        }
        if let Some((_, key)) = out.last_mut() {
            key.columns.push(from);
            key.to_columns.extend(to);
        }
    }
    Ok(out.into_iter().map(|(_, key)| key).collect())
}

fn action(word: &str) -> ReferentialAction {
    match word {
        "RESTRICT" => ReferentialAction::Restrict,
        "CASCADE" => ReferentialAction::Cascade,
        "SET NULL" => ReferentialAction::SetNull,
        "SET DEFAULT" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}
