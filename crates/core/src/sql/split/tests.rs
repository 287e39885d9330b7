use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn positions_count_characters_from_one() {
    let sql = "é😀\nab\r\nc";
    assert_eq!(position(sql, 0), (1, 1));
    assert_eq!(position(sql, 1), (1, 1), "inside a character");
    assert_eq!(position(sql, 2), (1, 2));
    assert_eq!(position(sql, 6), (1, 3));
    assert_eq!(position(sql, 7), (2, 1));
    assert_eq!(position(sql, 11), (3, 1));
    assert_eq!(position(sql, 12), (3, 2));
    assert_eq!(position(sql, 99), (3, 2));
    assert_eq!(position("", 0), (1, 1));
}

#[test]
fn a_statement_knows_its_place_and_what_leads_it() {
    let sql = "-- a\n SELECT 1; /* b */\nSELECT 2 ;;\n-- whimbrel: x\n;SELECT 3";
    let statements = split(sql, Dialect::Sqlite).unwrap();
    let places: Vec<_> = statements.iter().map(|s| (s.line, s.column)).collect();
    assert_eq!(places, [(2, 2), (3, 1), (5, 2)]);
    let leads: Vec<_> = statements.iter().map(|s| &sql[s.lead.clone()]).collect();
    assert_eq!(leads, ["-- a\n ", " /* b */\n", ";\n-- whimbrel: x\n;"]);
    assert_eq!(statements[1].text(sql), "SELECT 2");
}

#[test]
fn a_directive_before_the_delimiter_line_leads_the_routine() {
    let sql = "-- whimbrel: x\nDELIMITER //\n-- y\nCREATE PROCEDURE p() BEGIN END//\nDELIMITER ;\n";
    let statements = split(sql, Dialect::Mysql).unwrap();
    assert_eq!(statements.len(), 1);
    assert_eq!(&sql[statements[0].lead.clone()], "-- whimbrel: x\nDELIMITER //\n-- y\n");
}

#[test]
fn errors_say_where_and_what_to_do() {
    let error = split("SELECT 1;\n  \\i x.sql", Dialect::Postgres).unwrap_err();
    let text = "`\\i` is a command of the database's client, not SQL (line 2, column 3)";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.offset, 12);
    assert!(error.kind.hint().starts_with("Put what the command does"));
}

/// Pieces that open, close or end something.
fn sql_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'",
        "\"",
        "`",
        "[",
        "]",
        "--",
        "/*",
        "*/",
        "/*!50003 ",
        "#",
        "$$",
        "$a$",
        "E'",
        "\\",
        ";",
        ";;",
        "(",
        ")",
        ".",
        ":",
        "@",
        "é",
        "\u{feff}",
        "\n",
        "\r",
        " ",
        "BEGIN ",
        "END ",
        "CASE ",
        "IF ",
        "THEN ",
        "ELSE ",
        "LOOP ",
        "REPEAT ",
        "UNTIL ",
        "WHILE ",
        "DO ",
        "FOR ",
        "ATOMIC ",
        "NOT ",
        "CREATE ",
        "TRIGGER ",
        "FUNCTION ",
        "PROCEDURE ",
        "EVENT ",
        "p ",
        "DECLARE ",
        "HANDLER ",
        "AS ",
        "COPY t FROM STDIN",
        "\\.\n",
        "DELIMITER ",
        "//",
        "USE ",
        "source ",
        "EXPLAIN ",
        "XA ",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_text_is_cut_or_refused(sql in sql_text()) {
        for dialect in Dialect::ALL {
            match split(&sql, dialect) {
                Ok(statements) => {
                    let mut end = 0;
                    for statement in &statements {
                        prop_assert!(statement.lead.start >= end);
                        prop_assert!(sql.get(statement.lead.clone()).is_some());
                        prop_assert!(!statement.text(&sql).is_empty());
                        let text = statement.text(&sql);
                        prop_assert_eq!(text.trim_matches([' ', '\n']), text);
                        end = statement.copy_data.as_ref().map_or(statement.span.end, |r| r.end);
                        prop_assert!(end <= sql.len());
                    }
                }
                Err(error) => {
                    prop_assert!(error.offset <= sql.len());
                    prop_assert_eq!((error.line, error.column), position(&sql, error.offset));
                }
            }
        }
    }

    #[test]
    fn a_statement_alone_is_one_statement(sql in sql_text()) {
        // Under another delimiter a statement may hold what would end it elsewhere.
        let sql = sql.replace("DELIMITER", "");
        for dialect in Dialect::ALL {
            for statement in split(&sql, dialect).unwrap_or_default() {
                let text = statement.text(&sql);
                // At the start of a line `#` is a comment of the shell and `USE` ends with it.
                let line_start = text.starts_with('#') || text.starts_with("USE");
                if statement.copy_data.is_none() && !line_start {
                    let again = split(text, dialect).map(|s| s.len());
                    prop_assert!(matches!(again, Ok(1) | Err(_)), "{:?} is {:?}", text, again);
                }
            }
        }
    }
}

/// What costs a careless reader quadratic time; each must end at once.
#[test]
fn time_is_linear() {
    let heads = ["", "DELIMITER $$\n", "DELIMITER //\n", "CREATE FUNCTION f() BEGIN ATOMIC "];
    let units = [
        "'",
        "E'a' ",
        "E'a'\n",
        "/*",
        "/*!1 ",
        "--",
        "-- \n",
        "$a",
        "$a(",
        "$a$",
        "$1",
        "a$$",
        "a//",
        "-/",
        "(",
        ")",
        "[",
        "[]",
        ";",
        "SELECT 1;",
        "USE a;",
        "use a\n",
        "DELIMITER ",
        "BEGIN ",
        "CASE ",
        "IF ",
        "BEGIN;",
        "END;",
        ":a",
        "1.",
        "1e",
        "@",
        "\u{feff}",
        "é",
        " ",
        "\n",
        "\\N",
        "*/",
        "COPY t FROM STDIN;\n\\.\n",
        "CREATE TRIGGER ",
        "x DELIMITER\n",
    ];
    for head in heads {
        for unit in units {
            let sql = format!("{head}{}", unit.repeat((1 << 15) / unit.len()));
            for dialect in Dialect::ALL {
                let start = Instant::now();
                let _ = split(&sql, dialect);
                let took = start.elapsed();
                assert!(took < Duration::from_secs(1), "{dialect:?} {head:?} {unit:?} {took:?}");
            }
        }
    }
}

#[test]
fn many_statements_and_deep_nesting() {
    let sql = "SELECT 1;\n".repeat(100_000);
    let statements = split(&sql, Dialect::Postgres).unwrap();
    assert_eq!(statements.len(), 100_000);
    assert_eq!(statements[99_999].line, 100_000);

    let depth = 10_000;
    let nested = format!("SELECT {}1{};", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(split(&nested, Dialect::Postgres).unwrap().len(), 1);
    let nested = format!("SELECT 1 {}x{};", "/*".repeat(depth), "*/".repeat(depth));
    assert_eq!(split(&nested, Dialect::Postgres).unwrap().len(), 1);
    let nested = format!(
        "CREATE PROCEDURE p() {}{} SELECT 1;",
        "BEGIN ".repeat(depth),
        "END; ".repeat(depth)
    );
    assert_eq!(split(&nested, Dialect::Mysql).unwrap().len(), 2);

    let long = format!("INSERT INTO t VALUES ('{}');", "x;".repeat(500_000));
    for dialect in Dialect::ALL {
        assert_eq!(split(&long, dialect).unwrap().len(), 1);
    }
}
