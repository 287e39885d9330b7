//! CHECKs of simple forms as bounds of columns. What is not understood says nothing.

use std::collections::BTreeMap;

use super::bounds::{Bounds, Compare};
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{Token, TokenKind, ident_value, lex};

/// Parentheses are followed so deep.
const DEPTH_MAX: usize = 32;

/// A token without its place.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Name(String),
    Text(String),
    Number(f64),
    Open,
    Close,
    Other(String),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
enum Side {
    Column(String),
    Length(String),
    Value(Item),
}

/// What an expression says.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare(Side, Compare, Side),
    In(String, Vec<String>),
    Null(String),
    NotNull(String),
    Json(String),
    Unknown,
}

/// What a CHECK says of columns, by the columns' lower-case names.
pub(super) fn read(expr: &str, dialect: Dialect) -> BTreeMap<String, Bounds> {
    let mut reader = Reader { items: items(expr, dialect), at: 0 };
    let node = reader.either(DEPTH_MAX);
    let mut out = BTreeMap::new();
    if reader.at == reader.items.len() {
        apply(&node, &mut out);
    }
    out
}

fn apply(node: &Node, out: &mut BTreeMap<String, Bounds>) {
    let mut bounds = |name: &str, change: &dyn Fn(&mut Bounds)| {
        change(out.entry(name.to_lowercase()).or_default());
    };
    match node {
        Node::And(parts) => parts.iter().for_each(|part| apply(part, out)),
        Node::Or(parts) => {
            if let Some((name, values)) = alternatives(parts) {
                bounds(&name, &|one| one.among(values.clone()));
            } else if let [one] = others(parts).as_slice() {
                // `x IS NULL OR ...`: what holds for values.
                apply(one, out);
            }
        }
        Node::Compare(Side::Column(name), compare, Side::Value(value)) => match value {
            Item::Number(number) => bounds(name, &|one| one.number(*compare, *number)),
            Item::Text(text) if *compare == Compare::Same => {
                bounds(name, &|one| one.among(vec![text.clone()]));
            }
            _ => {}
        },
        Node::Compare(Side::Length(name), compare, Side::Value(Item::Number(number))) => {
            bounds(name, &|one| one.length(*compare, *number));
        }
        Node::Compare(side @ Side::Value(_), compare, other) => {
            if !matches!(other, Side::Value(_)) {
                apply(&Node::Compare(other.clone(), compare.turned(), side.clone()), out);
            }
        }
        Node::In(name, values) => bounds(name, &|one| one.among(values.clone())),
        Node::NotNull(name) => bounds(name, &|one| one.not_null = true),
        Node::Json(name) => bounds(name, &|one| one.json = true),
        Node::Compare(..) | Node::Null(_) | Node::Unknown => {}
    }
}

/// `x = 'a' OR x = 'b' OR x IN (...)`.
fn alternatives(parts: &[Node]) -> Option<(String, Vec<String>)> {
    let mut all = Vec::new();
    let mut of = None;
    for part in parts {
        let (name, values) = match part {
            Node::Compare(Side::Column(name), Compare::Same, Side::Value(value)) => {
                (name, vec![printed(value)?])
            }
            Node::In(name, values) => (name, values.clone()),
            Node::Null(name) => (name, Vec::new()),
            _ => return None,
        };
        if of.get_or_insert(name) != &name {
            return None;
        }
        all.extend(values);
    }
    (!all.is_empty()).then(|| of.map(|name| (name.clone(), all)))?
}

fn others(parts: &[Node]) -> Vec<&Node> {
    parts.iter().filter(|part| !matches!(part, Node::Null(_))).collect()
}

fn printed(item: &Item) -> Option<String> {
    match item {
        Item::Text(text) => Some(text.clone()),
        Item::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The tokens without white space and casts.
fn items(expr: &str, dialect: Dialect) -> Vec<Item> {
    let tokens: Vec<Token> =
        lex(expr, dialect).into_iter().filter(|token| !token.is_trivia()).collect();
    let mut out = Vec::new();
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        let text = token.text(expr);
        match token.kind {
            TokenKind::Op if text == "::" => {
                // PostgreSQL prints -1 as '-1'::integer.
                let numeric = rest.peek().is_some_and(|next| is_number_type(next.text(expr)));
                if let (true, Some(Item::Text(digits))) = (numeric, out.last())
                    && let Ok(number) = digits.parse()
                {
                    out.pop();
                    out.push(Item::Number(number));
                }
                while rest.next_if(|next| is_of_type(next, expr)).is_some() {}
            }
            TokenKind::Op if text.starts_with("[]") => {}
            // `_utf8mb4'text'`
            TokenKind::Word if text.starts_with('_') && is_text(rest.peek()) => {}
            TokenKind::Word | TokenKind::QuotedIdent => {
                out.push(Item::Name(ident_value(text, dialect)));
            }
            TokenKind::Str => out.push(Item::Text(string_value(text))),
            TokenKind::Number => out.push(match text.parse() {
                Ok(number) => Item::Number(number),
                Err(_) => Item::Other(text.to_owned()),
            }),
            TokenKind::LParen => out.push(Item::Open),
            TokenKind::RParen => out.push(Item::Close),
            _ => out.push(Item::Other(text.to_owned())),
        }
        let len = out.len();
        if let (Some(Item::Number(number)), true) = (out.last().cloned(), len >= 2)
            && out.get(len - 2) == Some(&Item::Other("-".to_owned()))
            && !matches!(
                len.checked_sub(3).and_then(|at| out.get(at)),
                Some(Item::Name(_) | Item::Number(_) | Item::Close)
            )
        {
            out.truncate(len - 2);
            out.push(Item::Number(-number));
        }
    }
    out
}

fn is_text(token: Option<&&Token>) -> bool {
    token.is_some_and(|token| token.kind == TokenKind::Str)
}

fn is_number_type(word: &str) -> bool {
    matches!(word, "smallint" | "integer" | "bigint" | "numeric" | "real" | "double")
}

/// Whether a token goes on with the type behind `::`. A length in parentheses stays: it is
/// read as a value in parentheses that nobody asked for, so the CHECK is not understood.
fn is_of_type(token: &Token, sql: &str) -> bool {
    const ENDS: [&str; 9] = ["and", "or", "is", "in", "not", "between", "like", "ilike", "collate"];
    match token.kind {
        TokenKind::Word => !ENDS.contains(&token.text(sql).to_lowercase().as_str()),
        TokenKind::QuotedIdent | TokenKind::Dot => true,
        TokenKind::Op => matches!(token.text(sql), "[]" | "["),
        _ => false,
    }
}

/// A literal's text: its quotes gone, doubled ones folded.
fn string_value(text: &str) -> String {
    let Some(open) = text.find(['\'', '"']) else { return text.to_owned() };
    let quote = if text.as_bytes().get(open) == Some(&b'"') { "\"" } else { "'" };
    let inner = text.get(open + 1..).unwrap_or_default();
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    inner.replace(&quote.repeat(2), quote)
}

/// Reads items from left to right; what it does not know becomes [`Node::Unknown`].
struct Reader {
    items: Vec<Item>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Item> {
        self.items.get(self.at)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Item::Name(name)) if name.eq_ignore_ascii_case(word))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn takes(&mut self, item: &Item) -> bool {
        let found = self.peek() == Some(item);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self, depth: usize) -> Node {
        let mut parts = vec![self.both(depth)];
        while self.takes_word("or") {
            parts.push(self.both(depth));
        }
        one_or(parts, Node::Or)
    }

    fn both(&mut self, depth: usize) -> Node {
        let mut parts = vec![self.part(depth)];
        while self.takes_word("and") {
            parts.push(self.part(depth));
        }
        one_or(parts, Node::And)
    }

    fn part(&mut self, depth: usize) -> Node {
        let begin = self.at;
        if let Some(node) = self.predicate(depth)
            && self.is_at_end_of_part()
        {
            return node;
        }
        self.at = begin;
        if depth > 0 && self.takes(&Item::Open) {
            let node = self.either(depth - 1);
            if self.takes(&Item::Close) && self.is_at_end_of_part() {
                return node;
            }
        }
        self.at = begin;
        self.skip();
        Node::Unknown
    }

    fn is_at_end_of_part(&self) -> bool {
        self.peek().is_none_or(|item| *item == Item::Close)
            || self.is_word("and")
            || self.is_word("or")
    }

    /// To the end of what is not understood.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(item) = self.peek() {
            match item {
                Item::Open => depth += 1,
                Item::Close if depth == 0 => return,
                Item::Close => depth -= 1,
                _ if depth == 0 && (self.is_word("and") || self.is_word("or")) => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn predicate(&mut self, depth: usize) -> Option<Node> {
        if self.is_word("json_valid") {
            self.at += 1;
            let Side::Column(name) = self.side(depth)? else { return None };
            return Some(Node::Json(name));
        }
        let left = self.side(depth)?;
        if self.takes_word("is") {
            let not = self.takes_word("not");
            let Side::Column(name) = left else { return None };
            let null = self.takes_word("null");
            return null.then_some(if not { Node::NotNull(name) } else { Node::Null(name) });
        }
        if self.takes_word("between") {
            let low = self.side(depth)?;
            self.takes_word("and").then_some(())?;
            let high = self.side(depth)?;
            return Some(Node::And(vec![
                Node::Compare(left.clone(), Compare::MoreOrSame, low),
                Node::Compare(left, Compare::LessOrSame, high),
            ]));
        }
        if self.takes_word("in") {
            let Side::Column(name) = left else { return None };
            return Some(Node::In(name, self.values()?));
        }
        let Some(Item::Other(operator)) = self.peek() else { return None };
        let compare = Compare::of(operator)?;
        self.at += 1;
        if compare == Compare::Same && self.takes_word("any") {
            let Side::Column(name) = left else { return None };
            return Some(Node::In(name, self.values()?));
        }
        Some(Node::Compare(left, compare, self.side(depth)?))
    }

    /// Every value in the parentheses that follow.
    fn values(&mut self) -> Option<Vec<String>> {
        self.takes(&Item::Open).then_some(())?;
        let mut depth = 1_usize;
        let mut out = Vec::new();
        while depth > 0 {
            let item = self.peek()?.clone();
            self.at += 1;
            match &item {
                Item::Open => depth += 1,
                Item::Close => depth -= 1,
                Item::Text(_) | Item::Number(_) => out.extend(printed(&item)),
                Item::Name(name) if name.eq_ignore_ascii_case("array") => {}
                Item::Other(text) if matches!(text.as_str(), "," | "[" | "]") => {}
                _ => return None,
            }
        }
        (!out.is_empty()).then_some(out)
    }

    fn side(&mut self, depth: usize) -> Option<Side> {
        if depth > 0 && self.takes(&Item::Open) {
            let side = self.side(depth - 1)?;
            return self.takes(&Item::Close).then_some(side);
        }
        let item = self.peek()?.clone();
        self.at += 1;
        match item {
            Item::Name(name) if self.peek() == Some(&Item::Open) => {
                let lengths = ["length", "char_length", "character_length", "octet_length"];
                let is_length = lengths.contains(&name.to_lowercase().as_str());
                match self.side(depth.checked_sub(1)?)? {
                    Side::Column(column) if is_length => Some(Side::Length(column)),
                    _ => None,
                }
            }
            Item::Name(name) => Some(Side::Column(name)),
            value @ (Item::Text(_) | Item::Number(_)) => Some(Side::Value(value)),
            _ => None,
        }
    }
}

fn one_or(mut parts: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match parts.len() {
        1 => parts.pop().unwrap_or(Node::Unknown),
        _ => many(parts),
    }
}
