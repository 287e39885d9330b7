//! What happens beside the statement: foreign keys' actions and triggers.

use std::collections::BTreeSet;

use super::key::{self, Key};
use super::mentions::has_word;
use super::refusal::{Note, Refusal, RefusalCode};
use super::rewrite::DataKind;
use super::rules::Rules;
use super::scope::{InstanceKind, Relation};
use super::walk::Walker;
use crate::ddl::name::same_column_name;
use crate::ddl::{ForeignKey, ObjectName, ReferentialAction};
use crate::snapshot::{Table, Trigger};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, ident_value, lex};

/// Refuses what changes a table that later batches read.
pub(super) fn check(
    walker: &Walker<'_>,
    target: &Table,
    kind: DataKind,
    written: &[String],
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    cascades(walker, target, kind, written, rules)?;
    triggers(walker, target, kind, rules)
}

/// The tables that the statement reads, the target's own rows not counted.
fn is_read(walker: &Walker<'_>, table: &ObjectName) -> bool {
    walker.instances.iter().any(|instance| match instance.kind {
        InstanceKind::Table => {
            &instance.name == table
                && (Some(table) != walker.target.as_ref() || instance.top.is_none())
        }
        InstanceKind::View => {
            walker.catalog.snapshot.view(&instance.name, walker.dialect()).is_none_or(|view| {
                !view.materialized && has_word(&view.definition, &table.name, walker.dialect())
            })
        }
        InstanceKind::System => false,
    })
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
fn reaches(
    key: &ForeignKey,
    parent: &Table,
    kind: DataKind,
    written: &[String],
    dialect: Dialect,
) -> bool {
    if kind == DataKind::Delete {
        return acts(key.on_delete);
    }
    let to = if key.to_columns.is_empty() { &parent.primary_key } else { &key.to_columns };
    let changed =
        |column: &String| written.iter().any(|written| same_column_name(written, column, dialect));
    acts(key.on_update) && to.iter().any(changed)
}

fn cascades(
    walker: &Walker<'_>,
    target: &Table,
    kind: DataKind,
    written: &[String],
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let dialect = walker.dialect();
    let snapshot = walker.catalog.snapshot;
    let mut reached: BTreeSet<ObjectName> = BTreeSet::new();
    let mut open: Vec<(&Table, DataKind, Vec<String>)> = vec![(target, kind, written.to_vec())];
    while let Some((parent, kind, written)) = open.pop() {
        for child in &snapshot.tables {
            for key in &child.foreign_keys {
                let ours = snapshot.table(&key.to_table, dialect);
                let ours = ours.is_some_and(|table| table.name == parent.name);
                if !ours || !reaches(key, parent, kind, &written, dialect) {
                    continue;
                }
                if child.name == target.name {
                    own_rows(walker, target, key, kind, rules)?;
                } else if is_read(walker, &child.name) {
                    let message =
                        format!("A foreign key's action changes `{}`, which is read", child.name);
                    let span = walker.parsed.text.span();
                    rules.refuse(RefusalCode::CascadeWritesReadTable, span, message)?;
                }
                if reached.insert(child.name.clone()) {
                    let removed =
                        kind == DataKind::Delete && key.on_delete == ReferentialAction::Cascade;
                    let next = if removed { DataKind::Delete } else { DataKind::Update };
                    open.push((child, next, key.columns.clone()));
                }
            }
        }
    }
    Ok(())
}

/// A key of the target onto itself, or back onto it.
fn own_rows(
    walker: &Walker<'_>,
    target: &Table,
    key: &ForeignKey,
    kind: DataKind,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let dialect = walker.dialect();
    let goes = kind == DataKind::Delete && key.on_delete == ReferentialAction::Cascade;
    let read = walker.instances.iter().filter(|instance| instance.name == target.name).any(|own| {
        own.reads.all
            || own.reads.columns.iter().any(|read| {
                key.columns.iter().any(|column| same_column_name(read, column, dialect))
            })
    });
    // Rows that go with their parent would have gone in their own batch too, or not at all.
    if goes || !read {
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

/// Whether the trigger fires for this kind of change; in doubt it does.
fn fires(trigger: &Trigger, kind: DataKind, dialect: Dialect) -> bool {
    let sql = &trigger.definition;
    let mut words = Vec::new();
    for token in lex(sql, dialect) {
        if token.kind == TokenKind::Word {
            words.push(token.text(sql).to_ascii_uppercase());
        }
        if words.last().is_some_and(|word| word == "ON") {
            break;
        }
    }
    let word = match kind {
        DataKind::Update => "UPDATE",
        DataKind::Delete => "DELETE",
        DataKind::Insert => "INSERT",
    };
    let named = ["UPDATE", "DELETE", "INSERT"].iter().any(|event| words.iter().any(|w| w == event));
    !named || words.iter().any(|found| found == word)
}

/// The bodies that a trigger runs: its own text, and the functions that it names.
fn bodies(walker: &Walker<'_>, trigger: &Trigger) -> Option<Vec<String>> {
    if walker.dialect() != Dialect::Postgres {
        return Some(vec![trigger.definition.clone()]);
    }
    let routines = walker.catalog.snapshot.routines.iter();
    let called = routines
        .filter(|routine| has_word(&trigger.definition, &routine.name.name, Dialect::Postgres));
    let found: Vec<String> = called.map(|routine| routine.definition.clone()).collect();
    (!found.is_empty()).then_some(found)
}

fn triggers(
    walker: &Walker<'_>,
    target: &Table,
    kind: DataKind,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let dialect = walker.dialect();
    let span = walker.parsed.text.span();
    for trigger in of_table(walker, target) {
        if !fires(trigger, kind, dialect) {
            continue;
        }
        let name = &trigger.name;
        let message = format!("The trigger `{name}` fires in each batch");
        rules.notes.push(Note { code: "triggers", message, span: span.clone() });
        for body in bodies(walker, trigger).unwrap_or_default() {
            for table in &walker.catalog.snapshot.tables {
                let own = table.name == target.name;
                if !writes(&body, &table.name.name, dialect) {
                    continue;
                }
                if !own && is_read(walker, &table.name) {
                    let message = format!("The trigger `{name}` writes `{}`", table.name);
                    rules.refuse(RefusalCode::TriggerWritesReadTable, span.clone(), message)?;
                } else if own && !only_own_row(&body, dialect) {
                    let message = format!("The trigger `{name}` writes other rows of the target");
                    rules.refuse(RefusalCode::TriggerWritesReadTable, span.clone(), message)?;
                }
            }
        }
    }
    Ok(())
}

/// Triggers may write any column, so that nothing is certain of a target that is read as well.
pub(super) fn written_by_triggers(
    walker: &Walker<'_>,
    target: &Table,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let mut of_target = of_table(walker, target);
    let fired = of_target.find(|trigger| fires(trigger, DataKind::Update, walker.dialect()));
    match fired {
        Some(trigger) => {
            let name = &trigger.name;
            let message = format!("The trigger `{name}` may write what other rows are read for");
            rules.refuse(RefusalCode::ReadsWrittenColumn, walker.parsed.text.span(), message)
        }
        None => Ok(()),
    }
}

/// The words of a body, names unquoted; PostgreSQL's bodies are strings.
fn words(body: &str, dialect: Dialect) -> Vec<String> {
    let mut words = Vec::new();
    for token in lex(body, dialect) {
        match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => {
                words.push(ident_value(token.text(body), dialect).to_lowercase());
            }
            TokenKind::Str if dialect == Dialect::Postgres && token.text(body).starts_with('$') => {
                let text = token.text(body);
                let inner = text.split_once('$').and_then(|(_, rest)| rest.split_once('$'));
                let inner = inner.map_or("", |(_, rest)| rest);
                for token in lex(inner, dialect) {
                    if !token.is_trivia() && token.kind != TokenKind::Str {
                        words.push(ident_value(token.text(inner), dialect).to_lowercase());
                    }
                }
            }
            TokenKind::Dot | TokenKind::Op => words.push(token.text(body).to_owned()),
            _ => {}
        }
    }
    words
}

/// Whether a body writes the table: INSERT INTO, UPDATE, DELETE FROM, REPLACE INTO, MERGE INTO.
fn writes(body: &str, table: &str, dialect: Dialect) -> bool {
    let words = words(body, dialect);
    let table = table.to_lowercase();
    let verbs = ["into", "update", "from", "only", "ignore", "replace"];
    let dynamic = words.iter().any(|word| word == "execute") && dialect == Dialect::Postgres;
    let written = words.iter().enumerate().any(|(at, word)| {
        // `schema.table` as well.
        let dotted = at.checked_sub(1).and_then(|at| words.get(at)).is_some_and(|w| w == ".");
        let before = at.checked_sub(if dotted { 3 } else { 1 }).and_then(|at| words.get(at));
        let verb = before.is_some_and(|before| verbs.contains(&before.as_str()));
        let deletes = before.is_some_and(|before| before == "from");
        let first = at.checked_sub(if dotted { 4 } else { 2 }).and_then(|at| words.get(at));
        let really = !deletes || first.is_some_and(|first| first == "delete");
        *word == table && verb && really
    });
    let mentioned = words.contains(&table);
    written || (dynamic && mentioned && words.iter().filter(|word| *word == "execute").count() > 1)
}

/// Whether a body that writes the target is tied to the row that fired it.
fn only_own_row(body: &str, dialect: Dialect) -> bool {
    let words = words(body, dialect);
    let joined = words.join(" ");
    let tied = ["= new .", "= old .", "= : new", "is new ."];
    tied.iter().any(|tie| joined.contains(tie)) && !joined.contains("insert into")
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
