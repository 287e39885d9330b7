use serde_json::json;
use whimbrel_engine::{FakeOptions, FakeReport, Faked};

use super::events::EventPrinter;
use super::text::{plural, table};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::SCHEMA_VERSION;
use crate::printer::{Format, Printer, Style};

/// Rows of each table, where nothing is said.
const ROWS_DEFAULT: u64 = 100;
/// How many of the values that may be NULL are, where nothing is said.
const NULL_RATE_DEFAULT: f64 = 0.1;

/// Fill tables with rows for testing
///
/// Rows follow from the seed and the tables' definitions: types, keys, foreign keys (parents are
/// filled first), enums, simple CHECKs, `rules/TABLE.schema.json`, and names such as `email`. The
/// same seed gives the same rows. Refused in a protected environment and for tables with rows.
/// Ends with code 3 if the database refused rows.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these tables; `TABLE=N` for a number of its own
    #[arg(value_name = "TABLE[=N]")]
    tables: Vec<String>,
    /// How many rows each table gets
    #[arg(long, value_name = "N", default_value_t = ROWS_DEFAULT)]
    rows: u64,
    /// Which rows: the same number gives the same ones
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many of the values that may be NULL are, from 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = NULL_RATE_DEFAULT)]
    null_rate: f64,
    /// Also into tables that have rows; numbering goes on behind them
    #[arg(long)]
    append: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    if !(0.0..=1.0).contains(&args.null_rate) {
        return Err(CommandError::usage("`--null-rate` is a number from 0 to 1"));
    }
    let tables = args.tables.iter().map(|text| wanted(text)).collect::<Result<_, _>>()?;
    let project = context.project()?;
    let options = FakeOptions {
        tables,
        rows: args.rows,
        seed: args.seed,
        null_rate: args.null_rate,
        append: args.append,
        stop: context.stop.clone(),
    };
    let mut events = EventPrinter::new(&mut context.printer);
    let report = project.fake(&options, &mut events).await?;
    match context.printer.format() {
        Format::Human => show(&report, &mut context.printer),
        Format::Json => context.printer.json(&to_json(&report), false),
    }
    let missing = report.tables.iter().any(|faked| faked.made < faked.wanted);
    Ok(match (report.interrupted, missing) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Done,
    })
}

/// `users` or `users=5`.
fn wanted(text: &str) -> Result<(String, Option<u64>), CommandError> {
    let Some((table, number)) = text.rsplit_once('=') else { return Ok((text.to_owned(), None)) };
    let message = || format!("`{number}` is no number of rows in `{text}`");
    let number = number.parse().map_err(|_| CommandError::usage(message()))?;
    Ok((table.to_owned(), Some(number)))
}

fn count(number: u64, noun: &str) -> String {
    plural(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

fn show(report: &FakeReport, printer: &mut Printer) {
    let short = |faked: &Faked| {
        let missing = faked.made < faked.wanted;
        if missing { format!("of {}", faked.wanted) } else { String::new() }
    };
    let line = |faked: &Faked| vec![faked.table.clone(), count(faked.made, "row"), short(faked)];
    for line in table(&report.tables.iter().map(line).collect::<Vec<_>>()) {
        printer.out(&line);
    }
    let warning = printer.styled(Style::Warning, "warning:");
    for faked in &report.tables {
        for (reason, rows) in &faked.refused {
            let rows = count(*rows, "row");
            printer.out(&format!("{warning} {}: {rows} refused: {reason}", faked.table));
        }
        if let Some(short) = &faked.short {
            printer.out(&format!("{warning} {}: {short}", faked.table));
        }
    }
    let rows = report.tables.iter().map(|faked| faked.made).sum();
    let into = plural(report.tables.len(), "table");
    printer.out(&format!("Made {} in {into} of {}", count(rows, "row"), report.database));
}

fn to_json(report: &FakeReport) -> serde_json::Value {
    let tables: Vec<_> = report
        .tables
        .iter()
        .map(|faked| {
            let refused: Vec<_> = faked
                .refused
                .iter()
                .map(|(reason, rows)| json!({ "reason": reason, "rows": rows }))
                .collect();
            json!({
                "table": faked.table, "wanted": faked.wanted, "made": faked.made,
                "refused": refused, "short": faked.short,
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION, "event": "end", "command": "fake",
        "tables": tables, "interrupted": report.interrupted,
    })
}
