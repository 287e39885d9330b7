//! The work table of a frozen statement.

use super::freeze::{FROZEN_ROW, sql};
use super::key;
use crate::ddl::ObjectName;
use crate::snapshot::{Column, Table};
use crate::sql::dialect::Dialect;
use crate::sql::quote::quote_ident;

/// A column of the work table.
pub(super) struct WorkColumn {
    pub(super) name: String,
    /// The target's column whose type and collation it has.
    pub(super) of: String,
    /// It is part of the key.
    pub(super) key: bool,
    /// It holds what will be written.
    pub(super) written: bool,
}

/// The statements that make the work table.
pub(super) fn create(
    columns: &[WorkColumn],
    target: &Table,
    work: &ObjectName,
    dialect: Dialect,
) -> Vec<String> {
    let name = sql(work, dialect);
    let keys: Vec<String> = columns
        .iter()
        .filter(|column| column.key)
        .map(|column| quote_ident(&column.name, dialect))
        .collect();
    if dialect == Dialect::Sqlite {
        let mut parts: Vec<String> =
            columns.iter().map(|column| sqlite_column(column, target)).collect();
        parts.push(match keys.is_empty() {
            true => format!("{FROZEN_ROW} INTEGER PRIMARY KEY"),
            false => format!("PRIMARY KEY ({})", keys.join(", ")),
        });
        if keys.is_empty() {
            parts.rotate_right(1);
        }
        return vec![format!("CREATE TABLE {name} ({})", parts.join(", "))];
    }
    let items: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = quote_ident(&column.name, dialect);
            format!("{} AS {name}", typed(column, target, dialect))
        })
        .collect();
    let (items, target) = (items.join(", "), sql(&target.name, dialect));
    if dialect == Dialect::Postgres {
        let key = match keys.is_empty() {
            true => {
                format!("ADD COLUMN {FROZEN_ROW} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
            }
            false => format!("ADD PRIMARY KEY ({})", keys.join(", ")),
        };
        return vec![
            format!("CREATE TABLE {name} AS SELECT {items} FROM {target} whimbrel_t WITH NO DATA"),
            format!("ALTER TABLE {name} {key}"),
        ];
    }
    let key = match keys.is_empty() {
        true => format!("{FROZEN_ROW} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY"),
        false => format!("PRIMARY KEY ({})", keys.join(", ")),
    };
    let temporary =
        if work.schema.is_none() && work.name == FROZEN_TEMPORARY { "TEMPORARY " } else { "" };
    // Outer columns may be NULL, so that a missing value is an error of the target's.
    vec![format!(
        "CREATE {temporary}TABLE {name} ({key}) ENGINE=InnoDB AS SELECT {items} FROM \
         (SELECT 1 AS whimbrel_1) whimbrel_d LEFT JOIN {target} whimbrel_t ON 1 = 0 LIMIT 0"
    )]
}

/// An expression with the type of a column of the work table. A value to be written has no length
/// yet, so that one that is too long is found when its row is written, and can be set aside.
fn typed(column: &WorkColumn, target: &Table, dialect: Dialect) -> String {
    let of = format!("whimbrel_t.{}", quote_ident(&column.of, dialect));
    let found = key::column(target, &column.of, dialect).filter(|_| column.written);
    let declared = found.map(|one| one.type_name.to_ascii_lowercase()).unwrap_or_default();
    let is = |start: &str| declared.starts_with(start) && !declared.ends_with("[]");
    match dialect {
        Dialect::Postgres if is("character") => format!("CAST({of} AS text)"),
        Dialect::Postgres if is("numeric(") => format!("CAST({of} AS numeric)"),
        // Longer than a row may be, so that it is a TEXT.
        Dialect::Mysql if is("varchar(") || is("char(") => format!("CAST({of} AS CHAR(20000))"),
        _ => of,
    }
}

/// The name of a work table that goes with the session, for trying statements out.
pub const FROZEN_TEMPORARY: &str = "whimbrel_work";

/// A column of SQLite's: the affinity and the collation of the target's.
fn sqlite_column(column: &WorkColumn, target: &Table) -> String {
    let found = key::column(target, &column.of, Dialect::Sqlite);
    let strict = target.options.to_ascii_uppercase().contains("STRICT");
    // What is no column of the table is its rowid.
    let declared = found.map_or("INTEGER", |one| one.type_name.as_str());
    let collation = found.and_then(key::collation);
    let collation = collation
        .map(|name| format!(" COLLATE {}", quote_ident(&name, Dialect::Sqlite)))
        .unwrap_or_default();
    let end = if column.key { " NOT NULL" } else { "" };
    let rowid = found
        .is_none_or(|one| key::is_rowid_alias(target) && target.primary_key == [one.name.as_str()]);
    let affinity = match affinity(declared, strict) {
        // An INTEGER PRIMARY KEY would be the rowid, which holds nothing but integers.
        "INTEGER" if !rowid => "INT",
        affinity => affinity,
    };
    format!("{} {affinity}{collation}{end}", quote_ident(&column.name, Dialect::Sqlite))
}

/// SQLite's affinity of a declared type ("Datatypes in SQLite", 3.1); that of `ANY` in a STRICT
/// table is none.
fn affinity(declared: &str, strict: bool) -> &'static str {
    let upper = declared.to_ascii_uppercase();
    let has = |any: &[&str]| any.iter().any(|word| upper.contains(word));
    if upper.is_empty() || strict && upper == "ANY" {
        "BLOB"
    } else if has(&["INT"]) {
        "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "TEXT"
    } else if has(&["BLOB"]) {
        "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

/// The work table as the catalog would show it.
pub(super) fn as_table(
    work: &ObjectName,
    columns: &[WorkColumn],
    target: &Table,
    dialect: Dialect,
) -> Table {
    let of = |column: &WorkColumn| {
        let found = key::column(target, &column.of, dialect);
        Column {
            name: column.name.clone(),
            type_name: found.map_or_else(|| "INTEGER".to_owned(), |one| one.type_name.clone()),
            nullable: !column.key,
            extra: found.map(|one| one.extra.clone()).unwrap_or_default(),
            ..Column::default()
        }
    };
    let mut all: Vec<Column> = columns.iter().map(of).collect();
    let mut keys: Vec<String> = Vec::new();
    keys.extend(columns.iter().filter(|one| one.key).map(|one| one.name.clone()));
    if keys.is_empty() {
        keys.push(FROZEN_ROW.to_owned());
        let type_name = if dialect == Dialect::Sqlite { "INTEGER" } else { "bigint" };
        let (name, type_name) = (FROZEN_ROW.to_owned(), type_name.to_owned());
        all.insert(0, Column { name, type_name, identity: true, ..Column::default() });
    }
    Table { name: work.clone(), columns: all, primary_key: keys, ..Table::default() }
}
