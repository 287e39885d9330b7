//! A connection that breaks just before the server sees a message, or just after it has obeyed it.

use std::fmt;

use super::{check_orderly, named, plan, recover};
use crate::proof::Verdict;
use crate::proof::case::Bench;
use crate::proof::engine::Engine;
use crate::proof::proxy::{Cut, Moment, Proxy};
use crate::proof::trial::Trial;

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// The server.
    pub engine: Engine,
    /// The plan.
    pub plan: &'static str,
    /// The message.
    pub cut: Cut,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cut { word, nth, moment } = self.cut;
        write!(f, "{}/{}, cut {moment:?} at `{word}` {nth}", self.engine, self.plan)
    }
}

/// Every break of the engine's connections: at each COMMIT of three plans, and at each statement
/// that is no part of a transaction, before and after.
pub fn all(bench: &Bench, engine: Engine) -> Verdict<Option<Vec<Break>>> {
    let outside: &[&'static str] = match engine {
        Engine::Sqlite => return Ok(Some(Vec::new())),
        Engine::Postgres => {
            &["CREATE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY", "VACUUM", "ALTER TYPE"]
        }
        Engine::Mariadb => &["ALTER TABLE", "CREATE TABLE", "CREATE INDEX", "DROP TABLE"],
    };
    let mut words: Vec<(&'static str, &'static str)> = Vec::new();
    words.extend(["several", "single", "between"].map(|plan| (plan, "COMMIT")));
    words.extend(outside.iter().map(|word| ("between", *word)));
    let mut breaks = Vec::new();
    for (plan, word) in words {
        let Some(count) = count(bench, engine, plan, word)? else { return Ok(None) };
        for nth in 1..=count {
            for moment in [Moment::BeforeServer, Moment::AfterServer] {
                breaks.push(Break { engine, plan, cut: Cut { word, nth, moment } });
            }
        }
    }
    Ok(Some(breaks))
}

/// How many messages of an undisturbed run contain the word.
fn count(bench: &Bench, engine: Engine, name: &str, word: &'static str) -> Verdict<Option<usize>> {
    let plan = plan(engine, name)?;
    let Some(mut trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
    let cut = Cut { word, nth: 0, moment: Moment::BeforeServer };
    let proxy = through_proxy(&mut trial, cut)?;
    trial.run().success();
    Ok(Some(proxy.seen()))
}

/// Breaks a connection, then runs the command again over a good one. Says whether the first run
/// got over it by itself; `None` if the run leaves the engine out by name.
pub fn run(bench: &Bench, one: &Break) -> Verdict<Option<bool>> {
    named(&one.to_string(), || {
        let plan = plan(one.engine, one.plan)?;
        let Some(undisturbed) = bench.undisturbed(&plan)? else { return Ok(None) };
        let Some(mut trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
        trial.prepare()?;
        let proxy = through_proxy(&mut trial, one.cut)?;
        let output = trial.run();
        check_orderly(&output)?;
        if proxy.seen() < one.cut.nth {
            return Err(format!("it was not cut: {output}"));
        }
        trial.reach_by(trial.database.url.clone());
        recover(&trial, &undisturbed)?;
        Ok(Some(output.code == Some(0)))
    })
}

fn through_proxy(trial: &mut Trial<'_>, cut: Cut) -> Verdict<Proxy> {
    trial.through(|port| Proxy::start(port, cut))
}
