//! Random interleavings of `up`, writes of an application, rollbacks of each kind, kills, and `up`
//! again: no write of the application is lost unless the phrase for exactly that number was given.

mod acts;
mod model;
mod plan;
mod world;

use std::ops::Range;
use std::path::Path;

use self::world::World;
use super::Verdict;
use super::engine::Engine;
use super::random::Random;

/// Acts of a case, at least and at most.
const ACTS: Range<usize> = 4..8;

/// What was covered, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Interleavings.
    pub cases: usize,
    /// Writes of the application.
    pub writes: usize,
    /// Rollbacks in part, in stages.
    pub partial: usize,
    /// Rollbacks in stages.
    pub staged: usize,
    /// Rollbacks to a backup.
    pub immediate: usize,
    /// Rollbacks that took something back.
    pub took_back: usize,
    /// Those that were killed.
    pub killed: usize,
    /// Those that stopped because somebody had changed something since.
    pub conflicts: usize,
    /// Those that could not begin, with a reason.
    pub refused: usize,
    /// Phrases that were given.
    pub phrases: usize,
    /// Phrases that were out of date when they were given, and did nothing.
    pub stale: usize,
    /// Rows that were lost with their phrase.
    pub lost: usize,
    /// Values that came back to what the application had written before a migration.
    pub came_back: usize,
    /// What is wrong.
    pub failures: Vec<String>,
}

impl Report {
    /// Adds what another part found.
    pub fn add(&mut self, other: Report) {
        self.cases += other.cases;
        self.writes += other.writes;
        self.partial += other.partial;
        self.staged += other.staged;
        self.immediate += other.immediate;
        self.took_back += other.took_back;
        self.killed += other.killed;
        self.conflicts += other.conflicts;
        self.refused += other.refused;
        self.phrases += other.phrases;
        self.stale += other.stale;
        self.lost += other.lost;
        self.came_back += other.came_back;
        self.failures.extend(other.failures);
    }

    /// All of it in a line.
    pub fn line(&self) -> String {
        format!(
            "{} interleavings with {} writes, {} rollbacks in part, {} in stages, {} to a backup ({} took \
             something back, {} killed, {} stopped at conflicts, {} refused), {} phrases and {} \
             out of date, {} rows lost with their phrase, {} values came back",
            self.cases,
            self.writes,
            self.partial,
            self.staged,
            self.immediate,
            self.took_back,
            self.killed,
            self.conflicts,
            self.refused,
            self.phrases,
            self.stale,
            self.lost,
            self.came_back
        )
    }

    /// Kinds of events that no case met.
    pub fn not_covered(&self) -> Vec<&'static str> {
        [
            (self.partial, "a rollback in part"),
            (self.staged, "a rollback in stages"),
            (self.took_back, "a rollback that takes something back"),
            (self.killed, "a kill"),
            (self.conflicts, "a conflict"),
            (self.phrases, "a phrase"),
            (self.lost, "a row lost with its phrase"),
            (self.came_back, "a value that came back"),
        ]
        .into_iter()
        .filter(|(count, _)| *count == 0)
        .map(|(_, what)| what)
        .collect()
    }
}

/// Goes through the interleavings `numbers` of a seed. `None` if the run leaves the engine out by
/// name.
pub fn run(program: &Path, engine: Engine, seed: u64, numbers: Range<usize>) -> Option<Report> {
    let mut report = Report::default();
    for number in numbers {
        let own = u64::try_from(number).unwrap_or(0).wrapping_mul(0x1000_0001);
        let mut random = Random::new(seed.wrapping_add(own));
        let mut world = World::new(program, engine, &mut random)?;
        report.cases += 1;
        let ended = super::guarded(|| one(&mut world, &mut random));
        report.add(std::mem::take(&mut world.report));
        if let Err(error) = ended {
            let told = world.told.join("\n");
            report.failures.push(format!("{engine}/{seed}/{number}: {error}\n{told}"));
        }
    }
    Some(report)
}

fn one(world: &mut World<'_>, random: &mut Random) -> Verdict<()> {
    world.begin(random)?;
    world.up(random)?;
    for _ in 0..ACTS.start + random.below(ACTS.len()) {
        match random.below(10) {
            0..=1 => world.up(random)?,
            2..=4 => world.write(random)?,
            _ => world.roll_back(random)?,
        }
    }
    world.up(random)?;
    world.finish()
}
