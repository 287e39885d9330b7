//! Servers, databases and project folders for Whimbrel's tests.
//!
//! Tests start nothing themselves: `cargo xtask servers run -- COMMAND` starts private servers,
//! tells the command where they are by the [`variables`], and stops them. A test asks
//! [`database`] for a fresh database, fills a [`project`] folder, lets [`run`] call the built
//! program there, and looks at the result with the database's own client. This crate depends on
//! no other part of Whimbrel, so that nothing judges its own work.

pub mod corpus;
pub mod database;
pub mod failure;
pub mod peers;
mod process;
pub mod project;
pub mod proof;
pub mod run;
pub mod servers;
pub mod variables;
