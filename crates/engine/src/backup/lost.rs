//! Which rows would be lost if a database took the place of another: those that differ.

use std::collections::BTreeMap;

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use crate::backend::Session;
use crate::error::EngineError;
use crate::ledger::{number, text};

/// Under this name the saved database is attached to the present one.
pub(crate) const SAVED: &str = "whimbrel_saved";
/// The present one.
const PRESENT: &str = "main";
/// What the names of Whimbrel's, SQLite's and D1's own tables begin with.
const OWN_PREFIXES: [&str; 3] = ["whimbrel_", "sqlite_", "_cf_"];

/// What the count leaves out, because it is known why it differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// Whole tables.
    pub tables: Vec<String>,
    /// Columns: table and column. A row that differs in nothing else does not count.
    pub columns: Vec<(String, String)>,
    /// What this run of `up` changed itself.
    pub run: Option<String>,
}

/// The rows of a table that differ from those that were saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRows {
    /// The table.
    pub table: String,
    /// Rows that were not there.
    pub added: u64,
    /// Rows that were otherwise.
    pub changed: u64,
    /// Rows that are there no more.
    pub removed: u64,
}

impl LostRows {
    /// All of them.
    pub fn rows(&self) -> u64 {
        self.added.saturating_add(self.changed).saturating_add(self.removed)
    }
}

/// One side of a table.
struct Table {
    /// Columns by lower-case name: the name, and the default.
    columns: BTreeMap<String, (String, String)>,
    /// What says which row is which: the rowid, or the primary key.
    key: Vec<String>,
}

/// Counts, for each table, the rows of the database that differ from those of the one that is
/// attached as [`SAVED`]. Rows are matched by rowid, or by the primary key of a table `WITHOUT
/// ROWID`; values are the same when they have the same type and the same bytes.
pub(crate) async fn lost_rows(
    session: &mut dyn Session,
    apart: &Apart,
) -> Result<Vec<LostRows>, EngineError> {
    let (mut present, mut saved) = (tables(session, PRESENT).await?, tables(session, SAVED).await?);
    let mut names: Vec<String> =
        present.iter().chain(&saved).map(|(name, _)| name.clone()).collect();
    names.sort_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    let mut out = Vec::new();
    for name in names {
        let same = |one: &(String, bool)| one.0.eq_ignore_ascii_case(&name);
        if apart.tables.iter().any(|table| table.eq_ignore_ascii_case(&name)) {
            continue;
        }
        let here = take(&mut present, same);
        let there = take(&mut saved, same);
        let lost = match (here, there) {
            (Some((table, _)), None) => LostRows {
                added: count(session, PRESENT, &table).await?,
                table,
                changed: 0,
                removed: 0,
            },
            (None, Some((table, _))) => LostRows {
                removed: count(session, SAVED, &table).await?,
                table,
                added: 0,
                changed: 0,
            },
            (Some(here), Some(there)) => differing(session, &here, &there, apart).await?,
            (None, None) => continue,
        };
        if lost.rows() > 0 {
            out.push(lost);
        }
    }
    Ok(out)
}

fn take(
    all: &mut Vec<(String, bool)>,
    wanted: impl Fn(&(String, bool)) -> bool,
) -> Option<(String, bool)> {
    all.iter().position(wanted).map(|index| all.swap_remove(index))
}

/// The tables that hold rows of the user's, each with whether it is `WITHOUT ROWID`. Of a virtual
/// table it is the shadow table that holds the rows; where none does alone, all of them.
async fn tables(
    session: &mut dyn Session,
    schema: &str,
) -> Result<Vec<(String, bool)>, EngineError> {
    let sql = format!("SELECT name, type, wr FROM pragma_table_list WHERE schema = '{schema}'");
    let rows = session.query(&sql).await?;
    let of = |kind: &str| -> Vec<(String, bool)> {
        let rows = rows.iter().filter(|row| text(row, 1) == kind);
        rows.map(|row| (text(row, 0), number(row, 2) != 0)).collect()
    };
    let own = |name: &str| {
        let lower = name.to_ascii_lowercase();
        OWN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
    };
    let (virtuals, shadows) = (of("virtual"), of("shadow"));
    let mut out = of("table");
    for (name, _) in &virtuals {
        let prefix = format!("{name}_");
        let of_it: Vec<_> =
            shadows.iter().filter(|(shadow, _)| shadow.starts_with(&prefix)).cloned().collect();
        let content = format!("{name}_content");
        match of_it.iter().find(|(shadow, _)| *shadow == content) {
            Some(content) => out.push(content.clone()),
            None => out.extend(of_it),
        }
    }
    out.retain(|(name, _)| !own(name));
    Ok(out)
}

async fn count(session: &mut dyn Session, schema: &str, table: &str) -> Result<u64, EngineError> {
    let sql = format!("SELECT count(*) FROM {}", qualified(schema, table));
    let rows = session.query(&sql).await?;
    Ok(rows.first().map_or(0, |row| unsigned(number(row, 0))))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn quoted(name: &str) -> String {
    quote_ident(name, Dialect::Sqlite)
}

fn qualified(schema: &str, table: &str) -> String {
    format!("{schema}.{}", quoted(table))
}

/// A table's own columns, without those that are generated.
async fn read(
    session: &mut dyn Session,
    schema: &str,
    (name, without_rowid): &(String, bool),
) -> Result<Table, EngineError> {
    let table = whimbrel_core::sql::quote::quote_text(name, Dialect::Sqlite);
    let sql = format!(
        "SELECT name, upper(type), coalesce(dflt_value, 'NULL'), pk, hidden \
         FROM pragma_table_xinfo({table}, '{schema}') ORDER BY pk"
    );
    let rows = session.query(&sql).await?;
    let mut columns = BTreeMap::new();
    let mut primary = Vec::new();
    for row in &rows {
        if number(row, 3) > 0 {
            primary.push((quoted(&text(row, 0)), text(row, 1)));
        }
        if number(row, 4) == 0 {
            columns.insert(text(row, 0).to_lowercase(), (text(row, 0), text(row, 2)));
        }
    }
    let all: Vec<String> = rows.iter().map(|row| text(row, 0).to_lowercase()).collect();
    let free =
        ["rowid", "_rowid_", "oid"].into_iter().find(|name| !all.iter().any(|one| one == name));
    let key = match (primary.as_slice(), without_rowid, free) {
        (keys, true, _) => keys.iter().map(|(name, _)| name.clone()).collect(),
        ([(name, kind)], false, None) if kind == "INTEGER" => vec![name.clone()],
        (_, false, Some(name)) => vec![name.to_owned()],
        // Its columns have taken all names of the rowid: nobody can say which row is which.
        (_, false, None) => Vec::new(),
    };
    Ok(Table { columns, key })
}

async fn differing(
    session: &mut dyn Session,
    here: &(String, bool),
    there: &(String, bool),
    apart: &Apart,
) -> Result<LostRows, EngineError> {
    let (present, saved) =
        (read(session, PRESENT, here).await?, read(session, SAVED, there).await?);
    let table = here.0.clone();
    let matched = !present.key.is_empty()
        && here.1 == there.1
        && (!here.1 || same_names(&present.key, &saved.key));
    if !matched {
        return Ok(LostRows {
            table,
            added: count(session, PRESENT, &here.0).await?,
            changed: 0,
            removed: count(session, SAVED, &there.0).await?,
        });
    }
    let (a, b) = (qualified(PRESENT, &here.0), qualified(SAVED, &there.0));
    let keys: Vec<String> = std::iter::zip(&present.key, &saved.key)
        .map(|(here, there)| format!("a.{here} = b.{there}"))
        .collect();
    let keys = keys.join(" AND ");
    let unlike = unlike(&present, &saved, |column| {
        apart.columns.iter().any(|(table, name)| {
            table.eq_ignore_ascii_case(&here.0) && name.eq_ignore_ascii_case(column)
        })
    });
    let sql = format!(
        "SELECT (SELECT count(*) FROM {a} a WHERE NOT EXISTS (SELECT 1 FROM {b} b WHERE {keys})), \
         (SELECT count(*) FROM {b} b WHERE NOT EXISTS (SELECT 1 FROM {a} a WHERE {keys})), \
         (SELECT count(*) FROM {a} a JOIN {b} b ON {keys} WHERE {unlike})"
    );
    let rows = session.query(&sql).await?;
    let at = |index| rows.first().map_or(0, |row| unsigned(number(row, index)));
    Ok(LostRows { table, added: at(0), removed: at(1), changed: at(2) })
}

fn same_names(here: &[String], there: &[String]) -> bool {
    here.len() == there.len() && std::iter::zip(here, there).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// When a row is not as it was saved. A column that was not there then differs where it holds
/// something else than its default.
fn unlike(present: &Table, saved: &Table, left_out: impl Fn(&str) -> bool) -> String {
    let mut conditions = Vec::new();
    for (lower, (name, default)) in &present.columns {
        if left_out(name) {
            continue;
        }
        let name = quoted(name);
        conditions.push(match saved.columns.get(lower) {
            Some((other, _)) => {
                let other = quoted(other);
                format!(
                    "a.{name} IS NOT b.{other} COLLATE BINARY OR typeof(a.{name}) <> typeof(b.{other})"
                )
            }
            None => format!("(a.{name} IS NOT NULL AND a.{name} IS NOT ({default}))"),
        });
    }
    if conditions.is_empty() { "0".to_owned() } else { conditions.join(" OR ") }
}
