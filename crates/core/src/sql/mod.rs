//! Reading SQL text: tokens, statements and what a statement does.

pub mod dialect;
pub mod lexer;
pub mod split;
pub mod quote;
pub mod statement;
