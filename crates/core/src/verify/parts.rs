//! What several folds do with the constraints and indexes of one table.

use super::expected::{ConstraintName, KeyFact, TableFacts, has_column, set_doubt};
use super::text::mentions;
use crate::ddl::ForeignKey;
use crate::ddl::name::same_column_name;
use crate::sql::dialect::Dialect;

/// How many constraints a table had, to tell the new ones.
pub(super) struct Marks {
    uniques: usize,
    foreign_keys: usize,
    checks: usize,
    key: bool,
}

impl Marks {
    pub(super) fn of(facts: &TableFacts) -> Marks {
        Marks {
            uniques: facts.uniques.len(),
            foreign_keys: facts.foreign_keys.len(),
            checks: facts.checks.len(),
            key: facts.primary_key.is_some(),
        }
    }

    pub(super) fn doubt_new(&self, facts: &mut TableFacts, reason: &str) {
        let uniques = facts.uniques.iter_mut().skip(self.uniques).map(|f| &mut f.doubt);
        let keys = facts.foreign_keys.iter_mut().skip(self.foreign_keys).map(|f| &mut f.doubt);
        let checks = facts.checks.iter_mut().skip(self.checks).map(|f| &mut f.doubt);
        let primary = facts.primary_key.iter_mut().filter(|_| !self.key).map(|f| &mut f.doubt);
        for doubt in uniques.chain(keys).chain(checks).chain(primary) {
            set_doubt(doubt, reason);
        }
    }
}

pub(super) fn names_mut(facts: &mut TableFacts) -> Vec<&mut ConstraintName> {
    let mut names: Vec<&mut ConstraintName> = Vec::new();
    names.extend(facts.primary_key.iter_mut().map(|fact| &mut fact.name));
    names.extend(facts.uniques.iter_mut().map(|fact| &mut fact.name));
    names.extend(facts.foreign_keys.iter_mut().map(|fact| &mut fact.name));
    names.extend(facts.checks.iter_mut().map(|fact| &mut fact.name));
    names.extend(facts.indexes.iter_mut().map(|fact| &mut fact.name));
    names
}

pub(super) fn is_named(facts: &mut TableFacts, name: &str, dialect: Dialect) -> bool {
    names_mut(facts).iter().any(|own| own.is(name, dialect))
}

/// Removes whatever constraint or index has this name; if none has, an unnamed one may be it.
pub(super) fn remove_named(facts: &mut TableFacts, name: &str, dialect: Dialect) {
    // Two guessed names may be the same guess; then it is not known which one went.
    let named = names_mut(facts).iter().filter(|own| own.is(name, dialect)).count();
    if named != 1 {
        doubt_unnamed(facts);
    }
    if named == 0 {
        return;
    }
    let gone = |own: &ConstraintName| own.is(name, dialect);
    if facts.primary_key.as_ref().is_some_and(|fact| gone(&fact.name)) {
        facts.primary_key = None;
    }
    facts.uniques.retain(|fact| !gone(&fact.name));
    facts.foreign_keys.retain(|fact| !gone(&fact.name));
    facts.checks.retain(|fact| !gone(&fact.name));
    facts.indexes.retain(|fact| !gone(&fact.name));
}

/// A constraint was dropped by the name that the server gave it.
pub(super) fn doubt_unnamed(facts: &mut TableFacts) {
    let why = "a constraint was dropped by a name that the server gave, perhaps this one";
    let unnamed = |name: &ConstraintName| name.given().is_none();
    let key = facts.primary_key.iter_mut().map(|f| (&f.name, &mut f.doubt));
    let uniques = facts.uniques.iter_mut().map(|f| (&f.name, &mut f.doubt));
    let keys = facts.foreign_keys.iter_mut().map(|f| (&f.name, &mut f.doubt));
    let checks = facts.checks.iter_mut().map(|f| (&f.name, &mut f.doubt));
    let indexes = facts.indexes.iter_mut().map(|f| (&f.name, &mut f.doubt));
    for (name, doubt) in key.chain(uniques).chain(keys).chain(checks).chain(indexes) {
        if unnamed(name) {
            set_doubt(doubt, why);
        }
    }
}

/// PostgreSQL drops every constraint and index that has the column.
pub(super) fn forget_with_column(facts: &mut TableFacts, column: &str) {
    let dialect = Dialect::Postgres;
    let has = |columns: &[String]| has_column(columns, column, dialect);
    if facts.primary_key.as_ref().is_some_and(|key| has(&key.columns)) {
        facts.primary_key = None;
    }
    facts.uniques.retain(|key| !has(&key.columns));
    facts.foreign_keys.retain(|fact| !has(&fact.key.columns));
    facts.checks.retain(|fact| !mentions(&fact.check.expr, column, dialect));
    facts.indexes.retain(|index| {
        !index.columns.iter().any(|part| match &part.column {
            Some(own) => own == column,
            None => mentions(&part.text, column, dialect),
        })
    });
    for index in facts.indexes.iter_mut().filter(|index| index.partial) {
        set_doubt(&mut index.doubt, "a dropped column may have been in its predicate");
    }
}

/// MariaDB takes the column out of every key and drops a key that becomes empty.
pub(super) fn shrink_keys(facts: &mut TableFacts, column: &str) {
    let dialect = Dialect::Mysql;
    let shrink = |key: &mut KeyFact| {
        let before = key.columns.len();
        key.columns.retain(|own| !same_column_name(own, column, dialect));
        if key.columns.len() != before {
            set_doubt(&mut key.doubt, "one of its columns was dropped");
        }
    };
    facts.primary_key.iter_mut().for_each(shrink);
    facts.uniques.iter_mut().for_each(shrink);
    facts.primary_key = facts.primary_key.take().filter(|key| !key.columns.is_empty());
    facts.uniques.retain(|key| !key.columns.is_empty());
    facts.foreign_keys.retain(|fact| !has_column(&fact.key.columns, column, dialect));
    for index in &mut facts.indexes {
        let before = index.columns.len();
        index.columns.retain(|part| {
            !part.column.as_ref().is_some_and(|own| same_column_name(own, column, dialect))
        });
        if index.columns.len() != before {
            set_doubt(&mut index.doubt, "one of its columns was dropped");
        }
    }
    facts.indexes.retain(|index| !index.columns.is_empty());
}

pub(super) fn rename_in(columns: &mut [String], from: &str, to: &str, dialect: Dialect) {
    for column in columns.iter_mut().filter(|column| same_column_name(column, from, dialect)) {
        *column = to.to_owned();
    }
}

pub(super) fn rename_in_keys(facts: &mut TableFacts, from: &str, to: &str, dialect: Dialect) {
    for key in facts.primary_key.iter_mut().chain(&mut facts.uniques) {
        rename_in(&mut key.columns, from, to, dialect);
    }
    for fact in &mut facts.foreign_keys {
        let ForeignKey { columns, .. } = &mut fact.key;
        rename_in(columns, from, to, dialect);
    }
    for fact in &mut facts.checks {
        if mentions(&fact.check.expr, from, dialect) {
            set_doubt(&mut fact.doubt, "a column in it was renamed");
        }
        if fact.at_column.as_deref() == Some(from) {
            fact.at_column = Some(to.to_owned());
        }
    }
    for index in &mut facts.indexes {
        for part in &mut index.columns {
            match &mut part.column {
                Some(own) if same_column_name(own, from, dialect) => to.clone_into(own),
                Some(_) => {}
                None => set_doubt(&mut index.doubt, "a column of its table was renamed"),
            }
        }
    }
}

impl TableFacts {
    pub(super) fn name_only(&self) -> TableFacts {
        TableFacts { name: self.name.clone(), ..TableFacts::default() }
    }
}
