use super::wrangler::{WranglerConfig, local_file_id};
use super::*;

fn probe(files: &[(&str, &str)], folders: &[&str]) -> Probe {
    let text = |text: &&str| (*text).to_owned();
    Probe {
        files: files.iter().map(|(path, content)| (text(path), text(content))).collect(),
        folders: folders.iter().map(text).collect(),
    }
}

const ONE: &str = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"app\"\n";
const ONE_DB2: &str = "[[d1_databases]]\nbinding = \"DB2\"\n";

/// `format folder | why | database | notes`, or the error with its hint.
fn detected(files: &[(&str, &str)], folders: &[&str], wanted: Wanted<'_>) -> String {
    match detect(&probe(files, folders), &wanted) {
        Err(error) => format!("error: {error} ({})", error.hint.as_deref().unwrap_or("")),
        Ok(found) => {
            let database = match &found.database {
                None => "-".to_owned(),
                Some(DetectedDatabase::Url(url)) => url.to_string(),
                Some(DetectedDatabase::LocalD1 { database, path }) => {
                    format!("{} {path}", database.label())
                }
            };
            let (format, folder) = (found.layout.format.name(), &found.layout.migrations);
            format!("{format} {folder} | {} | {database} | {}", found.why, found.notes.join("; "))
        }
    }
}

#[test]
fn local_files_have_the_names_that_wrangler_gives() {
    for (name, id) in [
        (
            "11111111-2222-3333-4444-555555555555",
            "f023adf8de81e80d62670e09f086149af129cccda34c51f26517069258c53e8c",
        ),
        ("DB2", "75b516717d19a0c480be4e2568ca8d201bf3f482480365efd1f1580861b27ffb"),
        ("prev-id", "50aa4d1dd387989b097293da3015aecbd1b58b2b645cdf2db9d7385dcd88041f"),
    ] {
        assert_eq!(local_file_id(name), id, "{name}");
    }
}

#[test]
fn projects_are_recognised() {
    let plain = Wanted::default();
    let file = "75b516717d19a0c480be4e2568ca8d201bf3f482480365efd1f1580861b27ffb.sqlite";
    let folder = "v3/d1/miniflare-D1DatabaseObject";
    assert_eq!(detected(&[], &[], plain), "own migrations | no other tool's files | - | ");
    assert_eq!(
        detected(&[], &["migrations"], plain),
        "own migrations | no other tool's files | - | "
    );
    assert_eq!(
        detected(&[("wrangler.toml", ONE_DB2)], &[], plain),
        format!(
            "wrangler migrations | `d1_databases` in wrangler.toml | DB2 .wrangler/state/{folder}/{file} | "
        ),
    );
    let persist = Wanted { persist_to: Some("./tmp/state/"), ..plain };
    assert_eq!(
        detected(&[("wrangler.toml", ONE_DB2)], &[], persist),
        format!(
            "wrangler migrations | `d1_databases` in wrangler.toml | DB2 tmp/state/{folder}/{file} | "
        ),
    );
    assert_eq!(
        detected(&[("wrangler.toml", "name = \"worker\"\n")], &[], plain),
        "own migrations | no other tool's files | - | ",
    );
    let supabase = "postgres://postgres:***@127.0.0.1";
    assert_eq!(
        detected(&[("supabase/config.toml", "project_id = \"x\"")], &[], plain),
        format!(
            "supabase supabase/migrations | supabase/config.toml | {supabase}:54322/postgres | "
        ),
    );
    assert_eq!(
        detected(&[("supabase/config.toml", "[db]\nport = 6001\n")], &[], plain),
        format!(
            "supabase supabase/migrations | supabase/config.toml | {supabase}:6001/postgres | "
        ),
    );
    assert_eq!(
        detected(&[], &["supabase/migrations"], plain),
        format!(
            "supabase supabase/migrations | the folder supabase/migrations | {supabase}:54322/postgres | "
        ),
    );
    assert_eq!(
        detected(&[("supabase/config.toml", "[db]\nport = \"env(P)\"")], &[], plain),
        "supabase supabase/migrations | supabase/config.toml | - | `db.port` in supabase/config.toml \
         is a variable: name the database with `--url`",
    );
}

#[test]
fn what_the_user_says_decides() {
    let both = [("wrangler.toml", ONE), ("supabase/config.toml", "")];
    assert_eq!(
        detected(&both, &[], Wanted::default()),
        "error: The project is one of wrangler (`d1_databases` in wrangler.toml) and of supabase \
         (supabase/config.toml) (Write `format = \"wrangler\"` or `format = \"supabase\"` under \
         `[project]` in whimbrel.toml)",
    );
    let own = Wanted { format: Some(Format::Own), ..Wanted::default() };
    assert_eq!(detected(&both, &[], own), "own migrations | no other tool's files | - | ");
    let supabase = Wanted { format: Some(Format::Supabase), ..Wanted::default() };
    assert!(detected(&both, &[], supabase).starts_with("supabase supabase/migrations | "));
    assert_eq!(
        detected(&both[..1], &[], supabase),
        "error: This is no supabase project: supabase/config.toml or supabase/migrations is missing \
         (Look at `format` in whimbrel.toml, and at the folder given by `--project`)",
    );
    let elsewhere = Wanted { migrations: Some("./db/migrations/"), ..Wanted::default() };
    assert_eq!(
        detected(&both[..1], &[], elsewhere),
        "own db/migrations | `migrations` in whimbrel.toml | - | A wrangler project too, but \
         whimbrel.toml names another folder of migrations",
    );
    let moved = Wanted { format: Some(Format::Wrangler), ..elsewhere };
    assert!(detected(&both, &[], moved).starts_with("wrangler db/migrations | "));
}

const JSONC: &str = r#"{
  // the app
  "name": "app",
  "d1_databases": [
    { "binding": "A", "database_name": "one", "database_id": "id-1", "preview_database_id": "prev-id" },
    { "binding": "B", "database_name": "two", "database_id": "id-2", "migrations_dir": "./db/two/",
      "migrations_table": "moves", },
  ],
  "env": {
    "prod": { "d1_databases": [ { "binding": "A", "database_name": "live",
      "migrations_dir": "drizzle", "migrations_pattern": "drizzle/*/migration.sql" } ] },
    "none": {}
  }
}"#;

#[test]
fn one_of_several_databases_is_chosen() {
    let config = WranglerConfig::parse("wrangler.jsonc", JSONC).unwrap();
    let select = |environment, name| match config.select(environment, name) {
        Ok(database) => {
            format!("{} {} {}", database.label(), database.migrations_dir, database.local_name())
        }
        Err(error) => format!("error: {error} ({})", error.hint.as_deref().unwrap_or("")),
    };
    assert_eq!(select(None, Some("one")), "one migrations prev-id");
    assert_eq!(select(None, Some("B")), "two db/two id-2");
    assert_eq!(select(Some("prod"), None), "live drizzle A");
    assert_eq!(select(Some("prod"), Some("A")), "live drizzle A");
    assert_eq!(
        select(None, None),
        "error: wrangler's configuration names several D1 databases (Say which one, by name or \
         binding, as `database` in whimbrel.toml: `one`, `two`)"
    );
    assert_eq!(
        select(None, Some("tow")),
        "error: There is no D1 database `tow` (Did you mean `two`?)"
    );
    assert_eq!(
        select(Some("prd"), None),
        "error: wrangler's configuration has no environment `prd` (Did you mean `prod`?)"
    );
    assert_eq!(
        select(Some("none"), None),
        "error: wrangler's environment `none` has no `d1_databases` (Name an environment with \
         `--env`: `prod`, `none`)"
    );
    assert_eq!(config.databases[1].migrations_table, "moves");
    let pattern = config.environments[0].1[0].migrations_pattern.as_ref().unwrap();
    assert!(pattern.matches("0001_a/migration.sql") && !pattern.matches("0001_a.sql"));
}

#[test]
fn the_first_configuration_file_wins() {
    let files =
        [("wrangler.toml", ONE), ("wrangler.json", r#"{"d1_databases":[{"binding":"J"}]}"#)];
    let said = detected(&files, &[], Wanted::default());
    assert!(
        said.contains("in wrangler.json | J ") && said.contains("and not wrangler.toml"),
        "{said}"
    );
}

#[test]
fn a_broken_configuration_is_named() {
    let hint =
        "(Correct it, or pass it over with `format = \"own\"` under `[project]` in whimbrel.toml)";
    for (file, text, want) in [
        (
            "wrangler.toml",
            "a = 1\nd1_databases = 3\n",
            "wrangler.toml: `d1_databases` is not a list",
        ),
        ("wrangler.toml", "d1_databases = [1]", "wrangler.toml: `d1_databases[0]` is not a table"),
        (
            "wrangler.toml",
            "[[d1_databases]]\n",
            "wrangler.toml: `d1_databases[0]` has no `binding`",
        ),
        (
            "wrangler.toml",
            "[[d1_databases]]\nbinding = 7\n",
            "wrangler.toml: `d1_databases[0].binding` is not a string",
        ),
        ("wrangler.json", r#"{"env": 1}"#, "wrangler.json: `env` is not a table"),
        (
            "wrangler.json",
            r#"{"env": {"a": {"d1_databases": [{}]}}}"#,
            "wrangler.json: `env.a.d1_databases[0]` has no `binding`",
        ),
        (
            "wrangler.json",
            r#"{"d1_databases": [{"binding": "B", "migrations_pattern": "other/*.sql"}]}"#,
            "wrangler.json: `d1_databases[0].migrations_pattern` must be `migrations/` and names with `*`",
        ),
    ] {
        assert_eq!(
            detected(&[(file, text)], &[], Wanted::default()),
            format!("error: {want} {hint}")
        );
    }
    for (file, text, want) in [
        ("wrangler.toml", "a = 1\nb = [\n", "error: wrangler.toml: line 2: "),
        ("wrangler.jsonc", "{\n\"a\": }", "error: wrangler.jsonc: line 2: "),
        ("supabase/config.toml", "[db\n", "error: supabase/config.toml: line 1: "),
        (
            "supabase/config.toml",
            "[db]\nport=0",
            "error: supabase/config.toml: `db.port` is no port",
        ),
        ("supabase/config.toml", "[db]\nport=[]", "error: supabase/config.toml: `db.port` is not"),
    ] {
        let said = detected(&[(file, text)], &[], Wanted::default());
        assert!(said.starts_with(want), "{said}");
    }
    // Deep nesting must be an error, not a crash.
    let deep = "[".repeat(100_000);
    assert!(detected(&[("wrangler.json", &deep)], &[], Wanted::default()).starts_with("error"));
    let deep = format!("a = {deep}");
    assert!(detected(&[("wrangler.toml", &deep)], &[], Wanted::default()).starts_with("error"));
}

#[test]
fn the_table_of_formats_is_consistent() {
    for row in FORMATS {
        assert_eq!(row.format.row().name, row.name);
        assert_eq!(Format::from_name(row.name), Some(row.format));
        assert_eq!(row.format.is_foreign(), row.companions.is_some());
    }
    assert_eq!(FORMATS.last().map(|row| row.format), Some(Format::Own));
    assert_eq!(Format::nearest("wranglr"), Some("wrangler"));
    for (folder, want) in [
        ("./a/", "a"),
        ("a", "a"),
        (".", "."),
        ("./", "."),
        ("", "."),
        ("/a", "/a"),
        ("../a", "../a"),
    ] {
        assert_eq!(clean_folder(folder), want, "{folder}");
    }
}
