//! The same scenario on every engine.

use std::path::Path;

use whimbrel_testkit::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

/// A fresh database of one engine, a project, and the program in it.
pub(crate) struct Bench {
    /// `sqlite`, `postgres` or `mariadb`.
    pub(crate) engine: &'static str,
    pub(crate) database: TestDatabase,
    pub(crate) project: Project,
}

impl Bench {
    /// The program in the project's folder, with the database in `DATABASE_URL`.
    pub(crate) fn whimbrel(&self) -> Whimbrel {
        Whimbrel::new(Path::new(env!("CARGO_BIN_EXE_whimbrel")), self.project.path())
            .env("DATABASE_URL", &self.database.url)
    }

    /// Writes `migrations/NAME`.
    pub(crate) fn migration(&self, name: &str, text: &str) {
        self.project.file(&format!("migrations/{name}"), text);
    }
}

/// Runs a scenario on the engine of that name, unless it is left out of this run by name.
pub(crate) fn on(engine: &'static str, scenario: impl Fn(&Bench)) {
    let database = match engine {
        "sqlite" => Some(fresh_sqlite()),
        "postgres" => fresh_postgres("conformance"),
        _ => fresh_mariadb("conformance"),
    };
    if let Some(database) = database {
        scenario(&Bench { engine, database, project: Project::new() });
    }
}

/// Makes one test of the scenario for each engine.
macro_rules! every_engine {
    ($($scenario:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $scenario() { crate::engines::on("sqlite", super::$scenario); })+
        }
        mod postgres {
            $(#[test] fn $scenario() { crate::engines::on("postgres", super::$scenario); })+
        }
        mod mariadb {
            $(#[test] fn $scenario() { crate::engines::on("mariadb", super::$scenario); })+
        }
    };
}
pub(crate) use every_engine;
