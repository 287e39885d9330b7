//! Finds the places of a statement's clauses in the author's text.

use std::ops::Range;

use sqlparser::ast::{Delete, Insert, Query, Update};

use super::refusal::{Refusal, RefusalCode};
use super::rewrite::Cuts;
use super::text::Text;
use crate::sql::dialect::Dialect;
use crate::sql::lexer::TokenKind;

/// The WITH clause and the verb behind it.
fn verb(text: &Text, words: &[&str]) -> Option<(Option<Range<usize>>, usize)> {
    if text.at(0, "WITH") {
        let verb = text.find(text.all(), words)?;
        return Some((Some(0..verb), verb));
    }
    words.iter().any(|word| text.at(0, word)).then_some((None, 0))
}

pub(super) fn missing(text: &Text) -> Refusal {
    let message = "A clause of the statement was not found in its text";
    Refusal::new(RefusalCode::NotParsed, text.span(), message)
}

/// The condition and its place, where `end` is what follows it.
fn condition(text: &Text, cuts: &mut Cuts, from: usize, end: usize, has: bool) -> Option<usize> {
    cuts.condition_at = end;
    if !has {
        return Some(end);
    }
    let at = text.find(from..end, &["WHERE"])?;
    cuts.condition = Some(at + 1..end);
    Some(at)
}

pub(super) fn update(text: &Text, update: &Update) -> Option<Cuts> {
    let (with, verb) = verb(text, &["UPDATE"])?;
    let mut cuts = Cuts { with, ..Cuts::default() };
    let set = text.find(verb..text.toks.len(), &["SET"])?;
    let end = end_of(
        text,
        set,
        &[
            ("RETURNING", update.returning.is_some()),
            ("ORDER BY", !update.order_by.is_empty()),
            ("LIMIT", update.limit.is_some()),
        ],
    )?;
    let behind = condition(text, &mut cuts, set, end, update.selection.is_some())?;
    let mut target = verb + 1;
    if update.or.is_some() && text.at(target, "OR") {
        target += 2;
    }
    while ["LOW_PRIORITY", "IGNORE"].iter().any(|word| text.at(target, word)) {
        target += 1;
    }
    cuts.prefix = verb + 1..target;
    cuts.target = target..set;
    cuts.set = set + 1..behind;
    if update.from.is_some() {
        let from = text.find_from(set..end)?;
        cuts.from = Some(from + 1..behind);
        cuts.set.end = from;
    }
    cuts.tail = end..returning(text, set, update.returning.is_some())?;
    cuts.distinct = text.dialect == Dialect::Mysql && !update.table.joins.is_empty();
    Some(cuts)
}

pub(super) fn delete(text: &Text, delete: &Delete) -> Option<Cuts> {
    let (with, verb) = verb(text, &["DELETE"])?;
    let mut cuts = Cuts { with, ..Cuts::default() };
    let end = end_of(
        text,
        verb,
        &[
            ("RETURNING", delete.returning.is_some()),
            ("ORDER BY", !delete.order_by.is_empty()),
            ("LIMIT", delete.limit.is_some()),
        ],
    )?;
    let from = text.find_from(verb..end)?;
    let behind = condition(text, &mut cuts, from, end, delete.selection.is_some())?;
    cuts.target = from + 1..behind;
    cuts.tail = end..returning(text, from, delete.returning.is_some())?;
    if delete.using.is_some() {
        let using = text.find(from..behind, &["USING"])?;
        if text.dialect == Dialect::Mysql {
            cuts.target = using + 1..behind;
        } else {
            cuts.target = from + 1..using;
            cuts.from = Some(using + 1..behind);
        }
    }
    let joined = delete.using.is_some() || !delete.tables.is_empty();
    cuts.distinct = text.dialect == Dialect::Mysql && joined;
    Some(cuts)
}

/// Where RETURNING stands, or the end.
fn returning(text: &Text, from: usize, has: bool) -> Option<usize> {
    match has {
        true => text.find(from..text.toks.len(), &["RETURNING"]),
        false => Some(text.toks.len()),
    }
}

/// The first of the keywords that are there, behind `from`.
fn end_of(text: &Text, from: usize, words: &[(&str, bool)]) -> Option<usize> {
    let mut end = text.toks.len();
    for (word, there) in words {
        if *there {
            end = end.min(text.find(from..text.toks.len(), &[word])?);
        }
    }
    Some(end)
}

/// The places of INSERT .. SELECT; none if one was not found.
pub(super) fn insert(text: &Text, insert: &Insert, source: &Query) -> Option<Cuts> {
    let mut cuts = insert_ends(text, insert)?;
    while text.kind(cuts.source.start) == Some(TokenKind::LParen) {
        let after = text.after_group(cuts.source.start)?;
        if after != cuts.source.end {
            return None;
        }
        cuts.source = cuts.source.start + 1..after - 1;
    }
    select(text, &mut cuts, source)?;
    Some(cuts)
}

/// The places before, of and behind the source query, which keeps its parentheses.
pub(super) fn insert_ends(text: &Text, insert: &Insert) -> Option<Cuts> {
    let (with, verb) = verb(text, &["INSERT", "REPLACE"])?;
    let mut cuts = Cuts { with, ..Cuts::default() };
    let returning = returning(text, verb, insert.returning.is_some())?;
    let tail = match insert.on {
        Some(_) => text.find(verb..returning, &["ON CONFLICT", "ON DUPLICATE KEY"])?,
        None => returning,
    };
    cuts.tail = tail..returning;
    let begin = source_start(text, verb, tail)?;
    cuts.head = verb..begin;
    cuts.source = begin..tail;
    Some(cuts)
}

/// Behind the target and its list of columns: WITH, SELECT or a parenthesis before one of them.
fn source_start(text: &Text, verb: usize, end: usize) -> Option<usize> {
    let depth = 0;
    for at in verb + 1..end {
        let tok = text.toks.get(at)?;
        if tok.depth != depth {
            continue;
        }
        let mut inner = at;
        while text.kind(inner) == Some(TokenKind::LParen) {
            inner += 1;
        }
        if text.at(inner, "SELECT") || text.at(inner, "WITH") {
            return Some(at);
        }
    }
    None
}

/// The places inside the source's SELECT.
fn select(text: &Text, cuts: &mut Cuts, source: &Query) -> Option<()> {
    let (query, select) = innermost(source)?;
    let start = if text.at(cuts.source.start, "WITH") {
        text.find(cuts.source.clone(), &["SELECT"])?
    } else {
        cuts.source.start
    };
    if !text.at(start, "SELECT") {
        return None;
    }
    cuts.list_at = list_start(text, start)?;
    let range = start..cuts.source.end;
    let from = text.find_from(range)?;
    let end = text.clause_end(from..cuts.source.end);
    condition(text, cuts, from, end, select.selection.is_some())?;
    let _ = query;
    Some(())
}

/// The innermost query of nested parentheses, which is a SELECT.
pub(super) fn innermost(query: &Query) -> Option<(&Query, &sqlparser::ast::Select)> {
    match query.body.as_ref() {
        sqlparser::ast::SetExpr::Select(select) => Some((query, select)),
        sqlparser::ast::SetExpr::Query(inner) => innermost(inner),
        _ => None,
    }
}

fn list_start(text: &Text, select: usize) -> Option<usize> {
    let mut at = select + 1;
    loop {
        if text.at(at, "DISTINCT ON") {
            at = text.after_group(at + 2)?;
        } else if LIST_WORDS.iter().any(|word| text.at(at, word)) {
            at += 1;
        } else {
            return Some(at);
        }
    }
}

/// Words between SELECT and its list.
const LIST_WORDS: [&str; 11] = [
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_NO_CACHE",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
];
