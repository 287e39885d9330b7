//! Rules that one row alone cannot tell: keys and CHECKs, as queries that return what breaks them.

use super::Rule;
use super::catalog::Scope;
use super::judge::key_of;
use crate::ddl::{ForeignKey, ObjectName};
use crate::snapshot::{IndexOrigin, Snapshot, Table};
use crate::sql::dialect::Dialect;
use crate::sql::quote::quote_ident;

/// A query that returns the rows that break a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleQuery {
    /// The rule.
    pub rule: Rule,
    /// The query. Its first columns are the key, the others the columns at fault.
    pub sql: String,
    /// How many of its columns are the key.
    pub key: usize,
    /// What is wrong with the rows that it returns.
    pub message: String,
}

/// The queries for one table. Of its own rows only those that the database may have let in.
pub fn queries(
    table: &Table,
    snapshot: &Snapshot,
    dialect: Dialect,
    scope: Scope,
) -> Vec<RuleQuery> {
    let maker = Maker { table, snapshot, dialect };
    let own = scope == Scope::Own;
    // PostgreSQL alone proves what it enforces; what it was told not to stands in the options.
    let proven = |name: Option<&String>| {
        own && dialect == Dialect::Postgres
            && !name.is_some_and(|name| is_not_valid(&table.options, name))
    };
    let mut out = Vec::new();
    for key in &table.foreign_keys {
        if !proven(key.name.as_ref()) {
            out.extend(maker.foreign_key(key));
        }
    }
    for check in &table.checks {
        if !proven(check.name.as_ref()) {
            let name = check.name.clone().unwrap_or_else(|| check.expr.clone());
            out.push(maker.check(name, &check.expr));
        }
    }
    if !own {
        out.extend(maker.uniques());
    }
    out
}

/// The catalog's `constraint NAME ... NOT VALID`.
fn is_not_valid(options: &str, name: &str) -> bool {
    let head = format!("constraint {name} ");
    options.split(&head).skip(1).any(|rest| {
        let own = rest.split("constraint ").next().unwrap_or_default();
        own.contains("NOT VALID")
    })
}

struct Maker<'a> {
    table: &'a Table,
    snapshot: &'a Snapshot,
    dialect: Dialect,
}

impl Maker<'_> {
    fn name(&self, name: &ObjectName) -> String {
        match &name.schema {
            Some(schema) => format!("{}.{}", self.quoted(schema), self.quoted(&name.name)),
            None => self.quoted(&name.name),
        }
    }

    fn quoted(&self, name: &str) -> String {
        quote_ident(name, self.dialect)
    }

    fn columns(&self, prefix: &str, names: &[String]) -> Vec<String> {
        names.iter().map(|name| format!("{prefix}{}", self.quoted(name))).collect()
    }

    /// `SELECT key, columns FROM table`, with how many columns the key has. A CHECK may name its
    /// table, so the table keeps its name there.
    fn select(&self, columns: &[String], alias: bool) -> (String, usize) {
        let key = key_of(self.table, self.dialect);
        let others: Vec<String> =
            columns.iter().filter(|column| !key.contains(column)).cloned().collect();
        let (prefix, table) = (if alias { "c." } else { "" }, self.name(&self.table.name));
        let mut all = self.columns(prefix, &key);
        all.extend(self.columns(prefix, &others));
        if all.is_empty() {
            all.push("1 AS one".to_owned());
        }
        let alias = if alias { " AS c" } else { "" };
        (format!("SELECT {} FROM {table}{alias}", all.join(", ")), key.len())
    }

    fn foreign_key(&self, key: &ForeignKey) -> Option<RuleQuery> {
        let parent = self.snapshot.table(&key.to_table, self.dialect);
        let to_columns = match (&key.to_columns, parent) {
            (columns, _) if !columns.is_empty() => columns.clone(),
            (_, Some(parent)) => parent.primary_key.clone(),
            (_, None) => Vec::new(),
        };
        let to = key.to_table.name.clone();
        let mine = self.columns("c.", &key.columns);
        let has_values: Vec<String> =
            mine.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        let (select, length) = self.select(&key.columns, true);
        let has_values = has_values.join(" AND ");
        let (wrong, message) = match parent {
            Some(parent) if to_columns.len() == key.columns.len() => {
                let theirs = self.columns("p.", &to_columns);
                let same = theirs.iter().zip(&mine).map(|(a, b)| format!("{a} = {b}"));
                let same: Vec<String> = same.collect();
                let parent = self.name(&parent.name);
                let exists = same.join(" AND ");
                (
                    format!(" AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {exists})"),
                    format!("The row of `{to}` that it points to does not exist"),
                )
            }
            Some(_) => return None,
            None => (String::new(), format!("The table `{to}` that it points to does not exist")),
        };
        Some(RuleQuery {
            rule: Rule::ForeignKey { columns: key.columns.clone(), to },
            sql: format!("{select} WHERE {has_values}{wrong}"),
            key: length,
            message,
        })
    }

    /// A CHECK holds when it is true or unknown.
    fn check(&self, name: String, expr: &str) -> RuleQuery {
        let lower = expr.to_lowercase();
        let names = self.table.columns.iter().map(|one| &one.name);
        let named = names.filter(|name| lower.contains(&name.to_lowercase()));
        let columns: Vec<String> = named.cloned().collect();
        let (select, key) = self.select(&columns, false);
        let sql = format!("{select} WHERE NOT ({expr})");
        let message = format!("The CHECK `{name}` does not hold");
        RuleQuery { rule: Rule::Check(name), sql, key, message }
    }

    fn uniques(&self) -> Vec<RuleQuery> {
        let indexes = self.table.indexes.iter();
        let unique = indexes.filter(|index| index.unique && index.predicate.is_none());
        let plain = |columns: &[String]| {
            columns.iter().all(|name| self.table.columns.iter().any(|one| one.name == *name))
        };
        let from_indexes = unique
            .filter(|index| index.origin != IndexOrigin::PrimaryKey && plain(&index.columns))
            .map(|index| index.columns.clone());
        let primary = Some(self.table.primary_key.clone()).filter(|columns| !columns.is_empty());
        let mut sets: Vec<Vec<String>> = primary.into_iter().chain(from_indexes).collect();
        sets.extend(self.table.uniques.iter().map(|unique| unique.columns.clone()));
        sets.sort();
        sets.dedup();
        sets.into_iter().map(|columns| self.unique(columns)).collect()
    }

    fn unique(&self, columns: Vec<String>) -> RuleQuery {
        let names: Vec<String> = columns.iter().map(|name| self.quoted(name)).collect();
        let list = names.join(", ");
        let has_values: Vec<String> =
            names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let sql = format!(
            "SELECT {list} FROM {} WHERE {} GROUP BY {list} HAVING count(*) > 1",
            self.name(&self.table.name),
            has_values.join(" AND ")
        );
        let message = "Several rows have these values".to_owned();
        RuleQuery { key: columns.len(), rule: Rule::Unique(columns), sql, message }
    }
}
