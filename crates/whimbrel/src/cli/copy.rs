use serde_json::{Value, json};
use whimbrel_engine::{
    CopiedTable, CopyOptions, CopyPhase, CopyProgress, CopyReport, Differing, FoundLoss,
    PlannedCopy,
};

use super::events::EventPrinter;
use super::text::{plural, table};
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::{Format, Printer, Style};

/// How many tables are copied at a time where nothing is said.
const JOBS: u8 = 2;
/// Most tables at a time; each needs two connections.
const JOBS_MAX: i64 = 64;

/// Copy whole tables from one database into another
///
/// The tables must be there, made by migrations, and empty; tables and columns belong together by
/// their names. Parents are filled before their children. Rows go in the order of their key, in
/// transactions that also hold how far it is: after a kill the same command goes on, and no row
/// comes twice. A value that the target cannot hold as it is stops the copy before anything is
/// changed (docs/reference/type-mappings.md). Counters and statistics of the target follow.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these tables; all by default
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Where rows come from: an environment of whimbrel.toml, or an address (`env:NAME` too)
    #[arg(long, value_name = "ENV")]
    from: String,
    /// Where they go
    #[arg(long, value_name = "ENV")]
    to: String,
    /// A column of the source that stays behind; may be given several times
    #[arg(long, value_name = "TABLE.COLUMN")]
    leave_out: Vec<String>,
    /// Times without a time zone are UTC, on both sides
    #[arg(long)]
    times_are_utc: bool,
    /// Do not look through the source for values that do not fit before the copy begins; one that
    /// is met stops it all the same
    #[arg(long)]
    no_scan: bool,
    /// Read both ends again afterwards and compare digests of all rows
    #[arg(long)]
    verify: bool,
    /// At most so many rows in a transaction (by bytes alone if not said)
    #[arg(long, value_name = "ROWS")]
    size: Option<u64>,
    /// So many tables at a time, children after their parents; into SQLite, and from MariaDB or
    /// MySQL, it is one
    #[arg(long, value_name = "N", default_value_t = JOBS,
          value_parser = clap::value_parser!(u8).range(1..=JOBS_MAX))]
    jobs: u8,
    /// Show what belongs together and which values do not fit, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let source = context.project_at(&args.from)?;
    let target = context.project_at(&args.to)?;
    let run_options = one_by_one(context);
    let options = CopyOptions {
        tables: args.tables.clone(),
        leave_out: args.leave_out.clone(),
        times_are_utc: args.times_are_utc,
        no_scan: args.no_scan,
        verify: args.verify,
        rows_max: args.size,
        jobs: usize::from(args.jobs),
        stop: context.stop.clone(),
    };
    let mut events = EventPrinter::new(&mut context.printer);
    if args.dry_run {
        let report = target.plan_copy(&source, &options, &run_options, &mut events).await?;
        show_plan(&report, &mut context.printer);
        return Ok(match (report.interrupted, report.losses.is_empty()) {
            (true, _) => Exit::Interrupted,
            (false, true) => Exit::Done,
            (false, false) => Exit::Findings,
        });
    }
    let report = target.copy(&source, &options, &run_options, &mut events).await?;
    Ok(show(&report, &mut context.printer))
}

fn show_plan(report: &CopyReport, printer: &mut Printer) {
    if printer.format() == Format::Json {
        printer.json(
            &json!({
                "schema_version": 1, "event": "copy-plan", "source": report.source,
                "target": report.target,
                "tables": report.planned.iter().map(plan_json).collect::<Vec<_>>(),
                "losses": report.losses.iter().map(loss_json).collect::<Vec<_>>(),
                "interrupted": report.interrupted,
            }),
            false,
        );
        return;
    }
    printer.out(&format!("From {} to {}, in this order:", report.source, report.target));
    for one in &report.planned {
        printer.out(&format!("{} -> {}: {} rows", one.source, one.target, one.rows));
        let lines = one.columns.iter().map(|column| {
            let grade = column.grade.name().to_owned();
            let pair = format!("  {} -> {}", column.source, column.target);
            vec![pair, grade, column.how.to_owned()]
        });
        for line in table(&lines.collect::<Vec<_>>()) {
            printer.out(&line);
        }
        for note in &one.notes {
            printer.out(&format!("  note: {note}"));
        }
    }
    for loss in &report.losses {
        let line = printer.styled(Style::Error, &loss_text(loss));
        printer.out(&line);
    }
    if report.losses.is_empty() {
        printer.out("No value was found that the target cannot hold");
    }
}

fn show(report: &CopyReport, printer: &mut Printer) -> Exit {
    let differing = report.compared.iter().filter(|one| differs(one)).count();
    let unequal = report.tables.iter().filter(|one| one.rows_read != one.rows_written).count();
    if printer.format() == Format::Json {
        printer.json(
            &json!({
                "schema_version": 1, "event": "end", "command": "copy", "source": report.source,
                "target": report.target,
                "tables": report.tables.iter().map(table_json).collect::<Vec<_>>(),
                "compared": report.compared.iter().map(differing_json).collect::<Vec<_>>(),
                "interrupted": report.interrupted,
            }),
            false,
        );
    } else {
        show_tables(report, printer);
    }
    if report.interrupted {
        printer.err("Stopped as asked; the same command goes on");
        return Exit::Interrupted;
    }
    if differing + unequal > 0 { Exit::Findings } else { Exit::Done }
}

fn show_tables(report: &CopyReport, printer: &mut Printer) {
    let lines: Vec<Vec<String>> = report
        .tables
        .iter()
        .map(|one| {
            let state = match one {
                CopiedTable { was_done: true, .. } => "was copied before",
                _ if one.rows_read == one.rows_written => "ok",
                _ => "ROWS ARE MISSING",
            };
            vec![
                one.table.clone(),
                format!("{} read", one.rows_read),
                format!("{} written", one.rows_written),
                state.to_owned(),
            ]
        })
        .collect();
    for line in table(&lines) {
        printer.out(&line);
    }
    for one in &report.compared {
        if !differs(one) {
            printer.out(&format!(
                "{}: the same {} rows at both ends (digest {})",
                one.table,
                one.source_rows,
                one.source_digest.get(..16).unwrap_or_default()
            ));
            continue;
        }
        let head = format!(
            "{}: {} of the rows differ ({} at the source, {} at the target)",
            one.table, one.count, one.source_rows, one.target_rows
        );
        let head = printer.styled(Style::Error, &head);
        printer.out(&head);
        let lists = [("only at the source", &one.missing), ("only at the target", &one.extra)];
        for (what, keys) in lists.into_iter().chain([("other values", &one.changed)]) {
            for key in keys {
                printer.out(&format!("  {what}: {key}"));
            }
        }
    }
    let rows: u64 = report.tables.iter().map(|one| one.rows_written).sum();
    if !report.interrupted {
        printer.out(&format!("{} with {rows} rows", plural(report.tables.len(), "table")));
    }
}

fn differs(one: &Differing) -> bool {
    one.source_digest != one.target_digest
}

/// How far a table is.
pub(super) fn show_progress(printer: &mut Printer, one: &CopyProgress) {
    let (phase, table) = (one.phase.name(), &one.table);
    match one.phase {
        CopyPhase::Copy if one.done => {
            printer.detail(&format!("{table}: {} rows copied", one.written));
        }
        CopyPhase::Copy => {
            printer.progress(&format!("{phase} {table}: {}/{} rows", one.rows, one.rows_total));
        }
        CopyPhase::Scan | CopyPhase::Verify => {
            printer.detail(&format!("{phase} {table}: {} rows", one.rows));
        }
    }
}

/// The same as JSON.
pub(super) fn progress_json(one: &CopyProgress) -> Value {
    json!({
        "event": "copying", "phase": one.phase.name(), "table": one.table, "rows": one.rows,
        "written": one.written, "rows_total": one.rows_total, "done": one.done,
    })
}

/// A value that does not fit, for people.
pub(crate) fn loss_text(loss: &FoundLoss) -> String {
    let mut line = format!("`{}.{}`: {}", loss.table, loss.column, loss.loss);
    if loss.count > 1 {
        line.push_str(&format!(", {} times", loss.count));
    }
    if !loss.keys.is_empty() {
        line.push_str(&format!(" ({})", loss.keys.join("; ")));
    }
    line
}

fn loss_json(loss: &FoundLoss) -> Value {
    json!({
        "table": loss.table, "column": loss.column, "code": loss.loss.code(),
        "message": loss.loss.to_string(), "count": loss.count, "keys": loss.keys,
    })
}

fn plan_json(one: &PlannedCopy) -> Value {
    let columns = one.columns.iter().map(|column| {
        json!({
            "source": column.source, "target": column.target, "grade": column.grade.name(),
            "how": column.how,
        })
    });
    json!({
        "source": one.source, "target": one.target, "rows": one.rows,
        "columns": columns.collect::<Vec<_>>(), "notes": one.notes,
    })
}

fn table_json(one: &CopiedTable) -> Value {
    json!({
        "table": one.table, "rows_read": one.rows_read, "rows_written": one.rows_written,
        "batches": one.batches, "was_done": one.was_done,
    })
}

fn differing_json(one: &Differing) -> Value {
    json!({
        "table": one.table, "same": !differs(one), "source_rows": one.source_rows,
        "target_rows": one.target_rows, "source_digest": one.source_digest,
        "target_digest": one.target_digest, "differing": one.count, "missing": one.missing,
        "extra": one.extra, "changed": one.changed,
    })
}
