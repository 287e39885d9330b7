//! Facts against the live schema: existence, columns, absence.

use super::check_keys::{check_table_keys, index_verdict};
use super::expected::{
    Absent, AbsentKind, ColumnFacts, Doubt, Expected, IndexFact, ObjectFact, TableFacts,
};
use super::{Fact, FactKind, Verdict};
use crate::ddl::name::same_column_name;
use crate::ddl::{ObjectKind, ObjectName};
use crate::snapshot::{Column, Snapshot, Table};
use crate::sql::dialect::Dialect;
use crate::sqltype::{TypeMatch, types_match};

/// Judges every fact.
pub(super) fn check(expected: &Expected, live: &Snapshot) -> Vec<Fact> {
    let mut facts = Vec::new();
    for table in &expected.tables {
        check_table(expected, table, live, &mut facts);
    }
    facts.extend(expected.objects.iter().map(|object| check_object(expected, object, live)));
    facts.extend(expected.absent.iter().map(|absent| check_absent(expected, absent, live)));
    let not_derived = expected.not_derived.iter().map(|verb| Fact {
        subject: format!("`{verb}` statement"),
        kind: FactKind::NotDerived,
        detail: String::new(),
        verdict: not_checked("its text does not say what it does"),
    });
    facts.extend(not_derived);
    facts
}

pub(super) fn not_checked(reason: impl Into<String>) -> Verdict {
    Verdict::NotChecked { reason: reason.into() }
}

/// A mismatch: certain unless there is a doubt.
pub(super) fn mismatch(found: impl Into<String>, doubts: &[&Doubt]) -> Verdict {
    let found = found.into();
    match doubts.iter().find_map(|doubt| doubt.as_deref()) {
        Some(reason) => Verdict::NotChecked { reason: format!("{found}; {reason}") },
        None => Verdict::Fails { found },
    }
}

fn check_table(expected: &Expected, table: &TableFacts, live: &Snapshot, out: &mut Vec<Fact>) {
    let dialect = expected.dialect;
    let subject = table.name.to_string();
    let found = live.table(&table.name, dialect);
    if table.created {
        let kind = FactKind::Table;
        let verdict = match found {
            Some(_) => Verdict::Holds,
            None if live.not_inspected.contains(&ObjectKind::Table) => uninspected(),
            None => mismatch("no such table", &[&table.existence_doubt]),
        };
        out.push(Fact { subject: subject.clone(), kind, detail: String::new(), verdict });
    }
    let Some(found) = found else {
        let view = live.view(&table.name, dialect);
        for index in &table.indexes {
            let indexes = view.map_or(&[][..], |view| &view.indexes);
            let mut fact = index_fact(&subject, index);
            let alone = !table.created && view.is_none();
            fact.verdict = if alone {
                not_checked("its table is not among the tables")
            } else {
                index_verdict(index, indexes, &table.doubt, dialect)
            };
            out.push(fact);
        }
        if table.indexes.is_empty() && !table.created && !table.columns.is_empty() {
            let verdict = not_checked("not among the tables; it may be a view or a foreign table");
            out.push(Fact { subject, kind: FactKind::Table, detail: String::new(), verdict });
        }
        return;
    };
    for column in &table.columns {
        check_column(table, column, found, dialect, out);
    }
    check_table_keys(expected, table, (found, live), out);
    for index in &table.indexes {
        let mut fact = index_fact(&subject, index);
        fact.verdict = index_verdict(index, &found.indexes, &table.doubt, dialect);
        out.push(fact);
    }
}

fn index_fact(subject: &str, index: &IndexFact) -> Fact {
    let columns: Vec<String> = index
        .columns
        .iter()
        .map(|part| part.column.clone().unwrap_or_else(|| part.text.clone()))
        .collect();
    let unique = if index.unique { "unique " } else { "" };
    let name = index.name.given().map_or(String::new(), |name| format!("`{name}` "));
    let detail = format!("{name}{unique}({})", columns.join(", "));
    Fact { subject: subject.to_owned(), kind: FactKind::Index, detail, verdict: Verdict::Holds }
}

fn check_column(
    table: &TableFacts,
    column: &ColumnFacts,
    live: &Table,
    dialect: Dialect,
    out: &mut Vec<Fact>,
) {
    let subject = format!("{}.{}", table.name, column.name);
    let doubts = [&column.doubt, &table.doubt];
    let mut push = |kind, detail: &str, verdict| {
        out.push(Fact { subject: subject.clone(), kind, detail: detail.to_owned(), verdict });
    };
    let found = live.columns.iter().find(|own| same_column_name(&own.name, &column.name, dialect));
    let declared = column.type_text.as_deref().unwrap_or_default();
    let Some(found) = found else {
        push(FactKind::Column, declared, mismatch("no such column", &doubts));
        return;
    };
    push(FactKind::Column, declared, type_verdict(declared, found, &doubts, dialect));
    match column.nullable {
        Some(false) if found.nullable => {
            push(FactKind::NotNull, "", mismatch("it may be NULL", &doubts));
        }
        Some(false) => push(FactKind::NotNull, "", Verdict::Holds),
        Some(true) if !found.nullable => {
            let key = live.primary_key.iter().any(|k| same_column_name(k, &column.name, dialect));
            let verdict = match key {
                true => not_checked("it is part of the primary key"),
                false => mismatch("it is NOT NULL", &doubts),
            };
            push(FactKind::Nullable, "", verdict);
        }
        Some(true) => push(FactKind::Nullable, "", Verdict::Holds),
        None => {}
    }
    let default = found.default.is_some() || found.generated.is_some() || found.identity;
    match column.default {
        Some(true) if !default => push(FactKind::HasDefault, "", mismatch("no default", &doubts)),
        Some(true) => push(FactKind::HasDefault, "", Verdict::Holds),
        Some(false) if found.default.as_deref().is_some_and(|text| text != "NULL") => {
            let text = found.default.clone().unwrap_or_default();
            push(FactKind::NoDefault, "", mismatch(format!("default {text}"), &doubts));
        }
        Some(false) => push(FactKind::NoDefault, "", Verdict::Holds),
        None => {}
    }
}

fn type_verdict(declared: &str, found: &Column, doubts: &[&Doubt], dialect: Dialect) -> Verdict {
    if declared.is_empty() {
        return Verdict::Holds;
    }
    match types_match(declared, &found.type_name, dialect) {
        TypeMatch::Same => Verdict::Holds,
        TypeMatch::Different => mismatch(format!("type {}", found.type_name), doubts),
        TypeMatch::Unsure => not_checked(format!("type {} may be the same type", found.type_name)),
    }
}

fn check_object(expected: &Expected, object: &ObjectFact, live: &Snapshot) -> Fact {
    let kind = match object.kind {
        ObjectKind::Table => FactKind::Table,
        ObjectKind::Index => FactKind::Index,
        ObjectKind::View => FactKind::View,
        ObjectKind::Trigger => FactKind::Trigger,
        ObjectKind::Routine => FactKind::Routine,
        ObjectKind::Type => FactKind::Type,
        ObjectKind::Sequence => FactKind::Sequence,
        ObjectKind::Schema => FactKind::Schema,
        ObjectKind::Extension => FactKind::Extension,
    };
    let dialect = expected.dialect;
    let exists = object_exists(live, object.kind, &object.name, object.table.as_ref(), dialect);
    let verdict = if exists {
        Verdict::Holds
    } else if live.not_inspected.contains(&object.kind) {
        uninspected()
    } else {
        mismatch(format!("no such {}", object.kind.word()), &[&object.doubt])
    };
    let detail = object.table.as_ref().map_or(String::new(), |table| format!("on {table}"));
    Fact { subject: object.name.to_string(), kind, detail, verdict }
}

fn uninspected() -> Verdict {
    not_checked("this backend does not list them")
}

/// Whether an object of this kind and name is there.
fn object_exists(
    live: &Snapshot,
    kind: ObjectKind,
    name: &ObjectName,
    table: Option<&ObjectName>,
    dialect: Dialect,
) -> bool {
    let same = |own: &str| {
        same_column_name(own, &name.name, dialect)
            || (dialect == Dialect::Mysql && own.eq_ignore_ascii_case(&name.name))
    };
    match kind {
        ObjectKind::Table => live.table(name, dialect).is_some(),
        ObjectKind::View => live.view(name, dialect).is_some(),
        ObjectKind::Routine => live.find(&live.routines, |r| &r.name, name, dialect).is_some(),
        ObjectKind::Type => live.find(&live.types, |t| &t.name, name, dialect).is_some(),
        ObjectKind::Sequence => live.find(&live.sequences, |s| s, name, dialect).is_some(),
        ObjectKind::Schema => live.schemas.iter().any(|own| same(own)),
        ObjectKind::Extension => live.extensions.iter().any(|own| same(own)),
        ObjectKind::Trigger => live.triggers.iter().any(|trigger| {
            let here = table.is_none_or(|table| same_relation(table, &trigger.table, dialect));
            here && same(&trigger.name)
        }),
        ObjectKind::Index => {
            let tables = live
                .tables
                .iter()
                .filter(|own| table.is_none_or(|table| same_relation(table, &own.name, dialect)));
            let views = live.views.iter().filter(|_| table.is_none());
            let mut indexes =
                tables.flat_map(|t| &t.indexes).chain(views.flat_map(|view| &view.indexes));
            indexes.any(|index| same(&index.name))
        }
    }
}

/// Loosely the same table: names are equal but for case on MariaDB.
pub(super) fn same_relation(a: &ObjectName, b: &ObjectName, dialect: Dialect) -> bool {
    let lower = |name: &ObjectName| ObjectName::bare(name.name.to_lowercase());
    a.matches(b, dialect) || (dialect == Dialect::Mysql && lower(a) == lower(b))
}

fn check_absent(expected: &Expected, absent: &Absent, live: &Snapshot) -> Fact {
    let dialect = expected.dialect;
    let table = absent.table.as_ref();
    let found = table.and_then(|table| live.table(table, dialect));
    let here = |own: &str| same_column_name(own, &absent.name.name, dialect);
    let (subject, word, exists) = match absent.what {
        AbsentKind::Object(kind) => {
            let exists = object_exists(live, kind, &absent.name, table, dialect);
            (absent.name.to_string(), kind.word(), exists)
        }
        AbsentKind::Column => {
            let exists = found.is_some_and(|t| t.columns.iter().any(|column| here(&column.name)));
            (in_table(absent), "column", exists)
        }
        AbsentKind::Constraint => {
            let exists = found.is_some_and(|table| {
                let uniques = table.uniques.iter().map(|unique| &unique.name);
                let keys = table.foreign_keys.iter().map(|key| &key.name);
                let checks = table.checks.iter().map(|check| &check.name);
                let mut names = uniques.chain(keys).chain(checks).flatten();
                names.any(|name| here(name))
            });
            (in_table(absent), "constraint", exists)
        }
        AbsentKind::PrimaryKey => {
            let exists = found.is_some_and(|table| !table.primary_key.is_empty());
            (in_table(absent), "primary key", exists)
        }
    };
    let verdict = if !exists {
        Verdict::Holds
    } else if may_be_another(absent, live, dialect) {
        not_checked("one of this name is there, perhaps another one")
    } else {
        mismatch("it is there", &[&absent.doubt])
    };
    Fact { subject, kind: FactKind::Absent, detail: word.to_owned(), verdict }
}

fn in_table(absent: &Absent) -> String {
    let table = absent.table.as_ref().map(ToString::to_string).unwrap_or_default();
    if absent.name.name.is_empty() { table } else { format!("{table}.{}", absent.name.name) }
}

/// Whether what is there may be something else of the same name: in another schema, on another
/// table, another overload, or spelled otherwise.
fn may_be_another(absent: &Absent, live: &Snapshot, dialect: Dialect) -> bool {
    let default = live.default_schema.as_deref().or(match dialect {
        Dialect::Postgres => Some("public"),
        Dialect::Sqlite | Dialect::Mysql => None,
    });
    let AbsentKind::Object(kind) = absent.what else {
        // A bare table name may have found the table of another schema.
        let table = absent.table.as_ref().filter(|table| table.schema.is_none());
        let found = table.and_then(|table| live.table(table, dialect));
        let schema = found.and_then(|found| found.name.schema.as_deref());
        return schema.is_some_and(|schema| Some(schema) != default && schema != "public");
    };
    match kind {
        ObjectKind::Routine => true,
        ObjectKind::Index | ObjectKind::Trigger => {
            dialect != Dialect::Sqlite && absent.table.is_none()
        }
        ObjectKind::Table | ObjectKind::View | ObjectKind::Type | ObjectKind::Sequence => {
            let schema = absent.name.schema.as_deref().or(default);
            let exact = |name: &ObjectName| {
                name.name == absent.name.name
                    && (name.schema.is_none() || name.schema.as_deref() == schema)
            };
            let there = match kind {
                ObjectKind::Table => live.tables.iter().any(|table| exact(&table.name)),
                ObjectKind::View => live.views.iter().any(|view| exact(&view.name)),
                ObjectKind::Type => live.types.iter().any(|def| exact(&def.name)),
                _ => live.sequences.iter().any(exact),
            };
            !there && dialect != Dialect::Sqlite
        }
        ObjectKind::Schema | ObjectKind::Extension => false,
    }
}
