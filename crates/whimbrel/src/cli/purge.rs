use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_core::config::parse_duration;
use whimbrel_engine::{Answer, EngineError, PrunePlan, PurgeItem, PurgePlan};

use super::ask::Asking;
use super::backup::prunable;
use super::events::EventPrinter;
use super::text::{bytes, plural, table, time};
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::{Format, Printer};

/// Let go of what was kept for the way back
///
/// Lists the undo tables, replaced databases and expired backups that would go, and the migrations
/// that cannot be taken back after it, and asks. In a protected environment it asks for a phrase.
/// What a migration that is half-way needs is never touched.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what was last needed before that time
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    older_than: String,
    /// The phrase, where nobody can type it
    #[arg(long, value_name = "PHRASE")]
    confirm: Option<String>,
    /// Show what would go, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let older_than = age(&args.older_than)?;
    let project = context.project()?;
    let plan = project.plan_purge(older_than).await?;
    let (place, keep_count, expired) = prunable(&project, context)?;
    show(&plan, &expired, args, &mut context.printer);
    if args.dry_run || plan.is_empty() && expired.is_empty() {
        return Ok(Exit::Done);
    }
    let mut asking = Asking::new(context.global.yes, args.confirm.iter().cloned().collect());
    let confirmed = match asking.wait(context, plan.phrase.as_deref())? {
        Answer::Yes => true,
        Answer::Missing => false,
        Answer::No => {
            context.printer.err("Nothing was changed");
            return Ok(Exit::Unconfirmed);
        }
    };
    if !confirmed && plan.is_empty() {
        return Err(EngineError::NotAnswered { what: "the purge".to_owned() }.into());
    }
    let options = one_by_one(context);
    let mut events = EventPrinter::new(&mut context.printer);
    let purged = match plan.is_empty() {
        true => Ok(Vec::new()),
        false => project.purge(&plan, confirmed, &options, &mut events).await,
    };
    let purged = match purged {
        Err(EngineError::Stopped) => {
            context.printer.err("Stopped as asked; the same command goes on");
            return Ok(Exit::Interrupted);
        }
        other => other?,
    };
    for note in project.prune(&place, keep_count, &expired).await? {
        context.printer.err(&note);
    }
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let backups: Vec<&str> = expired.backups.iter().map(|one| one.id.as_str()).collect();
        let names: Vec<&str> = purged.iter().map(|item| item.kept_as.as_str()).collect();
        let value = json!({
            "schema_version": 1, "event": "end", "command": "purge", "purged": names,
            "databases": plan.databases.len(), "backups": backups,
        });
        printer.json(&value, false);
    } else {
        let mut text = format!("Let go of {}", plural(purged.len(), "undo table"));
        if !plan.databases.is_empty() {
            text.push_str(&format!(" and {}", plural(plan.databases.len(), "database")));
        }
        if !expired.backups.is_empty() {
            let backups = plural(expired.backups.len(), "expired backup");
            text.push_str(&format!(", and {backups}"));
        }
        printer.out(&text);
    }
    Ok(Exit::Done)
}

fn age(text: &str) -> Result<Duration, CommandError> {
    parse_duration(text).ok_or_else(|| {
        CommandError::usage(format!("`{text}` is no duration"))
            .hinted("Write it as `30d`, `12h`, or `0`")
    })
}

fn show(plan: &PurgePlan, expired: &PrunePlan, args: &Args, printer: &mut Printer) {
    if printer.format() == Format::Json {
        let items: Vec<Value> = plan.items.iter().map(item_json).collect();
        let migrations: Vec<Value> = plan
            .migrations
            .iter()
            .map(|(name, run)| json!({ "migration": name, "run_id": run }))
            .collect();
        let databases: Vec<Value> = plan
            .databases
            .iter()
            .map(|one| {
                json!({ "kept": one.kept, "bytes": one.bytes, "backup": one.backup,
                        "run_id": one.run_id, "began_ms": one.began_ms })
            })
            .collect();
        let value = json!({
            "schema_version": 1, "event": "purge-plan", "items": items, "databases": databases,
            "migrations": migrations, "in_use": plan.in_use, "phrase": plan.phrase,
            "backups": expired.backups.iter().map(|one| &one.id).collect::<Vec<_>>(),
        });
        printer.json(&value, false);
        return;
    }
    for name in &plan.in_use {
        printer.note(&format!("{name} is half-way or has rows in quarantine; what it keeps stays"));
    }
    if plan.is_empty() && expired.is_empty() {
        printer.out(&format!("Nothing to do: nothing is kept longer than {}", args.older_than));
        return;
    }
    let rows: Vec<Vec<String>> = plan.items.iter().map(row).collect();
    for line in table(&rows) {
        printer.out(&format!("  {line}"));
    }
    for one in &plan.databases {
        printer.out(&format!(
            "  {}  {}  {}  the database before the restore of {}",
            one.kept.display(),
            bytes(one.bytes),
            time(one.began_ms),
            one.backup
        ));
    }
    for one in &expired.backups {
        let (size, until) = (bytes(one.stored_bytes()), time(one.expires_ms));
        printer.out(&format!("  {}  {size}  expired {until}", one.id));
    }
    if !plan.migrations.is_empty() {
        printer.out("After that these cannot be taken back whole any more:");
    }
    for (name, run) in &plan.migrations {
        printer.out(&format!("  {name} (run {run})"));
    }
    if let (true, Some(phrase)) = (args.dry_run, &plan.phrase) {
        printer.out(&format!("It will ask for the phrase `{phrase}`"));
    }
}

fn row(item: &PurgeItem) -> Vec<String> {
    let rows = item.rows.map_or_else(String::new, |rows| {
        plural(usize::try_from(rows).unwrap_or(usize::MAX), "row")
    });
    vec![
        item.kept_as.clone(),
        format!("{} {}", item.kind, item.object),
        rows,
        item.bytes.map(bytes).unwrap_or_default(),
        time(item.at_ms),
        format!("{} statement {}", item.migration, item.statement),
        if item.needed { String::new() } else { "not needed any more".to_owned() },
    ]
}

/// An undo table as JSON.
pub(super) fn item_json(item: &PurgeItem) -> Value {
    json!({
        "kept_as": item.kept_as, "migration": item.migration, "run_id": item.run_id,
        "statement": item.statement, "kind": item.kind, "object": item.object,
        "rows": item.rows, "bytes": item.bytes, "at_ms": item.at_ms, "needed": item.needed,
    })
}
