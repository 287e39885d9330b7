//! Which functions give another value in each batch.

use std::collections::BTreeMap;

use crate::sql::dialect::Dialect;

/// PostgreSQL's promise about a function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// The same for the same arguments, for ever.
    Immutable,
    /// The same within one statement.
    Stable,
    /// Another value with each call.
    Volatile,
}

/// What the catalog says of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionFacts {
    /// Its promise; the weakest, where several functions have this name.
    pub volatility: Volatility,
    /// Its body is SQL or a procedural language, so that it may read any table.
    pub reads_tables: bool,
    /// It makes one value of many rows.
    pub aggregate: bool,
}

/// How a call's value differs from batch to batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varies {
    /// It does not.
    No,
    /// It is the time of the batch.
    Now,
    /// Each call gives another one.
    Always,
    /// It is what the session's last statement has left.
    Session,
    /// The function is not known.
    Unknown,
}

/// The time of the statement or transaction, whatever the arguments.
const NOW: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "curdate",
    "curtime",
    "sysdate",
    "utc_timestamp",
    "utc_date",
    "utc_time",
    "timeofday",
    "txid_current",
    "pg_current_xact_id",
    "txid_current_snapshot",
    "pg_current_snapshot",
];

/// SQLite's functions of a time; without one, or with `'now'`, it is the present.
const SQLITE_TIMES: &[&str] =
    &["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

/// Another value with each call, or with each connection.
const ALWAYS: &[&str] = &[
    "random",
    "random_normal",
    "setseed",
    "randomblob",
    "rand",
    "random_bytes",
    "uuid",
    "uuid_short",
    "uuid_v4",
    "uuid_v7",
    "uuidv4",
    "uuidv7",
    "sys_guid",
    "gen_random_uuid",
    "gen_random_bytes",
    "gen_salt",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuid_generate_v7",
    "nextval",
    "setval",
    "connection_id",
    "pg_backend_pid",
    "sleep",
    "pg_sleep",
    "get_lock",
    "release_lock",
    "benchmark",
    "set_config",
    "pg_advisory_lock",
    "pg_advisory_xact_lock",
    "pg_try_advisory_lock",
    "dblink",
    "dblink_exec",
    "lo_create",
    "lo_unlink",
    "load_extension",
];

/// What an earlier statement of the same session has left behind; batches run among others.
const SESSION: &[&str] = &[
    "currval",
    "lastval",
    "last_insert_id",
    "last_insert_rowid",
    "changes",
    "total_changes",
    "row_count",
    "found_rows",
];

/// Functions that make one value of many rows, in any of the dialects.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "total",
    "avg",
    "min",
    "max",
    "median",
    "mode",
    "every",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
    "any_value",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var_pop",
    "var_samp",
    "variance",
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "percentile_cont",
    "percentile_disc",
    "percentile",
    "range_agg",
    "range_intersect_agg",
    "geometrycollection",
    "st_collect",
];

/// Aggregates whose value depends on the order of their rows.
const ORDERED_AGGREGATES: &[&str] = &[
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_agg_strict",
    "jsonb_agg_strict",
    "json_object_agg",
    "jsonb_object_agg",
    "json_objectagg",
    "json_arrayagg",
    "json_group_array",
    "json_group_object",
    "jsonb_group_array",
    "jsonb_group_object",
    "group_concat",
    "xmlagg",
    "any_value",
];

/// Window functions whose value depends on how ties in the order fall.
const POSITIONAL: &[&str] = &[
    "row_number",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
];

/// What is known about functions.
#[derive(Clone, Copy)]
pub(super) struct Functions<'a> {
    pub(super) dialect: Dialect,
    pub(super) facts: &'a BTreeMap<String, FunctionFacts>,
}

/// The parts of a call that its meaning depends on.
pub(super) struct Shape<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: usize,
    /// One of the arguments is the string `'now'`, or the only one is a format.
    pub(super) present: bool,
}

impl Functions<'_> {
    pub(super) fn varies(&self, call: &Shape<'_>) -> Varies {
        let name = call.name;
        if NOW.contains(&name) || (name == "age" && call.arguments == 1) {
            return Varies::Now;
        }
        if name == "unix_timestamp" && call.arguments == 0 {
            return Varies::Now;
        }
        if self.dialect == Dialect::Sqlite && SQLITE_TIMES.contains(&name) {
            let none = call.arguments <= usize::from(name == "strftime");
            return if none || call.present { Varies::Now } else { Varies::No };
        }
        if SESSION.contains(&name) {
            return Varies::Session;
        }
        if ALWAYS.contains(&name) {
            return Varies::Always;
        }
        match self.facts.get(name).map(|facts| facts.volatility) {
            Some(Volatility::Volatile) => Varies::Always,
            Some(Volatility::Stable | Volatility::Immutable) => Varies::No,
            None if self.is_known(name) => Varies::No,
            None => Varies::Unknown,
        }
    }

    fn is_known(&self, name: &str) -> bool {
        let known = super::builtins::KNOWN.binary_search(&name).is_ok();
        known || is_listed_aggregate(name) || POSITIONAL.contains(&name)
    }

    /// Whether the function's body may read tables.
    pub(super) fn reads_tables(&self, name: &str) -> bool {
        self.facts.get(name).is_some_and(|facts| facts.reads_tables)
    }

    pub(super) fn is_aggregate(&self, name: &str, arguments: usize) -> bool {
        if self.facts.get(name).is_some_and(|facts| facts.aggregate) {
            return true;
        }
        let scalar = self.dialect == Dialect::Sqlite && arguments > 1;
        match name {
            "min" | "max" => !scalar,
            _ => is_listed_aggregate(name),
        }
    }
}

fn is_listed_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name) || ORDERED_AGGREGATES.contains(&name)
}

/// Whether the aggregate's value depends on the order of its rows.
pub(super) fn is_ordered_aggregate(name: &str) -> bool {
    ORDERED_AGGREGATES.contains(&name)
}

/// Whether the window function's value depends on how ties fall.
pub(super) fn is_positional(name: &str) -> bool {
    let peers_alike = matches!(name, "rank" | "dense_rank" | "percent_rank" | "cume_dist");
    POSITIONAL.contains(&name) && !peers_alike
}

/// Strings that PostgreSQL reads as a moment of its own.
const PRESENT: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// A string that PostgreSQL reads as a moment of its own, or one that has such a word in it.
pub(super) fn is_present_time(text: &str) -> bool {
    let word = text.trim().to_ascii_lowercase();
    PRESENT.iter().any(|special| word.contains(special))
}

/// A string that is nothing but such a word.
pub(super) fn is_present_word(text: &str) -> bool {
    PRESENT.iter().any(|special| text.trim().eq_ignore_ascii_case(special))
}
