//! A project, its database, and the application that writes there.

use std::fmt::Write as _;
use std::path::Path;

use super::Report;
use super::model::{Key, Model, Rows};
use super::plan::{ITEMS, files, keys};
use crate::database::TestDatabase;
use crate::project::Project;
use crate::proof::engine::Engine;
use crate::proof::random::Random;
use crate::proof::{Verdict, ensure};
use crate::run::{Output, Whimbrel};

/// Keys of what the application adds begin here, those of cards at twice of it.
const ADDED: i64 = 100_000;
/// Most writes of the application at once.
const WRITES_MAX: usize = 4;

/// One case.
pub(super) struct World<'a> {
    pub(super) engine: Engine,
    pub(super) report: Report,
    /// What was done, for whoever looks into a failure.
    pub(super) told: Vec<String>,
    pub(super) model: Model,
    database: TestDatabase,
    project: Project,
    program: &'a Path,
    written: i64,
}

impl<'a> World<'a> {
    /// `None` if the run leaves this engine out by name.
    pub(super) fn new(program: &'a Path, engine: Engine, random: &mut Random) -> Option<World<'a>> {
        let database = engine.fresh("rollback")?;
        let project = Project::new();
        for (name, text) in files(engine, random) {
            project.file(&format!("migrations/{name}"), &text);
        }
        for (path, text) in keys() {
            project.file(path, &text);
        }
        let (report, model) = (Report::default(), Model::default());
        let told = Vec::new();
        Some(World { engine, report, told, model, database, project, program, written: 0 })
    }

    pub(super) fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(self.program, self.project.path()).env("DATABASE_URL", &self.database.url)
    }

    pub(super) fn run(&mut self, words: &[&str], failpoint: Option<&str>) -> Output {
        let mut whimbrel = self.whimbrel();
        if let Some(failpoint) = failpoint {
            whimbrel = whimbrel.env("WHIMBREL_FAILPOINT", failpoint);
        }
        let output = whimbrel.run(words);
        let killed = failpoint.map_or_else(String::new, |point| format!(" (kill at {point})"));
        let end = output.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
        self.told.push(format!("{}{killed} -> {end}", words.join(" ")));
        output
    }

    /// The first migration, and rows of the application.
    pub(super) fn begin(&mut self, random: &mut Random) -> Verdict<()> {
        let output = self.run(&["up", "--to", "0001"], None);
        ensure(output.code == Some(0), || output.to_string())?;
        let mut sql = String::new();
        for id in 1..=ITEMS {
            let name = self.next();
            let note = if random.below(2) == 0 { Some(self.next()) } else { None };
            let quoted =
                note.as_ref().map_or_else(|| "NULL".to_owned(), |note| format!("'{note}'"));
            // Writing into a string cannot fail.
            let _ = writeln!(
                sql,
                "INSERT INTO items (id, name, note) VALUES ({id}, '{name}', {quoted});"
            );
            self.model.wrote(("items", id), "name", &name);
            if let Some(note) = note {
                self.model.wrote(("items", id), "note", &note);
            }
        }
        self.query(&sql).map(drop)
    }

    /// Some writes of the application.
    pub(super) fn write(&mut self, random: &mut Random) -> Verdict<()> {
        let rows = self.rows()?;
        let keys: Vec<Key> = rows.keys().copied().collect();
        let mut sql = String::new();
        let mut done: Vec<Key> = Vec::new();
        for _ in 0..=random.below(WRITES_MAX) {
            let value = self.next();
            let Some(key) = random.pick(&keys).copied() else { continue };
            if done.contains(&key) {
                continue;
            }
            done.push(key);
            let (table, id) = key;
            let has_slug = rows.get(&key).is_some_and(|row| row.contains_key("slug"));
            let column = match (table, random.below(8)) {
                (_, 0) => {
                    self.add(table, &value, &mut sql);
                    continue;
                }
                (_, 1) => {
                    let column = key_column(table);
                    let _ = writeln!(sql, "DELETE FROM {table} WHERE {column} = {id};");
                    self.model.deleted(key);
                    self.report.writes += 1;
                    continue;
                }
                ("cards", _) => "label",
                (_, 2..=3) if has_slug => "slug",
                (_, 4..=6) => "note",
                _ => "name",
            };
            let by = key_column(table);
            let _ = writeln!(sql, "UPDATE {table} SET {column} = '{value}' WHERE {by} = {id};");
            self.model.wrote(key, column, &value);
            self.report.writes += 1;
        }
        self.told.push(sql.trim_end().to_owned());
        self.query(&sql).map(drop)
    }

    fn add(&mut self, table: &'static str, value: &str, sql: &mut String) {
        let (id, column) = match table {
            "cards" => (2 * ADDED + self.written, "label"),
            _ => (ADDED + self.written, "name"),
        };
        let by = key_column(table);
        let _ = writeln!(sql, "INSERT INTO {table} ({by}, {column}) VALUES ({id}, '{value}');");
        self.model.wrote((table, id), column, value);
        self.report.writes += 1;
    }

    /// A value that nobody has written before.
    fn next(&mut self) -> String {
        self.written += 1;
        format!("app-{}", self.written)
    }

    pub(super) fn query(&self, sql: &str) -> Verdict<String> {
        self.database.try_query(sql).map_err(|error| format!("{sql}: {error}"))
    }

    /// All rows of both tables.
    pub(super) fn rows(&self) -> Verdict<Rows> {
        let mut rows = Rows::new();
        let columns = match self.database.try_query("SELECT id, name, note, slug FROM items") {
            Ok(text) => (text, &["name", "note", "slug"][..]),
            Err(_) => (self.query("SELECT id, name, note FROM items")?, &["name", "note"][..]),
        };
        let cards = self.database.try_query("SELECT item_id, label FROM cards").unwrap_or_default();
        for (table, text, names) in
            [("items", columns.0, columns.1), ("cards", cards, &["label"][..])]
        {
            for line in text.lines() {
                let mut values = line.split('|');
                let id = values.next().and_then(|id| id.parse().ok());
                let id: i64 = id.ok_or_else(|| format!("{table}: no number in `{line}`"))?;
                let row = names.iter().copied().zip(values.map(str::to_owned)).collect();
                rows.insert((table, id), row);
            }
        }
        Ok(rows)
    }

    /// Names of the applied migrations.
    pub(super) fn applied(&self) -> Verdict<Vec<String>> {
        let sql =
            format!("SELECT name, event FROM {} ORDER BY seq", self.engine.ledger("migrations"));
        let mut names: Vec<String> = Vec::new();
        for line in self.query(&sql)?.lines() {
            let (name, event) = line.split_once('|').unwrap_or((line, ""));
            names.retain(|one| one != name);
            if event == "up" {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Runs that have something in the database, oldest first.
    pub(super) fn runs(&self) -> Verdict<Vec<String>> {
        let table = self.engine.ledger("migrations");
        let sql = format!(
            "SELECT run_id FROM {table} WHERE event = 'up' AND name <> '0001_items.sql' \
             GROUP BY run_id ORDER BY max(seq)"
        );
        Ok(self.query(&sql)?.lines().map(str::to_owned).collect())
    }
}

fn key_column(table: &str) -> &'static str {
    if table == "cards" { "item_id" } else { "id" }
}
