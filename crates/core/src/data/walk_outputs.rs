//! The columns that a SELECT gives, where their values come from and which sets are unique.

use sqlparser::ast::{Distinct, Expr, GroupByExpr, Select, SelectItem};

use super::aggregates;
use super::insert_shape::ordinal;
use super::names;
use super::scope::{Origin, Output, Outputs};
use super::walk::{Walker, groups_make_nulls, qualifier_of, without_origins};
use super::walk_expr::Plain;
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
            let wanted = ordinal(wanted)
                .and_then(|number| match select.projection.get(number.checked_sub(1)?)? {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        Some(expr)
                    }
                    _ => None,
                })
                .unwrap_or(wanted);
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

    /// Whether a SELECT's rows are not each made of one row of each table that it reads: windows,
    /// LIMIT, DISTINCT ON, and aggregates without GROUP BY.
    pub(super) fn mixes(&self, select: &Select, limited: bool) -> bool {
        let found = aggregates::find(select, &[], self.functions());
        let one_group = !is_grouped(select)
            && (found.aggregate.is_some() || found.unknown.is_some() || select.having.is_some());
        let on = matches!(select.distinct, Some(Distinct::On(_)));
        limited || on || one_group || !found.windows.is_empty()
    }

    /// Notes whether each row of the outputs comes from one row of the table that it names.
    pub(super) fn keep_apart(&self, select: &Select, limited: bool, outputs: &mut Outputs) {
        let (grouped, mixes) = (is_grouped(select), self.mixes(select, limited));
        for origin in outputs.columns.iter_mut().filter_map(|output| output.origin.as_mut()) {
            origin.apart &= !mixes && (!grouped || self.groups_by_row(select, origin.instance));
        }
    }

    /// Whether GROUP BY holds a whole unique key of the table that is mentioned there.
    fn groups_by_row(&self, select: &Select, instance: usize) -> bool {
        let GroupByExpr::Expressions(items, _) = &select.group_by else { return false };
        let dialect = self.dialect();
        let here = self.scopes.len().saturating_sub(1);
        let columns: Vec<String> = items
            .iter()
            .filter_map(|item| self.plain(item).filter(|plain| plain.scope == here))
            .filter_map(|plain| self.origin(&plain))
            .filter(|origin| origin.instance == instance)
            .map(|origin| origin.column.clone())
            .collect();
        let table = self.instances.get(instance);
        let table = table.and_then(|one| self.catalog.snapshot.table(&one.name, dialect));
        let covered = |set: &Vec<String>| {
            set.iter().all(|part| columns.iter().any(|one| same_column_name(one, part, dialect)))
        };
        table.is_some_and(|table| super::key::unique_keys(table, dialect).iter().any(covered))
    }

    /// The column that a name means, as its relation offers it.
    pub(super) fn offered(&self, plain: &Plain) -> Option<&Output> {
        let relation = self.scopes.get(plain.scope)?.relations.get(plain.relation)?;
        let named = |one: &&Output| same_column_name(&one.name, &plain.column, self.dialect());
        relation.outputs.columns.iter().find(named)
    }

    /// Where the values of a column come from.
    pub(super) fn origin(&self, plain: &Plain) -> Option<&Origin> {
        self.offered(plain)?.origin.as_ref()
    }

    fn output(&self, name: String, expr: &Expr, single: bool) -> Output {
        let here = self.scopes.len().saturating_sub(1);
        let plain = self.plain(expr).filter(|plain| plain.scope == here);
        let offered = plain.as_ref().and_then(|plain| self.offered(plain));
        let numbers = offered.is_some_and(|output| output.numbers);
        let extreme = offered.and_then(|output| output.extreme.clone());
        let origin = plain.and_then(|plain| {
            let relation = self.scopes.get(plain.scope)?.relations.get(plain.relation)?;
            let mut origin = self.origin(&plain)?.clone();
            origin.preserved &= relation.preserved;
            origin.single &= single;
            Some(origin)
        });
        Output { name, origin, hidden: false, numbers, extreme }
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

/// Whether there is a GROUP BY.
pub(super) fn is_grouped(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(items, modifiers) => !(items.is_empty() && modifiers.is_empty()),
    }
}
