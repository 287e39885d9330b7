//! What Whimbrel decides.
//!
//! Pure rules over texts, catalogs and ledger rows: no I/O, no async, no clock, no environment and
//! no database driver. The engine carries out what this crate decides.

pub mod sql;
