//! The walk over a file's statements that closes a step where the next one must begin.

use super::*;

/// Words that a statement which commits by itself begins with.
const SCHEMA_WORDS: &[&str] =
    &["alter", "create", "drop", "rename", "truncate", "grant", "revoke", "analyze", "optimize"];

/// Walks over the statements and closes a step where the next one must begin.
pub(super) struct Cutter<'a> {
    can: &'a Capabilities,
    script: &'a mut Script,
    /// First statement of the transaction of ours that is being collected.
    open: Option<usize>,
    /// First statement (BEGIN) of the author's transaction that is being collected.
    own: Option<usize>,
    /// The file ended a transaction that it had not begun: it is written for a runner that opens
    /// one around each file, so that its last BEGIN is ended by that runner.
    ended_first: bool,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(can: &'a Capabilities, script: &'a mut Script) -> Self {
        Cutter { can, script, open: None, own: None, ended_first: false }
    }

    pub(super) fn cut(mut self) -> Result<(), ScriptError> {
        let prepared = !self.can.transactional_ddl && self.prepares_schema_change();
        for index in 0..self.script.statements.len() {
            let Some(info) = self.script.infos.get(index).cloned() else { break };
            match info.control {
                Some(control) if self.own.is_none() => {
                    let implicit = self.holds_implicit_commit(index, prepared);
                    self.outside(index, control, implicit)?;
                }
                Some(control) => self.inside(index, control),
                None if self.own.is_some() => {}
                None => self.plain(index, &info)?,
            }
        }
        let end = self.script.statements.len();
        self.close(end);
        if let Some(begin) = self.own.take() {
            if !self.ended_first {
                let (line, column) = self.place(begin);
                return Err(ScriptError::Unended { statement: begin, line, column });
            }
            self.push(begin..end, StepMode::OwnTransaction);
        }
        Ok(())
    }

    /// On MariaDB and MySQL a schema change commits the author's transaction by itself; then its
    /// BEGIN and COMMIT mean nothing, and each statement is a step as if they were not there.
    fn holds_implicit_commit(&self, begin: usize, prepared: bool) -> bool {
        let ends = |info: &&StatementInfo| {
            !matches!(info.control, Some(TransactionControl::Commit | TransactionControl::Rollback))
        };
        let mut inside = self.script.infos.iter().skip(begin + 1).take_while(ends);
        inside.any(|info| {
            info.transaction == TransactionNeed::ImplicitCommit
                || (prepared && info.verb.starts_with("EXECUTE"))
        })
    }

    /// Whether a text that is executed as a statement may be a schema change: it is written into a
    /// variable, prepared or executed at once, somewhere in the file.
    fn prepares_schema_change(&self) -> bool {
        let infos = &self.script.infos;
        let writes = |index: usize, info: &StatementInfo| {
            let assigns = info.class == StatementClass::Setting
                || (info.class == StatementClass::Query
                    && self.script.statement(index).contains('@'));
            assigns || info.verb.starts_with("EXECUTE")
        };
        infos.iter().any(|info| info.verb.starts_with("EXECUTE"))
            && infos.iter().enumerate().any(|(index, info)| {
                let text = self.script.statement(index);
                writes(index, info) && has_whole_word(text, SCHEMA_WORDS)
            })
    }

    fn outside(
        &mut self,
        index: usize,
        control: TransactionControl,
        implicit: bool,
    ) -> Result<(), ScriptError> {
        if self.can.no_own_transactions {
            return Err(self.refuse(index, "Cloudflare D1 has no transactions of one's own"));
        }
        match control {
            TransactionControl::Begin if implicit => {
                self.skip(index, "its transaction is committed by a schema change inside it");
            }
            TransactionControl::Begin => {
                self.close(index);
                self.own = Some(index);
            }
            TransactionControl::Commit | TransactionControl::Rollback => {
                self.close(index);
                self.ended_first |=
                    self.script.steps.is_empty() || matches!(control, TransactionControl::Commit);
                self.skip(index, "no transaction of the file's own is open here");
            }
            TransactionControl::Savepoint
            | TransactionControl::RollbackTo
            | TransactionControl::Release => {
                self.open.get_or_insert(index);
            }
            TransactionControl::Other => self.session_or_skip(index),
        }
        Ok(())
    }

    fn session_or_skip(&mut self, index: usize) {
        self.close(index);
        let verb = self.script.infos.get(index).map_or("", |info| info.verb.as_str());
        if verb.starts_with("LOCK") || verb.starts_with("UNLOCK") {
            self.skip(
                index,
                "the lease keeps other runs out, and each step is its own transaction",
            );
        } else {
            self.push(index..index + 1, StepMode::Session);
        }
    }

    fn inside(&mut self, index: usize, control: TransactionControl) {
        let mode = match control {
            TransactionControl::Commit => StepMode::OwnTransaction,
            TransactionControl::Rollback => StepMode::OwnRollback,
            _ => return,
        };
        if let Some(begin) = self.own.take() {
            self.push(begin..index + 1, mode);
        }
    }

    fn plain(&mut self, index: usize, info: &StatementInfo) -> Result<(), ScriptError> {
        if self.can.no_own_transactions && info.transaction == TransactionNeed::Never {
            if switches_keys_on(self.script.statement(index)) {
                // They are on already; inside the transaction it has no effect, as with wrangler.
                self.open.get_or_insert(index);
                return Ok(());
            }
            return Err(self.refuse(index, "Cloudflare D1 runs each file in one transaction"));
        }
        let alone = self.can.dialect == Dialect::Postgres
            && adds_enum_value(self.script.statement(index), self.can.dialect);
        let never = self.script.options.transaction == Some(Transaction::Never);
        match info.transaction {
            TransactionNeed::Any if never && !self.can.no_own_transactions => {
                self.close(index);
                self.push(index..index + 1, StepMode::Bare);
            }
            TransactionNeed::Any if alone => {
                self.close(index);
                let mode = if self.can.enum_value_in_transaction {
                    StepMode::Transaction
                } else {
                    StepMode::Bare
                };
                self.push(index..index + 1, mode);
            }
            TransactionNeed::Any if self.may_commit(index, info) => {
                self.close(index);
                self.push(index..index + 1, StepMode::Transaction);
            }
            TransactionNeed::Any if self.may_hide_schema_change(info) => {
                self.close(index);
                self.push(index..index + 1, StepMode::Bare);
            }
            TransactionNeed::Any if self.sets_session_only(info) => {
                self.close(index);
                self.push(index..index + 1, StepMode::Session);
            }
            TransactionNeed::Any => {
                self.open.get_or_insert(index);
            }
            TransactionNeed::Never | TransactionNeed::ImplicitCommit => {
                self.close(index);
                let mode = if info.class == StatementClass::Setting {
                    StepMode::Session
                } else {
                    StepMode::Bare
                };
                self.push(index..index + 1, mode);
            }
        }
        Ok(())
    }

    /// Where a transaction cannot hold schema changes anyway, a SET is best sent by itself; where
    /// it can, a SET stays inside, so that the file remains one transaction.
    fn sets_session_only(&self, info: &StatementInfo) -> bool {
        !self.can.transactional_ddl && info.class == StatementClass::Setting
    }

    /// PostgreSQL's procedures and blocks may commit by themselves, unless they are called inside
    /// of a
    /// transaction. It cannot be seen from the call, so a call is a step of its own: it is tried in
    /// a transaction, and run outside of one if the server refuses it there.
    fn may_commit(&self, index: usize, info: &StatementInfo) -> bool {
        let has_commit = || has_word(self.script.statement(index), "commit");
        self.can.dialect == Dialect::Postgres
            && info.class == StatementClass::Routine
            && (info.verb.starts_with("CALL") || has_commit())
    }

    /// What `CALL` and `EXECUTE` run cannot be seen. On MariaDB and MySQL it may change the schema
    /// and
    /// so commit the transaction around it, without the ledger's rows.
    fn may_hide_schema_change(&self, info: &StatementInfo) -> bool {
        !self.can.transactional_ddl && info.class == StatementClass::Routine
    }

    fn close(&mut self, end: usize) {
        if let Some(start) = self.open.take() {
            self.push(start..end, StepMode::Transaction);
        }
    }

    fn push(&mut self, statements: Range<usize>, mode: StepMode) {
        let first = self.script.statements.get(statements.start);
        let last = self.script.statements.get(statements.end.saturating_sub(1));
        let (Some(first), Some(last)) = (first, last) else { return };
        let end = last.copy_data.as_ref().map_or(last.span.end, |data| data.end);
        let text = slice(&self.script.text, &(first.span.start..end));
        let hash = token_checksum(text, self.can.dialect);
        self.script.steps.push(Step { statements, mode, hash });
    }

    fn skip(&mut self, index: usize, reason: &'static str) {
        self.script.skipped.push((index, reason));
        // A skipped statement inside what is being collected would otherwise be sent with it.
        if let Some(start) = self.open.take()
            && start < index
        {
            self.push(start..index, StepMode::Transaction);
        }
    }

    fn place(&self, index: usize) -> (u32, u32) {
        self.script
            .statements
            .get(index)
            .map_or((1, 1), |statement| (statement.line, statement.column))
    }

    fn refuse(&self, index: usize, reason: &'static str) -> ScriptError {
        let (line, column) = self.place(index);
        let verb = self.script.infos.get(index).map_or_else(String::new, |info| info.verb.clone());
        ScriptError::Refused { verb, reason, line, column }
    }
}
