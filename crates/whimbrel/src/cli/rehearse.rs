//! What trying out data migrations found, for people and as JSON.

use serde::Serialize;
use whimbrel_engine::{Rehearsal, Rehearsed, RehearsedRow};

use super::text::{plural, table};
use crate::printer::{Printer, Style};

/// Most rows of a sample that are shown to people.
const ROWS_SHOWN_MAX: usize = 20;
/// Most characters of a value that are shown to people.
const VALUE_CHARS_MAX: usize = 40;

/// One data migration that was tried and rolled back.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct RehearsalJson {
    migration: String,
    /// Why it was not tried; null when it was.
    skipped: Option<String>,
    statements: Vec<RehearsedJson>,
}

/// One statement that was tried.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RehearsedJson {
    /// From 1.
    statement: usize,
    /// Line in the file, from 1.
    line: u32,
    /// The driving table; empty for a statement that ran in one piece.
    table: String,
    /// It ran once, in one piece.
    whole: bool,
    /// Driving rows that were tried.
    rows_read: u64,
    /// Rows changed, deleted or inserted.
    rows_written: u64,
    /// Driving rows that the database or a rule refused.
    rows_bad: u64,
    /// Some of them, with the reason.
    bad: Vec<String>,
    /// Why it would not run.
    refused: Option<String>,
    /// What lifts that.
    lift: Option<String>,
    /// What the database said where it failed as a whole.
    error: Option<String>,
    /// With `--sample`: the rows that changed.
    rows: Vec<RehearsedRowJson>,
}

/// A row that changed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RehearsedRowJson {
    /// As `id = 17`.
    key: String,
    /// The columns that changed.
    values: Vec<RehearsedValueJson>,
}

/// A value before and after.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RehearsedValueJson {
    column: String,
    /// Null for NULL, and for a row that was not there.
    before: Option<String>,
    after: Option<String>,
}

/// Whether something must be looked at before the migrations run.
pub(super) fn has_findings(found: &[Rehearsal]) -> bool {
    found.iter().any(|one| one.statements.iter().any(Rehearsed::has_findings))
}

pub(super) fn show(found: &[Rehearsal], printer: &mut Printer) {
    for one in found {
        if let Some(why) = &one.skipped {
            printer.out(&format!("{} was not tried: {why}", one.migration));
            continue;
        }
        let head = format!("{}, tried and rolled back", one.migration);
        printer.out(&printer.styled_out(Style::Bold, &head));
        for statement in &one.statements {
            show_statement(statement, printer);
        }
    }
}

fn show_statement(one: &Rehearsed, printer: &mut Printer) {
    let head = format!("  statement {} (line {}): ", one.statement, one.line);
    if let Some((reason, lift)) = &one.refused {
        printer.out(&format!("{head}{reason}"));
        lift.iter().for_each(|lift| printer.out(&format!("    hint: {lift}")));
        return;
    }
    if let Some(error) = &one.error {
        printer.out(&format!("{head}failed: {error}"));
        return;
    }
    let rows = |count: u64| plural(usize::try_from(count).unwrap_or(usize::MAX), "row");
    let what = match one.whole {
        true => format!("in one piece, {} written", rows(one.rows_written)),
        false => {
            format!("{} of {}, {} written", rows(one.rows_read), one.table, one.rows_written)
        }
    };
    printer.out(&format!("{head}{what}"));
    if one.rows_bad > 0 {
        printer.out(&format!("    {} refused", rows(one.rows_bad)));
        for bad in &one.bad {
            printer.out(&format!("      {bad}"));
        }
    }
    let lines: Vec<Vec<String>> =
        one.rows.iter().take(ROWS_SHOWN_MAX).flat_map(|row| row_lines(row, one.kind)).collect();
    for line in table(&lines) {
        printer.out(&format!("    {line}"));
    }
    if one.rows.len() > ROWS_SHOWN_MAX {
        let more = plural(one.rows.len() - ROWS_SHOWN_MAX, "row");
        printer.out(&format!("    and {more} more"));
    }
}

/// A line for each column: key, column, before, after.
fn row_lines(row: &RehearsedRow, kind: &str) -> Vec<Vec<String>> {
    let shown = |value: &Option<String>| match value {
        None => "NULL".to_owned(),
        Some(text) => {
            let mut short: String = text.escape_debug().take(VALUE_CHARS_MAX).collect();
            if text.chars().count() > VALUE_CHARS_MAX {
                short.push_str("...");
            }
            format!("'{short}'")
        }
    };
    row.values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let key = if at == 0 { row.key.clone() } else { String::new() };
            let (before, after) = match kind {
                "insert" => ("(new)".to_owned(), shown(&value.after)),
                "delete" => (shown(&value.before), "(deleted)".to_owned()),
                _ => (shown(&value.before), shown(&value.after)),
            };
            vec![key, value.column.clone(), before, format!("-> {after}")]
        })
        .collect()
}

pub(super) fn to_json(found: &[Rehearsal]) -> Vec<RehearsalJson> {
    found
        .iter()
        .map(|one| RehearsalJson {
            migration: one.migration.clone(),
            skipped: one.skipped.clone(),
            statements: one.statements.iter().map(statement_json).collect(),
        })
        .collect()
}

fn statement_json(one: &Rehearsed) -> RehearsedJson {
    let value = |value: &whimbrel_engine::RehearsedValue| RehearsedValueJson {
        column: value.column.clone(),
        before: value.before.clone(),
        after: value.after.clone(),
    };
    RehearsedJson {
        statement: one.statement,
        line: one.line,
        table: one.table.clone(),
        whole: one.whole,
        rows_read: one.rows_read,
        rows_written: one.rows_written,
        rows_bad: one.rows_bad,
        bad: one.bad.clone(),
        refused: one.refused.as_ref().map(|(reason, _)| reason.clone()),
        lift: one.refused.as_ref().and_then(|(_, lift)| lift.clone()),
        error: one.error.clone(),
        rows: one
            .rows
            .iter()
            .map(|row| RehearsedRowJson {
                key: row.key.clone(),
                values: row.values.iter().map(value).collect(),
            })
            .collect(),
    }
}
