//! A statement that runs longer than the run allows.

use super::{named, recover};
use crate::proof::case::Bench;
use crate::proof::engine::Engine;
use crate::proof::plan::Plan;
use crate::proof::trial::Trial;
use crate::proof::{Verdict, ensure};

/// How long a statement may run.
const LIMIT: &str = "200ms";

/// Runs a migration that is too slow, sees that nothing of it stays, and runs it again with time
/// enough. `None` if the run leaves the engine out by name.
pub fn run(bench: &Bench, engine: Engine) -> Verdict<Option<()>> {
    named(&format!("{engine}, statement time-out"), || {
        let Some(plan) = slow(engine)? else { return Ok(None) };
        let Some(undisturbed) = bench.undisturbed(&plan)? else { return Ok(None) };
        let Some(trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
        trial.prepare()?;
        let output = trial.whimbrel().run(["up", "--statement-timeout", LIMIT]);
        ensure(output.code == Some(1), || format!("it was not too slow: {output}"))?;
        let kept = trial.query("SELECT count(*) FROM probe WHERE step = '0002';")?;
        ensure(kept == "0", || format!("something of it stays: {output}"))?;
        let migrations = engine.ledger("migrations");
        let sql = format!("SELECT count(*) FROM {migrations} WHERE name LIKE '0002%';");
        ensure(trial.query(&sql)? == "0", || format!("it is recorded as applied: {output}"))?;
        recover(&trial, &undisturbed)?;
        Ok(Some(()))
    })
}

fn slow(engine: Engine) -> Verdict<Option<Plan>> {
    let sleep = match engine {
        // It counts for about a second.
        Engine::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000) \
             SELECT count(*) FROM n;\n"
        }
        Engine::Postgres => "SELECT pg_sleep(2);\n",
        Engine::Mariadb => "SELECT sleep(2);\n",
    };
    let mut plan = super::plan(engine, "one")?;
    let text = format!("INSERT INTO probe VALUES ('0002');\n{sleep}");
    plan.files.push(("migrations/0002_slow.sql", text));
    plan.name = "slow";
    plan.before = vec![vec!["up", "--to", "0001"]];
    plan.probes.push("0002");
    Ok(Some(plan))
}
