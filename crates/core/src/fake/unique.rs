//! How rows are kept from being the same where they must not be.

use super::maker::Plan;
use crate::snapshot::Table;

/// From so many values on, a column is taken to have enough for any number of rows.
const ENOUGH: u64 = 1_000_000_000;

/// A part of a unique set whose values are counted off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A foreign key: one parent after the other.
    Key(usize),
    /// A column with few values.
    Column(usize),
}

/// How one table's rows differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Differ {
    /// Columns of which no two rows may have the same value.
    pub(super) columns: Vec<usize>,
    /// Sets of parts of which no two rows may have the same combination.
    pub(super) sets: Vec<Vec<Part>>,
}

/// Decides it from the unique keys and indexes of a table.
pub(super) fn differ(table: &Table, plans: &[Plan]) -> Differ {
    let mut out = Differ::default();
    for (names, partial) in sets(table) {
        let found: Vec<usize> =
            names.iter().filter_map(|name| plans.iter().position(|p| p.name == *name)).collect();
        let left_out = found.len() < names.len();
        if left_out || found.is_empty() || found.iter().any(|at| out.columns.contains(at)) {
            continue;
        }
        let has_enough = |at: &&usize| {
            plans.get(**at).is_some_and(|plan| {
                plan.from.is_none() && plan.recipe.choices().is_none_or(|count| count >= ENOUGH)
            })
        };
        if let Some(free) = found.iter().rev().find(has_enough) {
            out.columns.push(*free);
            continue;
        }
        let mut parts: Vec<Part> = Vec::new();
        for at in found {
            let from = plans.get(at).and_then(|plan| plan.from);
            let part = from.map_or(Part::Column(at), |(key, _)| Part::Key(key));
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let taken = parts.iter().any(|part| out.sets.iter().any(|set| set.contains(part)));
        if !partial && !taken {
            out.sets.push(parts);
        }
    }
    out
}

/// Column names of each unique set, smallest first, and whether only some rows are in it.
fn sets(table: &Table) -> Vec<(Vec<String>, bool)> {
    let mut out = vec![(table.primary_key.clone(), false)];
    out.extend(table.uniques.iter().map(|unique| (unique.columns.clone(), false)));
    for index in table.indexes.iter().filter(|index| index.unique) {
        let columns = index.columns.iter().flat_map(|text| named_in(table, text)).collect();
        out.push((columns, index.predicate.is_some()));
    }
    out.retain(|(columns, _)| !columns.is_empty());
    out.sort_by_key(|(columns, partial)| (columns.len(), *partial));
    out.dedup();
    out
}

/// The column of that name, or the columns that an expression names.
fn named_in(table: &Table, text: &str) -> Vec<String> {
    let names = || table.columns.iter().map(|column| &column.name);
    if let Some(same) = names().find(|name| *name == text) {
        return vec![same.clone()];
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = text.split(|c: char| !is_part(c)).map(str::to_lowercase);
    let found = words.find_map(|word| names().find(|name| name.to_lowercase() == word));
    found.cloned().into_iter().collect()
}

/// The digits of a row's number, so that no two rows below the product have the same. Neighbours
/// differ in every digit, and all combinations are used.
pub(super) fn combination(number: u64, sizes: &[u64]) -> Option<Vec<u64>> {
    let product = product(sizes);
    if product == 0 || number >= product {
        return None;
    }
    let mut rest = u128::from(number) * u128::from(step(product)) % u128::from(product);
    let mut out = Vec::with_capacity(sizes.len());
    for size in sizes {
        let size = u128::from(*size);
        out.push(u64::try_from(rest % size).unwrap_or(0));
        rest /= size;
    }
    Some(out)
}

/// How many combinations there are.
pub(super) fn product(sizes: &[u64]) -> u64 {
    sizes.iter().fold(1, |all, size| all.saturating_mul(*size))
}

/// A number that has no divisor in common with `product`, near its golden section.
fn step(product: u64) -> u64 {
    let golden = u128::from(product) * 618 / 1_000;
    let mut step = u64::try_from(golden).unwrap_or(1).max(1);
    while divisor(step, product) > 1 {
        step += 1;
    }
    step
}

fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_combination_comes_once() {
        for sizes in [vec![1], vec![2], vec![3, 4], vec![7, 1, 5], vec![10, 10, 10]] {
            let count = product(&sizes);
            let all: BTreeSet<_> = (0..count).map(|n| combination(n, &sizes).unwrap()).collect();
            assert_eq!(all.len() as u64, count, "{sizes:?}");
            assert!(all.iter().all(|one| one.iter().zip(&sizes).all(|(a, b)| a < b)));
            assert_eq!(combination(count, &sizes), None);
        }
        assert_eq!(combination(0, &[3, 0]), None);
    }
}
