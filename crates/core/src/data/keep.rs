//! A DELETE that is joined with its own target, and finds the rows that go by rows that stay.

use sqlparser::ast::{BinaryOperator, Expr};

use super::expressions::conjuncts;
use super::key;
use super::matches::Joined;
use super::pair;
use super::scope::{Rank, Relation, Source};
use super::walk::Walker;
use super::walk_expr::Plain;
use super::walk_from::inner_conditions;
use super::walk_rank::is_key;
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;

/// Whether the mention `at` of the target is read for rows that stay in any case, so that it does
/// not matter which of the others are gone already.
pub(super) fn is_kept(walker: &Walker<'_>, change: &impl Joined, table: &Table, at: usize) -> bool {
    let Some(instance) = walker.instances.get(at) else { return false };
    let several = instance.in_with && walker.with_reused;
    !several && (instance.kept || by_join(walker, change, table, at).unwrap_or(false))
}

/// The same where the mention is in the statement's own FROM or USING clause.
fn by_join(walker: &Walker<'_>, change: &impl Joined, table: &Table, at: usize) -> Option<bool> {
    let target = change.target();
    let [one, other] = walker.scopes.first()?.relations.as_slice() else { return None };
    let (number, relation) = if target == 0 { (1, other) } else { (0, one) };
    let mut conditions: Vec<&Expr> = change.selection().into_iter().flat_map(conjuncts).collect();
    for join in change.tables().iter().flat_map(|item| &item.joins) {
        conditions.extend(inner_conditions(join)?);
    }
    if relation.source == Source::Table {
        let ours = relation.instance == Some(at) && walker.is_target(at);
        return Some(ours && pair::is_ordered(walker, &conditions, (0, target), (0, number)));
    }
    let join = Joining { walker, table, target, number, relation, at };
    Some(join.is_tail(&conditions) || join.is_extreme(&conditions))
}

/// The target and a query over it.
struct Joining<'j, 'a> {
    walker: &'j Walker<'a>,
    table: &'j Table,
    target: usize,
    number: usize,
    relation: &'j Relation,
    at: usize,
}

impl Joining<'_, '_> {
    /// The columns of a comparison: the target's, and the other one's.
    fn sides(&self, condition: &Expr, ops: &[BinaryOperator]) -> Option<(Plain, Plain)> {
        let Expr::BinaryOp { left, op, right } = condition else { return None };
        let (a, b) = (self.walker.plain(left)?, self.walker.plain(right)?);
        let (own, other) = if a.relation == self.target { (a, b) } else { (b, a) };
        let apart = own.relation == self.target && other.relation == self.number;
        let top = own.scope == 0 && other.scope == 0;
        (ops.contains(op) && apart && top).then_some((own, other))
    }

    /// The target's columns that are equal to the same columns of the mention.
    fn tied(&self, conditions: &[&Expr]) -> Vec<(String, Plain)> {
        let equal = conditions.iter().filter_map(|one| self.sides(one, &[BinaryOperator::Eq]));
        let same = equal.filter(|(own, other)| {
            self.walker.origin(other).is_some_and(|origin| {
                origin.instance == self.at
                    && same_column_name(&origin.column, &own.column, self.walker.dialect())
            })
        });
        same.map(|(own, other)| (own.column, other)).collect()
    }

    /// Rows that are numbered in a total order: the first ones never go.
    fn is_tail(&self, conditions: &[&Expr]) -> bool {
        let tied = self.tied(conditions);
        let filtered = self.walker.is_tail((0, self.number), conditions);
        let dialect = self.walker.dialect();
        let ranked = tied.iter().filter(|(_, other)| {
            let rank = self.walker.origin(other).map(|origin| origin.rank);
            rank == Some(Rank::Tail) || (rank == Some(Rank::All) && filtered)
        });
        let columns: Vec<&String> = ranked.map(|(column, _)| column).collect();
        let has = |part: &String| columns.iter().any(|one| same_column_name(one, part, dialect));
        columns.iter().any(|column| is_key(self.table, column, dialect))
            || key::unique_keys(self.table, dialect).iter().any(|set| set.iter().all(has))
    }

    /// `target.k = q.k AND target.id <> q.least`, where `q` groups the target by `k`.
    fn is_extreme(&self, conditions: &[&Expr]) -> bool {
        let (walker, dialect) = (self.walker, self.walker.dialect());
        let tied = self.tied(conditions);
        let unlike = [BinaryOperator::NotEq, BinaryOperator::Gt, BinaryOperator::Lt];
        let is_unlike = |one: &&Expr| {
            self.sides(one, &unlike).is_some_and(|(own, other)| {
                let extreme = walker.offered(&other).and_then(|output| output.extreme.as_ref());
                extreme.is_some_and(|extreme| {
                    extreme.instance == self.at
                        && same_column_name(&extreme.column, &own.column, dialect)
                })
            })
        };
        let equal = |one: &&Expr| self.sides(one, &[BinaryOperator::Eq]).is_some();
        let own = |one: &&Expr| {
            !super::expressions::has_query(one)
                && super::expressions::names_in(one).iter().all(|name| {
                    walker.plain(name).is_some_and(|p| (p.scope, p.relation) == (0, self.target))
                })
        };
        let known = conditions.iter().all(|one| is_unlike(one) || equal(one) || own(one));
        let equalities = conditions.iter().filter(|one| equal(one)).count();
        let grouped = self.relation.outputs.unique.iter().any(|set| {
            let named = |part: &String| {
                tied.iter().any(|(_, other)| same_column_name(&other.column, part, dialect))
            };
            set.len() == tied.len() && set.iter().all(named)
        });
        known && grouped && equalities == tied.len() && conditions.iter().any(is_unlike)
    }
}
