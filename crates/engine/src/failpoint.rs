//! Named places where a test stops or kills the process.
//!
//! In what is shipped (without the feature `failpoints`) the call is empty. With the feature,
//! `WHIMBREL_FAILPOINT=name[:n]` names the place and its n-th passing (the first by default), and
//! `WHIMBREL_FAILPOINT_ACTION` says what happens there: `kill` (SIGKILL to ourselves, the default),
//! `stop` (SIGSTOP, until somebody sends SIGCONT), `exit` or `sleep:MILLISECONDS`. Places that were
//! passed are appended to the file `WHIMBREL_FAILPOINT_LOG`, so that a test can prove that each of
//! them exists.

/// Every place of schema migrations, so that a test can walk through all of them.
pub const ALL: &[&str] = &[
    "lock.before_acquire",
    "lock.after_acquire",
    "lock.before_release",
    "lock.after_release",
    "history.before_create",
    "history.after_create",
    "history.after_intent",
    "statement.before_first",
    "statement.between",
    "statement.after_last",
    "transaction.before_begin",
    "transaction.after_begin",
    "transaction.before_commit",
    "transaction.after_commit",
    "ledger.before_write",
    "ledger.after_write",
    "group.between",
    "recovery.before_probe",
    "recovery.after_probe",
];

/// Every place of the loop over batches.
pub const BATCHES: &[&str] = &[
    "batch.before_cursor",
    "batch.after_cursor",
    "batch.before_begin",
    "batch.after_statement",
    "batch.before_commit",
    "batch.after_commit",
];

/// The place of an UPDATE or DELETE on a server, whose rows are captured and not yet changed.
pub const CAPTURE: &[&str] = &["batch.captured"];

/// Every place of the final pass of a statement with `source=`.
pub const COMPARE: &[&str] = &["compare.before_begin"];

/// Every place of a statement whose rows and values are computed once. On SQLite and PostgreSQL the
/// work table goes in the last batch's transaction, and `freeze.before_drop` is not passed.
pub const FREEZE: &[&str] = &["freeze.made", "freeze.filled", "freeze.before_drop"];

/// Every place of making and restoring a backup.
pub const BACKUPS: &[&str] = &[
    "backup.begun",
    "backup.copied",
    "backup.chunk",
    "backup.manifest",
    "backup.before_rename",
    "backup.after_rename",
    "restore.extracted",
    "restore.before_rename",
    "restore.after_rename",
];

/// Every place of making a backup in an object store.
pub const BUCKETS: &[&str] = &[
    "backup.begun",
    "backup.copied",
    "backup.chunk",
    "backup.manifest",
    "backup.before_rename",
    "backup.published",
    "backup.after_rename",
];

/// Every place of letting go of an undo table.
pub const PURGE: &[&str] = &["purge.before", "purge.journaled", "purge.after"];

/// Every place of a restore in place, in their order. `in_place.pages` is passed after each piece.
pub const IN_PLACE: &[&str] = &[
    "in_place.locked",
    "in_place.journaled",
    "in_place.kept",
    "in_place.prepared",
    "in_place.before_pages",
    "in_place.pages",
    "in_place.replaced",
    "in_place.done",
];

/// Every place of a restore in place on a server, in their order.
pub const SERVER_IN_PLACE: &[&str] = &[
    "in_place.beside",
    "in_place.copied",
    "in_place.locked",
    "in_place.journaled",
    "in_place.prepared",
    "in_place.alone",
    "in_place.renamed",
    "in_place.before_commit",
    "in_place.replaced",
    "in_place.done",
];

/// Every place of a restore in place on MariaDB, in their order. Between `in_place.marked` and
/// `in_place.opened` the application has no tables.
pub const MARIADB_IN_PLACE: &[&str] = &[
    "in_place.beside",
    "in_place.copied",
    "in_place.marked",
    "in_place.locked",
    "in_place.journaled",
    "in_place.prepared",
    "in_place.bare",
    "in_place.exchanged",
    "in_place.triggers",
    "in_place.opened",
    "in_place.replaced",
    "in_place.done",
];

/// Every place of removing a backup.
pub const PRUNE: &[&str] = &["prune.renamed"];

/// Every place of making and restoring a backup of a server.
pub const SERVER_BACKUPS: &[&str] = &[
    "backup.begun",
    "backup.snapshot",
    "backup.chunk",
    "backup.manifest",
    "backup.before_rename",
    "backup.after_rename",
    "restore.begun",
    "restore.schema",
    "restore.table",
    "restore.loaded",
    "restore.compared",
    "restore.freed",
];

/// Passes the place `name`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn pass(_name: &'static str) {}

/// Passes the place `name`.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &'static str) {
    active::pass(name);
}

#[cfg(feature = "failpoints")]
mod active {
    use std::collections::HashMap;
    use std::io::Write;
    use std::sync::{Mutex, OnceLock};

    struct Armed {
        name: String,
        nth: u64,
        action: String,
        log: Option<String>,
        passed: Mutex<HashMap<&'static str, u64>>,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    fn armed() -> &'static Armed {
        ARMED.get_or_init(|| {
            let spec = std::env::var("WHIMBREL_FAILPOINT").unwrap_or_default();
            let (name, nth) = match spec.split_once(':') {
                Some((name, nth)) => (name.to_owned(), nth.parse().unwrap_or(1)),
                None => (spec, 1),
            };
            Armed {
                name,
                nth,
                action: std::env::var("WHIMBREL_FAILPOINT_ACTION").unwrap_or_default(),
                log: std::env::var("WHIMBREL_FAILPOINT_LOG").ok(),
                passed: Mutex::new(HashMap::new()),
            }
        })
    }

    pub(super) fn pass(name: &'static str) {
        let backups = [super::BACKUPS, super::SERVER_BACKUPS, super::PRUNE];
        let in_place = [super::IN_PLACE, super::SERVER_IN_PLACE, super::MARIADB_IN_PLACE];
        let data = [super::BATCHES, super::CAPTURE, super::COMPARE, super::FREEZE];
        let others = [super::ALL, super::PURGE, super::BUCKETS];
        let lists = others.into_iter().chain(data).chain(backups).chain(in_place);
        let listed = lists.into_iter().any(|list| list.contains(&name));
        debug_assert!(listed, "unlisted failpoint {name}");
        let armed = armed();
        let count = {
            let Ok(mut passed) = armed.passed.lock() else { return };
            let count = passed.entry(name).or_insert(0);
            *count += 1;
            *count
        };
        if let Some(log) = &armed.log
            && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(log)
        {
            let _ = writeln!(file, "{name}");
        }
        if armed.name == name && armed.nth == count {
            act(&armed.action);
        }
    }

    fn act(action: &str) {
        let pid = std::process::id().to_string();
        match action.split_once(':') {
            Some(("sleep", ms)) => {
                std::thread::sleep(std::time::Duration::from_millis(ms.parse().unwrap_or(0)));
            }
            _ if action == "stop" => signal("-STOP", &pid),
            _ if action == "exit" => std::process::abort(),
            _ => signal("-KILL", &pid),
        }
    }

    /// Sends the signal and waits for it to arrive.
    fn signal(signal: &str, pid: &str) {
        // The shell's own `kill`: the program of that name is missing on small systems.
        let script = format!("kill {signal} {pid}");
        let _ = std::process::Command::new("sh").args(["-c", &script]).status();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
