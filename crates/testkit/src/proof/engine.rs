//! The databases that every proof runs on.

use std::fmt;

use crate::database::{TestDatabase, fresh_mariadb, fresh_postgres, fresh_sqlite};

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// The private PostgreSQL server.
    Postgres,
    /// The private MariaDB server.
    Mariadb,
}

impl Engine {
    /// Every kind.
    pub const ALL: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mariadb];

    /// Its name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::Mariadb => "mariadb",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// A fresh database; `None` if the run leaves this kind out by name.
    ///
    /// # Panics
    /// If the server is not there and nobody asked to leave it out.
    #[track_caller]
    pub fn fresh(self, hint: &str) -> Option<TestDatabase> {
        match self {
            Engine::Sqlite => Some(fresh_sqlite()),
            Engine::Postgres => fresh_postgres(hint),
            Engine::Mariadb => fresh_mariadb(hint),
        }
    }

    /// The name of one of the ledger's tables.
    pub fn ledger(self, table: &str) -> String {
        match self {
            Engine::Postgres => format!("whimbrel.{table}"),
            Engine::Sqlite | Engine::Mariadb => format!("whimbrel_{table}"),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
