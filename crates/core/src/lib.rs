//! What Whimbrel decides.
//!
//! Pure rules over texts, catalogs and ledger rows: no I/O, no async, no clock, no environment and
//! no database driver. The engine carries out what this crate decides.

pub mod backup;
pub mod calendar;
pub mod capabilities;
pub mod checksum;
pub mod compare;
pub mod config;
pub mod data;
pub mod database_url;
pub mod ddl;
pub mod destructive;
pub mod directive;
pub mod directory;
pub mod fake;
pub mod format;
pub mod history;
pub mod judgement;
pub mod ledger;
pub mod migration;
pub mod pace;
pub mod plan;
pub mod pooled;
pub mod probe;
pub mod retry;
pub mod rows;
pub mod rules;
pub mod secret;
pub mod snapshot;
pub mod sql;
pub mod sqltype;
pub mod step;
pub mod throttle;
pub mod transfer;
pub mod verify;
