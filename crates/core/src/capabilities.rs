//! What a database can do, as data, so that no rule asks which database it is.

use crate::sql::dialect::Dialect;

/// What one kind of database can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The SQL it speaks.
    pub dialect: Dialect,
    /// A schema change takes part in a transaction and is undone by its rollback.
    pub transactional_ddl: bool,
    /// A transaction locks the whole database against other writers, so that the write
    /// transaction itself is the fence.
    pub single_writer: bool,
    /// The lease is renewed by a second connection while a statement runs.
    pub heartbeat: bool,
    /// The author's own BEGIN, COMMIT and PRAGMA foreign_keys are refused (Cloudflare D1).
    pub no_own_transactions: bool,
    /// Rows without their parent can arise unnoticed, so that they are counted before and after.
    pub counts_orphans: bool,
    /// A row without its parent is an error (else it is only told).
    pub refuses_orphans: bool,
    /// A new value of an enum type may be added inside a transaction.
    pub enum_value_in_transaction: bool,
}

impl Capabilities {
    /// SQLite in a file.
    pub const SQLITE: Capabilities = Capabilities {
        dialect: Dialect::Sqlite,
        transactional_ddl: true,
        single_writer: true,
        heartbeat: false,
        no_own_transactions: false,
        counts_orphans: true,
        refuses_orphans: false,
        enum_value_in_transaction: true,
    };
    /// PostgreSQL 12 and later.
    pub const POSTGRES: Capabilities = Capabilities {
        dialect: Dialect::Postgres,
        transactional_ddl: true,
        single_writer: false,
        heartbeat: true,
        no_own_transactions: false,
        counts_orphans: false,
        refuses_orphans: false,
        enum_value_in_transaction: true,
    };
    /// MariaDB and MySQL.
    pub const MYSQL: Capabilities = Capabilities {
        dialect: Dialect::Mysql,
        transactional_ddl: false,
        single_writer: false,
        heartbeat: true,
        no_own_transactions: false,
        counts_orphans: false,
        refuses_orphans: false,
        enum_value_in_transaction: true,
    };
}
