//! Whether a data statement can run in batches along a key, and its text with a key range put in.
//!
//! The parser's tree gives the meaning, our own lexer the places in the author's text, which is
//! never printed anew. What is not certain is refused, with a stable reason.

mod aggregates;
mod between;
mod builtins;
mod change;
mod change_key;
mod cuts;
mod expressions;
mod freeze;
mod freeze_table;
mod freeze_values;
mod functions;
mod insert;
mod insert_driver;
mod insert_guard;
mod insert_shape;
mod keep;
mod key;
mod literal;
mod matches;
mod mentions;
mod names;
mod own_row;
mod pair;
mod parameters;
mod parse;
mod proof;
mod range;
mod reach;
mod refusal;
mod rewrite;
mod rules;
mod same;
mod scope;
mod side;
mod text;
mod trigger_text;
mod walk;
mod walk_expr;
mod walk_from;
mod walk_keep;
mod walk_order;
mod walk_outputs;
mod walk_rank;
mod writes;

use std::collections::BTreeMap;

use sqlparser::ast::Statement;

pub use between::{Between, analyse_between};
pub use freeze::{FROZEN_ROW, Frozen, freeze};
pub use freeze_table::FROZEN_TEMPORARY;
pub use functions::{FunctionFacts, Volatility};
pub use key::{row_key, stamped_columns, table_key};
pub use literal::key_literal;
pub use mentions::{Mentions, mentions};
pub use parameters::{PARAMETERS, with_parameters};
pub use range::{after_predicate, range_predicate};
pub use refusal::{Allow, Lifted, Note, Refusal, RefusalCode};
pub use rewrite::{Batchable, Conflict, DataKind, KeyColumn};
pub use same::same_value;
pub use writes::{Writes, writes};

use crate::snapshot::Snapshot;
use crate::sql::dialect::Dialect;

/// What the database holds.
#[derive(Clone, Copy)]
pub struct Catalog<'a> {
    /// Its SQL.
    pub dialect: Dialect,
    /// All of its tables, views and triggers: what foreign keys and triggers change is followed.
    pub snapshot: &'a Snapshot,
    /// Functions by lower-case name; a built-in list is used where one is not in it.
    pub functions: &'a BTreeMap<String, FunctionFacts>,
}

/// What the author says about a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchOptions {
    /// The key to go along: `c.id`, `c.a,c.b`.
    pub by: Option<String>,
    /// Reading the target cannot change the result.
    pub self_read_stable: bool,
    /// Reasons that are harmless here.
    pub allow: Vec<Allow>,
    /// The rows and values are computed into a work table first: [`freeze`].
    pub materialize: bool,
}

/// Whether the statement can run in batches, and along which key.
///
/// # Errors
///
/// The reason why it cannot.
pub fn analyse(
    statement: &str,
    catalog: &Catalog<'_>,
    options: &BatchOptions,
) -> Result<Batchable, Refusal> {
    let parsed = parse::parse(statement, catalog.dialect)?;
    let (with, inner) = parsed.inner();
    let batchable = match inner {
        Statement::Update(update) => change::update(&parsed, update, with, catalog, options),
        Statement::Delete(delete) => change::delete(&parsed, delete, with, catalog, options),
        Statement::Insert(insert) => insert::insert(&parsed, insert, with, catalog, options),
        _ => {
            let message = "Only UPDATE, DELETE and INSERT .. SELECT run in batches";
            Err(Refusal::new(RefusalCode::NotParsed, parsed.text.span(), message))
        }
    }?;
    proof::check(&batchable, &parsed)?;
    Ok(batchable)
}
