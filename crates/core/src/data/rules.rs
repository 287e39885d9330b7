//! The rules that hold for every kind of statement.

use std::ops::Range;

use super::functions::Varies;
use super::key;
use super::reach;
use super::refusal::{Lifted, Note, Refusal, RefusalCode};
use super::rewrite::KeyColumn;
use super::scope::{Instance, InstanceKind, Place, Relation, Source};
use super::walk::Walker;
use super::{BatchOptions, Catalog};
use crate::ddl::ObjectName;
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::quote::quote_ident;

/// Collects refusals, less those that the author lifts.
pub(super) struct Rules<'o> {
    pub(super) options: &'o BatchOptions,
    pub(super) frozen: Vec<RefusalCode>,
    pub(super) notes: Vec<Note>,
    /// A function that gives another value each time.
    pub(super) differs: Option<String>,
}

impl Rules<'_> {
    pub(super) fn new(options: &BatchOptions) -> Rules<'_> {
        Rules { options, frozen: Vec::new(), notes: Vec::new(), differs: None }
    }

    /// Refuses, unless the author has lifted this reason.
    pub(super) fn refuse(
        &mut self,
        code: RefusalCode,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Result<(), Refusal> {
        self.check(Refusal::new(code, span, message))
    }

    pub(super) fn check(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        let allowed = self.options.allow.iter().any(|allow| allow.refusal() == refusal.code);
        let stable = self.options.self_read_stable && is_self_read(refusal.code);
        let frozen =
            self.options.materialize && refusal.code.lifted_by_materialize() == Lifted::All;
        if frozen && !self.frozen.contains(&refusal.code) {
            self.frozen.push(refusal.code);
        }
        if !(allowed || stable || frozen) {
            return Err(refusal);
        }
        let Refusal { code, span, message, .. } = refusal;
        self.notes.push(Note { code: code.code(), message, span });
        Ok(())
    }
}

/// What `self-read=stable` declares harmless.
fn is_self_read(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::ReadsWrittenColumn
            | RefusalCode::DeleteReadsTarget
            | RefusalCode::InsertReadsTarget
            | RefusalCode::InnerOrderNotTotal
            | RefusalCode::CascadeWritesReadTable
            | RefusalCode::TriggerWritesReadTable
    )
}

/// The target's table, if it is one.
pub(super) fn target_table<'a>(
    name: &ObjectName,
    catalog: &Catalog<'a>,
    span: Range<usize>,
) -> Result<&'a Table, Refusal> {
    let snapshot = catalog.snapshot;
    if let Some(table) = snapshot.table(name, catalog.dialect) {
        return Ok(table);
    }
    Err(match snapshot.view(name, catalog.dialect) {
        Some(_) => {
            let message = format!("The target `{name}` is a view");
            Refusal::new(RefusalCode::TargetNotTable, span, message)
        }
        None => {
            let message = format!("There is no table `{name}`");
            Refusal::new(RefusalCode::UnknownRelation, span, message)
        }
    })
}

/// The walk's own findings: what was not understood, and writes in WITH.
pub(super) fn walked(walker: &mut Walker<'_>, rules: &mut Rules<'_>) -> Result<(), Refusal> {
    rules.notes.append(&mut walker.notes);
    match walker.refusals.first() {
        Some(refusal) => Err(refusal.clone()),
        None => Ok(()),
    }
}

/// A relation's key columns as SQL at its place.
pub(super) fn key_columns(
    relation: &Relation,
    table: &Table,
    key: &key::Key,
    names: &[String],
    catalog: &Catalog<'_>,
) -> Vec<KeyColumn> {
    let dialect = catalog.dialect;
    let mut columns = Vec::new();
    for (name, shown) in key.columns.iter().zip(names) {
        let column = key::column(table, name, dialect);
        let quoted = if key.rowid { shown.clone() } else { quote_ident(shown, dialect) };
        let qualifier = &relation.qualifier_sql;
        let sql = if qualifier.is_empty() { quoted } else { format!("{qualifier}.{quoted}") };
        columns.push(KeyColumn {
            name: name.clone(),
            sql,
            type_name: column.map_or("INTEGER", |column| column.type_name.as_str()).to_owned(),
            rowid: key.rowid,
            collation: column.and_then(key::collation),
        });
    }
    columns
}

/// Functions whose value differs from batch to batch.
pub(super) fn volatile(walker: &Walker<'_>, rules: &mut Rules<'_>) -> Result<(), Refusal> {
    for call in &walker.calls {
        let (name, span) = (&call.name, call.span.clone());
        if matches!(call.varies, Varies::Always | Varies::Now) {
            rules.differs.get_or_insert_with(|| name.clone());
        }
        match (call.place, call.varies) {
            (_, Varies::No) => {}
            (_, Varies::Session) => {
                let message = format!("`{name}` gives what an earlier statement has left behind");
                return Err(Refusal::new(RefusalCode::NotParsed, span, message));
            }
            (Place::Filter, _) => {
                let message = format!("`{name}` gives another value in each batch");
                rules.refuse(RefusalCode::VolatileInWhere, span, message)?;
            }
            (Place::Inner, Varies::Always | Varies::Unknown) => {
                let message = format!("`{name}` in a sub-query is called anew in each batch");
                rules.refuse(RefusalCode::VolatileInSubquery, span, message)?;
            }
            (Place::Value | Place::Inner, Varies::Now) => {
                let message = format!("`{name}` differs from batch to batch; see :run_started_at");
                rules.notes.push(Note { code: "now-differs", message, span });
            }
            (Place::Value, Varies::Unknown) => {
                let message = format!("Nothing is known of the function `{name}`");
                rules.notes.push(Note { code: "unknown-function", message, span });
            }
            (Place::Value, Varies::Always) if name == "nextval" => {
                let message = "New numbers follow the driving key's order".to_owned();
                rules.notes.push(Note { code: "generated-ids", message, span });
            }
            (Place::Value, Varies::Always) => {}
        }
    }
    Ok(())
}

/// Whether a mention brings rows of the target along: itself, a partition, a view over it.
pub(super) fn holds_target(instance: &Instance, target: &Table, catalog: &Catalog<'_>) -> bool {
    let dialect = catalog.dialect;
    match instance.kind {
        InstanceKind::Table => {
            let table = catalog.snapshot.table(&instance.name, dialect);
            table.is_none_or(|table| key::shares_rows(table, target))
        }
        InstanceKind::View => view_reaches(&instance.name, &target.name.name, catalog),
        InstanceKind::System => false,
    }
}

/// Whether a view's text names the table, directly or through other views and functions.
pub(super) fn view_reaches(view: &ObjectName, table: &str, catalog: &Catalog<'_>) -> bool {
    match catalog.snapshot.view(view, catalog.dialect) {
        Some(found) => !found.materialized && reach::reaches(&found.definition, table, catalog),
        None => true,
    }
}

/// The first column that is both read and written, if any; `*` where all are read.
pub(super) fn overlap(
    instance: &Instance,
    written: &[String],
    walker: &Walker<'_>,
) -> Option<String> {
    let unknown = instance.reads.all || instance.kind != InstanceKind::Table;
    if unknown {
        return Some("*".to_owned());
    }
    let dialect = walker.dialect();
    let mut read = instance.reads.columns.iter();
    read.find(|read| {
        is_moved(read) || written.iter().any(|written| same_column_name(read, written, dialect))
    })
    .cloned()
}

/// PostgreSQL's columns that change whenever the row does.
pub(super) fn is_moved(column: &str) -> bool {
    ["ctid", "xmin", "xmax", "cmin", "cmax"].contains(&column)
}

/// A WITH table that is read anew in each batch.
pub(super) fn recomputed(walker: &Walker<'_>, rules: &mut Rules<'_>) {
    let scope = walker.scopes.first();
    let whole = scope
        .into_iter()
        .flat_map(|scope| &scope.relations)
        .find(|relation| matches!(relation.source, Source::Cte | Source::Derived));
    if let Some(relation) = whole {
        let message = "The source query may be computed anew in each batch".to_owned();
        rules.notes.push(Note { code: "recomputed", message, span: relation.span.clone() });
    }
}

/// Whether the driving relation is the target itself.
pub(super) fn is_target(walker: &Walker<'_>, driver: &super::insert_driver::Driver<'_>) -> bool {
    Some(&driver.table.name) == walker.target.as_ref()
}
