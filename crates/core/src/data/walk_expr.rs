//! Expressions: what each name in them reads, and which functions they call.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value,
    Visit, Visitor, WindowType,
};

use super::expressions::names_in;
use super::functions::{
    Shape, Varies, is_ordered_aggregate, is_positional, is_present_time, is_present_word,
};
use super::names;
use super::reach;
use super::refusal::RefusalCode;
use super::scope::{Call, Place};
use super::walk::{PendingIn, Walker};
use crate::ddl::name::same_column_name;
use crate::sql::dialect::Dialect;

/// A name that certainly means one column of one relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) scope: usize,
    pub(super) relation: usize,
    pub(super) column: String,
}

/// Reads one expression without the queries inside, which have scopes of their own.
struct ExprVisitor<'w, 'a> {
    walker: &'w mut Walker<'a>,
    place: Place,
    inside: usize,
}

impl Visitor for ExprVisitor<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.inside == 0 {
            let place = if self.place == Place::Filter { Place::Filter } else { Place::Inner };
            self.walker.query(query, place);
        }
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.inside == 0 {
            self.walker.expr_node(expr, self.place);
        }
        ControlFlow::Continue(())
    }
}

impl Walker<'_> {
    /// Reads expressions, with the sub-queries in them.
    pub(super) fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>, place: Place) {
        for expr in exprs {
            let mut visitor = ExprVisitor { walker: self, place, inside: 0 };
            let _ = expr.visit(&mut visitor);
        }
    }

    fn expr_node(&mut self, expr: &Expr, place: Place) {
        match expr {
            Expr::Identifier(ident) => self.read_bare(ident),
            Expr::CompoundIdentifier(idents) => self.read_qualified(idents),
            Expr::QualifiedWildcard(name, _) => {
                if let Some(ident) = name.0.last().and_then(|part| part.as_ident()) {
                    let qualifier = self.ident(ident);
                    self.read_whole(&qualifier);
                }
            }
            Expr::Wildcard(_) => self.read_everything(),
            Expr::Function(function) => self.function(function, place),
            Expr::MatchAgainst { columns, .. } => {
                for column in columns {
                    let parts = names::parts(column).unwrap_or_default();
                    let idents: Vec<Ident> = parts.into_iter().cloned().collect();
                    self.read_qualified(&idents);
                }
            }
            Expr::InSubquery { expr, negated, .. } => {
                let plain = self.plain(expr).filter(|plain| self.is_top(plain.scope));
                self.pending_in = plain.map(|plain| PendingIn {
                    relation: plain.relation,
                    column: plain.column,
                    negated: *negated,
                });
            }
            Expr::BinaryOp { left, right, .. } => {
                self.present_word(left, right, place);
                self.present_word(right, left, place);
            }
            Expr::Between { expr, low, high, .. } => {
                self.present_word(low, expr, place);
                self.present_word(high, expr, place);
            }
            Expr::Cast { expr, data_type, .. } => self.present_time(expr, Some(data_type), place),
            Expr::TypedString(typed) => self.present_value(&typed.value.value, place, expr),
            _ => {}
        }
    }

    /// `'now'::timestamp`, which is the moment at which it is read.
    fn present_time(&mut self, expr: &Expr, data_type: Option<&DataType>, place: Place) {
        let of_time = data_type.is_none_or(|data_type| {
            matches!(
                data_type,
                DataType::Date
                    | DataType::Time(..)
                    | DataType::Timestamp(..)
                    | DataType::Datetime(..)
                    | DataType::Custom(..)
            )
        });
        if let (Expr::Value(value), true) = (expr, of_time) {
            self.present_value(&value.value, place, expr);
        }
    }

    fn present_value(&mut self, value: &Value, place: Place, expr: &Expr) {
        let text = match value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text,
            _ => return,
        };
        if self.dialect() == Dialect::Postgres && is_present_time(text) {
            let span = self.span_of(expr);
            let name = format!("'{text}'");
            self.calls.push(Call { name, place, varies: Varies::Now, span });
        }
    }

    /// `at < 'today'`, which PostgreSQL reads as a moment where the column is one.
    fn present_word(&mut self, expr: &Expr, beside: &Expr, place: Place) {
        let Expr::Value(value) = expr else { return };
        let Value::SingleQuotedString(text) = &value.value else { return };
        if is_present_word(text) && self.type_of(beside).is_none_or(|name| is_time(&name)) {
            self.present_value(&value.value, place, expr);
        }
    }

    /// The type of the column that an expression certainly is.
    fn type_of(&self, expr: &Expr) -> Option<String> {
        let plain = self.plain(expr)?;
        let origin = self.origin(&plain)?;
        let instance = self.instances.get(origin.instance)?;
        let table = self.catalog.snapshot.table(&instance.name, self.dialect())?;
        let column = super::key::column(table, &origin.column, self.dialect())?;
        Some(column.type_name.to_ascii_lowercase())
    }

    fn is_top(&self, scope: usize) -> bool {
        self.scopes.get(scope).is_some_and(|scope| scope.top)
    }

    fn function(&mut self, function: &Function, place: Place) {
        let span = self.span_of(function);
        let name = names::object(&function.name, self.dialect());
        let name = name.map(|name| name.name.to_ascii_lowercase()).unwrap_or_default();
        let mut exprs: Vec<&Expr> = Vec::new();
        let mut ordered = !function.within_group.is_empty();
        if let FunctionArguments::List(list) = &function.args {
            for arg in &list.args {
                let (FunctionArg::Named { arg, .. }
                | FunctionArg::ExprNamed { arg, .. }
                | FunctionArg::Unnamed(arg)) = arg;
                match arg {
                    FunctionArgExpr::Expr(expr) => exprs.push(expr),
                    FunctionArgExpr::QualifiedWildcard(name) => {
                        if let Some(ident) = name.0.last().and_then(|part| part.as_ident()) {
                            let qualifier = self.ident(ident);
                            self.read_whole(&qualifier);
                        }
                    }
                    // count(*) reads no column.
                    FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {}
                }
            }
            for clause in &list.clauses {
                if let sqlparser::ast::FunctionArgumentClause::OrderBy(items) = clause {
                    ordered = true;
                    let order = items.iter().map(|item| item.expr.clone()).collect();
                    self.wants_order(order, span.clone());
                }
            }
        }
        self.call(&name, &exprs, place, span.clone());
        if function.over.is_none() && self.functions().is_aggregate(&name, exprs.len()) {
            self.outer_aggregate(&exprs, span.clone());
        }
        match &function.over {
            Some(WindowType::WindowSpec(spec)) => {
                let rows = spec.window_frame.as_ref().is_some_and(|frame| {
                    !matches!(frame.units, sqlparser::ast::WindowFrameUnits::Range)
                });
                if is_positional(&name) || is_ordered_aggregate(&name) || rows {
                    let order = spec.order_by.iter().map(|item| item.expr.clone());
                    let parts = spec.partition_by.iter().cloned().chain(order);
                    // A named window that this one goes on from is not followed.
                    let parts =
                        if spec.window_name.is_some() { Vec::new() } else { parts.collect() };
                    self.wants_order(parts, span);
                }
            }
            Some(WindowType::NamedWindow(window)) => {
                let window = self.ident(window);
                let parts = self.frames.last().and_then(|frame| {
                    let found = frame.named.iter().find(|(name, _)| self.ident(name) == window);
                    found.map(|(_, parts)| parts.clone())
                });
                self.wants_order(parts.unwrap_or_default(), span);
            }
            None if is_ordered_aggregate(&name) && !ordered => self.wants_order(Vec::new(), span),
            None => {}
        }
    }

    /// An aggregate of outer columns alone is one of the outer query, wherever it stands.
    fn outer_aggregate(&mut self, args: &[&Expr], span: Range<usize>) {
        let names: Vec<Expr> = args.iter().flat_map(|arg| names_in(arg)).collect();
        let here = self.scopes.len().saturating_sub(1);
        let outer = |name: &Expr| {
            self.plain(name).is_some_and(|plain| plain.scope < here && self.is_top(plain.scope))
        };
        if !names.is_empty() && names.iter().all(outer) {
            let message = "An aggregate of the driving rows stands in a sub-query".to_owned();
            self.refuse(RefusalCode::Aggregate, span, message);
        }
    }

    fn wants_order(&mut self, parts: Vec<Expr>, span: Range<usize>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.orders.push((parts, span));
        }
    }

    /// Notes a call whose value differs from batch to batch, or that may read tables.
    pub(super) fn call(&mut self, name: &str, args: &[&Expr], place: Place, span: Range<usize>) {
        let present = args.iter().any(|arg| match arg {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                    text.trim().eq_ignore_ascii_case("now")
                }
                _ => false,
            },
            _ => false,
        });
        let functions = self.functions();
        let varies = functions.varies(&Shape { name, arguments: args.len(), present });
        self.function_body(name, span.clone());
        if varies != Varies::No {
            self.calls.push(Call { name: name.to_owned(), place, varies, span });
        }
    }

    /// A function with a body may read the target.
    fn function_body(&mut self, name: &str, span: Range<usize>) {
        let routines = self.catalog.snapshot.routines.iter();
        let bodies = routines.filter(|routine| routine.name.name.eq_ignore_ascii_case(name));
        let bodies: Vec<&str> = bodies.map(|routine| routine.definition.as_str()).collect();
        if bodies.is_empty() && !self.functions().reads_tables(name) {
            return;
        }
        let target = self.target.as_ref().map(|target| target.name.clone()).unwrap_or_default();
        if bodies.iter().any(|body| reach::reaches(body, &target, self.catalog)) {
            self.taints += 1;
            let message = format!("The function `{name}` mentions the target `{target}`");
            self.function_reads.push((message, span));
        } else {
            let message = "The function may read tables, which earlier batches may have changed";
            self.note("function-reads", message, span);
        }
        self.bodies.extend(bodies);
    }

    /// Every relation and column that a bare name may mean.
    fn read_bare(&mut self, ident: &Ident) {
        let name = self.ident(ident);
        let mut marks = Vec::new();
        let mut found = false;
        for (number, scope) in self.scopes.iter().enumerate().rev() {
            let mut here = false;
            for (at, relation) in scope.relations.iter().enumerate() {
                let known = self.column_of(relation, &name);
                here |= known.is_some();
                if known.is_some() || relation.outputs.open {
                    marks.push((number, at, known.unwrap_or_else(|| name.clone())));
                }
            }
            found |= here;
            if here && !scope.opaque {
                break;
            }
        }
        for (scope, relation, column) in marks {
            self.mark(scope, relation, Some(column));
        }
        if !found {
            self.read_whole(&name);
        }
    }

    fn column_of(&self, relation: &super::scope::Relation, name: &str) -> Option<String> {
        let same = |column: &str| same_column_name(column, name, self.dialect());
        let mut columns = relation.outputs.columns.iter();
        columns.find(|output| same(&output.name)).map(|output| output.name.clone())
    }

    fn read_qualified(&mut self, idents: &[Ident]) {
        let (Some(last), Some(before)) = (idents.last(), idents.iter().rev().nth(1)) else {
            if let [only] = idents {
                self.read_bare(only);
            }
            return;
        };
        let (column, qualifier) = (self.ident(last), self.ident(before));
        let mut marks = Vec::new();
        for (number, scope) in self.scopes.iter().enumerate().rev() {
            let mut here = false;
            for (at, relation) in scope.relations.iter().enumerate() {
                if names::same_alias(&relation.qualifier, &qualifier, self.dialect()) {
                    here = true;
                    marks.push((number, at, self.column_of(relation, &column)));
                }
            }
            if here && !scope.opaque {
                break;
            }
        }
        if marks.is_empty() {
            // `composite.field` of some column.
            self.read_bare(before);
        }
        for (scope, relation, column) in marks {
            self.mark(scope, relation, column);
        }
    }

    /// Notes that a column is read; without a column all of them.
    fn mark(&mut self, scope: usize, relation: usize, column: Option<String>) {
        let relation = self.scopes.get(scope).and_then(|scope| scope.relations.get(relation));
        let Some(relation) = relation else { return };
        // An alias list may have renamed the table's columns.
        let renamed = column.as_ref().and_then(|column| {
            let mut outputs = relation.outputs.columns.iter();
            let output = outputs.find(|output| &output.name == column)?;
            output.origin.as_ref().map(|origin| origin.column.clone())
        });
        let Some(instance) = relation.instance.and_then(|at| self.instances.get_mut(at)) else {
            return;
        };
        match renamed.or(column) {
            Some(column) => {
                instance.reads.columns.insert(column);
            }
            None => instance.reads.all = true,
        }
    }

    /// A whole row is read: `alias.*` or the alias alone.
    pub(super) fn read_whole(&mut self, qualifier: &str) {
        let mut marks = Vec::new();
        for (number, scope) in self.scopes.iter().enumerate() {
            for (at, relation) in scope.relations.iter().enumerate() {
                if names::same_alias(&relation.qualifier, qualifier, self.dialect()) {
                    marks.push((number, at));
                }
            }
        }
        for (scope, relation) in marks {
            self.mark(scope, relation, None);
        }
    }

    /// `*`: every column of the innermost FROM clause is read.
    pub(super) fn read_everything(&mut self) {
        let Some(number) = self.scopes.len().checked_sub(1) else { return };
        let count = self.scopes.last().map_or(0, |scope| scope.relations.len());
        for relation in 0..count {
            self.mark(number, relation, None);
        }
    }

    /// A column of USING, or all columns under NATURAL.
    pub(super) fn read_merged(&mut self, column: Option<String>) {
        let Some(number) = self.scopes.len().checked_sub(1) else { return };
        let count = self.scopes.last().map_or(0, |scope| scope.relations.len());
        for relation in 0..count {
            let known = self.scopes.last().and_then(|scope| {
                let relation = scope.relations.get(relation)?;
                self.column_of(relation, column.as_deref()?)
            });
            if known.is_some() || column.is_none() {
                self.mark(number, relation, known);
            }
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.merged = true;
        }
    }

    /// The one column that an expression certainly is.
    pub(super) fn plain(&self, expr: &Expr) -> Option<Plain> {
        match expr {
            Expr::Nested(inner) => self.plain(inner),
            Expr::Identifier(ident) => self.plain_name(None, &self.ident(ident)),
            Expr::CompoundIdentifier(idents) => {
                let column = self.ident(idents.last()?);
                let qualifier = self.ident(idents.iter().rev().nth(1)?);
                self.plain_name(Some(&qualifier), &column)
            }
            _ => None,
        }
    }

    pub(super) fn plain_name(&self, qualifier: Option<&str>, name: &str) -> Option<Plain> {
        for (number, scope) in self.scopes.iter().enumerate().rev() {
            let mut known = Vec::new();
            let mut doubt = false;
            for (at, relation) in scope.relations.iter().enumerate() {
                let asked = qualifier.is_none_or(|qualifier| {
                    names::same_alias(qualifier, &relation.qualifier, self.dialect())
                });
                if !asked {
                    continue;
                }
                match self.column_of(relation, name) {
                    Some(column) => known.push((at, column)),
                    None => doubt |= relation.outputs.open || qualifier.is_some(),
                }
            }
            // A bare name of two relations of one FROM clause is an error of the statement.
            let doubt = doubt && (known.is_empty() || qualifier.is_some());
            let hazy = doubt || scope.opaque || (scope.merged && qualifier.is_none());
            match (known.pop(), known.is_empty(), hazy) {
                (Some((relation, column)), true, false) => {
                    return Some(Plain { scope: number, relation, column });
                }
                (None, _, false) => {}
                _ => return None,
            }
        }
        None
    }
}

/// Whether a type holds moments, as PostgreSQL calls it.
fn is_time(type_name: &str) -> bool {
    type_name.contains("time") || type_name.contains("date")
}
