//! Walks a statement's queries and notes which tables and columns each name means.
//!
//! In doubt a name counts for every table that it may mean, so that what is read is never missed.

use std::ops::Range;

use sqlparser::ast::{
    Cte as TreeCte, Distinct, Expr, GroupByExpr, Ident, LimitClause, NamedWindowExpr, OrderByExpr,
    OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, Spanned, With,
};

use super::Catalog;
use super::functions::Functions;
use super::names;
use super::parse::{Parsed, Places};
use super::refusal::{Note, Refusal, RefusalCode};
use super::scope::{Call, Cte, Instance, Output, Outputs, Place, Scope, Source};
use crate::ddl::ObjectName;
use crate::sql::dialect::Dialect;

/// Windows and aggregates of one SELECT whose value depends on an order.
#[derive(Default)]
pub(super) struct Frame {
    /// What the order is made of; none for one that cannot be said.
    pub(super) orders: Vec<(Vec<Expr>, Range<usize>)>,
    pub(super) named: Vec<(Ident, Vec<Expr>)>,
}

/// The walk's state and findings.
pub(super) struct Walker<'a> {
    pub(super) catalog: &'a Catalog<'a>,
    pub(super) parsed: &'a Parsed,
    pub(super) places: Places<'a>,
    /// The table that the statement writes.
    pub(super) target: Option<ObjectName>,
    pub(super) scopes: Vec<Scope>,
    pub(super) ctes: Vec<Cte>,
    pub(super) frames: Vec<Frame>,
    /// How often something that holds rows of the target was mentioned.
    pub(super) taints: usize,
    pub(super) instances: Vec<Instance>,
    pub(super) calls: Vec<Call>,
    pub(super) notes: Vec<Note>,
    /// Inner orders over the target that are not total.
    pub(super) loose_orders: Vec<Range<usize>>,
    pub(super) refusals: Vec<Refusal>,
    /// The column that `x IN (SELECT ..)` compares, for the sub-query that comes next.
    pub(super) pending_in: Option<PendingIn>,
    /// Functions whose bodies mention the target.
    pub(super) function_reads: Vec<(String, Range<usize>)>,
    /// The definitions of all functions that are called.
    pub(super) bodies: Vec<&'a str>,
    /// The target, where a DELETE is read.
    pub(super) deletes: Option<usize>,
    /// Sub-queries of EXISTS, IN and NOT IN that a row must fulfil to be deleted.
    pub(super) decisive: Vec<Range<usize>>,
    /// How many WITH clauses are being read around this place.
    pub(super) in_with: usize,
    /// Some WITH table is used several times.
    pub(super) with_reused: bool,
}

/// What the place of a sub-query asks of its SELECT.
#[derive(Default)]
struct Asked {
    pending: Option<PendingIn>,
    decisive: bool,
    limited: bool,
}

/// `x IN (SELECT ..)`, where `x` is a column of the statement's own FROM clause.
#[derive(Clone, Debug)]
pub(super) struct PendingIn {
    pub(super) relation: usize,
    pub(super) column: String,
    pub(super) negated: bool,
}

impl<'a> Walker<'a> {
    pub(super) fn new(
        catalog: &'a Catalog<'a>,
        parsed: &'a Parsed,
        target: Option<ObjectName>,
    ) -> Walker<'a> {
        Walker {
            catalog,
            parsed,
            places: Places::new(&parsed.text.sql),
            target,
            scopes: Vec::new(),
            ctes: Vec::new(),
            frames: Vec::new(),
            taints: 0,
            instances: Vec::new(),
            calls: Vec::new(),
            notes: Vec::new(),
            loose_orders: Vec::new(),
            refusals: Vec::new(),
            pending_in: None,
            function_reads: Vec::new(),
            bodies: Vec::new(),
            deletes: None,
            decisive: Vec::new(),
            in_with: 0,
            with_reused: false,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.catalog.dialect
    }

    pub(super) fn functions(&self) -> Functions<'a> {
        Functions { dialect: self.catalog.dialect, facts: self.catalog.functions }
    }

    pub(super) fn span_of(&self, tree: &impl Spanned) -> Range<usize> {
        self.places.span(tree.span()).unwrap_or_else(|| self.parsed.text.span())
    }

    pub(super) fn refuse(&mut self, code: RefusalCode, span: Range<usize>, message: String) {
        self.refusals.push(Refusal::new(code, span, message));
    }

    pub(super) fn note(&mut self, code: &'static str, message: &str, span: Range<usize>) {
        self.notes.push(Note { code, message: message.to_owned(), span });
    }

    pub(super) fn ident(&self, ident: &Ident) -> String {
        names::ident(ident, self.dialect())
    }

    /// Reads the WITH clause; its tables stay visible until the caller forgets them.
    pub(super) fn with(&mut self, with: Option<&With>) {
        let Some(with) = with else { return };
        for cte in &with.cte_tables {
            let name = self.ident(&cte.alias.name);
            if with.recursive {
                let outputs = Outputs { open: true, ..Outputs::default() };
                // A recursive branch may meet the target through itself.
                self.ctes.push(Cte { name: name.clone(), outputs, tainted: true, uses: 0 });
            }
            let before = self.taints;
            let at = self.ctes.len();
            self.in_with += 1;
            let outputs = self.query(&cte.query, Place::Inner);
            self.in_with -= 1;
            self.ctes.truncate(at);
            if with.recursive {
                self.ctes.pop();
            }
            let tainted = self.taints > before && self.holds_target(before);
            let outputs = renamed(outputs, &cte_columns(self, cte));
            self.ctes.push(Cte { name, outputs, tainted, uses: 0 });
        }
    }

    /// Whether what was mentioned since holds rows of the target, not only a CTE that calls itself.
    fn holds_target(&self, before: usize) -> bool {
        self.taints > before
    }

    /// Reads a query that is not the statement's own; gives its columns.
    pub(super) fn query(&mut self, query: &Query, place: Place) -> Outputs {
        let pending = self.pending_in.take();
        let span = self.places.span(query.span());
        let decisive = span.is_some_and(|span| self.decisive.contains(&span));
        let ctes = self.ctes.len();
        self.with(query.with.as_ref());
        let order_by = order_items(query);
        let limited = is_limited(query);
        let outputs = match query.body.as_ref() {
            SetExpr::Select(select) => {
                let asked = Asked { pending, decisive, limited };
                self.select(select, &order_by, place, &asked)
            }
            body => {
                let before = self.taints;
                let mut outputs = self.set_expr(body, place);
                for origin in outputs.columns.iter_mut().filter_map(|one| one.origin.as_mut()) {
                    origin.apart &= !limited;
                }
                if limited && self.taints > before {
                    self.loose_orders.push(self.span_of(query));
                }
                outputs
            }
        };
        if limited && order_by.is_empty() {
            let span = self.span_of(query);
            let message = "LIMIT without ORDER BY may pick other rows in each batch";
            self.note("limit-without-order", message, span);
        }
        self.limit_values(query);
        if !query.locks.is_empty() || !query.pipe_operators.is_empty() || query.for_clause.is_some()
        {
            self.unsupported(query, "A sub-query locks rows");
        }
        self.ctes.truncate(ctes);
        outputs
    }

    pub(super) fn unsupported(&mut self, tree: &impl Spanned, message: &str) {
        let span = self.span_of(tree);
        self.refuse(RefusalCode::NotParsed, span, message.to_owned());
    }

    fn limit_values(&mut self, query: &Query) {
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                self.exprs(limit.iter().chain(limit_by), Place::Filter);
                self.exprs(offset.iter().map(|offset| &offset.value), Place::Filter);
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.exprs([offset, limit], Place::Filter);
            }
            None => {}
        }
    }

    pub(super) fn set_expr(&mut self, body: &SetExpr, place: Place) -> Outputs {
        match body {
            SetExpr::Select(select) => self.select(select, &[], place, &Asked::default()),
            SetExpr::Query(query) => self.query(query, place),
            SetExpr::SetOperation { left, right, .. } => {
                let outputs = self.set_expr(left, place);
                self.set_expr(right, place);
                without_origins(outputs)
            }
            SetExpr::Values(values) => {
                for row in &values.rows {
                    self.exprs(row.iter(), place);
                }
                Outputs { open: true, ..Outputs::default() }
            }
            SetExpr::Table(_) => {
                self.unsupported(body, "TABLE as a query is not read");
                Outputs { open: true, ..Outputs::default() }
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                let span = self.span_of(body);
                let message = "The WITH clause writes rows".to_owned();
                self.refuse(RefusalCode::DmlInCte, span, message);
                Outputs { open: true, ..Outputs::default() }
            }
        }
    }

    fn select(
        &mut self,
        select: &Select,
        order_by: &[&OrderByExpr],
        place: Place,
        asked: &Asked,
    ) -> Outputs {
        let (pending, limited) = (asked.pending.as_ref(), asked.limited);
        let before = self.taints;
        self.open(select, false);
        self.select_parts(select, order_by, place);
        self.tie_conditions(select, pending, limited);
        let loose = self.loose_order(select, order_by, limited);
        if let Some(span) = loose {
            if self.taints > before {
                self.loose_orders.push(span);
            } else if !(limited && order_by.is_empty()) {
                let message = "Ties in the inner order may fall differently in each batch";
                self.note("inner-order-not-total", message, span);
            }
        }
        let mut outputs = self.outputs(select);
        self.keep_apart(select, limited, &mut outputs);
        self.rank(select, limited, &mut outputs);
        self.tie_output(select, pending, &outputs);
        if asked.decisive {
            self.keep(select, pending, limited, &outputs);
        }
        self.close();
        outputs
    }

    /// Enters the scope of a SELECT.
    pub(super) fn open(&mut self, select: &Select, top: bool) {
        self.scopes.push(Scope { top, ..Scope::default() });
        let mut frame = Frame::default();
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &window.1
                && spec.window_name.is_none()
            {
                let order = spec.order_by.iter().map(|item| item.expr.clone());
                let parts = spec.partition_by.iter().cloned().chain(order).collect();
                frame.named.push((window.0.clone(), parts));
            }
        }
        self.frames.push(frame);
        for item in &select.from {
            self.table_with_joins(item);
        }
    }

    /// Leaves it.
    pub(super) fn close(&mut self) {
        self.scopes.pop();
        self.frames.pop();
    }

    /// Everything in a SELECT behind its FROM clause.
    pub(super) fn select_parts(&mut self, select: &Select, order: &[&OrderByExpr], place: Place) {
        let odd = select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || select.qualify.is_some()
            || select.exclude.is_some()
            || select.top.is_some();
        if odd {
            self.unsupported(select, "The SELECT has a clause that is not read");
        }
        for item in &select.from {
            self.join_conditions(item);
        }
        for item in &select.projection {
            self.select_item(item, place);
        }
        self.exprs(select.selection.iter().chain(&select.having), Place::Filter);
        if let GroupByExpr::Expressions(items, _) = &select.group_by {
            self.exprs(items.iter(), place);
        }
        if let Some(Distinct::On(items)) = &select.distinct {
            self.exprs(items.iter(), place);
        }
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
                self.exprs(spec.partition_by.iter(), place);
                self.exprs(spec.order_by.iter().map(|item| &item.expr), place);
            }
        }
        self.exprs(order.iter().map(|item| &item.expr), place);
    }

    fn select_item(&mut self, item: &SelectItem, place: Place) {
        match item {
            SelectItem::UnnamedExpr(expr)
            | SelectItem::ExprWithAlias { expr, .. }
            | SelectItem::ExprWithAliases { expr, .. } => self.exprs([expr], place),
            SelectItem::QualifiedWildcard(kind, _) => match qualifier_of(kind) {
                Some(qualifier) => {
                    let qualifier = self.ident(qualifier);
                    self.read_whole(&qualifier);
                }
                None => self.unsupported(item, "A row is taken apart"),
            },
            SelectItem::Wildcard(_) => self.read_everything(),
        }
    }

    /// The instance of the target that a relation is, if it is one.
    pub(super) fn is_target(&self, instance: usize) -> bool {
        let name = self.instances.get(instance).map(|instance| &instance.name);
        name.is_some() && name == self.target.as_ref()
    }
}

/// The items of ORDER BY; `ORDER BY ALL` has none that can be told.
pub(super) fn order_items(query: &Query) -> Vec<&OrderByExpr> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(items)) => items.iter().collect(),
        Some(OrderByKind::All(_)) | None => Vec::new(),
    }
}

/// Whether a query says how many rows it wants.
pub(super) fn is_limited(query: &Query) -> bool {
    query.limit_clause.is_some() || query.fetch.is_some()
}

pub(super) fn qualifier_of(
    kind: &sqlparser::ast::SelectItemQualifiedWildcardKind,
) -> Option<&Ident> {
    match kind {
        sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(name) => {
            name.0.last().and_then(|part| part.as_ident())
        }
        sqlparser::ast::SelectItemQualifiedWildcardKind::Expr(_) => None,
    }
}

/// ROLLUP and its like put NULL where a group's column was.
pub(super) fn groups_make_nulls(group_by: &GroupByExpr) -> bool {
    match group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(items, modifiers) => {
            let sets = |item: &Expr| {
                matches!(item, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_))
            };
            !modifiers.is_empty() || items.iter().any(sets)
        }
    }
}

pub(super) fn without_origins(mut outputs: Outputs) -> Outputs {
    for output in &mut outputs.columns {
        *output = Output { name: std::mem::take(&mut output.name), ..Output::default() };
    }
    outputs
}

fn cte_columns(walker: &Walker<'_>, cte: &TreeCte) -> Vec<String> {
    cte.alias.columns.iter().map(|column| walker.ident(&column.name)).collect()
}

/// The columns under the names of an alias list, which may be shorter than the columns.
pub(super) fn renamed(mut outputs: Outputs, names: &[String]) -> Outputs {
    if names.is_empty() {
        return outputs;
    }
    if outputs.open {
        // The positions are not known.
        let columns = names.iter().map(|name| Output { name: name.clone(), ..Output::default() });
        return Outputs { columns: columns.collect(), open: true, unique: Vec::new() };
    }
    let mut unique = std::mem::take(&mut outputs.unique);
    for (output, name) in outputs.columns.iter_mut().zip(names) {
        for part in unique.iter_mut().flatten().filter(|part| **part == output.name) {
            part.clone_from(name);
        }
        output.name.clone_from(name);
    }
    outputs.unique = unique;
    outputs
}

/// What a relation is called in messages.
pub(super) fn source_word(source: Source) -> &'static str {
    match source {
        Source::Table => "table",
        Source::View => "view",
        Source::Cte => "WITH table",
        Source::Derived => "derived table",
        Source::Function => "function",
    }
}

/// Whether an item of ORDER BY goes upwards.
pub(super) fn is_upwards(item: &OrderByExpr) -> bool {
    matches!(item.options.sort, None | Some(OrderBySort::Asc)) && item.options.nulls_first.is_none()
}
