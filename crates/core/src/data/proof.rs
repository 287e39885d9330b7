//! Proves that the predicate lands where it should.
//!
//! The rewritten text is parsed again and its tree compared with the first one, in which the
//! predicate was put into the WHERE clause. So a place that our lexer found wrongly (a keyword that
//! was a name) refuses the statement and never changes what it does.

use sqlparser::ast::{
    BinaryOperator, Delete, Expr, Insert, Query, Select, SetExpr, Statement, Update,
};

use super::parse::{Parsed, parse};
use super::refusal::{Refusal, RefusalCode};
use super::rewrite::{Batchable, DataKind};

/// Stands for the predicate.
const MARK: &str = "whimbrel_mark = 1";

/// Refuses a statement whose places were not found for certain.
pub(super) fn check(batchable: &Batchable, parsed: &Parsed) -> Result<(), Refusal> {
    let dialect = parsed.text.dialect;
    let doubt = || {
        let message = "The place for the key range was not found for certain";
        Refusal::new(RefusalCode::NotParsed, parsed.text.span(), message)
    };
    let restricted = parse(&batchable.restricted(MARK), dialect).map_err(|_| doubt())?;
    let mut expected = parsed.tree.clone();
    let mark = mark(dialect).ok_or_else(doubt)?;
    let condition = condition_mut(&mut expected).ok_or_else(doubt)?;
    *condition = Some(match condition.take() {
        Some(old) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(old))),
            op: BinaryOperator::And,
            right: Box::new(mark.clone()),
        },
        None => mark,
    });
    if restricted.tree != expected {
        return Err(doubt());
    }
    let derived = match batchable.kind {
        DataKind::Insert => {
            let other = batchable.insert_from("SELECT 1 AS a FROM b", None);
            if let Some(other) = other {
                parse(&other, dialect).map_err(|_| doubt())?;
            }
            batchable.source_select("1 AS whimbrel_k1", MARK)
        }
        DataKind::Update | DataKind::Delete => batchable.matching("1", MARK, ""),
    };
    let derived = parse(&derived, dialect).map_err(|_| doubt())?;
    match derived.tree {
        Statement::Query(_) => Ok(()),
        _ => Err(doubt()),
    }
}

/// The predicate's tree, in its parentheses.
fn mark(dialect: crate::sql::dialect::Dialect) -> Option<Expr> {
    let parsed = parse(&format!("SELECT 1 WHERE ({MARK})"), dialect).ok()?;
    let Statement::Query(mut query) = parsed.tree else { return None };
    select_mut(&mut query)?.selection.take()
}

/// The WHERE clause of the driving scope.
fn condition_mut(statement: &mut Statement) -> Option<&mut Option<Expr>> {
    match statement {
        Statement::Update(Update { selection, .. }) => Some(selection),
        Statement::Delete(Delete { selection, .. }) => Some(selection),
        Statement::Insert(Insert { source, .. }) => {
            Some(&mut select_mut(source.as_mut()?)?.selection)
        }
        Statement::Query(query) => match query.body.as_mut() {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                condition_mut(inner)
            }
            _ => None,
        },
        _ => None,
    }
}

fn select_mut(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(inner) => select_mut(inner),
        _ => None,
    }
}
