//! `doctor`: is everything there that a run needs?

use whimbrel_core::judgement::{Judgement, Severity, judge};

use super::Project;
#[cfg(feature = "sqlite")]
use crate::backend::Session;
use crate::error::EngineError;

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// What was found.
    pub value: String,
    /// How it went.
    pub severity: Severity,
    /// What to do.
    pub advice: Option<String>,
}

impl Check {
    /// A line without advice.
    pub fn new(name: &str, value: impl Into<String>, severity: Severity) -> Check {
        Check { name: name.to_owned(), value: value.into(), severity, advice: None }
    }

    fn judged(name: &str, value: String, judgement: Judgement) -> Check {
        let advice = judgement.advice.map(str::to_owned);
        Check { name: name.to_owned(), value, severity: judgement.severity, advice }
    }

    fn advised(mut self, advice: &str) -> Check {
        self.advice = Some(advice.to_owned());
        self
    }
}

impl Project {
    /// Checks connection, server, permissions and settings. Changes nothing.
    pub async fn doctor(&self) -> Result<Vec<Check>, EngineError> {
        let good = |name: &str, value: String| Check::new(name, value, Severity::Good);
        let mut out = vec![good("database", self.backend.label())];
        let Some(mut session) = self.connect_to_read().await? else {
            let check = Check::new("file", "does not exist", Severity::Note);
            out.push(check.advised("`whimbrel up` makes it; check the path if it should be there"));
            return Ok(out);
        };
        let facts = session.facts().await?;
        out.push(good("server", facts.version));
        out.push(good("database name", facts.database));
        out.extend(facts.user.map(|user| good("user", user)));
        out.push(match facts.pooled {
            Some(reason) => {
                Check::new("connection", format!("pooled: {reason}"), Severity::Warning).advised(
                    "Migrations that need a session of their own are refused here: connect to the \
                     server itself for them",
                )
            }
            None => good("connection", "direct".to_owned()),
        });
        for (name, value) in facts.settings {
            let judgement = judge(self.ledger.dialect, &name, &value);
            out.push(Check::judged(&name, value, judgement));
        }
        #[cfg(feature = "sqlite")]
        out.extend(self.dump_program(session.as_mut()).await?);
        out.push(match self.ledger.identity(session.as_mut()).await? {
            Some(identity) => {
                let environment = match identity.environment.as_str() {
                    "" => String::new(),
                    name => format!(", environment {name}"),
                };
                let (format, id) = (identity.ledger_format, identity.database_id);
                good("ledger", format!("format {format}, database {id}{environment}"))
            }
            None => Check::new("ledger", "none yet", Severity::Note).advised(
                "The first `whimbrel up` makes it; a database that has tables already needs \
                 `whimbrel baseline`",
            ),
        });
        Ok(out)
    }

    /// The program that backups need.
    #[cfg(feature = "sqlite")]
    async fn dump_program(&self, session: &mut dyn Session) -> Result<Option<Check>, EngineError> {
        const NAME: &str = "dump program";
        match crate::backup::dump_program(session, self.ledger.dialect).await {
            Ok(shown) => Ok(shown.map(|shown| Check::new(NAME, shown, Severity::Good))),
            Err(error @ EngineError::ProgramMissing { .. }) => {
                let advice = match &error {
                    EngineError::ProgramMissing { package, .. } => {
                        format!("Backups need it; on Debian and Ubuntu: `apt install {package}`")
                    }
                    _ => String::new(),
                };
                let check = Check::new(NAME, error.to_string(), Severity::Warning);
                Ok(Some(check.advised(&advice)))
            }
            Err(error) => Err(error),
        }
    }
}
