use serde::Serialize;
use serde_json::{Value, json};
use whimbrel_core::rules::{Rule, Violation};
use whimbrel_engine::event::{Event, Events};
use whimbrel_engine::{Broken, Judged, ValidateOptions, ValidateReport};

use super::text::{plural, table};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::{SCHEMA_VERSION, envelope};
use crate::printer::{Format, Printer, Style};

/// Violations of a rule that are shown by default.
const SHOWN_DEFAULT: usize = 5;

/// Judge existing rows by rules, without writing
///
/// Rules are JSON Schemas in `rules/TABLE.schema.json` and queries in `checks/NAME.sql` that must
/// return no row; foreign keys, CHECKs and column types that the database does not enforce by
/// itself are looked at too. The session is read-only. Ends with code 3 if a row breaks a rule.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these tables, and no checks
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Folder of the rules
    #[arg(long, value_name = "DIR")]
    rules: Option<std::path::PathBuf>,
    /// How many violations of each rule are shown; all are counted
    #[arg(long, value_name = "N", default_value_t = SHOWN_DEFAULT)]
    max: usize,
    /// How to report; `ndjson` writes every violation, the moment it is found
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,
}

/// How to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ReportFormat {
    /// For people.
    Text,
    /// One document; the same as `--json`.
    Json,
    /// One object a line for each violation, and one at the end.
    Ndjson,
}

/// The JSON of `validate`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct ValidateJson {
    /// Address without secrets.
    database: String,
    /// Whether no rule is broken.
    holds: bool,
    /// Whether it was stopped before the end.
    interrupted: bool,
    /// Rows that were read.
    rows: u64,
    /// Violations in all.
    violations: u64,
    tables: Vec<JudgedJson>,
    /// Files of `checks/`.
    checks: Vec<JudgedJson>,
}

/// A table or a check.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct JudgedJson {
    /// The table, or the path of the check.
    name: String,
    /// Path of the table's rules.
    rules: Option<String>,
    /// Rows that were read; null where no rule had to see a row.
    rows: Option<u64>,
    /// Violations in all.
    violations: u64,
    /// Rules that are broken.
    broken: Vec<BrokenJson>,
}

/// A rule that is broken.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BrokenJson {
    /// The rule in words.
    rule: String,
    /// `json-schema`, `type`, `not-null`, `unique`, `foreign-key`, `check` or `file`.
    kind: String,
    /// How many violations of it there are.
    count: u64,
    /// The first of them.
    first: Vec<ViolationJson>,
}

/// A violation.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ViolationJson {
    /// The row's key; for a check the row that it returned.
    key: Vec<NamedJson>,
    /// The column at fault.
    column: Option<String>,
    /// Its value, shortened; `***` where the name says that it is secret.
    value: Option<String>,
    /// What is wrong.
    message: String,
}

/// A column with its value.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct NamedJson {
    column: String,
    value: String,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let format = args.format.unwrap_or(match context.printer.format() {
        Format::Json => ReportFormat::Json,
        Format::Human => ReportFormat::Text,
    });
    let options = ValidateOptions {
        tables: args.tables.clone(),
        rules: args.rules.clone(),
        max: args.max,
        stop: context.stop.clone(),
    };
    let mut listener = Listener { printer: &mut context.printer, format };
    let report = project.validate(&options, &mut listener).await?;
    match format {
        ReportFormat::Text => show(&report, &mut context.printer),
        ReportFormat::Json => context.printer.json(&envelope("validate", to_json(&report)), true),
        ReportFormat::Ndjson => {
            let end = json!({
                "schema_version": SCHEMA_VERSION, "event": "end", "command": "validate",
                "rows": rows(&report), "violations": report.violations(),
                "interrupted": report.interrupted,
            });
            context.printer.json(&end, false);
        }
    }
    Ok(match (report.interrupted, report.violations()) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Findings,
    })
}

/// Shows how far it is, and each violation where that was asked for.
struct Listener<'a> {
    printer: &'a mut Printer,
    format: ReportFormat,
}

impl Events for Listener<'_> {
    fn send(&mut self, event: Event) {
        match event {
            Event::Violated(violation) if self.format == ReportFormat::Ndjson => {
                self.printer.json(&violation_line(&violation), false);
            }
            Event::Judging { what, rows } => {
                self.printer.progress(&format!("judging {what}: {rows} rows"));
            }
            _ => {}
        }
    }
}

/// A violation as a line of NDJSON.
pub(super) fn violation_line(violation: &Violation) -> Value {
    let Violation { table, rule, .. } = violation;
    let inner = violation_json(violation);
    json!({
        "schema_version": SCHEMA_VERSION, "event": "violation", "table": table,
        "rule": rule.to_string(), "kind": rule.kind(), "key": inner.key,
        "column": inner.column, "value": inner.value, "message": inner.message,
    })
}

fn rows(report: &ValidateReport) -> u64 {
    report.tables.iter().filter_map(|judged| judged.rows).sum()
}

fn count(judged: &Judged) -> u64 {
    judged.broken.iter().map(|broken| broken.count).sum()
}

fn show(report: &ValidateReport, printer: &mut Printer) {
    let all = report.tables.iter().chain(&report.checks);
    let lines = all.clone().map(|judged| {
        let rows = match judged.rows {
            None => "no rule needs its rows".to_owned(),
            Some(rows) => plural(usize::try_from(rows).unwrap_or(usize::MAX), "row"),
        };
        let found = plural(usize::try_from(count(judged)).unwrap_or(usize::MAX), "violation");
        let found = if count(judged) == 0 { "ok".to_owned() } else { found };
        vec![judged.name.clone(), rows, judged.rules.clone().unwrap_or_default(), found]
    });
    for line in table(&lines.collect::<Vec<_>>()) {
        printer.out(&line);
    }
    for judged in all {
        for broken in &judged.broken {
            show_broken(judged, broken, printer);
        }
    }
    let total = usize::try_from(report.violations()).unwrap_or(usize::MAX);
    let rows = usize::try_from(rows(report)).unwrap_or(usize::MAX);
    let style = if total == 0 { Style::Good } else { Style::Error };
    let mut line = format!(
        "{} in {} of {}",
        if total == 0 { "No violation".to_owned() } else { plural(total, "violation") },
        plural(rows, "row"),
        plural(report.tables.len(), "table")
    );
    if report.interrupted {
        line.push_str("; stopped before the end");
    }
    let line = printer.styled_out(style, &line);
    printer.out(&line);
}

fn show_broken(judged: &Judged, broken: &Broken, printer: &mut Printer) {
    printer.out("");
    let head = match &broken.rule {
        Rule::File(_) => judged.name.clone(),
        rule => format!("{}: {rule}", judged.name),
    };
    let head = printer.styled_out(Style::Bold, &head);
    printer.out(&format!("{head} ({}x)", broken.count));
    for one in &broken.first {
        let key: Vec<String> =
            one.key.iter().map(|(column, value)| format!("{column}={value}")).collect();
        let key = if key.is_empty() { "a row".to_owned() } else { key.join(" ") };
        let fault = match (&one.column, &one.value) {
            (Some(column), Some(value)) => format!("{column} `{value}`: "),
            _ => String::new(),
        };
        printer.out(&format!("  {key}  {fault}{}", one.message));
    }
    let more = usize::try_from(broken.count).unwrap_or(usize::MAX) - broken.first.len();
    if more > 0 {
        printer.out(&format!("  and {more} more (`--max`, or all with `--format ndjson`)"));
    }
}

fn to_json(report: &ValidateReport) -> ValidateJson {
    ValidateJson {
        database: report.database.clone(),
        holds: report.violations() == 0 && !report.interrupted,
        interrupted: report.interrupted,
        rows: rows(report),
        violations: report.violations(),
        tables: report.tables.iter().map(judged_json).collect(),
        checks: report.checks.iter().map(judged_json).collect(),
    }
}

fn judged_json(judged: &Judged) -> JudgedJson {
    let broken = judged.broken.iter().map(|broken| BrokenJson {
        rule: broken.rule.to_string(),
        kind: broken.rule.kind().to_owned(),
        count: broken.count,
        first: broken.first.iter().map(violation_json).collect(),
    });
    JudgedJson {
        name: judged.name.clone(),
        rules: judged.rules.clone(),
        rows: judged.rows,
        violations: count(judged),
        broken: broken.collect(),
    }
}

fn violation_json(violation: &Violation) -> ViolationJson {
    let named = |(column, value): &(String, String)| NamedJson {
        column: column.clone(),
        value: value.clone(),
    };
    ViolationJson {
        key: violation.key.iter().map(named).collect(),
        column: violation.column.clone(),
        value: violation.value.clone(),
        message: violation.message.clone(),
    }
}
