use serde::Serialize;
use whimbrel_core::compare::State;
use whimbrel_core::directory::Severity;
use whimbrel_core::ledger::Direction;
use whimbrel_engine::{
    BackupsLine, DataProgress, KeptDatabase, KeptSpace, StatusLine, StatusReport,
};

use super::text::{bytes, plural, table, time};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::{Format, Style};

/// Show what is applied, what is pending and who is at it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End with code 3 if anything is pending, changed or interrupted
    #[arg(long)]
    check: bool,
    /// Show also what was ignored in the folders, and why
    #[arg(long)]
    all: bool,
}

/// The JSON of `status`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct StatusJson {
    /// Address without secrets.
    database: String,
    /// `sqlite`, `postgres` or `mysql`.
    dialect: String,
    /// Whose conventions the project follows.
    format: String,
    /// UUID of the database, if it has a ledger.
    database_id: Option<String>,
    /// Migrations that are in the database.
    applied: usize,
    /// Migrations that are pending or were interrupted.
    pending: usize,
    /// The run in progress.
    running: Option<RunningJson>,
    /// What is kept for the way back, if anything is.
    kept: Option<KeptJson>,
    /// Every migration in order; those without a file last.
    migrations: Vec<MigrationJson>,
    /// What is wrong with the files or worth knowing about them.
    issues: Vec<IssueJson>,
    /// Restores in place of this database, oldest first.
    restores: Vec<RestoreJson>,
    /// The backup of which a restore is filling this database, or has left it half filled.
    restoring: Option<String>,
    /// The backups of this database.
    backups: BackupsJson,
}

/// The backups of a database.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct BackupsJson {
    /// How many there are, damaged ones among them.
    count: usize,
    /// Bytes of their files and of databases that restores have replaced.
    bytes: u64,
    /// The newest that is not damaged.
    last: Option<LastJson>,
    /// The newest run with a backup that can be restored.
    rollback: Option<RollbackJson>,
    /// Why they cannot be looked at.
    problem: Option<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct LastJson {
    /// Id.
    id: String,
    /// When it was made, in milliseconds since 1970.
    created_ms: i64,
    /// When it was restored and compared last, in milliseconds since 1970.
    verified_ms: Option<i64>,
    /// Until when it is kept, in milliseconds since 1970.
    expires_ms: i64,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RollbackJson {
    /// The run.
    run_id: String,
    /// The backup that was made before it.
    backup: String,
}

/// A restore in place.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RestoreJson {
    /// Its run.
    run_id: String,
    /// The backup.
    backup: String,
    /// When it began, in milliseconds since 1970.
    began_ms: i64,
    /// It was interrupted: the same command goes on, `--take-back` takes it back.
    interrupted: bool,
    /// The database was replaced.
    replaced: bool,
    /// Where the database that it replaced is kept.
    kept: String,
    /// Its bytes.
    bytes: u64,
}

/// What the undo tables occupy.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct KeptJson {
    /// How many there are.
    tables: u64,
    /// About how many rows are in them, where the database can say so at once.
    rows: Option<u64>,
    /// Their bytes, where the database can say so at once.
    bytes: Option<u64>,
}

/// A run in progress.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RunningJson {
    /// `user@host`.
    owner: String,
    /// Process id on that host.
    pid: u32,
    /// What it does.
    verb: String,
    /// For how long, in milliseconds.
    held_ms: i64,
    /// Migrations done and in all.
    done: u64,
    total: u64,
    /// What is being done.
    step: String,
}

/// One migration.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct MigrationJson {
    name: String,
    version: String,
    /// `schema` or `data`.
    kind: String,
    /// `applied`, `pending`, `interrupted`, ...
    state: String,
    /// Milliseconds since 1970 by the server's clock.
    applied_at_ms: Option<i64>,
    applied_by: Option<String>,
    has_down: bool,
    /// How far its batches are, where some are done and others not.
    progress: Option<ProgressJson>,
}

/// How far the batches of a data migration are.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ProgressJson {
    /// The statement, from 1.
    statement: usize,
    /// Batches that are committed.
    batches: u64,
    /// Driving rows that are done.
    rows_read: u64,
    /// About how many there were at the beginning; 0 where that is not known.
    rows_estimated: u64,
    /// Driving rows set aside.
    rows_quarantined: u64,
    /// What stopped it last.
    stopped_by: Option<String>,
}

/// One thing about a file.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct IssueJson {
    /// `error`, `note` or `ignored`.
    severity: String,
    /// Stable code.
    code: String,
    path: String,
    message: String,
    hint: Option<String>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let report = project.status().await?;
    match context.printer.format() {
        Format::Json => {
            let value = envelope("status", to_json(&report));
            context.printer.json(&value, true);
        }
        Format::Human => show(&report, args.all, context),
    }
    let found = report.pending() > 0 || report.has_findings();
    Ok(if args.check && found { Exit::Findings } else { Exit::Done })
}

fn show(report: &StatusReport, all: bool, context: &mut Context) {
    let printer = &mut context.printer;
    let mut head = format!("{} ({}", report.database, report.dialect);
    if report.format != whimbrel_core::format::Format::Own.name() {
        head.push_str(&format!(", {} project", report.format));
    }
    head.push(')');
    if report.missing_database {
        head.push_str(", not made yet");
    } else if report.identity.is_none() {
        head.push_str(", no history yet");
    }
    printer.out(&printer.styled_out(Style::Bold, &head));
    if let Some(lease) = &report.lease {
        let (done, total) = lease.progress;
        printer.out(&format!(
            "running: `{}` by {} (pid {}) since {} s, at {done} of {total}: {}",
            lease.verb,
            lease.owner.actor,
            lease.owner.pid,
            lease.held_ms / 1_000,
            lease.step_now
        ));
    }
    let rows: Vec<Vec<String>> = report.migrations.iter().map(row).collect();
    for line in table(&rows) {
        printer.out(&format!("  {line}"));
    }
    for line in &report.migrations {
        if let Some(progress) = &line.progress {
            printer.out(&format!("  {}: {}", line.name, progress_text(progress)));
        }
    }
    if report.migrations.is_empty() {
        printer.out(&format!("  no migrations in {}/", report.folder));
    }
    for issue in &report.issues {
        let word = match issue.severity {
            Severity::Error => printer.styled(Style::Error, "error:"),
            Severity::Note => printer.styled(Style::Warning, "note:"),
            Severity::Ignored if all => printer.styled(Style::Dim, "ignored:"),
            Severity::Ignored => continue,
        };
        printer.err(&format!("{word} {}", issue.message));
        if let Some(hint) = &issue.hint {
            printer.note(&format!("{} {hint}", printer.styled(Style::Hint, "hint:")));
        }
    }
    for line in backups_text(&report.backups) {
        printer.out(&line);
    }
    match &report.restoring {
        Some((id, true)) => printer.out(&format!(
            "the tables of this database are away, as a restore of {id} in its place is at it or \
             was interrupted: `whimbrel backup restore {id} --in-place` goes on, `--take-back` \
             takes it back"
        )),
        Some((id, false)) => printer.out(&format!(
            "a restore of {id} into this database is at it, or was interrupted: \
             `whimbrel backup restore {id} --to URL --again` begins anew"
        )),
        None => {}
    }
    for one in &report.restores {
        printer.out(&restore_text(one));
    }
    let applied = report.migrations.len() - report.pending();
    printer.out(&format!("{applied} applied, {} pending", report.pending()));
    if let Some(kept) = &report.kept {
        printer.out(&format!("kept for the way back: {}", kept_text(kept)));
    }
    for text in report.migrations.iter().filter_map(next_step) {
        printer.note(&format!("{} {text}", printer.styled(Style::Hint, "hint:")));
    }
}

/// What to do about a migration that is neither applied as it stands nor pending.
fn next_step(line: &StatusLine) -> Option<String> {
    let name = &line.name;
    match &line.state {
        State::AppliedChanged => Some(format!(
            "`up` refuses as long as {name} is not what ran: put the file back and write a new \
             migration for the change, or run `whimbrel accept` if the database has the change"
        )),
        State::AppliedMissing => Some(format!(
            "{name} ran and its file is gone: bring the file back, for `down` and new databases"
        )),
        State::Partial { direction, in_doubt, .. } => {
            let verb = if *direction == Direction::Up { "up" } else { "down" };
            let doubt = if *in_doubt { "; a statement is in doubt" } else { "" };
            Some(format!("{name} was interrupted{doubt}: run `whimbrel {verb}` and it goes on"))
        }
        _ => None,
    }
}

/// `2 undo tables, about 120 rows, 16 KiB; ...`
fn kept_text(kept: &KeptSpace) -> String {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let mut text = plural(number(kept.tables), "undo table");
    if let Some(rows) = kept.rows {
        text.push_str(&format!(", about {}", plural(number(rows), "row")));
    }
    if let Some(count) = kept.bytes {
        text.push_str(&format!(", {}", bytes(count)));
    }
    text + " (`whimbrel purge` lets go of them)"
}

fn backups_text(backups: &BackupsLine) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(problem) = &backups.problem {
        lines.push(format!("backups: {problem}"));
    }
    if let Some(last) = &backups.last {
        let proven = match last.verified_ms {
            Some(at) => format!("verified {}", time(at)),
            None => "NOT verified".to_owned(),
        };
        lines.push(format!(
            "{} ({} bytes), the last {}, {proven}, kept until {}",
            plural(backups.count, "backup"),
            backups.bytes,
            last.id,
            time(last.expires_ms)
        ));
    }
    if let Some((run, backup)) = &backups.rollback {
        lines.push(format!("rollback of run {run} is possible: {backup}"));
    }
    lines
}

fn restore_text(one: &KeptDatabase) -> String {
    let (id, when, kept) = (&one.backup, time(one.began_ms), one.kept.display());
    match (one.interrupted, one.replaced) {
        (false, _) => format!(
            "restored from {id} at {when}; the database before it is kept: {kept} ({} bytes)",
            one.bytes
        ),
        (true, replaced) => {
            let now = if replaced { "the restored one" } else { "the old one" };
            format!(
                "a restore of {id} was interrupted at {when}; the database is {now}: \
                 `whimbrel backup restore {id} --in-place` goes on, `--take-back` takes it back"
            )
        }
    }
}

/// `statement 1: 3 batches, 90 of about 300 rows, 5 set aside; stopped by: ...`
fn progress_text(progress: &DataProgress) -> String {
    let mut text = format!("statement {}: {} batches, ", progress.statement, progress.batches);
    text.push_str(&match progress.rows_estimated.max(progress.rows_read) {
        all if progress.rows_estimated > 0 => {
            format!("{} of about {all} rows", progress.rows_read)
        }
        all => format!("{all} rows"),
    });
    if progress.rows_quarantined > 0 {
        text.push_str(&format!(", {} set aside", progress.rows_quarantined));
    }
    if let Some(reason) = &progress.stopped_by {
        text.push_str(&format!("; stopped by: {reason}"));
    }
    text
}

fn row(line: &StatusLine) -> Vec<String> {
    let state = match &line.state {
        State::Partial { steps_done, direction, .. } => {
            let way = if *direction == Direction::Up { "" } else { " (down)" };
            format!("{}{way}, {} done", line.state.name(), plural(*steps_done, "step"))
        }
        state => state.name().to_owned(),
    };
    let when = line.applied_at_ms.map(time).unwrap_or_default();
    vec![state, line.name.clone(), when, line.applied_by.clone().unwrap_or_default()]
}

fn to_json(report: &StatusReport) -> StatusJson {
    StatusJson {
        database: report.database.clone(),
        dialect: report.dialect.to_owned(),
        format: report.format.to_owned(),
        database_id: report.identity.as_ref().map(|one| one.database_id.clone()),
        applied: report.migrations.len() - report.pending(),
        pending: report.pending(),
        running: report.lease.as_ref().map(|lease| RunningJson {
            owner: lease.owner.actor.clone(),
            pid: lease.owner.pid,
            verb: lease.verb.clone(),
            held_ms: lease.held_ms,
            done: lease.progress.0,
            total: lease.progress.1,
            step: lease.step_now.clone(),
        }),
        kept: report.kept.as_ref().map(|kept| KeptJson {
            tables: kept.tables,
            rows: kept.rows,
            bytes: kept.bytes,
        }),
        migrations: report
            .migrations
            .iter()
            .map(|line| MigrationJson {
                name: line.name.clone(),
                version: line.version.clone(),
                kind: line.kind.clone(),
                state: line.state.name().to_owned(),
                applied_at_ms: line.applied_at_ms,
                applied_by: line.applied_by.clone(),
                has_down: line.has_down,
                progress: line.progress.as_ref().map(|one| ProgressJson {
                    statement: one.statement,
                    batches: one.batches,
                    rows_read: one.rows_read,
                    rows_estimated: one.rows_estimated,
                    rows_quarantined: one.rows_quarantined,
                    stopped_by: one.stopped_by.clone(),
                }),
            })
            .collect(),
        issues: report
            .issues
            .iter()
            .map(|issue| IssueJson {
                severity: match issue.severity {
                    Severity::Error => "error",
                    Severity::Note => "note",
                    Severity::Ignored => "ignored",
                }
                .to_owned(),
                code: issue.code.name().to_owned(),
                path: issue.path.clone(),
                message: issue.message.clone(),
                hint: issue.hint.clone(),
            })
            .collect(),
        backups: BackupsJson {
            count: report.backups.count,
            bytes: report.backups.bytes,
            last: report.backups.last.as_ref().map(|last| LastJson {
                id: last.id.clone(),
                created_ms: last.created_ms,
                verified_ms: last.verified_ms,
                expires_ms: last.expires_ms,
            }),
            rollback: report
                .backups
                .rollback
                .clone()
                .map(|(run_id, backup)| RollbackJson { run_id, backup }),
            problem: report.backups.problem.clone(),
        },
        restoring: report.restoring.as_ref().map(|(id, _)| id.clone()),
        restores: report
            .restores
            .iter()
            .map(|one| RestoreJson {
                run_id: one.run_id.clone(),
                backup: one.backup.clone(),
                began_ms: one.began_ms,
                interrupted: one.interrupted,
                replaced: one.replaced,
                kept: one.kept.display().to_string(),
                bytes: one.bytes,
            })
            .collect(),
    }
}
