//! The columns that a SELECT gives, where their values come from and which sets are unique.

use sqlparser::ast::{Distinct, Expr, GroupByExpr, Select, SelectItem};

use super::names;
use super::scope::{Output, Outputs};
use super::walk::{Walker, groups_make_nulls, qualifier_of, without_origins};
use crate::ddl::name::same_column_name;

impl Walker<'_> {
    /// The columns that a SELECT gives.
    pub(super) fn outputs(&self, select: &Select) -> Outputs {
        let mut outputs = Outputs::default();
        let single = self.scopes.last().is_some_and(|scope| scope.relations.len() == 1);
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = match expr {
                        Expr::Identifier(ident) => Some(self.ident(ident)),
                        Expr::CompoundIdentifier(idents) => idents.last().map(|i| self.ident(i)),
                        _ => None,
                    };
                    match name {
                        Some(name) => outputs.columns.push(self.output(name, expr, single)),
                        None => outputs.open = true,
                    }
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    outputs.columns.push(self.output(self.ident(alias), expr, single));
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    let qualifier = qualifier_of(kind).map(|ident| self.ident(ident));
                    self.whole(qualifier.as_deref(), single, &mut outputs);
                }
                SelectItem::Wildcard(_) => self.whole(None, single, &mut outputs),
                SelectItem::ExprWithAliases { .. } => outputs.open = true,
            }
        }
        let outputs =
            if groups_make_nulls(&select.group_by) { without_origins(outputs) } else { outputs };
        Outputs { unique: self.unique_outputs(select, &outputs), ..outputs }
    }

    /// Sets of a SELECT's columns that no two of its rows share.
    fn unique_outputs(&self, select: &Select, outputs: &Outputs) -> Vec<Vec<String>> {
        let listed = |wanted: &Expr| {
            select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if expr == wanted => {
                    Some(self.ident(alias))
                }
                SelectItem::UnnamedExpr(expr) if expr == wanted => match expr {
                    Expr::Identifier(ident) => Some(self.ident(ident)),
                    Expr::CompoundIdentifier(idents) => idents.last().map(|i| self.ident(i)),
                    _ => None,
                },
                _ => None,
            })
        };
        let mut sets = Vec::new();
        if let Some(Distinct::On(items)) = &select.distinct {
            sets.extend(items.iter().map(listed).collect::<Option<Vec<_>>>());
        }
        match &select.group_by {
            GroupByExpr::Expressions(items, _) if !items.is_empty() => {
                sets.extend(items.iter().map(listed).collect::<Option<Vec<_>>>());
            }
            GroupByExpr::Expressions(..) if self.is_one_row(select) => sets.push(Vec::new()),
            _ => sets.extend(self.handed_on(outputs)),
        }
        if matches!(select.distinct, Some(Distinct::Distinct)) && !outputs.open {
            sets.push(outputs.columns.iter().map(|output| output.name.clone()).collect());
        }
        sets
    }

    /// Unique keys of the one table that a SELECT reads.
    fn handed_on(&self, outputs: &Outputs) -> Vec<Vec<String>> {
        let single = outputs
            .columns
            .iter()
            .filter_map(|output| output.origin.as_ref().filter(|origin| origin.single));
        let instance = single.map(|origin| origin.instance).next();
        let table = instance.and_then(|at| self.instances.get(at));
        let table =
            table.and_then(|instance| self.catalog.snapshot.table(&instance.name, self.dialect()));
        let Some(table) = table else { return Vec::new() };
        let named = |column: &String| {
            let mut outputs = outputs.columns.iter();
            let output = outputs.find(|output| {
                output.origin.as_ref().is_some_and(|origin| {
                    origin.single
                        && Some(origin.instance) == instance
                        && same_column_name(&origin.column, column, self.dialect())
                })
            })?;
            Some(output.name.clone())
        };
        let sets = super::key::unique_sets(table, self.dialect()).into_iter();
        sets.filter_map(|set| set.iter().map(named).collect()).collect()
    }

    fn output(&self, name: String, expr: &Expr, single: bool) -> Output {
        let here = self.scopes.len().saturating_sub(1);
        let plain = self.plain(expr).filter(|plain| plain.scope == here);
        let origin = plain.and_then(|plain| {
            let relation = self.scopes.get(plain.scope)?.relations.get(plain.relation)?;
            let named =
                |output: &&Output| same_column_name(&output.name, &plain.column, self.dialect());
            let mut origin = relation.outputs.columns.iter().find(named)?.origin.clone()?;
            origin.preserved &= relation.preserved;
            origin.single &= single;
            Some(origin)
        });
        Output { name, origin, hidden: false }
    }

    /// The columns of `*` or `qualifier.*`.
    fn whole(&self, qualifier: Option<&str>, single: bool, outputs: &mut Outputs) {
        let Some(scope) = self.scopes.last() else { return };
        for relation in &scope.relations {
            let asked = qualifier.is_none_or(|qualifier| {
                names::same_alias(qualifier, &relation.qualifier, self.dialect())
            });
            if !asked {
                continue;
            }
            outputs.open |= relation.outputs.open;
            for output in relation.outputs.columns.iter().filter(|output| !output.hidden) {
                let mut output = output.clone();
                if let Some(origin) = &mut output.origin {
                    origin.preserved &= relation.preserved;
                    origin.single &= single;
                }
                outputs.columns.push(output);
            }
        }
    }
}
