//! Renewing the lease by a second connection while the first one is busy with a statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::LEASE_MS;
use crate::backend::Session;
use crate::ledger::{Ledger, now_ms};

/// How often the lease is renewed, in milliseconds.
const BEAT_MS: u64 = 2_000;
/// After how long a statement counts as waiting, so that its blockers are looked up, in
/// milliseconds.
const BLOCKED_AFTER_MS: u128 = 1_000;

/// How far the run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    pub(crate) total: u64,
    pub(crate) step: String,
}

/// What the run and its heartbeat tell each other.
pub(crate) struct Shared {
    lost: AtomicBool,
    /// Whether those that wait for our locks are counted.
    watch: AtomicBool,
    server_session: String,
    state: Mutex<State>,
    /// That of the run, where this is that of a further connection.
    run: Option<Arc<Shared>>,
    /// Those of further connections, which the heartbeat looks after as well.
    beside: Mutex<Vec<Weak<Shared>>>,
}

#[derive(Default)]
struct State {
    progress: Progress,
    busy_since: Option<Instant>,
    blockers: Vec<String>,
    /// Most sessions seen at once that waited for locks of the last statements.
    waiters: u64,
}

impl Shared {
    pub(super) fn new(server_session: String) -> Self {
        let (lost, watch) = (AtomicBool::new(false), AtomicBool::new(false));
        let (state, beside) = (Mutex::default(), Mutex::default());
        Shared { lost, watch, server_session, state, run: None, beside }
    }

    /// What a further connection of the same run has of it.
    pub(super) fn beside(run: &Arc<Shared>, server_session: String) -> Arc<Shared> {
        let shared = Shared { run: Some(Arc::clone(run)), ..Shared::new(server_session) };
        let shared = Arc::new(shared);
        run.others().push(Arc::downgrade(&shared));
        shared
    }

    fn others(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Shared>>> {
        self.beside.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The further connections that are still there.
    fn all_beside(&self) -> Vec<Arc<Shared>> {
        let mut others = self.others();
        others.retain(|one| one.strong_count() > 0);
        others.iter().filter_map(Weak::upgrade).collect()
    }

    /// That of the run.
    fn run(&self) -> &Shared {
        self.run.as_deref().unwrap_or(self)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.run().lost.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Progress {
        self.run().with(|state| state.progress.clone())
    }

    /// How the server knows the connection that does the work.
    pub(crate) fn server_session(&self) -> String {
        self.server_session.clone()
    }

    /// Says what is being done.
    pub(crate) fn set(&self, done: u64, total: u64, step: &str) {
        self.run().with(|state| {
            state.progress.done = done;
            state.progress.total = total;
            state.progress.step.clear();
            state.progress.step.push_str(step);
        });
    }

    /// Says something else about the step.
    pub(crate) fn say(&self, step: &str) {
        self.run().with(|state| step.clone_into(&mut state.progress.step));
    }

    /// Says whether the sessions are to be counted that wait for our locks.
    pub(crate) fn watch_waiters(&self, watch: bool) {
        self.watch.store(watch, Ordering::SeqCst);
    }

    /// Most sessions at once that were seen waiting for our locks since this was asked last.
    pub(crate) fn take_waiters(&self) -> u64 {
        self.with(|state| std::mem::take(&mut state.waiters))
    }

    /// Says that a statement is being sent, or that its answer has come.
    pub(crate) fn busy(&self, busy: bool) {
        self.with(|state| {
            state.busy_since = busy.then(Instant::now);
            if busy {
                state.blockers.clear();
            }
        });
    }

    /// Who held the locks that the last statement waited for.
    pub(crate) fn blockers(&self) -> Vec<String> {
        self.with(|state| state.blockers.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut guard = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut guard)
    }
}

/// The task that renews a lease.
pub(crate) struct Heartbeat {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Heartbeat {
    pub(super) fn start(
        ledger: Ledger,
        session: Box<dyn Session>,
        token: i64,
        shared: Arc<Shared>,
    ) -> Heartbeat {
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(beat(ledger, session, token, shared, Arc::clone(&stop)));
        Heartbeat { stop, task }
    }

    pub(super) async fn stop(self) {
        self.stop.notify_one();
        let _ = self.task.await;
    }
}

async fn beat(
    ledger: Ledger,
    mut session: Box<dyn Session>,
    token: i64,
    shared: Arc<Shared>,
    stop: Arc<Notify>,
) {
    let mut renewed = Instant::now();
    let lease = Duration::from_millis(LEASE_MS.unsigned_abs());
    loop {
        let next = Duration::from_millis(BEAT_MS / 4);
        if tokio::time::timeout(next, stop.notified()).await.is_ok() {
            return;
        }
        for one in std::iter::once(Arc::clone(&shared)).chain(shared.all_beside()) {
            look_for_blockers(session.as_mut(), &one).await;
            look_for_waiters(session.as_mut(), &one).await;
        }
        if renewed.elapsed().as_millis() < u128::from(BEAT_MS) {
            continue;
        }
        match session.run(&renew_sql(&ledger, token, &shared.now()), None).await {
            Ok(outcome) if outcome.rows_affected == Some(1) => renewed = Instant::now(),
            Ok(_) => shared.lost.store(true, Ordering::SeqCst),
            // Without an answer the lease may run out; the fence decides, this only says it early.
            Err(_) if renewed.elapsed() > lease => shared.lost.store(true, Ordering::SeqCst),
            Err(_) => {}
        }
    }
}

async fn look_for_blockers(session: &mut dyn Session, shared: &Shared) {
    let busy = shared.with(|state| state.busy_since);
    if busy.is_none_or(|since| since.elapsed().as_millis() < BLOCKED_AFTER_MS) {
        return;
    }
    if let Ok(found) = session.blockers(&shared.server_session).await
        && !found.is_empty()
    {
        shared.with(|state| state.blockers = found);
    }
}

async fn look_for_waiters(session: &mut dyn Session, shared: &Shared) {
    let busy = shared.with(|state| state.busy_since.is_some());
    if !busy || !shared.run().watch.load(Ordering::SeqCst) {
        return;
    }
    if let Ok(found) = session.waiters(&shared.server_session).await {
        shared.with(|state| state.waiters = state.waiters.max(found));
    }
}

/// The statement that renews the lease, if it is still the token's.
pub(super) fn renew_sql(ledger: &Ledger, token: i64, progress: &Progress) -> String {
    let step: String = progress.step.chars().take(250).collect();
    format!(
        "UPDATE {} SET expires_ms = {} + {LEASE_MS}, steps_done = {}, steps_total = {}, \
         step_now = {} WHERE id = 1 AND token = {token}",
        ledger.table("lease"),
        now_ms(ledger.dialect),
        progress.done,
        progress.total,
        ledger.quote(&step)
    )
}
