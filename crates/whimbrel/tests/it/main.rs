//! The built program as its users run it.

#![cfg(test)]

mod conformance;
mod crash;
mod demo;
mod directory;
mod engines;
#[cfg(feature = "postgres")]
mod example_chats;
mod example_d1;
mod faults;
mod histories;
mod newcomer;
mod races;
mod reference;
#[cfg(feature = "postgres")]
mod supabase;
mod validate;
mod wrangler;
