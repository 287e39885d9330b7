//! The picture of a live schema that backends fill. It never holds rows.

use std::fmt::Write as _;

use crate::ddl::name::{same_column_name, same_table_name};
use crate::ddl::{Check, ForeignKey, ObjectKind, ObjectName};
use crate::sql::dialect::Dialect;

/// A schema, or the part of it that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Where bare names are looked up first; none where there is only one schema.
    pub default_schema: Option<String>,
    /// Schemas other than the server's own.
    pub schemas: Vec<String>,
    /// Tables of every sort: ordinary, partitioned, partitions, foreign, virtual.
    pub tables: Vec<Table>,
    /// Views, stored or not.
    pub views: Vec<View>,
    /// Triggers of tables and views, without those the server makes for foreign keys.
    pub triggers: Vec<Trigger>,
    /// Functions and procedures.
    pub routines: Vec<Routine>,
    /// Types and domains.
    pub types: Vec<TypeDef>,
    /// Sequences, those behind serial and identity columns too.
    pub sequences: Vec<ObjectName>,
    /// Extensions.
    pub extensions: Vec<String>,
    /// Kinds that this snapshot does not list, so that a missing object means nothing.
    pub not_inspected: Vec<ObjectKind>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name; the schema is said where the database has schemas.
    pub name: ObjectName,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// The primary key's columns; empty if there is none.
    pub primary_key: Vec<String>,
    /// Unique constraints.
    pub uniques: Vec<Unique>,
    /// Foreign keys, from this table to others.
    pub foreign_keys: Vec<ForeignKey>,
    /// Checks, those written at a column too.
    pub checks: Vec<Check>,
    /// Indexes, those behind constraints too.
    pub indexes: Vec<Index>,
    /// What else the catalog says: engine, collation, partitioning, STRICT.
    pub options: String,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the catalog prints it.
    pub type_name: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Its default's expression.
    pub default: Option<String>,
    /// The expression of a generated column.
    pub generated: Option<String>,
    /// The database numbers it.
    pub identity: bool,
    /// What else the catalog says: collation, comment, ON UPDATE.
    pub extra: String,
}

/// A unique constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unique {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its columns.
    pub columns: Vec<String>,
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Column names, or the expression as the catalog prints it; without included columns.
    pub columns: Vec<String>,
    /// No two rows may have the same values.
    pub unique: bool,
    /// False for what a failed `CREATE INDEX CONCURRENTLY` leaves.
    pub valid: bool,
    /// The predicate of a partial index.
    pub predicate: Option<String>,
    /// Why it exists.
    pub origin: IndexOrigin,
}

/// Why an index exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexOrigin {
    /// Somebody created it.
    #[default]
    Created,
    /// It enforces a unique constraint.
    Constraint,
    /// It enforces the primary key.
    PrimaryKey,
}

/// A view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: ObjectName,
    /// It stores its rows.
    pub materialized: bool,
    /// Its query as the catalog prints it.
    pub definition: String,
    /// Indexes of a stored one.
    pub indexes: Vec<Index>,
}

/// A trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The table or view it watches.
    pub table: ObjectName,
    /// Its text as the catalog prints it.
    pub definition: String,
}

/// A function or procedure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routine {
    /// Its name.
    pub name: ObjectName,
    /// Its parameters as the catalog prints them.
    pub arguments: String,
    /// Its text as the catalog prints it.
    pub definition: String,
}

/// A type or domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeDef {
    /// Its name.
    pub name: ObjectName,
    /// An enum's values, in order.
    pub values: Vec<String>,
    /// What else the catalog says.
    pub definition: String,
}

impl Snapshot {
    /// The table that a name means: exactly this one, or for a bare name the default schema's,
    /// `public`'s, or the only one there is.
    pub fn table(&self, name: &ObjectName, dialect: Dialect) -> Option<&Table> {
        self.find(&self.tables, |table| &table.name, name, dialect)
    }

    /// The view that a name means.
    pub fn view(&self, name: &ObjectName, dialect: Dialect) -> Option<&View> {
        self.find(&self.views, |view| &view.name, name, dialect)
    }

    /// Finds by name as [`Snapshot::table`] does.
    pub fn find<'a, T>(
        &self,
        items: &'a [T],
        name_of: impl Fn(&T) -> &ObjectName,
        name: &ObjectName,
        dialect: Dialect,
    ) -> Option<&'a T> {
        let exact = self.find_spelled(items, &name_of, name, |a, b| same_table_name(a, b, dialect));
        if exact.is_some() || dialect != Dialect::Mysql {
            return exact;
        }
        // A server with lower_case_table_names stores another spelling.
        self.find_spelled(items, &name_of, name, |a, b| a.to_lowercase() == b.to_lowercase())
    }

    fn find_spelled<'a, T>(
        &self,
        items: &'a [T],
        name_of: &impl Fn(&T) -> &ObjectName,
        name: &ObjectName,
        same: impl Fn(&str, &str) -> bool,
    ) -> Option<&'a T> {
        let mut named = Vec::new();
        for item in items {
            if same(&name_of(item).name, &name.name) {
                named.push(item);
            }
        }
        let in_schema = |schema: Option<&str>| {
            named.iter().copied().find(|item| match (name_of(item).schema.as_deref(), schema) {
                (Some(a), Some(b)) => same(a, b),
                (None, None) => true,
                (None, Some(_)) | (Some(_), None) => false,
            })
        };
        let default = self.default_schema.as_deref();
        if let Some(schema) = name.schema.as_deref() {
            let implied = schema.eq_ignore_ascii_case("main") || Some(schema) == default;
            return in_schema(Some(schema)).or_else(|| implied.then(|| in_schema(None)).flatten());
        }
        in_schema(default)
            .or_else(|| in_schema(None))
            .or_else(|| in_schema(Some("public")))
            .or_else(|| named.first().copied().filter(|_| named.len() == 1))
    }

    /// The part of this snapshot that is about these objects.
    ///
    /// A table comes with its indexes and triggers, an index or trigger with its table.
    pub fn only(&self, objects: &[(ObjectKind, ObjectName)], dialect: Dialect) -> Snapshot {
        let asked = |kinds: &[ObjectKind], name: &ObjectName| {
            objects.iter().any(|(kind, asked)| kinds.contains(kind) && asked.matches(name, dialect))
        };
        // A statement's word for it may be wrong: ALTER TABLE also renames views and sequences.
        let relation = [ObjectKind::Table, ObjectKind::View, ObjectKind::Sequence];
        let index = |indexes: &[Index]| {
            indexes.iter().any(|index| {
                let named = |(kind, name): &&(ObjectKind, ObjectName)| {
                    *kind == ObjectKind::Index && same_column_name(&name.name, &index.name, dialect)
                };
                objects.iter().any(|object| named(&object))
            })
        };
        let trigger = |trigger: &&Trigger| {
            asked(&relation, &trigger.table)
                || asked(&[ObjectKind::Trigger], &ObjectName::bare(trigger.name.clone()))
        };
        let table = |t: &&Table| asked(&relation, &t.name) || index(&t.indexes);
        let view = |v: &&View| asked(&relation, &v.name) || index(&v.indexes);
        let schema = |s: &&String| asked(&[ObjectKind::Schema], &ObjectName::bare((*s).clone()));
        let extension =
            |e: &&String| asked(&[ObjectKind::Extension], &ObjectName::bare((*e).clone()));
        Snapshot {
            default_schema: self.default_schema.clone(),
            schemas: self.schemas.iter().filter(schema).cloned().collect(),
            tables: self.tables.iter().filter(table).cloned().collect(),
            views: self.views.iter().filter(view).cloned().collect(),
            triggers: self.triggers.iter().filter(trigger).cloned().collect(),
            routines: kept(&self.routines, |r| asked(&[ObjectKind::Routine], &r.name)),
            types: kept(&self.types, |t| asked(&[ObjectKind::Type], &t.name)),
            sequences: kept(&self.sequences, |s| asked(&relation, s)),
            extensions: self.extensions.iter().filter(extension).cloned().collect(),
            not_inspected: self.not_inspected.clone(),
        }
    }

    /// The snapshot as text: equal texts mean equal schemas, whatever order the catalog gave.
    ///
    /// Only the order of a table's columns and of a key's columns counts.
    pub fn fingerprint_text(&self) -> String {
        let mut entries: Vec<String> = Vec::new();
        entries.extend(self.schemas.iter().map(|name| format!("schema {name:?}")));
        entries.extend(self.extensions.iter().map(|name| format!("extension {name:?}")));
        entries.extend(self.sequences.iter().map(|name| format!("sequence {}", quoted(name))));
        entries.extend(self.tables.iter().map(table_text));
        entries.extend(self.views.iter().map(view_text));
        entries.extend(self.triggers.iter().map(|trigger| {
            let table = quoted(&trigger.table);
            format!("trigger {:?} on {table} {:?}", trigger.name, trigger.definition)
        }));
        entries.extend(self.routines.iter().map(|routine| {
            let Routine { name, arguments, definition } = routine;
            format!("routine {} ({arguments:?}) {definition:?}", quoted(name))
        }));
        entries.extend(self.types.iter().map(|def| {
            format!("type {} {:?} {:?}", quoted(&def.name), def.values, def.definition)
        }));
        entries.sort_unstable();
        entries.dedup();
        let mut text = entries.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn kept<T: Clone>(items: &[T], keep: impl Fn(&T) -> bool) -> Vec<T> {
    items.iter().filter(|item| keep(item)).cloned().collect()
}

/// A name that cannot be mistaken for another one, whatever characters are in it.
fn quoted(name: &ObjectName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema:?}.{:?}", name.name),
        None => format!("{:?}", name.name),
    }
}

fn table_text(table: &Table) -> String {
    let mut text = format!("table {} {:?}", quoted(&table.name), table.options);
    for column in &table.columns {
        let Column { name, type_name, nullable, default, generated, identity, extra } = column;
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "\n  column {name:?} {type_name:?} nullable={nullable} default={default:?} \
             generated={generated:?} identity={identity} {extra:?}"
        );
    }
    let mut lines = vec![format!("  primary key {:?}", table.primary_key)];
    lines.extend(table.uniques.iter().map(|u| format!("  unique {:?} {:?}", u.name, u.columns)));
    lines.extend(table.foreign_keys.iter().map(|key| {
        let (delete, update) = (key.on_delete.sql(), key.on_update.sql());
        let to = quoted(&key.to_table);
        let (name, columns, to_columns) = (&key.name, &key.columns, &key.to_columns);
        format!("  foreign key {name:?} {columns:?} {to} {to_columns:?} {delete} {update}")
    }));
    lines.extend(table.checks.iter().map(|c| format!("  check {:?} {:?}", c.name, c.expr)));
    lines.extend(table.indexes.iter().map(index_text));
    lines.sort_unstable();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

fn view_text(view: &View) -> String {
    let name = quoted(&view.name);
    let mut text = format!("view {name} stored={} {:?}", view.materialized, view.definition);
    let mut lines: Vec<String> = view.indexes.iter().map(index_text).collect();
    lines.sort_unstable();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

fn index_text(index: &Index) -> String {
    let Index { name, columns, unique, valid, predicate, origin } = index;
    format!("  index {name:?} {columns:?} unique={unique} valid={valid} {predicate:?} {origin:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: ObjectName) -> Table {
        Table { name, ..Table::default() }
    }

    fn two_schemas() -> Snapshot {
        Snapshot {
            default_schema: Some("app".to_owned()),
            tables: vec![
                table(ObjectName::in_schema("auth", "users")),
                table(ObjectName::in_schema("app", "users")),
                table(ObjectName::in_schema("auth", "sessions")),
            ],
            ..Snapshot::default()
        }
    }

    #[test]
    fn bare_names_mean_the_default_schema_first() {
        let snapshot = two_schemas();
        let found = |name: &ObjectName| {
            snapshot.table(name, Dialect::Postgres).map(|table| table.name.to_string())
        };
        assert_eq!(found(&ObjectName::bare("users")).as_deref(), Some("app.users"));
        assert_eq!(found(&ObjectName::bare("sessions")).as_deref(), Some("auth.sessions"));
        assert_eq!(found(&ObjectName::in_schema("auth", "users")).as_deref(), Some("auth.users"));
        assert_eq!(found(&ObjectName::in_schema("app", "sessions")), None);
    }

    #[test]
    fn fingerprint_ignores_the_catalogs_order() {
        let mut snapshot = two_schemas();
        let index = |name: &str| Index { name: name.to_owned(), ..Index::default() };
        snapshot.tables[0].indexes = vec![index("b"), index("a")];
        let text = snapshot.fingerprint_text();
        snapshot.tables.reverse();
        snapshot.tables[2].indexes.reverse();
        assert_eq!(snapshot.fingerprint_text(), text);
        snapshot.tables[2].indexes[0].valid = true;
        assert_ne!(snapshot.fingerprint_text(), text);
    }

    #[test]
    fn only_keeps_what_was_asked_for() {
        let mut snapshot = two_schemas();
        snapshot.tables[2].indexes =
            vec![Index { name: "sessions_ix".to_owned(), ..Index::default() }];
        let names = |objects: &[(ObjectKind, ObjectName)]| {
            let part = snapshot.only(objects, Dialect::Postgres);
            part.tables.iter().map(|table| table.name.to_string()).collect::<Vec<_>>()
        };
        let auth_users = ObjectName::in_schema("auth", "users");
        assert_eq!(names(&[(ObjectKind::Table, auth_users)]), ["auth.users"]);
        let index = ObjectName::bare("sessions_ix");
        assert_eq!(names(&[(ObjectKind::Index, index)]), ["auth.sessions"]);
    }
}
