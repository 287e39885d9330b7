//! Cutting a migration's statements into steps: the parts that can be committed by themselves.

mod cut;
mod data;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::capabilities::Capabilities;
use crate::checksum::token_checksum;
use crate::directive::{
    Directive, DirectiveError, Options, Scope, Transaction, Verb, parse_comment,
};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::lex;
use crate::sql::split::{SplitError, Statement, position, split};
use crate::sql::statement::{
    StatementClass, StatementInfo, TransactionControl, TransactionNeed, adds_enum_value, classify,
    switches_keys_on,
};

/// How a step is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepMode {
    /// In a transaction of ours, together with its ledger rows.
    Transaction,
    /// In the author's own transaction, whose last statement is held back until the ledger rows
    /// are written.
    OwnTransaction,
    /// In the author's own transaction, which the author rolls back: nothing of it stays.
    OwnRollback,
    /// One statement outside of any transaction, between an intent row and a done row.
    Bare,
    /// One statement of a data migration, cut into batches that are committed one by one.
    Batches,
    /// One statement that only changes the session. It leaves nothing behind, has no ledger row,
    /// and is run again when a later process resumes.
    Session,
}

/// The smallest part of a migration that can be committed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which statements, by position in the script. The author's own BEGIN and COMMIT are part
    /// of an [`StepMode::OwnTransaction`].
    pub statements: Range<usize>,
    /// How it is committed.
    pub mode: StepMode,
    /// SHA-256 of its code tokens.
    pub hash: String,
}

/// A migration's text, understood.
#[derive(Clone, Debug)]
pub struct Script {
    /// The text, without byte order mark.
    pub text: String,
    /// Its statements.
    pub statements: Vec<Statement>,
    /// What each statement is.
    pub infos: Vec<StatementInfo>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// Statements that are not sent, with the reason.
    pub skipped: Vec<(usize, &'static str)>,
    /// What the directives before the first statement say.
    pub options: Options,
    /// What the directives before each statement say.
    pub statement_options: Vec<Options>,
}

/// Why a script cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be cut into statements.
    #[error("{0}")]
    Split(#[from] SplitError),
    /// A directive cannot be understood.
    #[error("{0}")]
    Directive(#[from] DirectiveError),
    /// A transaction is opened and never ended.
    #[error("The transaction that begins here is never ended")]
    Unended {
        /// Position of the statement.
        statement: usize,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// A transaction statement where the database has none.
    #[error("`{verb}` cannot be used here: {reason}")]
    Refused {
        /// The statement's leading words.
        verb: String,
        /// Why.
        reason: &'static str,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// A statement that does not belong into a data migration.
    #[error("`{verb}` does not belong into a data migration")]
    NotData {
        /// The statement's leading words.
        verb: String,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
}

impl ScriptError {
    /// Line and column, from 1.
    pub fn position(&self) -> (u32, u32) {
        match self {
            ScriptError::Split(error) => (error.line, error.column),
            ScriptError::Directive(error) => (error.line, 1),
            ScriptError::Unended { line, column, .. }
            | ScriptError::Refused { line, column, .. }
            | ScriptError::NotData { line, column, .. } => (*line, *column),
        }
    }
}

impl Script {
    /// Reads `text` as a script of the database that `can` describes.
    ///
    /// # Errors
    /// When it cannot be split, or opens a transaction that it never ends, or uses what the
    /// database does not have.
    pub fn read(text: &str, can: &Capabilities) -> Result<Script, ScriptError> {
        let statements = split(text, can.dialect)?;
        let infos: Vec<StatementInfo> = statements
            .iter()
            .map(|statement| classify(slice(text, &statement.span), can.dialect))
            .collect();
        let mut script = Script {
            text: text.to_owned(),
            statements,
            infos,
            steps: Vec::new(),
            skipped: Vec::new(),
            options: Options::default(),
            statement_options: Vec::new(),
        };
        script.read_directives(can.dialect)?;
        cut::Cutter::new(can, &mut script).cut()?;
        Ok(script)
    }

    /// Reads the directives: file level before the first statement, else for the next statement.
    fn read_directives(&mut self, dialect: Dialect) -> Result<(), DirectiveError> {
        let end = self.statements.first().map_or(self.text.len(), |first| first.span.start);
        let (mut file, mut first) = (Options::default(), Options::default());
        for directive in self.directives_in(0..end, dialect)? {
            if directive.verb == Some(Verb::Batch) {
                first.apply(&directive, Scope::Statement)?;
            } else {
                file.apply(&directive, Scope::File)?;
            }
        }
        self.options = file;
        for index in 0..self.statements.len() {
            let lead = self.statements.get(index).map_or(0..0, |one| one.lead.clone());
            let mut options = std::mem::take(&mut first);
            if index > 0 {
                for directive in self.directives_in(lead, dialect)? {
                    options.apply(&directive, Scope::Statement)?;
                }
            }
            self.statement_options.push(options.or(&self.options));
        }
        Ok(())
    }

    fn directives_in(
        &self,
        range: Range<usize>,
        dialect: Dialect,
    ) -> Result<Vec<Directive>, DirectiveError> {
        let mut out = Vec::new();
        let text = slice(&self.text, &range);
        if !text.contains("whimbrel:") {
            return Ok(out);
        }
        for token in lex(text, dialect).iter().filter(|token| token.is_trivia()) {
            let (line, _) = position(&self.text, range.start + token.span.start);
            if let Some(directive) = parse_comment(token.text(text), line) {
                out.push(directive?);
            }
        }
        Ok(out)
    }

    /// The text of statement `index`.
    pub fn statement(&self, index: usize) -> &str {
        self.statements.get(index).map_or("", |statement| slice(&self.text, &statement.span))
    }

    /// The rows of a `COPY ... FROM STDIN`, if statement `index` is one.
    pub fn copy_data(&self, index: usize) -> Option<&str> {
        let data = self.statements.get(index)?.copy_data.as_ref()?;
        Some(slice(&self.text, data))
    }

    /// Whether all of it is one transaction of ours, so that it may be grouped with others.
    pub fn is_one_transaction(&self) -> bool {
        match self.steps.as_slice() {
            [] => true,
            [step] => step.mode == StepMode::Transaction,
            _ => false,
        }
    }

    /// Whether it happens as a whole or not at all: one transaction, be it the author's own, with
    /// nothing beside it but settings.
    pub fn is_whole(&self) -> bool {
        let mut lasting = self.steps.iter().filter(|step| step.mode != StepMode::Session);
        let first = lasting.next();
        let transaction =
            |step: &Step| matches!(step.mode, StepMode::Transaction | StepMode::OwnTransaction);
        lasting.next().is_none() && first.is_none_or(transaction)
    }

    /// Whether a statement changes the session's settings or leaves temporary objects, so that
    /// the session must be reset before the next file.
    pub fn changes_session(&self) -> bool {
        let by_statement = self.infos.iter().any(|info| {
            info.settings
                || matches!(info.class, StatementClass::Setting | StatementClass::Unknown)
                || info.verb.contains("TEMP")
                || info.verb.starts_with("ATTACH")
        });
        // `SELECT ... INTO TEMP t`, and blocks that do one or the other.
        let hides = |index: usize, info: &StatementInfo| {
            let block = info.class == StatementClass::Routine;
            let into = info.class == StatementClass::Ddl && info.verb.starts_with("SELECT");
            (block || into)
                && has_whole_word(self.statement(index), &["temp", "temporary", "set", "pg_temp"])
        };
        let by_statement =
            by_statement || self.infos.iter().enumerate().any(|(index, info)| hides(index, info));
        by_statement || self.has_word("set_config") || self.has_word("pg_temp")
    }

    /// The statements whose effect the file itself takes back: those of a transaction that ends in
    /// ROLLBACK, and those between a savepoint and the ROLLBACK to it.
    pub fn taken_back(&self) -> BTreeSet<usize> {
        let whole = self.steps.iter().filter(|step| step.mode == StepMode::OwnRollback);
        let mut out: BTreeSet<usize> = whole.flat_map(|step| step.statements.clone()).collect();
        let mut savepoints: Vec<(String, usize)> = Vec::new();
        for (index, info) in self.infos.iter().enumerate() {
            let name = || {
                let text = self.statement(index).to_lowercase();
                let last = text.split_whitespace().next_back().unwrap_or_default();
                last.trim_matches(['"', '`', '[', ']', '\'']).to_owned()
            };
            match info.control {
                Some(TransactionControl::Savepoint) => savepoints.push((name(), index)),
                Some(TransactionControl::RollbackTo) => {
                    let to = name();
                    let set = savepoints.iter().rposition(|(savepoint, _)| *savepoint == to);
                    if let Some(&(_, from)) = set.and_then(|at| savepoints.get(at)) {
                        out.extend(from..index);
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// Whether a statement goes on as another role: `SET ROLE`, `SET SESSION AUTHORIZATION`.
    pub fn takes_role(&self) -> bool {
        let words = ["role", "authorization"];
        self.infos.iter().enumerate().any(|(index, info)| {
            info.verb.starts_with("SET") && has_whole_word(self.statement(index), &words)
        })
    }

    /// Whether it adds a value to an enum type, which cannot be used before its commit.
    pub fn adds_enum_value(&self) -> bool {
        (0..self.statements.len())
            .any(|index| adds_enum_value(self.statement(index), Dialect::Postgres))
    }

    /// Whether it speaks of deferrable constraints, which are checked at a commit.
    pub fn defers(&self) -> bool {
        self.has_word("deferr")
    }

    /// Whether a conflict may roll back the whole transaction (`OR ROLLBACK`,
    /// `RAISE(ROLLBACK, ...)`).
    pub fn may_roll_back(&self) -> bool {
        self.has_word("rollback")
    }

    fn has_word(&self, word: &str) -> bool {
        has_word(&self.text, word)
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

fn has_whole_word(text: &str, wanted: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|found| wanted.iter().any(|word| found.eq_ignore_ascii_case(word)))
}

fn slice<'a>(text: &'a str, span: &Range<usize>) -> &'a str {
    text.get(span.clone()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        Script::read(text, &Capabilities::POSTGRES).unwrap()
    }

    #[test]
    fn what_stays_in_the_session_is_known() {
        for text in [
            "SELECT a INTO TEMP x FROM t",
            "SELECT a INTO TEMPORARY TABLE x FROM t",
            "DO $$ BEGIN CREATE TEMP TABLE x (a int); END $$",
            "DO $$ BEGIN SET LOCAL search_path = s; END $$",
            "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE TEMP VIEW v AS SELECT 1",
        ] {
            assert!(script(text).changes_session(), "{text}");
        }
        for text in ["SELECT a INTO x FROM t", "DO $$ BEGIN DELETE FROM t; END $$", "SELECT 1"] {
            assert!(!script(text).changes_session(), "{text}");
        }
    }

    #[test]
    fn what_the_file_takes_back_is_known() {
        let text = "BEGIN; DROP TABLE a; ROLLBACK; BEGIN; CREATE TABLE b (a int); SAVEPOINT s; \
                    DROP TABLE b; SAVEPOINT t; ROLLBACK TO SAVEPOINT S; DROP TABLE c; COMMIT";
        let taken: Vec<usize> = script(text).taken_back().into_iter().collect();
        assert_eq!(taken, [0, 1, 2, 5, 6, 7]);
    }

    #[test]
    fn only_a_transaction_with_a_schema_change_is_none_on_mariadb() {
        let text = "START TRANSACTION; CREATE TABLE a (b int); COMMIT; \
                    START TRANSACTION; DELETE FROM c; ROLLBACK; INSERT INTO c VALUES (1)";
        let script = Script::read(text, &Capabilities::MYSQL).unwrap();
        let modes: Vec<(Range<usize>, StepMode)> =
            script.steps.iter().map(|step| (step.statements.clone(), step.mode)).collect();
        let (bare, rolled_back) = (StepMode::Bare, StepMode::OwnRollback);
        assert_eq!(modes, [(1..2, bare), (3..6, rolled_back), (6..7, StepMode::Transaction)]);
        let skipped: Vec<usize> = script.skipped.iter().map(|(index, _)| *index).collect();
        assert_eq!(skipped, [0, 2]);
    }

    #[test]
    fn another_role_is_known() {
        for text in ["SET ROLE x", "set session authorization 'x'", "SET LOCAL ROLE x"] {
            assert!(script(text).takes_role(), "{text}");
        }
        for text in ["CREATE ROLE x", "UPDATE t SET role = 'x'", "SET lock_timeout = 5"] {
            assert!(!script(text).takes_role(), "{text}");
        }
    }
}
