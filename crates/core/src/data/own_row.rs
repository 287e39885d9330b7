//! Reads of the target that see nothing but the row that is being changed.

use sqlparser::ast::{BinaryOperator, Expr, JoinOperator, TableFactor};

use super::expressions::conjuncts;
use super::key;
use super::matches::Joined;
use super::scope::{InstanceKind, Tie};
use super::walk::Walker;
use super::walk_from::on_condition;
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;

/// Whether the mention `at` of the target sees only the row that is being changed, which its own
/// batch alone changes: a unique key that is not written is compared with itself.
pub(super) fn is_own(
    walker: &Walker<'_>,
    change: &impl Joined,
    (table, written): (&Table, &[String]),
    at: usize,
) -> bool {
    let dialect = walker.dialect();
    let Some(instance) = walker.instances.get(at) else { return false };
    let several = instance.in_with && walker.with_reused;
    if instance.kind != InstanceKind::Table || instance.name != table.name || several {
        return false;
    }
    let mut ties = instance.ties.clone();
    ties.retain(|tie| tie.relation == change.target());
    ties.extend(top_ties(walker, change, at));
    let same = |a: &str, b: &str| same_column_name(a, b, dialect);
    let tied = |part: &String| {
        let stays = !written.iter().any(|name| same(name, part));
        let never_null = key::is_not_null(table, part, dialect);
        stays
            && ties.iter().any(|tie| {
                same(&tie.column, part)
                    && same(&tie.top_column, part)
                    && (never_null || !tie.not_in)
            })
    };
    let mut sets = key::unique_sets(table, dialect);
    if dialect == Dialect::Sqlite && key::column(table, "rowid", dialect).is_none() {
        sets.push(vec!["rowid".to_owned()]);
    }
    sets.iter().any(|set| set.iter().all(tied))
}

/// Equalities between the target and rows that come from the mention, in the statement's own WHERE
/// and ON clauses.
fn top_ties(walker: &Walker<'_>, change: &impl Joined, at: usize) -> Vec<Tie> {
    let mut conditions: Vec<(&Expr, Option<usize>)> =
        change.selection().into_iter().flat_map(conjuncts).map(|one| (one, None)).collect();
    let nested = |factor: &TableFactor| matches!(factor, TableFactor::NestedJoin { .. });
    let single = change.tables().len() == 1;
    for item in change.tables() {
        let flat = !nested(&item.relation) && !item.joins.iter().any(|j| nested(&j.relation));
        for (number, join) in item.joins.iter().enumerate() {
            let left =
                matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
            // A left join's condition says something only of the joined side.
            let only = left.then_some(number + 1);
            let usable = !left || (single && flat);
            let on = on_condition(join, true).filter(|_| usable);
            conditions.extend(on.into_iter().flat_map(conjuncts).map(|one| (one, only)));
        }
    }
    conditions
        .into_iter()
        .filter_map(|(one, only)| top_tie(walker, change, at, one, only))
        .collect()
}

fn top_tie(
    walker: &Walker<'_>,
    change: &impl Joined,
    at: usize,
    condition: &Expr,
    only: Option<usize>,
) -> Option<Tie> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
    let (a, b) = (walker.plain(left)?, walker.plain(right)?);
    let target = change.target();
    let (own, other) = if a.relation == target { (a, b) } else { (b, a) };
    let apart = own.scope == 0 && other.scope == 0 && other.relation != target;
    let origin = walker.origin(&other)?;
    let fits = own.relation == target && only.is_none_or(|only| only == other.relation);
    (apart && fits && origin.instance == at && origin.apart).then(|| Tie {
        column: origin.column.clone(),
        relation: target,
        top_column: own.column,
        not_in: false,
    })
}
