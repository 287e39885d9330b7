//! Keeps the lease of a database that is a file while this process does long work beside it.
//!
//! SQLite's lease has no heartbeat: it is renewed in each step's own transaction. A backup takes no
//! step, so a thread with a connection of its own renews it meanwhile.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{LEASE_MS, Lease};
use crate::backend::Backend;
use crate::backend::sqlite::SqliteBackend;

/// How often it is renewed.
const EVERY: Duration = Duration::from_millis(LEASE_MS.unsigned_abs() / 6);

/// Renews the lease until it is dropped.
pub(crate) struct Keeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Keeper {
    /// Begins to renew `lease` in the database in `file`.
    pub(crate) fn start(lease: &Lease, file: &Path) -> Keeper {
        let (backend, sql) = (SqliteBackend::new(file, false), lease.renew_sql());
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                // One that fails is tried again. Whether the lease is still ours, the step asks.
                let _ = runtime.block_on(async { backend.connect().await?.batch(&sql).await });
            }
        });
        Keeper { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
