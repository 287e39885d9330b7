//! Rows that are numbered in a total order, and the least or greatest keys of groups.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Select,
    SelectItem, Value, WindowType,
};

use super::aggregates;
use super::expressions::{conjuncts, has_query, names_in};
use super::key;
use super::names;
use super::scope::{Extreme, Output, Outputs, Rank, Relation, Source};
use super::walk::Walker;
use super::walk_outputs::is_grouped;
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;

impl Walker<'_> {
    /// Notes which outputs number rows or are the extreme keys of groups, and which rows are left
    /// of numbered ones.
    pub(super) fn rank(&self, select: &Select, limited: bool, outputs: &mut Outputs) {
        self.pass_on(select, limited, outputs);
        for item in &select.projection {
            let (expr, name) = match item {
                SelectItem::ExprWithAlias { expr, alias } => (expr, self.ident(alias)),
                SelectItem::UnnamedExpr(expr) => (expr, String::new()),
                _ => continue,
            };
            let Expr::Function(function) = expr else { continue };
            let extreme = self.extreme(select, function).filter(|_| !limited);
            let numbered = self.numbered(select, function).filter(|_| !limited);
            if let Some(instance) = numbered {
                let origins = outputs.columns.iter_mut().filter_map(|one| one.origin.as_mut());
                origins.filter(|one| one.instance == instance).for_each(|o| o.rank = Rank::All);
            }
            if name.is_empty() {
                if extreme.is_some() {
                    outputs.columns.push(Output { name, extreme, ..Output::default() });
                }
            } else if let Some(output) =
                outputs.columns.iter_mut().rev().find(|output| output.name == name)
            {
                output.extreme = extreme;
                output.numbers = numbered.is_some();
            }
        }
    }

    /// What the relations of a SELECT say of their rows holds of the SELECT's rows too, or not.
    fn pass_on(&self, select: &Select, limited: bool, outputs: &mut Outputs) {
        let relations = self.scopes.last().map(|scope| scope.relations.as_slice());
        let relations = relations.unwrap_or_default();
        let apart = !self.mixes(select, limited) && !is_grouped(select);
        let whole = apart && select.selection.is_none() && relations.len() == 1;
        for output in &mut outputs.columns {
            output.numbers &= apart;
            output.extreme = output.extreme.take().filter(|_| whole);
            let Some(origin) = &mut output.origin else { continue };
            if !apart {
                origin.rank = Rank::None;
            } else if origin.rank == Rank::All {
                let from = relations.iter().enumerate().find(|(_, relation)| {
                    let mut origins = relation.outputs.columns.iter();
                    origins.any(|one| {
                        one.origin.as_ref().is_some_and(|one| one.instance == origin.instance)
                    })
                });
                let conditions: Vec<&Expr> = select.selection.iter().flat_map(conjuncts).collect();
                let here = self.scopes.len().saturating_sub(1);
                if from.is_some_and(|(at, _)| self.is_tail((here, at), &conditions)) {
                    origin.rank = Rank::Tail;
                }
            }
        }
    }

    /// Whether one of the conditions leaves out the first numbers of the relation.
    pub(super) fn is_tail(&self, relation: (usize, usize), conditions: &[&Expr]) -> bool {
        conditions.iter().any(|condition| {
            let Expr::BinaryOp { left, op, right } = condition else { return false };
            let (number, literal, op) = match (whole_number(left), whole_number(right)) {
                (None, Some(number)) => (left, number, op.clone()),
                (Some(number), None) => (right, number, turned(op)),
                _ => return false,
            };
            let tail = match op {
                BinaryOperator::Gt => literal >= 1,
                BinaryOperator::GtEq => literal >= 2,
                BinaryOperator::NotEq => literal == 1,
                _ => false,
            };
            let plain = self.plain(number).filter(|one| (one.scope, one.relation) == relation);
            tail && plain.and_then(|plain| self.offered(&plain)).is_some_and(|one| one.numbers)
        })
    }

    /// The one table of a SELECT's FROM clause, with the number of its mention.
    pub(super) fn only_table(&self) -> Option<(usize, &Relation, &Table)> {
        let [relation] = self.scopes.last()?.relations.as_slice() else { return None };
        let instance = relation.instance.filter(|_| relation.source == Source::Table)?;
        let name = &self.instances.get(instance)?.name;
        Some((instance, relation, self.catalog.snapshot.table(name, self.dialect())?))
    }

    /// `row_number()` over all rows of one table in a total order.
    fn numbered(&self, select: &Select, function: &Function) -> Option<usize> {
        let name = names::object(&function.name, self.dialect())?;
        let Some(WindowType::WindowSpec(spec)) = &function.over else { return None };
        let plain = name.name.eq_ignore_ascii_case("row_number") && spec.window_name.is_none();
        let windows = aggregates::find(select, &[], self.functions()).windows.len();
        let whole = select.distinct.is_none() && select.having.is_none() && !is_grouped(select);
        let (instance, ..) = self.only_table()?;
        let order = spec.order_by.iter().map(|item| &item.expr);
        let parts: Vec<&Expr> = spec.partition_by.iter().chain(order).collect();
        (plain && whole && windows == 1 && self.is_total(select, &parts)).then_some(instance)
    }

    /// `min(key)` or `max(key)` of the groups of one table's rows.
    fn extreme(&self, select: &Select, function: &Function) -> Option<Extreme> {
        let name = names::object(&function.name, self.dialect())?.name.to_ascii_lowercase();
        let FunctionArguments::List(list) = &function.args else { return None };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else {
            return None;
        };
        let bare = matches!(name.as_str(), "min" | "max")
            && list.clauses.is_empty()
            && function.over.is_none()
            && function.filter.is_none();
        let (instance, _, table) = self.only_table()?;
        let here = self.scopes.len().saturating_sub(1);
        let plain = self.plain(argument).filter(|plain| plain.scope == here)?;
        let own = |expr: &Expr| {
            let own = |name: &Expr| self.plain(name).is_some_and(|plain| plain.scope == here);
            !has_query(expr) && names_in(expr).iter().all(own)
        };
        let filtered = select.selection.is_some();
        let several = match &select.having {
            None => false,
            Some(having) if !filtered && is_several(having, self.dialect()) => true,
            Some(_) => return None,
        };
        let fits = bare
            && select.distinct.is_none()
            && select.selection.iter().all(own)
            && is_key(table, &plain.column, self.dialect());
        fits.then_some(Extreme { instance, column: plain.column, several })
    }
}

/// Whether a column alone tells a table's rows apart and is never NULL.
pub(super) fn is_key(table: &Table, name: &str, dialect: Dialect) -> bool {
    let rowid = dialect == Dialect::Sqlite
        && name.eq_ignore_ascii_case("rowid")
        && key::column(table, name, dialect).is_none();
    let same = |one: &String| same_column_name(one, name, dialect);
    let alone = |set: &Vec<String>| set.len() == 1 && set.iter().all(same);
    rowid || key::unique_keys(table, dialect).iter().any(alone)
}

/// `count(..) > 1`, of all rows or of one column.
fn is_several(having: &Expr, dialect: Dialect) -> bool {
    let Expr::BinaryOp { left, op, right } = having else { return false };
    let Expr::Function(function) = left.as_ref() else { return false };
    let name = names::object(&function.name, dialect);
    let counts = name.is_some_and(|name| name.name.eq_ignore_ascii_case("count"));
    let all = match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_none()
                && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
        }
        _ => false,
    };
    let more = match op {
        BinaryOperator::Gt => whole_number(right) == Some(1),
        BinaryOperator::GtEq => whole_number(right) == Some(2),
        _ => false,
    };
    counts && all && more && function.filter.is_none() && function.over.is_none()
}

fn whole_number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Nested(inner) => whole_number(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The operator with its sides exchanged.
fn turned(op: &BinaryOperator) -> BinaryOperator {
    match op {
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        other => other.clone(),
    }
}
