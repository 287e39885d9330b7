//! INSERT that reads its own target, and conflicts that make DISTINCT needless.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, OnConflictAction, OnInsert, SelectItem, Value, Visit, Visitor,
};

use super::expressions::conjuncts;
use super::insert::{Insertion, conflict, conflict_columns};
use super::insert_driver::Driver;
use super::key;
use super::refusal::{Note, Refusal, RefusalCode};
use super::rewrite::Conflict;
use super::rules::{self, Rules};
use super::scope::{Instance, InstanceKind, Source, Tie};
use super::walk::Walker;
use super::walk_from::on_condition;
use crate::ddl::name::same_column_name;
use crate::snapshot::{Column, Table};
use crate::sql::dialect::Dialect;

/// Refuses an INSERT that reads its target, unless a driving row sees only its own results.
pub(super) fn check(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let target = source.target;
    for instance in &walker.instances {
        if !rules::holds_target(instance, target, walker.catalog) {
            continue;
        }
        let span = instance.span.clone();
        if instance.top == Some(driver.at) && driver.relation.source == Source::Table {
            frozen_bound(walker, source, driver, rules)?;
            continue;
        }
        let mut ties = instance.ties.clone();
        ties.extend(top_ties(walker, source, instance, driver));
        if !tied(walker, source, driver, instance, &ties) {
            let message = format!("The target `{}` is read", target.name.name);
            rules.refuse(RefusalCode::InsertReadsTarget, span, message)?;
        }
    }
    for (message, span) in &walker.function_reads {
        rules.refuse(RefusalCode::InsertReadsTarget, span.clone(), message.clone())?;
    }
    Ok(())
}

/// The target drives: its new rows must never be driving rows themselves.
fn frozen_bound(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let span = driver.relation.span.clone();
    let message = "New rows lie above the upper bound that is fixed at the start, or do not match";
    let note = Note { code: "frozen-bound", message: message.to_owned(), span: span.clone() };
    let updates = matches!(conflict(source.insert), Conflict::Update | Conflict::Replace);
    if !updates && (grows_upwards(walker, source, driver) || cannot_match(walker, source, driver)) {
        rules.notes.push(note);
        return Ok(());
    }
    let message = "New rows may be read by later batches";
    rules.refuse(RefusalCode::InsertReadsTarget, span, message)
}

/// The database gives the key, and always one above all others.
fn grows_upwards(walker: &Walker<'_>, source: &Insertion<'_, '_>, driver: &Driver<'_>) -> bool {
    let dialect = walker.dialect();
    let [key] = driver.key.columns.as_slice() else { return false };
    if source.written.iter().any(|written| same_column_name(written, key, dialect)) {
        return false;
    }
    let primary = source.target.primary_key.as_slice();
    let is_primary = matches!(primary, [only] if same_column_name(only, key, dialect));
    let Some(column) = key::column(source.target, key, dialect) else {
        // SQLite's rowid, where no column stands for it.
        return driver.key.rowid;
    };
    match dialect {
        Dialect::Mysql => column.identity,
        Dialect::Sqlite => is_primary && key::is_numbered(source.target, column, dialect),
        // A sequence may lie behind ids that were given by hand.
        Dialect::Postgres => false,
    }
}

/// A column must equal one literal to be read, and is filled with another one.
fn cannot_match(walker: &Walker<'_>, source: &Insertion<'_, '_>, driver: &Driver<'_>) -> bool {
    let conditions = source.select.selection.iter().flat_map(conjuncts);
    let filled = filled(walker, source);
    for condition in conditions {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { continue };
        for (column, wanted) in [(left, right), (right, left)] {
            let plain = walker.plain(column).filter(|p| p.scope == 0 && p.relation == driver.at);
            let (Some(plain), Some(wanted)) = (plain, literal(wanted)) else { continue };
            let given = filled
                .iter()
                .find(|(name, _)| same_column_name(name, &plain.column, walker.dialect()));
            let given = given.and_then(|(_, expr)| literal(expr));
            if given.is_some_and(|given| differ(&given, &wanted)) {
                return true;
            }
        }
    }
    false
}

/// A plain literal: a word or a whole number.
fn literal(expr: &Expr) -> Option<(bool, String)> {
    let value = match expr {
        Expr::Nested(inner) => return literal(inner),
        Expr::Value(value) => &value.value,
        _ => return None,
    };
    match value {
        Value::SingleQuotedString(text) => Some((true, text.clone())),
        Value::Number(number, _) => Some((false, number.clone())),
        _ => None,
    }
}

/// Whether two literals differ under any collation.
fn differ(a: &(bool, String), b: &(bool, String)) -> bool {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let words = a.0 && b.0 && plain(&a.1) && plain(&b.1);
    let number = |text: &str| text.parse::<i64>().ok();
    match (a.0, b.0) {
        (true, true) => words && !a.1.eq_ignore_ascii_case(&b.1),
        (false, false) => match (number(&a.1), number(&b.1)) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        },
        _ => false,
    }
}

/// Each filled column with its expression; empty where `*` hides them.
pub(super) fn filled<'e>(
    walker: &Walker<'_>,
    source: &Insertion<'e, '_>,
) -> Vec<(String, &'e Expr)> {
    let mut exprs = Vec::new();
    for item in &source.select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                exprs.push(expr);
            }
            _ => return Vec::new(),
        }
    }
    let _ = walker;
    if exprs.len() > source.written.len() {
        return Vec::new();
    }
    source.written.iter().cloned().zip(exprs).collect()
}

/// Equalities between the target and the driving relation in the statement's own FROM and WHERE.
fn top_ties(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    instance: &Instance,
    driver: &Driver<'_>,
) -> Vec<Tie> {
    let Some(at) = instance.top else { return Vec::new() };
    let mut conditions: Vec<&Expr> = Vec::new();
    conditions.extend(source.select.selection.iter().flat_map(conjuncts));
    let single = source.select.from.len() == 1;
    for item in &source.select.from {
        for (number, join) in item.joins.iter().enumerate() {
            let own = single && number + 1 == at;
            let on = on_condition(join, own);
            conditions.extend(on.into_iter().flat_map(conjuncts));
        }
    }
    let mut ties = Vec::new();
    for condition in conditions {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { continue };
        let (Some(a), Some(b)) = (walker.plain(left), walker.plain(right)) else { continue };
        for (own, other) in [(&a, &b), (&b, &a)] {
            let fits = own.scope == 0 && other.scope == 0;
            if fits && own.relation == at && other.relation == driver.at {
                let (column, top_column) = (own.column.clone(), other.column.clone());
                let relation = driver.at;
                ties.push(Tie { column, relation, top_column, not_in: false });
            }
        }
    }
    ties
}

/// Whether the mention of the target sees only rows made from the same driving row.
///
/// Some unique key of the driving table must be equal to columns of the target, and exactly these
/// columns must be filled from that key: then rows of other driving rows never match.
fn tied(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    instance: &Instance,
    ties: &[Tie],
) -> bool {
    let several = instance.in_with && walker.with_reused;
    if instance.kind != InstanceKind::Table || instance.name != source.target.name || several {
        return false;
    }
    if driver.relation.source != Source::Table || !expands_once(conflict(source.insert)) {
        return false;
    }
    let dialect = walker.dialect();
    let filled = filled(walker, source);
    let held = |column: &String| {
        ties.iter().any(|tie| {
            let own = tie.relation == driver.at;
            let same = same_column_name(&tie.top_column, column, dialect);
            let from_key = filled.iter().any(|(name, expr)| {
                same_column_name(name, &tie.column, dialect)
                    && walker.plain(expr).is_some_and(|plain| {
                        plain.scope == 0
                            && plain.relation == driver.at
                            && same_column_name(&plain.column, column, dialect)
                    })
            });
            own && same
                && from_key
                && comparable(driver.table, column, source.target, &tie.column, dialect)
        })
    };
    let keys = key::unique_sets(driver.table, dialect);
    keys.iter().any(|set| set.iter().all(held))
}

/// Rows that are there already are never changed, so that what a row sees stays.
fn expands_once(conflict: Conflict) -> bool {
    matches!(conflict, Conflict::None | Conflict::Ignore)
}

/// Whether different values of the one column stay different in the other.
fn comparable(a: &Table, column: &str, b: &Table, other: &str, dialect: Dialect) -> bool {
    let (Some(a), Some(b)) = (key::column(a, column, dialect), key::column(b, other, dialect))
    else {
        return false;
    };
    let base = |column: &Column| -> String {
        let lower = column.type_name.to_ascii_lowercase();
        lower.chars().take_while(|c| *c != '(').collect::<String>().trim().to_owned()
    };
    let collation = |column: &Column| key::collation(column);
    let whole = |name: &str| {
        let name = name.trim_end_matches(" unsigned");
        let integers = [
            "int",
            "integer",
            "bigint",
            "smallint",
            "mediumint",
            "tinyint",
            "int2",
            "int4",
            "int8",
        ];
        integers.contains(&name)
    };
    let (x, y) = (base(a), base(b));
    (whole(&x) && whole(&y)) || (x == y && collation(a) == collation(b))
}

/// Whether ON CONFLICT DO NOTHING leaves out what DISTINCT would have left out.
///
/// Exactly the selected columns are a unique key of the target without NULL.
pub(super) fn conflict_makes_distinct(walker: &Walker<'_>, source: &Insertion<'_, '_>) -> bool {
    let dialect = walker.dialect();
    if conflict(source.insert) != Conflict::Ignore {
        return false;
    }
    let filled = filled(walker, source);
    let numbered = source.target.columns.iter().any(|column| {
        let given = filled.iter().any(|(name, _)| same_column_name(name, &column.name, dialect));
        !given && key::is_numbered(source.target, column, dialect)
    });
    if filled.is_empty() || numbered {
        return false;
    }
    let wanted = conflict_columns(walker, source.insert);
    let same = |a: &[String], b: &[String]| {
        let within = |a: &[String], b: &[String]| {
            a.iter().all(|one| b.iter().any(|other| same_column_name(one, other, dialect)))
        };
        within(a, b) && within(b, a)
    };
    let names: Vec<String> = filled.iter().map(|(name, _)| name.clone()).collect();
    key::unique_sets(source.target, dialect).iter().any(|set| {
        let whole = same(set, &names) && wanted.as_ref().is_none_or(|wanted| same(wanted, set));
        whole && filled.iter().all(|(name, expr)| never_null(walker, source, name, expr))
    })
}

/// Whether rows of different driving rows may meet at a unique key of the target, so that one of
/// them is left out.
pub(super) fn first_wins(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
) -> bool {
    let dialect = walker.dialect();
    let same = |a: &str, b: &str| same_column_name(a, b, dialect);
    if matches!(source.select.distinct, Some(sqlparser::ast::Distinct::Distinct))
        && conflict_makes_distinct(walker, source)
    {
        return false;
    }
    let filled = filled(walker, source);
    let drawn = |name: &String| {
        let (_, expr) = filled.iter().find(|(filled, _)| same(filled, name))?;
        let plain = walker.plain(expr)?;
        (plain.scope == 0 && plain.relation == driver.at).then_some(plain.column)
    };
    let numbered = |name: &String| {
        let given = source.written.iter().any(|written| same(written, name));
        let column = key::column(source.target, name, dialect);
        !given && column.is_some_and(|column| key::is_numbered(source.target, column, dialect))
    };
    key::unique_sets(source.target, dialect).iter().any(|set| {
        let drawn: Vec<String> = set.iter().filter_map(drawn).collect();
        let has = |part: &String| drawn.iter().any(|one| same(one, part));
        let apart = driver.names.iter().all(has);
        !(apart || set.iter().any(numbered))
    })
}

/// Whether a filled column cannot be NULL.
fn never_null(walker: &Walker<'_>, source: &Insertion<'_, '_>, name: &str, expr: &Expr) -> bool {
    let dialect = walker.dialect();
    if key::is_not_null(source.target, name, dialect) {
        return true;
    }
    if literal(expr).is_some() {
        return true;
    }
    let Some(plain) = walker.plain(expr) else { return false };
    source.select.selection.iter().flat_map(conjuncts).any(|condition| match condition {
        Expr::IsNotNull(inner) => walker.plain(inner).as_ref() == Some(&plain),
        _ => false,
    })
}

/// Whether what follows the query names the query's tables.
pub(super) fn tail_reads_source(walker: &Walker<'_>, source: &Insertion<'_, '_>) -> bool {
    struct Names<'w, 'a> {
        walker: &'w Walker<'a>,
        target: &'w Table,
        known: BTreeSet<String>,
        reads: bool,
    }
    impl Visitor for Names<'_, '_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let dialect = self.walker.dialect();
            match expr {
                Expr::Identifier(ident) => {
                    let name = self.walker.ident(ident);
                    self.reads |= key::column(self.target, &name, dialect).is_none();
                }
                Expr::CompoundIdentifier(idents) => {
                    let before = idents.iter().rev().nth(1).map(|i| self.walker.ident(i));
                    let known = before.is_some_and(|name| {
                        self.known.iter().any(|k| k.eq_ignore_ascii_case(&name))
                    });
                    self.reads |= !known;
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, _query: &sqlparser::ast::Query) -> ControlFlow<()> {
            // A sub-query may name a WITH table.
            self.reads |= !self.walker.ctes.is_empty();
            ControlFlow::Continue(())
        }
    }
    let mut known = BTreeSet::from([source.target.name.name.clone(), "excluded".to_owned()]);
    known.extend(source.insert.table_alias.as_ref().map(|alias| walker.ident(&alias.alias)));
    let mut names = Names { walker, target: source.target, known, reads: false };
    let assignments = match &source.insert.on {
        Some(OnInsert::DuplicateKeyUpdate(assignments)) => assignments.as_slice(),
        Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
            OnConflictAction::DoUpdate(update) => {
                if let Some(selection) = &update.selection {
                    let _ = selection.visit(&mut names);
                }
                update.assignments.as_slice()
            }
            OnConflictAction::DoNothing => &[],
        },
        Some(_) | None => &[],
    };
    for assignment in assignments {
        let _ = assignment.value.visit(&mut names);
    }
    names.reads
}
