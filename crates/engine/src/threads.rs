//! Waiting for threads from within the runtime.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Whether threads can be waited for here by `tokio::task::block_in_place`: the runtime has other
/// threads, on which its work goes on meanwhile.
pub(crate) fn can_wait() -> bool {
    Handle::try_current().is_ok_and(|one| one.runtime_flavor() == RuntimeFlavor::MultiThread)
}
