//! UPDATE .. FROM: whether at most one row can give the new value.

use sqlparser::ast::{BinaryOperator, Expr, JoinConstraint, TableFactor, TableWithJoins};

use super::expressions::{conjuncts, names_in};
use super::key;
use super::names;
use super::refusal::{Note, Refusal, RefusalCode};
use super::rules::Rules;
use super::scope::Relation;
use super::walk::Walker;
use super::walk_expr::Plain;
use super::walk_from::{constraint, on_condition};
use crate::ddl::name::same_column_name;

/// A statement whose target is joined with other relations.
pub(super) trait Joined {
    fn target(&self) -> usize;
    fn selection(&self) -> Option<&Expr>;
    fn tables(&self) -> &[&TableWithJoins];
    fn values(&self) -> Vec<&Expr>;
}

/// Warns where several rows may match, refuses where nothing ties them to the target.
pub(super) fn check(
    walker: &Walker<'_>,
    change: &impl Joined,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let Some(scope) = walker.scopes.first() else { return Ok(()) };
    if scope.relations.len() < 2 || !reads_others(walker, change) {
        return Ok(());
    }
    let mut conditions: Vec<&Expr> = change.selection().into_iter().flat_map(conjuncts).collect();
    let mut loose: Vec<&Expr> = Vec::new();
    for item in change.tables() {
        for join in &item.joins {
            // A left join brings one row in any case, so its condition counts like an inner one's.
            conditions.extend(on_condition(join, true).into_iter().flat_map(conjuncts));
        }
    }
    loose.append(&mut conditions.clone());
    let merged = merged(walker, change.tables());
    let mut fixed = vec![change.target()];
    loop {
        let next = scope.relations.iter().enumerate().find(|(at, relation)| {
            let conditions = Conditions { equal: &conditions, merged: &merged, fixed: &fixed };
            !fixed.contains(at) && is_fixed(walker, *at, relation, &conditions)
        });
        match next {
            Some((at, _)) => fixed.push(at),
            None => break,
        }
    }
    for (at, relation) in scope.relations.iter().enumerate() {
        if fixed.contains(&at) {
            continue;
        }
        let name = &relation.qualifier;
        let span = relation.span.clone();
        let tied = merged.iter().any(|one| one.relation == at || one.with.contains(&at));
        if tied || loose.iter().any(|condition| mentions(walker, condition, at)) {
            let message =
                format!("Several rows of `{name}` may match; any of them gives the value");
            rules.notes.push(Note { code: "arbitrary-match", message, span });
        } else {
            let message = format!("Nothing ties `{name}` to the target; any row gives the value");
            rules.refuse(RefusalCode::ArbitraryMatch, span, message)?;
        }
    }
    Ok(())
}

/// Columns that USING makes equal.
struct Merged {
    /// The joined relation.
    relation: usize,
    /// The relations before it.
    with: Vec<usize>,
    columns: Vec<String>,
}

/// Joins by USING and NATURAL, the latter without their columns.
fn merged(walker: &Walker<'_>, tables: &[&TableWithJoins]) -> Vec<Merged> {
    let mut found = Vec::new();
    let mut first = 0;
    for item in tables {
        let nested = |factor: &TableFactor| matches!(factor, TableFactor::NestedJoin { .. });
        if nested(&item.relation) || item.joins.iter().any(|join| nested(&join.relation)) {
            return Vec::new();
        }
        for (number, join) in item.joins.iter().enumerate() {
            let relation = first + number + 1;
            let columns = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(columns)) => columns.as_slice(),
                Some(JoinConstraint::Natural) => &[],
                _ => continue,
            };
            let names = columns.iter().filter_map(|name| names::object(name, walker.dialect()));
            let columns = names.map(|name| name.name).collect();
            found.push(Merged { relation, with: (first..relation).collect(), columns });
        }
        first += item.joins.len() + 1;
    }
    found
}

/// What is known of a statement's own FROM clause.
struct Conditions<'c, 'e> {
    equal: &'c [&'e Expr],
    merged: &'c [Merged],
    /// Relations of which one row is certain for each row of the target.
    fixed: &'c [usize],
}

/// Whether a unique key of the relation is equal to what is fixed.
fn is_fixed(
    walker: &Walker<'_>,
    at: usize,
    relation: &Relation,
    conditions: &Conditions<'_, '_>,
) -> bool {
    let fixed = conditions.fixed;
    let certain = |one: &&Merged| {
        // Of two joined tables it does not matter which one comes first.
        let pair = one.with.len() == 1 && one.with.contains(&at) && fixed.contains(&one.relation);
        pair || (one.relation == at && one.with.iter().all(|with| fixed.contains(with)))
    };
    let mut equal: Vec<String> =
        conditions.merged.iter().filter(certain).flat_map(|one| one.columns.clone()).collect();
    for condition in conditions.equal {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { continue };
        for (one, other) in [(left, right), (right, left)] {
            let Some(plain) = walker.plain(one).filter(|plain| own(plain, at)) else { continue };
            let given = match walker.plain(other) {
                Some(other) => other.scope == 0 && fixed.contains(&other.relation),
                None => matches!(other.as_ref(), Expr::Value(_)),
            };
            if given {
                equal.push(plain.column);
            }
        }
    }
    let dialect = walker.dialect();
    let covers = |set: &Vec<String>| {
        set.iter().all(|part| equal.iter().any(|column| same_column_name(column, part, dialect)))
    };
    let table = relation.instance.and_then(|at| walker.instances.get(at));
    let table = table.and_then(|instance| walker.catalog.snapshot.table(&instance.name, dialect));
    match table {
        Some(table) => key::unique_sets(table, dialect).iter().any(covers),
        None => relation.outputs.unique.iter().any(covers),
    }
}

fn own(plain: &Plain, relation: usize) -> bool {
    plain.scope == 0 && plain.relation == relation
}

/// Whether any new value names another relation than the target.
fn reads_others(walker: &Walker<'_>, change: &impl Joined) -> bool {
    change.values().into_iter().any(|value| {
        names_in(value)
            .iter()
            .any(|name| walker.plain(name).is_none_or(|plain| !own(&plain, change.target())))
    })
}

/// Whether a condition names the relation.
fn mentions(walker: &Walker<'_>, condition: &Expr, relation: usize) -> bool {
    names_in(condition)
        .iter()
        .any(|name| walker.plain(name).is_none_or(|plain| own(&plain, relation)))
}
