//! `[throttle]` of whimbrel.toml, and `[environments.<name>.throttle]`.

use super::file::Lined;
use super::units::{parse_duration, parse_size};
use crate::throttle::{Lag, Window};

/// A key of `[throttle]`.
#[derive(Debug)]
pub struct ThrottleKey {
    /// As written.
    pub name: &'static str,
    /// The values it takes.
    pub values: &'static str,
    /// What it does, for the reference.
    pub docs: &'static str,
}

/// Every key.
pub const THROTTLE_KEYS: &[ThrottleKey] = &[
    ThrottleKey {
        name: "replication-lag",
        values: "a duration such as \"5s\", or a size such as \"64MiB\"",
        docs: "PostgreSQL: how far the slowest standby may be behind, in time or in bytes of WAL. A \
               standby that says nothing any more is seen by its bytes alone.",
    },
    ThrottleKey {
        name: "active-connections",
        values: "a number",
        docs: "PostgreSQL: other sessions at work (`pg_stat_activity`). MariaDB and MySQL: the \
               server's `Threads_running` but our own.",
    },
    ThrottleKey {
        name: "lock-waits",
        values: "a number",
        docs: "PostgreSQL, MariaDB and MySQL: sessions that waited for locks of ours while the last \
               batch ran.",
    },
    ThrottleKey {
        name: "query",
        values: "a query",
        docs: "The run is held while the first value of its first row is above zero.",
    },
    ThrottleKey {
        name: "flag-file",
        values: "a path, relative to the project",
        docs: "The run is held while the file exists.",
    },
    ThrottleKey {
        name: "window",
        values: "a part of the day in UTC such as \"01:00-05:30\"",
        docs: "The run is held outside of it, by this machine's clock.",
    },
];

/// What one table says. `None` is "not said".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// `replication-lag`
    pub replication_lag: Option<Lined<Lag>>,
    /// `active-connections`
    pub active_connections: Option<Lined<u64>>,
    /// `lock-waits`
    pub lock_waits: Option<Lined<u64>>,
    /// `query`
    pub query: Option<Lined<String>>,
    /// `flag-file`
    pub flag_file: Option<Lined<String>>,
    /// `window`
    pub window: Option<Lined<Window>>,
}

impl ThrottleConfig {
    /// Takes the value of a known key; false if it is none.
    pub(super) fn set(
        &mut self,
        name: &str,
        line: u32,
        text: Option<&str>,
        number: Option<u64>,
    ) -> bool {
        fn put<T>(slot: &mut Option<Lined<T>>, line: u32, value: Option<T>) -> bool {
            *slot = value.map(|value| Lined { value, line });
            slot.is_some()
        }
        let words = || text.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        match name {
            "replication-lag" => put(&mut self.replication_lag, line, text.and_then(lag)),
            "active-connections" => put(&mut self.active_connections, line, number),
            "lock-waits" => put(&mut self.lock_waits, line, number),
            "query" => put(&mut self.query, line, words()),
            "flag-file" => put(&mut self.flag_file, line, words()),
            "window" => put(&mut self.window, line, text.and_then(Window::parse)),
            _ => false,
        }
    }
}

fn lag(text: &str) -> Option<Lag> {
    parse_duration(text).map(Lag::Time).or_else(|| parse_size(text).map(Lag::Bytes))
}
