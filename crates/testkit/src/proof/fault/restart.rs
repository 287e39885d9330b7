//! A server that stops, in order or without, and starts again while the program is in the middle.

use std::os::unix::fs::PermissionsExt;

use super::{check_orderly, named, plan, recover};
use crate::database::{TestDatabase, on_mariadb, on_postgres};
use crate::failure::Result;
use crate::proof::Verdict;
use crate::proof::case::Bench;
use crate::proof::engine::Engine;
use crate::proof::race::stopped_at;
use crate::proof::trial::Trial;
use crate::servers::{MariaDb, Postgres};
use crate::variables::{self, Backend};

/// Where the server is restarted: plan, place, passing.
const PLACES: [(&str, &str, usize); 9] = [
    ("single", "lock.after_acquire", 1),
    ("single", "transaction.before_begin", 2),
    ("single", "transaction.after_begin", 2),
    ("single", "statement.between", 4),
    ("single", "transaction.before_commit", 2),
    ("single", "transaction.after_commit", 2),
    ("several", "statement.between", 6),
    ("between", "history.after_intent", 1),
    ("between", "statement.after_last", 2),
];

/// A server that nobody else uses.
#[derive(Debug)]
pub(in crate::proof) enum Server {
    Postgres(Postgres),
    Mariadb(MariaDb),
}

impl Server {
    pub(in crate::proof) fn start(
        engine: Engine,
        folder: &std::path::Path,
    ) -> Result<Option<Server>> {
        Ok(match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Server::Postgres(Postgres::start(folder, &[], None)?)),
            Engine::Mariadb => Some(Server::Mariadb(MariaDb::start(folder)?)),
        })
    }

    pub(in crate::proof) fn database(&self) -> TestDatabase {
        match self {
            Server::Postgres(server) => on_postgres(server, "restart"),
            Server::Mariadb(server) => on_mariadb(server, "restart"),
        }
    }

    /// Ends it, like a power failure if `crash`, and starts it again on the same port.
    pub(in crate::proof) fn restart(&mut self, crash: bool) -> Result<()> {
        match self {
            Server::Postgres(server) => {
                if crash { server.crash() } else { server.stop() }?;
                server.start_again()
            }
            Server::Mariadb(server) => {
                if crash { server.crash() } else { server.stop() }?;
                server.start_again()
            }
        }
    }
}

/// A server that nobody else uses, with its folder. `None` where there is no server, or the run
/// leaves the engine out by name.
pub(in crate::proof) fn own_server(engine: Engine) -> Verdict<Option<(Server, tempfile::TempDir)>> {
    let left_out = match engine {
        Engine::Sqlite => true,
        Engine::Postgres => variables::is_left_out(Backend::Postgres),
        Engine::Mariadb => variables::is_left_out(Backend::Mariadb),
    };
    if left_out {
        return Ok(None);
    }
    named("a private server", || {
        let folder = tempfile::Builder::new().prefix("whimbrel-own-server-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).map_err(|error| error.to_string())?;
        let server = Server::start(engine, &folder.path().join("own"));
        let server = server.map_err(|error| error.to_string())?;
        Ok(server.map(|server| (server, folder)))
    })
}

/// Restarts a private server at `count` places, in turn with and without goodbye. Returns what each
/// case found; nothing if the run leaves the engine out by name.
pub fn run(bench: &Bench, engine: Engine, count: usize) -> Vec<Verdict<()>> {
    let (mut server, _folder) = match own_server(engine) {
        Ok(Some(found)) => found,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Err(error)],
    };
    let places =
        PLACES.iter().filter(|(plan, ..)| engine == Engine::Postgres || *plan != "several");
    let cases = places.flat_map(|place| [(place, true), (place, false)]);
    let cases: Vec<_> = cases.collect();
    let step = cases.len().div_ceil(count.max(1)) | 1;
    cases
        .into_iter()
        .step_by(step)
        .map(|((plan, point, nth), crash)| {
            let way = if crash { "crashed" } else { "stopped" };
            named(&format!("{engine}/{plan}, server {way} at {point}:{nth}"), || {
                once(bench, engine, &mut server, (plan, point, *nth), crash)
            })
        })
        .collect()
}

fn once(
    bench: &Bench,
    engine: Engine,
    server: &mut Server,
    (name, point, nth): (&str, &str, usize),
    crash: bool,
) -> Verdict<()> {
    let plan = plan(engine, name)?;
    let undisturbed = bench.undisturbed(&plan)?.ok_or("the shared server is left out")?;
    let trial = Trial::on(bench.program(), &plan, server.database());
    let running = stopped_at(&trial, point, nth)?;
    server.restart(crash).map_err(|error| error.to_string())?;
    running.resume();
    check_orderly(&running.wait())?;
    recover(&trial, &undisturbed)
}
