//! `up` and `rollback`, with what must hold after each.

use super::world::World;
use crate::proof::engine::Engine;
use crate::proof::random::Random;
use crate::proof::{Verdict, ensure};
use crate::run::Output;

/// Where a rollback is killed.
const PLACES: [&str; 9] = [
    "batch.before_cursor",
    "batch.before_begin",
    "batch.after_statement",
    "batch.before_commit",
    "batch.after_commit",
    "statement.before_first",
    "statement.after_last",
    "ledger.before_write",
    "ledger.after_write",
];
/// Where a rollback to a backup is killed: of a file, and on servers.
const IN_PLACE: [&str; 5] = [
    "in_place.locked",
    "in_place.kept",
    "in_place.before_pages",
    "in_place.replaced",
    "lock.after_acquire",
];
const POSTGRES_IN_PLACE: [&str; 6] = [
    "in_place.copied",
    "in_place.locked",
    "in_place.prepared",
    "in_place.before_commit",
    "in_place.replaced",
    "lock.after_acquire",
];
const MARIADB_IN_PLACE: [&str; 6] = [
    "in_place.copied",
    "in_place.marked",
    "in_place.bare",
    "in_place.exchanged",
    "in_place.opened",
    "lock.after_acquire",
];
/// Why a rollback may refuse to begin.
const REASONS: [&str; 5] =
    ["was applied after", "is not there any more", "is half applied", "touches", "has no backup"];
/// Phrases that one rollback may ask for.
const PHRASES_MAX: usize = 12;

impl World<'_> {
    /// Some or all of what is pending.
    pub(super) fn up(&mut self, random: &mut Random) -> Verdict<()> {
        let steps = (1 + random.below(6)).to_string();
        let mut words = vec!["up", "--out-of-order"];
        if random.below(3) == 0 {
            words.extend(["--steps", &steps]);
        }
        if random.below(2) == 0 {
            words.push("--backup");
        }
        let output = self.run(&words, None);
        ensure(output.code == Some(0), || format!("`up` failed: {output}"))?;
        let rows = self.rows()?;
        self.model.after_up(&rows)
    }

    /// A rollback of a run, killed perhaps, and carried on.
    pub(super) fn roll_back(&mut self, random: &mut Random) -> Verdict<()> {
        let runs = self.runs()?;
        let Some(last) = runs.last() else { return Ok(()) };
        if random.below(4) == 0 {
            self.report.immediate += 1;
            let places = match self.engine {
                Engine::Sqlite => &IN_PLACE[..],
                Engine::Postgres => &POSTGRES_IN_PLACE[..],
                Engine::Mariadb => &MARIADB_IN_PLACE[..],
            };
            let words = ["rollback", "last", "--how", "immediate", "--yes"].map(str::to_owned);
            let place = (random.below(3) == 0).then(|| random.pick(places).copied());
            return self.carry_on(&words, place.flatten(), random);
        }
        let run = match random.below(4) {
            0 => random.pick(&runs).cloned().unwrap_or_default(),
            1 => "last".to_owned(),
            _ => last.clone(),
        };
        let staged = random.below(2) == 0;
        let conflict = ["stop", "stop", "skip", "skip", "force"];
        let conflict = random.pick(&conflict).copied().unwrap_or("stop");
        let how = if staged { "staged" } else { "partial" };
        let mut words = vec!["rollback", &run, "--how", how, "--on-conflict", conflict, "--yes"];
        let steps = (1 + random.below(3)).to_string();
        if staged && random.below(3) == 0 {
            words.extend(["--steps", &steps]);
        }
        if random.below(5) == 0 {
            words.extend(["--table", if random.below(2) == 0 { "cards" } else { "items" }]);
        }
        self.report.staged += usize::from(staged);
        self.report.partial += usize::from(!staged);
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let killed = random.below(3) == 0;
        let place = random.pick(&PLACES).copied().unwrap_or_default();
        let place = killed.then(|| format!("{place}:{}", 1 + random.below(3)));
        self.carry_on(&words, place.as_deref(), random)
    }

    /// Runs a rollback until it is done, refuses, or asks for what is not given.
    fn carry_on(
        &mut self,
        words: &[String],
        place: Option<&str>,
        random: &mut Random,
    ) -> Verdict<()> {
        let (mut given, mut lost, mut killed) = (0, 0, false);
        let mut phrase: Option<(usize, String)> = None;
        let mut place = place;
        for _ in 0..PHRASES_MAX {
            let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
            let (rows, text) = phrase.take().unwrap_or_default();
            if rows > 0 {
                all.extend(["--confirm", &text]);
                given += rows;
            }
            let output = self.run(&all, place.take());
            let now = match self.rows() {
                // On MariaDB the tables are away for a while; the next command brings them back.
                Err(_) if output.code.is_none() && self.engine == Engine::Mariadb => {
                    killed = true;
                    self.report.killed += 1;
                    continue;
                }
                now => now?,
            };
            let more = self.model.after_rollback(&now);
            lost += more;
            self.report.lost += more;
            ensure(lost <= given, || {
                format!("{lost} rows are lost, and {given} were agreed to: {output}")
            })?;
            if output.code.is_none() {
                killed = true;
                self.report.killed += 1;
                continue;
            }
            if rows > 0 && more == 0 {
                // It was asked for before something else was written, and did nothing.
                given -= rows;
                self.report.stale += 1;
            }
            self.report.phrases += usize::from(more > 0);
            ensure(killed || lost == given, || {
                format!("{given} rows were agreed to, {lost} are lost: {output}")
            })?;
            if output.code != Some(6) {
                return self.ended(&output);
            }
            phrase = Some(asked(&output)?);
            match random.below(6) {
                0 => return Ok(()),
                1 => self.write(random)?,
                _ => {}
            }
        }
        Err("it asks for phrases without end".to_owned())
    }

    fn ended(&mut self, output: &Output) -> Verdict<()> {
        match output.code {
            Some(0) => {
                let words = ["Took back", "Restored"];
                let took = words.iter().any(|word| output.stdout.contains(word));
                self.report.took_back += usize::from(took);
            }
            Some(4) => self.report.conflicts += 1,
            Some(2) if REASONS.iter().any(|reason| output.stderr.contains(reason)) => {
                self.report.refused += 1;
            }
            _ => return Err(format!("`rollback` failed: {output}")),
        }
        let (rows, applied) = (self.rows()?, self.applied()?);
        if output.code == Some(0) {
            self.report.came_back += self.model.come_back(&rows, &applied)?;
        }
        Ok(())
    }

    /// In the end everything is applied, and holds.
    pub(super) fn finish(&mut self) -> Verdict<()> {
        let output = self.run(&["up", "--out-of-order"], None);
        ensure(output.code == Some(0), || format!("`up` failed: {output}"))?;
        let rows = self.rows()?;
        self.model.after_up(&rows)?;
        let output = self.run(&["verify"], None);
        ensure(output.code == Some(0), || format!("`verify` failed: {output}"))
    }
}

/// The phrase that is asked for, with its number of rows.
fn asked(output: &Output) -> Verdict<(usize, String)> {
    let none = || format!("no phrase is asked for: {output}");
    let (_, rest) = output.stderr.split_once("The phrase `").ok_or_else(none)?;
    let (phrase, _) = rest.split_once('`').ok_or_else(none)?;
    let rows = phrase.split(' ').nth(1).and_then(|rows| rows.parse().ok()).ok_or_else(none)?;
    Ok((rows, phrase.to_owned()))
}
