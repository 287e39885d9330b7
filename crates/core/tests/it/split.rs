//! The corpus of files, each cut into the statements that the database's client would send.

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::split::{position, split};
use whimbrel_testkit::corpus::{Case, Expected, Piece, split_cases};

/// What the corpus must hold at least.
const CASES_MIN: usize = 300;

fn dialect(case: &Case) -> Dialect {
    let named = Dialect::ALL.into_iter().find(|dialect| dialect.name() == case.dialect);
    named.unwrap_or_else(|| panic!("`{}` is no dialect", case.dialect))
}

/// The result in the corpus' own terms.
fn cut(case: &Case) -> Expected {
    match split(&case.sql, dialect(case)) {
        Ok(statements) => {
            let piece = |s: &whimbrel_core::sql::split::Statement| Piece {
                text: s.text(&case.sql).to_owned(),
                copy_data: s.copy_data.clone().map(|rows| case.sql[rows].to_owned()),
            };
            Expected::Statements(statements.iter().map(piece).collect())
        }
        Err(error) => Expected::Error {
            line: error.line,
            column: error.column,
            message: error.kind.to_string(),
        },
    }
}

#[test]
fn every_case_is_cut_as_expected() {
    let cases = split_cases().unwrap();
    let mut failures = Vec::new();
    for case in &cases {
        let got = cut(case);
        if got != case.expected {
            failures.push(format!("{}\n  want {:?}\n  got  {got:?}", case.name, case.expected));
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(cases.len() >= CASES_MIN, "The corpus has only {} cases", cases.len());
}

#[test]
fn case_names_are_unique() {
    let mut names: Vec<_> = split_cases().unwrap().into_iter().map(|case| case.name).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn line_breaks_of_windows_change_nothing_but_themselves() {
    for case in split_cases().unwrap() {
        let Expected::Statements(pieces) = &case.expected else { continue };
        if case.sql.contains('\r') {
            continue;
        }
        let sql = case.sql.replace('\n', "\r\n");
        let got = split(&sql, dialect(&case)).unwrap();
        let got: Vec<_> = got.iter().map(|s| s.text(&sql).replace("\r\n", "\n")).collect();
        let want: Vec<_> = pieces.iter().map(|piece| piece.text.clone()).collect();
        assert_eq!(got, want, "{}", case.name);
    }
}

#[test]
fn pieces_lie_in_order_and_know_their_place() {
    for case in split_cases().unwrap() {
        let mut end = 0;
        for statement in split(&case.sql, dialect(&case)).unwrap_or_default() {
            assert!(statement.lead.start >= end, "{}", case.name);
            assert_eq!(statement.lead.end, statement.span.start, "{}", case.name);
            let place = position(&case.sql, statement.span.start);
            assert_eq!((statement.line, statement.column), place, "{}", case.name);
            end = statement.copy_data.map_or(statement.span.end, |rows| rows.end);
        }
    }
}
