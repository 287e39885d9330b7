use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A comment and what it says: `-` for an ordinary one.
fn said(comment: &str) -> String {
    match parse_comment(comment, 7) {
        None => "-".to_owned(),
        Some(Err(error)) => {
            assert_eq!(error.line, 7);
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("error: {}{hint}", error.message)
        }
        Some(Ok(directive)) => {
            let verb = directive.verb.map(|verb| format!("{verb:?} ")).unwrap_or_default();
            let settings = directive.settings.iter();
            let settings: Vec<_> =
                settings.map(|s| format!("{}={}", s.key.name(), s.value)).collect();
            format!("{verb}{}", settings.join(" "))
        }
    }
}

#[test]
fn comments_are_read() {
    for (comment, want) in [
        ("-- an ordinary comment", "-"),
        ("-- whimbrels fly far", "-"),
        ("-- whimbrel makes this table", "-"),
        ("--", "-"),
        ("/* whimbrel */", "-"),
        ("-- whimbrel: keep=off", "keep=off"),
        ("--whimbrel:keep=off", "keep=off"),
        ("--   whimbrel:   keep=off   verify=off  ", "keep=off verify=off"),
        ("-- whimbrel: keep=off\r", "keep=off"),
        (
            "-- whimbrel: purpose=\"say \\\"hi\\\" \\\\ é\" keep=on",
            "purpose=say \"hi\" \\ é keep=on",
        ),
        ("-- whimbrel: purpose=\"\"", "purpose="),
        ("-- whimbrel: requires=account:0007", "requires=account:0007"),
        ("-- whimbrel: down", "Down "),
        ("-- whimbrel: verify", "Verify "),
        ("-- whimbrel: verify=off", "verify=off"),
        ("-- whimbrel:", "error: A directive that says nothing"),
        (
            "-- whimbrel: transacton=never",
            "error: Unknown key `transacton` in a directive (Did you mean `transaction`?)",
        ),
        (
            "-- whimbrel: lock_timeout=5s",
            "error: Unknown key `lock_timeout` in a directive (Did you mean `lock-timeout`?)",
        ),
        (
            "-- whimbrel: colour=red",
            "error: Unknown key `colour` in a directive (The keys are `transaction`, `keep`, \
             `lock-timeout`, `statement-timeout`, `purpose`, `requires`, `verify`, `by`, `size`, \
             `target-ms`, `on-error`, `errors-max`, `undo`, `pause-ms`, `self-read`, `allow`, \
             `skips`, `until`, `materialize`, \
             `source`, `parallel`)",
        ),
        (
            "-- whimbrel: Keep=off",
            "error: Unknown key `Keep` in a directive (Did you mean `keep`?)",
        ),
        (
            "-- whimbrel: keep",
            "error: `keep` in a directive is neither a verb nor `key=value` (Did you mean `keep`?)",
        ),
        (
            "-- whimbrel: keep = off",
            "error: `keep` in a directive is neither a verb nor `key=value` (Write `keep=value`, \
             without spaces around `=`)",
        ),
        (
            "-- whimbrel: dwon",
            "error: `dwon` in a directive is neither a verb nor `key=value` (Did you mean `down`?)",
        ),
        (
            "-- whimbrel: keep=off down",
            "error: `down` in a directive is neither a verb nor `key=value` (Did you mean `down`?)",
        ),
        (
            "-- whimbrel: down keep=off",
            "error: A directive that begins a section takes no keys (Write the keys into a directive of their own)",
        ),
        ("-- whimbrel: keep=", "error: The value of `keep` is missing (It is on | off | force)"),
        ("-- whimbrel: keep=off keep=on", "error: The key `keep` stands twice in a directive"),
        (
            "-- whimbrel: purpose=\"open",
            "error: The value of `purpose` has no closing quotation mark (It is text in double quotes)",
        ),
        (
            "-- whimbrel: purpose=\"a\"b",
            "error: The value of `purpose` goes on after its closing quotation mark (It is text in double quotes)",
        ),
        (
            "-- whimbrel: purpose=\"a\\n\"",
            "error: The value of `purpose` has a `\\` before something else than `\"` or `\\` (It is text in double quotes)",
        ),
        (
            "-- whimbrel: purpose=it's",
            "error: The value of `purpose` holds a quotation mark: put the whole value into double quotes (It is text in double quotes)",
        ),
        (
            "-- Whimbrel: keep=off",
            "error: A directive is not written as it must be (Write `-- whimbrel: ...`)",
        ),
        (
            "-- whimbrel : keep=off",
            "error: A directive is not written as it must be (Write `-- whimbrel: ...`)",
        ),
        ("-- whimbrel keep=off", "error: A directive without its colon (Write `-- whimbrel: ...`)"),
        ("-- whimbrel down", "error: A directive without its colon (Write `-- whimbrel: ...`)"),
        (
            "-- wimbrel: keep=off",
            "error: A directive whose first word is misspelt (Write `-- whimbrel: ...`)",
        ),
        ("-- wimbrel: a bird", "-"),
        (
            "/* whimbrel: keep=off */",
            "error: A directive must stand in a `--` comment (Write `-- whimbrel: ...`)",
        ),
        (
            "# whimbrel: keep=off",
            "error: A directive must stand in a `--` comment (Write `-- whimbrel: ...`)",
        ),
    ] {
        assert_eq!(said(comment), want, "{comment}");
    }
}

fn options(comment: &str, scope: Scope) -> Result<Options, String> {
    let directive = parse_comment(comment, 1).unwrap().unwrap();
    let mut options = Options::default();
    options.apply(&directive, scope).map_err(|error| error.message)?;
    Ok(options)
}

#[test]
fn values_are_typed() {
    let file = options(
        "-- whimbrel: transaction=never keep=force lock-timeout=500ms statement-timeout=0 \
         purpose=\"why\" requires=account:0007,account:0008b verify=off",
        Scope::File,
    )
    .unwrap();
    assert_eq!(
        file,
        Options {
            transaction: Some(Transaction::Never),
            keep: Some(Keep::Force),
            lock_timeout: Some(Duration::from_millis(500)),
            statement_timeout: Some(Duration::ZERO),
            purpose: Some("why".into()),
            requires: Some(vec![
                Requirement::Account("0007".into()),
                Requirement::Account("0008b".into())
            ]),
            verify: Some(false),
            batch: BatchSettings::default(),
        }
    );
    let statement = options("-- whimbrel: keep=off", Scope::Statement).unwrap();
    assert_eq!(statement.or(&file).keep, Some(Keep::Off));
    assert_eq!(statement.or(&file).lock_timeout, file.lock_timeout);
    assert_eq!(Options::default().or(&file), file);
}

#[test]
fn wrong_values_and_places_are_refused() {
    for (comment, scope, want) in [
        ("keep=maybe", Scope::File, "`maybe` is no value of `keep`"),
        ("transaction=always", Scope::File, "`always` is no value of `transaction`"),
        ("lock-timeout=5", Scope::File, "`5` is no value of `lock-timeout`"),
        ("verify=true", Scope::File, "`true` is no value of `verify`"),
        ("requires=0007", Scope::File, "`0007` is no value of `requires`"),
        ("requires=account:", Scope::File, "`account:` is no value of `requires`"),
        (
            "transaction=never",
            Scope::Statement,
            "The key `transaction` must stand before the first statement",
        ),
    ] {
        let got = options(&format!("-- whimbrel: {comment}"), scope);
        assert_eq!(got, Err(want.to_owned()), "{comment}");
    }
    let mut twice = options("-- whimbrel: keep=off", Scope::File).unwrap();
    let again = parse_comment("-- whimbrel: keep=on", 9).unwrap().unwrap();
    let error = twice.apply(&again, Scope::File).unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (9, "The key `keep` is set twice"));
}

#[test]
fn the_reference_names_every_key_and_verb() {
    let page = reference();
    for row in KEYS {
        assert!(page.contains(&format!("| `{}` |", row.name)) && page.contains(row.docs));
    }
    assert!(VERBS.iter().all(|(_, name, _)| page.contains(&format!("`-- whimbrel: {name}`"))));
}

proptest! {
    #[test]
    fn any_comment_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = parse_comment(&text, 1);
        let _ = parse_comment(&format!("-- whimbrel: {text}"), 1);
        let _ = parse_comment(&format!("-- whimbrel: purpose=\"{text}"), 1);
    }

    #[test]
    fn a_quoted_value_arrives(value in "\\PC{0,30}") {
        let quoted = value.replace('\\', r"\\").replace('"', "\\\"");
        let directive = parse_comment(&format!("-- whimbrel: purpose=\"{quoted}\" keep=off"), 1);
        let directive = directive.unwrap().unwrap();
        prop_assert_eq!(&directive.settings[0].value, &value);
        prop_assert_eq!(directive.settings.len(), 2);
    }
}
