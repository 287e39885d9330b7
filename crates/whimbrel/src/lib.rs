//! Whimbrel as a program: the command line, and later the HTTP API and the admin pages.

pub mod account;
pub mod cli;
pub mod context;
pub mod error;
pub mod output;
pub mod printer;
pub mod reference;
