//! Pairs of rows of one table, of which the other one stays where one goes.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Ident, visit_expressions_mut};

use super::expressions::{has_query, names_in};
use super::rules::is_moved;
use super::walk::Walker;

/// A relation: the number of its scope, and its own there.
pub(super) type Place = (usize, usize);

/// What one condition says of a pair of rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Only of one of the two rows, or of none.
    One,
    /// The same expression of both is equal, or less or equal.
    Loose,
    /// The same expression of the one is less than that of the other.
    Strict,
    /// Something else.
    Other,
}

/// Whether the conditions order the rows of pairs: `a.k = b.k AND a.id < b.id AND b.v > 0`.
///
/// Such a relation holds between a and c where it holds between a and b and between b and c, and
/// never between a row and itself. So each row that has a partner has one that has no partner
/// itself: it goes, and that partner stays, in whichever order the rows go.
pub(super) fn is_ordered(walker: &Walker<'_>, conditions: &[&Expr], a: Place, b: Place) -> bool {
    let parts: Vec<Part> = conditions.iter().map(|one| part(walker, one, a, b)).collect();
    parts.contains(&Part::Strict) && !parts.contains(&Part::Other)
}

fn part(walker: &Walker<'_>, condition: &Expr, a: Place, b: Place) -> Part {
    if has_query(condition) {
        return Part::Other;
    }
    let mut places = Vec::new();
    for name in names_in(condition) {
        match walker.plain(&name).map(|plain| (plain.scope, plain.relation)) {
            Some(place) if place == a || place == b => places.push(place),
            Some(_) | None => return Part::Other,
        }
    }
    if !(places.contains(&a) && places.contains(&b)) {
        return Part::One;
    }
    let (left, right, part) = match condition {
        Expr::IsNotDistinctFrom(left, right) => (left, right, Part::Loose),
        Expr::BinaryOp { left, op, right } => {
            let part = match op {
                BinaryOperator::Lt | BinaryOperator::Gt => Part::Strict,
                BinaryOperator::Eq
                | BinaryOperator::LtEq
                | BinaryOperator::GtEq
                | BinaryOperator::Spaceship => Part::Loose,
                _ => return Part::Other,
            };
            (left, right, part)
        }
        _ => return Part::Other,
    };
    let same = |one: Place, other: Place| {
        let (left, right) = (bare(walker, left, one), bare(walker, right, other));
        left.is_some() && left == right
    };
    if same(a, b) || same(b, a) { part } else { Part::Other }
}

/// An expression over one relation alone, its names without their qualifiers.
fn bare(walker: &Walker<'_>, expr: &Expr, place: Place) -> Option<Expr> {
    let mut expr = expr.clone();
    let found = visit_expressions_mut(&mut expr, |one| {
        if !matches!(one, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            return ControlFlow::Continue(());
        }
        match walker.plain(one) {
            Some(plain) if (plain.scope, plain.relation) == place && !is_moved(&plain.column) => {
                *one = Expr::Identifier(Ident::new(plain.column));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    });
    found.is_continue().then_some(expr)
}
