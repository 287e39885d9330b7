//! What was covered, and what was found.

use std::collections::BTreeMap;

use super::case::{Case, form_names, key_names};
use crate::proof::engine::Engine;

/// How often a form was tried, and how often it ran in batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Statements.
    pub cases: usize,
    /// Those that ran in batches.
    pub batched: usize,
}

/// What was covered, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Statements that were compared.
    pub cases: usize,
    /// Batches of all of them.
    pub batches: usize,
    /// How often the result of a statement was taken back and compared with what was before.
    pub undone: usize,
    /// Statements whose rows several connections went through.
    pub shared: usize,
    /// Each form.
    pub forms: BTreeMap<&'static str, Tried>,
    /// Each kind of key.
    pub keys: BTreeMap<&'static str, usize>,
    /// Statements that are meant to run in batches and did not, with the reason.
    pub refused: Vec<String>,
    /// Traps that ran in batches; their results were equal all the same.
    pub traps_taken: Vec<String>,
    /// What is wrong.
    pub failures: Vec<String>,
}

impl Report {
    /// Counts a statement; `whole` says why it ran in one go.
    pub(super) fn count(&mut self, case: &Case, whole: Option<&String>) {
        self.cases += 1;
        let tried = self.forms.entry(case.form.name).or_default();
        tried.cases += 1;
        tried.batched += usize::from(whole.is_none());
        *self.keys.entry(case.key).or_default() += 1;
        match whole {
            Some(reason) if !case.form.trap => self.refused.push(format!("{case}\n  {reason}")),
            None if case.form.trap => self.traps_taken.push(case.to_string()),
            _ => {}
        }
    }

    /// Adds what another part found.
    pub fn add(&mut self, other: Report) {
        self.cases += other.cases;
        self.batches += other.batches;
        self.undone += other.undone;
        self.shared += other.shared;
        for (name, tried) in other.forms {
            let own = self.forms.entry(name).or_default();
            own.cases += tried.cases;
            own.batched += tried.batched;
        }
        for (name, count) in other.keys {
            *self.keys.entry(name).or_default() += count;
        }
        self.refused.extend(other.refused);
        self.traps_taken.extend(other.traps_taken);
        self.failures.extend(other.failures);
    }

    /// Forms and kinds of keys of an engine that no statement had, and forms none of whose
    /// statements ran in batches.
    pub fn not_covered(&self, engine: Engine) -> Vec<String> {
        let mut missing = Vec::new();
        for name in form_names(engine) {
            let tried = self.forms.get(name).copied().unwrap_or_default();
            if tried.cases == 0 || (tried.batched == 0 && !name.starts_with("trap")) {
                missing.push(format!("{name}: {} of {}", tried.batched, tried.cases));
            }
        }
        let keys = key_names(engine).into_iter().filter(|name| !self.keys.contains_key(name));
        missing.extend(keys.map(|name| format!("key {name}")));
        missing
    }

    /// How many of a hundred statements that are meant to run in batches did.
    pub fn share(&self) -> usize {
        let meant = self.forms.iter().filter(|(name, _)| !name.starts_with("trap"));
        let (cases, batched) =
            meant.fold((0, 0), |sum, (_, tried)| (sum.0 + tried.cases, sum.1 + tried.batched));
        (batched * 100).checked_div(cases).unwrap_or(0)
    }

    /// How many of a hundred traps ran in batches.
    pub fn share_of_traps(&self) -> usize {
        let traps = self.forms.iter().filter(|(name, _)| name.starts_with("trap"));
        let (cases, batched) =
            traps.fold((0, 0), |sum, (_, tried)| (sum.0 + tried.cases, sum.1 + tried.batched));
        (batched * 100).checked_div(cases).unwrap_or(0)
    }

    /// One line for each form: `update from table 31 of 31`.
    pub fn lines(&self) -> Vec<String> {
        let forms = self.forms.iter();
        let mut lines: Vec<String> = forms
            .map(|(name, tried)| format!("{name}: {} of {} in batches", tried.batched, tried.cases))
            .collect();
        let keys: Vec<String> =
            self.keys.iter().map(|(name, count)| format!("{name} {count}")).collect();
        lines.push(format!("keys: {}", keys.join(", ")));
        lines.push(format!("{} by several connections", self.shared));
        lines
    }
}
