//! INSERT .. SELECT: which relation of the FROM clause drives, and along which key.

use super::aggregates::Found;
use super::cuts;
use super::insert::Insertion;
use super::insert_shape::shape;
use super::key::{self, Key};
use super::refusal::{Refusal, RefusalCode};
use super::rules::{self, Rules};
use super::scope::{Relation, Source};
use super::walk::{Walker, source_word};
use super::{BatchOptions, side};
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;

/// A relation that could drive.
#[derive(Clone)]
pub(super) struct Driver<'a> {
    /// Its number in the statement's FROM clause.
    pub(super) at: usize,
    pub(super) relation: Relation,
    pub(super) table: &'a Table,
    pub(super) key: Key,
    /// What the relation calls the key's columns.
    pub(super) names: Vec<String>,
}

/// The relation that drives: the one that `by` names, else the first that can.
pub(super) fn driver<'a>(
    walker: &Walker<'a>,
    source: &Insertion<'_, '_>,
    found: &Found,
    options: &BatchOptions,
) -> Result<Driver<'a>, Refusal> {
    let relations = walker.scopes.first().map(|scope| scope.relations.as_slice());
    let relations = relations.unwrap_or_default();
    if let Some(by) = &options.by {
        return named_driver(walker, relations, by);
    }
    let mut first: Option<Refusal> = None;
    let mut fallback: Option<Driver<'a>> = None;
    for (at, relation) in relations.iter().enumerate() {
        match candidate(walker, at, relation, None) {
            Ok(driver) => {
                let fits = shape(walker, source, &driver, found, &mut Rules::new(options));
                if fits.is_ok() && !rules::is_target(walker, &driver) {
                    return Ok(driver);
                }
                fallback.get_or_insert(driver);
            }
            Err(refusal) => {
                first.get_or_insert(refusal);
            }
        }
    }
    match (fallback, first) {
        (Some(driver), _) => Ok(driver),
        (None, Some(refusal)) => Err(refusal),
        (None, None) => Err(cuts::missing(&walker.parsed.text)),
    }
}

fn named_driver<'a>(
    walker: &Walker<'a>,
    relations: &[Relation],
    by: &str,
) -> Result<Driver<'a>, Refusal> {
    let mut last: Option<Refusal> = None;
    for (at, relation) in relations.iter().enumerate() {
        match candidate(walker, at, relation, Some(by)) {
            Ok(driver) => return Ok(driver),
            Err(refusal) => last = Some(refusal),
        }
    }
    Err(last.unwrap_or_else(|| cuts::missing(&walker.parsed.text)))
}

/// Whether a relation can drive, and along which key.
fn candidate<'a>(
    walker: &Walker<'a>,
    at: usize,
    relation: &Relation,
    by: Option<&str>,
) -> Result<Driver<'a>, Refusal> {
    let dialect = walker.dialect();
    let span = relation.span.clone();
    let refuse = |code: RefusalCode, message: String| Refusal::new(code, span.clone(), message);
    if !relation.preserved {
        let message = format!("An outer join fills `{}` with NULLs", relation.qualifier);
        return Err(refuse(RefusalCode::NullSide, message));
    }
    let snapshot = walker.catalog.snapshot;
    let table_of = |instance: usize| {
        let instance = walker.instances.get(instance)?;
        snapshot.table(&instance.name, dialect)
    };
    let no_key = |table: &Table| match by {
        Some(by) => side::named_key(by, relation, table, dialect)
            .map_err(|message| refuse(RefusalCode::ByNotUsable, message)),
        None => key::choose(table, dialect).map_err(|(code, message)| refuse(code, message)),
    };
    if relation.source == Source::Table
        && let Some(table) = relation.instance.and_then(table_of)
    {
        let key = no_key(table)?;
        let names = offered(relation, &key, relation.instance, dialect);
        if let Some(names) = names {
            return Ok(Driver { at, relation: relation.clone(), table, key, names });
        }
    }
    if matches!(relation.source, Source::Cte | Source::Derived) {
        let mut origins: Vec<usize> = Vec::new();
        for origin in relation.outputs.columns.iter().filter_map(|c| c.origin.as_ref()) {
            if !origins.contains(&origin.instance) {
                origins.push(origin.instance);
            }
        }
        for instance in origins {
            let Some(table) = table_of(instance) else { continue };
            for columns in key::unique_keys(table, dialect) {
                let key = Key { columns, rowid: false };
                if let Some(names) = offered(relation, &key, Some(instance), dialect) {
                    return Ok(Driver { at, relation: relation.clone(), table, key, names });
                }
            }
        }
    }
    let word = source_word(relation.source);
    let message = format!("The {word} `{}` gives no key of a table", relation.qualifier);
    Err(refuse(RefusalCode::NoDrivingTable, message))
}

/// What the relation calls the key's columns, if it has them all and none can be NULL.
fn offered(
    relation: &Relation,
    key: &Key,
    instance: Option<usize>,
    dialect: Dialect,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for column in &key.columns {
        let output = relation.outputs.columns.iter().find(|output| {
            output.origin.as_ref().is_some_and(|origin| {
                Some(origin.instance) == instance
                    && origin.preserved
                    && same_column_name(&origin.column, column, dialect)
            })
        })?;
        names.push(output.name.clone());
    }
    Some(names)
}
