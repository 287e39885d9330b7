//! Statements of the kinds that stand in public migrations (core's `corpus/data/real.txt`): those
//! that are accepted leave in batches what the database's own client leaves in one go, and taken
//! back they leave what was before.

use std::fmt::Write as _;
use std::path::Path;

use whimbrel_core::ddl::{self, Change, ColumnDef, Constraint, CreateTable};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::quote::quote_ident;
use whimbrel_testkit::database::TestDatabase;
use whimbrel_testkit::project::Project;
use whimbrel_testkit::proof::engine::Engine;
use whimbrel_testkit::run::{Output, Whimbrel};

const CORPUS: &str = include_str!("../../../core/tests/corpus/data/real.txt");
/// Rows of each table.
const ROWS: usize = 23;
/// What is said where a statement cannot be taken back exactly, as its form tells.
const INEXACT: &str = "An undo of this statement would not be exact";
/// Fewer cases than this on an engine and the corpus was not read.
const CASES_MIN: usize = 40;

/// A case of the corpus that is accepted.
#[derive(Default)]
struct Case {
    name: String,
    tables: Vec<String>,
    statement: String,
    /// Columns whose values differ from run to run; `all` for a case that cannot be run.
    unsettled: Vec<String>,
    accepted: bool,
}

fn word(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "pg",
        Engine::Mariadb => "my",
    }
}

fn dialect(engine: Engine) -> Dialect {
    match engine {
        Engine::Sqlite => Dialect::Sqlite,
        Engine::Postgres => Dialect::Postgres,
        Engine::Mariadb => Dialect::Mysql,
    }
}

/// The cases of an engine that are accepted.
fn cases(engine: Engine) -> Vec<Case> {
    let ours = |words: &str| {
        let mut words = words.split(',').map(str::trim);
        words.any(|one| one == "all" || one == word(engine))
    };
    let mut all: Vec<Case> = Vec::new();
    let mut wanted = false;
    for line in CORPUS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some((name, words)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            wanted = ours(words);
            if wanted {
                all.push(Case { name: name.to_owned(), ..Case::default() });
            }
            continue;
        }
        let Some(case) = all.last_mut().filter(|_| wanted) else { continue };
        if let Some(text) = line.strip_prefix(": ") {
            case.statement.push_str(text);
            case.statement.push('\n');
        } else if let Some(text) = line.strip_prefix("unsettled: ") {
            case.unsettled = text.split_whitespace().map(str::to_owned).collect();
        } else if let Some(text) = line.strip_prefix("> ") {
            let (words, verdict) = match text.strip_prefix('[').and_then(|r| r.split_once(']')) {
                Some((words, verdict)) => (words, verdict.trim()),
                None => ("all", text),
            };
            if ours(words) {
                case.accepted = verdict.starts_with("batch");
            }
        } else if !line.starts_with("= ") && !line.contains(": ") {
            case.tables.push(line.to_owned());
        }
    }
    all.retain(|case| case.accepted && !case.unsettled.iter().any(|one| one == "all"));
    all
}

impl Case {
    /// What the corpus has beside the statement, each as one text.
    fn texts(&self) -> impl Iterator<Item = String> {
        self.tables.iter().map(|text| match text.to_ascii_uppercase().starts_with("CREATE ") {
            true => text.clone(),
            false => format!("CREATE TABLE {text}"),
        })
    }

    fn created(&self, engine: Engine) -> Vec<CreateTable> {
        let changes = self.texts().flat_map(|text| ddl::read(&text, dialect(engine)));
        changes
            .filter_map(|change| match change {
                Change::CreateTable(created) => Some(*created),
                _ => None,
            })
            .collect()
    }

    /// Schemas, tables and rows, then what else there is: triggers do not see the rows come.
    fn setup(&self, engine: Engine) -> String {
        let created = self.created(engine);
        let mut sql = String::new();
        for schema in created.iter().filter_map(|table| table.name.schema.as_ref()) {
            let _ = writeln!(sql, "CREATE SCHEMA IF NOT EXISTS {schema};");
        }
        let (tables, rest): (Vec<String>, Vec<String>) =
            self.texts().partition(|text| text.starts_with("CREATE TABLE"));
        tables.iter().for_each(|text| sql.push_str(&format!("{text};\n")));
        let inserts = self.statement.to_ascii_uppercase();
        for (at, table) in created.iter().enumerate() {
            // A table that is filled has a few rows, which some of the new ones meet.
            let filled = inserts.contains("INSERT") || inserts.contains("REPLACE INTO");
            let last = filled && created.len() > 1 && at + 1 == created.len();
            sql.push_str(&rows(table, (at, if last { ROWS / 4 } else { ROWS }), engine));
        }
        rest.iter().for_each(|text| sql.push_str(&format!("{text};\n")));
        sql
    }

    /// Queries that print every table's rows.
    fn look(&self, engine: Engine) -> String {
        let mut sql = String::new();
        for table in self.created(engine) {
            let shown: Vec<String> = table
                .columns
                .iter()
                .map(|column| {
                    let name = quote_ident(&column.name, dialect(engine));
                    if self.unsettled.contains(&column.name) {
                        return format!("CASE WHEN {name} IS NULL THEN 0 ELSE 1 END");
                    }
                    match engine {
                        Engine::Sqlite | Engine::Mariadb => format!("quote({name})"),
                        Engine::Postgres => format!("quote_nullable({name}::text)"),
                    }
                })
                .collect();
            let name = name(&table, engine);
            let _ =
                writeln!(sql, "SELECT '{}', {} FROM {name};", table.name.name, shown.join(", "));
        }
        sql
    }
}

fn name(table: &CreateTable, engine: Engine) -> String {
    let quoted = |name: &String| quote_ident(name, dialect(engine));
    let schema = table.name.schema.iter().map(|schema| format!("{}.", quoted(schema)));
    schema.collect::<String>() + &quoted(&table.name.name)
}

/// INSERTs of a table's rows, in an order that is not the key's.
fn rows(table: &CreateTable, (salt, count): (usize, usize), engine: Engine) -> String {
    let mut keys: Vec<&str> = Vec::new();
    let mut uniques: Vec<&str> = Vec::new();
    for constraint in &table.constraints {
        match constraint {
            Constraint::PrimaryKey { columns, .. } => keys.extend(columns.iter().map(|c| &**c)),
            Constraint::Unique { columns, .. } => uniques.extend(columns.iter().map(|c| &**c)),
            _ => {}
        }
    }
    let composite = keys.len() > 1;
    for column in &table.columns {
        if column.primary_key {
            keys.push(&column.name);
        } else if column.unique {
            uniques.push(&column.name);
        }
    }
    let mut lines = Vec::new();
    for number in 0..count {
        // 7 and ROWS have no divisor in common.
        let id = number * 7 % ROWS + 1;
        let values: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| match keys.iter().position(|key| *key == column.name) {
                Some(place) if composite => (if place == 0 { id / 5 } else { id % 5 }).to_string(),
                Some(_) => unique(column, id),
                None if uniques.contains(&&*column.name) => unique(column, id),
                None => value(
                    column,
                    (id * 1_103_515_245 + (at + 8 * salt) * 320_743_257) % 2_147_483_648 / 256
                        % 1_009,
                    engine,
                ),
            })
            .collect();
        lines.push(format!("({})", values.join(", ")));
    }
    format!("INSERT INTO {} VALUES {};\n", name(table, engine), lines.join(", "))
}

fn is_text(column: &ColumnDef) -> bool {
    let of = column.type_text.to_ascii_lowercase();
    of.contains("char") || of == "text"
}

fn unique(column: &ColumnDef, id: usize) -> String {
    if is_text(column) { format!("'k{id:02}'") } else { id.to_string() }
}

const TEXTS: [&str; 10] = ["a", "b", "B", "a b", "b/c", "x_y,a", " c ", "k02", "", "now"];
const DOCUMENTS: [&str; 6] = [
    "{\"a\": \"x\", \"old\": 1, \"progress\": {\"total\": 3}}",
    "[{\"kind\": \"a\"}, {\"kind\": \"c\"}]",
    "{}",
    "[\"p\", \"q\"]",
    "{\"k\": \"v\", \"a\": \"y\"}",
    "{\"full_name\": \"n\", \"progress\": {}}",
];
const ARRAYS: [&str; 4] = ["{a,b}", "{}", "{c,d,e}", "{b}"];

/// A value of few, so that rows meet, and now and then NULL.
fn value(column: &ColumnDef, dice: usize, engine: Engine) -> String {
    let of = column.type_text.to_ascii_lowercase();
    let pick = |all: &[&str]| format!("'{}'", all[dice % all.len()]);
    let null = dice.is_multiple_of(11) && !column.not_null;
    let document = engine == Engine::Sqlite
        && ["tags", "meta"].contains(&column.name.as_str())
        && dice.is_multiple_of(2);
    match of.as_str() {
        _ if null => "NULL".to_owned(),
        "jsonb[]" | "tsvector" | "uuid" | "int[]" => "NULL".to_owned(),
        "jsonb" | "json" => pick(&DOCUMENTS),
        "text[]" => pick(&ARRAYS),
        "boolean" => (if dice.is_multiple_of(2) { "true" } else { "false" }).to_owned(),
        _ if document => pick(&DOCUMENTS),
        _ if is_text(column) && column.name == "at" => {
            format!("'2024-01-0{} 10:00:00'", dice % 9 + 1)
        }
        _ if is_text(column) => pick(&TEXTS),
        "timestamp" | "datetime" => format!("'2024-01-0{} 10:00:00'", dice % 9 + 1),
        _ if column.name.ends_with("_id") => (dice % (ROWS + 4) + 1).to_string(),
        _ => (dice % 6).to_string(),
    }
}

/// A case's database and project.
struct Run {
    database: TestDatabase,
    project: Project,
    engine: Engine,
}

impl Run {
    fn whimbrel(&self, arguments: &[&str]) -> Result<Output, String> {
        let output = Whimbrel::new(Path::new(env!("CARGO_BIN_EXE_whimbrel")), self.project.path())
            .env("DATABASE_URL", &self.database.url)
            .run(arguments);
        if output.code == Some(0) { Ok(output) } else { Err(format!("{output}")) }
    }

    /// The rows that a script prints, in no order.
    fn rows(&self, sql: &str) -> Result<Vec<String>, String> {
        let text = self.database.try_query(sql).map_err(|error| error.to_string())?;
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        Ok(rows)
    }

    /// What there is, and what the statement leaves in one go, which is rolled back.
    fn in_one_go(&self, case: &Case) -> Result<(Vec<String>, Vec<String>), String> {
        let statement = case.statement.trim_end().trim_end_matches(';');
        let look =
            |mark: &str| case.look(self.engine).replace("SELECT '", &format!("SELECT '{mark}"));
        let rows = self.rows(&format!(
            "{}{}BEGIN;\n{statement}\n;\n{}ROLLBACK;\n",
            case.setup(self.engine),
            look("#before#"),
            look("#after#")
        ))?;
        // RETURNING prints what is not looked at.
        let of = |mark: &str| {
            rows.iter().filter_map(|row| row.strip_prefix(mark)).map(str::to_owned).collect()
        };
        Ok((of("#before#"), of("#after#")))
    }

    /// Runs the statement in batches and compares.
    fn in_batches(&self, case: &Case, options: &str, wanted: &[String]) -> Result<(), String> {
        let head = format!("-- whimbrel: batch pause-ms=0 {options}\n");
        self.project.file("migrations/0002_case.data.sql", &(head + &case.statement));
        let up = self.whimbrel(&["up", "--json"])?;
        if up.stdout.contains("\"event\":\"runs-whole\"") {
            return Err(format!("it ran whole: {}", up.stdout));
        }
        let seen = self.rows(&case.look(self.engine))?;
        if seen == wanted {
            return Ok(());
        }
        Err(format!("with {options}:\n{}", difference(&seen, wanted)))
    }
}

fn difference(seen: &[String], wanted: &[String]) -> String {
    let more = seen.iter().filter(|row| !wanted.contains(row)).map(|row| format!("+ {row}"));
    let less = wanted.iter().filter(|row| !seen.contains(row)).map(|row| format!("- {row}"));
    more.chain(less).take(8).collect::<Vec<_>>().join("\n")
}

/// Runs a case; `None` if the run leaves the engine out by name.
fn try_case(case: &Case, engine: Engine) -> Result<Option<()>, String> {
    let Some(database) = engine.fresh("real") else { return Ok(None) };
    let run = Run { database, project: Project::new(), engine };
    run.project.file("migrations/0001_other.sql", "CREATE TABLE other_ (id INTEGER);\n");
    run.whimbrel(&["up"])?;
    let (before, wanted) = run.in_one_go(case)?;
    if before == wanted {
        return Err("it changes nothing of these rows".to_owned());
    }
    match run.in_batches(case, "size=3", &wanted) {
        Err(error) if error.contains(INEXACT) => {
            run.in_batches(case, "size=1 undo=off", &wanted)?
        }
        other => {
            other?;
            run.whimbrel(&["down", "--to", "1", "--yes"])?;
            let seen = run.rows(&case.look(engine))?;
            if seen != before {
                return Err(format!("taken back:\n{}", difference(&seen, &before)));
            }
        }
    }
    Ok(Some(()))
}

#[track_caller]
fn every_case_on(engine: Engine, half: Option<usize>) {
    let all = cases(engine);
    assert!(all.len() >= CASES_MIN, "{} cases", all.len());
    let mut wrong = Vec::new();
    for (at, case) in all.iter().enumerate() {
        if half.is_some_and(|half| at % 2 != half) {
            continue;
        }
        match try_case(case, engine) {
            Ok(Some(())) => {}
            Ok(None) => return,
            Err(error) => wrong.push(format!("[{}] {}{error}", case.name, case.statement)),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn real_statements_in_batches_on_sqlite() {
    every_case_on(Engine::Sqlite, None);
}

#[test]
fn real_statements_in_batches_on_postgres() {
    every_case_on(Engine::Postgres, Some(0));
}

#[test]
fn more_real_statements_in_batches_on_postgres() {
    every_case_on(Engine::Postgres, Some(1));
}

#[test]
fn real_statements_in_batches_on_mariadb() {
    every_case_on(Engine::Mariadb, None);
}
