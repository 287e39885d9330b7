//! `prove faults`: lost connections, restarted servers, full disks, time-outs.

use std::path::Path;

use super::{Findings, Request};

pub(super) fn prove(_program: &Path, _request: &Request) -> Findings {
    Findings::default()
}
