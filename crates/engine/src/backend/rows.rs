//! Reading many rows with little memory.

use async_trait::async_trait;
use whimbrel_core::rows::{Chunk, ColumnHead};

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
