use schemars::JsonSchema;
use serde::Serialize;
use whimbrel_engine::{QuarantineFilter, QuarantinedRow};

use super::events::EventPrinter;
use super::text::plural;
use super::up::one_by_one;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::output::envelope;
use crate::printer::Format;

/// Look after rows that a data migration could not move
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the rows, oldest first
    List(Which),
    /// Show one row with all of its columns
    Show {
        /// Number of the row, as `list` shows it
        id: i64,
    },
    /// Try rows again, each by itself, with the statement that the file holds now
    Retry(Which),
    /// Set columns of what a row produces, for its next try
    Edit {
        /// Number of the row
        id: i64,
        /// A JSON object of output columns and their values
        #[arg(long, value_name = "JSON")]
        set: String,
    },
    /// Give rows up: nothing comes of them
    Drop {
        #[command(flatten)]
        which: Which,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Write the rows to standard output, a JSON object a line
    Export(Which),
}

/// Which rows.
#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// Numbers of rows; all open ones without any
    ids: Vec<i64>,
    /// Of this data migration: a version or a file name
    #[arg(long, value_name = "VERSION")]
    migration: Option<String>,
    /// Also those that are done or dropped
    #[arg(long)]
    all: bool,
}

impl Which {
    fn filter(&self) -> QuarantineFilter {
        QuarantineFilter { migration: self.migration.clone(), ids: self.ids.clone(), all: self.all }
    }
}

/// What `quarantine list --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct QuarantineJson {
    /// The rows, oldest first.
    rows: Vec<RowJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RowJson {
    /// Number of the row.
    id: i64,
    /// File name of the migration.
    migration: String,
    /// The statement, from 1.
    statement: usize,
    /// The driving table.
    table: String,
    /// Its key, one text for each column.
    key: Vec<String>,
    /// The driving row.
    row: serde_json::Value,
    /// What the database or the rule said.
    error: String,
    /// The database's code, or the rule's name.
    code: String,
    /// `open`, `done` or `dropped`.
    state: String,
    /// Output columns that were written by hand.
    edit: Option<serde_json::Value>,
    /// How often it was tried.
    tries: u64,
    /// Who changed it last.
    actor: String,
    /// When it was set aside, in milliseconds since 1970 by the server's clock.
    at_ms: i64,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let options = one_by_one(context);
    match &args.action {
        Action::List(which) => {
            let rows = project.quarantine(&which.filter()).await?;
            list(&rows, context);
            Ok(Exit::Done)
        }
        Action::Show { id } => {
            let filter =
                QuarantineFilter { ids: vec![*id], all: true, ..QuarantineFilter::default() };
            let rows = project.quarantine(&filter).await?;
            let Some(row) = rows.first() else {
                return Err(CommandError::usage(format!("There is no row {id} in quarantine")));
            };
            show(row, context);
            Ok(Exit::Done)
        }
        Action::Export(which) => {
            for row in project.quarantine(&which.filter()).await? {
                let value = serde_json::to_value(to_json(&row)).unwrap_or_default();
                context.printer.json(&value, false);
            }
            Ok(Exit::Done)
        }
        Action::Retry(which) => {
            let mut events = EventPrinter::new(&mut context.printer);
            let retried = project.quarantine_retry(&which.filter(), &options, &mut events).await?;
            let done = plural(usize::try_from(retried.done).unwrap_or(usize::MAX), "row");
            context.say(&format!("{done} done, {} refused again", retried.failed));
            Ok(if retried.failed == 0 { Exit::Done } else { Exit::Findings })
        }
        Action::Edit { id, set } => {
            let mut events = EventPrinter::new(&mut context.printer);
            project.quarantine_edit(*id, set, &options, &mut events).await?;
            context.say(&format!("Noted. Try it with `whimbrel quarantine retry {id}`"));
            Ok(Exit::Done)
        }
        Action::Drop { which, reason } => {
            if which.ids.is_empty() && which.migration.is_none() {
                return Err(CommandError::usage("Say which rows, by number or `--migration`"));
            }
            let mut events = EventPrinter::new(&mut context.printer);
            let filter = which.filter();
            let ids = project.quarantine_drop(&filter, reason, &options, &mut events).await?;
            context.say(&format!("Dropped {}", plural(ids.len(), "row")));
            Ok(Exit::Done)
        }
    }
}

fn list(rows: &[QuarantinedRow], context: &mut Context) {
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let rows = rows.iter().map(to_json).collect();
        printer.json(&envelope("quarantine", QuarantineJson { rows }), true);
        return;
    }
    if rows.is_empty() {
        printer.out("No row is in quarantine");
        return;
    }
    for row in rows {
        let state = if row.state == "open" { String::new() } else { format!(" [{}]", row.state) };
        printer.out(&format!(
            "{:>6}  {} statement {}  {} {}{state}: {}",
            row.id,
            row.migration,
            row.statement,
            row.table,
            key_text(row),
            row.error
        ));
    }
}

fn show(row: &QuarantinedRow, context: &mut Context) {
    let printer = &mut context.printer;
    if printer.format() == Format::Json {
        let rows = vec![to_json(row)];
        printer.json(&envelope("quarantine", QuarantineJson { rows }), true);
        return;
    }
    printer.out(&format!("Row {} ({})", row.id, row.state));
    printer.out(&format!("  migration  {} statement {}", row.migration, row.statement));
    printer.out(&format!("  table      {} {}", row.table, key_text(row)));
    printer.out(&format!("  error      {} {}", row.error, row.code));
    printer.out(&format!("  tries      {}", row.tries));
    if let Some(edit) = &row.edit {
        printer.out(&format!("  edit       {edit}"));
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&row.row) {
        Ok(columns) => {
            for (name, value) in columns {
                printer.out(&format!("  {name} = {value}"));
            }
        }
        Err(_) => printer.out(&format!("  {}", row.row)),
    }
}

/// The key's values, separated by commas.
fn key_text(row: &QuarantinedRow) -> String {
    let values: Option<Vec<String>> = serde_json::from_str(&row.key).ok();
    values.map_or_else(|| row.key.clone(), |values| values.join(", "))
}

fn to_json(row: &QuarantinedRow) -> RowJson {
    RowJson {
        id: row.id,
        migration: row.migration.clone(),
        statement: row.statement,
        table: row.table.clone(),
        key: serde_json::from_str(&row.key).unwrap_or_default(),
        row: serde_json::from_str(&row.row).unwrap_or_default(),
        error: row.error.clone(),
        code: row.code.clone(),
        state: row.state.clone(),
        edit: row.edit.as_deref().and_then(|edit| serde_json::from_str(edit).ok()),
        tries: row.tries,
        actor: row.actor.clone(),
        at_ms: row.at_ms,
    }
}
