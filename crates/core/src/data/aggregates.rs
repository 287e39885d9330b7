//! Aggregates and windows of one SELECT, without those of its sub-queries.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArguments, NamedWindowExpr, OrderByExpr, Query, Select, SelectItem,
    Visit, Visitor, WindowType,
};

use super::functions::{Functions, Shape, Varies};
use super::names;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) aggregate: Option<Function>,
    /// A function that is not known and so might be an aggregate.
    pub(super) unknown: Option<Function>,
    /// Windows, with what they are partitioned by; none where that cannot be said.
    pub(super) windows: Vec<(Function, Option<Vec<Expr>>)>,
}

struct Finder<'a> {
    functions: Functions<'a>,
    select: &'a Select,
    found: Found,
    inside: usize,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let (Expr::Function(function), 0) = (expr, self.inside) {
            self.function(function);
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    fn function(&mut self, function: &Function) {
        if let Some(over) = &function.over {
            let partition = self.partition(over);
            self.found.windows.push((function.clone(), partition));
            return;
        }
        let name = names::object(&function.name, self.functions.dialect);
        let name = name.map(|name| name.name.to_ascii_lowercase()).unwrap_or_default();
        let (arguments, marked) = match &function.args {
            FunctionArguments::List(list) => {
                let marked = list.duplicate_treatment.is_some() || !list.clauses.is_empty();
                (list.args.len(), marked)
            }
            FunctionArguments::None | FunctionArguments::Subquery(_) => (0, false),
        };
        let marked = marked || function.filter.is_some() || !function.within_group.is_empty();
        if marked || self.functions.is_aggregate(&name, arguments) {
            self.found.aggregate.get_or_insert_with(|| function.clone());
        }
        let shape = Shape { name: &name, arguments, present: false };
        if self.functions.varies(&shape) == Varies::Unknown {
            self.found.unknown.get_or_insert_with(|| function.clone());
        }
    }

    fn partition(&self, over: &WindowType) -> Option<Vec<Expr>> {
        let spec = match over {
            WindowType::WindowSpec(spec) => spec,
            WindowType::NamedWindow(name) => {
                let named = self.select.named_window.iter().find(|window| window.0 == *name);
                match named.map(|window| &window.1) {
                    Some(NamedWindowExpr::WindowSpec(spec)) => spec,
                    Some(NamedWindowExpr::NamedWindow(_)) | None => return None,
                }
            }
        };
        spec.window_name.is_none().then(|| spec.partition_by.clone())
    }
}

/// The aggregates and windows of a SELECT and its ORDER BY.
pub(super) fn find<'a>(
    select: &'a Select,
    order_by: &[&OrderByExpr],
    functions: Functions<'a>,
) -> Found {
    let mut finder = Finder { functions, select, found: Found::default(), inside: 0 };
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr)
            | SelectItem::ExprWithAlias { expr, .. }
            | SelectItem::ExprWithAliases { expr, .. } => {
                let _ = expr.visit(&mut finder);
            }
            SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {}
        }
    }
    for expr in select.having.iter().chain(order_by.iter().map(|item| &item.expr)) {
        let _ = expr.visit(&mut finder);
    }
    finder.found
}
