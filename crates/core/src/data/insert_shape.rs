//! INSERT .. SELECT: whether groups, windows and orders stay within a driving row.

use sqlparser::ast::{Distinct, Expr, GroupByExpr, SelectItem, Spanned, Value};

use super::aggregates::Found;
use super::insert::Insertion;
use super::insert_driver::Driver;
use super::insert_guard;
use super::key;
use super::refusal::{Refusal, RefusalCode};
use super::rules::Rules;
use super::walk::{Walker, groups_make_nulls, is_upwards};
use crate::ddl::name::same_column_name;
use crate::sql::dialect::Dialect;

/// DISTINCT, GROUP BY, aggregates, windows and ORDER BY at the driving level. Gives the columns
/// that must hold no NULL.
pub(super) fn shape(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    found: &Found,
    rules: &mut Rules<'_>,
) -> Result<Vec<String>, Refusal> {
    let mut assumes = Vec::new();
    let select = source.select;
    let span = walker.span_of(select);
    distinct(walker, source, driver, rules, &mut assumes)?;
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(items, modifiers) => !(items.is_empty() && modifiers.is_empty()),
    };
    if grouped {
        let items = group_items(walker, source);
        let covered =
            !groups_make_nulls(&select.group_by) && covers(walker, driver, &items, &mut assumes);
        if !covered {
            let message = "A group may have rows of several batches";
            rules.refuse(RefusalCode::GroupByNotOnKey, span.clone(), message)?;
        }
    } else if found.aggregate.is_some() || select.having.is_some() {
        let place = found.aggregate.as_ref().map(|function| walker.span_of(function));
        let message = "An aggregate over all rows";
        rules.refuse(RefusalCode::Aggregate, place.unwrap_or(span.clone()), message)?;
    } else if let Some(function) = &found.unknown {
        let message = format!("`{}` is not known and may be an aggregate", function.name);
        rules.refuse(RefusalCode::UnknownFunction, walker.span_of(function), message)?;
    }
    for (function, partition) in &found.windows {
        let parts: Vec<&Expr> = partition.iter().flatten().collect();
        if partition.is_none() || !covers(walker, driver, &parts, &mut assumes) {
            let place = walker.span_of(function);
            let message = "A window has rows of several batches";
            rules.refuse(RefusalCode::WindowNotOnKey, place, message)?;
        }
    }
    order(walker, source, driver, rules)?;
    Ok(assumes)
}

/// What GROUP BY names; a number or an alias stands for an item of the list.
fn group_items<'e>(walker: &Walker<'_>, source: &Insertion<'e, '_>) -> Vec<&'e Expr> {
    let GroupByExpr::Expressions(items, _) = &source.select.group_by else { return Vec::new() };
    items.iter().map(|item| list_item(walker, source, item).unwrap_or(item)).collect()
}

/// The item of the select list that a number or an alias means.
fn list_item<'e>(walker: &Walker<'_>, source: &Insertion<'e, '_>, item: &Expr) -> Option<&'e Expr> {
    if let Some(number) = ordinal(item) {
        return match source.select.projection.get(number.checked_sub(1)?)? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        };
    }
    let Expr::Identifier(name) = item else { return None };
    if walker.plain(item).is_some() {
        return None;
    }
    source.select.projection.iter().find_map(|listed| match listed {
        SelectItem::ExprWithAlias { expr, alias } if walker.ident(alias) == walker.ident(name) => {
            Some(expr)
        }
        _ => None,
    })
}

pub(super) fn ordinal(item: &Expr) -> Option<usize> {
    let Expr::Value(value) = item else { return None };
    match &value.value {
        Value::Number(number, _) => number.parse().ok(),
        _ => None,
    }
}

/// Numbers in GROUP BY and ORDER BY.
pub(super) fn inner_ordinals<'e>(source: &Insertion<'e, '_>) -> Vec<&'e Expr> {
    let mut all: Vec<&Expr> = Vec::new();
    if let GroupByExpr::Expressions(items, _) = &source.select.group_by {
        all.extend(items);
    }
    if let Some(Distinct::On(items)) = &source.select.distinct {
        all.extend(items);
    }
    all.extend(source.order_by.iter().map(|item| &item.expr));
    all.retain(|item| ordinal(item).is_some());
    all
}

/// Whether the expressions hold a whole unique key of the driving rows.
fn covers(
    walker: &Walker<'_>,
    driver: &Driver<'_>,
    items: &[&Expr],
    assumes: &mut Vec<String>,
) -> bool {
    let dialect = walker.dialect();
    let mut columns: Vec<String> = Vec::new();
    for item in items {
        let plain = walker.plain(item).filter(|p| p.scope == 0 && p.relation == driver.at);
        let output = plain.and_then(|plain| {
            let mut outputs = driver.relation.outputs.columns.iter();
            outputs.find(|output| output.name == plain.column)?.origin.clone()
        });
        columns.extend(output.map(|origin| origin.column));
    }
    let has = |set: &Vec<String>| {
        set.iter().all(|part| columns.iter().any(|column| same_column_name(column, part, dialect)))
    };
    let sure = key::unique_keys(driver.table, dialect);
    let sure = sure.iter().chain(std::iter::once(&driver.key.columns)).any(has);
    if sure {
        return true;
    }
    // SQLite's primary key may hold NULLs, but hardly ever does: the caller looks.
    let primary = &driver.table.primary_key;
    if dialect == Dialect::Sqlite && !primary.is_empty() && has(primary) {
        for column in primary {
            if !assumes.contains(column) {
                assumes.push(column.clone());
            }
        }
        return true;
    }
    false
}

fn distinct(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    rules: &mut Rules<'_>,
    assumes: &mut Vec<String>,
) -> Result<(), Refusal> {
    let items: Vec<&Expr> = match &source.select.distinct {
        None | Some(Distinct::All) => return Ok(()),
        Some(Distinct::On(items)) => {
            items.iter().map(|item| list_item(walker, source, item).unwrap_or(item)).collect()
        }
        Some(Distinct::Distinct) => {
            let items = source.select.projection.iter();
            let items = items.filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            });
            if insert_guard::conflict_makes_distinct(walker, source) {
                return Ok(());
            }
            items.collect()
        }
    };
    let star = source.select.projection.iter().any(|item| match item {
        SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(..) => false,
        _ => false,
    });
    let plain = matches!(source.select.distinct, Some(Distinct::Distinct));
    if (star && plain && !driver.key.rowid) || covers(walker, driver, &items, assumes) {
        return Ok(());
    }
    let message = "Equal rows may come from several batches";
    rules.refuse(RefusalCode::DistinctNotOnKey, walker.span_of(source.select), message)
}

/// ORDER BY must begin with the driving key, upwards.
fn order(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let Some(first) = source.order_by.first() else { return Ok(()) };
    let dialect = walker.dialect();
    let along = driver.names.iter().enumerate().all(|(at, name)| {
        let Some(item) = source.order_by.get(at) else { return false };
        let expr = list_item(walker, source, &item.expr).unwrap_or(&item.expr);
        let plain = walker.plain(expr).filter(|p| p.scope == 0 && p.relation == driver.at);
        is_upwards(item)
            && plain.is_some_and(|plain| same_column_name(&plain.column, name, dialect))
    });
    if along {
        return Ok(());
    }
    let span = walker.places.span(first.span()).unwrap_or_else(|| walker.parsed.text.span());
    let message = "The rows are wanted in an order that is not the driving key's";
    rules.refuse(RefusalCode::OrderByNotOnKey, span, message)
}
