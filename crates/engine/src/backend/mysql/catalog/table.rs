//! Rows of the catalog as parts of tables.

use std::collections::BTreeMap;

use whimbrel_core::ddl::{Check, ForeignKey, ObjectName, ReferentialAction};
use whimbrel_core::snapshot::{Column, Index, IndexOrigin, Table, Unique};

use super::{Place, optional, text};
use crate::backend::Row;

type Tables = BTreeMap<String, Table>;

/// The table and the name of an index or constraint: the first two columns of its rows.
type Key<'a> = (&'a str, &'a str);

fn key(row: &Row) -> Key<'_> {
    (word(row, 0), word(row, 1))
}

fn word(row: &Row, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// Engine, collation, options and comment.
pub(super) fn options(row: &Row, table: &mut Table) {
    let mut words = Vec::new();
    for (at, word) in [(1, "kind"), (2, "engine"), (3, "collation"), (4, "options"), (5, "comment")]
    {
        let value = text(row, at);
        if !value.is_empty() && value != "BASE TABLE" {
            words.push(format!("{word} {value}"));
        }
    }
    table.options = words.join("; ");
}

pub(super) fn columns(rows: &[Row], mariadb: bool, tables: &mut Tables) {
    for row in rows {
        let Some(table) = tables.get_mut(word(row, 0)) else { continue };
        let extra = text(row, 6);
        let identity = extra.to_ascii_lowercase().contains("auto_increment");
        let mut notes: Vec<String> = Vec::new();
        notes.extend(Some(extra).filter(|extra| !extra.is_empty()));
        notes.extend(optional(row, 7).map(|collation| format!("collation {collation}")));
        let comment = optional(row, 8).filter(|comment| !comment.is_empty());
        notes.extend(comment.map(|comment| format!("comment {comment}")));
        // MariaDB prints the default as SQL, so that NULL is a word; a text would have quotes.
        let default = optional(row, 4).filter(|value| !(mariadb && value == "NULL"));
        table.columns.push(Column {
            name: text(row, 1),
            type_name: text(row, 2),
            nullable: text(row, 3) == "YES",
            default,
            generated: optional(row, 5).filter(|expression| !expression.is_empty()),
            identity,
            extra: notes.join("; "),
        });
    }
}

/// Indexes, in the order of name and place. What a plain list of columns does not say (lengths,
/// directions, kinds) goes to the table's options.
pub(super) fn indexes(rows: &[Row], tables: &mut Tables) {
    for same in rows.chunk_by(|a, b| key(a) == key(b)) {
        let Some(first) = same.first() else { continue };
        let Some(table) = tables.get_mut(word(first, 0)) else { continue };
        let name = text(first, 1);
        let unique = text(first, 2) == "0";
        let columns: Vec<String> = same
            .iter()
            .map(|row| optional(row, 3).or_else(|| optional(row, 8)).unwrap_or_default())
            .collect();
        let origin = match (name.as_str(), unique) {
            ("PRIMARY", _) => IndexOrigin::PrimaryKey,
            (_, true) => IndexOrigin::Constraint,
            (_, false) => IndexOrigin::Created,
        };
        match origin {
            IndexOrigin::PrimaryKey => table.primary_key.clone_from(&columns),
            IndexOrigin::Constraint => {
                table.uniques.push(Unique { name: Some(name.clone()), columns: columns.clone() });
            }
            IndexOrigin::Created => {}
        }
        if let Some(special) = special(same) {
            table.options.push_str(&format!("; index {name} {special}"));
        }
        table.indexes.push(Index { name, columns, unique, valid: true, predicate: None, origin });
    }
}

/// What is special about an index, if anything is.
fn special(rows: &[Row]) -> Option<String> {
    let first = rows.first()?;
    let mut words = Vec::new();
    let kind = text(first, 6);
    if !matches!(kind.as_str(), "BTREE" | "") {
        words.push(kind.clone());
    }
    let hidden = text(first, 7);
    if !hidden.is_empty() {
        words.push(hidden);
    }
    for row in rows {
        let length = optional(row, 4).filter(|_| kind != "SPATIAL");
        if let Some(length) = length {
            words.push(format!("{}({length})", text(row, 3)));
        }
        if text(row, 5) == "D" {
            words.push(format!("{} DESC", text(row, 3)));
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// Foreign keys: their columns, and their rules from another view.
pub(super) fn foreign_keys(
    key_columns: &[Row],
    rules: &[Row],
    place: &Place<'_>,
    tables: &mut Tables,
) {
    let rules: BTreeMap<Key<'_>, &Row> = rules.iter().map(|row| (key(row), row)).collect();
    for same in key_columns.chunk_by(|a, b| key(a) == key(b)) {
        let Some(first) = same.first() else { continue };
        let Some(table) = tables.get_mut(word(first, 0)) else { continue };
        let rule = rules.get(&key(first));
        let (schema, parent) = (text(first, 3), text(first, 4));
        let to_table = if schema == place.own {
            place.object(parent)
        } else {
            ObjectName::in_schema(schema, parent)
        };
        table.foreign_keys.push(ForeignKey {
            name: optional(first, 1),
            columns: same.iter().map(|row| text(row, 2)).collect(),
            to_table,
            to_columns: same.iter().map(|row| text(row, 5)).collect(),
            on_delete: rule.map_or(ReferentialAction::NoAction, |row| action(word(row, 2))),
            on_update: rule.map_or(ReferentialAction::NoAction, |row| action(word(row, 3))),
        });
    }
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

/// Checks. One written at a column bears the column's name, which is no name of its own.
pub(super) fn checks(rows: &[Row], tables: &mut Tables) {
    for row in rows {
        let Some(table) = tables.get_mut(word(row, 0)) else { continue };
        let own_name = text(row, 3) != "Column";
        let name = optional(row, 1).filter(|_| own_name);
        table.checks.push(Check { name, expr: bare(&text(row, 2)).to_owned() });
    }
}

/// The expression without parentheses around all of it.
fn bare(expression: &str) -> &str {
    let trimmed = expression.trim();
    let Some(inner) = trimmed.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return trimmed;
    };
    let mut depth = 0_i32;
    let mut quote = None;
    for c in inner.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth < 0 {
            return trimmed;
        }
    }
    bare(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_parentheses_go() {
        assert_eq!(bare("((`a` > 0))"), "`a` > 0");
        assert_eq!(bare("(a) or (b)"), "(a) or (b)");
        assert_eq!(bare("(a = ')')"), "a = ')'");
        assert_eq!(bare("`a` > 0"), "`a` > 0");
    }
}
