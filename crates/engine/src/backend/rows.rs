//! Reading and writing many rows with little memory.

use async_trait::async_trait;
use whimbrel_core::rows::{Chunk, ColumnHead};
use whimbrel_core::transfer::Class;

use super::DbError;

/// The rows of one query, chunk by chunk, while the database sends them.
///
/// A stream that is dropped before its end leaves the session usable. SQLite's query is
/// interrupted; PostgreSQL and MariaDB send the rest all the same, and the next statement waits
/// for it to go by.
#[async_trait]
pub trait RowStream: Send {
    /// The columns.
    fn columns(&self) -> &[ColumnHead];

    /// Fills `chunk` with the next rows, at most about
    /// [`CHUNK_BYTES_MAX`](whimbrel_core::rows::CHUNK_BYTES_MAX) of them. False when there was no
    /// row left.
    async fn next(&mut self, chunk: &mut Chunk) -> Result<bool, DbError>;
}

/// A table that rows are loaded into, and its columns that are given.
#[derive(Clone, Debug)]
pub struct LoadInto {
    /// The table as it stands in SQL.
    pub table: String,
    /// Its columns in the order of the rows' values: names as they stand in SQL, and what they
    /// hold.
    pub columns: Vec<(String, Class)>,
    /// For each column its type as the catalog prints it.
    pub types: Vec<String>,
}

impl LoadInto {
    /// `"a", "b"`.
    pub(crate) fn column_list(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }
}

/// Takes rows into one table, inside the transaction that is open.
///
/// The values are as [`whimbrel_core::transfer::Way`] makes them for the table's columns.
#[async_trait]
pub trait RowSink: Send {
    /// Takes rows; they are in the table at the latest after [`RowSink::finish`].
    async fn write(&mut self, chunk: &Chunk) -> Result<(), DbError>;

    /// Ends the rows; says how many of them the database took.
    async fn finish(self: Box<Self>) -> Result<u64, DbError>;
}

/// A table's rows as lines of text, each with a line feed at its end and none inside.
#[async_trait]
pub trait TextOut: Send {
    /// Appends some rows. False when there was no row left.
    async fn next(&mut self, to: &mut Vec<u8>) -> Result<bool, DbError>;
}

/// Takes a table's rows as lines of text.
#[async_trait]
pub trait TextIn: Send {
    /// Takes text that follows the text before it; it may end inside of a row.
    async fn write(&mut self, text: Vec<u8>) -> Result<(), DbError>;

    /// Ends the rows; says how many of them the database took.
    async fn finish(self: Box<Self>) -> Result<u64, DbError>;
}
