//! Sub-queries of a DELETE over its target that find the rows that go by rows that stay.

use sqlparser::ast::{Expr, Select, SelectItem};

use super::expressions::conjuncts;
use super::pair;
use super::scope::{Outputs, Rank, Source};
use super::walk::{PendingIn, Walker};
use super::walk_from::inner_conditions;
use super::walk_outputs::is_grouped;
use super::walk_rank::is_key;
use crate::ddl::name::same_column_name;

impl Walker<'_> {
    /// Notes the mentions of the target in a sub-query that each deleted row must fulfil, where
    /// what they are read for stays.
    pub(super) fn keep(
        &mut self,
        select: &Select,
        pending: Option<&PendingIn>,
        limited: bool,
        outputs: &Outputs,
    ) {
        let Some(target) = self.deletes else { return };
        let kept = match pending {
            Some(pending) if pending.relation != target => Vec::new(),
            Some(pending) if pending.negated => self.kept_extreme(pending, outputs),
            Some(pending) => {
                let mut kept = self.kept_tail(pending, outputs);
                kept.extend(self.kept_pair(select, pending, limited));
                kept
            }
            None => self.kept_partner(select, target, limited),
        };
        for instance in kept {
            if let Some(instance) = self.instances.get_mut(instance) {
                instance.kept = true;
            }
        }
    }

    /// `key NOT IN (SELECT min(key) .. GROUP BY ..)`: what is listed never goes.
    fn kept_extreme(&self, pending: &PendingIn, outputs: &Outputs) -> Vec<usize> {
        let [output] = outputs.columns.as_slice() else { return Vec::new() };
        let extreme = output.extreme.as_ref().filter(|extreme| {
            !extreme.several && same_column_name(&extreme.column, &pending.column, self.dialect())
        });
        extreme.map(|extreme| extreme.instance).into_iter().collect()
    }

    /// `key IN (SELECT key FROM numbered WHERE number > 1)`: the first ones never go.
    fn kept_tail(&self, pending: &PendingIn, outputs: &Outputs) -> Vec<usize> {
        let [output] = outputs.columns.as_slice() else { return Vec::new() };
        let origin = output.origin.as_ref().filter(|origin| {
            origin.rank == Rank::Tail
                && same_column_name(&origin.column, &pending.column, self.dialect())
                && self.is_key_of(origin.instance, &origin.column)
        });
        origin.map(|origin| origin.instance).into_iter().collect()
    }

    fn is_key_of(&self, instance: usize, column: &str) -> bool {
        let name = self.instances.get(instance).map(|instance| &instance.name);
        let table = name.and_then(|name| self.catalog.snapshot.table(name, self.dialect()));
        table.is_some_and(|table| is_key(table, column, self.dialect()))
    }

    /// `EXISTS (SELECT .. FROM target b WHERE b.k = target.k AND b.id < target.id)`.
    fn kept_partner(&self, select: &Select, target: usize, limited: bool) -> Vec<usize> {
        let Some((instance, ..)) = self.only_table() else { return Vec::new() };
        let plain = !limited && !is_grouped(select) && select.having.is_none();
        let here = self.scopes.len().saturating_sub(1);
        let conditions: Vec<&Expr> = select.selection.iter().flat_map(conjuncts).collect();
        let ordered = pair::is_ordered(self, &conditions, (0, target), (here, 0));
        if plain && self.is_target(instance) && ordered { vec![instance] } else { Vec::new() }
    }

    /// `key IN (SELECT a.key FROM target a JOIN target b ON b.k = a.k AND b.id < a.id)`.
    fn kept_pair(&self, select: &Select, pending: &PendingIn, limited: bool) -> Vec<usize> {
        let here = self.scopes.len().saturating_sub(1);
        let relations = self.scopes.last().map(|scope| scope.relations.as_slice());
        let [one, other] = relations.unwrap_or_default() else { return Vec::new() };
        let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
            select.projection.as_slice()
        else {
            return Vec::new();
        };
        let instances = (one.instance, other.instance);
        let (Some(first), Some(second)) = instances else { return Vec::new() };
        let tables = [one, other].iter().all(|relation| relation.source == Source::Table);
        let ours = tables && self.is_target(first) && self.is_target(second);
        let whole = !limited && !is_grouped(select) && select.having.is_none();
        let Some(plain) = self.plain(expr).filter(|plain| plain.scope == here) else {
            return Vec::new();
        };
        let key = same_column_name(&plain.column, &pending.column, self.dialect())
            && self.is_key_of(first, &plain.column);
        let mut conditions: Vec<&Expr> = select.selection.iter().flat_map(conjuncts).collect();
        for join in select.from.iter().flat_map(|item| &item.joins) {
            let Some(on) = inner_conditions(join) else { return Vec::new() };
            conditions.extend(on);
        }
        let (a, b) = ((here, plain.relation), (here, 1 - plain.relation.min(1)));
        let ordered = pair::is_ordered(self, &conditions, a, b);
        if ours && whole && key && ordered { vec![first, second] } else { Vec::new() }
    }
}
