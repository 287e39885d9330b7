//! Databases with random schemas and rows are saved, restored, and compared by the databases' own
//! dump programs.

mod mariadb;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::engine::Engine;
use super::random::Random;
use super::{Verdict, ensure, guarded};
use crate::database::TestDatabase;
use crate::project::Project;
use crate::run::{Output, Whimbrel};

/// Each so many cases `verify --restore` is tried too, which restores once more.
const PROVEN_EACH: usize = 4;

/// What came of some cases.
#[derive(Debug, Default)]
pub struct Report {
    /// How many databases came back as they were, or did not.
    pub cases: usize,
    /// How often each feature was there.
    pub seen: BTreeMap<&'static str, u64>,
    /// What is wrong, each with its case.
    pub failures: Vec<String>,
}

impl Report {
    /// Adds the cases of another one.
    pub fn add(&mut self, other: Report) {
        self.cases += other.cases;
        self.failures.extend(other.failures);
        for (feature, count) in other.seen {
            *self.seen.entry(feature).or_default() += count;
        }
    }

    /// The features of this kind of database that no case had.
    pub fn not_covered(&self, engine: Engine) -> Vec<String> {
        let missing = features(engine).iter().filter(|name| !self.seen.contains_key(*name));
        missing.map(|name| format!("{engine}: no case had `{name}`")).collect()
    }

    /// How often each feature was there, in words.
    pub fn coverage(&self) -> String {
        let counts = self.seen.iter().map(|(feature, count)| format!("{feature} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}

fn features(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Sqlite => sqlite::FEATURES,
        Engine::Postgres => postgres::FEATURES,
        Engine::Mariadb => mariadb::FEATURES,
    }
}

/// Makes databases.
struct Maker {
    random: Random,
    seen: BTreeMap<&'static str, u64>,
}

impl Maker {
    fn one_in(&mut self, n: usize, feature: &'static str) -> bool {
        let yes = self.random.below(n) == 0;
        if yes {
            self.has(feature);
        }
        yes
    }

    fn has(&mut self, feature: &'static str) {
        *self.seen.entry(feature).or_default() += 1;
    }

    fn pick(&mut self, items: &[&'static str]) -> &'static str {
        self.random.pick(items).copied().unwrap_or_default()
    }
}

/// The SQL of one case, and what it has.
fn make(engine: Engine, seed: u64, number: usize) -> (String, BTreeMap<&'static str, u64>) {
    let own = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
    let mut maker = Maker { random: Random::new(own), seen: BTreeMap::new() };
    let sql = match engine {
        Engine::Sqlite => {
            let journal = if number.is_multiple_of(2) { "WAL" } else { "DELETE" };
            format!("PRAGMA journal_mode = {journal};\nBEGIN;\n{}COMMIT;", maker.sqlite())
        }
        Engine::Postgres => maker.postgres(),
        Engine::Mariadb => maker.mariadb(),
    };
    (sql, maker.seen)
}

/// The SQL of one case, for a look at it.
pub fn text(engine: Engine, seed: u64, number: usize) -> String {
    make(engine, seed, number).0
}

/// Tries the cases `numbers` of a seed. `None` if the run leaves the engine out by name.
pub fn run(program: &Path, engine: Engine, seed: u64, numbers: Range<usize>) -> Option<Report> {
    let mut report = Report::default();
    for number in numbers {
        let (sql, seen) = make(engine, seed, number);
        let prove = number.is_multiple_of(PROVEN_EACH);
        match guarded(|| one(program, engine, &sql, prove)) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => report.failures.push(format!("{engine}/{seed}/{number}: {error}")),
        }
        report.add(Report { cases: 1, seen, failures: Vec::new() });
    }
    Some(report)
}

/// Makes, saves, proves and restores one database. False if the engine is left out.
fn one(program: &Path, engine: Engine, sql: &str, prove: bool) -> Verdict<bool> {
    let Some(database) = engine.fresh("roundtrip") else { return Ok(false) };
    let Some(restored) = engine.fresh("restored") else { return Ok(false) };
    let project = Project::new();
    project.folder("migrations");
    let whimbrel = || Whimbrel::new(program, project.path()).env("DATABASE_URL", &database.url);
    database.try_query(sql).map_err(|error| error.to_string())?;
    let made = done(whimbrel().run(["backup", "create", "--no-encrypt"]))?;
    let id = made.stdout.split('`').nth(1).unwrap_or_default();
    if prove {
        done(whimbrel().run(["backup", "verify", id, "--restore"]))?;
    }
    done(whimbrel().run(["backup", "restore", id, "--to", &restored.url]))?;
    let (before, after) = (dump(engine, &database), dump(engine, &restored));
    ensure(before == after, || {
        let differing = before.lines().zip(after.lines()).find(|(one, two)| one != two);
        let (one, two) = differing.unwrap_or(("", "the number of lines differs"));
        format!("was: {one}\n  is: {two}")
    })?;
    Ok(true)
}

fn done(output: Output) -> Verdict<Output> {
    if output.code == Some(0) { Ok(output) } else { Err(output.to_string()) }
}

fn dump(engine: Engine, database: &TestDatabase) -> String {
    match engine {
        Engine::Sqlite => {
            let pragmas = "PRAGMA user_version; PRAGMA application_id; PRAGMA page_size;";
            format!("{}\n{}", database.query(pragmas), database.query(".dump"))
        }
        Engine::Postgres | Engine::Mariadb => {
            format!("{}\n{}", database.schema(), database.rows())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_database() {
        for engine in Engine::ALL {
            assert_eq!(text(engine, 7, 3), text(engine, 7, 3));
            assert_ne!(text(engine, 7, 3), text(engine, 7, 4));
        }
    }
}
