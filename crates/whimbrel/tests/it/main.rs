//! The built program as its users run it.

mod crash;
mod demo;
mod histories;
mod newcomer;
mod reference;
