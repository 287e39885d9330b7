//! Errors as people and scripts see them: kind, words, advice, exit code.

mod backup;

use whimbrel_core::transfer::Refusal;
use whimbrel_engine::backend::DbErrorKind;
use whimbrel_engine::{EngineError, StatementFailure};

use crate::printer::{Printer, Style};

/// The exit codes, as documented in every command's help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// It failed; what was done is said.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// Findings, drift or pending migrations, where asked.
    Findings,
    /// A person must decide.
    Decision,
    /// Another run holds the lease.
    Held,
    /// A confirmation or a gate is missing.
    Unconfirmed,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Findings => 3,
            Exit::Decision => 4,
            Exit::Held => 5,
            Exit::Unconfirmed => 6,
            Exit::Interrupted => 130,
        }
    }
}

/// An error on its way to the user.
#[derive(Debug)]
pub struct CommandError {
    /// What the process ends with.
    pub exit: Exit,
    /// What is wrong, with which; capital, no final period.
    pub message: String,
    /// Further lines, as they are to be shown.
    pub lines: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl CommandError {
    /// An error of wrong usage or configuration.
    pub fn usage(message: impl Into<String>) -> CommandError {
        CommandError {
            exit: Exit::Usage,
            message: message.into(),
            lines: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The same error with one more piece of advice.
    pub fn hinted(mut self, hint: impl Into<String>) -> CommandError {
        self.hints.push(hint.into());
        self
    }

    /// The message, and what to do next, in one line.
    pub fn in_one_line(&self) -> String {
        let all = std::iter::once(&self.message).chain(&self.lines).chain(&self.hints);
        all.cloned().collect::<Vec<_>>().join(". ")
    }

    /// Shows it on standard error.
    pub fn print(&self, printer: &mut Printer) {
        let head = printer.styled(Style::Error, "error:");
        printer.err(&format!("{head} {}", self.message));
        for line in &self.lines {
            printer.err(&format!("  {line}"));
        }
        for hint in &self.hints {
            let head = printer.styled(Style::Hint, "hint:");
            printer.err(&format!("{head} {hint}"));
        }
    }

    /// The same as a JSON value.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema_version": 1,
            "error": {
                "exit_code": self.exit.code(),
                "message": self.message,
                "details": self.lines,
                "hints": self.hints,
            }
        })
    }
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> CommandError {
        let (exit, lines, hints) = explain(&error);
        CommandError { exit, message: error.to_string(), lines, hints }
    }
}

type Explained = (Exit, Vec<String>, Vec<String>);

fn explain(error: &EngineError) -> Explained {
    match error {
        EngineError::Connect { error, label } => {
            let mut hints: Vec<String> = error.hint.iter().cloned().collect();
            hints.extend(missing_folder(label));
            hints.push("`whimbrel doctor --explain` says where the address comes from".to_owned());
            let detail = error.detail.iter().cloned().collect();
            (Exit::Failed, detail, hints)
        }
        EngineError::Database(error) => {
            let lines = [&error.detail, &error.hint].into_iter().flatten().cloned().collect();
            let hint = "Run the same command again; it goes on where it stopped".to_owned();
            (Exit::Failed, lines, vec![hint])
        }
        EngineError::Statement(failure) => statement(failure),
        EngineError::VerifyFailed { facts, rolled_back, finished, .. } => {
            let mut lines: Vec<String> = facts.iter().map(fact_text).collect();
            lines.push(kept(finished, 0));
            let exit = if *rolled_back { Exit::Failed } else { Exit::Findings };
            (exit, lines, vec!["Correct the migration and run `whimbrel up` again".to_owned()])
        }
        EngineError::ForeignKeys { violations, finished, .. } => {
            let mut lines: Vec<String> = violations
                .iter()
                .map(|one| {
                    format!(
                        "{} rows of `{}` point to rows of `{}` that do not exist (rowid {})",
                        one.rows,
                        one.child,
                        one.parent,
                        one.sample.join(", ")
                    )
                })
                .collect();
            lines.push(kept(finished, 0));
            let hint = "Add the missing parents or remove the rows in the migration, then run \
                        `whimbrel up` again";
            (Exit::Failed, lines, vec![hint.to_owned()])
        }
        other => explain_state(other),
    }
}

/// Says so when a SQLite file cannot be there because its folder is not.
fn missing_folder(label: &str) -> Option<String> {
    let folder = std::path::Path::new(label).parent()?;
    let missing = !label.contains("://") && !folder.as_os_str().is_empty() && !folder.exists();
    missing.then(|| format!("There is no folder `{}`", folder.display()))
}

fn copy_refused(refusals: &[Refusal]) -> Explained {
    let lines = refusals.iter().map(|one| format!("`{}`: {}", one.table, one.message)).collect();
    let mut hints: Vec<String> = Vec::new();
    for one in refusals {
        if !hints.contains(&one.hint) {
            hints.push(one.hint.clone());
        }
    }
    (Exit::Failed, lines, hints)
}

fn explain_state(error: &EngineError) -> Explained {
    match error {
        EngineError::LeaseHeld { info, waited } => {
            let mut lines = Vec::new();
            if let Some(info) = info {
                lines.push(format!(
                    "{} (pid {}) has held it for {} s with `{}`",
                    info.owner.actor,
                    info.owner.pid,
                    info.held_ms / 1_000,
                    info.verb
                ));
                let (done, total) = info.progress;
                lines.push(format!("It is at {done} of {total}: {}", info.step_now));
            }
            let hint = format!(
                "Waited {} s; wait longer with `--wait SECONDS`, or look with `whimbrel status`",
                waited.as_secs()
            );
            (Exit::Held, lines, vec![hint])
        }
        EngineError::LeaseLost => {
            let hint = "This process was paused for longer than its lease. Run the command again";
            (Exit::Held, Vec::new(), vec![hint.to_owned()])
        }
        EngineError::LedgerTooNew { tool_version, .. } => {
            let hint = format!("Use Whimbrel {tool_version} or later with this database");
            (Exit::Usage, Vec::new(), vec![hint])
        }
        EngineError::NoHistory { tables } => {
            let mut lines = Vec::new();
            if tables.len() > 1 {
                let few: Vec<&str> = tables.iter().take(10).map(String::as_str).collect();
                lines.push(format!("Tables: {}", few.join(", ")));
            }
            let hints = vec![
                "If some of the migrations are in it already, run \
                 `whimbrel baseline --to VERSION` with the last of them"
                    .to_owned(),
                "If none of them is (the tables are older than the first migration), run \
                 `whimbrel baseline --to 0`"
                    .to_owned(),
            ];
            (Exit::Decision, lines, hints)
        }
        EngineError::CopyRefused(refusals) => copy_refused(refusals),
        EngineError::CopyValues(found) => {
            let lines = found.iter().map(crate::cli::copy::loss_text).collect();
            let hints = vec![
                "Nothing of these rows was copied; correct them at the source, or change the \
                 target's type (docs/reference/type-mappings.md)"
                    .to_owned(),
                "`whimbrel copy --dry-run` lists all of them".to_owned(),
            ];
            (Exit::Failed, lines, hints)
        }
        EngineError::CopyRefusedRows { error, .. } => {
            let lines = [&error.detail, &error.hint].into_iter().flatten().cloned().collect();
            let hint = "The transaction with these rows was rolled back; the same command goes on \
                        once they fit";
            (Exit::Failed, lines, vec![hint.to_owned()])
        }
        EngineError::Files(problems) | EngineError::Changed(problems) => {
            let mut lines = Vec::new();
            let mut hints = Vec::new();
            // The message of a single problem stands in the first line already.
            let single = problems.len() == 1;
            for problem in problems {
                let place = problem
                    .place
                    .map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
                lines.push(match single {
                    true => format!("--> {}{place}", problem.path),
                    false => format!("{}{place}: {}", problem.path, problem.message),
                });
                hints.extend(problem.hint.clone().filter(|hint| !hints.contains(hint)));
            }
            let changed = matches!(error, EngineError::Changed(_));
            (if changed { Exit::Decision } else { Exit::Usage }, lines, hints)
        }
        EngineError::NeedsDecision(undecided) => {
            let place = format!("{} line {}", undecided.migration, undecided.line);
            let first = undecided.text.lines().next().unwrap_or_default();
            let lines =
                vec![format!("{place}: {first}"), format!("Evidence: {}", undecided.evidence)];
            let step = format!("{}:{}", undecided.migration, undecided.statement);
            let hints = vec![
                "Look into the database. If the statement's effect is there, run".to_owned(),
                format!("    whimbrel resolve {step} --happened"),
                "and if it is not, so that it must be sent again,".to_owned(),
                format!("    whimbrel resolve {step} --retry"),
            ];
            (Exit::Decision, lines, hints)
        }
        EngineError::NotConfirmed { phrase } => {
            let hint = format!("Without a terminal, pass `--confirm '{phrase}'`");
            (Exit::Unconfirmed, Vec::new(), vec![hint])
        }
        EngineError::MoreLost { .. } => {
            let line = "Rows were written after they were counted; nothing of this statement stays";
            let hint = "Run the same command again; it counts and asks anew";
            (Exit::Unconfirmed, vec![line.to_owned()], vec![hint.to_owned()])
        }
        EngineError::NotAnswered { .. } => {
            let hint = "Without a terminal, pass `--yes`";
            (Exit::Unconfirmed, Vec::new(), vec![hint.to_owned()])
        }
        EngineError::UndoConflicts { migration, shown, .. } => {
            let lines = shown.iter().map(crate::cli::undo::conflict_text).collect();
            let hints = vec![
                "Nothing of these rows was taken back. To leave them and take back the rest, run"
                    .to_owned(),
                format!("    whimbrel undo {migration} --on-conflict skip"),
                "and to overwrite them as well,".to_owned(),
                format!("    whimbrel undo {migration} --on-conflict force"),
            ];
            (Exit::Decision, lines, hints)
        }
        EngineError::TooManyErrors { last, .. } => {
            let lines = vec![format!("The last one: {last}")];
            let hints = vec![
                "See them with `whimbrel quarantine list`; correct the rows or the statement and \
                 run `whimbrel up` again, or allow more with `errors-max=`"
                    .to_owned(),
            ];
            (Exit::Failed, lines, hints)
        }
        EngineError::BreakerOpen { what, last, .. } => {
            let lines = vec![
                format!("The last one: {last}"),
                "What is committed stays; the batch in progress was rolled back".to_owned(),
            ];
            let hint = if *what == "rows" {
                "Correct the rows or the statement and run `whimbrel up` again; if so many bad \
                 rows are expected, say how many with `errors-max=`"
            } else {
                "Look for what holds the locks (`whimbrel status`), then run `whimbrel up` again; \
                 it goes on"
            };
            (Exit::Failed, lines, vec![hint.to_owned()])
        }
        EngineError::BackupDamaged { damage, .. } => {
            let lines = damage.iter().map(ToString::to_string).collect();
            let hint = "Nothing was changed. `whimbrel backup list` shows the other backups";
            (Exit::Failed, lines, vec![hint.to_owned()])
        }
        EngineError::ProgramMissing { package, .. } => {
            let hint = format!("On Debian and Ubuntu: `apt install {package}`");
            (Exit::Usage, Vec::new(), vec![hint])
        }
        EngineError::Program { said, .. } => {
            (Exit::Failed, said.lines().map(str::to_owned).collect(), Vec::new())
        }
        EngineError::BackupLeavesOut { .. } => {
            let hint = "If it can be done without, name each with `--leave-out NAME`";
            (Exit::Usage, Vec::new(), vec![hint.to_owned()])
        }
        EngineError::RestoreInterrupted { id, .. } => {
            let hint = format!("`whimbrel backup restore {id} --to URL --again` begins it anew");
            (Exit::Usage, Vec::new(), vec![hint])
        }
        EngineError::Store { fault, .. } => backup::store_refused(*fault),
        EngineError::Stopped => (Exit::Interrupted, Vec::new(), Vec::new()),
        EngineError::BackupKey { .. }
        | EngineError::BackupSigner { .. }
        | EngineError::BackupUnsealed
        | EngineError::BackupBeforeUp
        | EngineError::BackupExpired { .. } => backup::refused(error),
        EngineError::OtherDatabase { backup, database, .. } => {
            backup::other_database(backup, database)
        }
        EngineError::WrongEnvironment { .. } => {
            let hint = "Check the URL, or name the environment that the database belongs to with \
                        `--env`";
            (Exit::Usage, Vec::new(), vec![hint.to_owned()])
        }
        EngineError::NotFound(_) | EngineError::Refused(_) | EngineError::File { .. } => {
            (Exit::Usage, Vec::new(), Vec::new())
        }
        _ => (Exit::Failed, Vec::new(), Vec::new()),
    }
}

/// One fact as a line.
pub fn fact_text(fact: &whimbrel_engine::FactLine) -> String {
    use whimbrel_core::verify::Verdict;
    let claim = format!("{} {} {}", fact.kind, fact.subject, fact.detail);
    let claim = claim.trim_end();
    match &fact.verdict {
        Verdict::Holds => format!("ok       {claim}"),
        Verdict::Fails { found } => format!("FAILED   {claim}: {found}"),
        Verdict::NotChecked { reason } => format!("not checked  {claim}: {reason}"),
    }
}

fn statement(failure: &StatementFailure) -> Explained {
    let path = if failure.path.is_empty() { &failure.migration } else { &failure.path };
    let mut lines = vec![format!("--> {path}:{}:{}", failure.line, failure.column)];
    lines.extend(excerpt(failure));
    lines.push(format!("= {}", failure.error));
    for (word, text) in [("detail", &failure.error.detail), ("advice", &failure.error.hint)] {
        if let Some(text) = text {
            lines.push(format!("= {word} of the database: {text}"));
        }
    }
    for blocker in &failure.blockers {
        lines.push(format!("= waited for {blocker}"));
    }
    lines.push(kept(&failure.finished, failure.steps_kept));
    let mut hints = Vec::new();
    if failure.error.kind == DbErrorKind::Timeout {
        hints.push(
            "If it may take longer, write `-- whimbrel: statement-timeout=10m` before it, or pass \
             `--statement-timeout`; `0` is no limit"
                .to_owned(),
        );
    }
    hints.push("Correct it and run the same command again; it goes on from there".to_owned());
    (Exit::Failed, lines, hints)
}

/// Most lines of a statement that are shown around an error.
const EXCERPT_LINES_MAX: usize = 7;
/// Most characters of one line that are shown.
const EXCERPT_CHARS_MAX: usize = 160;

/// The statement's lines around the error, with a caret under the place.
fn excerpt(failure: &StatementFailure) -> Vec<String> {
    let lines: Vec<&str> = failure.text.lines().collect();
    let marked = usize::try_from(failure.line.saturating_sub(failure.first_line)).unwrap_or(0);
    let from = marked.saturating_sub(EXCERPT_LINES_MAX / 2);
    let width = (failure.first_line as usize + lines.len()).to_string().len();
    let mut out = vec![format!("{:width$} |", "")];
    for (index, line) in lines.iter().enumerate().skip(from).take(EXCERPT_LINES_MAX) {
        let number = failure.first_line as usize + index;
        let shown: String = line.replace('\t', " ").chars().take(EXCERPT_CHARS_MAX).collect();
        // The statement's first line starts where the statement does, not at the margin.
        out.push(format!("{number:width$} | {shown}"));
        if index == marked {
            let column = caret_column(failure, index);
            out.push(format!("{:width$} | {:column$}^", "", ""));
        }
    }
    if from + EXCERPT_LINES_MAX < lines.len() {
        out.push(format!("{:width$} | ...", ""));
    }
    out
}

/// Characters before the caret in the shown line.
fn caret_column(failure: &StatementFailure, line: usize) -> usize {
    let Some(offset) = failure.offset else { return 0 };
    let before = failure.text.get(..offset).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    debug_assert_eq!(before.matches('\n').count(), line);
    before.get(start..).unwrap_or_default().chars().count().min(EXCERPT_CHARS_MAX)
}

/// What stays of the run.
fn kept(finished: &[String], steps_kept: usize) -> String {
    let before = match finished {
        [] => "Nothing was applied before it by this run".to_owned(),
        [one] => format!("Applied before it: `{one}`"),
        [.., last] => {
            format!("Applied before it: {} migrations, the last `{last}`", finished.len())
        }
    };
    match steps_kept {
        0 => format!("{before}. Nothing of the failed migration stays"),
        1 => format!("{before}. One step of the failed migration stays and is not repeated"),
        many => format!("{before}. {many} steps of the failed migration stay and are not repeated"),
    }
}
