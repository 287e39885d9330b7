//! What the comparison of both ends of a statement with `source=` has found, for people and as
//! JSON.

use schemars::JsonSchema;
use serde::Serialize;
use whimbrel_engine::{EndsCompared, FoundRows};

use super::text::plural;

/// Both ends of a statement with `source=`, read again and held against what was read.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EndsJson {
    /// The environment of the source.
    source: String,
    /// Whether nothing differs, as far as it was compared.
    same: bool,
    /// Batches that were compared.
    batches: u64,
    /// Rows that the query gave when they were read.
    rows: u64,
    /// Driving rows of which something else comes now.
    changed: FoundJson,
    /// Driving rows of which something comes now, and nothing did then.
    added: FoundJson,
    /// Driving rows of which nothing comes any more.
    gone: FoundJson,
    /// Rows that were looked for at the target.
    target_rows: u64,
    /// Driving rows whose row at the target is not what was read.
    target_changed: FoundJson,
    /// Driving rows whose row is not at the target.
    target_gone: FoundJson,
    /// Why the source was not compared, if it was not.
    not_source: Option<String>,
    /// Why the target was not compared, if it was not.
    not_target: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FoundJson {
    /// How many.
    rows: u64,
    /// The keys of the first of them.
    keys: Vec<String>,
}

pub(super) fn to_json(found: &EndsCompared) -> EndsJson {
    let of = |found: &FoundRows| FoundJson { rows: found.rows, keys: found.keys.clone() };
    EndsJson {
        source: found.source.clone(),
        same: found.is_same(),
        batches: found.batches,
        rows: found.rows,
        changed: of(&found.changed),
        added: of(&found.added),
        gone: of(&found.gone),
        target_rows: found.target_rows,
        target_changed: of(&found.target_changed),
        target_gone: of(&found.target_gone),
        not_source: found.not_source.clone(),
        not_target: found.not_target.clone(),
    }
}

/// A line for each end, and below it the keys of the rows that differ.
pub(super) fn lines(found: &EndsCompared) -> Vec<String> {
    let mut out = Vec::new();
    let kinds =
        [("changed", &found.changed), ("new", &found.added), ("no longer there", &found.gone)];
    let source = format!("source `{}`", found.source);
    match &found.not_source {
        Some(why) => out.push(format!("{source} not compared: {why}")),
        None if kinds.iter().all(|(_, one)| one.rows == 0) => {
            out.push(format!("{source} unchanged since ({})", counted(found.rows)));
        }
        None => {
            out.push(format!("{source} changed since ({} then):", counted(found.rows)));
            kinds.iter().for_each(|(word, one)| name(&mut out, word, one));
        }
    }
    let kinds = [("other values", &found.target_changed), ("not there", &found.target_gone)];
    match &found.not_target {
        Some(why) => out.push(format!("target not compared: {why}")),
        None if kinds.iter().all(|(_, one)| one.rows == 0) => {
            out.push(format!("target holds what was read ({})", counted(found.target_rows)));
        }
        None => {
            let rows = counted(found.target_rows);
            out.push(format!("target does not hold what was read ({rows} then):"));
            kinds.iter().for_each(|(word, one)| name(&mut out, word, one));
        }
    }
    out
}

fn counted(rows: u64) -> String {
    plural(usize::try_from(rows).unwrap_or(usize::MAX), "row")
}

fn name(out: &mut Vec<String>, word: &str, found: &FoundRows) {
    if found.rows == 0 {
        return;
    }
    out.push(format!("  {} {word}:", counted(found.rows)));
    out.extend(found.keys.iter().map(|key| format!("    {key}")));
    if found.rows > found.keys.len() as u64 {
        out.push("    ...".to_owned());
    }
}
