use serde::Serialize;
use whimbrel_core::judgement::Severity;
use whimbrel_engine::backend::DbError;
use whimbrel_engine::{Check, EngineError};

use super::text::table;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::Format;

/// How far advice is set in, under the line that it belongs to.
const ADVICE_INDENT: usize = 9;

/// Check connection, server and settings
///
/// Each line is good, a note, a warning with what to do, or bad. Ends with code 3 if a run would
/// fail.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show also where each setting comes from
    #[arg(long)]
    explain: bool,
}

/// The JSON of `doctor`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DoctorJson {
    checks: Vec<CheckJson>,
    /// Settings with their origins.
    settings: Vec<SettingJson>,
}

/// One check.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct CheckJson {
    name: String,
    value: String,
    /// `good`, `note`, `warning` or `bad`.
    state: String,
    /// What to do, where there is something to do.
    advice: Option<String>,
}

/// One setting.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SettingJson {
    pub(crate) name: String,
    /// The value, without secrets.
    pub(crate) value: String,
    /// Where it comes from.
    pub(crate) origin: String,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let checks = match project.doctor().await {
        // Where the address comes from is asked for when it leads nowhere.
        Err(EngineError::Connect { label, error }) => unreachable(label, &error),
        other => other?,
    };
    let settings: Vec<SettingJson> = context
        .explained()
        .into_iter()
        .map(|(name, value, origin)| SettingJson { name: name.to_owned(), value, origin })
        .collect();
    let bad = checks.iter().any(|check| check.severity == Severity::Bad);
    if context.printer.format() == Format::Json {
        let data = DoctorJson { checks: checks.iter().map(check_json).collect(), settings };
        let value = envelope("doctor", data);
        context.printer.json(&value, true);
    } else {
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|check| {
                vec![format!("{:7}", word(check.severity)), check.name.clone(), check.value.clone()]
            })
            .collect();
        for (line, check) in table(&rows).iter().zip(&checks) {
            context.printer.out(line);
            if let Some(advice) = &check.advice {
                context.printer.out(&format!("{:ADVICE_INDENT$}{advice}", ""));
            }
        }
        if args.explain {
            let rows: Vec<Vec<String>> =
                settings.into_iter().map(|one| vec![one.name, one.value, one.origin]).collect();
            for line in table(&rows) {
                context.printer.out(&line);
            }
        }
    }
    Ok(if bad { Exit::Findings } else { Exit::Done })
}

fn unreachable(label: String, error: &DbError) -> Vec<Check> {
    let mut checks = vec![
        Check::new("database", label, Severity::Good),
        Check::new("connection", error.to_string(), Severity::Bad),
    ];
    for more in [&error.detail, &error.hint].into_iter().flatten() {
        checks.push(Check::new("connection", more.clone(), Severity::Note));
    }
    checks
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Good => "good",
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Bad => "bad",
    }
}

fn check_json(check: &Check) -> CheckJson {
    CheckJson {
        name: check.name.clone(),
        value: check.value.clone(),
        state: word(check.severity).to_owned(),
        advice: check.advice.clone(),
    }
}
