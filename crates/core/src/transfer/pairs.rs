//! Which table and column of one database belongs to which of another, and in which order tables
//! are filled.

use super::class::Class;
use super::mapping::{Grade, grade};
use crate::data::{KeyColumn, table_key};
use crate::ddl::ObjectName;
use crate::ddl::name::same_column_name;
use crate::snapshot::{Column, Snapshot, Table};
use crate::sql::dialect::Dialect;

/// A column and the one that its values go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPair {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// What it can hold at the source.
    pub from: Class,
    /// What it can hold at the target.
    pub to: Class,
    /// Its type at the target, as the catalog prints it.
    pub type_name: String,
    /// What can be lost.
    pub grade: Grade,
    /// How values go.
    pub how: &'static str,
}

/// A table and the one that its rows go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePair {
    /// Its name at the source.
    pub source: ObjectName,
    /// Its name at the target.
    pub target: ObjectName,
    /// Columns that are copied.
    pub columns: Vec<ColumnPair>,
    /// The key along which rows are read; empty where the table has none.
    pub key: Vec<KeyColumn>,
    /// What is worth knowing before the start.
    pub notes: Vec<String>,
}

/// Why a table cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The table at the source.
    pub table: String,
    /// Why.
    pub message: String,
    /// What lifts it.
    pub hint: String,
}

/// What belongs together, and what keeps the copy from starting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Tables that can be copied, in the source's order.
    pub pairs: Vec<TablePair>,
    /// Tables that cannot.
    pub refusals: Vec<Refusal>,
}

/// One of the two databases.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What it holds.
    pub snapshot: &'a Snapshot,
    /// Its SQL.
    pub dialect: Dialect,
}

/// Whether rows are read from this table itself: not a partition, whose rows its parent shows.
fn is_read(table: &Table) -> bool {
    let options = &table.options;
    let partition = options.contains("parents ")
        && (options.contains("FOR VALUES") || options.contains("; DEFAULT"));
    !partition
}

/// Finds for each of these tables the one at the target, with its columns.
pub fn pairs(tables: &[&Table], source: Side<'_>, target: Side<'_>) -> Matched {
    let mut matched = Matched::default();
    for table in tables.iter().filter(|table| is_read(table)) {
        match pair(table, source, target) {
            Ok(pair) => {
                let twice = matched.pairs.iter().find(|other| other.target == pair.target);
                if let Some(other) = twice {
                    let message = format!("`{}` goes to `{}`, too", other.source, other.target);
                    let hint = "Name the one that is meant".to_owned();
                    matched.refusals.push(refusal(table, message, hint));
                } else {
                    matched.pairs.push(pair);
                }
            }
            Err(refusals) => matched.refusals.extend(refusals),
        }
    }
    matched
}

fn refusal(table: &Table, message: String, hint: String) -> Refusal {
    Refusal { table: table.name.to_string(), message, hint }
}

fn pair(table: &Table, source: Side<'_>, target: Side<'_>) -> Result<TablePair, Vec<Refusal>> {
    let Some(to) = table_at(table, source, target) else {
        let message = "there is no such table at the target".to_owned();
        let hint = "Make it there first, with a migration, or name the tables to copy".to_owned();
        return Err(vec![refusal(table, message, hint)]);
    };
    if table.options.contains("parents ") || table.options.contains("foreign, server") {
        let message = "rows of inherited and foreign tables are not copied".to_owned();
        let hint = "Copy them with a data migration, or name the tables to copy".to_owned();
        return Err(vec![refusal(table, message, hint)]);
    }
    let mut refusals = Vec::new();
    let mut columns = Vec::new();
    let mut notes = Vec::new();
    for column in &table.columns {
        match column_pair(column, source.dialect, to, target.dialect) {
            Ok(Some(pair)) => columns.push(pair),
            Ok(None) => notes.push(format!("`{}` is computed at the target", column.name)),
            Err((message, hint)) => refusals.push(refusal(table, message, hint)),
        }
    }
    for column in &to.columns {
        if columns.iter().any(|pair| pair.target == column.name) || column.generated.is_some() {
            continue;
        }
        if column.nullable || column.default.is_some() || column.identity {
            notes.push(format!("`{}` is only at the target and keeps its default", column.name));
        } else {
            let message = format!(
                "the target's column `{}` is NOT NULL and has no default, and \
                 the source has no such column",
                column.name
            );
            let hint = "Give it a default, or make it nullable for the time of the copy".to_owned();
            refusals.push(refusal(table, message, hint));
        }
    }
    let triggers = target.snapshot.triggers.iter();
    for trigger in triggers.filter(|one| one.table.matches(&to.name, target.dialect)) {
        notes.push(format!("the target's trigger `{}` fires for each row", trigger.name));
    }
    let mut key = table_key(table, source.dialect);
    if key.iter().any(|column| !is_ordered(&column.type_name, source.dialect)) {
        key.clear();
    }
    if key.is_empty() {
        notes.push("it has no key: all of it goes in one transaction".to_owned());
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let (source, target) = (table.name.clone(), to.name.clone());
    Ok(TablePair { source, target, columns, key, notes })
}

/// Whether a column's values come in the order in which they are compared with a literal: MySQL
/// orders ENUM and SET by their numbers, and prints floating point numbers shortened.
fn is_ordered(type_name: &str, dialect: Dialect) -> bool {
    let lower = type_name.to_ascii_lowercase();
    let others = ["enum(", "set(", "float", "double"];
    dialect != Dialect::Mysql || !others.iter().any(|word| lower.starts_with(word))
}

/// The table of the same name: in the same schema where both have schemas, else by its bare name;
/// where there is none, the only one whose name differs in upper and lower case alone.
fn table_at<'t>(table: &Table, source: Side<'_>, target: Side<'t>) -> Option<&'t Table> {
    let is_default = table.name.schema == source.snapshot.default_schema;
    let name = match &table.name.schema {
        Some(schema) if target.dialect == Dialect::Postgres && !is_default => {
            ObjectName::in_schema(schema, &table.name.name)
        }
        _ => ObjectName::bare(table.name.name.clone()),
    };
    if let Some(found) = target.snapshot.table(&name, target.dialect) {
        return Some(found);
    }
    let alike = |other: &&Table| {
        other.name.name.eq_ignore_ascii_case(&table.name.name)
            && name.schema.as_ref().is_none_or(|schema| other.name.schema.as_ref() == Some(schema))
    };
    let mut found = target.snapshot.tables.iter().filter(alike);
    let first = found.next();
    if found.next().is_some() { None } else { first }
}

/// The pair of a column; none where the target computes it.
fn column_pair(
    column: &Column,
    source: Dialect,
    table: &Table,
    target: Dialect,
) -> Result<Option<ColumnPair>, (String, String)> {
    let same = table.columns.iter().find(|one| same_column_name(&one.name, &column.name, target));
    let alike = || {
        let mut found =
            table.columns.iter().filter(|one| one.name.eq_ignore_ascii_case(&column.name));
        let first = found.next();
        if found.next().is_some() { None } else { first }
    };
    let Some(to) = same.or_else(alike) else {
        if column.generated.is_some() {
            return Ok(None);
        }
        return Err((
            format!("its column `{}` is not at the target", column.name),
            format!(
                "Add the column there, or leave it behind with `--leave-out {}.{}`",
                table.name.name, column.name
            ),
        ));
    };
    if to.generated.is_some() {
        return Ok(None);
    }
    let (from, class) = (Class::of(&column.type_name, source), Class::of(&to.type_name, target));
    let identical = from == class && source == target;
    let (grade, how) = if identical { (Grade::Exact, "") } else { grade(&from, &class) };
    if grade == Grade::Refused {
        return Err((
            format!(
                "its column `{}` is `{}` and at the target `{}`: {how}",
                column.name, column.type_name, to.type_name
            ),
            "See docs/reference/type-mappings.md for types that fit, or convert the values with a \
             data migration"
                .to_owned(),
        ));
    }
    Ok(Some(ColumnPair {
        source: column.name.clone(),
        target: to.name.clone(),
        from,
        to: class,
        type_name: to.type_name.clone(),
        grade,
        how,
    }))
}

/// Tables that are filled together, by their places in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The tables, parents first where there is an order.
    pub tables: Vec<usize>,
    /// Their foreign keys go round in a circle, or from a table to itself.
    pub circular: bool,
    /// The groups whose tables theirs point to, by their places in the list of groups.
    pub after: Vec<usize>,
}

/// The order in which tables are filled: parents before children.
pub fn groups(pairs: &[TablePair], target: Side<'_>) -> Vec<Group> {
    let parents = parents(pairs, target);
    let count = pairs.len();
    let reach: Vec<Vec<bool>> = (0..count).map(|from| reachable(from, &parents)).collect();
    let reaches = |from: usize, to: usize| {
        reach.get(from).and_then(|row| row.get(to)).copied().unwrap_or(false)
    };
    let mut group_of: Vec<Option<usize>> = vec![None; count];
    let mut groups: Vec<Group> = Vec::new();
    let mut left: Vec<usize> = (0..count).collect();
    while !left.is_empty() {
        // Ready is who reaches nothing that is left, but for those who reach it, too.
        let ready = |table: &&usize| {
            left.iter().all(|other| !reaches(**table, *other) || reaches(*other, **table))
        };
        let Some(first) = left.iter().find(ready).copied() else { break };
        let circle =
            |other: &usize| *other == first || (reaches(first, *other) && reaches(*other, first));
        let tables: Vec<usize> = left.iter().copied().filter(circle).collect();
        left.retain(|other| !circle(other));
        let circular = reaches(first, first);
        let mut after: Vec<usize> = tables
            .iter()
            .flat_map(|table| parents.get(*table).into_iter().flatten())
            .filter_map(|parent| group_of.get(*parent).copied().flatten())
            .collect();
        after.sort_unstable();
        after.dedup();
        for table in &tables {
            if let Some(slot) = group_of.get_mut(*table) {
                *slot = Some(groups.len());
            }
        }
        groups.push(Group { tables, circular, after });
    }
    groups
}

/// For each table the places of those that its foreign keys point to.
fn parents(pairs: &[TablePair], target: Side<'_>) -> Vec<Vec<usize>> {
    let of = |pair: &TablePair| {
        let table = target.snapshot.tables.iter().find(|table| table.name == pair.target);
        let keys = table.map_or(&[][..], |table| table.foreign_keys.as_slice());
        let place = |name: &ObjectName| {
            let parent = target.snapshot.table(name, target.dialect)?;
            pairs.iter().position(|other| other.target == parent.name)
        };
        keys.iter().filter_map(|key| place(&key.to_table)).collect()
    };
    pairs.iter().map(of).collect()
}

fn reachable(from: usize, parents: &[Vec<usize>]) -> Vec<bool> {
    let mut seen = vec![false; parents.len()];
    let mut open = vec![from];
    while let Some(table) = open.pop() {
        for parent in parents.get(table).into_iter().flatten() {
            if let Some(slot) = seen.get_mut(*parent)
                && !*slot
            {
                *slot = true;
                open.push(*parent);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::ForeignKey;

    fn table(name: &str, columns: &[(&str, &str)], to: &[&str]) -> Table {
        let column = |(name, type_name): &(&str, &str)| Column {
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
            nullable: true,
            ..Column::default()
        };
        let key = |to: &&str| ForeignKey { to_table: ObjectName::bare(*to), ..key() };
        Table {
            name: ObjectName::bare(name),
            columns: columns.iter().map(column).collect(),
            foreign_keys: to.iter().map(key).collect(),
            ..Table::default()
        }
    }

    fn key() -> ForeignKey {
        ForeignKey {
            name: None,
            columns: vec!["p".to_owned()],
            to_table: ObjectName::bare("x"),
            to_columns: Vec::new(),
            on_delete: crate::ddl::ReferentialAction::NoAction,
            on_update: crate::ddl::ReferentialAction::NoAction,
        }
    }

    fn all(tables: Vec<Table>) -> Snapshot {
        Snapshot { tables, ..Snapshot::default() }
    }

    fn matched(from: &Snapshot, to: &Snapshot) -> Matched {
        let tables: Vec<&Table> = from.tables.iter().collect();
        let side = |snapshot, dialect| Side { snapshot, dialect };
        pairs(&tables, side(from, Dialect::Sqlite), side(to, Dialect::Postgres))
    }

    #[test]
    fn parents_come_first_and_circles_together() {
        let names = ["d", "c", "b", "a", "self"];
        let to: [&[&str]; 5] = [&["c", "a"], &["b"], &["c"], &[], &["self"]];
        let tables: Vec<Table> =
            names.iter().zip(to).map(|(name, to)| table(name, &[("p", "bigint")], to)).collect();
        let snapshot = all(tables);
        let matched = matched(&snapshot, &snapshot);
        assert!(matched.refusals.is_empty(), "{matched:?}");
        let side = Side { snapshot: &snapshot, dialect: Dialect::Postgres };
        let found = groups(&matched.pairs, side);
        let order: Vec<(Vec<&str>, bool)> = found
            .iter()
            .map(|group| {
                let tables = group.tables.iter().map(|at| names[*at]).collect();
                (tables, group.circular)
            })
            .collect();
        let want: Vec<(Vec<&str>, bool)> = vec![
            (vec!["c", "b"], true),
            (vec!["a"], false),
            (vec!["d"], false),
            (vec!["self"], true),
        ];
        assert_eq!(order, want);
        assert_eq!(found[2].after, [0, 1]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let from = all(vec![
            table("Users", &[("ID", "INTEGER"), ("gone", "TEXT")], &[]),
            table("lost", &[], &[]),
            table("kinds", &[("a", "BLOB")], &[]),
        ]);
        let mut to = all(vec![
            table("users", &[("id", "bigint"), ("more", "text")], &[]),
            table("kinds", &[("a", "inet")], &[]),
        ]);
        let found = matched(&from, &to);
        let text: Vec<String> =
            found.refusals.iter().map(|one| format!("{}: {}", one.table, one.message)).collect();
        assert_eq!(text.len(), 3, "{text:?}");
        assert!(text[0].contains("`gone` is not at the target"), "{text:?}");
        assert!(text[1].contains("no such table"), "{text:?}");
        assert!(text[2].contains("at the target `inet`"), "{text:?}");
        to.tables[0].columns[1].name = "gone".to_owned();
        let found = matched(&from, &to);
        assert_eq!(found.pairs.len(), 1);
        assert_eq!(found.pairs[0].columns[0].target, "id");
    }
}
