//! Batches that are killed, cut off, overtaken: each driving row is done exactly once all the same,
//! and taking back restores each of them.

mod case;
mod trouble;
mod work;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::case::{Case, Trouble};
use super::Verdict;
use super::engine::Engine;
use super::fault::restart::{Server, own_server};
use super::plan::Plan;
use super::proxy::Proxy;
use super::trial::Trial;

/// The program under test, with what is known of an undisturbed run on one engine.
#[derive(Debug)]
pub struct Bench {
    program: PathBuf,
    engine: Engine,
    plan: Plan,
    up: Course,
    undo: Course,
}

/// What an undisturbed command does.
#[derive(Debug, Default)]
struct Course {
    /// The places that it passes, each as often as it is passed.
    passed: Vec<String>,
    /// Bytes between program and server.
    bytes: i64,
    takes: Duration,
}

impl Bench {
    /// Runs the work undisturbed. `None` if the run leaves the engine out by name.
    ///
    /// # Errors
    ///
    /// When the undisturbed run itself is wrong.
    pub fn new(program: impl AsRef<Path>, engine: Engine) -> Verdict<Option<Bench>> {
        let plan = work::plan(engine);
        let (up, undo) = (Course::default(), Course::default());
        let mut bench = Bench { program: program.as_ref().to_owned(), engine, plan, up, undo };
        let courses = super::guarded(|| {
            let Some(mut trial) = Trial::new(&bench.program, &bench.plan) else { return Ok(None) };
            trial.prepare()?;
            let before = work::rows(&trial);
            let up = undisturbed(&mut trial, engine, work::UP)?;
            work::check(&trial, engine)?;
            let undo = undisturbed(&mut trial, engine, work::UNDO)?;
            work::check_undone(&trial, &before)?;
            Ok(Some((up, undo)))
        });
        let courses = courses.map_err(|error| format!("{engine}, undisturbed: {error}"))?;
        let Some((up, undo)) = courses else { return Ok(None) };
        bench.up = up;
        bench.undo = undo;
        Ok(Some(bench))
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// How often an undisturbed run passes a place, and how often one that takes back.
    pub fn passes(&self, point: &str) -> (usize, usize) {
        (self.up.count(point), self.undo.count(point))
    }

    /// Goes through a case. Says how often the trouble met a run before its end; `None` if the run
    /// leaves the engine out by name.
    ///
    /// # Errors
    ///
    /// What is wrong afterwards.
    pub fn run(&self, case: &Case) -> Verdict<Option<usize>> {
        super::guarded(|| {
            let Some(trial) = Trial::new(&self.program, &self.plan) else { return Ok(None) };
            self.on(trial, case, None).map(Some)
        })
        .map_err(|error| format!("{case}: {error}"))
    }

    /// Goes through cases in which a server restarts, all on one private server.
    pub fn restarts(&self, cases: &[Case]) -> Vec<Verdict<Option<usize>>> {
        let (mut server, _folder) = match own_server(self.engine) {
            Ok(Some(found)) => found,
            Ok(None) => return Vec::new(),
            Err(error) => return vec![Err(error)],
        };
        let mut run = |case: &Case| {
            super::guarded(|| {
                let trial = Trial::on(&self.program, &self.plan, server.database());
                self.on(trial, case, Some(&mut server)).map(Some)
            })
            .map_err(|error| format!("{case}: {error}"))
        };
        cases.iter().map(&mut run).collect()
    }

    fn on(&self, mut trial: Trial<'_>, case: &Case, server: Option<&mut Server>) -> Verdict<usize> {
        trial.prepare()?;
        let before = work::rows(&trial);
        let met = trouble::up(self, &mut trial, &case.trouble, server)?;
        work::finish(&trial, work::UP)?;
        work::check(&trial, self.engine)?;
        let met_undo = trouble::undo(self, &mut trial, &case.trouble)?;
        work::finish_undo(&trial, &before)?;
        work::check_undone(&trial, &before)?;
        Ok(met + met_undo)
    }
}

impl Course {
    fn count(&self, point: &str) -> usize {
        self.passed.iter().filter(|passed| *passed == point).count()
    }
}

fn undisturbed(trial: &mut Trial<'_>, engine: Engine, command: &[&str]) -> Verdict<Course> {
    let log = trial.project.at("passed.log");
    let proxy = match engine {
        Engine::Sqlite => None,
        _ => Some(trial.through(|port| Proxy::cutting_after(port, i64::MAX))?),
    };
    let began = Instant::now();
    let whimbrel = trial.whimbrel().env("WHIMBREL_FAILPOINT_LOG", log.display().to_string());
    let output = whimbrel.run(command);
    let takes = began.elapsed();
    super::ensure(output.code == Some(0), || output.to_string())?;
    trial.reach_by(trial.database.url.clone());
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    // The next command writes its own.
    let _ = std::fs::remove_file(&log);
    let passed: Vec<String> = text.lines().map(str::to_owned).collect();
    let bytes = proxy.map_or(0, |proxy| proxy.bytes());
    super::ensure(passed.iter().any(|point| point.starts_with("batch.")), || {
        "it passes no named place: build the program with `--features failpoints`".to_owned()
    })?;
    Ok(Course { passed, bytes, takes })
}
