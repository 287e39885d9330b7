//! Tests against real databases.

#[cfg(feature = "mysql")]
mod mysql;
