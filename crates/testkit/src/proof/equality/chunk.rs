//! Some statements in one database: run by its own client in one go, and by Whimbrel in batches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::case::Case;
use super::report::Report;
use crate::database::TestDatabase;
use crate::project::Project;
use crate::proof::{Verdict, ensure};
use crate::run::{Output, Whimbrel};

/// Rows of a batch: each row by itself, some rows, all rows.
const SIZES: [usize; 3] = [1, SHARED, 1_000];
/// The size of batches that several connections run where the database has them.
const SHARED: usize = 7;
/// Most lines of a difference that are shown.
const LINES_MAX: usize = 12;

/// What the tables of each statement hold, rows in no order.
type Sight = Vec<Vec<String>>;

/// Statements that share a database.
pub(super) struct Chunk<'a> {
    program: &'a Path,
    /// What the directive of each says beside the size.
    directive: &'static str,
    cases: Vec<&'a Case>,
    /// Whether all of them can be taken back, so that one database serves for all sizes.
    undo: bool,
    before: Sight,
    after: Sight,
    /// Statements whose difference was told already.
    told: BTreeSet<usize>,
    /// Statements that ran in one go, with the reason.
    whole: BTreeMap<usize, String>,
}

/// A database with a project, its tables made.
struct Bench<'a> {
    program: &'a Path,
    database: TestDatabase,
    project: Project,
}

impl Bench<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        Whimbrel::new(self.program, self.project.path())
            .env("DATABASE_URL", &self.database.url)
            .run(arguments)
    }
}

impl<'a> Chunk<'a> {
    /// Runs the statements in one go. `None` if the run leaves the engine out by name.
    pub(super) fn new(
        (program, directive): (&'a Path, &'static str),
        cases: Vec<&'a Case>,
    ) -> Verdict<Option<Chunk<'a>>> {
        let Some(first) = cases.first() else { return Ok(None) };
        let undo = first.form.undo;
        let Some(database) = first.engine.fresh("equality") else { return Ok(None) };
        let setup: String = cases.iter().map(|case| case.setup.as_str()).collect();
        query(&database, &setup)?;
        let before = look(&database, &cases)?;
        for case in &cases {
            query(&database, &format!("{};\n", case.sql)).map_err(|e| format!("{case}: {e}"))?;
        }
        let after = look(&database, &cases)?;
        let (told, whole) = (BTreeSet::new(), BTreeMap::new());
        Ok(Some(Chunk { program, directive, cases, undo, before, after, told, whole }))
    }

    /// Counts the statement at a place.
    pub(super) fn count(&self, at: usize, report: &mut Report) {
        if let Some(case) = self.cases.get(at) {
            report.count(case, self.whole.get(&at));
        }
    }

    /// Runs the statements in batches of each size, and takes back what can be. Ends early with the
    /// place of a statement without which the others must be looked at: it failed, which is told,
    /// or it ran in one go and cannot be taken back.
    pub(super) fn compare(&mut self, report: &mut Report) -> Verdict<Option<usize>> {
        let mut bench = None;
        for size in SIZES {
            let ready = match bench.take() {
                Some(bench) if self.undo => bench,
                _ => self.bench()?,
            };
            if let Some(failed) = self.one_size(&ready, size, report)? {
                return Ok(Some(failed));
            }
            bench = Some(ready);
        }
        Ok(None)
    }

    fn bench(&self) -> Verdict<Bench<'a>> {
        let first = self.cases.first().ok_or("no statement")?;
        let database = first.engine.fresh("equality").ok_or("left out half-way")?;
        let project = Project::new();
        let setup: String = self.cases.iter().map(|case| case.setup.as_str()).collect();
        project.file("migrations/0001_tables.sql", &setup);
        let bench = Bench { program: self.program, database, project };
        let output = bench.run(&["up"]);
        ensure(output.code == Some(0), || format!("the tables cannot be made: {output}"))?;
        Ok(bench)
    }

    fn one_size(
        &mut self,
        bench: &Bench<'_>,
        size: usize,
        report: &mut Report,
    ) -> Verdict<Option<usize>> {
        for (at, case) in self.cases.iter().enumerate() {
            let undo = if self.undo { "" } else { " undo=off" };
            let more = self.directive;
            let parallel = if size == SHARED { " parallel=3" } else { "" };
            let text = format!(
                "-- whimbrel: batch size={size} pause-ms=0{undo}{more}{parallel}\n{};\n",
                case.sql
            );
            bench.project.file(&format!("migrations/{}", file(at)), &text);
        }
        let up = bench.run(&["up", "--json"]);
        if up.code != Some(0) {
            let at = self.failed(&up).ok_or_else(|| format!("`up` failed: {}", up.stderr))?;
            let case = self.cases.get(at).ok_or("no such statement")?;
            report.failures.push(format!("{case}\nfails in batches of {size}: {}", up.stderr));
            return Ok(Some(at));
        }
        report.batches += up.stdout.matches("\"event\":\"batch\"").count();
        self.note_whole(&up.stdout);
        report.shared += self.shared(bench)?;
        let seen = look(&bench.database, &self.cases)?;
        self.differ(&seen, &self.after.clone(), &format!("in batches of {size}"), report);
        if self.undo {
            if let Some(at) = self.whole.keys().next() {
                return Ok(Some(*at));
            }
            let down = bench.run(&["down", "--to", "1", "--yes"]);
            if down.code != Some(0) {
                let at =
                    self.failed(&down).ok_or_else(|| format!("`down` failed: {}", down.stderr))?;
                let case = self.cases.get(at).ok_or("no such statement")?;
                let text = format!("{case}\n`down` after batches of {size}: {}", down.stderr);
                report.failures.push(text);
                return Ok(Some(at));
            }
            let seen = look(&bench.database, &self.cases)?;
            let what = format!("taken back after batches of {size}");
            self.differ(&seen, &self.before.clone(), &what, report);
            report.undone += self.cases.len();
        }
        Ok(None)
    }

    /// Statements whose rows several connections went through.
    fn shared(&self, bench: &Bench<'_>) -> Verdict<usize> {
        let Some(first) = self.cases.first() else { return Ok(0) };
        let sql = format!(
            "SELECT count(DISTINCT p.cursor_seq) FROM {} p JOIN {} c ON c.seq = p.cursor_seq \
             WHERE c.state = 'done';",
            first.engine.ledger("parts"),
            first.engine.ledger("cursors")
        );
        let found = query(&bench.database, &sql)?;
        found.trim().parse().map_err(|_| format!("no number: {found}"))
    }

    fn note_whole(&mut self, events: &str) {
        for line in events.lines().filter(|line| line.contains("\"event\":\"runs-whole\"")) {
            let at = (0..self.cases.len()).find(|at| line.contains(&file(*at)));
            let reason = line.split_once("\"reason\":\"").map_or(line, |(_, rest)| rest);
            self.whole.extend(at.map(|at| (at, reason.to_owned())));
        }
    }

    /// The statement that the program complains about.
    fn failed(&self, output: &Output) -> Option<usize> {
        let at = |mark: &str| {
            let found = |at: &usize| output.stderr.contains(&format!("{mark}{}", file(*at)));
            (0..self.cases.len()).find(found)
        };
        at("--> migrations/").or_else(|| at(""))
    }

    /// Tells which statements left something else than they should.
    fn differ(&mut self, seen: &Sight, wanted: &Sight, what: &str, report: &mut Report) {
        for (at, case) in self.cases.iter().enumerate() {
            let (seen, wanted) = (seen.get(at), wanted.get(at));
            if seen == wanted || !self.told.insert(at) {
                continue;
            }
            let lines = difference(seen, wanted);
            report.failures.push(format!("{case}\ndiffers {what}:\n{lines}\n{}", case.setup));
        }
    }
}

/// The file of the statement at a place of the chunk.
fn file(at: usize) -> String {
    format!("{:04}_case.data.sql", at + 2)
}

fn query(database: &TestDatabase, sql: &str) -> Verdict<String> {
    database.try_query(sql).map_err(|error| error.to_string())
}

fn look(database: &TestDatabase, cases: &[&Case]) -> Verdict<Sight> {
    let marked = cases.iter().map(|case| format!("SELECT '#next';\n{}", case.look()));
    let text = query(database, &marked.collect::<String>())?;
    let parts = text.split("#next").skip(1);
    let mut sight: Sight = parts
        .map(|part| part.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
        .collect();
    sight.iter_mut().for_each(|rows: &mut Vec<String>| rows.sort_unstable());
    ensure(sight.len() == cases.len(), || "not every table was looked at".to_owned())?;
    Ok(sight)
}

fn difference(seen: Option<&Vec<String>>, wanted: Option<&Vec<String>>) -> String {
    let none = Vec::new();
    let (seen, wanted) = (seen.unwrap_or(&none), wanted.unwrap_or(&none));
    let more = seen.iter().filter(|line| !wanted.contains(line)).map(|line| format!("+ {line}"));
    let less = wanted.iter().filter(|line| !seen.contains(line)).map(|line| format!("- {line}"));
    let mut lines: Vec<String> = more.chain(less).take(LINES_MAX).collect();
    lines.push(format!("{} rows, not {}", seen.len(), wanted.len()));
    lines.join("\n")
}
