//! The built program as its users run it.

#![cfg(test)]

mod conformance;
mod crash;
mod demo;
mod engines;
mod faults;
mod histories;
mod newcomer;
mod races;
mod reference;
