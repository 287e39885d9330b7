//! What Whimbrel decides.
//!
//! Pure rules over texts, catalogs and ledger rows: no I/O, no async, no clock, no environment and
//! no database driver. The engine carries out what this crate decides.

pub mod capabilities;
pub mod history;
pub mod ledger;
pub mod plan;
pub mod ddl;
pub mod sql;
pub mod secret;
pub mod database_url;
pub mod config;
