//! A statement that runs longer than the server allows.

use super::{named, recover};
use crate::proof::case::Bench;
use crate::proof::engine::Engine;
use crate::proof::plan::Plan;
use crate::proof::trial::Trial;
use crate::proof::{Verdict, ensure};

/// Runs a migration that is too slow, sees that nothing of it stays, and runs it again with time
/// enough. `None` if the run leaves the engine out by name or it has no such limit.
pub fn run(bench: &Bench, engine: Engine) -> Verdict<Option<()>> {
    named(&format!("{engine}, statement time-out"), || {
        let Some(plan) = slow(engine)? else { return Ok(None) };
        let Some(undisturbed) = bench.undisturbed(&plan)? else { return Ok(None) };
        let Some(mut trial) = Trial::new(bench.program(), &plan) else { return Ok(None) };
        trial.prepare()?;
        limit(&mut trial);
        let output = trial.run();
        ensure(output.code == Some(1), || format!("it was not too slow: {output}"))?;
        let kept = trial.query("SELECT count(*) FROM probe WHERE step = '0002';")?;
        ensure(kept == "0", || format!("something of it stays: {output}"))?;
        let migrations = engine.ledger("migrations");
        let sql = format!("SELECT count(*) FROM {migrations} WHERE name LIKE '0002%';");
        ensure(trial.query(&sql)? == "0", || format!("it is recorded as applied: {output}"))?;
        unlimit(&mut trial);
        recover(&trial, &undisturbed)?;
        Ok(Some(()))
    })
}

fn slow(engine: Engine) -> Verdict<Option<Plan>> {
    let sleep = match engine {
        Engine::Sqlite => return Ok(None),
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

fn limit(trial: &mut Trial<'_>) {
    let name = trial.database.name.clone();
    if trial.plan.engine == Engine::Postgres {
        let sql = format!("ALTER DATABASE {name} SET statement_timeout = '1s';");
        trial.database.admin(&sql);
        return;
    }
    // A user of its own: the limit belongs to users there.
    let user = format!("slow{}", name.rsplit('_').take(2).collect::<String>());
    trial.database.admin(&format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'slow' WITH MAX_STATEMENT_TIME 1;\n\
         GRANT ALL ON `{name}`.* TO '{user}'@'%';"
    ));
    let url = trial.database.url.clone();
    if let Some((_, server)) = url.split_once('@') {
        trial.reach_by(format!("mysql://{user}:slow@{server}"));
    }
}

fn unlimit(trial: &mut Trial<'_>) {
    if trial.plan.engine == Engine::Postgres {
        let sql = format!("ALTER DATABASE {} RESET statement_timeout;", trial.database.name);
        trial.database.admin(&sql);
    }
    trial.reach_by(trial.database.url.clone());
}
