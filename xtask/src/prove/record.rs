//! The table in `docs/proofs.md`.

use std::process::Command;

use super::{Findings, Request};
use crate::workspace::root;

const FILE: &str = "docs/proofs.md";
const HEADING: &str = "\
# Proofs

Each row is one run of `cargo xtask prove NAME`, written by that command. `./test` runs a few cases
of each.

- `crash`: killed with SIGKILL at a named place, at each passing, also a second time on the way
  back; then the same command again. Schema, rows, ledger and probes must be those of an undisturbed
  run.
- `races`: eight processes at once; and a holder that is stopped, loses its lease and wakes up.
- `faults`: connections cut before and after the answer to a COMMIT, servers restarted in the
  middle, a full disk, statement time-outs.
- `equality`: random statements over random rows, in batches of 1, 7 and 1,000, leave what the
  database's own client leaves, which runs them in one go; taken back, they leave what was before.
- `batches`: a data migration that is killed at its named places and at any moment, cut off at any
  byte, overtaken, its server restarted: a counter in each row is 1, each driving row has one copy,
  the account holds, and taking back (killed and cut off too) restores every row.
- `live`: an application with three sessions inserts, changes and deletes rows of the table that is
  migrated, each waiting at most a second for a lock; it sees no error.
- `damage`: a backup with a changed manifest, flipped bytes, cuts, chunks that are removed,
  repeated, swapped or foreign, an older manifest, a foreign signature, the wrong key: refused with
  the bad files' names before the database is touched.
- `rollback`: random interleavings of `up`, writes of an application, rollbacks in part, in stages
  and (SQLite) to a backup, killed, carried on, asked for phrases, phrases out of date, and `up`
  again: no write is lost unless the phrase for exactly that number of rows was given, and what
  migrations had overwritten is back.

A commit with `+` had changes that were not committed.

| date | commit | proof | engines | seed | cases | failures | counted |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

/// One row.
pub(super) struct Row {
    date: String,
    commit: String,
    proof: String,
    engines: String,
    seed: u64,
    cases: usize,
    failures: usize,
    notes: String,
}

impl Row {
    /// The row of a proof that ended just now.
    pub(super) fn new(request: &Request, findings: &Findings) -> Result<Row, String> {
        let engines: Vec<&str> = request.engines.iter().map(|engine| engine.name()).collect();
        let changed = !capture("git", &["status", "--porcelain"])?.is_empty();
        let commit = capture("git", &["rev-parse", "--short", "HEAD"])?;
        Ok(Row {
            date: capture("date", &["-u", "+%Y-%m-%d"])?,
            commit: format!("{commit}{}", if changed { "+" } else { "" }),
            proof: request.name.clone(),
            engines: engines.join(", "),
            seed: request.seed,
            cases: findings.cases,
            failures: findings.failures.len(),
            notes: findings.notes.join("; "),
        })
    }

    fn text(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            self.date,
            self.commit,
            self.proof,
            self.engines,
            self.seed,
            self.cases,
            self.failures,
            self.notes
        )
    }
}

/// Adds the row to the table, and makes the file if it is not there.
pub(super) fn append(row: &Row) -> Result<(), String> {
    let path = root()?.join(FILE);
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|_| HEADING.to_owned());
    text.push_str(&row.text());
    std::fs::write(&path, text).map_err(|error| format!("Failed to write {FILE}: {error}"))
}

fn capture(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root()?)
        .output()
        .map_err(|error| format!("Failed to start `{program}`: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
