use proptest::prelude::*;

use super::*;
use crate::format::{Probe, detect};
use crate::secret::Secret;

fn errors(text: &str) -> Vec<String> {
    let errors = Config::parse(text).err().unwrap_or_default();
    let hint = |error: &ConfigError| {
        error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
    };
    errors.iter().map(|error| format!("{error}{}", hint(error))).collect()
}

#[test]
fn a_configuration_is_read() {
    let text = "\
[project]
format = \"own\"
migrations = \"db/migrations\"
environment = \"dev\"
url = \"env:DATABASE_URL\"
foreign-keys = true
keep-max = \"500MB\"

[environments.dev]
url = \"sqlite:dev.db\"

[environments.prod]
url = \"file:/run/secrets/url\"
protected = true
backup = \"none\"
lock-timeout = \"500ms\"
statement-timeout = \"5m\"
wait = \"0\"
database = \"live\"
";
    let config = Config::parse(text).unwrap();
    assert_eq!(config.migrations.as_ref().unwrap().value, "db/migrations");
    assert_eq!(config.format.as_ref().unwrap().line, 2);
    assert_eq!(config.project.url.as_ref().unwrap().value.to_string(), "env:DATABASE_URL");
    assert_eq!(config.project.keep_max.as_ref().unwrap().value, 500_000_000);
    let prod = &config.environments["prod"];
    assert_eq!(prod.url.as_ref().unwrap().value, UrlSource::SecretFile("/run/secrets/url".into()));
    assert_eq!(
        (prod.protected.clone().unwrap().value, prod.protected.clone().unwrap().line),
        (true, 14)
    );
    assert_eq!(prod.wait.as_ref().unwrap().value, std::time::Duration::ZERO);
    assert!(config.notes.is_empty());
    assert_eq!(Config::parse("").unwrap(), Config::default());
    assert_eq!(
        Config::parse("\u{feff}[project]\r\nmigrations = 'x'\r\n")
            .unwrap()
            .migrations
            .unwrap()
            .line,
        2
    );
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, want) in [
        (
            "[project]\nmigratons = 'x'",
            "whimbrel.toml:2:1: Unknown key `migratons` (Did you mean `migrations`?)",
        ),
        (
            "[project]\n  keep_max = '1GiB'",
            "whimbrel.toml:2:3: Unknown key `keep_max` (Did you mean `keep-max`?)",
        ),
        ("[project]\ncolour = 1", "whimbrel.toml:2:1: Unknown key `colour`"),
        ("[projct]\n", "whimbrel.toml:1:2: Unknown key `projct` (Did you mean `project`?)"),
        ("url = 'env:X'", "whimbrel.toml:1:1: Unknown key `url` (`url` belongs under `[project]`)"),
        (
            "project = 1",
            "whimbrel.toml:1:11: `project` is not a table (Write `[project]` on a line of its own)",
        ),
        (
            "[environments]\nprod = 1",
            "whimbrel.toml:2:8: An environment is not a table (Write `[environments.NAME]`)",
        ),
        ("[environments.'']\n", "whimbrel.toml:1:15: The environment has no name"),
        (
            "[project]\nprotected = true",
            "whimbrel.toml:2:1: `protected` does not belong here (It is a key of an environment)",
        ),
        (
            "[environments.a]\nformat = 'own'",
            "whimbrel.toml:2:1: `format` does not belong here (It is a key of `[project]`)",
        ),
        (
            "[environments.a]\nprotectd = true",
            "whimbrel.toml:2:1: Unknown key `protectd` (Did you mean `protected`?)",
        ),
        (
            "[project]\nformat = 'wranglr'",
            "whimbrel.toml:2:10: `format` must be `own`, `wrangler` or `supabase` (Did you mean `wrangler`?)",
        ),
        (
            "[project]\nkeep-max = 5",
            "whimbrel.toml:2:12: `keep-max` must be a size such as \"500MB\" or \"1GiB\"",
        ),
        (
            "[project]\nlock-timeout = '5'",
            "whimbrel.toml:2:16: `lock-timeout` must be a duration such as \"500ms\" or \"5s\"",
        ),
        (
            "[project]\nforeign-keys = 'yes'",
            "whimbrel.toml:2:16: `foreign-keys` must be `true` or `false`",
        ),
        ("[project]\nmigrations = ' '", "whimbrel.toml:2:14: `migrations` must be a folder"),
        ("[project]\nurl = 1", "whimbrel.toml:2:7: `url` must be a string"),
        (
            "[project]\nurl = 'env:'",
            "whimbrel.toml:2:7: What follows `env:` is not the name of a variable (Write `env:DATABASE_URL`)",
        ),
        (
            "[project]\nurl = 'postgre://h'",
            "whimbrel.toml:2:7: Unknown kind of database `postgre` (Did you mean `postgres:`?)",
        ),
        ("# ü\n[project]\nä = 1", "whimbrel.toml:3:1: "),
        ("[project]\nmigrations = 'a'\nmigrations = 'b'", "whimbrel.toml:3:1: duplicate key"),
        ("[project", "whimbrel.toml:1:9: "),
    ] {
        let errors = errors(text);
        assert!(errors.first().is_some_and(|error| error.starts_with(want)), "{text}: {errors:?}");
    }
    assert_eq!(errors("[project]\na = 1\nb = 2\n[environments.x]\nc = 3").len(), 3);
    assert!(!errors(&format!("a = {}", "[".repeat(100_000))).is_empty());
}

#[test]
fn a_password_in_the_file_is_noted_and_not_repeated() {
    let config = Config::parse("[project]\n\nurl = 'postgres://u:xyzzy@h/d'").unwrap();
    assert_eq!(
        config.notes,
        ["whimbrel.toml holds a password in line 3: write `url = \"env:DATABASE_URL\"` or \
          `url = \"file:path\"` instead"]
    );
    assert!(!format!("{config:?}").contains("xyzzy"));
    for text in [
        "[project]\nurl = 'postgres://u:xyzzy/z@h/d'",
        "[project]\nurl = 'postgres://u:xyzzy@h/d",
        "[project]\nurl = postgres://u:xyzzy@h/d",
    ] {
        let said = format!("{:?} {:?}", errors(text), Config::parse(text));
        assert!(!said.contains("xyzzy"), "{said}");
    }
}

#[test]
fn urls_come_from_three_places() {
    for (text, want) in [
        ("env:DATABASE_URL", "env:DATABASE_URL"),
        ("env: X_1 ", "env:X_1"),
        ("file:/run/secrets/url", "file:/run/secrets/url"),
        ("file:///run/secrets/url", "file:/run/secrets/url"),
        ("file:secret.txt", "file:secret.txt"),
        ("file:app.db", "sqlite:app.db"),
        ("file:///app.sqlite3", "sqlite:/app.sqlite3"),
        ("file:app?mode=ro", "sqlite:app?mode=ro"),
        ("postgres://u:p@h/d", "postgres://u:***@h/d"),
        ("env:1X", "What follows `env:` is not the name of a variable"),
        ("env:A B", "What follows `env:` is not the name of a variable"),
        ("nonsense", "The text is neither a database URL nor the path of a SQLite file"),
    ] {
        let got = UrlSource::parse(text);
        let got = got.map_or_else(|error| error.to_string(), |source| source.to_string());
        assert_eq!(got, want, "{text}");
    }
}

/// A project's layers as texts.
#[derive(Default)]
struct Project {
    flags: Flags,
    environment: Vec<(&'static str, &'static str)>,
    dotenv: Vec<(&'static str, &'static str)>,
    config: &'static str,
    files: Vec<(&'static str, &'static str)>,
}

impl Project {
    fn settle(&self) -> Result<Settings, String> {
        let config = Config::parse(self.config).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = Variables::new(self.environment.iter().map(owned));
        let dotenv: Vec<DotEnvEntry> = self
            .dotenv
            .iter()
            .zip(1..)
            .map(|((name, value), line)| DotEnvEntry {
                name: (*name).to_owned(),
                value: Secret::new(*value),
                line,
            })
            .collect();
        let layers = Layers {
            flags: &self.flags,
            environment: &environment,
            dotenv: &dotenv,
            config: &config,
        };
        let probe = Probe { files: self.files.iter().map(owned).collect(), ..Probe::default() };
        let detected = detect(&probe, &layers.wanted()).map_err(|error| error.to_string())?;
        Settings::settle(&layers, &detected).map_err(|error| {
            error.hint.as_ref().map_or(error.to_string(), |hint| format!("{error} ({hint})"))
        })
    }

    fn url(&self) -> String {
        match self.settle() {
            Err(error) => format!("error: {error}"),
            Ok(settings) => settings
                .url
                .map_or("-".to_owned(), |url| format!("{} <- {}", url.value, url.origin)),
        }
    }
}

fn url_flag(url: &str) -> Flags {
    Flags { url: Some(Secret::new(url)), ..Flags::default() }
}

fn env_flag(name: &str) -> Flags {
    Flags { environment: Some(name.to_owned()), ..Flags::default() }
}

const ENVIRONMENTS: &str = "\
[project]
url = \"sqlite:project.db\"
[environments.dev]
url = \"sqlite:dev.db\"
[environments.prod]
url = \"env:PROD_URL\"
[environments.bare]
protected = true
";

#[test]
fn the_stronger_layer_wins() {
    let variable = vec![("DATABASE_URL", "sqlite:variable.db")];
    let all = || Project {
        flags: Flags::default(),
        environment: variable.clone(),
        dotenv: vec![("X", "1"), ("DATABASE_URL", "sqlite:dotenv.db")],
        config: ENVIRONMENTS,
        ..Project::default()
    };
    let cases = [
        (Project { flags: url_flag("sqlite:flag.db"), ..all() }, "sqlite:flag.db <- --url"),
        (all(), "sqlite:variable.db <- variable DATABASE_URL"),
        (
            Project { environment: vec![("DATABASE_URL", " ")], ..all() },
            "sqlite:dotenv.db <- .env line 2 (DATABASE_URL)",
        ),
        (
            Project { environment: vec![], dotenv: vec![], ..all() },
            "sqlite:project.db <- whimbrel.toml line 2",
        ),
        (Project { config: "", environment: vec![], dotenv: vec![], ..all() }, "-"),
        (
            Project {
                environment: vec![("DATABASE_URL", "sqlite:a.db"), ("WHIMBREL_URL", "sqlite:b.db")],
                ..all()
            },
            "sqlite:b.db <- variable WHIMBREL_URL",
        ),
        // `--env` is a flag: a variable does not take its database away.
        (Project { flags: env_flag("dev"), ..all() }, "sqlite:dev.db <- whimbrel.toml line 4"),
        (
            Project { flags: env_flag("bare"), ..all() },
            "sqlite:variable.db <- variable DATABASE_URL",
        ),
        (
            Project { environment: vec![("WHIMBREL_ENV", "dev"), variable[0]], ..all() },
            "sqlite:dev.db <- whimbrel.toml line 4",
        ),
        (
            Project { dotenv: vec![("WHIMBREL_ENV", "dev")], ..all() },
            "sqlite:variable.db <- variable DATABASE_URL",
        ),
        (
            Project {
                flags: env_flag("prod"),
                environment: vec![("PROD_URL", "postgres://u:p@h/d")],
                ..all()
            },
            "postgres://u:***@h/d <- variable PROD_URL",
        ),
        (
            Project { flags: env_flag("prod"), ..all() },
            "error: The variable `PROD_URL` is not set (named by whimbrel.toml line 6) (Set \
             `PROD_URL` in the environment or in `.env`)",
        ),
        (
            Project {
                flags: url_flag("env:X_URL"),
                environment: vec![("X_URL", "sqlite:x.db")],
                ..all()
            },
            "sqlite:x.db <- variable X_URL",
        ),
        (
            Project { flags: url_flag("env:X"), environment: vec![("X", "env:Y")], ..all() },
            "error: The variable `X` names another variable (Put the URL itself into it)",
        ),
        (
            Project { flags: env_flag("prd"), ..all() },
            "error: There is no environment `prd` (named by --env) (Did you mean `prod`?)",
        ),
        (
            Project { flags: url_flag("postgre://h"), ..all() },
            "error: Unknown kind of database `postgre` (from --url) (Did you mean `postgres:`?)",
        ),
    ];
    for (index, (project, want)) in cases.iter().enumerate() {
        assert_eq!(project.url(), *want, "case {index}");
    }
}

const WRANGLER: (&str, &str) = (
    "wrangler.toml",
    "[[d1_databases]]\nbinding = \"DB2\"\n[env.live]\nd1_databases = [{binding = \"L\"}]\n",
);

#[test]
fn a_recognised_project_has_a_database() {
    let wrangler = || Project { files: vec![WRANGLER], ..Project::default() };
    let local = "sqlite:.wrangler/state/v3/d1/miniflare-D1DatabaseObject/75b516717d19a0c480be4e2568ca8d201bf3f\
                 482480365efd1f1580861b27ffb.sqlite <- detected: `d1_databases` in wrangler.toml";
    assert_eq!(wrangler().url(), local);

    // DATABASE_URL is everybody's variable; of another kind of database, it is not ours.
    for other in ["postgres://u:p@h/d", "mongodb://h/d"] {
        let project = Project { environment: vec![("DATABASE_URL", other)], ..wrangler() };
        assert_eq!(project.url(), local);
        assert_eq!(
            project.settle().unwrap().notes,
            ["variable DATABASE_URL is passed over: it names no database of a wrangler project"]
        );
    }
    let own = Project { environment: vec![("DATABASE_URL", "sqlite:x.db")], ..wrangler() };
    assert_eq!(own.url(), "sqlite:x.db <- variable DATABASE_URL");
    // A misspelt one must not end in another database.
    let typo = Project { environment: vec![("DATABASE_URL", "sqlit:x.db://")], ..wrangler() };
    assert!(typo.url().starts_with("error: "), "{}", typo.url());

    let keys = wrangler().settle().unwrap().foreign_keys;
    assert!(keys.value && matches!(keys.origin, Origin::Detected(_)));
    let off = Project { config: "[project]\nforeign-keys = false", ..wrangler() }.settle().unwrap();
    assert!(off.foreign_keys.value && off.notes[0].contains("whimbrel.toml line 2 has no effect"));

    let live = Project { flags: env_flag("live"), ..wrangler() };
    assert_eq!(live.settle().unwrap().environment.unwrap().value, "live");
    let typo = Project { flags: env_flag("liv"), ..wrangler() };
    assert_eq!(typo.url(), "error: wrangler's configuration has no environment `liv`");

    let supabase = Project { files: vec![("supabase/config.toml", "")], ..Project::default() };
    let said = "postgres://postgres:***@127.0.0.1:54322/postgres <- detected: supabase/config.toml";
    assert_eq!(supabase.url(), said);
}

#[test]
fn every_setting_has_an_origin() {
    let project = Project {
        flags: Flags { wait: Some("5s".into()), ..Flags::default() },
        environment: vec![("WHIMBREL_LOCK_TIMEOUT", "1s")],
        dotenv: vec![("WHIMBREL_KEEP_MAX", "1KiB"), ("WHIMBREL_LOCK_TIMEOUT", "9s")],
        config: "[project]\nstatement-timeout = \"1m\"\nenvironment = \"p\"\n[environments.p]\nprotected = true\n\
                 checks = \"old/checks\"\n",
        ..Project::default()
    };
    let explained: Vec<String> = project
        .settle()
        .unwrap()
        .explain()
        .into_iter()
        .map(|(name, value, origin)| format!("{name} = {value} <- {origin}"))
        .collect();
    assert_eq!(
        explained,
        [
            "environment = p <- whimbrel.toml line 3",
            "format = own <- detected: no other tool's files",
            "migrations = migrations <- detected: no other tool's files",
            "foreign-keys = false <- default",
            "keep-max = 1024 <- .env line 1 (WHIMBREL_KEEP_MAX)",
            "lock-timeout = 1s <- variable WHIMBREL_LOCK_TIMEOUT",
            "statement-timeout = 60s <- whimbrel.toml line 2",
            "rules = rules <- default",
            "checks = old/checks <- whimbrel.toml line 6",
            "batch-size = auto <- default",
            "max-retries = 3 <- default",
            "retry-delay = 1s <- default",
            "wait = 5s <- --wait",
            "protected = true <- whimbrel.toml line 5",
            "backup = before-up <- default",
        ]
    );
    let wrong = Project { environment: vec![("WHIMBREL_WAIT", "soon")], ..Project::default() };
    assert_eq!(
        wrong.settle().unwrap_err(),
        "The value of variable WHIMBREL_WAIT is not valid (It is a duration such as \"60s\")"
    );
}

#[test]
fn the_tables_are_consistent() {
    for row in CONFIG_KEYS {
        assert!(row.project || row.environment, "{}", row.name);
        // Each key is known to the reader: an empty list is a value of none of them.
        let section = if row.project { "project" } else { "environments.x" };
        let errors = errors(&format!("[{section}]\n{} = []", row.name));
        assert!(errors.len() == 1 && errors[0].contains("must be"), "{errors:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = Config::parse(&text);
        let _ = Config::parse(&format!("[project]\n{text}"));
        let _ = Config::parse(&format!("[project]\nurl = \"{text}\""));
        let _ = UrlSource::parse(&text);
    }

    /// No output of the settings holds a password, wherever the URL stands.
    #[test]
    fn settings_hold_their_tongue(special in "[ -~ü😀]{0,6}") {
        let password = format!("xyzzyHEAD{special}plughTAIL");
        let url = format!("postgres://u:{password}@h/d");
        let quoted = toml::Value::String(url.clone()).to_string();
        let text = format!("[project]\nurl = {quoted}\n");
        let mut said = format!("{:?}", Config::parse(&text));
        let (flags, config) = (url_flag(&url), Config::default());
        let environment = Variables::new([("DATABASE_URL".to_owned(), url.clone())]);
        let dotenv =
            [DotEnvEntry { name: "DATABASE_URL".to_owned(), value: Secret::new(url.clone()), line: 1 }];
        let detected = detect(&Probe::default(), &crate::format::Wanted::default()).unwrap();
        for (flags, environment, dotenv) in [
            (&flags, &Variables::default(), &[][..]),
            (&Flags::default(), &environment, &[]),
            (&Flags::default(), &Variables::default(), &dotenv),
        ] {
            let layers = Layers { flags, environment, dotenv, config: &config };
            let settings = Settings::settle(&layers, &detected);
            said += &format!("{layers:?} {settings:?}");
            if let Ok(settings) = settings {
                said += &format!("{:?}", settings.explain());
            }
        }
        prop_assert!(!said.contains("xyzzyHEAD") && !said.contains("plughTAIL"), "{}", said);
    }
}

#[test]
fn throttle_is_read_from_its_table_and_the_environments() {
    let text = "[throttle]\nreplication-lag = \"5s\"\nactive-connections = 40\nlock-waits = 0\n\
                query = \"SELECT 1\"\nflag-file = \"stop\"\nwindow = \"22:00-04:00\"\n\
                [environments.x.throttle]\nreplication-lag = \"64MiB\"\n\
                [environments.x]\nurl = \"sqlite:x.db\"\n";
    let config = Config::parse(text).unwrap();
    let (all, x) = (&config.project.throttle, &config.environments["x"].throttle);
    assert_eq!(all.active_connections, Some(Lined { value: 40, line: 3 }));
    assert_eq!(all.lock_waits, Some(Lined { value: 0, line: 4 }));
    let five = crate::throttle::Lag::Time(std::time::Duration::from_secs(5));
    assert_eq!(all.replication_lag, Some(Lined { value: five, line: 2 }));
    let bytes = crate::throttle::Lag::Bytes(64 << 20);
    assert_eq!(x.replication_lag, Some(Lined { value: bytes, line: 9 }));
    assert!(all.query.is_some() && all.flag_file.is_some() && all.window.is_some());
    for key in THROTTLE_KEYS {
        let errors = errors(&format!("[throttle]\n{} = []", key.name));
        assert!(errors.len() == 1 && errors[0].contains("must be"), "{errors:?}");
    }
    let unknown = errors("[throttle]\nwindows = 1");
    assert!(unknown[0].contains("Unknown key `windows`"), "{unknown:?}");
    assert_eq!(errors("throttle = 1").len(), 1);
}
