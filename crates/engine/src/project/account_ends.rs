//! `account` of statements with `source=`: both ends are read again.

use super::Project;
use super::account::Account;
use crate::backend::Session;
use crate::data::compared::EndsCompared;
use crate::data::final_pass::{compare_now, recorded};
use crate::data::sources::Opened;
use crate::error::EngineError;

impl Project {
    /// Puts into the account what the final pass of each statement has found; with `now` both ends
    /// are read again, and what cannot be read is said.
    pub(super) async fn account_ends(
        &self,
        session: &mut dyn Session,
        account: &mut Account,
        now: bool,
    ) -> Result<(), EngineError> {
        let mut opened = Opened::new();
        for line in &mut account.lines {
            let statement = line.statement.saturating_sub(1);
            let of = (account.migration.as_str(), statement);
            let Some(then) = recorded(self.ledger, session, of).await? else { continue };
            if !now || !line.done {
                line.ends = Some(then);
                continue;
            }
            let found = self.ends_now(session, &mut opened, of).await;
            line.ends = Some(found.unwrap_or_else(|error| EndsCompared {
                source: then.source,
                not_source: Some(error.to_string()),
                not_target: Some(error.to_string()),
                ..EndsCompared::default()
            }));
        }
        Ok(())
    }

    async fn ends_now(
        &self,
        session: &mut dyn Session,
        opened: &mut Opened,
        (migration, statement): (&str, usize),
    ) -> Result<EndsCompared, EngineError> {
        let files = self.read_files()?;
        let Some(file) = files.directory.get(migration) else {
            return Err(EngineError::NotFound(format!("There is no file of `{migration}`")));
        };
        let planned = self.plan_up(file).map_err(|problem| EngineError::Files(vec![problem]))?;
        let sources = (&self.sources, opened);
        compare_now(self.ledger, session, sources, (&planned, statement)).await
    }
}
