//! `validate`: judging rows that are there, without writing.

pub(super) mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;

use whimbrel_core::ddl::ObjectName;
use whimbrel_core::history::HistoryTable;
use whimbrel_core::migration::Kind;
use whimbrel_core::plan::PlannedMigration;
use whimbrel_core::rows::{Chunk, Row};
use whimbrel_core::rules::{
    Judge, RowSchema, Rule, RuleError, RuleQuery, Scope, TableRules, Violation, queries, shown,
};
use whimbrel_core::snapshot::{Snapshot, Table};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;

use self::files::{CheckFile, RuleFile};
use super::Project;
use crate::apply::StopFlag;
use crate::backend::Session;
use crate::data::judge::RuleText;
use crate::error::{EngineError, Problem};
use crate::event::{Event, Events};
use crate::tables::PLATFORM_SCHEMAS;

/// Columns of a check's row that are shown.
const CHECK_COLUMNS_MAX: usize = 8;

/// What `validate` looks at.
#[derive(Clone, Debug)]
pub struct ValidateOptions {
    /// Tables by name; all and the checks when empty.
    pub tables: Vec<String>,
    /// The folder of rules, relative to the project; `None` for the one of the settings.
    pub rules: Option<PathBuf>,
    /// How many violations of each rule the report keeps; all are counted.
    pub max: usize,
    /// Asked to stop.
    pub stop: StopFlag,
}

/// What `validate` found.
#[derive(Clone, Debug, Default)]
pub struct ValidateReport {
    /// The database's address without secrets.
    pub database: String,
    /// Each table.
    pub tables: Vec<Judged>,
    /// Each file of `checks/`.
    pub checks: Vec<Judged>,
    /// It was asked to stop before the end.
    pub interrupted: bool,
}

/// A table or a check.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// The table, or the path of the check.
    pub name: String,
    /// Path of the table's rules.
    pub rules: Option<String>,
    /// Rows that were read; `None` where no rule had to see a row.
    pub rows: Option<u64>,
    /// Rules that are broken, in order.
    pub broken: Vec<Broken>,
}

/// A rule that is broken.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The rule.
    pub rule: Rule,
    /// How many violations of it there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Violation>,
}

impl ValidateReport {
    /// How many violations there are.
    pub fn violations(&self) -> u64 {
        let all = self.tables.iter().chain(&self.checks);
        all.flat_map(|judged| &judged.broken).map(|broken| broken.count).sum()
    }
}

impl Project {
    /// Judges the rows of tables by their rules, by what the catalog says, and by the checks. The
    /// session is read-only. Each violation is an event.
    pub async fn validate(
        &self,
        options: &ValidateOptions,
        events: &mut dyn Events,
    ) -> Result<ValidateReport, EngineError> {
        let mut rules = self.read_rules(options.rules.as_deref())?;
        let checks = match options.tables.is_empty() {
            true => self.read_checks()?,
            false => Vec::new(),
        };
        let Some(mut session) = self.connect_to_read().await? else {
            let label = self.backend.label();
            return Err(EngineError::NotFound(format!("There is no database `{label}` yet")));
        };
        let snapshot = session.inspect(None).await?;
        let ruled: Vec<&ObjectName> = rules.iter().map(|file| &file.table).collect();
        let tables = self.chosen(&snapshot, &options.tables, &ruled)?;
        let mut planned = Vec::new();
        let mut problems = Vec::new();
        for table in tables {
            match self.rules_of(table, &snapshot, &mut rules) {
                Ok(ready) => planned.push((table, ready)),
                Err(problem) => problems.push(problem),
            }
        }
        if options.tables.is_empty() {
            problems.extend(rules.iter().map(files::no_table));
        }
        if !problems.is_empty() {
            return Err(EngineError::Files(problems));
        }
        session.batch(self.read_only()).await?;
        let report = ValidateReport { database: self.backend.label(), ..Default::default() };
        let mut run = Run { session: session.as_mut(), options, events, report };
        for (table, (rules, file)) in planned {
            let queries = queries(table, &snapshot, self.ledger.dialect, Scope::Own);
            run.table(table, rules, file, &queries, self.ledger.dialect).await?;
        }
        for check in &checks {
            run.check(check).await?;
        }
        Ok(run.report)
    }

    /// The rules that a plan's data migrations need; none without data migrations.
    pub(super) fn rule_texts(
        &self,
        plan: &[PlannedMigration],
    ) -> Result<Vec<RuleText>, EngineError> {
        if plan.iter().all(|one| one.kind == Kind::Schema) {
            return Ok(Vec::new());
        }
        self.all_rule_texts()
    }

    /// The rules of all tables.
    pub(super) fn all_rule_texts(&self) -> Result<Vec<RuleText>, EngineError> {
        let files = self.read_rules(None)?;
        let text =
            |file: RuleFile| RuleText { path: file.path, table: file.table, text: file.text };
        Ok(files.into_iter().map(text).collect())
    }

    /// Makes the session read-only, with one picture of the rows and times in UTC.
    pub(super) fn read_only(&self) -> &'static str {
        match self.ledger.dialect {
            Dialect::Sqlite => "PRAGMA query_only = 1; BEGIN",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Dialect::Mysql => {
                "SET time_zone = '+00:00'; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                 START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            }
        }
    }

    /// The tables that were named, or all that are the user's or have rules.
    pub(super) fn chosen<'a>(
        &self,
        snapshot: &'a Snapshot,
        names: &[String],
        ruled: &[&ObjectName],
    ) -> Result<Vec<&'a Table>, EngineError> {
        let dialect = self.ledger.dialect;
        let other = match &self.options.history {
            Some(HistoryTable::Wrangler { table }) => table.as_str(),
            _ => "",
        };
        if names.is_empty() {
            let has_rules = |table: &Table| {
                let found = |name: &&ObjectName| snapshot.table(name, dialect);
                ruled.iter().filter_map(found).any(|one| one.name == table.name)
            };
            let is_users = |table: &&Table| {
                let schema = table.name.schema.as_deref().unwrap_or_default();
                let platform = PLATFORM_SCHEMAS.contains(&schema);
                (!platform && table.name.name != other) || has_rules(table)
            };
            return Ok(snapshot.tables.iter().filter(is_users).collect());
        }
        let find = |name: &String| {
            let named = match name.split_once('.') {
                Some((schema, table)) => ObjectName::in_schema(schema, table),
                None => ObjectName::bare(name.clone()),
            };
            let found = snapshot.table(&named, dialect);
            let message = || format!("There is no table `{name}` in {}", self.backend.label());
            found.ok_or_else(|| EngineError::NotFound(message()))
        };
        names.iter().map(find).collect()
    }

    /// A table's rules; its file is taken out of the list.
    fn rules_of(
        &self,
        table: &Table,
        snapshot: &Snapshot,
        files: &mut Vec<RuleFile>,
    ) -> Result<(TableRules, Option<String>), Problem> {
        let dialect = self.ledger.dialect;
        let rules = TableRules::of(table, snapshot, dialect, Scope::Own);
        let is_its = |file: &RuleFile| {
            snapshot.table(&file.table, dialect).is_some_and(|found| found.name == table.name)
        };
        let Some(at) = files.iter().position(is_its) else { return Ok((rules, None)) };
        let file = files.remove(at);
        if let Some(second) = files.iter().position(is_its) {
            let second = files.remove(second);
            return Err(Problem {
                path: second.path,
                place: None,
                message: format!("`{}` has its rules in `{}`, too", table.name, file.path),
                hint: Some("Keep one of the two files".to_owned()),
            });
        }
        match RowSchema::read(&file.text, table, dialect) {
            Ok(schema) => Ok((rules.with_schema(schema), Some(file.path))),
            Err(error) => Err(problem(&file.path, error)),
        }
    }
}

fn problem(path: &str, error: RuleError) -> Problem {
    let RuleError { place, message, hint } = error;
    Problem { path: path.to_owned(), place, message, hint }
}

/// A run of `validate`.
struct Run<'a> {
    session: &'a mut dyn Session,
    options: &'a ValidateOptions,
    events: &'a mut dyn Events,
    report: ValidateReport,
}

/// What is found of one table or check.
struct Tally<'a> {
    broken: BTreeMap<Rule, Broken>,
    max: usize,
    events: &'a mut dyn Events,
}

impl Tally<'_> {
    fn add(&mut self, violation: Violation) {
        self.events.send(Event::Violated(Box::new(violation.clone())));
        let rule = violation.rule.clone();
        let broken = self.broken.entry(rule).or_insert_with(|| Broken {
            rule: violation.rule.clone(),
            count: 0,
            first: Vec::new(),
        });
        broken.count += 1;
        if broken.first.len() < self.max {
            broken.first.push(violation);
        }
    }
}

impl Run<'_> {
    async fn table(
        &mut self,
        table: &Table,
        rules: TableRules,
        file: Option<String>,
        queries: &[RuleQuery],
        dialect: Dialect,
    ) -> Result<(), EngineError> {
        let name = rules.table().to_owned();
        let mut judged = Judged { name: name.clone(), rules: file, ..Judged::default() };
        let mut broken = BTreeMap::new();
        if !rules.is_empty() {
            let sql = select(table, &rules, dialect);
            judged.rows = Some(self.rows(&sql, rules, &mut broken).await?);
        }
        for query in queries {
            let violation = |columns: Vec<(String, String)>| {
                let mut key = columns;
                let others = key.split_off(query.key.min(key.len()));
                let (column, value) = others.into_iter().next().unzip();
                Violation {
                    table: name.clone(),
                    key,
                    column,
                    value,
                    rule: query.rule.clone(),
                    message: query.message.clone(),
                }
            };
            self.query(&query.sql, &name, &mut broken, &violation).await?;
        }
        judged.broken = broken.into_values().collect();
        self.report.tables.push(judged);
        Ok(())
    }

    /// Judges each row of a query and returns how many there were.
    async fn rows(
        &mut self,
        sql: &str,
        rules: TableRules,
        broken: &mut BTreeMap<Rule, Broken>,
    ) -> Result<u64, EngineError> {
        let what = rules.table().to_owned();
        let mut stream = self.session.stream(sql).await?;
        let judge: Judge = rules.judge(stream.columns());
        let mut tally = Tally {
            broken: std::mem::take(broken),
            max: self.options.max,
            events: &mut *self.events,
        };
        let (mut chunk, mut count) = (Chunk::default(), 0);
        while stream.next(&mut chunk).await? {
            for row in chunk.rows() {
                for violation in judge.judge(row) {
                    tally.add(violation);
                }
            }
            count += chunk.len() as u64;
            tally.events.send(Event::Judging { what: what.clone(), rows: count });
            if self.options.stop.is_set() {
                self.report.interrupted = true;
                break;
            }
        }
        *broken = tally.broken;
        Ok(count)
    }

    /// Reads a query whose every row is a violation.
    async fn query(
        &mut self,
        sql: &str,
        what: &str,
        broken: &mut BTreeMap<Rule, Broken>,
        violation: &(dyn Fn(Vec<(String, String)>) -> Violation + Sync),
    ) -> Result<u64, EngineError> {
        if self.report.interrupted {
            return Ok(0);
        }
        let mut stream = self.session.stream(sql).await?;
        let names: Vec<String> =
            stream.columns().iter().map(|column| column.name.clone()).collect();
        let mut tally = Tally {
            broken: std::mem::take(broken),
            max: self.options.max,
            events: &mut *self.events,
        };
        let (mut chunk, mut count) = (Chunk::default(), 0);
        tally.events.send(Event::Judging { what: what.to_owned(), rows: count });
        while stream.next(&mut chunk).await? {
            for row in chunk.rows() {
                tally.add(violation(values(&names, row)));
            }
            count += chunk.len() as u64;
            if self.options.stop.is_set() {
                self.report.interrupted = true;
                break;
            }
        }
        *broken = tally.broken;
        Ok(count)
    }

    async fn check(&mut self, check: &CheckFile) -> Result<(), EngineError> {
        let mut broken = BTreeMap::new();
        let mut rows = 0;
        for (index, statement) in check.script.statements.iter().enumerate() {
            let rule = Rule::File(check.name.clone());
            let violation = |mut key: Vec<(String, String)>| {
                key.truncate(CHECK_COLUMNS_MAX);
                Violation {
                    table: String::new(),
                    key,
                    column: None,
                    value: None,
                    rule: rule.clone(),
                    message: format!("`{}` returns this row", check.path),
                }
            };
            let sql = check.script.statement(index);
            let found = self.query(sql, &check.path, &mut broken, &violation).await;
            rows += found.map_err(|error| check_failed(check, statement.line, error))?;
        }
        let broken = broken.into_values().collect();
        self.report.checks.push(Judged {
            name: check.path.clone(),
            rules: None,
            rows: Some(rows),
            broken,
        });
        Ok(())
    }
}

/// A query that the database refuses is the file's fault, a lost connection is not.
fn check_failed(check: &CheckFile, line: u32, error: EngineError) -> EngineError {
    use crate::backend::DbErrorKind::{Permission, Statement};
    match error {
        EngineError::Database(error) if matches!(error.kind, Statement | Permission) => {
            EngineError::Files(vec![Problem {
                path: check.path.clone(),
                place: Some((line, 1)),
                message: format!("The database refuses the query: {error}"),
                hint: error.hint.clone(),
            }])
        }
        other => other,
    }
}

fn values(names: &[String], row: Row<'_>) -> Vec<(String, String)> {
    let values = names.iter().enumerate();
    values.map(|(at, name)| (name.clone(), shown(name, row.cell(at)))).collect()
}

/// The columns that the rules need, of all rows.
fn select(table: &Table, rules: &TableRules, dialect: Dialect) -> String {
    let quoted = |name: &str| quote_ident(name, dialect);
    let column = |name: &String| {
        let found = table.columns.iter().find(|column| column.name == *name);
        let is_array = found.is_some_and(|column| column.type_name.ends_with("[]"));
        let name = quoted(name);
        if is_array && dialect == Dialect::Postgres {
            // An array is JSON for the rules, and COPY would print it in PostgreSQL's own form.
            format!("pg_catalog.to_jsonb({name}) AS {name}")
        } else {
            name
        }
    };
    let columns: Vec<String> = rules.columns().iter().map(column).collect();
    let from = match &table.name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&table.name.name)),
        None => quoted(&table.name.name),
    };
    format!("SELECT {} FROM {from}", columns.join(", "))
}
