//! Data statements against the verdicts in `corpus/data`.
//!
//! A case begins with `[name] dialects`; then come tables (`CREATE TABLE` may be left out),
//! `options:`, `functions:`, the statement after `:`, the verdict after `>` and, where it is
//! accepted, the restricted text after `=`. A verdict or text may be for some dialects only:
//! `> [sqlite] batch t rowid`. `P` stands for the predicate.

use std::collections::BTreeMap;

use whimbrel_core::data::{
    Allow, BatchOptions, Batchable, Catalog, FunctionFacts, Refusal, Volatility, analyse,
};
use whimbrel_core::ddl::{self, Change, Constraint, CreateTable};
use whimbrel_core::snapshot::{
    Column, Index, IndexOrigin, Routine, Snapshot, Table, Trigger, Unique, View,
};
use whimbrel_core::sql::dialect::Dialect;

const CORPORA: [(&str, &str); 2] = [
    ("cases.txt", include_str!("../corpus/data/cases.txt")),
    ("real.txt", include_str!("../corpus/data/real.txt")),
];

/// A case as written.
#[derive(Default)]
pub(crate) struct Case {
    name: String,
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) tables: Vec<String>,
    options: BatchOptions,
    pub(crate) functions: BTreeMap<String, FunctionFacts>,
    pub(crate) statement: String,
    verdicts: Vec<(Option<Dialect>, String)>,
    texts: Vec<(Option<Dialect>, String)>,
}

fn dialects(words: &str) -> Vec<Dialect> {
    let mut found = Vec::new();
    for word in words.split(',') {
        match word.trim() {
            "all" => return Dialect::ALL.to_vec(),
            "sqlite" => found.push(Dialect::Sqlite),
            "pg" => found.push(Dialect::Postgres),
            "my" => found.push(Dialect::Mysql),
            other => panic!("no dialect: {other:?}"),
        }
    }
    found
}

/// `[sqlite] text` or `text`.
fn for_dialects(line: &str) -> Vec<(Option<Dialect>, String)> {
    let line = line.trim();
    match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((names, text)) => {
            let one = |dialect| (Some(dialect), text.trim().to_owned());
            dialects(names).into_iter().map(one).collect()
        }
        None => vec![(None, line.to_owned())],
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    for (_, text) in CORPORA {
        for line in text.lines() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if let Some((name, words)) = line.strip_prefix('[').and_then(|l| l.split_once(']')) {
                let name = name.to_owned();
                all.push(Case { name, dialects: dialects(words), ..Case::default() });
                continue;
            }
            read_line(all.last_mut().unwrap_or_else(|| panic!("a case begins with [name]")), line);
        }
    }
    all
}

fn read_line(case: &mut Case, line: &str) {
    if let Some(text) = line.strip_prefix(": ") {
        if !case.statement.is_empty() {
            case.statement.push('\n');
        }
        case.statement.push_str(text);
    } else if let Some(text) = line.strip_prefix("> ") {
        case.verdicts.extend(for_dialects(text));
    } else if let Some(text) = line.strip_prefix("= ") {
        case.texts.extend(for_dialects(text));
    } else if let Some(text) = line.strip_prefix("options: ") {
        for option in text.split_whitespace() {
            match option.split_once('=') {
                Some(("by", by)) => case.options.by = Some(by.to_owned()),
                Some(("self-read", "stable")) => case.options.self_read_stable = true,
                Some(("materialize", "true")) => case.options.materialize = true,
                Some(("allow", word)) => {
                    case.options.allow.extend(Allow::parse(word));
                }
                _ => panic!("no option: {option:?}"),
            }
        }
    } else if let Some(text) = line.strip_prefix("functions: ") {
        for word in text.split_whitespace() {
            let (name, facts) = word.split_once('=').unwrap_or((word, "volatile"));
            let volatility = match facts.split('+').next() {
                Some("immutable") => Volatility::Immutable,
                Some("stable") => Volatility::Stable,
                _ => Volatility::Volatile,
            };
            let reads_tables = facts.contains("+reads");
            let aggregate = facts.contains("+aggregate");
            let facts = FunctionFacts { volatility, reads_tables, aggregate };
            case.functions.insert(name.to_owned(), facts);
        }
    } else if !line.starts_with("unsettled: ") {
        // What differs from run to run matters to those who run it.
        case.tables.push(line.to_owned());
    }
}

/// A snapshot like the one that a catalog would give.
pub(crate) fn snapshot(tables: &[String], dialect: Dialect) -> Snapshot {
    let mut snapshot = Snapshot::default();
    if dialect == Dialect::Postgres {
        snapshot.default_schema = Some("public".to_owned());
    }
    for text in tables {
        let upper = text.to_ascii_uppercase();
        let sql = if upper.starts_with("CREATE ") {
            text.clone()
        } else {
            format!("CREATE TABLE {text}")
        };
        for change in ddl::read(&sql, dialect) {
            add(&mut snapshot, change, &sql, dialect);
        }
    }
    snapshot
}

fn add(snapshot: &mut Snapshot, change: Change, sql: &str, dialect: Dialect) {
    match change {
        Change::CreateTable(created) => snapshot.tables.push(table(&created, dialect)),
        Change::CreateIndex(created) => {
            let table = snapshot.tables.iter_mut().find(|t| t.name == created.table);
            let columns = created.columns.iter();
            let columns = columns.map(|p| p.column.clone().unwrap_or_else(|| p.text.clone()));
            let table = table.unwrap_or_else(|| panic!("no such table: {sql}"));
            table.indexes.push(Index {
                name: created.name.map(|name| name.name).unwrap_or_default(),
                columns: columns.collect(),
                unique: created.unique,
                valid: true,
                predicate: created.partial,
                origin: IndexOrigin::Created,
            });
        }
        Change::CreateView { name, materialized, .. } => snapshot.views.push(View {
            name,
            materialized,
            definition: sql.to_owned(),
            indexes: Vec::new(),
        }),
        Change::CreateTrigger { name, table, .. } => {
            snapshot.triggers.push(Trigger { name: name.name, table, definition: sql.to_owned() })
        }
        Change::CreateRoutine { name, arguments, .. } => {
            let definition = sql.to_owned();
            snapshot.routines.push(Routine { name, arguments, definition });
        }
        other => panic!("not a part of a schema here: {other:?}"),
    }
}

fn table(created: &CreateTable, dialect: Dialect) -> Table {
    let mut table = Table { name: created.name.clone(), ..Table::default() };
    table.options.clone_from(&created.options);
    let parents: Vec<String> = created.inherits.iter().map(ToString::to_string).collect();
    if !parents.is_empty() {
        table.options = format!("parents {}", parents.join(", "));
    }
    for column in &created.columns {
        let name = column.name.clone();
        if column.primary_key {
            table.primary_key.push(name.clone());
        }
        if column.unique {
            table.uniques.push(Unique { name: None, columns: vec![name.clone()] });
        }
        table.foreign_keys.extend(column.references.clone());
        let extra = if column.type_text.contains("moving") { "on update now()" } else { "" };
        table.columns.push(Column {
            name,
            type_name: column.type_text.clone(),
            nullable: !(column.not_null || (column.primary_key && dialect != Dialect::Sqlite)),
            default: column.default.clone(),
            generated: column.generated.clone(),
            identity: column.identity,
            extra: extra.to_owned(),
        });
    }
    for constraint in &created.constraints {
        match constraint {
            Constraint::PrimaryKey { columns, .. } => table.primary_key.clone_from(columns),
            Constraint::Unique { columns, .. } => {
                table.uniques.push(Unique { name: None, columns: columns.clone() });
            }
            Constraint::ForeignKey(key) => table.foreign_keys.push(key.clone()),
            Constraint::Check(_) | Constraint::Other { .. } => {}
        }
    }
    let [only] = table.primary_key.as_slice() else { return table };
    let rowid = table
        .columns
        .iter()
        .any(|c| c.name == *only && c.type_name.eq_ignore_ascii_case("integer"));
    if dialect == Dialect::Sqlite && !rowid {
        let columns = table.primary_key.clone();
        table.indexes.push(Index {
            columns,
            unique: true,
            valid: true,
            origin: IndexOrigin::PrimaryKey,
            ..Index::default()
        });
    }
    table
}

fn analysed(case: &Case, dialect: Dialect) -> Result<Batchable, Refusal> {
    let snapshot = snapshot(&case.tables, dialect);
    let catalog = Catalog { dialect, snapshot: &snapshot, functions: &case.functions };
    analyse(&case.statement, &catalog, &case.options)
}

/// The verdict as the corpus writes it: `batch p id (notes)` or `refuse code`.
fn verdict(result: &Result<Batchable, Refusal>) -> String {
    match result {
        Ok(batchable) => {
            let key: Vec<_> = batchable.key.iter().map(|column| column.name.as_str()).collect();
            let mut text = format!("batch {} {}", batchable.driving_qualifier, key.join(","));
            let mut notes: Vec<_> = batchable.notes.iter().map(|note| note.code).collect();
            if !batchable.assumes_not_null.is_empty() {
                notes.push("assumes-not-null");
            }
            notes.sort_unstable();
            notes.dedup();
            if !notes.is_empty() {
                text.push_str(&format!(" ({})", notes.join(", ")));
            }
            text
        }
        Err(refusal) => format!("refuse {}", refusal.code.code()),
    }
}

fn wanted(lines: &[(Option<Dialect>, String)], dialect: Dialect) -> Option<&str> {
    let own = lines.iter().find(|(only, _)| *only == Some(dialect));
    own.or_else(|| lines.iter().find(|(only, _)| only.is_none())).map(|(_, text)| text.as_str())
}

#[test]
fn every_case_has_its_verdict() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for case in cases() {
        for dialect in case.dialects.clone() {
            judged += 1;
            let result = analysed(&case, dialect);
            let found = verdict(&result);
            let head = format!("[{}] {}", case.name, dialect.name());
            if wanted(&case.verdicts, dialect) != Some(&found) {
                let message = result.as_ref().err().map(|r| r.message.clone()).unwrap_or_default();
                let want = wanted(&case.verdicts, dialect).unwrap_or("nothing");
                wrong.push(format!(
                    "{head}: {}\n  want {want}\n  got  {found} {message}",
                    case.statement
                ));
            }
            if let Ok(batchable) = &result {
                let text = batchable.restricted("P").replace('\n', " ");
                if wanted(&case.texts, dialect) != Some(&text) {
                    wrong.push(format!("{head}\n= {text}"));
                }
            }
            if let Err(refusal) = &result {
                let span = case.statement.get(refusal.span.clone());
                assert!(span.is_some_and(|text| !text.is_empty()), "{head}: {refusal:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged >= 150, "{judged} cases");
}

#[test]
fn which_rows_match_by_themselves() {
    let wrong: Vec<&str> = [
        (true, "UPDATE t SET a = 1"),
        (true, "UPDATE t SET a = (SELECT max(o.b) FROM o) WHERE (a IN (1, 2)) OR NOT (b = 'x')"),
        (true, "DELETE FROM t WHERE lower(b) = 'select' AND a BETWEEN (1) AND (2)"),
        (false, "DELETE FROM t WHERE a IN (SELECT x FROM o)"),
        (false, "DELETE FROM t WHERE EXISTS (SELECT 1 FROM o WHERE o.x = t.a)"),
        (false, "UPDATE t SET a = 1 WHERE ours(b) = 'x'"),
        (false, "UPDATE t SET a = 1 FROM o WHERE o.x = t.id"),
        (false, "WITH w AS (SELECT x FROM o) UPDATE t SET a = 1 WHERE a IN (SELECT x FROM w)"),
        (false, "INSERT INTO o (x, b) SELECT id, b FROM t"),
    ]
    .into_iter()
    .filter(|(alone, statement)| {
        let tables =
            ["t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT)", "o (x INTEGER PRIMARY KEY, b TEXT)"];
        let facts =
            FunctionFacts { volatility: Volatility::Stable, reads_tables: false, aggregate: false };
        let case = Case {
            tables: tables.map(str::to_owned).to_vec(),
            functions: BTreeMap::from([("ours".to_owned(), facts)]),
            statement: (*statement).to_owned(),
            ..Case::default()
        };
        let batchable = analysed(&case, Dialect::Postgres).expect(statement);
        batchable.matches_alone() != *alone
    })
    .map(|(_, statement)| statement)
    .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
