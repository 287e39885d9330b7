//! What a session and the task that drives its connection tell each other.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::error::DbError as ServerError;

use crate::backend::{DbError, Notice};

/// Most notices that are kept of one statement; a loop can raise millions.
const NOTICES_MAX: usize = 1_000;

#[derive(Default)]
pub(super) struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    notices: Vec<Notice>,
    left_out: usize,
    ended: Option<DbError>,
}

impl Shared {
    /// Keeps a notice for the statement that is running.
    pub(super) fn notice(&self, notice: &ServerError) {
        self.with(|state| {
            if state.notices.len() < NOTICES_MAX {
                state.notices.push(to_notice(notice));
            } else {
                state.left_out += 1;
            }
        });
    }

    /// The notices since the last call.
    pub(super) fn take_notices(&self) -> Vec<Notice> {
        self.with(|state| {
            let mut notices = std::mem::take(&mut state.notices);
            let left_out = std::mem::take(&mut state.left_out);
            if left_out > 0 {
                let message = format!("{left_out} further messages are not shown");
                notices.push(Notice { severity: "NOTICE".to_owned(), code: None, message });
            }
            notices
        })
    }

    /// Keeps why the connection ended.
    pub(super) fn end(&self, error: DbError) {
        self.with(|state| state.ended = Some(error));
    }

    /// Why the connection ended, if it did.
    pub(super) fn ended(&self) -> Option<DbError> {
        self.with(|state| state.ended.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn to_notice(notice: &ServerError) -> Notice {
    let mut message = notice.message().to_owned();
    if let Some(detail) = notice.detail() {
        message.push_str(&format!(" ({})", detail.replace('\n', "; ")));
    }
    if let Some(hint) = notice.hint() {
        message.push_str(&format!(" (hint: {hint})"));
    }
    Notice {
        severity: notice.severity().to_owned(),
        code: Some(notice.code().code().to_owned()),
        message,
    }
}
