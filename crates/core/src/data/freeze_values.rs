//! The query that computes what an UPDATE or DELETE would write.

use std::ops::Range;

use sqlparser::ast::{
    Delete, Expr, FromTable, SelectItem, SetExpr, Statement, TableWithJoins, UpdateTableFromKind,
    Value,
};

use super::cuts;
use super::key;
use super::parse::{Parsed, parse};
use super::refusal::{Refusal, RefusalCode};
use super::rewrite::{Batchable, DataKind};
use super::text::Text;
use super::walk::{is_limited, order_items};
use crate::ddl::name::same_column_name;
use crate::snapshot::Table;
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, ident_value};
use crate::sql::quote::quote_ident;

/// What the query gives beside the key.
pub(super) struct Half<'a> {
    pub(super) own: &'a Batchable,
    /// The new values, as the author wrote them.
    pub(super) values: &'a [String],
    /// Columns of the target whose values are kept for comparing.
    pub(super) compared: &'a [String],
}

impl Half<'_> {
    /// The query; refused where it is not certainly the statement's own parts.
    pub(super) fn query(&self, parsed: &Parsed) -> Result<String, Refusal> {
        let (text, cuts, dialect) = (&self.own.text, &self.own.cuts, self.own.text.dialect);
        let qualifier = &self.own.target_qualifier;
        let column = |name: &String| {
            let quoted = quote_ident(name, dialect);
            if qualifier.is_empty() { quoted } else { format!("{qualifier}.{quoted}") }
        };
        let mut items: Vec<String> = self.own.key.iter().map(|one| one.sql.clone()).collect();
        items.extend(self.values.iter().cloned());
        items.extend(self.compared.iter().map(column));
        let mut sql = match &cuts.with {
            Some(with) => format!("{} ", text.slice(with.clone())),
            None => String::new(),
        };
        let tables = with_joins(text, cuts.target.clone());
        sql.push_str(&format!("SELECT {} FROM {tables}", items.join(", ")));
        if let Some(from) = &cuts.from {
            sql.push_str(&format!(", {}", text.slice(from.clone())));
        }
        if let Some(condition) = &cuts.condition {
            sql.push_str(&format!(" WHERE ({})", text.slice(condition.clone())));
        }
        if !cuts.tail.is_empty() {
            sql.push_str(&format!(" {}", text.slice(cuts.tail.clone())));
        }
        if self.is_same(parsed, &sql) { Ok(sql) } else { Err(cuts::missing(text)) }
    }

    /// Whether the query's tree has the statement's own parts.
    fn is_same(&self, parsed: &Parsed, sql: &str) -> bool {
        let dialect = parsed.text.dialect;
        let Ok(found) = parse(sql, dialect) else { return false };
        let Statement::Query(query) = &found.tree else { return false };
        let SetExpr::Select(select) = query.body.as_ref() else { return false };
        if query.with.as_ref() != parsed.inner().0 {
            return false;
        }
        let (selection, order_by, limited) = match parsed.inner().1 {
            Statement::Update(update) => {
                let given: Vec<Option<&Expr>> = select
                    .projection
                    .iter()
                    .skip(self.own.key.len())
                    .take(self.values.len())
                    .map(|item| match item {
                        SelectItem::UnnamedExpr(expr) => Some(expr),
                        _ => None,
                    })
                    .collect();
                let wanted: Vec<Option<&Expr>> =
                    update.assignments.iter().flat_map(|one| parts(&one.value)).map(Some).collect();
                let mut tables = vec![&update.table];
                if let Some(UpdateTableFromKind::AfterSet(items)) = &update.from {
                    tables.extend(items);
                }
                let split = given.len() != wanted.len() || given != wanted;
                if split || select.from.iter().collect::<Vec<_>>() != tables {
                    return false;
                }
                (update.selection.as_ref(), &update.order_by, update.limit.is_some())
            }
            Statement::Delete(delete) => {
                if select.from.iter().collect::<Vec<_>>() != deleted_from(delete, dialect) {
                    return false;
                }
                (delete.selection.as_ref(), &delete.order_by, delete.limit.is_some())
            }
            _ => return false,
        };
        let nested = selection.map(|one| Expr::Nested(Box::new(one.clone())));
        let is_number = |expr: &Expr| match expr {
            Expr::Value(value) => matches!(value.value, Value::Number(..)),
            _ => false,
        };
        select.selection == nested
            && order_items(query) == order_by.iter().collect::<Vec<_>>()
            && !order_by.iter().any(|one| is_number(&one.expr))
            && is_limited(query) == limited
    }
}

/// Tables as they are written; commas of MySQL's `UPDATE a, b` are the joins that they are read as.
fn with_joins(text: &Text, range: Range<usize>) -> String {
    let is_comma = |at: &usize| {
        text.dialect == Dialect::Mysql
            && text.kind(*at) == Some(TokenKind::Comma)
            && text.depth(*at) == text.depth(range.start)
            && text.at(range.start.saturating_sub(1), "UPDATE")
    };
    let mut out = String::new();
    let mut start = range.start;
    for comma in range.clone().filter(is_comma) {
        out.push_str(text.slice(start..comma));
        out.push_str(" CROSS JOIN ");
        start = comma + 1;
    }
    out + text.slice(start..range.end)
}

/// The tables of a DELETE; on MySQL those behind USING introduce what stands before it.
fn deleted_from(delete: &Delete, dialect: Dialect) -> Vec<&TableWithJoins> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let using = delete.using.iter().flatten();
    match (dialect, &delete.using) {
        (Dialect::Mysql, Some(_)) => using.collect(),
        _ => from.iter().chain(using).collect(),
    }
}

/// The parts of a row of values, or the value.
fn parts(value: &Expr) -> Vec<&Expr> {
    match value {
        Expr::Tuple(parts) => parts.iter().collect(),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => {
            let sqlparser::ast::FunctionArguments::List(list) = &function.args else {
                return vec![value];
            };
            let args = list.args.iter();
            args.filter_map(|arg| match arg {
                sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(
                    expr,
                )) => Some(expr),
                _ => None,
            })
            .collect()
        }
        other => vec![other],
    }
}

/// The values of an UPDATE's assignments, in the order of the columns written.
pub(super) fn values(own: &Batchable) -> Result<Vec<String>, Refusal> {
    if own.kind != DataKind::Update {
        return Ok(Vec::new());
    }
    let text = &own.text;
    let refuse = |message: &str| {
        let mut refusal = Refusal::new(RefusalCode::NotParsed, text.span(), message);
        refusal.lift = Some("Write it so that each column has a value of its own".to_owned());
        Err(refusal)
    };
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut out = Vec::new();
    for item in commas(text, own.cuts.set.clone()) {
        let depth = text.depth(item.start);
        let equals = item
            .clone()
            .find(|&at| text.depth(at) == depth && text.text(at).starts_with('='))
            .ok_or_else(|| cuts::missing(text))?;
        let value = equals + 1..item.end;
        if text.kind(item.start) != Some(TokenKind::LParen) {
            // `=-1` is one run of operators.
            let glued = text.text(equals).get(1..).unwrap_or("");
            out.push(format!("{glued}{}", text.slice(value.clone())));
            found.push(value);
            continue;
        }
        let open = if text.at(value.start, "ROW") { value.start + 1 } else { value.start };
        let row = text.kind(open) == Some(TokenKind::LParen)
            && text.after_group(open) == Some(value.end)
            && !["SELECT", "WITH", "VALUES"].iter().any(|word| text.at(open + 1, word));
        if !row {
            return refuse("Several columns get the values of one sub-query");
        }
        for part in commas(text, open + 1..value.end.saturating_sub(1)) {
            out.push(text.slice(part.clone()).to_owned());
            found.push(part);
        }
    }
    if out.len() != own.written.len() {
        return Err(cuts::missing(text));
    }
    for (at, value) in found.iter().enumerate() {
        if value.len() == 1 && text.at(value.start, "DEFAULT") {
            return refuse("A value is DEFAULT, which only the statement itself can fill in");
        }
        let earlier = own.written.get(..at).unwrap_or_default();
        if text.dialect == Dialect::Mysql
            && earlier.iter().any(|column| is_named(text, value.clone(), column))
        {
            return refuse("MariaDB computes a value from a column that is assigned before it");
        }
    }
    Ok(out)
}

/// The target's columns that the statement names: what it was computed from, and what it writes.
pub(super) fn compared(own: &Batchable, target: &Table) -> Vec<String> {
    let (text, dialect) = (&own.text, own.text.dialect);
    let all = reads_whole_rows(own);
    let in_key = |name: &str| own.key.iter().any(|one| same_column_name(&one.name, name, dialect));
    let columns = target.columns.iter().map(|column| &column.name);
    columns
        .filter(|name| !in_key(name) && key::column(target, name, dialect).is_some())
        .filter(|name| all || is_named(text, text.all(), name))
        .cloned()
        .collect()
}

/// Whether a star, or the table's name in place of a row, may stand for any column.
fn reads_whole_rows(own: &Batchable) -> bool {
    let text = &own.text;
    let plain = |name: &str| ident_value(name, text.dialect).to_lowercase();
    let qualifier = plain(own.target_qualifier.rsplit('.').next().unwrap_or(""));
    let behind_from = ["FROM", "JOIN", "UPDATE", "INTO", "ONLY", "AS", "USING", "DELETE"];
    let mut pairs = text.all().map(|at| (at.checked_sub(1), at));
    pairs.any(|(before, at)| {
        let after = |words: &[&str]| before.is_some_and(|at| words.iter().any(|w| text.at(at, w)));
        let kind = before.and_then(|at| text.kind(at));
        if text.text(at).starts_with('*') {
            let list = matches!(kind, Some(TokenKind::Comma | TokenKind::Dot));
            return list || after(&["SELECT", "DISTINCT", "ALL"]);
        }
        let named = matches!(text.kind(at), Some(TokenKind::Word | TokenKind::QuotedIdent))
            && plain(text.text(at)) == qualifier;
        named
            && text.dialect == Dialect::Postgres
            && text.kind(at + 1) != Some(TokenKind::Dot)
            && !after(&behind_from)
            && kind != Some(TokenKind::Dot)
            && !own.cuts.target.contains(&at)
    })
}

/// Whether a column's name stands anywhere in the range; what has a dot behind it is a table's.
fn is_named(text: &Text, mut range: Range<usize>, name: &str) -> bool {
    range.any(|at| {
        matches!(text.kind(at), Some(TokenKind::Word | TokenKind::QuotedIdent))
            && text.kind(at + 1) != Some(TokenKind::Dot)
            && same_column_name(&ident_value(text.text(at), text.dialect), name, text.dialect)
    })
}

/// The parts between the commas that stand at the depth of the first token.
fn commas(text: &Text, range: Range<usize>) -> Vec<Range<usize>> {
    let depth = text.depth(range.start);
    let mut out = Vec::new();
    let mut start = range.start;
    for at in range.clone() {
        if text.kind(at) == Some(TokenKind::Comma) && text.depth(at) == depth {
            out.push(start..at);
            start = at + 1;
        }
    }
    out.push(start..range.end);
    out
}
