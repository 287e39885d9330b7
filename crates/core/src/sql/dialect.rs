//! The SQL dialects Whimbrel speaks, and the differences that are data rather than code.

/// A database's SQL. Cloudflare D1 speaks [`Dialect::Sqlite`] under other capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite and Cloudflare D1.
    Sqlite,
    /// PostgreSQL 11 and later, and services that speak its protocol.
    Postgres,
    /// MariaDB and MySQL.
    Mysql,
}

impl Dialect {
    /// Every dialect, in the order in which documents name them.
    pub const ALL: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql];

    /// The lower-case word used in JSON, directives and messages.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
            Dialect::Mysql => "mysql",
        }
    }
}
