//! What happens during a run, for people and as NDJSON.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, TryRecvError};

use serde_json::{Value, json};
use whimbrel_core::verify::Verdict;
use whimbrel_engine::event::{Event, Events};
use whimbrel_engine::{Answer, FactLine, RollbackStage};

use super::ask::{Asking, read_line};
use super::{batches, copy, ends, purge, rollback, text::plural};
use crate::error::fact_text;
use crate::printer::{Format, Printer, Style};

/// Rows set aside that are named one by one; the rest is in the quarantine's list.
const SET_ASIDE_SHOWN_MAX: u64 = 20;

/// Shows events as they come.
pub(super) struct EventPrinter<'a> {
    printer: &'a mut Printer,
    batches: Option<batches::Since>,
    /// Rows that were set aside in this run.
    set_aside: u64,
    answer: Option<Receiver<Option<String>>>,
    asking: Asking,
}

impl<'a> EventPrinter<'a> {
    /// Shows events with `printer`.
    pub(super) fn new(printer: &'a mut Printer) -> EventPrinter<'a> {
        EventPrinter::asking(printer, Asking::default())
    }

    /// The same; `asking` says how questions are answered.
    pub(super) fn asking(printer: &'a mut Printer, asking: Asking) -> EventPrinter<'a> {
        EventPrinter { printer, batches: None, set_aside: 0, answer: None, asking }
    }
}

impl Events for EventPrinter<'_> {
    fn send(&mut self, event: Event) {
        match self.printer.format() {
            Format::Json => self.printer.json(&to_json(&event), false),
            Format::Human => self.human(&event),
        }
    }

    fn may_go_on(&mut self, next: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() {
            return Some(false);
        }
        let Some(answer) = &self.answer else {
            self.printer.err(&format!("Next is {next}. Enter goes on, Ctrl-C stops here"));
            self.answer = Some(read_line());
            return None;
        };
        match answer.try_recv() {
            Err(TryRecvError::Empty) => None,
            Ok(line) => {
                self.answer = None;
                Some(line.is_some())
            }
            Err(TryRecvError::Disconnected) => Some(false),
        }
    }

    fn agrees(&mut self, stage: &RollbackStage) -> Option<Answer> {
        self.asking.ask(self.printer, stage.phrase.as_deref())
    }
}

impl EventPrinter<'_> {
    fn human(&mut self, event: &Event) {
        match event {
            Event::MigrationStarted { name, index, total, steps_done, down } => {
                let verb = if *down { "taking back" } else { "applying" };
                self.printer.progress(&format!("[{index}/{total}] {verb} {name}"));
                if *steps_done > 0 {
                    let steps = plural(*steps_done, "step");
                    self.printer.note(&format!("{name}: going on, {steps} done by an earlier run"));
                }
            }
            Event::StepStarted { migration, step, steps, what } => {
                let line = format!("{migration}: step {step} of {steps}: {what}");
                if self.printer.is_verbose() {
                    self.printer.detail(&line);
                } else if *steps > 1 {
                    self.printer.progress(&line);
                }
            }
            Event::MigrationDone { name, duration_ms, facts, down, statements } => {
                let sign = self.printer.styled(Style::Good, if *down { "back" } else { "ok" });
                let verified = match facts.len() {
                    _ if *statements == 0 => ", no statement in it, only recorded".to_owned(),
                    0 => String::new(),
                    count => {
                        format!(", {} verified{}", plural(count, "fact"), verified_objects(facts))
                    }
                };
                self.printer.note(&format!("{sign:>4}  {name} ({duration_ms} ms{verified})"));
                if self.printer.is_verbose() {
                    for fact in facts {
                        self.printer.detail(&format!("        {}", fact_text(fact)));
                    }
                }
            }
            other => self.exceptional(other),
        }
    }

    fn exceptional(&mut self, event: &Event) {
        let warning = self.printer.styled(Style::Warning, "warning:");
        match event {
            Event::LeaseWaiting { holder } => {
                let who = holder.as_ref().map_or_else(
                    || "another process".to_owned(),
                    |info| format!("{} (pid {})", info.owner.actor, info.owner.pid),
                );
                self.printer.note(&format!("waiting for the run of {who}"));
            }
            Event::Reconciled { tool, taken_over, written } => {
                if !taken_over.is_empty() {
                    let count = plural(taken_over.len(), "migration");
                    self.printer.note(&format!("took over {count} that {tool} had applied"));
                }
                if !written.is_empty() {
                    let count = plural(written.len(), "migration");
                    self.printer.note(&format!("told {tool} of {count} that were applied here"));
                }
            }
            Event::Recovered { migration, statement, happened, evidence } => {
                let answer = if *happened { "had happened" } else { "had not happened" };
                self.printer.note(&format!(
                    "{migration}: the interrupted statement {statement} {answer}: {evidence}"
                ));
            }
            Event::StatementSkipped { migration, line, reason } => {
                self.printer.note(&format!("{migration}:{line}: not sent: {reason}"));
            }
            Event::Notice { migration, line, notice } => {
                let severity = notice.severity.to_lowercase();
                self.printer.note(&format!("{migration}:{line}: {severity}: {}", notice.message));
            }
            Event::Retrying { migration, attempt, delay_ms, reason, blockers } => {
                self.printer.note(&format!(
                    "{warning} {migration}: {reason}; try {attempt} in {delay_ms} ms"
                ));
                for blocker in blockers {
                    self.printer.note(&format!("  waiting for {blocker}"));
                }
            }
            Event::Kept { migration, what, rows, .. } => {
                self.printer
                    .note(&format!("{migration}: kept {what} ({rows} rows) for the way back"));
            }
            Event::BackedUp { id, bytes, unproven, .. } => {
                let proof = match unproven {
                    None => "restored and compared".to_owned(),
                    Some(reason) => {
                        format!("NOT restored, as a scratch database cannot be made: {reason}")
                    }
                };
                self.printer.note(&format!("saved as {id} ({bytes} bytes, {proof})"));
            }
            Event::Restored { migration, what, rows } => {
                self.printer.note(&format!("{migration}: {what} is back ({rows} rows)"));
            }
            Event::Held { migration, signal, value, threshold, held_ms } => {
                let since = match held_ms / 1_000 {
                    0 => String::new(),
                    seconds => format!(", for {seconds} s now"),
                };
                self.printer
                    .note(&format!("{migration}: held by {signal}: {value} ({threshold}){since}"));
            }
            Event::Released { migration, signal, held_ms } => {
                let seconds = held_ms / 1_000;
                self.printer.note(&format!("{migration}: {signal} let go after {seconds} s"));
            }
            Event::Reconnected { reason } => {
                self.printer.note(&format!("{warning} connection made again after: {reason}"));
            }
            Event::GroupAgain { migrations, reason } => {
                let count = plural(*migrations, "migration");
                self.printer.note(&format!("{warning} running {count} one by one: {reason}"));
            }
            Event::RunsWhole { migration, line, reason } => {
                self.printer.detail(&format!("{migration}:{line}: runs in one go: {reason}"));
            }
            Event::Batch(batch) => batches::show(self.printer, &mut self.batches, batch),
            Event::Quarantined { migration, table, key, reason } => {
                self.set_aside += 1;
                if self.set_aside <= SET_ASIDE_SHOWN_MAX {
                    self.printer.note(&format!(
                        "{warning} {migration}: {table} row {key} set aside: {reason}"
                    ));
                } else if self.set_aside == SET_ASIDE_SHOWN_MAX + 1 {
                    self.printer.note(&format!(
                        "{warning} {migration}: more rows are set aside; when the run has ended, \
                         `whimbrel quarantine list` shows them"
                    ));
                }
            }
            Event::Compared { migration, statement, found, .. } => {
                for line in ends::lines(found) {
                    let line = format!("{migration}: statement {statement}: {line}");
                    match found.is_same() {
                        true => self.printer.detail(&line),
                        false => self.printer.note(&line),
                    }
                }
            }
            Event::Judging { what, rows } => {
                self.printer.progress(&format!("judging {what}: {rows} rows"));
            }
            Event::Faking { table, rows, wanted } => {
                self.printer.progress(&format!("filling {table}: {rows} of {wanted} rows"));
            }
            Event::Violated(one) => {
                self.printer
                    .note(&format!("{warning} {}: {}: {}", one.table, one.rule, one.message));
            }
            Event::Copying(one) => copy::show_progress(self.printer, one),
            Event::RollingBack(stage) => rollback::show(self.printer, stage),
            Event::Purged(item) => self.printer.note(&format!("let go of {}", item.kept_as)),
            Event::MigrationStarted { .. }
            | Event::StepStarted { .. }
            | Event::MigrationDone { .. } => {}
        }
    }
}

fn to_json(event: &Event) -> Value {
    let mut value = match event {
        Event::LeaseWaiting { holder } => json!({
            "event": "lease-waiting",
            "holder": holder.as_ref().map(|info| info.owner.actor.clone()),
            "pid": holder.as_ref().map(|info| info.owner.pid),
        }),
        Event::Reconciled { tool, taken_over, written } => json!({
            "event": "reconciled", "tool": tool, "taken_over": taken_over, "written": written,
        }),
        Event::Recovered { migration, statement, happened, evidence } => json!({
            "event": "recovered", "migration": migration, "statement": statement,
            "happened": happened, "evidence": evidence,
        }),
        Event::MigrationStarted { name, index, total, steps_done, down } => json!({
            "event": "migration-started", "migration": name, "index": index, "total": total,
            "steps_done": steps_done, "direction": direction(*down),
        }),
        Event::StatementSkipped { migration, line, reason } => json!({
            "event": "statement-skipped", "migration": migration, "line": line, "reason": reason,
        }),
        Event::StepStarted { migration, step, steps, what } => json!({
            "event": "step-started", "migration": migration, "step": step, "steps": steps,
            "what": what,
        }),
        Event::Notice { migration, line, notice } => json!({
            "event": "notice", "migration": migration, "line": line,
            "severity": notice.severity, "code": notice.code, "message": notice.message,
        }),
        Event::Retrying { migration, attempt, delay_ms, reason, blockers } => json!({
            "event": "retrying", "migration": migration, "attempt": attempt,
            "delay_ms": as_u64(*delay_ms), "reason": reason, "blockers": blockers,
        }),
        Event::Held { migration, signal, value, threshold, held_ms } => json!({
            "event": "held", "migration": migration, "signal": signal, "value": value,
            "threshold": threshold, "held_ms": as_u64(*held_ms),
        }),
        Event::Released { migration, signal, held_ms } => json!({
            "event": "released", "migration": migration, "signal": signal,
            "held_ms": as_u64(*held_ms),
        }),
        Event::Kept { migration, what, rows, kept_as } => json!({
            "event": "kept", "migration": migration, "what": what, "rows": rows,
            "kept_as": kept_as,
        }),
        Event::BackedUp { id, bytes, expires_ms, unproven } => json!({
            "event": "backed-up", "backup": id, "bytes": bytes, "expires_ms": expires_ms,
            "unproven": unproven,
        }),
        Event::Restored { migration, what, rows } => json!({
            "event": "restored", "migration": migration, "what": what, "rows": rows,
        }),
        Event::Judging { what, rows } => json!({
            "event": "judging", "what": what, "rows": rows,
        }),
        Event::Faking { table, rows, wanted } => json!({
            "event": "faking", "table": table, "rows": rows, "wanted": wanted,
        }),
        Event::Violated(violation) => super::validate::violation_line(violation),
        Event::Reconnected { reason } => json!({ "event": "reconnected", "reason": reason }),
        Event::MigrationDone { name, duration_ms, statements, facts, down } => json!({
            "event": "migration-done", "migration": name, "duration_ms": as_u64(*duration_ms),
            "statements": statements, "facts_verified": facts.len(),
            "direction": direction(*down),
        }),
        Event::RunsWhole { migration, line, reason } => json!({
            "event": "runs-whole", "migration": migration, "line": line, "reason": reason,
        }),
        Event::Batch(batch) => batches::to_json(batch),
        Event::Copying(one) => copy::progress_json(one),
        Event::RollingBack(stage) => rollback::stage_json(stage),
        Event::Purged(item) => json!({ "event": "purged", "item": purge::item_json(item) }),
        Event::Quarantined { migration, table, key, reason } => json!({
            "event": "quarantined", "migration": migration, "table": table, "key": key,
            "reason": reason,
        }),
        Event::Compared { migration, statement, table, found } => json!({
            "event": "compared", "migration": migration, "statement": statement, "table": table,
            "found": ends::to_json(found),
        }),
        Event::GroupAgain { migrations, reason } => json!({
            "event": "group-again", "migrations": migrations, "reason": reason,
        }),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("schema_version".to_owned(), json!(1));
    }
    value
}

/// `: 1 table, 2 indexes, 1 foreign key, 1 cascade`.
fn verified_objects(facts: &[FactLine]) -> String {
    const KINDS: [(&str, &str); 6] = [
        ("table", "table"),
        ("index", "index"),
        ("foreign key", "foreign key"),
        ("cascade", "cascade"),
        ("view", "view"),
        ("trigger", "trigger"),
    ];
    let mut parts = Vec::new();
    for (kind, noun) in KINDS {
        let of_kind = || facts.iter().filter(|fact| fact.kind == kind);
        let held = of_kind().filter(|fact| matches!(fact.verdict, Verdict::Holds)).count();
        let open = of_kind().count() - held;
        if held > 0 {
            let text = plural(held, noun);
            parts.push(if noun == "index" { text.replace("indexs", "indexes") } else { text });
        }
        if kind == "cascade" && open > 0 {
            parts.push(format!("{} declared, not exercised", plural(open, noun)));
        }
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

fn direction(down: bool) -> &'static str {
    if down { "down" } else { "up" }
}

fn as_u64(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
