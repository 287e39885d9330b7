//! The rows of one table.

use super::FakeError;
use super::bounds::Bounds;
use super::dice::{Dice, place};
use super::kind::kind_of;
use super::names::style_of;
use super::order::can_be_null;
use super::unique::{Differ, Part, combination, differ, product};
use super::value::Recipe;
use super::{check, schema};
use crate::ddl::ObjectName;
use crate::snapshot::{Column, Snapshot, Table};
use crate::sql::dialect::Dialect;

/// How many parents are looked at for one that fits what other keys have chosen.
const PROBES_MAX: usize = 10_000;
/// How far the numbers of a further try are from those of the first.
const FURTHER: u64 = 1 << 20;

/// What is wished of all tables.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The same seed gives the same rows.
    pub seed: u64,
    /// How many of the values that may be NULL are, from 0.0 to 1.0.
    pub null_rate: f64,
}

/// Keys of a parent's rows, as SQL literals, in the order of [`Parent::columns`].
pub type ParentKeys = Vec<Vec<String>>;

/// The table that a foreign key points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The table.
    pub table: ObjectName,
    /// The columns that are pointed to.
    pub columns: Vec<String>,
    /// The child's columns, in the same order.
    pub own_columns: Vec<String>,
    /// It is the table itself.
    pub is_own: bool,
    /// Each row needs one.
    pub is_needed: bool,
}

/// How one column is filled.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) recipe: Recipe,
    /// The foreign key that gives its value, and the place in that key.
    pub(super) from: Option<(usize, usize)>,
    nullable: bool,
    place: u64,
}

/// Makes the rows of one table.
#[derive(Clone, Debug)]
pub struct Maker {
    plans: Vec<Plan>,
    parents: Vec<Parent>,
    /// Keys that are NULL for now.
    open: Vec<bool>,
    differ: Differ,
    wishes: Wishes,
    place: u64,
}

impl Maker {
    /// Understands a table. `later` are the foreign keys that stay NULL for now, `rules` is the
    /// text of the table's JSON Schema.
    ///
    /// # Errors
    /// When a column needs a value and its type is not known, or a parent does not exist.
    pub fn new(
        turn: &super::Turn<'_>,
        snapshot: &Snapshot,
        dialect: Dialect,
        rules: Option<&str>,
        wishes: &Wishes,
    ) -> Result<Maker, FakeError> {
        let table = turn.table;
        let parents = parents(table, snapshot, dialect)?;
        let bounds = Facts::of(table, dialect, rules);
        let mut plans = Vec::new();
        for column in &table.columns {
            if column.generated.is_some() || column.identity {
                continue;
            }
            let at = |parent: &Parent| parent.own_columns.iter().position(|n| *n == column.name);
            let from = parents.iter().enumerate().find_map(|(key, p)| Some((key, at(p)?)));
            match plan(table, column, snapshot, dialect, &bounds, from) {
                Some(plan) => plans.push(plan),
                None if column.nullable || column.default.is_some() => {}
                None => return Err(unknown(table, column)),
            }
        }
        let differ = differ(table, &plans);
        let open = (0..parents.len()).map(|key| turn.later.contains(&key)).collect();
        let place = place(&[&table.name.name]);
        Ok(Maker { plans, parents, open, differ, wishes: wishes.clone(), place })
    }

    /// The columns that [`Maker::row`] gives values for.
    pub fn columns(&self) -> Vec<&str> {
        self.plans.iter().map(|plan| plan.name.as_str()).collect()
    }

    /// The tables that the foreign keys point to; the same number of lists of keys is wanted.
    pub fn parents(&self) -> &[Parent] {
        &self.parents
    }

    /// How many rows can differ as they must, and by which columns; `None` without a limit.
    pub fn most(&self, keys: &[ParentKeys]) -> Option<(u64, Vec<String>)> {
        let limit = |set: &Vec<Part>| {
            let is_own = |part: &Part| match part {
                Part::Key(key) => self.parents.get(*key).is_some_and(|parent| parent.is_own),
                Part::Column(_) => false,
            };
            let names = set.iter().flat_map(|part| self.names(*part)).collect();
            // The table's own rows grow.
            (!set.iter().any(is_own)).then(|| (product(&self.sizes(set, keys)), names))
        };
        self.differ.sets.iter().filter_map(limit).min_by_key(|(count, _)| *count)
    }

    /// The values of a row, as SQL. A row that was refused is asked for again with the next
    /// `attempt`. `None` when it needs a parent and there is none, or all combinations are used.
    pub fn row(&self, number: u64, attempt: u32, keys: &[ParentKeys]) -> Option<Vec<String>> {
        let mut digits: Vec<(Part, u64)> = Vec::new();
        for set in self.differ.sets.iter().filter(|_| attempt == 0) {
            let sizes = self.sizes(set, keys);
            let found = combination(number, &sizes)?;
            digits.extend(set.iter().copied().zip(found));
        }
        let digit = |part: Part| digits.iter().find(|(one, _)| *one == part).map(|(_, n)| *n);
        let mut values: Vec<Option<String>> = vec![None; self.plans.len()];
        for (at, plan) in self.plans.iter().enumerate().filter(|(_, plan)| plan.from.is_none()) {
            let mut dice = Dice::new(self.wishes.seed, plan.place, number, attempt);
            let further = number.wrapping_add(u64::from(attempt) * FURTHER);
            let unique = self.differ.columns.contains(&at).then_some(further);
            let unique = unique.or_else(|| digit(Part::Column(at)));
            let is_null = dice.hits(self.wishes.null_rate) && plan.nullable;
            let value = if is_null {
                "NULL".to_owned()
            } else {
                plan.recipe.literal(unique, attempt, &mut dice)
            };
            if let Some(slot) = values.get_mut(at) {
                *slot = Some(value);
            }
        }
        for (key, parent) in self.parents.iter().enumerate() {
            let rows = keys.get(key).map_or(&[][..], Vec::as_slice);
            let mut dice = self.key_dice(key, number, attempt);
            let chosen = self.choose(key, rows, digit(Part::Key(key)), &values, &mut dice);
            self.set_key(key, parent, chosen, &mut values)?;
        }
        values.into_iter().collect()
    }

    /// Which of a parent's rows the row of this number refers to, for a key that was left open;
    /// `None` for none.
    pub fn later(&self, key: usize, number: u64, count: usize) -> Option<usize> {
        let mut dice = self.key_dice(key, number, 0);
        if dice.hits(self.wishes.null_rate) {
            return None;
        }
        usize::try_from(dice.below(count as u64)).ok().filter(|at| *at < count)
    }

    fn key_dice(&self, key: usize, number: u64, attempt: u32) -> Dice {
        let name = format!("key {key}");
        Dice::new(self.wishes.seed ^ self.place, place(&[&name]), number, attempt)
    }

    fn sizes(&self, set: &[Part], keys: &[ParentKeys]) -> Vec<u64> {
        let size = |part: &Part| match part {
            Part::Key(key) => keys.get(*key).map_or(0, Vec::len) as u64,
            Part::Column(at) => {
                self.plans.get(*at).and_then(|plan| plan.recipe.choices()).unwrap_or(u64::MAX)
            }
        };
        set.iter().map(size).collect()
    }

    fn names(&self, part: Part) -> Vec<String> {
        match part {
            Part::Key(key) => {
                self.parents.get(key).map(|parent| parent.own_columns.clone()).unwrap_or_default()
            }
            Part::Column(at) => self.plans.get(at).map(|p| p.name.clone()).into_iter().collect(),
        }
    }

    /// A parent's row that agrees with what is set already; `None` leaves the key NULL.
    fn choose<'k>(
        &self,
        key: usize,
        rows: &'k [Vec<String>],
        digit: Option<u64>,
        values: &[Option<String>],
        dice: &mut Dice,
    ) -> Option<&'k Vec<String>> {
        let parent = self.parents.get(key)?;
        if let Some(digit) = digit {
            return rows.get(usize::try_from(digit).ok()?);
        }
        let open = self.open.get(key).copied().unwrap_or(false);
        let may_be_null = !parent.is_needed;
        if open || (may_be_null && dice.hits(self.wishes.null_rate)) {
            return None;
        }
        let first = usize::try_from(dice.below(rows.len() as u64)).unwrap_or(0);
        let agrees = |row: &&Vec<String>| {
            parent.own_columns.iter().zip(row.iter()).all(|(name, value)| {
                let at = self.plans.iter().position(|plan| plan.name == *name);
                let own = at.and_then(|at| values.get(at)).and_then(Option::as_ref);
                own.is_none_or(|own| own == value)
            })
        };
        rows.iter().cycle().skip(first).take(rows.len().min(PROBES_MAX)).find(agrees)
    }

    /// Writes a key's values; `None` if one is needed and there is none.
    fn set_key(
        &self,
        key: usize,
        parent: &Parent,
        chosen: Option<&Vec<String>>,
        values: &mut [Option<String>],
    ) -> Option<()> {
        for (at, plan) in self.plans.iter().enumerate() {
            let Some((from, place)) = plan.from else { continue };
            if from != key {
                continue;
            }
            let value = match chosen {
                Some(row) => row.get(place).cloned(),
                None if plan.nullable => Some("NULL".to_owned()),
                None if parent.is_own => {
                    // The first row of a tree that needs a parent is its own.
                    let name = parent.columns.get(place)?;
                    let own = self.plans.iter().position(|plan| plan.name == *name)?;
                    values.get(own).cloned().flatten()
                }
                None => None,
            };
            *values.get_mut(at)? = Some(value?);
        }
        Some(())
    }
}

/// What CHECKs and rules say.
struct Facts {
    all: Vec<std::collections::BTreeMap<String, Bounds>>,
}

impl Facts {
    fn of(table: &Table, dialect: Dialect, rules: Option<&str>) -> Facts {
        let mut all: Vec<_> =
            table.checks.iter().map(|check| check::read(&check.expr, dialect)).collect();
        all.extend(rules.map(schema::read));
        Facts { all }
    }

    fn column(&self, name: &str) -> Bounds {
        let lower = name.to_lowercase();
        let mut out = Bounds::default();
        for facts in &self.all {
            if let Some(own) = facts.get(&lower) {
                out.also(own.clone());
            }
        }
        out
    }
}

fn plan(
    table: &Table,
    column: &Column,
    snapshot: &Snapshot,
    dialect: Dialect,
    facts: &Facts,
    from: Option<(usize, usize)>,
) -> Option<Plan> {
    let known = kind_of(column, snapshot, dialect);
    let (kind, own) = match (known, from) {
        (Some(known), _) => known,
        // A parent's key needs no values of ours.
        (None, Some(_)) => (super::kind::Kind::Bool, Bounds::default()),
        (None, None) => return None,
    };
    let mut bounds = facts.column(&column.name);
    bounds.also(own);
    let is_key = table.primary_key.contains(&column.name);
    let charset = column.extra.split("collation ").nth(1).unwrap_or("utf8");
    let unicode = ["utf", "ucs", "uca"].iter().any(|name| charset.starts_with(name));
    let name = column.name.to_lowercase();
    let is_named = table.checks.iter().any(|check| check.expr.to_lowercase().contains(&name));
    Some(Plan {
        name: column.name.clone(),
        nullable: column.nullable && !bounds.not_null && !is_key,
        place: place(&[&table.name.name, &column.name]),
        recipe: Recipe {
            name: column.name.clone(),
            kind,
            style: style_of(&column.name),
            is_checked: is_named && bounds.style.is_none(),
            bounds,
            ascii: dialect == Dialect::Mysql && !unicode,
            dialect,
        },
        from,
    })
}

fn parents(table: &Table, snapshot: &Snapshot, dialect: Dialect) -> Result<Vec<Parent>, FakeError> {
    let mut out = Vec::new();
    for key in &table.foreign_keys {
        let Some(parent) = snapshot.table(&key.to_table, dialect) else {
            return Err(FakeError {
                message: format!(
                    "`{}` refers to `{}`, which does not exist",
                    table.name, key.to_table
                ),
                hint: "Make that table first, or drop the foreign key".to_owned(),
            });
        };
        let named = !key.to_columns.is_empty();
        let columns = if named { key.to_columns.clone() } else { parent.primary_key.clone() };
        out.push(Parent {
            table: parent.name.clone(),
            columns,
            own_columns: key.columns.clone(),
            is_own: parent.name == table.name,
            is_needed: !can_be_null(table, key),
        });
    }
    Ok(out)
}

fn unknown(table: &Table, column: &Column) -> FakeError {
    FakeError {
        message: format!(
            "`{}.{}` needs a value, and nothing is known of its type `{}`",
            table.name, column.name, column.type_name
        ),
        hint: "Give the column a default, or let it be NULL, and its value is left out".to_owned(),
    }
}
