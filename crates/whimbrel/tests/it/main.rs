//! The built program as its users run it.

#![cfg(test)]

mod batches;
mod cascades;
mod conformance;
mod crash;
mod data;
mod data_rules;
mod demo;
mod directory;
mod engines;
mod equality;
#[cfg(feature = "postgres")]
mod example_chats;
mod example_d1;
mod faults;
mod histories;
mod limits;
mod newcomer;
mod notices;
mod pitfalls;
#[cfg(feature = "postgres")]
mod pooled;
mod prepared;
mod races;
mod reference;
#[cfg(feature = "postgres")]
mod supabase;
mod validate;
mod wrangler;
