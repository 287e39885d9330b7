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
                kind => {
                    self.tables.insert(text(row, 0), self.snapshot.tables.len());
                    let mut options = text(row, 4);
                    if kind == "f" {
                        push_option(&mut options, "foreign");
                    }
                    self.snapshot.tables.push(Table { name, options, ..Table::default() });
                }
            }
        }
    }

    fn table(&mut self, oid: &str) -> Option<&mut Table> {
        self.snapshot.tables.get_mut(*self.tables.get(oid)?)
    }

    fn columns(&mut self, rows: &[Row]) {
        for row in rows {
            let Some(table) = self.table(&text(row, 0)) else { continue };
            let expression = optional(row, 4);
            let generated = !text(row, 5).is_empty();
            let numbered = |default: &String| default.starts_with("nextval(");
            table.columns.push(Column {
                name: text(row, 1),
                type_name: text(row, 2),
                nullable: !flag(row, 3),
                identity: !text(row, 6).is_empty() || expression.as_ref().is_some_and(numbered),
                default: expression.clone().filter(|_| !generated),
                generated: expression.filter(|_| generated),
                extra: text(row, 7),
            });
        }
    }

    /// Rows of one constraint follow each other, one for each of its columns.
    fn constraints(&mut self, rows: &[Row]) {
        for group in rows.chunk_by(|a, b| a.get(11) == b.get(11)) {
            let Some(row) = group.first() else { continue };
            let Some(table) = self.table(&text(row, 0)) else { continue };
            let name = text(row, 1);
            let columns = || group.iter().filter_map(|row| optional(row, 3)).collect::<Vec<_>>();
            match text(row, 2).as_str() {
                "p" => table.primary_key = columns(),
                "u" => table.uniques.push(Unique { name: Some(name.clone()), columns: columns() }),
                "f" => table.foreign_keys.push(ForeignKey {
                    name: Some(name.clone()),
                    columns: columns(),
                    to_table: ObjectName::in_schema(text(row, 4), text(row, 5)),
                    to_columns: group.iter().filter_map(|row| optional(row, 6)).collect(),
                    on_delete: action(&text(row, 7)),
                    on_update: action(&text(row, 8)),
                }),
                "c" => {
                    let expr = without_parentheses(&text(row, 9)).to_owned();
                    table.checks.push(Check { name: Some(name.clone()), expr });
                }
                _ => {}
            }
            // Exclusions, and what is deferrable or not yet validated, have no other place.
            if let Some(definition) = optional(row, 10) {
                push_option(&mut table.options, &format!("constraint {name} {definition}"));
            }
        }
    }

    /// Rows of one index follow each other, one for each of its keys.
    fn indexes(&mut self, rows: &[Row]) {
        for group in rows.chunk_by(|a, b| a.get(7) == b.get(7)) {
            let Some(row) = group.first() else { continue };
            let index = Index {
                name: text(row, 1),
                columns: group.iter().map(|row| text(row, 6)).collect(),
                unique: flag(row, 2),
                valid: flag(row, 3),
                predicate: optional(row, 4).map(|text| without_parentheses(&text).to_owned()),
                origin: match text(row, 5).as_str() {
                    "p" => IndexOrigin::PrimaryKey,
                    "u" | "x" => IndexOrigin::Constraint,
                    _ => IndexOrigin::Created,
                },
            };
            let oid = text(row, 0);
            let view = self.views.get(&oid).and_then(|at| self.snapshot.views.get_mut(*at));
            match view {
                Some(view) => view.indexes.push(index),
                None => self.table(&oid).into_iter().for_each(|t| t.indexes.push(index.clone())),
            }
        }
    }

    fn triggers(&mut self, rows: &[Row]) {
        self.snapshot.triggers.extend(rows.iter().map(|row| {
            let mut definition = text(row, 3);
            match text(row, 4).as_str() {
                "D" => definition.push_str(" DISABLED"),
                "R" => definition.push_str(" ENABLED FOR REPLICA"),
                "A" => definition.push_str(" ENABLED ALWAYS"),
                _ => {}
            }
            let table = ObjectName::in_schema(text(row, 1), text(row, 2));
            Trigger { name: text(row, 0), table, definition }
        }));
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
