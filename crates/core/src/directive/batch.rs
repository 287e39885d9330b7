//! What directives say about the batches of a data migration.

use super::Key;
use super::options::{Put, put};

/// Most connections of `parallel=`.
const PARALLEL_MAX: usize = 16;

/// `size=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// It follows the time that batches take.
    Auto,
    /// So many driving rows.
    Rows(u64),
}

impl BatchSize {
    /// Reads `auto` or a number of rows, at least one.
    pub fn parse(text: &str) -> Option<BatchSize> {
        if text == "auto" { Some(BatchSize::Auto) } else { positive(text).map(BatchSize::Rows) }
    }
}

/// `on-error=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The first row that is refused stops the run.
    #[default]
    Stop,
    /// A row that is refused is set aside, and the others go on.
    Quarantine,
}

/// `undo=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UndoMode {
    /// The values before and after are kept; refused where that would not be all.
    #[default]
    On,
    /// Nothing is kept.
    Off,
    /// What can be kept is kept.
    BestEffort,
}

/// What the directives of a file, or of a statement, say about batches. `None` is "not said".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchSettings {
    /// `by=`
    pub by: Option<String>,
    /// `size=`
    pub size: Option<BatchSize>,
    /// `target-ms=`
    pub target_ms: Option<u64>,
    /// `on-error=`
    pub on_error: Option<OnError>,
    /// `errors-max=`
    pub errors_max: Option<u64>,
    /// `undo=`
    pub undo: Option<UndoMode>,
    /// `pause-ms=`
    pub pause_ms: Option<u64>,
    /// `self-read=stable`
    pub self_read_stable: Option<bool>,
    /// `allow=`
    pub allow: Option<Vec<String>>,
    /// `skips=`
    pub skips: Option<String>,
    /// `until=no-rows`
    pub until_no_rows: Option<bool>,
    /// `materialize=true`
    pub materialize: Option<bool>,
    /// `source=`
    pub source: Option<String>,
    /// `parallel=`
    pub parallel: Option<usize>,
}

impl BatchSettings {
    /// These settings where they say something, else those of the file.
    pub fn or(&self, file: &BatchSettings) -> BatchSettings {
        BatchSettings {
            by: self.by.clone().or_else(|| file.by.clone()),
            size: self.size.or(file.size),
            target_ms: self.target_ms.or(file.target_ms),
            on_error: self.on_error.or(file.on_error),
            errors_max: self.errors_max.or(file.errors_max),
            undo: self.undo.or(file.undo),
            pause_ms: self.pause_ms.or(file.pause_ms),
            self_read_stable: self.self_read_stable.or(file.self_read_stable),
            allow: self.allow.clone().or_else(|| file.allow.clone()),
            skips: self.skips.clone().or_else(|| file.skips.clone()),
            until_no_rows: self.until_no_rows.or(file.until_no_rows),
            materialize: self.materialize.or(file.materialize),
            source: self.source.clone().or_else(|| file.source.clone()),
            parallel: self.parallel.or(file.parallel),
        }
    }

    pub(super) fn set(&mut self, key: Key, value: &str) -> Put {
        let text = || Some(value.trim().to_owned()).filter(|text| !text.is_empty());
        match key {
            Key::By => put(&mut self.by, text()),
            Key::Size => put(&mut self.size, BatchSize::parse(value)),
            Key::TargetMs => put(&mut self.target_ms, positive(value)),
            Key::OnError => put(&mut self.on_error, on_error(value)),
            Key::ErrorsMax => put(&mut self.errors_max, value.parse().ok()),
            Key::Undo => put(&mut self.undo, undo(value)),
            Key::PauseMs => put(&mut self.pause_ms, value.parse().ok()),
            Key::SelfRead => put(&mut self.self_read_stable, (value == "stable").then_some(true)),
            Key::Allow => put(&mut self.allow, words(value)),
            Key::Skips => put(&mut self.skips, text()),
            Key::Until => put(&mut self.until_no_rows, (value == "no-rows").then_some(true)),
            Key::Materialize => put(&mut self.materialize, (value == "true").then_some(true)),
            Key::Source => put(&mut self.source, text()),
            Key::Parallel => put(&mut self.parallel, parallel(value)),
            Key::Transaction
            | Key::Keep
            | Key::LockTimeout
            | Key::StatementTimeout
            | Key::Purpose
            | Key::Requires
            | Key::Verify => Put::Invalid,
        }
    }
}

fn positive(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number > 0)
}

fn parallel(value: &str) -> Option<usize> {
    value.parse().ok().filter(|number| (1..=PARALLEL_MAX).contains(number))
}

fn on_error(value: &str) -> Option<OnError> {
    match value {
        "stop" => Some(OnError::Stop),
        "quarantine" => Some(OnError::Quarantine),
        _ => None,
    }
}

fn undo(value: &str) -> Option<UndoMode> {
    match value {
        "on" => Some(UndoMode::On),
        "off" => Some(UndoMode::Off),
        "best-effort" => Some(UndoMode::BestEffort),
        _ => None,
    }
}

fn words(value: &str) -> Option<Vec<String>> {
    value
        .split(',')
        .map(|word| {
            let word = word.trim();
            let valid =
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            valid.then(|| word.to_owned())
        })
        .collect()
}
