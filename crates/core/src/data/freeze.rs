//! `materialize=true`: what a statement would write is computed once, into a work table, and then
//! applied from there by a statement that can be cut.
//!
//! UPDATE and DELETE: the work table has the target's key, the new values, and the values of the
//! target's columns that the statement names. A row is changed only where those are still the same:
//! what others have written since is not lost. INSERT .. SELECT: it has the query's rows with a
//! number, along which batches go.

use sqlparser::ast::{Insert, SetExpr, Statement};

use super::freeze_table::{WorkColumn, as_table, create};
use super::freeze_values::{self, Half};
use super::insert;
use super::key;
use super::names;
use super::parse::{Parsed, parse};
use super::refusal::{Allow, Lifted, Note, Refusal, RefusalCode};
use super::rewrite::{Batchable, DataKind};
use super::{BatchOptions, Catalog, cuts};
use crate::ddl::ObjectName;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;
use crate::sql::quote::quote_ident;

/// The column that numbers the rows of a frozen query.
pub const FROZEN_ROW: &str = "whimbrel_row";
/// What the work table is called in the statement that applies it.
const WORK: &str = "whimbrel_w";
/// What the target is called there.
const TARGET: &str = "whimbrel_r";

/// A statement in two halves.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The statements that make the work table, empty.
    pub create: Vec<String>,
    /// The one that fills it: a query of the author's parts, run once.
    pub fill: String,
    /// What is then done in batches, from the work table.
    pub apply: Batchable,
    /// The reasons for which the statement itself could not be cut.
    pub lifted: Vec<RefusalCode>,
}

/// Cuts the statement into a query that is run once and a statement that applies what it found;
/// `work` is the name of the work table, which must be free.
///
/// # Errors
///
/// The reason why it cannot; see [`RefusalCode::lifted_by_materialize`].
pub fn freeze(
    statement: &str,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
    work: &ObjectName,
) -> Result<Frozen, Refusal> {
    let parsed = parse(statement, catalog.dialect)?;
    if parsed.writes_in_with() {
        let message = "A WITH clause writes as well";
        return Err(Refusal::new(RefusalCode::DmlInCte, parsed.text.span(), message));
    }
    match parsed.inner().1 {
        Statement::Update(_) | Statement::Delete(_) => change(&parsed, catalog, options, work),
        Statement::Insert(insert) => inserted(&parsed, insert, catalog, options, work),
        _ => {
            let message = "Only UPDATE, DELETE and INSERT .. SELECT run in batches";
            Err(Refusal::new(RefusalCode::NotParsed, parsed.text.span(), message))
        }
    }
}

/// UPDATE and DELETE.
fn change(
    parsed: &Parsed,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
    work: &ObjectName,
) -> Result<Frozen, Refusal> {
    let dialect = catalog.dialect;
    let options = BatchOptions { materialize: true, ..options.clone() };
    let own = super::analyse(&parsed.text.sql, catalog, &options)?;
    let unknown = || cuts::missing(&parsed.text);
    let target = catalog.snapshot.table(&own.target, dialect).ok_or_else(unknown)?;
    let values = freeze_values::values(&own)?;
    let compared = freeze_values::compared(&own, target);
    let key_type = |name: &str| key::column(target, name, dialect).map(|one| &one.type_name);
    let is_long = |name: &str| {
        key_type(name).is_some_and(|one| {
            let lower = one.to_ascii_lowercase();
            lower.contains("text") || lower.contains("blob")
        })
    };
    if dialect == Dialect::Mysql && own.key.iter().any(|one| is_long(&one.name)) {
        let message = "The work table can have no key of this type";
        return Err(Refusal::new(RefusalCode::NoUniqueKey, parsed.text.span(), message));
    }
    let column = |name: String, of: &String, (key, written)| WorkColumn {
        name,
        of: of.clone(),
        key,
        written,
    };
    let mut columns: Vec<WorkColumn> =
        own.key.iter().map(|one| column(one.name.clone(), &one.name, (true, false))).collect();
    let news = own.written.iter().take(values.len()).enumerate();
    columns.extend(news.map(|(at, of)| column(new_name(at), of, (false, true))));
    let olds = compared.iter().enumerate();
    columns.extend(olds.map(|(at, of)| column(old_name(at), of, (false, false))));
    let text = applied(&own, &compared, work, dialect);
    let half = Half { own: &own, values: &values, compared: &compared };
    let query = half.query(parsed)?;
    let fill = fill_change(&own, (work, &columns), &query, dialect);
    let by: Vec<&str> = own.key.iter().map(|one| one.name.as_str()).collect();
    let rowid = own.key.iter().any(|one| one.rowid);
    let ours = BatchOptions {
        by: Some(by.join(", ")).filter(|_| !rowid || options.by.is_some()),
        ..trusted()
    };
    let mut apply = analysed(&text, catalog, &ours, as_table(work, &columns, target, dialect))
        .map_err(|refusal| Refusal { span: parsed.text.span(), ..refusal })?;
    apply.notes = notes(parsed, &own);
    let create = create(&columns, target, work, dialect);
    Ok(Frozen { create, fill, apply, lifted: own.frozen })
}

/// INSERT .. SELECT.
fn inserted(
    parsed: &Parsed,
    statement: &Insert,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
    work: &ObjectName,
) -> Result<Frozen, Refusal> {
    let dialect = catalog.dialect;
    let text = &parsed.text;
    let target = insert::target(parsed, statement, catalog)?;
    let source = insert::source(parsed, statement)?;
    if let SetExpr::Values(_) = source.body.as_ref() {
        let message = "The statement inserts constant rows";
        return Err(Refusal::new(RefusalCode::NoFrom, text.span(), message));
    }
    if options.by.is_some() {
        let message =
            "With `materialize=true` an INSERT goes along the numbers of its query's rows";
        return Err(Refusal::new(RefusalCode::ByNotUsable, text.span(), message));
    }
    let lifted = match super::analyse(&text.sql, catalog, &BatchOptions::default()) {
        Ok(_) => Vec::new(),
        Err(refusal) if refusal.code.lifted_by_materialize() == Lifted::No => return Err(refusal),
        Err(refusal) => vec![refusal.code],
    };
    let cuts = cuts::insert_ends(text, statement).ok_or_else(|| cuts::missing(text))?;
    let written = filled(statement, target, dialect);
    let columns: Vec<WorkColumn> = written
        .iter()
        .map(|name| WorkColumn { name: name.clone(), of: name.clone(), key: false, written: true })
        .collect();
    let quoted: Vec<String> = written.iter().map(|name| quote_ident(name, dialect)).collect();
    let with = cuts.with.clone().map(|with| format!("{} ", text.slice(with))).unwrap_or_default();
    let fill = format!(
        "{with}INSERT INTO {} ({}) {}",
        sql(work, dialect),
        quoted.join(", "),
        text.slice(cuts.source.clone())
    );
    let items: Vec<String> = quoted.iter().map(|name| format!("{WORK}.{name}")).collect();
    let tail = text.slice(cuts.tail.clone());
    // Behind a FROM clause SQLite would take ON for a join's.
    let end = match (tail, dialect) {
        ("", _) => String::new(),
        (tail, Dialect::Sqlite) => format!(" WHERE true {tail}"),
        (tail, _) => format!(" {tail}"),
    };
    let apply = format!(
        "{} SELECT {} FROM {} AS {WORK}{end}",
        text.slice(cuts.head.clone()),
        items.join(", "),
        sql(work, dialect)
    );
    same_source(parsed, statement, &fill, &apply)?;
    let mut found =
        analysed(&apply, catalog, &trusted(), as_table(work, &columns, target, dialect))
            .map_err(|refusal| Refusal { span: text.span(), ..refusal })?;
    found.notes.retain(|note| note.code != "recomputed");
    found.notes.insert(0, note(parsed, &lifted));
    let create = create(&columns, target, work, dialect);
    Ok(Frozen { create, fill, apply: found, lifted })
}

/// The columns that an INSERT fills.
fn filled(statement: &Insert, target: &Table, dialect: Dialect) -> Vec<String> {
    if statement.columns.is_empty() {
        let real = target.columns.iter().filter(|column| column.generated.is_none());
        return real.map(|column| column.name.clone()).collect();
    }
    let named = statement.columns.iter();
    named.filter_map(|name| names::object(name, dialect).map(|name| name.name)).collect()
}

/// Refuses where the parts were not cut out of the text as they stand in it.
fn same_source(
    parsed: &Parsed,
    statement: &Insert,
    fill: &str,
    apply: &str,
) -> Result<(), Refusal> {
    let doubt = || cuts::missing(&parsed.text);
    let dialect = parsed.text.dialect;
    let fill = parse(fill, dialect).map_err(|_| doubt())?;
    let apply = parse(apply, dialect).map_err(|_| doubt())?;
    let (Statement::Insert(filled), Statement::Insert(applied)) = (fill.inner().1, apply.inner().1)
    else {
        return Err(doubt());
    };
    let same = filled.source == statement.source
        && fill.inner().0 == parsed.inner().0
        && applied.on == statement.on
        && applied.table == statement.table
        && applied.columns == statement.columns;
    if same { Ok(()) } else { Err(doubt()) }
}

/// The statement that changes the target's rows from the work table.
fn applied(own: &Batchable, compared: &[String], work: &ObjectName, dialect: Dialect) -> String {
    let (text, cuts) = (&own.text, &own.cuts);
    let (target, work) = (sql(&own.target, dialect), sql(work, dialect));
    let of = |alias: &str, name: &str| match own.key.iter().any(|one| one.rowid && one.name == name)
    {
        true => format!("{alias}.{name}"),
        false => format!("{alias}.{}", quote_ident(name, dialect)),
    };
    let mut same: Vec<String> = own
        .key
        .iter()
        .map(|one| format!("{} = {}", of(WORK, &one.name), of(TARGET, &one.name)))
        .collect();
    same.extend(compared.iter().enumerate().map(|(at, name)| {
        super::same_value(&of(TARGET, name), &format!("{WORK}.{}", old_name(at)), dialect)
    }));
    let same = same.join(" AND ");
    let only = if text.at(cuts.target.start, "ONLY") { "ONLY " } else { "" };
    let prefix = match text.slice(cuts.prefix.clone()) {
        "" => String::new(),
        prefix => format!("{prefix} "),
    };
    if own.kind == DataKind::Delete {
        let exists = format!("EXISTS (SELECT 1 FROM {work} AS {WORK} WHERE {same})");
        return match dialect {
            // An alias stands in the form for several tables only.
            Dialect::Mysql => format!("DELETE {TARGET} FROM {target} AS {TARGET} WHERE {exists}"),
            _ => format!("DELETE FROM {only}{target} AS {TARGET} WHERE {exists}"),
        };
    }
    let sets = own.written.iter().enumerate().map(|(at, name)| {
        let to = match dialect {
            Dialect::Mysql => of(TARGET, name),
            Dialect::Sqlite | Dialect::Postgres => quote_ident(name, dialect),
        };
        format!("{to} = {WORK}.{}", new_name(at))
    });
    let sets = sets.collect::<Vec<_>>().join(", ");
    match dialect {
        Dialect::Mysql => format!(
            "UPDATE {prefix}{target} AS {TARGET} JOIN {work} AS {WORK} ON {same} SET {sets}"
        ),
        _ => format!(
            "UPDATE {prefix}{only}{target} AS {TARGET} SET {sets} FROM {work} AS {WORK} \
             WHERE {same}"
        ),
    }
}

/// The statement that fills the work table of an UPDATE or DELETE. Where joins match a row several
/// times, the first match counts.
fn fill_change(
    own: &Batchable,
    (work, columns): (&ObjectName, &[WorkColumn]),
    query: &str,
    dialect: Dialect,
) -> String {
    let quoted = |column: &WorkColumn| quote_ident(&column.name, dialect);
    let names: Vec<String> = columns.iter().map(quoted).collect();
    let into = format!("INSERT INTO {} ({})", sql(work, dialect), names.join(", "));
    let joined = own.cuts.from.is_some() || own.cuts.distinct;
    match (joined, dialect) {
        (false, _) => format!("{into} {query}"),
        (true, Dialect::Postgres) => format!("{into} {query} ON CONFLICT DO NOTHING"),
        (true, Dialect::Sqlite) => {
            format!("{into} SELECT * FROM ({query}) WHERE true ON CONFLICT DO NOTHING")
        }
        (true, Dialect::Mysql) => {
            let first = names.first().map_or("", String::as_str);
            format!("{into} {query} ON DUPLICATE KEY UPDATE {first} = VALUES({first})")
        }
    }
}

/// What is ours is not asked again what the author was asked.
fn trusted() -> BatchOptions {
    let allow = Allow::ALL.to_vec();
    BatchOptions { by: None, self_read_stable: true, allow, materialize: true }
}

fn analysed(
    text: &str,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
    work: Table,
) -> Result<Batchable, Refusal> {
    let mut snapshot = catalog.snapshot.clone();
    snapshot.tables.push(work);
    super::analyse(text, &Catalog { snapshot: &snapshot, ..*catalog }, options)
}

/// What the plan says of an UPDATE or DELETE.
fn notes(parsed: &Parsed, own: &Batchable) -> Vec<Note> {
    let mut all = vec![note(parsed, &own.frozen)];
    let stay = |note: &&Note| !["recomputed", "now-differs"].contains(&note.code);
    all.extend(own.notes.iter().filter(stay).cloned());
    let reads_written = own.frozen.contains(&RefusalCode::ReadsWrittenColumn);
    if parsed.text.dialect == Dialect::Sqlite && own.kind == DataKind::Update && reads_written {
        // `sqlite3` computes and writes row by row.
        let message = "Other rows are read as they were before the statement; in one go SQLite \
                       would read some as they are after it"
            .to_owned();
        all.push(Note { code: "reads-before", message, span: parsed.text.span() });
    }
    all
}

fn note(parsed: &Parsed, lifted: &[RefusalCode]) -> Note {
    let codes: Vec<&str> = lifted.iter().map(|code| code.code()).collect();
    let lifts = match codes.as_slice() {
        [] => String::new(),
        codes => format!("; without that: {}", codes.join(", ")),
    };
    let message = format!("Keys and values are computed once, before the first batch{lifts}");
    Note { code: "materialized", message, span: parsed.text.span() }
}

/// The work table's column with the new value of the assignment `at`.
pub(super) fn new_name(at: usize) -> String {
    format!("whimbrel_n{}", at + 1)
}

/// The work table's column with the value that the compared column `at` had.
pub(super) fn old_name(at: usize) -> String {
    format!("whimbrel_o{}", at + 1)
}

/// A name as it stands in SQL.
pub(super) fn sql(name: &ObjectName, dialect: Dialect) -> String {
    let parts = name.schema.iter().chain(std::iter::once(&name.name));
    parts.map(|part| quote_ident(part, dialect)).collect::<Vec<_>>().join(".")
}
