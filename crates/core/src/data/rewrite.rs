//! The author's text with something put into it.

use std::ops::Range;

use super::builtins::KNOWN;
use super::refusal::{Note, RefusalCode};
use super::text::Text;
use crate::ddl::ObjectName;
use crate::sql::lexer::TokenKind;

/// Keywords behind which parentheses only group, in order.
const BEFORE_PARENTHESES: [&str; 9] =
    ["and", "between", "else", "in", "like", "not", "or", "then", "when"];

/// What a statement does to its target's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// INSERT .. SELECT, REPLACE too.
    Insert,
}

impl DataKind {
    /// The word that the ledger and messages have for it.
    pub fn word(self) -> &'static str {
        match self {
            DataKind::Update => "update",
            DataKind::Delete => "delete",
            DataKind::Insert => "insert",
        }
    }
}

/// What an INSERT does with a row whose key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It fails.
    None,
    /// The new row is left out.
    Ignore,
    /// The old row is changed.
    Update,
    /// The old row goes.
    Replace,
}

/// A column of the key along which batches go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column of the driving table.
    pub name: String,
    /// How the statement's own scope calls it, qualified and quoted.
    pub sql: String,
    /// Its type as the catalog prints it.
    pub type_name: String,
    /// It is SQLite's rowid.
    pub rowid: bool,
    /// Its collation, where the catalog says one.
    pub collation: Option<String>,
}

/// A statement that can run in batches.
#[derive(Clone, Debug)]
pub struct Batchable {
    /// What it does.
    pub kind: DataKind,
    /// The table that it writes, as the catalog calls it.
    pub target: ObjectName,
    /// How the statement calls the target, as SQL.
    pub target_qualifier: String,
    /// The table whose key the batches go along.
    pub driving: ObjectName,
    /// How the statement calls it, as SQL.
    pub driving_qualifier: String,
    /// Both are the same row.
    pub driving_is_target: bool,
    /// The key.
    pub key: Vec<KeyColumn>,
    /// UPDATE: the columns assigned. INSERT: the columns filled, in order.
    pub written: Vec<String>,
    /// Columns of the driving table that must hold no NULL, which the caller has to look up.
    pub assumes_not_null: Vec<String>,
    /// The reasons that were lifted because the driving rows are frozen first.
    pub frozen: Vec<RefusalCode>,
    /// What the plan should say.
    pub notes: Vec<Note>,
    /// A function of the statement that gives another value each time it is called, if there is
    /// one: run again over the same rows, the statement would compute other values.
    pub differs: Option<String>,
    pub(super) text: Text,
    pub(super) cuts: Cuts,
    pub(super) conflict: Conflict,
}

/// Places in the statement, as numbers of tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    /// The WITH clause before the verb.
    pub(super) with: Option<Range<usize>>,
    /// The condition behind WHERE.
    pub(super) condition: Option<Range<usize>>,
    /// The token before which a WHERE clause would stand.
    pub(super) condition_at: usize,
    /// UPDATE: what stands between the verb and the target (`OR IGNORE`).
    pub(super) prefix: Range<usize>,
    /// UPDATE: the assignments.
    pub(super) set: Range<usize>,
    /// The target as written; for MySQL's joins all table references.
    pub(super) target: Range<usize>,
    /// The items of UPDATE's FROM or DELETE's USING.
    pub(super) from: Option<Range<usize>>,
    /// Rows of the target may come several times.
    pub(super) distinct: bool,
    /// INSERT: from the verb to the source.
    pub(super) head: Range<usize>,
    /// INSERT: the source query with its own WITH clause and without parentheses around it.
    pub(super) source: Range<usize>,
    /// INSERT: the first token of the select list.
    pub(super) list_at: usize,
    /// INSERT: what stands behind the source, without RETURNING. UPDATE and DELETE: ORDER BY and
    /// LIMIT.
    pub(super) tail: Range<usize>,
    /// INSERT: the tail names the source's columns.
    pub(super) tail_reads_source: bool,
    /// Numbers in GROUP BY and ORDER BY that mean columns of the select list.
    pub(super) ordinals: Vec<usize>,
    /// A bare `*` in the list and what it stands for, where it cannot stay beside other columns.
    pub(super) star: Option<(usize, String)>,
}

impl Batchable {
    /// The author's statement with `predicate` added to the WHERE clause of the driving scope.
    pub fn restricted(&self, predicate: &str) -> String {
        self.edited(0..self.text.sql.len(), &self.with_predicate(predicate))
    }

    /// The columns of the key as the statement's own scope calls them, qualified and quoted.
    pub fn key_sql(&self) -> Vec<String> {
        self.key.iter().map(|column| column.sql.clone()).collect()
    }

    /// What ON CONFLICT, ON DUPLICATE KEY, IGNORE or REPLACE do.
    pub fn conflict(&self) -> Conflict {
        self.conflict
    }

    /// UPDATE and DELETE: a query for the rows of the target that the statement would touch.
    ///
    /// `items` is the select list and `tail` what follows the WHERE clause (`FOR UPDATE OF p`). A
    /// row comes once even where joins match it several times. Empty for an INSERT.
    pub fn matching(&self, items: &str, predicate: &str, tail: &str) -> String {
        if self.kind == DataKind::Insert {
            return String::new();
        }
        let cuts = &self.cuts;
        let with = cuts.with.clone().map(|with| format!("{} ", self.text.slice(with)));
        let condition = cuts.condition.clone().map(|range| self.text.slice(range));
        let mut sql = with.unwrap_or_default();
        sql.push_str(if cuts.distinct { "SELECT DISTINCT " } else { "SELECT " });
        sql.push_str(items);
        sql.push_str(" FROM ");
        sql.push_str(self.text.slice(cuts.target.clone()));
        sql.push_str(&format!(" WHERE ({predicate})"));
        match (&cuts.from, condition) {
            (Some(from), condition) => {
                let inner = condition.map(|condition| format!(" WHERE ({condition})"));
                let from = self.text.slice(from.clone());
                let inner = inner.unwrap_or_default();
                sql.push_str(&format!(" AND EXISTS (SELECT 1 FROM {from}{inner})"));
            }
            (None, Some(condition)) => sql.push_str(&format!(" AND ({condition})")),
            (None, None) => {}
        }
        if !tail.is_empty() {
            sql.push(' ');
            sql.push_str(tail);
        }
        sql
    }

    /// UPDATE and DELETE: whether each row of the target matches by its own values alone. Rows that
    /// matched and are locked match still then, and whatever else matches has come since.
    pub fn matches_alone(&self) -> bool {
        let cuts = &self.cuts;
        let is_one_table = cuts.with.is_none() && cuts.from.is_none() && !cuts.distinct;
        self.kind != DataKind::Insert
            && is_one_table
            && self.differs.is_none()
            && cuts.tail.is_empty()
            && !self.text.has_any(cuts.target.clone(), &["JOIN"], &[TokenKind::Comma])
            && cuts.condition.clone().is_none_or(|range| self.reads_nothing_else(range))
    }

    /// Whether a condition calls only functions that come with the databases, and has no query.
    fn reads_nothing_else(&self, condition: Range<usize>) -> bool {
        if self.text.has_any(condition.clone(), &["SELECT", "TABLE", "VALUES", "WITH"], &[]) {
            return false;
        }
        condition.into_iter().all(|at| {
            let is_call = self.text.kind(at + 1) == Some(TokenKind::LParen);
            match self.text.kind(at) {
                Some(TokenKind::Word) if is_call => {
                    let name = self.text.text(at).to_ascii_lowercase();
                    BEFORE_PARENTHESES.contains(&name.as_str())
                        || KNOWN.binary_search(&name.as_str()).is_ok()
                }
                Some(TokenKind::QuotedIdent) => !is_call,
                Some(TokenKind::Param | TokenKind::ExecutableCommentMark) => false,
                _ => true,
            }
        })
    }

    /// INSERT: its query restricted to `predicate`, with `extra` before its select list.
    ///
    /// Empty for UPDATE and DELETE.
    pub fn source_select(&self, extra: &str, predicate: &str) -> String {
        if self.kind != DataKind::Insert {
            return String::new();
        }
        let cuts = &self.cuts;
        let mut edits = self.with_predicate(predicate);
        if !extra.trim().is_empty() {
            let at = self.text.start(cuts.list_at);
            edits.push((at..at, format!("{extra}, ")));
            let shift = columns_in(extra, self.text.dialect);
            for ordinal in &cuts.ordinals {
                let number = self.text.text(*ordinal).parse::<usize>().unwrap_or(0) + shift;
                let span = self.text.start(*ordinal)..self.text.end_before(ordinal + 1);
                edits.push((span, number.to_string()));
            }
            if let Some((at, columns)) = &cuts.star {
                let span = self.text.start(*at)..self.text.end_before(at + 1);
                edits.push((span, columns.clone()));
            }
        }
        let source = self.text.start(cuts.source.start)..self.text.end_before(cuts.source.end);
        let with = cuts.with.clone().map(|with| format!("{} ", self.text.slice(with)));
        with.unwrap_or_default() + &self.edited(source, &edits)
    }

    /// INSERT: the author's INSERT with its query replaced by `source`.
    ///
    /// None for UPDATE and DELETE, and where what follows the query names its columns.
    pub fn insert_from(&self, source: &str, returning: Option<&str>) -> Option<String> {
        if self.kind != DataKind::Insert || self.cuts.tail_reads_source {
            return None;
        }
        let mut sql = self.text.slice(self.cuts.head.clone()).to_owned();
        let tail = self.text.slice(self.cuts.tail.clone());
        if tail.is_empty() || self.text.dialect != crate::sql::dialect::Dialect::Sqlite {
            sql.push_str(&format!(" {source}"));
        } else {
            // Behind a FROM clause SQLite would take ON for a join's.
            sql.push_str(&format!(" SELECT * FROM ({source}) WHERE true"));
        }
        if !tail.is_empty() {
            sql.push_str(&format!(" {tail}"));
        }
        if let Some(returning) = returning {
            sql.push_str(&format!(" RETURNING {returning}"));
        }
        Some(sql)
    }

    fn with_predicate(&self, predicate: &str) -> Vec<(Range<usize>, String)> {
        match &self.cuts.condition {
            Some(condition) => {
                let start = self.text.start(condition.start);
                let end = self.text.end_before(condition.end);
                let open = (start..start, "(".to_owned());
                vec![open, (end..end, format!(") AND ({predicate})"))]
            }
            None => {
                let at = self.text.end_before(self.cuts.condition_at);
                vec![(at..at, format!(" WHERE ({predicate})"))]
            }
        }
    }

    /// A part of the text with edits, which do not overlap.
    fn edited(&self, range: Range<usize>, edits: &[(Range<usize>, String)]) -> String {
        let mut edits: Vec<_> = edits.iter().collect();
        edits.sort_by_key(|(span, _)| span.start);
        let mut out = String::new();
        let mut copied = range.start;
        for (span, text) in edits {
            out.push_str(self.text.sql.get(copied..span.start).unwrap_or(""));
            out.push_str(text);
            copied = span.end;
        }
        out.push_str(self.text.sql.get(copied..range.end).unwrap_or(""));
        out
    }
}

/// How many columns a select list has.
fn columns_in(list: &str, dialect: crate::sql::dialect::Dialect) -> usize {
    let text = Text::new(list, dialect);
    let commas = text.toks.iter().filter(|tok| tok.depth == 0 && tok.kind == TokenKind::Comma);
    commas.count() + 1
}
