//! What ties a sub-query to the driving row, and whether its orders are total.

use std::ops::Range;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, OrderByExpr, Select, SelectItem,
};

use super::expressions::conjuncts;
use super::key::unique_keys;
use super::scope::{Outputs, Source, Tie};
use super::walk::{PendingIn, Walker};
use super::walk_expr::Plain;
use super::walk_from::on_condition;
use crate::ddl::name::same_column_name;

impl Walker<'_> {
    /// Notes equalities between this SELECT's tables and the statement's own FROM clause.
    pub(super) fn tie_conditions(
        &mut self,
        select: &Select,
        pending: Option<&PendingIn>,
        limited: bool,
    ) {
        let mut equal = Vec::new();
        for condition in select.selection.iter().flat_map(conjuncts) {
            equal.extend(self.equality(condition, None));
        }
        for item in &select.from {
            for (at, join) in item.joins.iter().enumerate() {
                // A left join's condition says something only of the joined side.
                let inner = on_condition(join, false).is_some();
                let joined = if inner || select.from.len() > 1 { None } else { Some(at + 1) };
                for condition in on_condition(join, true).into_iter().flat_map(conjuncts) {
                    if inner || joined.is_some() {
                        equal.extend(self.equality(condition, joined));
                    }
                }
            }
        }
        let ungrouped =
            matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
        let whole = ungrouped && !limited && select.distinct.is_none() && select.having.is_none();
        if let (Some(pending), true, [item]) = (pending, whole, select.projection.as_slice())
            && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
            && let Some(plain) = self.plain(expr)
            && !(pending.negated && self.may_be_null_side(&plain))
        {
            self.tie(&plain, pending.relation, pending.column.clone(), pending.negated);
        }
        for (plain, relation, top_column) in equal {
            self.tie(&plain, relation, top_column, false);
        }
    }

    /// Whether an outer join may have made the column NULL.
    fn may_be_null_side(&self, plain: &Plain) -> bool {
        let relation = self.scopes.get(plain.scope).and_then(|s| s.relations.get(plain.relation));
        relation.is_none_or(|relation| !relation.preserved)
    }

    /// The same for `x IN (SELECT key ..)` from relations whose rows come from one row each.
    pub(super) fn tie_output(
        &mut self,
        select: &Select,
        pending: Option<&PendingIn>,
        outputs: &Outputs,
    ) {
        let ([_], [output]) = (select.projection.as_slice(), outputs.columns.as_slice()) else {
            return;
        };
        let (Some(pending), Some(origin)) = (pending, &output.origin) else { return };
        if !origin.apart || outputs.open || (pending.negated && !origin.preserved) {
            return;
        }
        let tie = Tie {
            column: origin.column.clone(),
            relation: pending.relation,
            top_column: pending.column.clone(),
            not_in: pending.negated,
        };
        if let Some(instance) = self.instances.get_mut(origin.instance) {
            instance.ties.push(tie);
        }
    }

    /// The same for the statement's own FROM clause, where the target may be joined.
    pub(super) fn equality(
        &self,
        condition: &Expr,
        only: Option<usize>,
    ) -> Option<(Plain, usize, String)> {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
        let here = self.scopes.len().checked_sub(1)?;
        let (a, b) = (self.plain(left)?, self.plain(right)?);
        let (inner, outer) = if a.scope == here { (a, b) } else { (b, a) };
        let top = self.scopes.get(outer.scope)?.top;
        let fits = inner.scope == here && outer.scope != here && top;
        let asked = only.is_none_or(|only| inner.relation == only);
        (fits && asked).then_some((inner, outer.relation, outer.column))
    }

    fn tie(&mut self, plain: &Plain, relation: usize, top_column: String, not_in: bool) {
        let found = self.scopes.get(plain.scope).and_then(|scope| {
            let relation = scope.relations.get(plain.relation)?;
            (relation.source == Source::Table).then_some(relation.instance).flatten()
        });
        if let Some(instance) = found.and_then(|at| self.instances.get_mut(at)) {
            let column = plain.column.clone();
            instance.ties.push(Tie { column, relation, top_column, not_in });
        }
    }

    /// The place of an order in this SELECT that leaves ties, if one matters.
    pub(super) fn loose_order(
        &self,
        select: &Select,
        order_by: &[&OrderByExpr],
        limited: bool,
    ) -> Option<Range<usize>> {
        let frame = self.frames.last()?;
        for (parts, span) in &frame.orders {
            if !self.is_total(select, &parts.iter().collect::<Vec<_>>()) {
                return Some(span.clone());
            }
        }
        let on = matches!(select.distinct, Some(Distinct::On(_)));
        let order: Vec<&Expr> = order_by.iter().map(|item| &item.expr).collect();
        if (limited || on) && !self.is_total(select, &order) && !self.is_one_row(select) {
            return Some(self.span_of(select));
        }
        None
    }

    /// An aggregate without GROUP BY gives one row.
    pub(super) fn is_one_row(&self, select: &Select) -> bool {
        let grouped =
            !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
        let found = super::aggregates::find(select, &[], self.functions());
        !grouped && found.aggregate.is_some()
    }

    /// Whether no two rows can be equal in all of these expressions.
    pub(super) fn is_total(&self, select: &Select, order: &[&Expr]) -> bool {
        let Some(scope) = self.scopes.last() else { return false };
        if scope.relations.is_empty() {
            return true;
        }
        if let GroupByExpr::Expressions(items, _) = &select.group_by
            && !items.is_empty()
        {
            return items.iter().all(|item| order.contains(&item));
        }
        let here = self.scopes.len().saturating_sub(1);
        let plains: Vec<Plain> = order
            .iter()
            .filter_map(|expr| self.plain(self.unaliased(select, expr)))
            .filter(|plain| plain.scope == here)
            .collect();
        scope.relations.iter().enumerate().all(|(at, relation)| {
            let columns = plains.iter().filter(|plain| plain.relation == at);
            let columns: Vec<&str> = columns.map(|plain| plain.column.as_str()).collect();
            let table = relation.instance.and_then(|at| self.instances.get(at));
            let table = table
                .filter(|_| relation.source == Source::Table)
                .and_then(|instance| self.catalog.snapshot.table(&instance.name, self.dialect()));
            let Some(table) = table else { return false };
            let covered = |key: &Vec<String>| {
                key.iter().all(|part| {
                    columns.iter().any(|column| same_column_name(column, part, self.dialect()))
                })
            };
            unique_keys(table, self.dialect()).iter().any(covered) || columns.contains(&"rowid")
        })
    }

    /// An output name in ORDER BY stands for its expression.
    fn unaliased<'e>(&self, select: &'e Select, expr: &'e Expr) -> &'e Expr {
        let Expr::Identifier(name) = expr else { return expr };
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item
                && self.ident(alias) == self.ident(name)
            {
                return expr;
            }
        }
        expr
    }
}
