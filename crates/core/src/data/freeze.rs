//! `materialize=true`: what a statement would write is computed once, into a work table, and then
//! applied from there by a statement that can be cut.
//!
//! UPDATE and DELETE: the work table has the target's key, the new values, and the values of the
//! target's columns that the statement names. A row is changed only where those are still the same:
//! what others have written since is not lost. INSERT .. SELECT: it has the query's rows with a
//! number, along which batches go.

use sqlparser::ast::{Insert, SetExpr, Statement};

use super::freeze_values::{self, Half};
use super::insert;
use super::key;
use super::names;
use super::parse::{Parsed, parse};
use super::refusal::{Allow, Lifted, Note, Refusal, RefusalCode};
use super::rewrite::{Batchable, DataKind};
use super::{BatchOptions, Catalog, cuts};
use crate::ddl::ObjectName;
use crate::snapshot::{Column, Table};
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

/// A column of the work table.
struct WorkColumn {
    name: String,
    /// The target's column whose type and collation it has.
    of: String,
    /// It is part of the key.
    key: bool,
    /// It holds what will be written.
    written: bool,
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
    apply.notes = own.notes;
    apply.notes.retain(|note| !["recomputed", "now-differs"].contains(&note.code));
    apply.notes.insert(0, note(parsed, &own.frozen));
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

/// The statements that make the work table.
fn create(
    columns: &[WorkColumn],
    target: &Table,
    work: &ObjectName,
    dialect: Dialect,
) -> Vec<String> {
    let name = sql(work, dialect);
    let keys: Vec<String> = columns
        .iter()
        .filter(|column| column.key)
        .map(|column| quote_ident(&column.name, dialect))
        .collect();
    if dialect == Dialect::Sqlite {
        let mut parts: Vec<String> =
            columns.iter().map(|column| sqlite_column(column, target)).collect();
        parts.push(match keys.is_empty() {
            true => format!("{FROZEN_ROW} INTEGER PRIMARY KEY"),
            false => format!("PRIMARY KEY ({})", keys.join(", ")),
        });
        if keys.is_empty() {
            parts.rotate_right(1);
        }
        return vec![format!("CREATE TABLE {name} ({})", parts.join(", "))];
    }
    let items: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = quote_ident(&column.name, dialect);
            format!("{} AS {name}", typed(column, target, dialect))
        })
        .collect();
    let (items, target) = (items.join(", "), sql(&target.name, dialect));
    if dialect == Dialect::Postgres {
        let key = match keys.is_empty() {
            true => {
                format!("ADD COLUMN {FROZEN_ROW} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
            }
            false => format!("ADD PRIMARY KEY ({})", keys.join(", ")),
        };
        return vec![
            format!("CREATE TABLE {name} AS SELECT {items} FROM {target} whimbrel_t WITH NO DATA"),
            format!("ALTER TABLE {name} {key}"),
        ];
    }
    let key = match keys.is_empty() {
        true => format!("{FROZEN_ROW} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY"),
        false => format!("PRIMARY KEY ({})", keys.join(", ")),
    };
    let temporary =
        if work.schema.is_none() && work.name == FROZEN_TEMPORARY { "TEMPORARY " } else { "" };
    // Outer columns may be NULL, so that a missing value is an error of the target's.
    vec![format!(
        "CREATE {temporary}TABLE {name} ({key}) ENGINE=InnoDB AS SELECT {items} FROM \
         (SELECT 1 AS whimbrel_1) whimbrel_d LEFT JOIN {target} whimbrel_t ON 1 = 0 LIMIT 0"
    )]
}

/// An expression with the type of a column of the work table. A value to be written has no length
/// yet, so that one that is too long is found when its row is written, and can be set aside.
fn typed(column: &WorkColumn, target: &Table, dialect: Dialect) -> String {
    let of = format!("whimbrel_t.{}", quote_ident(&column.of, dialect));
    let found = key::column(target, &column.of, dialect).filter(|_| column.written);
    let declared = found.map(|one| one.type_name.to_ascii_lowercase()).unwrap_or_default();
    let is = |start: &str| declared.starts_with(start) && !declared.ends_with("[]");
    match dialect {
        Dialect::Postgres if is("character") => format!("CAST({of} AS text)"),
        Dialect::Postgres if is("numeric(") => format!("CAST({of} AS numeric)"),
        // Longer than a row may be, so that it is a TEXT.
        Dialect::Mysql if is("varchar(") || is("char(") => format!("CAST({of} AS CHAR(20000))"),
        _ => of,
    }
}

/// The name of a work table that goes with the session, for trying statements out.
pub const FROZEN_TEMPORARY: &str = "whimbrel_work";

/// A column of SQLite's: the affinity and the collation of the target's.
fn sqlite_column(column: &WorkColumn, target: &Table) -> String {
    let found = key::column(target, &column.of, Dialect::Sqlite);
    let strict = target.options.to_ascii_uppercase().contains("STRICT");
    // What is no column of the table is its rowid.
    let declared = found.map_or("INTEGER", |one| one.type_name.as_str());
    let collation = found.and_then(key::collation);
    let collation = collation
        .map(|name| format!(" COLLATE {}", quote_ident(&name, Dialect::Sqlite)))
        .unwrap_or_default();
    let end = if column.key { " NOT NULL" } else { "" };
    format!(
        "{} {}{collation}{end}",
        quote_ident(&column.name, Dialect::Sqlite),
        affinity(declared, strict)
    )
}

/// SQLite's affinity of a declared type ("Datatypes in SQLite", 3.1); that of `ANY` in a STRICT
/// table is none.
fn affinity(declared: &str, strict: bool) -> &'static str {
    let upper = declared.to_ascii_uppercase();
    let has = |any: &[&str]| any.iter().any(|word| upper.contains(word));
    if upper.is_empty() || strict && upper == "ANY" {
        "BLOB"
    } else if has(&["INT"]) {
        "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "TEXT"
    } else if has(&["BLOB"]) {
        "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

/// The work table as the catalog would show it.
fn as_table(work: &ObjectName, columns: &[WorkColumn], target: &Table, dialect: Dialect) -> Table {
    let of = |column: &WorkColumn| {
        let found = key::column(target, &column.of, dialect);
        Column {
            name: column.name.clone(),
            type_name: found.map_or_else(|| "INTEGER".to_owned(), |one| one.type_name.clone()),
            nullable: !column.key,
            extra: found.map(|one| one.extra.clone()).unwrap_or_default(),
            ..Column::default()
        }
    };
    let mut all: Vec<Column> = columns.iter().map(of).collect();
    let mut keys: Vec<String> = Vec::new();
    keys.extend(columns.iter().filter(|one| one.key).map(|one| one.name.clone()));
    if keys.is_empty() {
        keys.push(FROZEN_ROW.to_owned());
        let type_name = if dialect == Dialect::Sqlite { "INTEGER" } else { "bigint" };
        let (name, type_name) = (FROZEN_ROW.to_owned(), type_name.to_owned());
        all.insert(0, Column { name, type_name, identity: true, ..Column::default() });
    }
    Table { name: work.clone(), columns: all, primary_key: keys, ..Table::default() }
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
fn sql(name: &ObjectName, dialect: Dialect) -> String {
    let parts = name.schema.iter().chain(std::iter::once(&name.name));
    parts.map(|part| quote_ident(part, dialect)).collect::<Vec<_>>().join(".")
}
