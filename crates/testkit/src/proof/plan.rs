//! The projects that are interrupted: one for each way in which a step can be committed.
//!
//! Every step carries a probe that is not idempotent: a row in `probe`. Had a step's effect
//! happened twice, or not at all, the number of its rows would not be one.

mod mariadb;
mod postgres;
mod sqlite;

use super::engine::Engine;

/// A project, and the command that is interrupted in it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name on command lines.
    pub name: &'static str,
    /// The database that its SQL is written for.
    pub engine: Engine,
    /// Path and text of each file.
    pub files: Vec<(&'static str, String)>,
    /// Commands that run undisturbed before.
    pub before: Vec<Vec<&'static str>>,
    /// The command that is interrupted and run again.
    pub command: Vec<&'static str>,
    /// What the rows of `probe` must be in the end, each exactly once.
    pub probes: Vec<&'static str>,
    /// Statements of which no catalog can tell whether they happened.
    pub by_hand: Vec<ByHand>,
}

/// A statement that only a look at its rows can decide.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// As `whimbrel resolve` names it: `MIGRATION:STATEMENT`.
    pub step: &'static str,
    /// The row of `probe` that it writes.
    pub probe: &'static str,
}

impl Plan {
    /// Every plan of an engine.
    pub fn all(engine: Engine) -> Vec<Plan> {
        let base = base(engine);
        let (own, pair, between) = match engine {
            Engine::Sqlite => (sqlite::OWN, sqlite::PAIR, sqlite::BETWEEN),
            Engine::Postgres => (postgres::OWN, postgres::PAIR, postgres::BETWEEN),
            Engine::Mariadb => (mariadb::OWN, mariadb::PAIR, mariadb::BETWEEN),
        };
        let several = || {
            let mut files = vec![base.clone()];
            files.extend(SEVERAL.iter().map(|(path, text)| (*path, (*text).to_owned())));
            files
        };
        let (second, by_hand) = ("migrations/0002_second.sql", "migrations/0002_by_hand.sql");
        let with = |path, text: &str| vec![base.clone(), (path, text.to_owned())];
        let plan = |name, files, probes: &[&'static str]| Plan {
            name,
            engine,
            files,
            before: Vec::new(),
            command: vec!["up"],
            probes: probes.to_vec(),
            by_hand: Vec::new(),
        };
        vec![
            plan("one", vec![base.clone()], &["0001"]),
            plan("several", several(), SEVERAL_PROBES),
            Plan {
                command: vec!["up", "--group=never"],
                ..plan("single", several(), SEVERAL_PROBES)
            },
            plan("own", with(second, own), &["0001", "0002.a", "0002.b", "0002.c"]),
            plan("pair", with(second, pair), &["0001", "0002.a", "0002.b", "0002.c"]),
            plan("between", with(second, between), &["0001", "0002.a", "0002.b", "0002.c"]),
            Plan {
                by_hand: vec![
                    ByHand { step: "0002_by_hand.sql:1", probe: "0002.1" },
                    ByHand { step: "0002_by_hand.sql:2", probe: "0002.2" },
                ],
                ..plan("by-hand", with(by_hand, BY_HAND), &["0001", "0002.1", "0002.2"])
            },
            Plan {
                before: vec![vec!["up"]],
                command: vec!["down", "--to", "0001", "--yes"],
                ..plan("down", down_files(several()), DOWN_PROBES)
            },
        ]
    }

    /// The plan of this name.
    pub fn named(engine: Engine, name: &str) -> Option<Plan> {
        Plan::all(engine).into_iter().find(|plan| plan.name == name)
    }
}

/// The first migration of every plan. It is also a plan of its own: schema and rows in one file.
fn base(engine: Engine) -> (&'static str, String) {
    let key = match engine {
        Engine::Sqlite => "INTEGER PRIMARY KEY",
        Engine::Postgres | Engine::Mariadb => "integer PRIMARY KEY",
    };
    let text = format!(
        "CREATE TABLE probe (step varchar(40) NOT NULL);\n\
         CREATE TABLE counter (n integer NOT NULL);\n\
         INSERT INTO counter VALUES (0);\n\
         CREATE TABLE item (id {key}, name varchar(40) NOT NULL);\n\
         INSERT INTO item VALUES (1, 'one'), (2, 'two');\n\
         UPDATE counter SET n = n + 1;\n\
         INSERT INTO probe VALUES ('0001');\n"
    );
    ("migrations/0001_base.sql", text)
}

const SEVERAL: &[(&str, &str)] = &[
    (
        "migrations/0002_note.sql",
        "ALTER TABLE item ADD COLUMN note varchar(40);\n\
         UPDATE item SET note = name;\n\
         UPDATE counter SET n = n + 1;\n\
         INSERT INTO probe VALUES ('0002');\n",
    ),
    (
        "migrations/0003_part.sql",
        "CREATE TABLE part (id integer PRIMARY KEY, item_id integer NOT NULL,\n  \
         FOREIGN KEY (item_id) REFERENCES item (id));\n\
         INSERT INTO part SELECT id * 10, id FROM item;\n\
         CREATE INDEX part_item ON part (item_id);\n\
         UPDATE counter SET n = n + 1;\n\
         INSERT INTO probe VALUES ('0003');\n",
    ),
    (
        "migrations/0004_view.sql",
        "CREATE VIEW item_names AS SELECT name FROM item;\n\
         UPDATE counter SET n = n + 1;\n\
         INSERT INTO probe VALUES ('0004');\n",
    ),
];

const SEVERAL_PROBES: &[&str] = &["0001", "0002", "0003", "0004"];

const DOWN: &[(&str, &str)] = &[
    (
        "migrations/0002_note.down.sql",
        "INSERT INTO probe VALUES ('0002.down');\n\
         ALTER TABLE item DROP COLUMN note;\n\
         UPDATE counter SET n = n + 1;\n",
    ),
    (
        "migrations/0003_part.down.sql",
        "DROP TABLE part;\n\
         UPDATE counter SET n = n + 1;\n\
         INSERT INTO probe VALUES ('0003.down');\n",
    ),
    (
        "migrations/0004_view.down.sql",
        "DROP VIEW item_names;\n\
         UPDATE counter SET n = n + 1;\n\
         INSERT INTO probe VALUES ('0004.down');\n",
    ),
];

const DOWN_PROBES: &[&str] =
    &["0001", "0002", "0003", "0004", "0002.down", "0003.down", "0004.down"];

fn down_files(mut files: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    files.extend(DOWN.iter().map(|(path, text)| (*path, (*text).to_owned())));
    files
}

/// Rows written outside of any transaction: no catalog shows whether they were.
const BY_HAND: &str = "-- whimbrel: transaction=never\n\
     INSERT INTO probe VALUES ('0002.1');\n\
     INSERT INTO probe VALUES ('0002.2');\n\
     CREATE TABLE last (id integer);\n";
