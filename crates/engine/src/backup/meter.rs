//! How far a backup or a restore is, for whoever looks from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of rows that are done, and about how many there are. Clones share their numbers.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    done: AtomicU64,
    all: AtomicU64,
}

impl Meter {
    /// Begins anew with about so many bytes before it.
    pub(crate) fn begin(&self, all: u64) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.all.store(all, Ordering::Relaxed);
    }

    /// So many bytes more are done.
    pub(crate) fn add(&self, bytes: usize) {
        self.0.done.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that are done, and about how many there are; 0 while nobody knows.
    pub fn read(&self) -> (u64, u64) {
        (self.0.done.load(Ordering::Relaxed), self.0.all.load(Ordering::Relaxed))
    }
}
