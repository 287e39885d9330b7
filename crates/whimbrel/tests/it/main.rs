//! The built program as its users run it.

#![cfg(test)]

mod conformance;
mod crash;
mod demo;
mod engines;
mod histories;
mod newcomer;
mod reference;
