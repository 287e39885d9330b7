//! The built program as its users run it.

#![cfg(test)]

mod backup;
mod backup_disk_full;
mod backup_elsewhere;
mod backup_everything;
mod backup_random;
mod backup_server_faults;
mod backup_servers;
mod batches;
mod before_up;
mod buckets;
mod cascades;
mod conformance;
mod control;
mod copy;
mod crash;
mod damage;
mod data;
mod data_accounts;
mod data_frozen;
mod data_parallel;
mod data_rules;
mod data_whole;
mod demo;
mod directory;
mod engines;
mod equality;
mod estimates;
#[cfg(feature = "postgres")]
mod example_advent;
#[cfg(feature = "postgres")]
mod example_briefly;
#[cfg(feature = "postgres")]
mod example_chats;
mod example_d1;
mod fake;
mod faults;
mod guide;
mod histories;
mod in_place;
mod in_place_refusals;
mod in_place_servers;
mod ledger_formats;
mod limits;
mod newcomer;
mod notices;
#[cfg(feature = "postgres")]
mod pgvector;
mod pitfalls;
#[cfg(feature = "postgres")]
mod pooled;
mod prepared;
mod prune;
mod public_kinds;
mod races;
mod real_statements;
mod reference;
mod rehearse;
mod retries;
mod rollback;
mod rollback_immediate;
mod rollback_purge;
mod rollback_random;
#[cfg(feature = "postgres")]
mod supabase;
mod terminal;
mod throttle;
mod validate;
mod wrangler;
