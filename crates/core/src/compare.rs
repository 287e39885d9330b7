//! Holding the files against the ledger.

use crate::ledger::{AttemptEvent, Direction, LedgerState, Recorded};

/// What is compared of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// File name.
    pub name: String,
    /// SHA-256 of the normalised text.
    pub text_checksum: String,
    /// SHA-256 of the code tokens.
    pub token_checksum: String,
}

/// Where a migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// In the database, and the file is what ran.
    Applied,
    /// In the database; only comments or white space of the file have changed since.
    AppliedCommentsChanged,
    /// In the database, and the file's code is not what ran.
    AppliedChanged,
    /// In the database, and there is no file.
    AppliedMissing,
    /// Another tool or a baseline says it is in the database; what ran is not known.
    AppliedUnknownText,
    /// Not in the database.
    Pending {
        /// A migration after it is in the database.
        out_of_order: bool,
    },
    /// Begun: so many steps are in the database, the rest is not.
    Partial {
        /// Steps that are there.
        steps_done: usize,
        /// Which way it was going.
        direction: Direction,
        /// A step of it was sent and never answered.
        in_doubt: bool,
        /// What the database said at the last failure.
        error: Option<String>,
    },
}

impl State {
    /// The word used in JSON and messages.
    pub fn name(&self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::AppliedCommentsChanged => "applied, comments changed",
            State::AppliedChanged => "applied, changed since",
            State::AppliedMissing => "applied, file missing",
            State::AppliedUnknownText => "applied",
            State::Pending { out_of_order: false } => "pending",
            State::Pending { out_of_order: true } => "pending, out of order",
            State::Partial { in_doubt: true, .. } => "interrupted, in doubt",
            State::Partial { in_doubt: false, .. } => "interrupted",
        }
    }

    /// Whether its effect is in the database, as a whole.
    pub fn is_applied(&self) -> bool {
        !matches!(self, State::Pending { .. } | State::Partial { direction: Direction::Up, .. })
    }
}

/// One migration with its state, in the order of the directory; those without a file come last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// File name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// What the ledger has, if anything.
    pub recorded: Option<Recorded>,
}

/// Compares the files, in their order, with the ledger. `foreign` answers whether the other
/// tool's history has a migration that the ledger does not have.
pub fn compare(
    files: &[FileFacts],
    ledger: &LedgerState,
    foreign: impl Fn(&str) -> bool,
) -> Vec<Compared> {
    let last_applied =
        files.iter().rposition(|file| ledger.is_applied(&file.name) || foreign(&file.name));
    let mut out: Vec<Compared> = files
        .iter()
        .enumerate()
        .map(|(index, file)| {
            let recorded = ledger.migration(&file.name).cloned();
            let out_of_order = last_applied.is_some_and(|last| index < last);
            let state = state_of(file, recorded.as_ref(), ledger, &foreign, out_of_order);
            Compared { name: file.name.clone(), state, recorded }
        })
        .collect();
    let known: std::collections::HashSet<&str> =
        files.iter().map(|file| file.name.as_str()).collect();
    out.extend(ledger.applied().filter(|one| !known.contains(one.row.name.as_str())).map(|one| {
        Compared {
            name: one.row.name.clone(),
            state: State::AppliedMissing,
            recorded: Some(one.clone()),
        }
    }));
    out
}

fn state_of(
    file: &FileFacts,
    recorded: Option<&Recorded>,
    ledger: &LedgerState,
    foreign: &impl Fn(&str) -> bool,
    out_of_order: bool,
) -> State {
    for direction in [Direction::Up, Direction::Down] {
        if let Some(partial) = ledger.partial(&file.name, direction) {
            let applied = recorded.is_some_and(Recorded::is_applied);
            let steps_done = partial.done_count();
            let in_doubt = partial.open_intent().is_some();
            // A first try that failed as a whole left nothing behind.
            if steps_done > 0 || in_doubt || partial.has_begun() {
                let error = partial
                    .steps
                    .iter()
                    .rev()
                    .find(|row| row.event == AttemptEvent::Failed)
                    .and_then(|row| row.error.clone());
                if applied == (direction == Direction::Down) {
                    return State::Partial { steps_done, direction, in_doubt, error };
                }
            }
        }
    }
    match recorded.filter(|one| one.is_applied()) {
        None if foreign(&file.name) => State::AppliedUnknownText,
        None => State::Pending { out_of_order },
        Some(one) if one.token_checksum.is_empty() => State::AppliedUnknownText,
        Some(one) if one.text_checksum == file.text_checksum => State::Applied,
        Some(one) if one.token_checksum == file.token_checksum => State::AppliedCommentsChanged,
        Some(_) => State::AppliedChanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{MigrationEvent, MigrationRow};

    fn file(name: &str) -> FileFacts {
        FileFacts {
            name: name.to_owned(),
            text_checksum: format!("text of {name}"),
            token_checksum: format!("tokens of {name}"),
        }
    }

    fn row(seq: i64, name: &str, event: MigrationEvent) -> MigrationRow {
        MigrationRow {
            seq,
            name: name.to_owned(),
            version: String::new(),
            kind: "schema".to_owned(),
            event,
            text_checksum: format!("text of {name}"),
            token_checksum: format!("tokens of {name}"),
            run_id: String::new(),
            actor: String::new(),
            duration_ms: 0,
            at_ms: 0,
        }
    }

    fn states(files: &[FileFacts], rows: Vec<MigrationRow>) -> Vec<(String, &'static str)> {
        let ledger = LedgerState::derive(rows, Vec::new());
        compare(files, &ledger, |_| false)
            .into_iter()
            .map(|one| (one.name, one.state.name()))
            .collect()
    }

    #[test]
    fn each_state_is_told_apart() {
        let mut edited = file("2");
        edited.text_checksum = "other".to_owned();
        let mut changed = file("3");
        changed.text_checksum = "other".to_owned();
        changed.token_checksum = "other".to_owned();
        let files = [file("0"), file("1"), edited, changed, file("4")];
        let mut rows: Vec<MigrationRow> = ["1", "2", "3", "9"]
            .iter()
            .zip(1..)
            .map(|(name, seq)| row(seq, name, MigrationEvent::Up))
            .collect();
        rows.push(row(9, "1", MigrationEvent::Down));
        rows.push(row(10, "1", MigrationEvent::Up));
        let found = states(&files, rows);
        let words: Vec<&str> = found.iter().map(|(_, word)| *word).collect();
        assert_eq!(
            words,
            [
                "pending, out of order",
                "applied",
                "applied, comments changed",
                "applied, changed since",
                "pending",
                "applied, file missing"
            ]
        );
    }

    #[test]
    fn what_was_taken_back_is_pending_and_accept_blesses() {
        let mut accept = row(3, "2", MigrationEvent::Accept);
        accept.text_checksum = "new".to_owned();
        accept.token_checksum = "new".to_owned();
        let mut second = file("2");
        second.text_checksum = "new".to_owned();
        let rows = vec![
            row(1, "1", MigrationEvent::Up),
            row(2, "2", MigrationEvent::Up),
            accept,
            row(4, "1", MigrationEvent::Down),
        ];
        let found = states(&[file("1"), second], rows);
        assert_eq!(found[0].1, "pending, out of order");
        assert_eq!(found[1].1, "applied");
    }
}
