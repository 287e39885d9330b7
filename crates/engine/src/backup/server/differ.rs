//! Which rows differ between two databases of one server. Both are read in the order of their keys,
//! side by side, so that there is little in memory however many rows there are.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use whimbrel_core::rows::{Cell, Chunk, Row};
use whimbrel_core::sql::dialect::Dialect;

use super::{mariadb, postgres};
use crate::backend::{RowStream, Session};
use crate::backup::{Apart, LostRows};
use crate::error::EngineError;
use crate::ledger::number;

/// A table of one of the two databases.
pub(super) struct Side {
    /// What stands behind FROM, with the condition where there is one.
    pub(super) from: String,
    /// Columns of the primary key; none where there is none.
    pub(super) key: Vec<String>,
    /// Its columns by name.
    pub(super) columns: BTreeMap<String, Column>,
}

/// A column of it.
pub(super) struct Column {
    /// What gives its value in SQL: on PostgreSQL as text, on MariaDB as it is.
    pub(super) value: String,
    /// What gives its default in the same form, where it is the same for every row.
    pub(super) default: Option<String>,
}

/// Counts, for each table, the rows of `here` that differ from those of `there`. Rows are matched
/// by the primary key; of a table without one whole rows are, and a changed one counts twice.
pub(crate) async fn lost_between(
    here: &mut dyn Session,
    there: &mut dyn Session,
    dialect: Dialect,
    apart: &Apart,
) -> Result<Vec<LostRows>, EngineError> {
    let (mut present, mut saved) = (sides(here, dialect).await?, sides(there, dialect).await?);
    let mut names: Vec<String> = present.keys().chain(saved.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !is_own(name, dialect) && !is_apart(name, apart));
    let mut out = Vec::new();
    for table in names {
        let lost = match (present.remove(&table), saved.remove(&table)) {
            (Some(a), Some(b)) => compare(table, (here, &a), (there, &b), dialect).await?,
            (Some(a), None) => {
                LostRows { added: count(here, &a).await?, table, changed: 0, removed: 0 }
            }
            (None, Some(b)) => {
                LostRows { removed: count(there, &b).await?, table, changed: 0, added: 0 }
            }
            (None, None) => continue,
        };
        if lost.rows() > 0 {
            out.push(lost);
        }
    }
    Ok(out)
}

/// Whether a table is Whimbrel's own.
pub(super) fn is_own(name: &str, dialect: Dialect) -> bool {
    let prefix = if dialect == Dialect::Postgres { "whimbrel." } else { "whimbrel_" };
    name.starts_with(prefix)
}

/// Whether a table is left out.
pub(super) fn is_apart(name: &str, apart: &Apart) -> bool {
    let table = name.rsplit_once('.').map_or(name, |(_, table)| table);
    apart.tables.iter().any(|one| one == name || one == table)
}

async fn sides(
    session: &mut dyn Session,
    dialect: Dialect,
) -> Result<BTreeMap<String, Side>, EngineError> {
    match dialect {
        Dialect::Mysql => mariadb::sides(session).await,
        Dialect::Postgres | Dialect::Sqlite => postgres::sides(session).await,
    }
}

async fn count(session: &mut dyn Session, of: &Side) -> Result<u64, EngineError> {
    let rows = session.query(&format!("SELECT count(*) FROM {}", of.from)).await?;
    Ok(rows.first().map_or(0, |row| u64::try_from(number(row, 0)).unwrap_or(0)))
}

async fn compare(
    table: String,
    (here, present): (&mut dyn Session, &Side),
    (there, saved): (&mut dyn Session, &Side),
    dialect: Dialect,
) -> Result<LostRows, EngineError> {
    let both: Vec<&String> =
        present.columns.keys().filter(|name| saved.columns.contains_key(*name)).collect();
    let matched = !present.key.is_empty() && present.key == saved.key;
    let keys = if matched { present.key.len() } else { 1 };
    // A column that was not there then differs where it holds something else than its default.
    let only_here = present.columns.iter().filter(|(name, _)| !saved.columns.contains_key(*name));
    let news: Vec<String> = only_here
        .map(|(_, Column { value, default })| match (default, dialect) {
            (None, _) => format!("{value} IS NOT NULL"),
            (Some(default), Dialect::Mysql) => {
                format!("({value} IS NOT NULL AND NOT ({value} <=> {default}))")
            }
            (Some(default), _) => {
                format!("({value} IS NOT NULL AND {value} IS DISTINCT FROM {default})")
            }
        })
        .collect();
    let is_new = match news.is_empty() {
        true => "'0'".to_owned(),
        false => format!("CASE WHEN {} THEN '1' ELSE '0' END", news.join(" OR ")),
    };
    let sql = |side: &Side, last: &str| select(side, (&both, matched), last, dialect);
    let (sql_here, sql_there) = (sql(present, &is_new), sql(saved, "'0'"));
    let mut a = Reader::new(here.stream(&sql_here).await?);
    let mut b = Reader::new(there.stream(&sql_there).await?);
    let mut lost = LostRows { table, added: 0, changed: 0, removed: 0 };
    loop {
        a.fill().await?;
        b.fill().await?;
        let order = match (a.row(), b.row()) {
            (None, None) => return Ok(lost),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(two)) => {
                let order = by_key(&one, &two, keys);
                let same = one.len() == two.len()
                    && (keys..one.len()).all(|at| one.cell(at) == two.cell(at));
                lost.changed += u64::from(order == Ordering::Equal && !same);
                order
            }
        };
        lost.added += u64::from(order == Ordering::Less);
        lost.removed += u64::from(order == Ordering::Greater);
        a.at += usize::from(order != Ordering::Greater);
        b.at += usize::from(order != Ordering::Less);
    }
}

/// The query that reads a side: the key, the columns that both have, and `last`; ordered by the
/// bytes of the key's texts.
fn select(
    side: &Side,
    (both, matched): (&[&String], bool),
    last: &str,
    dialect: Dialect,
) -> String {
    let value = |name: &String| side.columns.get(name).map(|one| one.value.clone());
    let values: Vec<String> = both.iter().filter_map(|name| value(name)).collect();
    let keys: Vec<String> = match (matched, dialect) {
        (false, _) => vec![whole_row(&values, dialect)],
        (true, Dialect::Mysql) => {
            let keys = side.key.iter().filter_map(value);
            keys.map(|key| format!("CAST({key} AS BINARY)")).collect()
        }
        (true, _) => side.key.iter().filter_map(value).collect(),
    };
    let order: Vec<String> = keys
        .iter()
        .map(|key| match dialect {
            Dialect::Mysql => key.clone(),
            Dialect::Postgres | Dialect::Sqlite => {
                format!("pg_catalog.convert_to({key}, 'UTF8')")
            }
        })
        .collect();
    let mut all = keys;
    if matched {
        all.extend(values);
    }
    format!("SELECT {}, {last} FROM {} ORDER BY {}", all.join(", "), side.from, order.join(", "))
}

/// A row as one text. On MariaDB, where a long text would be NULL, of the digests of its values.
fn whole_row(values: &[String], dialect: Dialect) -> String {
    match (values, dialect) {
        ([], _) => "''".to_owned(),
        (values, Dialect::Mysql) => {
            let digests: Vec<String> =
                values.iter().map(|one| format!("COALESCE(SHA2({one}, 256), '-')")).collect();
            format!("CAST(CONCAT({}) AS BINARY)", digests.join(", "))
        }
        (values, _) => format!("ROW({})::pg_catalog.text", values.join(", ")),
    }
}

fn by_key(one: &Row<'_>, two: &Row<'_>, keys: usize) -> Ordering {
    (0..keys).map(|at| bytes(one.cell(at)).cmp(bytes(two.cell(at)))).fold(
        Ordering::Equal,
        // The first that is not equal decides.
        Ordering::then,
    )
}

fn bytes(cell: Cell<'_>) -> &[u8] {
    match cell {
        Cell::Text(text) | Cell::Decimal(text) => text.as_bytes(),
        Cell::Bytes(bytes) => bytes,
        // Only texts were asked for.
        Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::UInt(_) | Cell::Real(_) => &[],
    }
}

/// Rows as they come.
struct Reader<'a> {
    stream: Box<dyn RowStream + 'a>,
    chunk: Chunk,
    at: usize,
    is_done: bool,
}

impl<'a> Reader<'a> {
    fn new(stream: Box<dyn RowStream + 'a>) -> Reader<'a> {
        Reader { stream, chunk: Chunk::default(), at: 0, is_done: false }
    }

    /// Reads on, if all that was read is gone.
    async fn fill(&mut self) -> Result<(), EngineError> {
        while !self.is_done && self.at >= self.chunk.len() {
            self.at = 0;
            self.is_done = !self.stream.next(&mut self.chunk).await?;
        }
        Ok(())
    }

    /// The row at hand; none at the end.
    fn row(&self) -> Option<Row<'_>> {
        if self.is_done { None } else { self.chunk.row(self.at) }
    }
}
