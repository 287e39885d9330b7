use serde::Serialize;
use whimbrel_engine::backend::DbError;
use whimbrel_engine::{Check, CheckState, EngineError};

use super::text::table;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::Format;

/// Check connection, server and settings
///
/// Ends with code 3 if a run would fail.
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
    /// `good`, `note` or `bad`.
    state: String,
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
    let bad = checks.iter().any(|check| check.state == CheckState::Bad);
    if context.printer.format() == Format::Json {
        let data = DoctorJson { checks: checks.iter().map(check_json).collect(), settings };
        let value = envelope("doctor", data);
        context.printer.json(&value, true);
    } else {
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|check| {
                vec![word(check.state).to_owned(), check.name.clone(), check.value.clone()]
            })
            .collect();
        for line in table(&rows) {
            context.printer.out(&line);
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
    let check = |name: &str, value, state| Check { name: name.to_owned(), value, state };
    let mut checks = vec![
        check("database", label, CheckState::Good),
        check("connection", error.to_string(), CheckState::Bad),
    ];
    for more in [&error.detail, &error.hint].into_iter().flatten() {
        checks.push(check("connection", more.clone(), CheckState::Note));
    }
    checks
}

fn word(state: CheckState) -> &'static str {
    match state {
        CheckState::Good => "good",
        CheckState::Note => "note",
        CheckState::Bad => "bad",
    }
}

fn check_json(check: &Check) -> CheckJson {
    CheckJson {
        name: check.name.clone(),
        value: check.value.clone(),
        state: word(check.state).to_owned(),
    }
}
