//! A statement outside of a transaction that waits for somebody's lock when its program dies: the
//! server goes on with it.

use std::time::{Duration, Instant};

use super::{named, plan, recover};
use crate::proof::case::Bench;
use crate::proof::engine::Engine;
use crate::proof::trial::Trial;
use crate::proof::{Verdict, ensure};

const WAITS_WITHIN: Duration = Duration::from_secs(60);

/// Kills the program while its statement waits, runs it again, and only then ends the reader.
/// `None` if the run leaves the engine out by name or statements do not outlive their client there.
pub fn run(bench: &Bench, engine: Engine) -> Verdict<Option<()>> {
    named(&format!("{engine}, killed while a statement waits"), || {
        if engine == Engine::Sqlite {
            return Ok(None);
        }
        let mut plan = plan(engine, "between")?;
        plan.name = "blocked";
        plan.before = vec![vec!["up", "--to", "0001"]];
        let Some(undisturbed) = bench.undisturbed(&plan)? else { return Ok(None) };
        let Some(trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
        trial.prepare()?;
        let sql = "INSERT INTO item VALUES (77, 'seventy-seven')";
        let reader = trial.database.hold(sql).map_err(|error| error.to_string())?;
        let running = trial.whimbrel().spawn(["up", "--lock-timeout", "60s"]);
        let first = waiting(&trial, engine, "0")?;
        running.kill();
        let again = trial.whimbrel().spawn(["up", "--lock-timeout", "60s"]);
        waiting(&trial, engine, &first)?;
        drop(reader);
        let output = again.wait();
        ensure(output.code == Some(0), || format!("it did not go on: {output}"))?;
        recover(&trial, &undisturbed)?;
        Ok(Some(()))
    })
}

/// Waits until a statement of the program waits, of another connection than `but`; gives the
/// connection's number. What is left of an index is dropped before it is made anew.
fn waiting(trial: &Trial<'_>, engine: Engine, but: &str) -> Verdict<String> {
    let sql = match engine {
        Engine::Postgres => format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock' AND pid <> {but} \
             AND (query LIKE 'CREATE INDEX%' OR query LIKE 'DROP INDEX%') LIMIT 1;"
        ),
        Engine::Sqlite | Engine::Mariadb => format!(
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> {but} \
             AND state LIKE 'Waiting for table metadata lock%' LIMIT 1;"
        ),
    };
    let deadline = Instant::now() + WAITS_WITHIN;
    loop {
        let found = trial.database.admin(&sql);
        if !found.trim().is_empty() {
            return Ok(found.trim().to_owned());
        }
        ensure(Instant::now() < deadline, || format!("nobody waits: {sql}"))?;
        std::thread::sleep(Duration::from_millis(50));
    }
}
