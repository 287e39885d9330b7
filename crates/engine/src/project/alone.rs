//! Making sure that nobody else has the database open, where its owner wants that.

use super::Project;
use crate::error::EngineError;
use crate::lease;

/// How long an open file is given to be closed: another command may just be looking into it.
const OPEN_FILE_WAITS_MS: [u64; 5] = [20, 50, 100, 200, 400];

impl Project {
    /// Refuses a database that another process has open, if it must not. Another run of ours is
    /// waited for by the lease.
    pub(super) async fn refuse_open_file(&self) -> Result<(), EngineError> {
        for wait_ms in OPEN_FILE_WAITS_MS {
            if !self.backend.is_open_elsewhere().await? {
                return Ok(());
            }
            let mut session = self.connect().await?;
            let known = self.ledger.identity(session.as_mut()).await?.is_some();
            let held = known && lease::read(&self.ledger, session.as_mut()).await?.is_some();
            drop(session);
            if held {
                return Ok(());
            }
            tokio::time::sleep(crate::jitter::between_ms(wait_ms, wait_ms * 2)).await;
        }
        Err(EngineError::Refused(format!(
            "Another process has {} open; stop it first (`wrangler dev`?)",
            self.backend.label()
        )))
    }
}
