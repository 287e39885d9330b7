//! Rows for testing: made from a seed and the catalog alone.
//!
//! A value follows from the seed, the table, the column and the number of the row, and from
//! nothing else: no clock and no state. So the same seed gives the same rows, and row 100 is the
//! same whether 99 rows were made before it or not.

mod bounds;
mod check;
mod dice;
mod kind;
mod maker;
mod names;
mod order;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod unique;
mod value;

pub use dice::Dice;
pub use maker::{Maker, Parent, ParentKeys, Wishes};
pub use order::{Turn, order};

/// Why a table cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FakeError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}
