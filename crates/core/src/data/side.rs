//! What happens beside the statement: foreign keys' actions and triggers, and what those set off.

use super::key::{self, Key};
use super::reach;
use super::refusal::{Note, Refusal, RefusalCode};
use super::rewrite::DataKind;
use super::rules::{self, Rules};
use super::scope::{InstanceKind, Relation};
use super::trigger_text;
use super::walk::Walker;
use crate::ddl::name::same_column_name;
use crate::ddl::{ForeignKey, ObjectName, ReferentialAction};
use crate::snapshot::{Table, Trigger};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::ident_value;

/// A change of a table's rows.
#[derive(Clone, Debug)]
struct Event<'t> {
    table: &'t Table,
    kind: DataKind,
    /// The columns that an UPDATE may change.
    written: Vec<String>,
    /// The statement itself makes it.
    direct: bool,
}

/// What sets a change of another table off.
enum Cause<'t> {
    Key(&'t ForeignKey),
    Trigger { name: &'t str, own_row: bool },
}

/// Refuses what changes a table that later batches read.
pub(super) fn check(
    walker: &Walker<'_>,
    target: &Table,
    kind: DataKind,
    written: &[String],
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let span = walker.parsed.text.span();
    let first = Event { table: target, kind, written: written.to_vec(), direct: true };
    for trigger in of_table(walker, target) {
        if trigger_text::fires(trigger, kind, walker.dialect()) {
            let message = format!("The trigger `{}` fires in each batch", trigger.name);
            rules.notes.push(Note { code: "triggers", message, span: span.clone() });
        }
    }
    for (cause, event) in set_off(walker, first) {
        let own = event.table.name == target.name;
        match cause {
            Cause::Key(key) if own => own_rows(walker, target, key, &event, written, rules)?,
            Cause::Trigger { own_row: true, .. } if own => {}
            Cause::Trigger { name, .. } if own => {
                let message = format!("The trigger `{name}` writes other rows of the target");
                rules.refuse(RefusalCode::TriggerWritesReadTable, span.clone(), message)?;
            }
            _ if !is_read(walker, &event.table.name) => {}
            Cause::Key(_) => {
                let name = &event.table.name;
                let message = format!("A foreign key's action changes `{name}`, which is read");
                rules.refuse(RefusalCode::CascadeWritesReadTable, span.clone(), message)?;
            }
            Cause::Trigger { name, .. } => {
                let message = format!("The trigger `{name}` writes `{}`", event.table.name);
                rules.refuse(RefusalCode::TriggerWritesReadTable, span.clone(), message)?;
            }
        }
    }
    Ok(())
}

/// Whether deleting rows of the target changes others of its rows, by foreign keys or triggers.
pub(super) fn deletes_reach_own(walker: &Walker<'_>, target: &Table) -> bool {
    let kind = DataKind::Delete;
    let first = Event { table: target, kind, written: Vec::new(), direct: true };
    set_off(walker, first).iter().any(|(_, event)| event.table.name == target.name)
}

/// Every change that a change sets off, directly or through others, with its cause.
fn set_off<'w>(walker: &'w Walker<'_>, first: Event<'w>) -> Vec<(Cause<'w>, Event<'w>)> {
    let mut found: Vec<(Cause<'w>, Event<'w>)> = Vec::new();
    let mut seen: Vec<(&ObjectName, DataKind)> = vec![(&first.table.name, first.kind)];
    let mut open = vec![first];
    while let Some(event) = open.pop() {
        let mut next = by_keys(walker, &event);
        // MySQL's foreign keys fire no triggers.
        if event.direct || walker.dialect() != Dialect::Mysql {
            next.extend(by_triggers(walker, &event));
        }
        for (cause, event) in next {
            let one = (&event.table.name, event.kind);
            if !seen.contains(&one) {
                seen.push(one);
                open.push(event.clone());
            }
            found.push((cause, event));
        }
    }
    found
}

/// What foreign keys' actions do to the tables that point at this one.
fn by_keys<'w>(walker: &'w Walker<'_>, event: &Event<'w>) -> Vec<(Cause<'w>, Event<'w>)> {
    let dialect = walker.dialect();
    let snapshot = walker.catalog.snapshot;
    let mut found = Vec::new();
    for child in &snapshot.tables {
        for key in &child.foreign_keys {
            let ours = snapshot.table(&key.to_table, dialect);
            let ours = ours.is_some_and(|table| table.name == event.table.name);
            if !ours || !reaches(key, event, dialect) {
                continue;
            }
            let removed =
                event.kind == DataKind::Delete && key.on_delete == ReferentialAction::Cascade;
            let kind = if removed { DataKind::Delete } else { DataKind::Update };
            let written = key.columns.clone();
            found.push((Cause::Key(key), Event { table: child, kind, written, direct: false }));
        }
    }
    found
}

/// What the triggers of the table write.
fn by_triggers<'w>(walker: &'w Walker<'_>, event: &Event<'w>) -> Vec<(Cause<'w>, Event<'w>)> {
    let dialect = walker.dialect();
    let mut found = Vec::new();
    for trigger in of_table(walker, event.table) {
        if !trigger_text::fires(trigger, event.kind, dialect) {
            continue;
        }
        for body in bodies(walker, trigger) {
            for table in &walker.catalog.snapshot.tables {
                if !trigger_text::writes(body, &table.name.name, dialect) {
                    continue;
                }
                let own = event.direct && table.name == event.table.name;
                let own_row = own && trigger_text::only_own_row(body, table, dialect);
                for kind in [DataKind::Insert, DataKind::Update, DataKind::Delete] {
                    // The row that fired it is written, and fires what it fires again.
                    if own_row && kind != DataKind::Update {
                        continue;
                    }
                    let written = table.columns.iter().map(|one| one.name.clone()).collect();
                    let cause = Cause::Trigger { name: &trigger.name, own_row };
                    found.push((cause, Event { table, kind, written, direct: false }));
                }
            }
        }
    }
    found
}

/// The tables that the statement reads, the target's own rows not counted.
fn is_read(walker: &Walker<'_>, table: &ObjectName) -> bool {
    let by_name = walker.instances.iter().any(|instance| match instance.kind {
        InstanceKind::Table => {
            &instance.name == table
                && (Some(table) != walker.target.as_ref() || instance.top.is_none())
        }
        InstanceKind::View => rules::view_reaches(&instance.name, &table.name, walker.catalog),
        InstanceKind::System => false,
    });
    by_name || walker.bodies.iter().any(|body| reach::reaches(body, &table.name, walker.catalog))
}

fn acts(action: ReferentialAction) -> bool {
    match action {
        ReferentialAction::Cascade | ReferentialAction::SetNull | ReferentialAction::SetDefault => {
            true
        }
        ReferentialAction::NoAction | ReferentialAction::Restrict => false,
    }
}

/// Whether a change of the parent's rows reaches the child through this key.
fn reaches(key: &ForeignKey, parent: &Event<'_>, dialect: Dialect) -> bool {
    if parent.kind == DataKind::Delete {
        return acts(key.on_delete);
    }
    let to = match key.to_columns.as_slice() {
        [] => &parent.table.primary_key,
        _ => &key.to_columns,
    };
    let changed = |column: &String| {
        parent.written.iter().any(|written| same_column_name(written, column, dialect))
    };
    parent.kind == DataKind::Update && acts(key.on_update) && to.iter().any(changed)
}

/// A key of the target onto itself, or back onto it.
fn own_rows(
    walker: &Walker<'_>,
    target: &Table,
    key: &ForeignKey,
    event: &Event<'_>,
    written: &[String],
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let dialect = walker.dialect();
    let touched =
        |name: &String| key.columns.iter().any(|column| same_column_name(name, column, dialect));
    let own = walker.instances.iter().filter(|instance| instance.name == target.name);
    let mut own = own.map(|own| own.reads.all || own.reads.columns.iter().any(touched));
    let read = own.any(|reads| reads) || written.iter().any(touched);
    // Rows that go with their parent would have gone in their own batch too, or not at all.
    if event.kind == DataKind::Delete || !read {
        return Ok(());
    }
    let columns = key.columns.join(", ");
    let message = format!("A foreign key's action changes ({columns}), which is read");
    rules.refuse(RefusalCode::CascadeWritesReadTable, walker.parsed.text.span(), message)
}

/// The triggers of a table.
fn of_table<'w>(walker: &'w Walker<'_>, table: &'w Table) -> impl Iterator<Item = &'w Trigger> {
    let dialect = walker.dialect();
    let triggers = walker.catalog.snapshot.triggers.iter();
    triggers.filter(move |trigger| trigger.table.matches(&table.name, dialect))
}

/// The bodies that a trigger runs: its own text, and the routines that it names, or those name.
fn bodies<'w>(walker: &'w Walker<'_>, trigger: &'w Trigger) -> Vec<&'w str> {
    let mut all = reach::bodies(&trigger.definition, walker.catalog);
    if walker.dialect() == Dialect::Postgres {
        // Its own text only names the function.
        all.remove(0);
    }
    all
}

/// Triggers may write any column, so that nothing is certain of a target that is read as well.
pub(super) fn written_by_triggers(
    walker: &Walker<'_>,
    target: &Table,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let mut of_target = of_table(walker, target);
    let fired =
        of_target.find(|trigger| trigger_text::fires(trigger, DataKind::Update, walker.dialect()));
    match fired {
        Some(trigger) => {
            let name = &trigger.name;
            let message = format!("The trigger `{name}` may write what other rows are read for");
            rules.refuse(RefusalCode::ReadsWrittenColumn, walker.parsed.text.span(), message)
        }
        None => Ok(()),
    }
}

/// The key that `by` names, if it is one of this relation.
pub(super) fn named_key(
    by: &str,
    relation: &Relation,
    table: &Table,
    dialect: Dialect,
) -> Result<Key, String> {
    let mut columns = Vec::new();
    for part in by.split(',') {
        let part = part.trim();
        let (qualifier, column) = match part.rsplit_once('.') {
            Some((qualifier, column)) => (Some(qualifier), column),
            None => (None, part),
        };
        let ours = qualifier.is_none_or(|qualifier| {
            let qualifier = ident_value(qualifier.trim(), dialect);
            super::names::same_alias(&qualifier, &relation.qualifier, dialect)
        });
        if !ours {
            return Err(format!("`by` names `{part}`, but `{}` drives", relation.qualifier));
        }
        columns.push(ident_value(column.trim(), dialect));
    }
    if dialect == Dialect::Sqlite
        && let [only] = columns.as_slice()
        && ["rowid", "_rowid_", "oid"].contains(&only.to_ascii_lowercase().as_str())
        && key::column(table, only, dialect).is_none()
    {
        let without = table.options.to_ascii_uppercase().contains("WITHOUT ROWID");
        let columns = vec![only.to_ascii_lowercase()];
        let key = Key { columns, rowid: true };
        return if without { Err("The table has no rowid".to_owned()) } else { Ok(key) };
    }
    let same = |set: &Vec<String>| {
        let has = |a: &[String], b: &[String]| {
            a.iter().all(|one| b.iter().any(|other| same_column_name(one, other, dialect)))
        };
        has(set, &columns) && has(&columns, set)
    };
    match key::unique_keys(table, dialect).into_iter().find(same) {
        Some(columns) => Ok(Key { columns, rowid: false }),
        None => Err(format!("`{by}` is no unique key without NULL of `{}`", table.name)),
    }
}
