//! Several tables at a time, each by connections of its own: parents still come before their
//! children, and all of it is read from one snapshot of the source.

use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, mpsc};
use std::thread;

use tokio::runtime::Handle;
use whimbrel_core::transfer::Group;

use super::{CopiedTable, Copier, Job, Shared};
use crate::backend::Session;
use crate::error::EngineError;
use crate::event::{Events, Sender};

/// A connection to each end.
pub(crate) struct Ends<'a> {
    pub(crate) source: &'a mut dyn Session,
    pub(crate) target: &'a mut dyn Session,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Taken,
    Done,
}

/// Which groups of tables wait, are being copied, or are there.
struct Queue<'a> {
    groups: &'a [Group],
    states: Mutex<Vec<State>>,
    turned: Condvar,
}

impl Queue<'_> {
    /// A group whose parents are there; waits for one, and gives none when no group is left, or
    /// `halt` was set.
    fn next(&self, halt: &AtomicBool) -> Option<usize> {
        let mut states = self.states.lock().ok()?;
        loop {
            if halt.load(std::sync::atomic::Ordering::SeqCst) {
                return None;
            }
            let is = |at: usize, state: State| states.get(at) == Some(&state);
            let ready = (0..self.groups.len()).find(|at| {
                let after = self.groups.get(*at).map_or(&[][..], |group| group.after.as_slice());
                is(*at, State::Waiting) && after.iter().all(|parent| is(*parent, State::Done))
            });
            if let Some(at) = ready {
                if let Some(state) = states.get_mut(at) {
                    *state = State::Taken;
                }
                return Some(at);
            }
            if !states.contains(&State::Waiting) {
                return None;
            }
            states = self.turned.wait(states).ok()?;
        }
    }

    /// Takes note that a group is there, or that nothing more shall begin.
    fn turn(&self, done: Option<usize>) {
        if let Ok(mut states) = self.states.lock()
            && let Some(state) = done.and_then(|at| states.get_mut(at))
        {
            *state = State::Done;
        }
        self.turned.notify_all();
    }
}

/// Copies the groups, as many at a time as there are ends. After an error the others end with their
/// transaction.
pub(crate) fn copy_groups(
    ends: Vec<Ends<'_>>,
    shared: &Shared<'_>,
    (jobs, groups): (&[Job], &[Group]),
    events: &mut dyn Events,
) -> Result<Vec<CopiedTable>, EngineError> {
    let states = Mutex::new(vec![State::Waiting; groups.len()]);
    let queue = Queue { groups, states, turned: Condvar::new() };
    let handle = Handle::current();
    let (send, receive) = mpsc::channel();
    let ended: Vec<_> = tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for ends in ends {
                let (sender, queue, handle) = (Sender(send.clone()), &queue, handle.clone());
                threads.push(
                    scope.spawn(move || handle.block_on(work(ends, shared, (jobs, queue), sender))),
                );
            }
            drop(send);
            for event in receive {
                events.send(event);
            }
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        })
    });
    let (mut done, mut failed) = (Vec::new(), None);
    for one in ended {
        let stopped = || EngineError::Refused("A thread of the copy ended by itself".to_owned());
        match one.unwrap_or_else(|_| Err(stopped())) {
            Ok(tables) => done.extend(tables),
            // The first one has set `halt`; the others say that they were stopped.
            Err(EngineError::Stopped) => {
                failed.get_or_insert(EngineError::Stopped);
            }
            Err(error) if matches!(failed, None | Some(EngineError::Stopped)) => {
                failed = Some(error);
            }
            Err(_) => {}
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().flat_map(|(_, tables)| tables).collect())
}

/// One worker: a group after the other.
async fn work(
    ends: Ends<'_>,
    shared: &Shared<'_>,
    (jobs, queue): (&[Job], &Queue<'_>),
    mut sender: Sender,
) -> Result<Vec<(usize, Vec<CopiedTable>)>, EngineError> {
    let mut done = Vec::new();
    let Ends { source, target } = ends;
    let ends = Ends { source: &mut *source, target: &mut *target };
    let mut copier = Copier::new(ends, shared, &mut sender);
    while let Some(at) = queue.next(shared.halt) {
        let Some(group) = queue.groups.get(at) else { break };
        match copier.group(jobs, group).await {
            Ok(tables) => {
                done.push((at, tables));
                queue.turn(Some(at));
            }
            Err(error) => {
                shared.halt.store(true, std::sync::atomic::Ordering::SeqCst);
                queue.turn(None);
                return Err(error);
            }
        }
    }
    Ok(done)
}
