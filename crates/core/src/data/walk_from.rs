//! FROM clauses: which relations there are, and which of them outer joins fill with NULLs.

use std::ops::Range;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName,
    Query, TableAlias, TableFactor, TableWithJoins,
};

use super::expressions::conjuncts;
use super::names;
use super::refusal::RefusalCode;
use super::scope::{
    Instance, InstanceKind, Origin, Output, Outputs, Place, Rank, Reads, Relation, Source,
};
use super::walk::{Walker, renamed};
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;
use crate::sql::quote::quote_ident;

impl Walker<'_> {
    pub(super) fn table_with_joins(&mut self, item: &TableWithJoins) {
        let first = self.relation_count();
        self.table_factor(&item.relation);
        for join in &item.joins {
            let added = self.relation_count();
            self.table_factor(&join.relation);
            self.outer_sides(join, first, added);
        }
    }

    fn relation_count(&self) -> usize {
        self.scopes.last().map_or(0, |scope| scope.relations.len())
    }

    fn outer_sides(&mut self, join: &Join, first: usize, added: usize) {
        let end = self.relation_count();
        match &join.join_operator {
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => self.not_preserved(added..end),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
                self.not_preserved(first..added);
            }
            JoinOperator::FullOuter(_) => self.not_preserved(first..end),
            JoinOperator::Join(_)
            | JoinOperator::Inner(_)
            | JoinOperator::CrossJoin(_)
            | JoinOperator::StraightJoin(_) => {}
            _ => self.unsupported(join, "A join of a kind that is not read"),
        }
    }

    fn not_preserved(&mut self, range: Range<usize>) {
        let relations = self.scopes.last_mut().map(|scope| scope.relations.as_mut_slice());
        for relation in relations.and_then(|all| all.get_mut(range)).unwrap_or_default() {
            relation.preserved = false;
        }
    }

    fn table_factor(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, .. } => {
                self.named(name, alias.as_ref(), factor);
            }
            TableFactor::Table { name, alias, args: Some(args), sample: None, .. } => {
                self.table_function(name, &args.args, alias.as_ref(), factor);
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.table_function(name, args, alias.as_ref(), factor);
            }
            TableFactor::UNNEST { array_exprs, alias, .. } => {
                self.exprs(array_exprs.iter(), Place::Filter);
                self.function_relation("unnest", alias.as_ref(), factor);
            }
            TableFactor::JsonTable { json_expr, alias, .. } => {
                self.exprs([json_expr], Place::Filter);
                self.function_relation("json_table", alias.as_ref(), factor);
            }
            TableFactor::TableFunction { expr, alias } => {
                self.exprs([expr], Place::Filter);
                self.function_relation("table", alias.as_ref(), factor);
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                self.derived(*lateral, subquery, alias.as_ref(), factor);
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins);
            }
            _ => self.unsupported(factor, "A table in FROM is of a kind that is not read"),
        }
    }

    fn derived(
        &mut self,
        lateral: bool,
        query: &Query,
        alias: Option<&TableAlias>,
        factor: &TableFactor,
    ) {
        let before = self.taints;
        let opaque = self.scopes.last_mut().map(|scope| {
            let was = scope.opaque;
            scope.opaque |= !lateral;
            was
        });
        let outputs = self.query(query, Place::Inner);
        if let (Some(scope), Some(was)) = (self.scopes.last_mut(), opaque) {
            scope.opaque = was;
        }
        let tainted = self.taints > before;
        let outputs = self.aliased(outputs, alias);
        let (qualifier, qualifier_sql, span) = match alias {
            Some(alias) => self.alias_of(&alias.name),
            None => (String::new(), String::new(), self.span_of(factor)),
        };
        self.push(Relation {
            qualifier,
            qualifier_sql,
            span,
            source: Source::Derived,
            instance: None,
            outputs,
            preserved: true,
            tainted,
        });
    }

    fn aliased(&self, outputs: Outputs, alias: Option<&TableAlias>) -> Outputs {
        let columns = alias.into_iter().flat_map(|alias| &alias.columns);
        let names: Vec<String> = columns.map(|column| self.ident(&column.name)).collect();
        renamed(outputs, &names)
    }

    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        factor: &TableFactor,
    ) {
        let function = names::object(name, self.dialect());
        let lower = function.map(|name| name.name.to_ascii_lowercase()).unwrap_or_default();
        let mut exprs = Vec::new();
        for arg in args {
            let (FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }
            | FunctionArg::Unnamed(arg)) = arg;
            match arg {
                FunctionArgExpr::Expr(expr) => exprs.push(expr),
                _ => self.unsupported(factor, "A function in FROM takes a whole row"),
            }
        }
        let span = self.span_of(factor);
        self.call(&lower, &exprs, Place::Filter, span);
        self.exprs(exprs, Place::Filter);
        self.function_relation(&lower, alias, factor);
    }

    fn function_relation(&mut self, name: &str, alias: Option<&TableAlias>, factor: &TableFactor) {
        let open = Outputs { open: true, ..Outputs::default() };
        let outputs = self.aliased(open, alias);
        let (qualifier, qualifier_sql, span) = match alias {
            Some(alias) => self.alias_of(&alias.name),
            None => (name.to_owned(), name.to_owned(), self.span_of(factor)),
        };
        self.push(Relation {
            qualifier,
            qualifier_sql,
            span,
            source: Source::Function,
            instance: None,
            outputs,
            preserved: true,
            tainted: false,
        });
    }

    /// An alias as a name, as written, and its place.
    fn alias_of(&self, alias: &Ident) -> (String, String, Range<usize>) {
        let span = self.places.span(alias.span).unwrap_or(0..0);
        let written = self.parsed.text.sql.get(span.clone()).unwrap_or("");
        let sql = if written.is_empty() {
            quote_ident(&self.ident(alias), self.dialect())
        } else {
            written.to_owned()
        };
        (self.ident(alias), sql, span)
    }

    /// A table, view or WITH table.
    fn named(&mut self, name: &ObjectName, alias: Option<&TableAlias>, factor: &TableFactor) {
        let Some(object) = names::object(name, self.dialect()) else {
            self.unsupported(factor, "A table's name is computed");
            return;
        };
        let (qualifier, qualifier_sql, span) = match alias {
            Some(alias) => self.alias_of(&alias.name),
            None => self.own_name(name, &object.name),
        };
        let mut relation = Relation {
            qualifier,
            qualifier_sql,
            span: span.clone(),
            source: Source::Table,
            instance: None,
            outputs: Outputs::default(),
            preserved: true,
            tainted: false,
        };
        let cte = object.schema.is_none().then(|| self.use_cte(&object.name)).flatten();
        if let Some((outputs, tainted)) = cte {
            self.taints += usize::from(tainted);
            relation.source = Source::Cte;
            relation.outputs = outputs;
            relation.tainted = tainted;
        } else {
            let top = self.scopes.last().is_some_and(|scope| scope.top);
            let top = top.then(|| self.relation_count());
            let (source, instance, outputs) = self.instance(&object, span, top);
            relation.source = source;
            relation.instance = Some(instance);
            relation.outputs = outputs;
            self.taints += usize::from(self.is_target(instance));
        }
        relation.outputs = self.aliased(relation.outputs, alias);
        self.push(relation);
    }

    fn own_name(&self, name: &ObjectName, folded: &str) -> (String, String, Range<usize>) {
        let last = name.0.last().and_then(|part| part.as_ident());
        let (value, written, span) = match last {
            Some(ident) => self.alias_of(ident),
            None => (folded.to_owned(), String::new(), 0..0),
        };
        // Behind a schema a reserved word may stand without quotes; alone it may not.
        let sql = if name.0.len() > 1 && !written.starts_with(['"', '`', '[']) {
            quote_ident(&value, self.dialect())
        } else {
            written
        };
        (value, sql, span)
    }

    fn use_cte(&mut self, name: &str) -> Option<(Outputs, bool)> {
        let dialect = self.dialect();
        let found =
            self.ctes.iter_mut().rev().find(|cte| names::same_alias(&cte.name, name, dialect))?;
        found.uses += 1;
        self.with_reused |= found.uses > 1;
        Some((found.outputs.clone(), found.tainted))
    }

    /// Notes a mention of a table or view.
    fn instance(
        &mut self,
        name: &crate::ddl::ObjectName,
        span: Range<usize>,
        top: Option<usize>,
    ) -> (Source, usize, Outputs) {
        let number = self.instances.len();
        let snapshot = self.catalog.snapshot;
        let (kind, found, outputs) = if let Some(table) = snapshot.table(name, self.dialect()) {
            let outputs = table_outputs(table, number, self.dialect());
            (InstanceKind::Table, table.name.clone(), outputs)
        } else {
            let open = Outputs { open: true, ..Outputs::default() };
            match snapshot.view(name, self.dialect()) {
                Some(view) => (InstanceKind::View, view.name.clone(), open),
                None => {
                    if !is_system(name, self.dialect()) {
                        let message = format!("There is no table or view `{name}`");
                        self.refuse(RefusalCode::UnknownRelation, span.clone(), message);
                    }
                    (InstanceKind::System, name.clone(), open)
                }
            }
        };
        self.instances.push(Instance {
            name: found,
            kind,
            span,
            reads: Reads::default(),
            ties: Vec::new(),
            top,
            kept: false,
            in_with: self.in_with > 0,
        });
        let source = if kind == InstanceKind::Table { Source::Table } else { Source::View };
        (source, number, outputs)
    }

    pub(super) fn push(&mut self, relation: Relation) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.relations.push(relation);
        }
    }

    /// The conditions of all joins of an item.
    pub(super) fn join_conditions(&mut self, item: &TableWithJoins) {
        self.nested_conditions(&item.relation);
        for join in &item.joins {
            self.nested_conditions(&join.relation);
            match constraint(&join.join_operator) {
                Some(JoinConstraint::On(expr)) => self.exprs([expr], Place::Filter),
                Some(JoinConstraint::Using(columns)) => {
                    for column in columns {
                        let name = names::object(column, self.dialect());
                        self.read_merged(name.map(|name| name.name));
                    }
                }
                Some(JoinConstraint::Natural) => self.read_merged(None),
                Some(JoinConstraint::None) | None => {}
            }
        }
    }

    fn nested_conditions(&mut self, factor: &TableFactor) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.join_conditions(table_with_joins);
        }
    }
}

/// What a join is made by.
pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::StraightJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// The condition of an inner join; of a left join if that is wanted too.
pub(super) fn on_condition(join: &Join, left_too: bool) -> Option<&Expr> {
    let wanted = match &join.join_operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::CrossJoin(_)
        | JoinOperator::StraightJoin(_) => true,
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => left_too,
        _ => false,
    };
    match constraint(&join.join_operator) {
        Some(JoinConstraint::On(expr)) if wanted => Some(expr),
        _ => None,
    }
}

/// The conditions that an inner join makes; none where it is not one, or is made by other means.
pub(super) fn inner_conditions(join: &Join) -> Option<Vec<&Expr>> {
    match (&join.join_operator, constraint(&join.join_operator)) {
        (JoinOperator::CrossJoin(_), None | Some(JoinConstraint::None)) => Some(Vec::new()),
        (JoinOperator::Join(_) | JoinOperator::Inner(_), Some(JoinConstraint::None)) => {
            Some(Vec::new())
        }
        _ => on_condition(join, false).map(conjuncts),
    }
}

/// A table's columns, each its own origin.
pub(super) fn table_outputs(table: &Table, instance: usize, dialect: Dialect) -> Outputs {
    let mut columns: Vec<Output> = Vec::new();
    let names = table.columns.iter().map(|column| column.name.as_str());
    let hidden: &[&str] = match dialect {
        Dialect::Sqlite => &["rowid", "_rowid_", "oid"],
        Dialect::Postgres => &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"],
        Dialect::Mysql => &[],
    };
    let names = names.map(|name| (name, false));
    for (name, hidden) in names.chain(hidden.iter().map(|name| (*name, true))) {
        let column = name.to_owned();
        let (preserved, single, apart) = (true, true, true);
        let origin = Origin { instance, column, preserved, single, apart, rank: Rank::None };
        let (name, origin) = (name.to_owned(), Some(origin));
        columns.push(Output { name, origin, hidden, ..Output::default() });
    }
    Outputs { columns, ..Outputs::default() }
}

/// The server's own tables.
fn is_system(name: &crate::ddl::ObjectName, dialect: Dialect) -> bool {
    let lower = name.name.to_ascii_lowercase();
    let schema = name.schema.as_deref().unwrap_or("").to_ascii_lowercase();
    match dialect {
        Dialect::Sqlite => lower.starts_with("sqlite_"),
        Dialect::Postgres => {
            let catalog = matches!(schema.as_str(), "pg_catalog" | "information_schema");
            catalog || (schema.is_empty() && lower.starts_with("pg_"))
        }
        Dialect::Mysql => {
            let schemas = ["information_schema", "performance_schema", "mysql", "sys"];
            schemas.contains(&schema.as_str()) || (schema.is_empty() && lower == "dual")
        }
    }
}
