//! The built program as its users run it.

mod crash;
mod histories;
