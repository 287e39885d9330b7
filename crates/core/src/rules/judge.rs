//! One table's rules, and the judge that looks at its rows.

use serde_json::Map;

use super::catalog::{ColumnFit, Scope, fits};
use super::map::{Mapped, map};
use super::schema::RowSchema;
use super::text::shown;
use super::{Rule, Violation};
use crate::ddl::name::same_column_name;
use crate::rows::{Cell, ColumnHead, ColumnKind, Row};
use crate::snapshot::{Snapshot, Table};
use crate::sql::dialect::Dialect;

/// What the rows of one table must satisfy, as far as one row alone can tell.
pub struct TableRules {
    table: String,
    dialect: Dialect,
    key: Vec<String>,
    schema: Option<RowSchema>,
    fits: Vec<ColumnFit>,
}

impl TableRules {
    /// The rules that the catalog has for a table.
    pub fn of(table: &Table, snapshot: &Snapshot, dialect: Dialect, scope: Scope) -> TableRules {
        let default = snapshot.default_schema.as_deref();
        let shown = match &table.name.schema {
            Some(schema) if Some(schema.as_str()) != default => table.name.to_string(),
            _ => table.name.name.clone(),
        };
        TableRules {
            table: shown,
            dialect,
            key: key_of(table, dialect),
            schema: None,
            fits: fits(table, snapshot, dialect, scope),
        }
    }

    /// The same with the rules of a file.
    #[must_use]
    pub fn with_schema(mut self, schema: RowSchema) -> TableRules {
        self.schema = Some(schema);
        self
    }

    /// The table's name as reports have it.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The columns that name a row; empty where nothing does.
    pub fn key(&self) -> &[String] {
        &self.key
    }

    /// Whether no rule needs to see a row.
    pub fn is_empty(&self) -> bool {
        self.schema.is_none() && self.fits.is_empty()
    }

    /// The columns that must be read: the key first, then what is judged.
    pub fn columns(&self) -> Vec<String> {
        let mut out = self.key.clone();
        let properties = self.schema.iter().flat_map(RowSchema::properties);
        let judged = properties.map(|one| &one.column);
        for column in judged.chain(self.fits.iter().map(|fit| &fit.column)) {
            if !out.contains(column) {
                out.push(column.clone());
            }
        }
        out
    }

    /// A judge for rows with these columns.
    pub fn judge(self, heads: &[ColumnHead]) -> Judge {
        let place = |column: &str| {
            let exact = heads.iter().position(|head| head.name == column);
            let same = |head: &ColumnHead| same_column_name(&head.name, column, self.dialect);
            exact.or_else(|| heads.iter().position(same)).unwrap_or(usize::MAX)
        };
        let properties = self.schema.iter().flat_map(RowSchema::properties);
        Judge {
            key: self.key.iter().map(|column| place(column)).collect(),
            properties: properties.map(|one| place(&one.column)).collect(),
            fits: self.fits.iter().map(|fit| place(&fit.column)).collect(),
            kinds: heads.iter().map(|head| head.kind).collect(),
            rules: self,
        }
    }
}

/// The primary key, or the shortest unique constraint, or SQLite's own number of the row.
pub(super) fn key_of(table: &Table, dialect: Dialect) -> Vec<String> {
    if !table.primary_key.is_empty() {
        return table.primary_key.clone();
    }
    let uniques = table.uniques.iter().map(|unique| &unique.columns);
    let shortest = uniques.min_by_key(|columns| columns.len()).cloned();
    let rowid = (dialect == Dialect::Sqlite).then(|| vec!["rowid".to_owned()]);
    shortest.or(rowid).unwrap_or_default()
}

/// Looks at rows, one by one.
pub struct Judge {
    rules: TableRules,
    key: Vec<usize>,
    properties: Vec<usize>,
    fits: Vec<usize>,
    kinds: Vec<ColumnKind>,
}

impl Judge {
    /// Everything that is wrong with a row; nothing costs no memory.
    pub fn judge(&self, row: Row<'_>) -> Vec<Violation> {
        let mut out = Vec::new();
        self.judge_fits(row, &mut out);
        if let Some(schema) = &self.rules.schema
            && !self.is_accepted(schema, row)
        {
            out.extend(schema.violations(self.object(schema, row)));
        }
        if !out.is_empty() {
            let key = self.key_of(row);
            for violation in &mut out {
                violation.table.clone_from(&self.rules.table);
                violation.key.clone_from(&key);
            }
        }
        out
    }

    /// The rules that this judge goes by.
    pub fn rules(&self) -> &TableRules {
        &self.rules
    }

    fn judge_fits(&self, row: Row<'_>, out: &mut Vec<Violation>) {
        for (fit, at) in self.rules.fits.iter().zip(&self.fits) {
            let cell = row.cell(*at);
            let (rule, message) = match cell {
                Cell::Null if fit.not_null => {
                    (Rule::NotNull, "The column must have a value".to_owned())
                }
                Cell::Null => continue,
                _ if fit.fits(cell) => continue,
                _ => {
                    let name = &fit.type_name;
                    (Rule::Type(name.clone()), format!("The value does not fit the type `{name}`"))
                }
            };
            out.push(Violation {
                table: String::new(),
                key: Vec::new(),
                column: Some(fit.column.clone()),
                value: Some(shown(&fit.column, cell)),
                rule,
                message,
            });
        }
    }

    fn is_accepted(&self, schema: &RowSchema, row: Row<'_>) -> bool {
        schema.properties().iter().zip(&self.properties).all(|(property, at)| {
            let value = map(row.cell(*at), self.kind(*at), &property.expect);
            schema.accepts(property, &value)
        })
    }

    fn object(&self, schema: &RowSchema, row: Row<'_>) -> Map<String, serde_json::Value> {
        let mut out = Map::new();
        for (property, at) in schema.properties().iter().zip(&self.properties) {
            let value: Mapped<'_> = map(row.cell(*at), self.kind(*at), &property.expect);
            if let Some(value) = value.into_value() {
                out.insert(property.name.clone(), value);
            }
        }
        out
    }

    fn kind(&self, at: usize) -> ColumnKind {
        self.kinds.get(at).copied().unwrap_or(ColumnKind::Any)
    }

    /// The key with the values of a row.
    pub fn key_of(&self, row: Row<'_>) -> Vec<(String, String)> {
        let columns = self.rules.key.iter().zip(&self.key);
        columns.map(|(column, at)| (column.clone(), shown(column, row.cell(*at)))).collect()
    }
}
