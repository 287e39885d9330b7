use schemars::JsonSchema;
use serde::Serialize;
use whimbrel_engine::Account;

use super::ends::{self, EndsJson};
use super::text::{plural, table};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Style};

/// Prove that a data migration lost no row
///
/// For each statement: how many rows were read, and what came of them. It holds when every driving
/// row produced something, was declared to produce nothing (`skips=`), or was set aside and
/// settled. Of statements with `source=` both ends are read again, and rows that differ from what
/// was read are named; it ends with 3 then, too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data migration: a version or a file name
    #[arg(value_name = "VERSION")]
    migration: String,
    /// Do not read the ends of statements with `source=` again; show what their last batches found
    #[arg(long)]
    no_compare: bool,
}

/// What `account --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AccountJson {
    /// File name of the migration.
    migration: String,
    /// Whether nothing was lost.
    holds: bool,
    /// Why it does not hold.
    reasons: Vec<String>,
    /// One for each statement that ran in batches.
    statements: Vec<StatementJson>,
    /// Driving rows of which nothing came.
    missing: Vec<MissingJson>,
    /// Rows in quarantine that are open.
    quarantine_open: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StatementJson {
    /// The statement, from 1.
    statement: usize,
    /// The driving table.
    table: String,
    /// Whether all of its batches are done.
    done: bool,
    /// Driving rows that were read.
    rows_read: u64,
    /// Driving rows from which something came.
    rows_produced: u64,
    /// Rows that were to be inserted (INSERT).
    rows_staged: u64,
    /// Rows inserted, changed or deleted.
    rows_written: u64,
    /// Driving rows set aside.
    rows_quarantined: u64,
    /// Driving rows that were declared to produce nothing.
    rows_skipped: u64,
    /// Driving rows of which nothing came in this statement.
    rows_missing: u64,
    /// With `source=`: both ends, held against what was read.
    ends: Option<EndsJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MissingJson {
    /// The driving table.
    table: String,
    /// How many.
    rows: u64,
    /// Keys of some of them.
    keys: Vec<String>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let account = project.account(&args.migration, !args.no_compare).await?;
    match context.printer.format() {
        Format::Json => {
            context.printer.json(&envelope("account", to_json(&account)), true);
        }
        Format::Human => show(&account, context),
    }
    Ok(if account.holds() && account.ends_are_same() { Exit::Done } else { Exit::Findings })
}

fn show(account: &Account, context: &mut Context) {
    let printer = &mut context.printer;
    printer.out(&format!("Account of {}", account.migration));
    for line in table(&lines(account)) {
        printer.out(&format!("  {line}"));
    }
    for line in &account.lines {
        for text in line.ends.iter().flat_map(ends::lines) {
            printer.out(&format!("  statement {}: {text}", line.statement));
        }
    }
    for missing in &account.missing {
        printer
            .out(&format!("  {} rows of {} are not accounted for:", missing.rows, missing.table));
        for key in &missing.keys {
            printer.out(&format!("    {key}"));
        }
    }
    if account.holds() {
        let good = printer.styled_out(Style::Good, "holds");
        printer.out(&format!("The account {good}: no row was lost"));
        let dropped: u64 = account.lines.iter().map(|line| line.quarantined).sum();
        if dropped > 0 {
            let rows = plural(usize::try_from(dropped).unwrap_or(usize::MAX), "row");
            printer.out(&format!("  given up by `quarantine drop`: {rows}"));
        }
        return;
    }
    let bad = printer.styled_out(Style::Error, "does not hold");
    printer.out(&format!("The account {bad}:"));
    for reason in &account.reasons {
        printer.out(&format!("  {reason}"));
    }
}

/// A heading, and a line for each statement. From each row that is read something comes, or it is
/// skipped by declaration, or set aside, or another statement of the file has to make something
/// of it.
fn lines(account: &Account) -> Vec<Vec<String>> {
    let heading =
        ["statement", "rows of", "read", "used", "skipped", "set aside", "left", "written"];
    let mut out = vec![heading.iter().map(|text| (*text).to_owned()).collect()];
    for line in &account.lines {
        let left = line.read.saturating_sub(line.produced + line.skipped + line.quarantined);
        let if_inserts = |count: u64| if line.inserts { count.to_string() } else { "-".to_owned() };
        out.push(vec![
            line.statement.to_string(),
            line.table.clone(),
            line.read.to_string(),
            line.produced.to_string(),
            if_inserts(line.skipped),
            line.quarantined.to_string(),
            if_inserts(left),
            line.written.to_string(),
        ]);
    }
    out
}

fn to_json(account: &Account) -> AccountJson {
    AccountJson {
        migration: account.migration.clone(),
        holds: account.holds(),
        reasons: account.reasons.clone(),
        statements: account
            .lines
            .iter()
            .map(|line| StatementJson {
                statement: line.statement,
                table: line.table.clone(),
                done: line.done,
                rows_read: line.read,
                rows_produced: line.produced,
                rows_staged: line.staged,
                rows_written: line.written,
                rows_quarantined: line.quarantined,
                rows_skipped: line.skipped,
                rows_missing: line.missing,
                ends: line.ends.as_ref().map(ends::to_json),
            })
            .collect(),
        missing: account
            .missing
            .iter()
            .map(|one| MissingJson {
                table: one.table.clone(),
                rows: one.rows,
                keys: one.keys.clone(),
            })
            .collect(),
        quarantine_open: account.open,
    }
}
