//! Data migrations: a statement that changes many rows, cut into batches.
//!
//! Each batch is one transaction with the fence, the values before, the statement, the values
//! after, and the cursor. So a batch happens exactly once, whatever dies, and a later process goes
//! on where the cursor stands.

mod aside;
mod batch;
mod between;
mod compare;
pub(crate) mod compared;
pub(crate) mod copy;
mod cursor;
mod estimate;
mod failure;
pub(crate) mod final_pass;
pub(crate) mod frozen;
pub(crate) mod gate;
mod image;
mod insert;
pub(crate) mod job;
pub(crate) mod judge;
pub(crate) mod key;
pub(crate) mod moment;
pub(crate) mod parallel;
mod parts;
pub(crate) mod quarantine;
mod rehearse;
mod say;
pub(crate) mod signals;
pub(crate) mod sources;
mod staging;
mod start;
pub(crate) mod undo;
mod undo_force;
mod undo_kept;
mod undo_referrers;
mod undo_sql;
mod until;
pub(crate) mod whole;
