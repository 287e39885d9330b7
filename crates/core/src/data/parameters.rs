//! The parameters that stand for one value in all batches of a run.

use std::ops::Range;

use crate::sql::dialect::Dialect;
use crate::sql::lexer::{TokenKind, lex};

/// The parameters that a data statement may have, without their colon.
pub const PARAMETERS: [&str; 3] = ["run_started_at", "run_id", "batch_no"];

/// The statement with literals in place of its parameters; other parameters stay.
///
/// A name in a string or a comment, a cast (`::run_id`) and an array's slice are none.
pub fn with_parameters(sql: &str, dialect: Dialect, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut copied = 0;
    for (span, name) in parameters(sql, dialect) {
        let Some((_, literal)) = values.iter().find(|(known, _)| *known == name) else { continue };
        out.push_str(sql.get(copied..span.start).unwrap_or(""));
        // What follows a comparison must not become part of it.
        out.push_str(literal);
        copied = span.end;
    }
    out.push_str(sql.get(copied..).unwrap_or(""));
    out
}

/// The places of our own parameters, and which one each is.
pub(super) fn parameters(sql: &str, dialect: Dialect) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    for token in lex(sql, dialect) {
        let name = token.text(sql).strip_prefix(':');
        let own = PARAMETERS.into_iter().find(|own| Some(*own) == name);
        if let (TokenKind::Param, Some(own)) = (token.kind, own) {
            found.push((token.span, own));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(sql: &str, dialect: Dialect) -> String {
        with_parameters(sql, dialect, &[("run_id", "'r'"), ("batch_no", "7")])
    }

    #[test]
    fn only_parameters_are_replaced() {
        for dialect in Dialect::ALL {
            assert_eq!(
                replaced("SELECT :run_id, ':run_id' /* :run_id */, x+:batch_no", dialect),
                "SELECT 'r', ':run_id' /* :run_id */, x+7"
            );
            assert_eq!(replaced("SELECT :run_ids, :other", dialect), "SELECT :run_ids, :other");
        }
        let postgres = "SELECT x::run_id, a[1:batch_no], $$:run_id$$";
        assert_eq!(replaced(postgres, Dialect::Postgres), postgres);
    }
}
