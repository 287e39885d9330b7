//! INSERT .. SELECT: a table of its FROM clause drives.

use sqlparser::ast::{
    ConflictTarget, Insert, OnConflictAction, OnInsert, OrderByExpr, Query, Select, SelectItem,
    SetExpr, Spanned, SqliteOnConflict, TableObject, With,
};

use super::aggregates;
use super::cuts;
use super::insert_driver::{Driver, driver};
use super::insert_guard;
use super::insert_shape::{inner_ordinals, shape};
use super::key;
use super::names;
use super::parse::Parsed;
use super::refusal::{Note, Refusal, RefusalCode};
use super::rewrite::{Batchable, Conflict, Cuts, DataKind};
use super::rules::{self, Rules};
use super::scope::{Place, Source};
use super::walk::{Walker, is_limited, order_items};
use super::{BatchOptions, Catalog, side};
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;

/// The statement and what is known of it.
pub(super) struct Insertion<'s, 'a> {
    pub(super) insert: &'s Insert,
    pub(super) select: &'s Select,
    pub(super) order_by: Vec<&'s OrderByExpr>,
    pub(super) target: &'a Table,
    /// The target's columns that are filled, in order.
    pub(super) written: Vec<String>,
}

pub(super) fn insert(
    parsed: &Parsed,
    insert: &Insert,
    with: Option<&With>,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Batchable, Refusal> {
    let mut rules = Rules::new(options);
    let target = target(parsed, insert, catalog)?;
    let query = source(parsed, insert)?;
    let (query, select, inner_with) = unwrap(query, parsed, &mut rules)?;
    if select.from.is_empty() {
        let message = "The statement reads no table";
        return Err(Refusal::new(RefusalCode::NoFrom, parsed.text.span(), message));
    }
    let mut walker = Walker::new(catalog, parsed, Some(target.name.clone()));
    walker.with(with);
    for with in inner_with {
        walker.with(Some(with));
    }
    let order_by = order_items(query);
    walker.open(select, true);
    walker.select_parts(select, &order_by, Place::Value);
    conflict_values(&mut walker, insert);
    rules::walked(&mut walker, &mut rules)?;
    let written = written(&walker, insert, target);
    let source = Insertion { insert, select, order_by, target, written };
    let found = aggregates::find(select, &source.order_by, walker.functions());
    if is_limited(query) {
        let span = walker.span_of(query);
        rules.refuse(RefusalCode::Limit, span, "LIMIT counts rows of the whole statement")?;
    }
    let driver = driver(&walker, &source, &found, options)?;
    let assumes = shape(&walker, &source, &driver, &found, &mut rules)?;
    insert_guard::check(&walker, &source, &driver, &mut rules)?;
    side_effects(&walker, &source, &driver, &mut rules)?;
    rules::volatile(&walker, &mut rules)?;
    if driver.relation.source != Source::Table {
        rules::recomputed(&walker, &mut rules);
    }
    let cuts = places(&walker, &source, query, !inner_ordinals(&source).is_empty())?;
    build(&walker, source, driver, rules, cuts, assumes)
}

pub(super) fn target<'a>(
    parsed: &Parsed,
    insert: &Insert,
    catalog: &Catalog<'a>,
) -> Result<&'a Table, Refusal> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(cuts::missing(&parsed.text));
    };
    let odd = insert.multi_table_insert_type.is_some()
        || insert.overwrite
        || insert.partitioned.is_some()
        || insert.insert_alias.is_some()
        || !insert.after_columns.is_empty()
        || insert.output.is_some();
    let object = names::object(name, catalog.dialect);
    match object {
        Some(object) if !odd => rules::target_table(&object, catalog, parsed.text.span()),
        _ => Err(cuts::missing(&parsed.text)),
    }
}

pub(super) fn source<'s>(parsed: &Parsed, insert: &'s Insert) -> Result<&'s Query, Refusal> {
    insert.source.as_deref().ok_or_else(|| {
        let message = "The statement inserts constant rows";
        Refusal::new(RefusalCode::NoFrom, parsed.text.span(), message)
    })
}

/// The SELECT inside parentheses, with the query around it and its WITH clauses.
fn unwrap<'s>(
    mut query: &'s Query,
    parsed: &Parsed,
    rules: &mut Rules<'_>,
) -> Result<(&'s Query, &'s Select, Vec<&'s With>), Refusal> {
    let mut with: Vec<&With> = Vec::new();
    let refuse =
        |code: RefusalCode, message: &str| Err(Refusal::new(code, parsed.text.span(), message));
    loop {
        with.extend(query.with.as_ref());
        match query.body.as_ref() {
            SetExpr::Select(select) => {
                let odd = !query.locks.is_empty()
                    || !query.pipe_operators.is_empty()
                    || query.for_clause.is_some();
                if odd {
                    return refuse(RefusalCode::NotParsed, "The source query locks rows");
                }
                return Ok((query, select, with));
            }
            SetExpr::Query(inner) => {
                if query.order_by.is_some() || is_limited(query) {
                    return refuse(RefusalCode::NotParsed, "A parenthesised source is limited");
                }
                query = inner;
            }
            SetExpr::SetOperation { .. } => {
                let message = "The source is several queries";
                let refusal = Refusal::new(RefusalCode::SetOperation, parsed.text.span(), message);
                rules.check(refusal.clone())?;
                return Err(refusal);
            }
            SetExpr::Values(_) => {
                return refuse(RefusalCode::NoFrom, "The statement inserts constant rows");
            }
            SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => {
                return refuse(RefusalCode::NotParsed, "The source is not a SELECT");
            }
        }
    }
}

/// Expressions of ON CONFLICT and ON DUPLICATE KEY; `excluded` and the target are no mentions.
fn conflict_values(walker: &mut Walker<'_>, insert: &Insert) {
    let (assignments, selection) = match &insert.on {
        Some(OnInsert::DuplicateKeyUpdate(assignments)) => (assignments.as_slice(), None),
        Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
            OnConflictAction::DoUpdate(update) => {
                (update.assignments.as_slice(), update.selection.as_ref())
            }
            OnConflictAction::DoNothing => return,
        },
        Some(_) | None => return,
    };
    walker.exprs(assignments.iter().map(|assignment| &assignment.value), Place::Value);
    walker.exprs(selection, Place::Filter);
}

/// The columns that are filled.
fn written(walker: &Walker<'_>, insert: &Insert, target: &Table) -> Vec<String> {
    if insert.columns.is_empty() {
        let real = target.columns.iter().filter(|column| column.generated.is_none());
        return real.map(|column| column.name.clone()).collect();
    }
    let named = insert
        .columns
        .iter()
        .filter_map(|name| names::object(name, walker.dialect()).map(|name| name.name));
    named.collect()
}

pub(super) fn conflict(insert: &Insert) -> Conflict {
    if insert.replace_into || matches!(insert.or, Some(SqliteOnConflict::Replace)) {
        return Conflict::Replace;
    }
    match &insert.on {
        Some(OnInsert::DuplicateKeyUpdate(_)) => Conflict::Update,
        Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
            OnConflictAction::DoUpdate(_) => Conflict::Update,
            OnConflictAction::DoNothing => Conflict::Ignore,
        },
        _ if insert.ignore || matches!(insert.or, Some(SqliteOnConflict::Ignore)) => {
            Conflict::Ignore
        }
        _ => Conflict::None,
    }
}

fn side_effects(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    driver: &Driver<'_>,
    rules: &mut Rules<'_>,
) -> Result<(), Refusal> {
    let target = source.target;
    side::check(walker, target, DataKind::Insert, &[], rules)?;
    let span = walker.parsed.text.span();
    let mut note = |code: &'static str, message: &str| {
        rules.notes.push(Note { code, message: message.to_owned(), span: span.clone() });
    };
    let dialect = walker.dialect();
    let numbered = target.columns.iter().any(|column| {
        let given = source.written.iter().any(|w| same_column_name(w, &column.name, dialect));
        !given && key::is_numbered(target, column, dialect)
    });
    if numbered {
        note("generated-ids", "New ids follow the driving key's order");
    }
    match conflict(source.insert) {
        Conflict::Update | Conflict::Replace => {
            note("conflict-update", "Where rows meet the same key twice, the last batch wins");
        }
        Conflict::Ignore if insert_guard::first_wins(walker, source, driver) => {
            note("conflict-ignore", "Where rows meet the same key twice, the first batch wins");
        }
        Conflict::None | Conflict::Ignore => {}
    }
    if source.insert.returning.is_some() {
        note("returning", "What RETURNING gives is thrown away");
    }
    match conflict(source.insert) {
        Conflict::Replace => side::check(walker, target, DataKind::Delete, &[], rules),
        Conflict::Update => {
            let assigned = conflict_assigned(source.insert, dialect);
            side::check(walker, target, DataKind::Update, &assigned, rules)
        }
        Conflict::None | Conflict::Ignore => Ok(()),
    }
}

/// The columns that ON CONFLICT DO UPDATE and ON DUPLICATE KEY UPDATE assign.
fn conflict_assigned(insert: &Insert, dialect: Dialect) -> Vec<String> {
    let assignments = match &insert.on {
        Some(OnInsert::DuplicateKeyUpdate(assignments)) => assignments.as_slice(),
        Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
            OnConflictAction::DoUpdate(update) => update.assignments.as_slice(),
            OnConflictAction::DoNothing => &[],
        },
        Some(_) | None => &[],
    };
    super::change::assigned(assignments, dialect)
}

/// The places in the text, and what a bare `*` stands for on MySQL.
fn places(
    walker: &Walker<'_>,
    source: &Insertion<'_, '_>,
    query: &Query,
    numbered: bool,
) -> Result<Cuts, Refusal> {
    let text = &walker.parsed.text;
    let whole = source.insert.source.as_deref().unwrap_or(query);
    let found = cuts::insert(text, source.insert, whole);
    let mut cuts = found.ok_or_else(|| cuts::missing(text))?;
    if cuts.with.is_some() && text.at(cuts.source.start, "WITH") {
        let message = "There are two WITH clauses";
        return Err(Refusal::new(RefusalCode::NotParsed, text.span(), message));
    }
    if numbered {
        for item in inner_ordinals(source) {
            let span = walker.span_of(item);
            let at = text.all().find(|at| text.start(*at) == span.start);
            cuts.ordinals.extend(at);
        }
        if cuts.ordinals.len() != inner_ordinals(source).len() {
            return Err(cuts::missing(text));
        }
    }
    let stars = source.select.projection.iter().any(|i| matches!(i, SelectItem::Wildcard(_)));
    if stars && walker.dialect() == Dialect::Mysql {
        let scope = walker.scopes.first();
        let merged = scope.is_none_or(|scope| scope.merged);
        let relations = scope.map(|scope| scope.relations.as_slice()).unwrap_or_default();
        let at = (text.text(cuts.list_at) == "*").then_some(cuts.list_at);
        let named = relations.iter().all(|relation| !relation.qualifier_sql.is_empty());
        let Some(at) = at.filter(|_| !merged && named) else {
            return Err(cuts::missing(text));
        };
        let parts: Vec<String> =
            relations.iter().map(|relation| format!("{}.*", relation.qualifier_sql)).collect();
        cuts.star = Some((at, parts.join(", ")));
    }
    cuts.tail_reads_source = insert_guard::tail_reads_source(walker, source);
    Ok(cuts)
}

fn build(
    walker: &Walker<'_>,
    source: Insertion<'_, '_>,
    driver: Driver<'_>,
    rules: Rules<'_>,
    cuts: Cuts,
    assumes: Vec<String>,
) -> Result<Batchable, Refusal> {
    let parsed = walker.parsed;
    let Driver { relation, table, key, names, .. } = &driver;
    let mut notes = rules.notes;
    notes.dedup();
    Ok(Batchable {
        kind: DataKind::Insert,
        target: source.target.name.clone(),
        target_qualifier: target_sql(parsed, source.insert),
        driving: table.name.clone(),
        driving_qualifier: relation.qualifier_sql.clone(),
        driving_is_target: false,
        key: rules::key_columns(relation, table, key, names, walker.catalog),
        written: source.written,
        assumes_not_null: assumes,
        frozen: rules.frozen,
        notes,
        differs: rules.differs,
        text: parsed.text.clone(),
        cuts,
        conflict: conflict(source.insert),
    })
}

/// How the INSERT calls its target.
fn target_sql(parsed: &Parsed, insert: &Insert) -> String {
    let places = super::parse::Places::new(&parsed.text.sql);
    let span = match (&insert.table_alias, &insert.table) {
        (Some(alias), _) => places.span(alias.alias.span),
        (None, TableObject::TableName(name)) => places.span(name.span()),
        (None, _) => None,
    };
    span.and_then(|span| parsed.text.sql.get(span)).unwrap_or("").to_owned()
}

/// The columns of the conflict target, where it names any.
pub(super) fn conflict_columns(walker: &Walker<'_>, insert: &Insert) -> Option<Vec<String>> {
    match &insert.on {
        Some(OnInsert::OnConflict(conflict)) => match &conflict.conflict_target {
            Some(ConflictTarget::Columns(columns)) => {
                Some(columns.iter().map(|column| walker.ident(column)).collect())
            }
            Some(ConflictTarget::OnConstraint(_)) | None => None,
        },
        _ => None,
    }
}
