//! UPDATE and DELETE: the target's own rows are the driving rows.

use std::ops::Range;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, ObjectName as TreeName, OrderByExpr,
    SelectItem, Spanned, SqliteOnConflict, TableFactor, TableWithJoins, Update,
    UpdateTableFromKind, With,
};

use super::change_key::{left_out, target_key, writes_key};
use super::cuts;
use super::expressions::conjuncts;
use super::keep;
use super::key;
use super::names;
use super::own_row;
use super::parse::Parsed;
use super::refusal::{Note, Refusal, RefusalCode};
use super::rewrite::{Batchable, Conflict, Cuts, DataKind};
use super::rules::{self, Rules};
use super::scope::{Place, Scope};
use super::walk::{Walker, is_upwards};
use super::{BatchOptions, Catalog, matches, side};
use crate::ddl::ObjectName;
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;

/// What UPDATE and DELETE have in common.
struct Change<'s> {
    kind: DataKind,
    /// The table references that hold the target, then those that are only read.
    tables: Vec<&'s TableWithJoins>,
    /// The target's number among the relations of those.
    target: usize,
    assignments: &'s [Assignment],
    selection: Option<&'s Expr>,
    order_by: &'s [OrderByExpr],
    limit: Option<&'s Expr>,
    returning: Option<&'s Vec<SelectItem>>,
    with: Option<&'s With>,
    cuts: Option<Cuts>,
}

pub(super) fn update(
    parsed: &Parsed,
    update: &Update,
    with: Option<&With>,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Batchable, Refusal> {
    if matches!(update.or, Some(SqliteOnConflict::Replace)) {
        let message = "UPDATE OR REPLACE removes other rows";
        return Err(Refusal::new(RefusalCode::NotParsed, parsed.text.span(), message));
    }
    let from = match &update.from {
        Some(UpdateTableFromKind::AfterSet(items)) => items.iter().collect(),
        Some(UpdateTableFromKind::BeforeSet(_)) => return Err(cuts::missing(&parsed.text)),
        None => Vec::new(),
    };
    let mut tables = vec![&update.table];
    tables.extend(from);
    let mut change = Change {
        kind: DataKind::Update,
        tables,
        target: 0,
        assignments: &update.assignments,
        selection: update.selection.as_ref(),
        order_by: &update.order_by,
        limit: update.limit.as_ref(),
        returning: update.returning.as_ref(),
        with,
        cuts: cuts::update(&parsed.text, update),
    };
    if !update.table.joins.is_empty() || !matches!(update.table.relation, TableFactor::Table { .. })
    {
        change.target = updated_relation(parsed, &change, catalog)?;
    }
    analyse(parsed, &change, catalog, options)
}

/// The one relation of MySQL's joined tables that is assigned to.
fn updated_relation(
    parsed: &Parsed,
    change: &Change<'_>,
    catalog: &Catalog<'_>,
) -> Result<usize, Refusal> {
    let mut walker = Walker::new(catalog, parsed, None);
    open(&mut walker, change);
    let mut found: Option<usize> = None;
    for assignment in change.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(cuts::missing(&parsed.text));
        };
        let parts = names::parts(name).unwrap_or_default();
        let mut idents = parts.iter().rev().map(|part| walker.ident(part));
        let (column, qualifier) = (idents.next().unwrap_or_default(), idents.next());
        let span = walker.span_of(&assignment.target);
        let Some(plain) = walker.plain_name(qualifier.as_deref(), &column) else {
            let message = format!("It is not certain which table's column `{column}` is");
            return Err(Refusal::new(RefusalCode::SeveralTargets, span, message));
        };
        if found.is_some_and(|found| found != plain.relation) {
            let message = "Columns of more than one table are assigned";
            return Err(Refusal::new(RefusalCode::SeveralTargets, span, message));
        }
        found = Some(plain.relation);
    }
    found.ok_or_else(|| cuts::missing(&parsed.text))
}

pub(super) fn delete(
    parsed: &Parsed,
    delete: &Delete,
    with: Option<&With>,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Batchable, Refusal> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let mut tables: Vec<&TableWithJoins> = from.iter().collect();
    let using = delete.using.as_deref().unwrap_or_default();
    let mut named: Option<&TreeName> = None;
    if catalog.dialect == Dialect::Mysql && delete.using.is_some() {
        // What stands before USING is a list of names that USING introduces.
        let [only] = from.as_slice() else { return Err(several(parsed)) };
        match &only.relation {
            TableFactor::Table { name, .. } if only.joins.is_empty() => named = Some(name),
            _ => return Err(several(parsed)),
        }
        tables = using.iter().collect();
    } else {
        tables.extend(using);
        match delete.tables.as_slice() {
            [] if from.len() == 1 => {}
            [only] => named = Some(only),
            _ => return Err(several(parsed)),
        }
    }
    let mut change = Change {
        kind: DataKind::Delete,
        tables,
        target: 0,
        assignments: &[],
        selection: delete.selection.as_ref(),
        order_by: &delete.order_by,
        limit: delete.limit.as_ref(),
        returning: delete.returning.as_ref(),
        with,
        cuts: cuts::delete(&parsed.text, delete),
    };
    if let Some(name) = named {
        change.target = named_relation(parsed, &change, catalog, name)?;
    }
    analyse(parsed, &change, catalog, options)
}

fn several(parsed: &Parsed) -> Refusal {
    let message = "Rows of more than one table are deleted";
    Refusal::new(RefusalCode::SeveralTargets, parsed.text.span(), message)
}

/// The relation that MySQL's list of deleted tables names.
fn named_relation(
    parsed: &Parsed,
    change: &Change<'_>,
    catalog: &Catalog<'_>,
    name: &TreeName,
) -> Result<usize, Refusal> {
    let mut walker = Walker::new(catalog, parsed, None);
    open(&mut walker, change);
    let wanted = names::object(name, catalog.dialect).unwrap_or_default().name;
    let relations = walker.scopes.first().map(|scope| scope.relations.as_slice());
    let mut found =
        relations.unwrap_or_default().iter().enumerate().filter(|(_, relation)| {
            names::same_alias(&relation.qualifier, &wanted, catalog.dialect)
        });
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        _ => Err(cuts::missing(&parsed.text)),
    }
}

/// Enters the statement's own scope.
fn open(walker: &mut Walker<'_>, change: &Change<'_>) {
    walker.with(change.with);
    walker.scopes.push(Scope { top: true, ..Scope::default() });
    walker.frames.push(super::walk::Frame::default());
    for item in &change.tables {
        walker.table_with_joins(item);
    }
}

fn analyse(
    parsed: &Parsed,
    change: &Change<'_>,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Batchable, Refusal> {
    let (name, span) = target_name(parsed, change, catalog)?;
    let table = rules::target_table(&name, catalog, span)?;
    let mut walker = Walker::new(catalog, parsed, Some(table.name.clone()));
    open(&mut walker, change);
    for item in &change.tables {
        walker.join_conditions(item);
    }
    let values = change.assignments.iter().map(|assignment| &assignment.value);
    walker.exprs(values, Place::Value);
    decisive(&mut walker, change);
    walker.exprs(change.selection, Place::Filter);
    walker.exprs(change.order_by.iter().map(|item| &item.expr), Place::Filter);
    let mut rules = Rules::new(options);
    let relation = walker.scopes.first().and_then(|scope| scope.relations.get(change.target));
    let relation = relation.cloned().ok_or_else(|| cuts::missing(&parsed.text))?;
    let written = assigned(change.assignments, catalog.dialect);
    if relation.instance.is_none() {
        return Err(cuts::missing(&parsed.text));
    }
    if let Some(limit) = change.limit {
        let span = walker.span_of(limit);
        let message = "LIMIT counts rows of the whole statement";
        rules.refuse(RefusalCode::Limit, span, message)?;
    }
    if !relation.preserved {
        let message = format!("An outer join fills `{}` with NULLs", relation.qualifier);
        rules.refuse(RefusalCode::NullSide, relation.span.clone(), message)?;
    }
    let key = target_key(table, &relation, &written, catalog, options)?;
    left_out(parsed, change.cuts.as_ref(), table, &written)?;
    ordered(&walker, change, &key, &mut rules)?;
    writes_key(table, &key, &written, catalog, parsed)?;
    rules::walked(&mut walker, &mut rules)?;
    self_reads(&walker, change, table, &written, &mut rules)?;
    if change.kind == DataKind::Update {
        matches::check(&walker, change, &mut rules)?;
    }
    side::check(&walker, table, change.kind, &written, &mut rules)?;
    rules::volatile(&walker, &mut rules)?;
    rules::recomputed(&walker, &mut rules);
    if change.returning.is_some() {
        let message = "What RETURNING gives is thrown away".to_owned();
        let note = Note { code: "returning", message, span: parsed.text.span() };
        rules.notes.push(note);
    }
    let cuts = change.cuts.clone().ok_or_else(|| cuts::missing(&parsed.text))?;
    Ok(Batchable {
        kind: change.kind,
        target: table.name.clone(),
        target_qualifier: relation.qualifier_sql.clone(),
        driving: table.name.clone(),
        driving_qualifier: relation.qualifier_sql.clone(),
        driving_is_target: true,
        key: rules::key_columns(&relation, table, &key, &key.columns, catalog),
        written,
        assumes_not_null: Vec::new(),
        frozen: rules.frozen,
        notes: rules.notes,
        differs: rules.differs,
        text: parsed.text.clone(),
        cuts,
        conflict: Conflict::None,
    })
}

/// Notes the sub-queries that each deleted row must fulfil.
fn decisive(walker: &mut Walker<'_>, change: &Change<'_>) {
    if change.kind != DataKind::Delete {
        return;
    }
    walker.deletes = Some(change.target);
    for condition in change.selection.into_iter().flat_map(conjuncts) {
        let query = match condition {
            Expr::Exists { subquery, negated: false } | Expr::InSubquery { subquery, .. } => {
                subquery
            }
            _ => continue,
        };
        walker.decisive.extend(walker.places.span(query.span()));
    }
}

/// The target's name as it is written.
fn target_name(
    parsed: &Parsed,
    change: &Change<'_>,
    catalog: &Catalog<'_>,
) -> Result<(ObjectName, Range<usize>), Refusal> {
    let mut factors = Vec::new();
    for item in &change.tables {
        flatten(item, &mut factors);
    }
    let unknown = || {
        let message = "The target is not a table";
        Refusal::new(RefusalCode::TargetNotTable, parsed.text.span(), message)
    };
    let Some(TableFactor::Table { name, .. }) = factors.get(change.target) else {
        return Err(unknown());
    };
    let object = names::object(name, catalog.dialect).ok_or_else(unknown)?;
    let walker = Walker::new(catalog, parsed, None);
    let span = walker.span_of(name);
    let ctes = change.with.iter().flat_map(|with| &with.cte_tables);
    for cte in ctes {
        let alias = walker.ident(&cte.alias.name);
        if object.schema.is_none() && names::same_alias(&alias, &object.name, catalog.dialect) {
            let message = format!("`{alias}` is both the target and a WITH table");
            return Err(Refusal::new(RefusalCode::NotParsed, span, message));
        }
    }
    Ok((object, span))
}

/// The relations of joined tables, in the order in which scopes have them.
fn flatten<'s>(item: &'s TableWithJoins, factors: &mut Vec<&'s TableFactor>) {
    let mut one = |factor: &'s TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => flatten(table_with_joins, factors),
        other => factors.push(other),
    };
    one(&item.relation);
    for join in &item.joins {
        one(&join.relation);
    }
}

/// The columns that SET names.
pub(super) fn assigned(assignments: &[Assignment], dialect: Dialect) -> Vec<String> {
    let mut columns = Vec::new();
    for assignment in assignments {
        let names = match &assignment.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names.as_slice(),
        };
        for name in names {
            let parts = names::parts(name).unwrap_or_default();
            // PostgreSQL has no qualifier here: `col.field` is a part of a composite column.
            let part = match dialect {
                Dialect::Postgres => parts.first(),
                Dialect::Sqlite | Dialect::Mysql => parts.last(),
            };
            columns.extend(part.map(|part| names::ident(part, dialect)));
        }
    }
    columns
}

fn ordered(
    walker: &Walker<'_>,
    change: &Change<'_>,
    key: &key::Key,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    if change.order_by.is_empty() {
        return Ok(());
    }
    let along = change.order_by.iter().zip(&key.columns).all(|(item, column)| {
        let plain = walker.plain(&item.expr);
        let same = |plain: super::walk_expr::Plain| {
            plain.relation == change.target
                && same_column_name(&plain.column, column, walker.dialect())
        };
        is_upwards(item) && plain.is_some_and(same)
    });
    if along && change.order_by.len() >= key.columns.len() {
        return Ok(());
    }
    let span = change.order_by.first().and_then(|item| walker.places.span(item.span()));
    let span = span.unwrap_or_else(|| walker.parsed.text.span());
    let message = "The rows are wanted in an order that is not the key's";
    rules.refuse(RefusalCode::OrderByNotOnKey, span, message)
}

/// Reads of the target's other rows.
fn self_reads(
    walker: &Walker<'_>,
    change: &Change<'_>,
    table: &Table,
    written: &[String],
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let implied = key::implied_writes(table).map(str::to_owned);
    let written: Vec<String> = written.iter().cloned().chain(implied).collect();
    let mut reads = false;
    for (at, instance) in walker.instances.iter().enumerate() {
        let kept = change.kind == DataKind::Delete
            && keep::is_kept(walker, change, table, at)
            && !side::deletes_reach_own(walker, table);
        let own = instance.top == Some(change.target)
            || own_row::is_own(walker, change, (table, &written), at);
        if kept {
            let message = "The rows that are read for this are never among those that go";
            let (code, message) = ("stable-self-read", message.to_owned());
            rules.notes.push(Note { code, message, span: instance.span.clone() });
        }
        if own || kept || !rules::holds_target(instance, table, walker.catalog) {
            continue;
        }
        reads = true;
        let span = instance.span.clone();
        let name = &table.name.name;
        if change.kind == DataKind::Delete {
            let message = format!("Other rows of `{name}` are read while rows of it go");
            rules.refuse(RefusalCode::DeleteReadsTarget, span, message)?;
        } else if let Some(column) = rules::overlap(instance, &written, walker) {
            let message = format!("`{column}` of other rows of `{name}` is read and written");
            rules.refuse(RefusalCode::ReadsWrittenColumn, span, message)?;
        }
    }
    let code = match change.kind {
        DataKind::Delete => RefusalCode::DeleteReadsTarget,
        DataKind::Update | DataKind::Insert => RefusalCode::ReadsWrittenColumn,
    };
    for (message, span) in &walker.function_reads {
        rules.refuse(code, span.clone(), message.clone())?;
    }
    if reads && change.kind == DataKind::Update {
        side::written_by_triggers(walker, table, rules)?;
        if let Some(span) = walker.loose_orders.first() {
            let message = "Ties in this order may fall differently after each batch";
            rules.refuse(RefusalCode::InnerOrderNotTotal, span.clone(), message)?;
        }
    }
    Ok(())
}

impl matches::Joined for Change<'_> {
    fn target(&self) -> usize {
        self.target
    }

    fn selection(&self) -> Option<&Expr> {
        self.selection
    }

    fn tables(&self) -> &[&TableWithJoins] {
        &self.tables
    }

    fn values(&self) -> Vec<&Expr> {
        self.assignments.iter().map(|assignment| &assignment.value).collect()
    }
}
