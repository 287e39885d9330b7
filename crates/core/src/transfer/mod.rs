//! Rows from one database to another: which type becomes which, what can be lost on the way, which
//! tables and columns belong together and in which order they are filled.

mod class;
mod convert;
mod digest;
mod loss;
mod mapping;
mod pairs;
mod times;
mod values;

pub use class::{Affinity, Class, Family};
pub use convert::{Scratch, Way};
pub use digest::{Digester, RowDigest, RowsDigest, Summary, bucket};
pub use loss::Loss;
pub use mapping::{Grade, MAPPINGS, grade, reference};
pub use pairs::{ColumnPair, Group, Matched, Refusal, Side, TablePair, groups, pairs};
pub use times::{DAY_MICROS, Moment, read_date, read_moment, read_time};
pub use values::read_uuid;
