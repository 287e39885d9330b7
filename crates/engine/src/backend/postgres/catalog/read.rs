//! Rows of the catalog as a picture.

use std::collections::HashMap;

use whimbrel_core::ddl::{Check, ForeignKey, ObjectName, ReferentialAction};
use whimbrel_core::snapshot::{
    Column, Index, IndexOrigin, Routine, Snapshot, Table, Trigger, TypeDef, Unique, View,
};

use super::queries::Part;
use crate::backend::Row;

/// Puts the parts together; `first` holds the default schema.
pub(super) fn snapshot(first: &[Row], parts: impl Iterator<Item = (Part, Vec<Row>)>) -> Snapshot {
    let mut builder = Builder::default();
    builder.snapshot.default_schema = first.first().and_then(|row| optional(row, 0));
    for (part, rows) in parts {
        match part {
            Part::Relations => builder.relations(&rows),
            Part::Columns => builder.columns(&rows),
            Part::Constraints => builder.constraints(&rows),
            Part::Indexes => builder.indexes(&rows),
            Part::Triggers => builder.triggers(&rows),
            Part::Routines => builder.routines(&rows),
            Part::Types => builder.types(&rows),
            Part::Schemas => {
                builder.snapshot.schemas = rows.iter().map(|row| text(row, 0)).collect()
            }
            Part::Extensions => {
                builder.snapshot.extensions = rows.iter().map(|row| text(row, 0)).collect();
            }
        }
    }
    builder.snapshot
}

#[derive(Default)]
struct Builder {
    snapshot: Snapshot,
    /// Places of tables and views in their lists, by oid.
    tables: HashMap<String, usize>,
    views: HashMap<String, usize>,
    /// Names of columns, by the relation's oid and the column's number.
    numbers: HashMap<(String, String), String>,
}

impl Builder {
    fn relations(&mut self, rows: &[Row]) {
        for row in rows {
            let name = ObjectName::in_schema(text(row, 1), text(row, 2));
            match text(row, 3).as_str() {
                "S" => self.snapshot.sequences.push(name),
                kind @ ("v" | "m") => {
                    self.views.insert(text(row, 0), self.snapshot.views.len());
                    self.snapshot.views.push(View {
                        name,
                        materialized: kind == "m",
                        definition: text(row, 5),
                        indexes: Vec::new(),
                    });
                }
                _ => {
                    self.tables.insert(text(row, 0), self.snapshot.tables.len());
                    let table = Table { name, options: text(row, 4), ..Table::default() };
                    self.snapshot.tables.push(table);
                }
            }
        }
    }

    fn table(&mut self, oid: &str) -> Option<&mut Table> {
        self.snapshot.tables.get_mut(*self.tables.get(oid)?)
    }

    fn columns(&mut self, rows: &[Row]) {
        for row in rows {
            let (oid, name) = (text(row, 0), text(row, 2));
            self.numbers.insert((oid.clone(), text(row, 1)), name.clone());
            let Some(table) = self.table(&oid) else { continue };
            let expression = optional(row, 5);
            let generated = !text(row, 6).is_empty();
            let numbered = |default: &String| default.starts_with("nextval(");
            table.columns.push(Column {
                name,
                type_name: text(row, 3),
                nullable: !flag(row, 4),
                identity: !text(row, 7).is_empty() || expression.as_ref().is_some_and(numbered),
                default: expression.clone().filter(|_| !generated),
                generated: expression.filter(|_| generated),
                extra: text(row, 8),
            });
        }
    }

    /// The name of a relation's column, by its number.
    fn column(&self, oid: &str, number: &str) -> Option<String> {
        self.numbers.get(&(oid.to_owned(), number.to_owned())).cloned()
    }

    fn constraints(&mut self, rows: &[Row]) {
        for row in rows {
            let oid = text(row, 0);
            let numbers = array(&text(row, 3));
            let columns: Vec<String> =
                numbers.iter().filter_map(|number| self.column(&oid, number)).collect();
            let Some(table) = self.table(&oid) else { continue };
            let name = text(row, 1);
            match text(row, 2).as_str() {
                "p" => table.primary_key = columns,
                "u" => table.uniques.push(Unique { name: Some(name.clone()), columns }),
                "f" => table.foreign_keys.push(foreign_key(row, columns)),
                "c" => {
                    let expr = without_parentheses(&text(row, 8)).to_owned();
                    table.checks.push(Check { name: Some(name.clone()), expr });
                }
                _ => {}
            }
            // Exclusions, and what is deferrable or not yet validated, have no other place.
            if let Some(definition) = optional(row, 9) {
                push_option(&mut table.options, &format!("constraint {name} {definition}"));
            }
        }
    }

    fn indexes(&mut self, rows: &[Row]) {
        for row in rows {
            let oid = text(row, 0);
            let index = self.index(&oid, row);
            let view = self.views.get(&oid).and_then(|at| self.snapshot.views.get_mut(*at));
            if let Some(view) = view {
                view.indexes.push(index);
            } else if let Some(table) = self.table(&oid) {
                table.indexes.push(index);
            }
        }
    }

    fn index(&self, oid: &str, row: &Row) -> Index {
        let keys = text(row, 7).parse().unwrap_or(usize::MAX);
        let expressions = array(&text(row, 8));
        let numbers = text(row, 6);
        let key = |(at, number): (usize, &str)| {
            self.column(oid, number).or_else(|| expressions.get(at).cloned())
        };
        Index {
            name: text(row, 1),
            columns: numbers.split(' ').take(keys).enumerate().filter_map(key).collect(),
            unique: flag(row, 2),
            valid: flag(row, 3),
            predicate: optional(row, 4).map(|text| without_parentheses(&text).to_owned()),
            origin: match text(row, 5).as_str() {
                "p" => IndexOrigin::PrimaryKey,
                "u" | "x" => IndexOrigin::Constraint,
                _ => IndexOrigin::Created,
            },
        }
    }

    fn triggers(&mut self, rows: &[Row]) {
        for row in rows {
            let oid = text(row, 0);
            let table = self.tables.get(&oid).and_then(|at| self.snapshot.tables.get(*at));
            let view = self.views.get(&oid).and_then(|at| self.snapshot.views.get(*at));
            let name = table.map(|table| &table.name).or(view.map(|view| &view.name));
            let Some(table) = name.cloned() else { continue };
            let mut definition = text(row, 2);
            match text(row, 3).as_str() {
                "D" => definition.push_str(" DISABLED"),
                "R" => definition.push_str(" ENABLED FOR REPLICA"),
                "A" => definition.push_str(" ENABLED ALWAYS"),
                _ => {}
            }
            self.snapshot.triggers.push(Trigger { name: text(row, 1), table, definition });
        }
    }

    fn routines(&mut self, rows: &[Row]) {
        self.snapshot.routines.extend(rows.iter().map(|row| Routine {
            name: ObjectName::in_schema(text(row, 0), text(row, 1)),
            arguments: text(row, 2),
            definition: text(row, 3),
        }));
    }

    fn types(&mut self, rows: &[Row]) {
        for group in rows.chunk_by(|a, b| a.first() == b.first()) {
            let Some(row) = group.first() else { continue };
            self.snapshot.types.push(TypeDef {
                name: ObjectName::in_schema(text(row, 1), text(row, 2)),
                values: group.iter().filter_map(|row| optional(row, 3)).collect(),
                definition: text(row, 4),
            });
        }
    }
}

fn foreign_key(row: &Row, columns: Vec<String>) -> ForeignKey {
    let mut parent = array(&text(row, 4)).into_iter();
    ForeignKey {
        name: optional(row, 1),
        columns,
        to_table: ObjectName { schema: parent.next(), name: parent.next().unwrap_or_default() },
        to_columns: array(&text(row, 5)),
        on_delete: action(&text(row, 6)),
        on_update: action(&text(row, 7)),
    }
}

/// The elements of an array as the server prints it; none of ours is NULL.
fn array(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("");
    let mut elements = Vec::new();
    let (mut element, mut quoted) = (String::new(), false);
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => element.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => elements.push(std::mem::take(&mut element)),
            c => element.push(c),
        }
    }
    if !inner.is_empty() {
        elements.push(element);
    }
    elements
}

fn push_option(options: &mut String, option: &str) {
    if !options.is_empty() {
        options.push_str("; ");
    }
    options.push_str(option);
}

fn action(letter: &str) -> ReferentialAction {
    match letter {
        "r" => ReferentialAction::Restrict,
        "c" => ReferentialAction::Cascade,
        "n" => ReferentialAction::SetNull,
        "d" => ReferentialAction::SetDefault,
        _ => ReferentialAction::NoAction,
    }
}

/// The expression without the parentheses that the server puts around the whole of it.
fn without_parentheses(expression: &str) -> &str {
    let inner = expression.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let Some(inner) = inner else { return expression };
    let (mut depth, mut quote) = (0_i32, None);
    for c in inner.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth < 0 {
            // `(a) OR (b)`: these are not one pair.
            return expression;
        }
    }
    inner
}

fn optional(row: &Row, index: usize) -> Option<String> {
    row.get(index).cloned().flatten()
}

fn text(row: &Row, index: usize) -> String {
    optional(row, index).unwrap_or_default()
}

fn flag(row: &Row, index: usize) -> bool {
    row.get(index).and_then(Option::as_deref) == Some("t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read() {
        assert_eq!(array("{}"), [""; 0]);
        assert_eq!(array("{1,22}"), ["1", "22"]);
        assert_eq!(array(r#"{"a,b","say \"x\" \\",c}"#), ["a,b", "say \"x\" \\", "c"]);
    }

    #[test]
    fn only_one_pair_around_the_whole_is_taken_off() {
        for (expression, want) in [
            ("(a > 0)", "a > 0"),
            ("((a > 0) AND (b > 0))", "(a > 0) AND (b > 0)"),
            ("(a > 0) AND (b > 0)", "(a > 0) AND (b > 0)"),
            ("(a <> ')'::text)", "a <> ')'::text"),
            ("a", "a"),
        ] {
            assert_eq!(without_parentheses(expression), want);
        }
    }
}
