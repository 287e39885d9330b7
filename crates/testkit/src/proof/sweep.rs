//! Which interruptions a proof tries.

use std::collections::BTreeMap;

use super::Verdict;
use super::case::{Bench, Case, Kill};
use super::engine::Engine;
use super::plan::Plan;
use super::random::Random;

/// The first kill after which there is something to recover from.
const LEAVES_A_QUESTION: &str = "history.after_intent";
/// The plan in which a first kill leaves a question that the catalog answers.
const WITH_QUESTIONS: &str = "between";

/// The places that undisturbed runs pass: for each plan of an engine, how often which.
#[derive(Clone, Debug)]
pub struct Sweep {
    engine: Engine,
    plans: Vec<(String, BTreeMap<String, usize>)>,
}

impl Sweep {
    /// Runs every plan of the engine undisturbed. `None` if the run leaves the engine out by name.
    pub fn new(bench: &Bench, engine: Engine) -> Verdict<Option<Sweep>> {
        let mut plans = Vec::new();
        for plan in Plan::all(engine) {
            let Some(passed) = bench.passed(&plan)? else { return Ok(None) };
            let mut counts = BTreeMap::new();
            for point in passed {
                *counts.entry(point).or_insert(0) += 1;
            }
            plans.push((plan.name.to_owned(), counts));
        }
        Ok(Some(Sweep { engine, plans }))
    }

    /// Whether an undisturbed run of any plan passes the place.
    pub fn passes(&self, point: &str) -> bool {
        self.plans.iter().any(|(_, counts)| counts.contains_key(point))
    }

    /// One case for each of `points`: in the plan that passes it most often, in the middle. Places
    /// that no undisturbed run passes are tried on the way back from another kill.
    pub fn each_point(&self, points: &[&str]) -> Vec<Case> {
        points.iter().map(|point| self.one(point)).collect()
    }

    fn one(&self, point: &str) -> Case {
        let counts = self.plans.iter().map(|(plan, counts)| (plan, counts.get(point).copied()));
        match counts.max_by_key(|(_, count)| *count) {
            Some((plan, Some(count))) => self.case(plan, vec![kill(point, count.div_ceil(2))]),
            _ => self.case(WITH_QUESTIONS, vec![kill(LEAVES_A_QUESTION, 1), kill(point, 1)]),
        }
    }

    /// Every place in every plan, at every passing.
    pub fn each_passing(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (plan, counts) in &self.plans {
            for (point, count) in counts {
                cases.extend((1..=*count).map(|nth| self.case(plan, vec![kill(point, nth)])));
            }
        }
        cases
    }

    /// `count` cases in which the way back is interrupted too: half of them while a question is
    /// being answered, half of them anywhere.
    pub fn twice(&self, random: &mut Random, count: usize) -> Vec<Case> {
        let mut cases = Vec::new();
        while cases.len() < count {
            let recovery = cases.len() % 2 == 0;
            cases.extend(if recovery { self.in_recovery(random) } else { self.anywhere(random) });
        }
        cases
    }

    fn in_recovery(&self, random: &mut Random) -> Option<Case> {
        let with_questions: Vec<_> = self
            .plans
            .iter()
            .filter(|(_, counts)| counts.contains_key(LEAVES_A_QUESTION))
            .collect();
        let (plan, counts) = random.pick(&with_questions)?;
        let intents = counts.get(LEAVES_A_QUESTION).copied()?;
        let first = kill(LEAVES_A_QUESTION, 1 + random.below(intents));
        let point = *random.pick(&["recovery.before_probe", "recovery.after_probe"])?;
        Some(self.case(plan, vec![first, kill(point, 1)]))
    }

    fn anywhere(&self, random: &mut Random) -> Option<Case> {
        let (plan, counts) = random.pick(&self.plans)?;
        let points: Vec<_> = counts.iter().collect();
        let mut kills = Vec::new();
        for _ in 0..2 {
            let (point, count) = random.pick(&points)?;
            kills.push(kill(point, 1 + random.below(**count)));
        }
        Some(self.case(plan, kills))
    }

    fn case(&self, plan: &str, kills: Vec<Kill>) -> Case {
        Case { engine: self.engine, plan: plan.to_owned(), kills }
    }
}

fn kill(point: &str, nth: usize) -> Kill {
    Kill { point: point.to_owned(), nth }
}
