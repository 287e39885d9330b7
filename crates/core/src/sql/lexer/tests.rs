use proptest::prelude::*;

use super::TokenKind as K;
use super::*;

/// The code tokens as `kind:text`, one after the other.
fn shown(sql: &str, dialect: Dialect) -> String {
    let code = lex(sql, dialect).into_iter().filter(|t| t.kind != K::Whitespace);
    code.map(|t| format!("{:?}:{}", t.kind, t.text(sql))).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(dialect: Dialect, sql: &str, want: &str) {
    assert_eq!(shown(sql, dialect), want, "tokens of {sql:?}");
}

use Dialect::{Mysql, Postgres, Sqlite};

#[test]
fn common_tokens() {
    for dialect in Dialect::ALL {
        check(
            dialect,
            "a.b, (1.5e-3);",
            "Word:a Dot:. Word:b Comma:, LParen:( Number:1.5e-3 RParen:) Semicolon:;",
        );
        check(dialect, "'it''s'", "Str:'it''s'");
        check(dialect, "x'00fF'", "Str:x'00fF'");
        check(dialect, "0xFF .5", "Number:0xFF Number:.5");
        check(dialect, "a>=-1", "Word:a Op:>=- Number:1");
        check(dialect, "/* a ' ; */ -- '\n1", "BlockComment:/* a ' ; */ LineComment:-- ' Number:1");
        check(dialect, "größe 😀", "Word:größe Word:😀");
        check(dialect, "'open", "Unterminated:'open");
        check(dialect, ":run_id=:b", "Param::run_id Op:= Param::b");
        check(dialect, "", "");
        check(dialect, "\0", "Op:\0");
    }
}

#[test]
fn postgres_tokens() {
    check(Postgres, "/* a /* b */ c */1", "BlockComment:/* a /* b */ c */ Number:1");
    check(Postgres, "/* a /* b */ c", "Unterminated:/* a /* b */ c");
    check(Postgres, "'a\\' 1", "Str:'a\\' Number:1");
    check(Postgres, "E'a\\' 1' 2", "Str:E'a\\' 1' Number:2");
    check(Postgres, "E'a'\n -- c\n 'b\\'c' 2", "Str:E'a'\n -- c\n 'b\\'c' Number:2");
    check(Postgres, "E'a' 'b'", "Str:E'a' Str:'b'");
    check(Postgres, "U&'d\\0061' u&\"x\"", "Str:U&'d\\0061' QuotedIdent:u&\"x\"");
    check(Postgres, "$$a;$b$;$$ 1", "Str:$$a;$b$;$$ Number:1");
    check(Postgres, "$o$ $i$ ; $i$ $o$", "Str:$o$ $i$ ; $i$ $o$");
    check(Postgres, "a$b$c $1 $1$$x$$", "Word:a$b$c Param:$1 Param:$1 Str:$$x$$");
    check(Postgres, "$ $1a$ $é$x$é$", "Op:$ Param:$1 Word:a$ Str:$é$x$é$");
    check(Postgres, "$a$ b", "Unterminated:$a$ b");
    check(Postgres, "a::int[1:n]", "Word:a Op::: Word:int Op:[ Number:1 Op:: Word:n Op:]");
    check(Postgres, "a @> b #>> c ? d", "Word:a Op:@> Word:b Op:#>> Word:c Op:? Word:d");
    check(
        Postgres,
        "a*--b\n2 -/*c*/3",
        "Word:a Op:* LineComment:--b Number:2 Op:- BlockComment:/*c*/ Number:3",
    );
    check(Postgres, "-- a\r1", "LineComment:-- a Number:1");
    check(Postgres, "1..10 1_000", "Number:1 Dot:. Dot:. Number:10 Number:1_000");
}

#[test]
fn mysql_tokens() {
    check(Mysql, "1 # ;'\n2", "Number:1 LineComment:# ;' Number:2");
    check(Mysql, "5--3 -- c", "Number:5 Op:-- Number:3 LineComment:-- c");
    check(Mysql, "--c\n1", "LineComment:--c Number:1");
    check(Mysql, "1;--c\n2 --", "Number:1 Semicolon:; LineComment:--c Number:2 LineComment:--");
    check(Mysql, "'a\\'b' \"a\\\"b\" `a\\`", "Str:'a\\'b' Str:\"a\\\"b\" QuotedIdent:`a\\`");
    check(Mysql, "N'a\\'b' _utf8'x'", "Str:N'a\\'b' Word:_utf8 Str:'x'");
    check(Mysql, "/* /* */ 1", "BlockComment:/* /* */ Number:1");
    check(
        Mysql,
        "/*!40101 SET a=2*/; /*M! x */ 2*3",
        "ExecutableCommentMark:/*!40101 Word:SET Word:a Op:= Number:2 ExecutableCommentMark:*/ \
         Semicolon:; ExecutableCommentMark:/*M! Word:x ExecutableCommentMark:*/ Number:2 Op:* Number:3",
    );
    check(Mysql, "/*+ hint */ 2", "BlockComment:/*+ hint */ Number:2");
    check(Mysql, "@a:=@@global.x", "Param:@a Op::= Param:@@global.x");
    check(Mysql, "'u'@'h' root@localhost", "Str:'u' Op:@ Str:'h' Word:root Param:@localhost");
    check(Mysql, "l1:LOOP l2: LOOP", "Word:l1 Op:: Word:LOOP Word:l2 Op:: Word:LOOP");
    check(Mysql, "1a 1e5 $x", "Word:1a Number:1e5 Word:$x");
    check(Mysql, "/* open", "Unterminated:/* open");
}

#[test]
fn sqlite_tokens() {
    check(Sqlite, "[a;b] `a;b` \"a;b\"", "QuotedIdent:[a;b] QuotedIdent:`a;b` QuotedIdent:\"a;b\"");
    check(
        Sqlite,
        "?1 ? :a @a $a $a::b(c)",
        "Param:?1 Param:? Param::a Param:@a Param:$a Param:$a::b(c)",
    );
    check(Sqlite, "'a\\' 1", "Str:'a\\' Number:1");
    check(Sqlite, "/* /* */ 1 /* open", "BlockComment:/* /* */ Number:1 BlockComment:/* open");
    check(Sqlite, "a->>'$.x' || b", "Word:a Op:->> Str:'$.x' Op:|| Word:b");
    check(Sqlite, "# c\n1\n#2", "LineComment:# c Number:1 Op:# Number:2");
    check(Sqlite, "\u{feff}1", "Number:1");
    check(Sqlite, "[open", "Unterminated:[open");
    check(Sqlite, "--a\rb\n1", "LineComment:--a\rb Number:1");
}

#[test]
fn names() {
    assert_eq!(ident_value("MyTable", Postgres), "mytable");
    assert_eq!(ident_value("MyTable", Sqlite), "MyTable");
    assert_eq!(ident_value("\"a\"\"B\"", Postgres), "a\"B");
    assert_eq!(ident_value("`a``b`", Mysql), "a`b");
    assert_eq!(ident_value("[a b]", Sqlite), "a b");
    assert_eq!(ident_value("U&\"d\\0061t\\+000061 \\\\ \\zz\"", Postgres), "data \\ \\zz");
    assert_eq!(ident_value("", Postgres), "");
    assert_eq!(ident_value("\"", Sqlite), "");
}

#[test]
fn words_are_compared_without_case() {
    let token = &lex("Create", Sqlite)[0];
    assert!(token.is_word("Create", "CREATE"));
    assert!(!token.is_word("Create", "CREAT"));
    assert!(!lex("\"create\"", Sqlite)[0].is_word("\"create\"", "create"));
}

/// Text in which quotes, comments and brackets are frequent.
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
        "$1",
        "E'",
        "U&\"",
        "\\",
        ";",
        "(",
        ")",
        ".",
        ":",
        "@",
        "?",
        "0x",
        "1e",
        "1.",
        "é",
        "😀",
        "\u{feff}",
        "\0",
        "\n",
        "\r",
        " ",
        "BEGIN",
        "END",
        "CASE",
        "x",
        "-",
        "*",
        "/",
    ]);
    prop_oneof![
        3 => prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn spans_tile_any_text(sql in sql_text()) {
        for dialect in Dialect::ALL {
            let mut end = 0;
            for token in lex(&sql, dialect) {
                prop_assert_eq!(token.span.start, end);
                prop_assert!(token.span.end > end);
                prop_assert!(sql.get(token.span.clone()).is_some());
                end = token.span.end;
            }
            prop_assert_eq!(end, sql.len());
        }
    }
}
