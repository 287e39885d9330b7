//! What `LOCK TABLES` of MariaDB and MySQL asks of the statement that runs under it: each table
//! that it names must be locked, and so must exist.

use whimbrel_core::ddl::{Change, ObjectName};
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{TokenKind, ident_value, lex};
use whimbrel_core::sql::quote::quote_ident;

use super::Applier;
use super::keep::{Copy, sql_name};
use super::migration::StepWork;
use crate::error::EngineError;
use crate::ledger::text;

impl Applier<'_> {
    /// The locks of the tables that statement `index` names besides those that are copied. A
    /// `DROP TABLE IF EXISTS` is sent without the tables that are not there.
    pub(super) async fn lock_others(
        &mut self,
        work: &StepWork<'_>,
        index: usize,
        copies: &[Copy],
    ) -> Result<Vec<String>, EngineError> {
        let sql = work.migration.script.statement(index);
        let named: Vec<String> = lex(sql, Dialect::Mysql)
            .iter()
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent))
            .map(|token| ident_value(token.text(sql), Dialect::Mysql))
            .collect();
        let tables = "SELECT table_name FROM information_schema.tables \
                      WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'VIEW')";
        let rows = self.session.query(tables).await?;
        let there: Vec<String> = rows.iter().map(|row| text(row, 0)).collect();
        let changes = work.migration.changes.get(index).map_or(&[][..], Vec::as_slice);
        self.instead = without_missing(changes, &there);
        let others = there.iter().filter(|table| {
            named.contains(*table) && !copies.iter().any(|copy| copy.table.name == **table)
        });
        Ok(others.map(|table| format!("{} WRITE", quote_ident(table, Dialect::Mysql))).collect())
    }
}

/// `DROP TABLE IF EXISTS` for the tables that are there, if not all of them are.
fn without_missing(changes: &[Change], there: &[String]) -> Option<String> {
    let dropped: Option<Vec<&ObjectName>> = changes
        .iter()
        .map(|change| match change {
            Change::DropTable { name, if_exists: true, .. } => Some(name),
            _ => None,
        })
        .collect();
    let dropped = dropped?;
    let is_there = |name: &&&ObjectName| name.schema.is_some() || there.contains(&name.name);
    let left: Vec<String> =
        dropped.iter().filter(is_there).map(|name| sql_name(name, Dialect::Mysql)).collect();
    let missing = left.len() < dropped.len() && !left.is_empty();
    missing.then(|| format!("DROP TABLE IF EXISTS {}", left.join(", ")))
}
