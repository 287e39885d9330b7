//! What the ledger's rows mean: the state of each migration, derived by reading rows in order.

use std::collections::HashMap;

/// What happened to a migration as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationEvent {
    /// It was applied.
    Up,
    /// It was taken back.
    Down,
    /// It was declared to be there already.
    Baseline,
    /// Another tool applied it.
    Adopt,
    /// Its changed text was accepted.
    Accept,
}

impl MigrationEvent {
    /// The word in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            MigrationEvent::Up => "up",
            MigrationEvent::Down => "down",
            MigrationEvent::Baseline => "baseline",
            MigrationEvent::Adopt => "adopt",
            MigrationEvent::Accept => "accept",
        }
    }

    /// The event of a word in the ledger.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            MigrationEvent::Up,
            MigrationEvent::Down,
            MigrationEvent::Baseline,
            MigrationEvent::Adopt,
            MigrationEvent::Accept,
        ]
        .into_iter()
        .find(|event| event.name() == name)
    }
}

/// One row of `migrations`, without the texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationRow {
    /// Order of writing.
    pub seq: i64,
    /// File name.
    pub name: String,
    /// Leading digits and suffix as written.
    pub version: String,
    /// `schema` or `data`.
    pub kind: String,
    /// What happened.
    pub event: MigrationEvent,
    /// SHA-256 of the normalised text; empty when there was no text.
    pub text_checksum: String,
    /// SHA-256 of the code tokens; empty when there was no text.
    pub token_checksum: String,
    /// Run that wrote it.
    pub run_id: String,
    /// Person or other tool.
    pub actor: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// When, in milliseconds since 1970 by the server's clock.
    pub at_ms: i64,
}

/// What happened to one step of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEvent {
    /// About to be sent outside of a transaction.
    Intent,
    /// Its effect is there.
    Done,
    /// The database refused it and nothing of it stays.
    Failed,
    /// Found or declared to have happened after an interruption.
    Happened,
    /// Found or declared not to have happened after an interruption.
    Retry,
    /// It runs in batches, and the first of them may be done: its cursor says how far it is.
    Begun,
}

impl AttemptEvent {
    /// The word in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            AttemptEvent::Intent => "intent",
            AttemptEvent::Done => "done",
            AttemptEvent::Failed => "failed",
            AttemptEvent::Happened => "happened",
            AttemptEvent::Retry => "retry",
            AttemptEvent::Begun => "begun",
        }
    }

    /// The event of a word in the ledger.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            AttemptEvent::Intent,
            AttemptEvent::Done,
            AttemptEvent::Failed,
            AttemptEvent::Happened,
            AttemptEvent::Retry,
            AttemptEvent::Begun,
        ]
        .into_iter()
        .find(|event| event.name() == name)
    }
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards the newest schema.
    Up,
    /// Back.
    Down,
}

impl Direction {
    /// The word in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

/// One row of `attempts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Order of writing.
    pub seq: i64,
    /// Run that wrote it.
    pub run_id: String,
    /// File name of the migration.
    pub migration: String,
    /// Which way.
    pub direction: Direction,
    /// First statement of the step, from 0.
    pub statement_index: usize,
    /// SHA-256 of the step's code tokens.
    pub statement_hash: String,
    /// What happened.
    pub event: AttemptEvent,
    /// The database's words, for a failure.
    pub error: Option<String>,
    /// The touched objects before the statement, for an intent.
    pub fingerprint: Option<String>,
    /// When the row was written, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The state of one migration in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The row that decides: the newest whose event is not `accept`.
    pub row: MigrationRow,
    /// Text checksum in force.
    pub text_checksum: String,
    /// Token checksum in force.
    pub token_checksum: String,
    /// When a changed text was accepted in place of the one that ran, if one was.
    pub accepted_ms: Option<i64>,
}

impl Recorded {
    /// Whether its effect is in the database.
    pub fn is_applied(&self) -> bool {
        matches!(
            self.row.event,
            MigrationEvent::Up | MigrationEvent::Baseline | MigrationEvent::Adopt
        )
    }
}

/// Steps of one migration that ran since its last whole event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// The newest row of each step, by first statement.
    pub steps: Vec<AttemptRow>,
    begun: bool,
}

impl Partial {
    /// The newest row of the step that begins with statement `index`.
    pub fn step(&self, index: usize) -> Option<&AttemptRow> {
        self.steps.iter().find(|row| row.statement_index == index)
    }

    /// Whether the effect of the step that begins with statement `index` is there.
    pub fn is_done(&self, index: usize) -> bool {
        self.step(index)
            .is_some_and(|row| matches!(row.event, AttemptEvent::Done | AttemptEvent::Happened))
    }

    /// A step of which nobody knows whether it happened.
    pub fn open_intent(&self) -> Option<&AttemptRow> {
        self.steps.iter().find(|row| row.event == AttemptEvent::Intent)
    }

    /// Whether a step is in the middle of its batches, or was when it failed.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// How many steps are known to be there.
    pub fn done_count(&self) -> usize {
        self.steps.iter().filter(|row| self.is_done(row.statement_index)).count()
    }
}

/// All that the ledger knows, derived from its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerState {
    /// Every migration that has a row, in the order of the deciding row.
    pub migrations: Vec<Recorded>,
    by_name: HashMap<String, usize>,
    partial: HashMap<(String, Direction), Partial>,
}

impl LedgerState {
    /// Derives the state from rows in the order of `seq`; of `attempts` only those that no whole
    /// event of their migration has settled (`migrations.after_attempt`).
    pub fn derive(migrations: Vec<MigrationRow>, attempts: Vec<AttemptRow>) -> Self {
        let mut recorded: Vec<Recorded> = Vec::new();
        let mut by_name: HashMap<String, usize> = HashMap::new();
        for row in migrations {
            let seen = by_name.get(&row.name).and_then(|at| recorded.get_mut(*at));
            if row.event == MigrationEvent::Accept {
                if let Some(seen) = seen {
                    seen.text_checksum.clone_from(&row.text_checksum);
                    seen.token_checksum.clone_from(&row.token_checksum);
                    seen.accepted_ms = Some(row.at_ms);
                }
                continue;
            }
            let next = Recorded {
                text_checksum: row.text_checksum.clone(),
                token_checksum: row.token_checksum.clone(),
                accepted_ms: None,
                row,
            };
            match seen {
                Some(seen) => *seen = next,
                None => {
                    by_name.insert(next.row.name.clone(), recorded.len());
                    recorded.push(next);
                }
            }
        }
        recorded.sort_by_key(|entry| entry.row.seq);
        for (index, entry) in recorded.iter().enumerate() {
            if let Some(at) = by_name.get_mut(&entry.row.name) {
                *at = index;
            }
        }
        LedgerState { migrations: recorded, by_name, partial: partials(attempts) }
    }

    /// What is recorded of the migration `name`.
    pub fn migration(&self, name: &str) -> Option<&Recorded> {
        self.by_name.get(name).and_then(|index| self.migrations.get(*index))
    }

    /// Whether the migration `name` is in the database.
    pub fn is_applied(&self, name: &str) -> bool {
        self.migration(name).is_some_and(Recorded::is_applied)
    }

    /// The applied migrations, in the order in which they were applied.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = &Recorded> {
        self.migrations.iter().filter(|entry| entry.is_applied())
    }

    /// Steps of `name` that ran without the migration being finished in that direction.
    pub fn partial(&self, name: &str, direction: Direction) -> Option<&Partial> {
        self.partial.get(&(name.to_owned(), direction))
    }

    /// Every migration with unfinished steps, with the direction.
    pub fn unfinished(&self) -> impl Iterator<Item = (&str, Direction, &Partial)> {
        self.partial.iter().map(|((name, direction), partial)| (name.as_str(), *direction, partial))
    }
}

/// Keeps the newest row of each step.
fn partials(attempts: Vec<AttemptRow>) -> HashMap<(String, Direction), Partial> {
    let mut out: HashMap<(String, Direction), Partial> = HashMap::new();
    for row in attempts {
        let partial = out.entry((row.migration.clone(), row.direction)).or_default();
        partial.begun |= row.event == AttemptEvent::Begun;
        match partial.steps.iter_mut().find(|seen| seen.statement_index == row.statement_index) {
            Some(seen) => *seen = row,
            None => partial.steps.push(row),
        }
    }
    out
}
