//! An application that goes on inserting, changing and deleting rows while they are migrated.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::engine::Engine;
use super::random::Random;
use super::{Verdict, ensure, guarded};
use crate::database::{Conversation, TestDatabase};
use crate::project::Project;
use crate::run::{Output, Whimbrel};

/// How long the application rests between two statements.
const REST: Duration = Duration::from_millis(2);
/// How many statements the application has run before the run begins, each of its sessions.
const WARM: usize = 5;

/// What an application saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many statements it ran while the rows were migrated.
    pub statements: usize,
    /// How long the slowest of them took.
    pub stall: Duration,
    /// How many batches there were.
    pub batches: usize,
    /// How long the run took.
    pub took: Duration,
}

/// What a session of the application does.
#[derive(Clone, Copy, Debug)]
enum Does {
    Inserts,
    Updates,
    Deletes,
}

/// Migrates `rows` rows, each with one UPDATE and one INSERT .. SELECT, under an application with
/// three sessions. `None` if the run leaves the engine out by name.
///
/// # Errors
///
/// An error that the application saw, a run that failed, a row that was done twice or not at all.
pub fn run(program: &Path, engine: Engine, rows: usize) -> Verdict<Option<Seen>> {
    guarded(|| {
        let Some(database) = engine.fresh("live") else { return Ok(None) };
        let project = Project::new();
        prepare(&project, engine, rows);
        let whimbrel = Whimbrel::new(program, project.path()).env("DATABASE_URL", &database.url);
        let whimbrel = whimbrel.timeout(Duration::from_secs(600));
        whimbrel.run(["up", "--to", "0001"]).success();
        if engine == Engine::Sqlite {
            database.query("PRAGMA journal_mode = wal;");
        }
        let (output, mut seen) = under_load(&database, &whimbrel, rows)?;
        ensure(output.code == Some(0), || format!("it did not end well: {output}"))?;
        seen.batches = output.stdout.matches("\"event\":\"batch\"").count();
        check(&database, rows)?;
        Ok(Some(seen))
    })
    .map_err(|error| format!("{engine}, live: {error}"))
}

fn prepare(project: &Project, engine: Engine, rows: usize) {
    let number = match engine {
        Engine::Sqlite => "INTEGER PRIMARY KEY",
        Engine::Postgres => "bigserial PRIMARY KEY",
        Engine::Mariadb => "bigint AUTO_INCREMENT PRIMARY KEY",
    };
    let mut sql = format!(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, seen INTEGER NOT NULL, \
         name VARCHAR(200));\n\
         CREATE TABLE copy (id {number}, item_id INTEGER NOT NULL, name VARCHAR(200));\n"
    );
    let padding = "x".repeat(150);
    let ids: Vec<usize> = (1..=rows).rev().collect();
    for chunk in ids.chunks(500) {
        let values: Vec<String> =
            chunk.iter().map(|id| format!("({id}, 0, 0, '{id}{padding}')")).collect();
        let _ = writeln!(sql, "INSERT INTO item VALUES {};", values.join(", "));
    }
    project.file("migrations/0001_item.sql", &sql);
    project.file(
        "migrations/0002_count.data.sql",
        "UPDATE item SET n = n + 1;\n\
         INSERT INTO copy (item_id, name) SELECT i.id, i.name FROM item i;\n",
    );
}

fn under_load(
    database: &TestDatabase,
    whimbrel: &Whimbrel,
    rows: usize,
) -> Verdict<(Output, Seen)> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sessions: Vec<_> = [Does::Inserts, Does::Updates, Does::Deletes]
            .into_iter()
            .map(|does| {
                let over = &over;
                let talk = database.converse().map_err(|error| error.to_string());
                scope.spawn(move || talk.and_then(|talk| application(talk, does, rows, over)))
            })
            .collect();
        let began = std::time::Instant::now();
        let output = whimbrel.run(["up", "--json"]);
        let took = began.elapsed();
        over.store(true, Ordering::SeqCst);
        let mut seen = Seen { took, ..Seen::default() };
        for session in sessions {
            let one = session.join().map_err(|_| "a session panicked".to_owned())??;
            seen.statements += one.statements;
            seen.stall = seen.stall.max(one.stall);
        }
        ensure(seen.statements > WARM, || "the application did next to nothing".to_owned())?;
        Ok((output, seen))
    })
}

/// One session of the application, until the run is over.
fn application(
    mut talk: Conversation,
    does: Does,
    rows: usize,
    over: &AtomicBool,
) -> Verdict<Seen> {
    let mut random = Random::new(rows as u64);
    let mut seen = Seen::default();
    while !over.load(Ordering::SeqCst) {
        let id = 1 + random.below(rows);
        let sql = match does {
            Does::Inserts => {
                let id = rows + 1 + seen.statements;
                format!("INSERT INTO item VALUES ({id}, 0, 0, 'new');")
            }
            Does::Updates => format!("UPDATE item SET seen = seen + 1 WHERE id = {id};"),
            Does::Deletes => format!("DELETE FROM item WHERE id = {id};"),
        };
        let took = talk.run(&sql).map_err(|error| format!("the application saw this: {error}"))?;
        seen.statements += 1;
        seen.stall = seen.stall.max(took);
        std::thread::sleep(REST);
    }
    Ok(seen)
}

/// Each row that was there and still is was done once, and none that came later.
fn check(database: &TestDatabase, rows: usize) -> Verdict<()> {
    let none = [
        ("rows not done once", format!("SELECT count(*) FROM item WHERE id <= {rows} AND n <> 1;")),
        ("rows done too often", format!("SELECT count(*) FROM item WHERE id > {rows} AND n > 1;")),
        (
            "rows copied twice",
            "SELECT count(*) FROM (SELECT item_id FROM copy GROUP BY item_id \
             HAVING count(*) > 1) twice;"
                .to_owned(),
        ),
        (
            "rows not copied",
            format!(
                "SELECT count(*) FROM item i WHERE i.id <= {rows} AND NOT EXISTS \
                 (SELECT 1 FROM copy c WHERE c.item_id = i.id);"
            ),
        ),
    ];
    for (what, sql) in none {
        let found = database.try_query(&sql).map_err(|error| error.to_string())?;
        ensure(found == "0", || format!("{found} {what}"))?;
    }
    Ok(())
}
