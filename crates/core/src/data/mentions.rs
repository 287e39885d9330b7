//! The names in a statement, so that the catalog can be asked for them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName as TreeName, TableFactor, Visit, Visitor};

use super::names;
use super::parse::parse;
use super::refusal::Refusal;
use crate::ddl::ObjectName;
use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, ident_value, lex};

/// What a statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Tables and views, in the order of their names; names of WITH tables may be among them.
    pub relations: Vec<ObjectName>,
    /// Functions in lower case, in the order of their names.
    pub functions: Vec<String>,
}

/// The names of all tables and views that the statement mentions, and of all functions it calls.
pub fn mentions(statement: &str, dialect: Dialect) -> Result<Mentions, Refusal> {
    let parsed = parse(statement, dialect)?;
    let mut found = Found { dialect, relations: BTreeSet::new(), functions: BTreeSet::new() };
    let _ = parsed.tree.visit(&mut found);
    Ok(Mentions {
        relations: found.relations.into_iter().collect(),
        functions: found.functions.into_iter().collect(),
    })
}

struct Found {
    dialect: Dialect,
    relations: BTreeSet<ObjectName>,
    functions: BTreeSet<String>,
}

impl Found {
    fn function(&mut self, name: &TreeName) {
        if let Some(name) = names::object(name, self.dialect) {
            self.functions.insert(name.name.to_ascii_lowercase());
        }
    }
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &TreeName) -> ControlFlow<()> {
        self.relations.extend(names::object(relation, self.dialect));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.function(name)
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.function(&function.name);
        }
        ControlFlow::Continue(())
    }
}

/// The words and quoted names of a text of SQL, in lower case.
pub(super) fn words(sql: &str, dialect: Dialect) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in lex(sql, dialect) {
        match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => {
                found.insert(ident_value(token.text(sql), dialect).to_lowercase());
            }
            // A function's body is a string.
            TokenKind::Str if dialect == Dialect::Postgres => {
                let between = |c: char| !(c.is_alphanumeric() || c == '_' || c == '$');
                found.extend(token.text(sql).split(between).map(str::to_lowercase));
            }
            _ => {}
        }
    }
    found
}
