//! What Whimbrel decides.
//!
//! Pure rules over texts, catalogs and ledger rows: no I/O, no async, no clock, no environment and
//! no database driver. The engine carries out what this crate decides.

pub mod capabilities;
pub mod compare;
pub mod history;
pub mod ledger;
pub mod plan;
pub mod probe;
pub mod ddl;
pub mod destructive;
pub mod sql;
pub mod secret;
pub mod database_url;
pub mod config;
pub mod migration;
pub mod directive;
pub mod format;
pub mod directory;
pub mod checksum;
pub mod step;
pub mod snapshot;
pub mod sqltype;
pub mod verify;
