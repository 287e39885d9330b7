//! Reading SQL text: tokens, statements and what a statement does.

pub mod dialect;
pub mod lexer;
pub mod quote;
pub mod split;
pub mod statement;
