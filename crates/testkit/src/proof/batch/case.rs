//! What goes wrong, and where.

use std::fmt;

use super::Bench;
use crate::proof::engine::Engine;
use crate::proof::random::Random;

/// What goes wrong. Shares are thousandths of what an undisturbed run takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Killed at a named place at its n-th passing, one run after the other.
    Kill(Vec<(String, usize)>),
    /// Killed after a share of its time.
    KillAt(u32),
    /// Its connection is cut after a share of its bytes.
    Cut(u32),
    /// The server restarts while the program stands at a named place; like a power failure or in
    /// order.
    Restart(String, usize, bool),
    /// A second one is started at the same time, and the first is perhaps killed.
    Second(Option<u32>),
    /// It is stopped at a named place and loses its lease to a second one.
    Overtaken(String, usize),
    /// Taking back is killed at a named place at its n-th passing, one run after the other.
    UndoKill(Vec<(String, usize)>),
    /// Taking back is killed after a share of its time.
    UndoKillAt(u32),
    /// Taking back is cut off after a share of its bytes.
    UndoCut(u32),
}

/// A trouble on one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The engine.
    pub engine: Engine,
    /// What goes wrong.
    pub trouble: Trouble,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", self.engine, self.trouble)
    }
}

/// Places outside of a write transaction, where SQLite lets another one take over.
const OUTSIDE: [&str; 3] = ["batch.after_cursor", "batch.before_begin", "batch.after_commit"];

impl Bench {
    /// A kill at each of `points`, in the middle of its passings.
    pub fn each_point(&self, points: &[&str]) -> Vec<Case> {
        let kill = |point: &&str| {
            let middle = self.up.count(point).div_ceil(2).max(1);
            self.case(Trouble::Kill(vec![((*point).to_owned(), middle)]))
        };
        points.iter().map(kill).collect()
    }

    /// A kill at each of `points` that the way back passes, in the middle of its passings.
    pub fn each_point_back(&self, points: &[&str]) -> Vec<Case> {
        let passed = points.iter().filter(|point| self.undo.count(point) > 0);
        passed
            .map(|point| {
                let middle = self.undo.count(point).div_ceil(2);
                self.case(Trouble::UndoKill(vec![((*point).to_owned(), middle)]))
            })
            .collect()
    }

    /// `count` restarts of the server, at places of the loop.
    pub fn some_restarts(&self, random: &mut Random, count: usize) -> Vec<Case> {
        (0..count)
            .map(|at| {
                let (point, nth) = self.place(random, &self.up.passed);
                self.case(Trouble::Restart(point, nth, at % 2 == 0))
            })
            .collect()
    }

    /// `count` troubles other than restarts.
    pub fn some(&self, random: &mut Random, count: usize) -> Vec<Case> {
        (0..count).map(|_| self.one(random)).collect()
    }

    fn one(&self, random: &mut Random) -> Case {
        let server = self.engine != Engine::Sqlite;
        let share = u32::try_from(random.below(1_000)).unwrap_or(0);
        let trouble = match random.below(20) {
            0..=3 => Trouble::Kill(vec![self.place(random, &self.up.passed)]),
            4..=6 => {
                let kills = 2 + random.below(2);
                Trouble::Kill((0..kills).map(|_| self.place(random, &self.up.passed)).collect())
            }
            7..=9 if server => Trouble::Cut(share),
            7..=10 => Trouble::KillAt(share),
            11 => Trouble::Second(None),
            12 | 13 => Trouble::Second(Some(share)),
            14 => self.overtaken(random),
            15 | 16 => Trouble::UndoKill(vec![self.place(random, &self.undo.passed)]),
            17 if server => Trouble::UndoCut(share),
            17 | 18 => Trouble::UndoKillAt(share),
            _ => Trouble::KillAt(share),
        };
        self.case(trouble)
    }

    fn overtaken(&self, random: &mut Random) -> Trouble {
        let outside: Vec<String> = self
            .up
            .passed
            .iter()
            .filter(|point| self.engine != Engine::Sqlite || OUTSIDE.contains(&point.as_str()))
            .cloned()
            .collect();
        let (point, nth) = self.place(random, &outside);
        Trouble::Overtaken(point, nth)
    }

    /// A place of the loop at one of its passings.
    fn place(&self, random: &mut Random, passed: &[String]) -> (String, usize) {
        let of_loop: Vec<&String> =
            passed.iter().filter(|point| point.starts_with("batch.")).collect();
        let at = random.below(of_loop.len());
        let point = of_loop.get(at).map_or_else(String::new, |point| (*point).clone());
        let nth = of_loop.iter().take(at + 1).filter(|one| ***one == point).count();
        (point, nth)
    }

    fn case(&self, trouble: Trouble) -> Case {
        Case { engine: self.engine, trouble }
    }
}
