use serde::Serialize;
use whimbrel_core::verify::Verdict;
use whimbrel_engine::VerifyReport;

use super::text::plural;
use crate::context::Context;
use crate::error::{CommandError, Exit, fact_text};
use crate::output::envelope;
use crate::printer::{Format, Style};

/// Prove that the database holds what the applied migrations promise
///
/// Folds all applied migrations into facts (tables, columns with their types, keys, indexes,
/// checks, views, triggers), checks each in the catalog and runs the `.verify.sql` queries. Ends
/// with code 3 if something does not hold. `--verbose` lists every fact.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The JSON of `verify`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct VerifyJson {
    /// Address without secrets.
    database: String,
    /// Whether everything that could be checked holds.
    holds: bool,
    /// Applied migrations that were folded.
    migrations: usize,
    facts: Vec<FactJson>,
    /// Changed and interrupted migrations.
    drift: Vec<String>,
    /// Rows without their parent.
    orphans: Vec<String>,
}

/// One fact.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct FactJson {
    /// `table`, `column`, `foreign key`, ...
    kind: String,
    subject: String,
    detail: String,
    /// `holds`, `fails` or `not-checked`.
    verdict: String,
    /// What was found instead, or why it was not checked.
    reason: Option<String>,
}

pub(super) async fn run(_args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let report = project.verify().await?;
    match context.printer.format() {
        Format::Json => {
            let value = envelope("verify", to_json(&report));
            context.printer.json(&value, true);
        }
        Format::Human => show(&report, context),
    }
    Ok(if report.holds() { Exit::Done } else { Exit::Findings })
}

fn show(report: &VerifyReport, context: &mut Context) {
    let printer = &mut context.printer;
    for fact in &report.facts {
        let shown = match &fact.verdict {
            Verdict::Fails { .. } => true,
            Verdict::Holds | Verdict::NotChecked { .. } => printer.is_verbose(),
        };
        if shown {
            printer.out(&format!("  {}", fact_text(fact)));
        }
    }
    for line in report.drift.iter().chain(&report.orphans) {
        printer.out(&format!("  FAILED   {line}"));
    }
    let (holds, fails, unchecked) = report.counts();
    let mut line = format!(
        "{} of {} hold, {fails} fail",
        plural(holds, "fact"),
        plural(report.migrations, "applied migration")
    );
    if unchecked > 0 {
        line.push_str(&format!(", {unchecked} not checked (see `--verbose`)"));
    }
    let style = if report.holds() { Style::Good } else { Style::Error };
    let line = printer.styled_out(style, &line);
    printer.out(&line);
}

fn to_json(report: &VerifyReport) -> VerifyJson {
    VerifyJson {
        database: report.database.clone(),
        holds: report.holds(),
        migrations: report.migrations,
        drift: report.drift.clone(),
        orphans: report.orphans.clone(),
        facts: report
            .facts
            .iter()
            .map(|fact| {
                let (verdict, reason) = match &fact.verdict {
                    Verdict::Holds => ("holds", None),
                    Verdict::Fails { found } => ("fails", Some(found.clone())),
                    Verdict::NotChecked { reason } => ("not-checked", Some(reason.clone())),
                };
                FactJson {
                    kind: fact.kind.to_owned(),
                    subject: fact.subject.clone(),
                    detail: fact.detail.clone(),
                    verdict: verdict.to_owned(),
                    reason,
                }
            })
            .collect(),
    }
}
