//! The generated pages are those of the code, and real output is as they say.

use std::path::{Path, PathBuf};

use serde_json::Value;
use whimbrel_testkit::project::Project;
use whimbrel_testkit::run::Whimbrel;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `WHIMBREL_UPDATE=1 cargo test -p whimbrel --test it reference` writes the pages anew.
#[test]
fn the_pages_are_up_to_date() {
    let update = std::env::var_os("WHIMBREL_UPDATE").is_some_and(|value| value == "1");
    let mut old = Vec::new();
    for (path, text) in whimbrel::reference::reference_pages() {
        let file = root().join(&path);
        if std::fs::read_to_string(&file).is_ok_and(|page| page == text) {
            continue;
        }
        if update {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
        } else {
            old.push(path);
        }
    }
    assert!(old.is_empty(), "not up to date: {old:?}; run this test with WHIMBREL_UPDATE=1");
}

#[test]
fn every_exit_code_has_its_line() {
    let page = std::fs::read_to_string(root().join("docs/reference/exit-codes.md")).unwrap();
    for code in [0, 1, 2, 3, 4, 5, 6, 130] {
        assert!(page.contains(&format!("| {code} |")), "{code} is missing");
        assert!(whimbrel::cli::EXIT_CODES.contains(&format!("\n  {code}  ")), "{code} in the help");
    }
}

#[test]
fn the_page_of_rules_lists_every_secret_word() {
    let page = std::fs::read_to_string(root().join("docs/reference/rules.md")).unwrap();
    let list = page.split("<!-- secret words -->").nth(1).unwrap();
    let list = list.split("<!-- end -->").next().unwrap();
    let words: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(words, whimbrel_core::rules::SECRET_WORDS);
}

#[test]
fn real_output_keeps_to_its_schema() {
    let project = project();
    for (arguments, verb) in [
        (vec!["status", "--json"], "status"),
        (vec!["plan", "--json"], "plan"),
        (vec!["up", "--dry-run", "--json"], "plan"),
        (vec!["verify", "--json"], "verify"),
        (vec!["validate", "--json"], "validate"),
        (vec!["history", "--json"], "history"),
        (vec!["doctor", "--json"], "doctor"),
    ] {
        let output = whimbrel(&project).run(&arguments).success();
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        let file = root().join(format!("docs/reference/json/{verb}.schema.json"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut wrong = Vec::new();
        check(&document, &schema, &schema, "", &mut wrong);
        assert!(wrong.is_empty(), "{verb}: {wrong:#?}\n{output}");
    }
}

#[test]
fn a_document_that_does_not_keep_to_it_is_found() {
    let file = root().join("docs/reference/json/status.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let output = whimbrel(&project()).run(["status", "--json"]).success();
    let good: Value = serde_json::from_str(&output.stdout).unwrap();
    let changes: [fn(&mut Value); 4] = [
        |document| document["data"]["pending"] = "none".into(),
        |document| document["data"]["migrations"][0]["more"] = true.into(),
        |document| drop(document["data"].as_object_mut().unwrap().remove("database")),
        |document| document["data"]["migrations"][0]["name"] = Value::Null,
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let mut wrong = Vec::new();
        check(&bad, &schema, &schema, "", &mut wrong);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }
}

/// One applied and one pending migration, and a file that is worth a note.
fn project() -> Project {
    let project = Project::new();
    project
        .file("migrations/0001_users.sql", "-- Purpose: people\nCREATE TABLE users (id INTEGER);")
        .file("migrations/0001_users.down.sql", "DROP TABLE users;")
        .file("migrations/0002_x.sql", "BEGIN; CREATE INDEX x ON users (id); COMMIT;")
        .file("migrations/0003_empty.sql", "");
    whimbrel(&project).run(["up", "--to", "1"]).success();
    project
}

fn whimbrel(project: &Project) -> Whimbrel {
    let program = env!("CARGO_BIN_EXE_whimbrel");
    Whimbrel::new(program, project.path()).env("DATABASE_URL", "sqlite:app.db")
}

/// The part of JSON Schema that our schemas use: references, alternatives, types, required and
/// known properties, items.
fn check(value: &Value, schema: &Value, root: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).expect("a known reference");
        return check(value, target, root, at, wrong);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &Value| {
            let mut inner = Vec::new();
            check(value, choice, root, at, &mut inner);
            inner.is_empty()
        };
        if !choices.iter().any(fits) {
            wrong.push(format!("{at}: {value} fits none of the alternatives"));
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        other => panic!("{at}: a schema without a type: {other}"),
    };
    if !types.iter().any(|name| is_of(value, name)) {
        return wrong.push(format!("{at}: {value} is not of {types:?}"));
    }
    if let Some(object) = value.as_object() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for name in required.iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                wrong.push(format!("{at}: no `{name}`"));
            }
        }
        for (name, inner) in object {
            match schema["properties"].get(name) {
                Some(known) => check(inner, known, root, &format!("{at}/{name}"), wrong),
                None => wrong.push(format!("{at}: `{name}` is not in the schema")),
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, &schema["items"], root, &format!("{at}/{index}"), wrong);
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("unknown type {other}"),
    }
}
