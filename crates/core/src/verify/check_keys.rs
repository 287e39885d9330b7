//! Keys, checks and indexes against the live schema.

use super::check::{mismatch, not_checked, same_relation};
use super::expected::{CheckFact, Doubt, Expected, ForeignKeyFact, IndexFact, KeyFact, TableFacts};
use super::text::essence;
use super::{Fact, FactKind, Verdict};
use crate::ddl::name::same_column_name;
use crate::ddl::{ForeignKey, ReferentialAction};
use crate::snapshot::{Index, Snapshot, Table};
use crate::sql::dialect::Dialect;

/// Judges the constraints of one table.
pub(super) fn check_table_keys(
    expected: &Expected,
    table: &TableFacts,
    (found, live): (&Table, &Snapshot),
    out: &mut Vec<Fact>,
) {
    let dialect = expected.dialect;
    let subject = table.name.to_string();
    let mut push = |kind, detail: String, verdict| {
        out.push(Fact { subject: subject.clone(), kind, detail, verdict });
    };
    if let Some(key) = &table.primary_key {
        let verdict = if same_set(&key.columns, &found.primary_key, dialect) {
            Verdict::Holds
        } else {
            let there = format!("primary key ({})", found.primary_key.join(", "));
            mismatch(there, &[&key.doubt, &table.doubt])
        };
        push(FactKind::PrimaryKey, columns(&key.columns), verdict);
    }
    for key in &table.uniques {
        push(FactKind::Unique, columns(&key.columns), unique_verdict(key, found, table, dialect));
    }
    for fact in &table.foreign_keys {
        let verdict = foreign_key_verdict(fact, found, &table.doubt, dialect);
        push(FactKind::ForeignKey, foreign_key_text(&fact.key), verdict);
    }
    for fact in &table.checks {
        let verdict = check_verdict(fact, table, (found, live), dialect);
        push(FactKind::Check, format!("({})", fact.check.expr), verdict);
    }
}

fn columns(columns: &[String]) -> String {
    format!("({})", columns.join(", "))
}

/// Whether two lists have the same columns, in whatever order.
fn same_set(a: &[String], b: &[String], dialect: Dialect) -> bool {
    let has = |list: &[String], column: &String| {
        list.iter().any(|own| same_column_name(own, column, dialect))
    };
    a.len() == b.len() && a.iter().all(|column| has(b, column))
}

fn unique_verdict(key: &KeyFact, live: &Table, table: &TableFacts, dialect: Dialect) -> Verdict {
    let constraints = live.uniques.iter().map(|unique| &unique.columns);
    let whole = live.indexes.iter().filter(|i| i.unique && i.valid && i.predicate.is_none());
    let mut unique =
        constraints.chain(whole.map(|index| &index.columns)).chain([&live.primary_key]);
    if unique.any(|own| same_set(own, &key.columns, dialect)) {
        return Verdict::Holds;
    }
    mismatch("no unique key over these columns", &[&key.doubt, &table.doubt])
}

fn foreign_key_text(key: &ForeignKey) -> String {
    let mut text = format!("({}) -> {}", key.columns.join(", "), key.to_table);
    if !key.to_columns.is_empty() {
        text += &format!("({})", key.to_columns.join(", "));
    }
    format!("{text} {}", actions(key))
}

fn actions(key: &ForeignKey) -> String {
    format!("ON DELETE {} ON UPDATE {}", key.on_delete.sql(), key.on_update.sql())
}

fn foreign_key_verdict(
    fact: &ForeignKeyFact,
    live: &Table,
    doubt: &Doubt,
    dialect: Dialect,
) -> Verdict {
    let doubts = [&fact.doubt, doubt];
    let key = &fact.key;
    let same_columns: Vec<&ForeignKey> = live
        .foreign_keys
        .iter()
        .filter(|own| same_set(&own.columns, &key.columns, dialect))
        .collect();
    let to_same: Vec<&&ForeignKey> = same_columns
        .iter()
        .filter(|own| same_relation(&own.to_table, &key.to_table, dialect))
        .filter(|own| {
            let implied = own.to_columns.is_empty() || key.to_columns.is_empty();
            implied || same_set(&own.to_columns, &key.to_columns, dialect)
        })
        .collect();
    let same_action = |a, b| action(a, dialect) == action(b, dialect);
    let right = to_same.iter().any(|own| {
        same_action(own.on_delete, key.on_delete) && same_action(own.on_update, key.on_update)
    });
    if right {
        return Verdict::Holds;
    }
    if let Some(own) = to_same.first() {
        return mismatch(actions(own), &doubts);
    }
    match same_columns.first() {
        Some(own) => mismatch(foreign_key_text(own), &doubts),
        None => mismatch("no foreign key from these columns", &doubts),
    }
}

/// InnoDB does the same for RESTRICT and NO ACTION, and versions print either.
fn action(action: ReferentialAction, dialect: Dialect) -> ReferentialAction {
    match action {
        ReferentialAction::Restrict if dialect == Dialect::Mysql => ReferentialAction::NoAction,
        other => other,
    }
}

/// A check holds by its name, by its text in essence, or is left open where only the count fits.
fn check_verdict(
    fact: &CheckFact,
    table: &TableFacts,
    (found, live): (&Table, &Snapshot),
    dialect: Dialect,
) -> Verdict {
    let doubts = [&fact.doubt, &table.doubt];
    let own = essence(&fact.check.expr, dialect);
    if found.checks.iter().any(|check| essence(&check.expr, dialect) == own) {
        return Verdict::Holds;
    }
    let named = fact.name.given().and_then(|name| {
        let same = |own: &Option<String>| {
            own.as_ref().is_some_and(|own| same_column_name(own, name, dialect))
        };
        found.checks.iter().find(|check| same(&check.name))
    });
    if let Some(named) = named {
        // The server prints the expression in its own words, so a difference proves nothing.
        return not_checked(format!("it is there as ({})", named.expr));
    }
    if dialect == Dialect::Mysql && live.tables.iter().all(|table| table.checks.is_empty()) {
        return not_checked("older MySQL versions ignore CHECK");
    }
    if fact.name.given().is_some() && dialect != Dialect::Sqlite {
        return mismatch("no check of this name", &doubts);
    }
    let certain = table.checks.iter().filter(|check| check.doubt.is_none()).count();
    if found.checks.len() < certain {
        return mismatch(format!("only {} of {certain} checks", found.checks.len()), &doubts);
    }
    not_checked("no check with this text; the server may print it in other words")
}

/// Judges one index among those of its table.
pub(super) fn index_verdict(
    index: &IndexFact,
    live: &[Index],
    doubt: &Doubt,
    dialect: Dialect,
) -> Verdict {
    let doubts = [&index.doubt, doubt];
    let Some(name) = index.name.given() else {
        let found = live.iter().find(|own| {
            own.unique == index.unique && same_parts(index, own, dialect) != Some(false)
        });
        return match found {
            Some(own) if own.valid => Verdict::Holds,
            Some(_) => mismatch("it is INVALID", &doubts),
            None => mismatch("no index over these columns", &doubts),
        };
    };
    let Some(own) = live.iter().find(|own| same_column_name(&own.name, name, dialect)) else {
        return mismatch("no such index", &doubts);
    };
    if !own.valid {
        return mismatch("it is INVALID", &doubts);
    }
    if own.unique != index.unique {
        let found = if own.unique { "it is unique" } else { "it is not unique" };
        return mismatch(found, &doubts);
    }
    if own.predicate.is_some() != index.partial {
        let found = if index.partial { "it is not partial" } else { "it is partial" };
        return mismatch(found, &doubts);
    }
    match same_parts(index, own, dialect) {
        Some(true) => Verdict::Holds,
        Some(false) => mismatch(columns(&own.columns), &doubts),
        // Expressions are printed in the server's words.
        None => Verdict::Holds,
    }
}

/// Whether an index is over these columns; none where expressions leave it open.
fn same_parts(index: &IndexFact, live: &Index, dialect: Dialect) -> Option<bool> {
    if index.columns.is_empty() || live.columns.is_empty() {
        return None;
    }
    if live.columns.len() < index.columns.len() {
        return Some(false);
    }
    let mut open = false;
    for (part, own) in index.columns.iter().zip(&live.columns) {
        match &part.column {
            Some(column) if same_column_name(column, own, dialect) => {}
            // A word in quotes may be what the catalog prints, or an expression after all.
            Some(_) if own.contains(['(', ' ', '"', '`', ':', '\'']) => open = true,
            Some(_) => return Some(false),
            None => open = true,
        }
    }
    (!open).then_some(true)
}
