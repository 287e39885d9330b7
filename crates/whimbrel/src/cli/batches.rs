//! Batches of a data migration, for people and as JSON.

use std::time::Instant;

use serde_json::{Value, json};
use whimbrel_engine::event::BatchProgress;

use crate::printer::Printer;

/// Columns of the bar.
const BAR_WIDTH: u64 = 20;

/// When the statement in progress began in this process, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    began: Instant,
    rows: u64,
}

/// Shows one message about batches.
pub(super) fn show(printer: &mut Printer, since: &mut Option<Since>, batch: &BatchProgress) {
    if batch.begins {
        *since = Some(Since { began: Instant::now(), rows: batch.rows_read });
        let name = &batch.migration;
        if batch.batches > 0 {
            printer.note(&format!(
                "{name}: going on after {} and {} rows of {}",
                plural_batches(batch.batches),
                batch.rows_read,
                batch.table
            ));
        } else if batch.rows_estimated > 0 {
            printer.detail(&format!(
                "{name}: statement {}: about {} rows of {}",
                batch.statement, batch.rows_estimated, batch.table
            ));
        }
        return;
    }
    let rate = since.map_or(0, |since| rate(batch, since));
    if batch.done {
        let mut line = format!(
            "      {}: statement {}: {} rows of {} in {}, {} written",
            batch.migration,
            batch.statement,
            batch.rows_read,
            batch.table,
            plural_batches(batch.batches),
            batch.rows_written
        );
        if rate > 0 {
            line.push_str(&format!(", {rate} rows/s"));
        }
        printer.note(&line);
        return;
    }
    let left = batch.rows_estimated.saturating_sub(batch.rows_read);
    let eta = left
        .checked_div(rate)
        .map_or_else(String::new, |seconds| format!(", {}:{:02} left", seconds / 60, seconds % 60));
    let quarantined = match batch.rows_quarantined {
        0 => String::new(),
        rows => format!(", {rows} quarantined"),
    };
    printer.progress(&format!(
        "{} {} {}/{} rows, {rate} rows/s{eta}, batch {}{quarantined}",
        batch.migration,
        bar(batch.rows_read, batch.rows_estimated),
        batch.rows_read,
        batch.rows_estimated,
        batch.batch_size,
    ));
}

fn rate(batch: &BatchProgress, since: Since) -> u64 {
    let rows = u128::from(batch.rows_read.saturating_sub(since.rows));
    let rate = (rows * 1_000).checked_div(since.began.elapsed().as_millis()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn plural_batches(count: u64) -> String {
    match count {
        1 => "1 batch".to_owned(),
        count => format!("{count} batches"),
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = (done.min(total) * BAR_WIDTH).checked_div(total).unwrap_or(0);
    let part = |sign: &str, count: u64| sign.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}]", part("#", filled), part(".", BAR_WIDTH - filled))
}

/// The same as JSON.
pub(super) fn to_json(batch: &BatchProgress) -> Value {
    json!({
        "event": "batch", "migration": batch.migration, "statement": batch.statement,
        "table": batch.table, "begins": batch.begins, "done": batch.done,
        "batches": batch.batches, "rows_read": batch.rows_read,
        "rows_written": batch.rows_written, "rows_quarantined": batch.rows_quarantined,
        "rows_missing": batch.rows_missing, "rows_estimated": batch.rows_estimated,
        "batch_size": batch.batch_size,
    })
}
