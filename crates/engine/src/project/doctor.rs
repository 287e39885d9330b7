//! `doctor`: is everything there that a run needs?

use super::Project;
use crate::error::EngineError;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Good.
    Good,
    /// Worth knowing.
    Note,
    /// A run would fail or be unsafe.
    Bad,
}

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// What was found.
    pub value: String,
    /// How it went.
    pub state: CheckState,
}

impl Project {
    /// Checks connection, server, permissions and settings. Changes nothing.
    pub async fn doctor(&self) -> Result<Vec<Check>, EngineError> {
        let mut out = Vec::new();
        let mut say = |name: &str, value: String, state: CheckState| {
            out.push(Check { name: name.to_owned(), value, state });
        };
        say("database", self.backend.label(), CheckState::Good);
        let Some(mut session) = self.connect_to_read().await? else {
            say("file", "does not exist; `up` makes it".to_owned(), CheckState::Note);
            return Ok(out);
        };
        let facts = session.facts().await?;
        say("server", facts.version, CheckState::Good);
        say("database name", facts.database, CheckState::Good);
        if let Some(user) = facts.user {
            say("user", user, CheckState::Good);
        }
        match facts.pooled {
            Some(reason) => say("connection", format!("pooled: {reason}"), CheckState::Note),
            None => say("connection", "direct".to_owned(), CheckState::Good),
        }
        for (name, value) in facts.settings {
            say(&name, value, CheckState::Good);
        }
        match self.ledger.identity(session.as_mut()).await? {
            Some(identity) => {
                let value = format!(
                    "format {}, database {}{}",
                    identity.ledger_format,
                    identity.database_id,
                    if identity.environment.is_empty() {
                        String::new()
                    } else {
                        format!(", environment {}", identity.environment)
                    }
                );
                say("ledger", value, CheckState::Good);
            }
            None => say("ledger", "none yet".to_owned(), CheckState::Note),
        }
        Ok(out)
    }
}
