//! Expressions compared loosely: the catalog prints them in its own way.

use std::collections::BTreeSet;

use crate::sql::dialect::Dialect;
use crate::sql::lexer::{Token, TokenKind, ident_value, lex};

/// Words that servers add, drop or write otherwise.
const NOISE: &[&str] = &[
    "in",
    "any",
    "all",
    "array",
    "and",
    "or",
    "not",
    "is",
    "null",
    "between",
    "like",
    "ilike",
    "true",
    "false",
    "cast",
    "as",
    "symmetric",
    "some",
    "similar",
    "to",
    "escape",
    "regexp",
    "rlike",
    "glob",
    "isnull",
    "notnull",
    "collate",
    "binary",
    "utf8mb4",
    "_utf8mb4",
    "_utf8",
    "_latin1",
];

/// The second and third words of types with several.
const TYPE_TAILS: &[&str] =
    &["varying", "precision", "with", "without", "time", "zone", "unsigned"];

/// The names and values in an expression; casts, operators and parentheses do not count.
pub(super) fn essence(expr: &str, dialect: Dialect) -> BTreeSet<String> {
    let tokens: Vec<Token> = lex(expr, dialect).into_iter().filter(|t| !t.is_trivia()).collect();
    let mut found = BTreeSet::new();
    let mut in_cast = false;
    for token in &tokens {
        let text = token.text(expr);
        match token.kind {
            TokenKind::Op => in_cast = text.starts_with("::"),
            TokenKind::Dot | TokenKind::LParen | TokenKind::RParen if in_cast => {}
            TokenKind::Number if in_cast => {}
            TokenKind::Word | TokenKind::QuotedIdent => {
                let word = ident_value(text, dialect).to_lowercase();
                if in_cast && !TYPE_TAILS.contains(&word.as_str()) {
                    // The type itself, once; a keyword behind it ends the cast.
                    in_cast = !NOISE.contains(&word.as_str());
                } else if !in_cast && !NOISE.contains(&word.as_str()) {
                    found.insert(word);
                }
            }
            TokenKind::Str | TokenKind::Number => {
                in_cast = false;
                found.insert(text.to_owned());
            }
            _ => in_cast = false,
        }
    }
    found
}

/// Whether an expression mentions a column.
pub(super) fn mentions(expr: &str, column: &str, dialect: Dialect) -> bool {
    lex(expr, dialect).iter().any(|token| {
        matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent)
            && ident_value(token.text(expr), dialect).eq_ignore_ascii_case(column)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalog_spellings_are_the_same_in_essence() {
        let same = [
            ("status IN ('a', 'b')", "((status = ANY (ARRAY['a'::text, 'b'::text])))"),
            ("total >= 0", "(total >= (0)::numeric)"),
            ("age BETWEEN 1 AND 120", "((age >= 1) AND (age <= 120))"),
            ("name <> ''", "((name)::text <> ''::text)"),
            ("kind = 'x' OR b > 1", "(((kind)::character varying = 'x'::text) OR (b > 1))"),
            ("a IS NOT NULL AND b", "((a IS NOT NULL) AND b)"),
        ];
        for (declared, catalog) in same {
            let essence = |text| essence(text, Dialect::Postgres);
            assert_eq!(essence(declared), essence(catalog), "{declared} / {catalog}");
        }
    }

    #[test]
    fn other_values_are_not_the_same() {
        let essence = |text| essence(text, Dialect::Sqlite);
        assert_ne!(essence("a > 1"), essence("a > 2"));
        assert_ne!(essence("a IN ('x')"), essence("b IN ('x')"));
    }
}
