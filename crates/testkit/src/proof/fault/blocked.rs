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
        wait_for(&trial, &waiting_sql(engine))?;
        running.kill();
        let again = trial.whimbrel().spawn(["up", "--lock-timeout", "60s"]);
        wait_for(&trial, &waiting_sql(engine))?;
        drop(reader);
        let output = again.wait();
        ensure(output.code == Some(0), || format!("it did not go on: {output}"))?;
        recover(&trial, &undisturbed)?;
        Ok(Some(()))
    })
}

/// A number that is not 0 while one of the program's statements waits.
fn waiting_sql(engine: Engine) -> String {
    match engine {
        Engine::Postgres => "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock' \
             AND query LIKE 'CREATE INDEX%';"
            .to_owned(),
        Engine::Sqlite | Engine::Mariadb => "SELECT count(*) FROM information_schema.processlist \
             WHERE db = database() AND state LIKE 'Waiting for table metadata lock%';"
            .to_owned(),
    }
}

fn wait_for(trial: &Trial<'_>, sql: &str) -> Verdict<()> {
    let deadline = Instant::now() + WAITS_WITHIN;
    while trial.database.admin(sql).trim() == "0" {
        ensure(Instant::now() < deadline, || format!("nobody waits: {sql}"))?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
