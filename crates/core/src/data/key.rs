//! The keys along which a table can be walked in batches.

use crate::ddl::name::same_column_name;
use crate::snapshot::{Column, IndexOrigin, Table};
use crate::sql::dialect::Dialect;

use super::refusal::RefusalCode;
use super::rewrite::KeyColumn;
use crate::sql::quote::quote_ident;

/// A table's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its columns as the catalog has them; for a rowid the name that is not taken.
    pub(super) columns: Vec<String>,
    pub(super) rowid: bool,
}

/// The sets of columns that are unique and never NULL, the primary key first.
pub(super) fn unique_keys(table: &Table, dialect: Dialect) -> Vec<Vec<String>> {
    let all = unique_sets(table, dialect).into_iter();
    all.filter(|set| set.iter().all(|column| is_not_null(table, column, dialect))).collect()
}

/// The sets of columns that are unique but for NULLs, the primary key first.
pub(super) fn unique_sets(table: &Table, dialect: Dialect) -> Vec<Vec<String>> {
    let mut sets: Vec<Vec<String>> = Vec::new();
    let primary = Some(&table.primary_key).filter(|key| !key.is_empty());
    let uniques = table.uniques.iter().map(|unique| &unique.columns);
    let indexes = table
        .indexes
        .iter()
        .filter(|index| index.unique && index.valid && index.predicate.is_none());
    for set in primary.into_iter().chain(uniques).chain(indexes.map(|index| &index.columns)) {
        let real = set.iter().all(|name| {
            // A generated column may change with what it is computed from.
            column(table, name, dialect).is_some_and(|column| column.generated.is_none())
        });
        if real && !set.is_empty() && !sets.contains(set) {
            sets.push(set.clone());
        }
    }
    sets
}

/// A table's column by its name.
pub(super) fn column<'t>(table: &'t Table, name: &str, dialect: Dialect) -> Option<&'t Column> {
    table.columns.iter().find(|column| same_column_name(&column.name, name, dialect))
}

/// Whether a column never holds NULL.
pub(super) fn is_not_null(table: &Table, name: &str, dialect: Dialect) -> bool {
    let Some(found) = column(table, name, dialect) else { return false };
    if !found.nullable {
        return true;
    }
    let in_key = table.primary_key.iter().any(|key| same_column_name(key, name, dialect));
    match dialect {
        Dialect::Postgres | Dialect::Mysql => in_key,
        Dialect::Sqlite => in_key && (is_rowid_alias(table) || declares_no_null(table)),
    }
}

/// SQLite's INTEGER PRIMARY KEY is the rowid; any other primary key has an index of its own.
pub(super) fn is_rowid_alias(table: &Table) -> bool {
    let [only] = table.primary_key.as_slice() else { return false };
    let column = column(table, only, Dialect::Sqlite);
    let integer = column.is_some_and(|column| column.type_name.eq_ignore_ascii_case("INTEGER"));
    let indexed = table.indexes.iter().any(|index| index.origin == IndexOrigin::PrimaryKey);
    integer && !indexed
}

/// STRICT and WITHOUT ROWID tables have no NULL in their primary key.
fn declares_no_null(table: &Table) -> bool {
    let options = table.options.to_ascii_uppercase();
    options.contains("STRICT") || options.contains("WITHOUT ROWID")
}

/// The key by which a table is walked; else why there is none, and what it is about.
pub(super) fn choose(table: &Table, dialect: Dialect) -> Result<Key, (RefusalCode, String)> {
    if let Some(columns) = unique_keys(table, dialect).into_iter().next() {
        return Ok(Key { columns, rowid: false });
    }
    let nullable = unique_sets(table, dialect).into_iter().next();
    if dialect == Dialect::Sqlite {
        // Without a usable primary key it is certainly a table with rowids.
        let free = |name: &&str| column(table, name, dialect).is_none();
        if let Some(name) = ["rowid", "_rowid_", "oid"].iter().find(|name| free(name)) {
            return Ok(Key { columns: vec![(*name).to_owned()], rowid: true });
        }
    }
    let name = &table.name.name;
    Err(match nullable {
        Some(columns) => {
            let columns = columns.join(", ");
            let message = format!("The unique key ({columns}) of `{name}` admits NULL");
            (RefusalCode::NullableKey, message)
        }
        None => (RefusalCode::NoUniqueKey, format!("The table `{name}` has no unique key")),
    })
}

/// The columns that tell a table's rows apart and are never NULL; `rowid` for a SQLite table
/// without such a key. Empty where rows cannot be told apart.
pub fn row_key(table: &Table, dialect: Dialect) -> Vec<String> {
    match choose(table, dialect) {
        Ok(key) if !key.rowid || key.columns == ["rowid"] => key.columns,
        _ => Vec::new(),
    }
}

/// The columns of the key by which a table as a whole is walked, as the table itself calls them;
/// empty where it has no such key.
pub fn table_key(table: &Table, dialect: Dialect) -> Vec<KeyColumn> {
    let Ok(key) = choose(table, dialect) else { return Vec::new() };
    let of = |name: &String| {
        let found = column(table, name, dialect);
        KeyColumn {
            name: name.clone(),
            sql: if key.rowid { name.clone() } else { quote_ident(name, dialect) },
            type_name: found.map_or("INTEGER", |column| column.type_name.as_str()).to_owned(),
            rowid: key.rowid,
            collation: found.and_then(collation),
        }
    };
    key.columns.iter().map(of).collect()
}

/// Whether rows of one table may be rows of the other: the same table, or one of its partitions.
pub(super) fn shares_rows(a: &Table, b: &Table) -> bool {
    let inherits = |table: &Table| {
        table.options.contains("parents ") || table.options.contains("partition by")
    };
    a.name == b.name || (inherits(a) && inherits(b)) || is_parent(a, b) || is_parent(b, a)
}

/// Whether the child's parents are listed with this name.
fn is_parent(parent: &Table, child: &Table) -> bool {
    let Some((_, parents)) = child.options.split_once("parents ") else { return false };
    let parents = parents.split(';').next().unwrap_or("");
    let named = |text: &str| {
        let last = text.rsplit('.').next().unwrap_or("").trim().trim_matches('"');
        last == parent.name.name
    };
    parents.split(',').any(named)
}

/// A column's collation, where the catalog says one.
pub(super) fn collation(column: &Column) -> Option<String> {
    let parts = column.extra.split("; ");
    let named = parts.filter_map(|part| {
        part.strip_prefix("collate ").or_else(|| part.strip_prefix("collation "))
    });
    named.map(str::to_owned).next()
}

/// The columns that the database stamps with any UPDATE that does not assign them (MySQL's
/// `ON UPDATE CURRENT_TIMESTAMP`).
pub fn stamped_columns(table: &Table) -> impl Iterator<Item = &str> {
    let stamped = |column: &&Column| column.extra.to_ascii_lowercase().contains("on update");
    table.columns.iter().filter(stamped).map(|column| column.name.as_str())
}

/// The columns that change with any UPDATE of the table, beside those that are assigned.
pub(super) fn implied_writes(table: &Table) -> impl Iterator<Item = &str> {
    let generated = table.columns.iter().filter(|column| column.generated.is_some());
    generated.map(|column| column.name.as_str()).chain(stamped_columns(table))
}

/// Whether the database makes up a value of this column that is not given.
pub(super) fn is_numbered(table: &Table, column: &Column, dialect: Dialect) -> bool {
    let default = column.default.as_deref().unwrap_or("").to_ascii_lowercase();
    let alias = dialect == Dialect::Sqlite
        && is_rowid_alias(table)
        && table.primary_key.iter().any(|key| same_column_name(key, &column.name, dialect));
    column.identity || default.contains("nextval") || alias
}
