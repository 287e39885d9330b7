//! Folders: every file is compiled, one test binary for each crate, faces apart from each other.

use super::{Finding, Project};

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(project.rust().filter_map(|file| orphan(project, &file.path)));
    found.extend(project.rust().filter_map(|file| second_test_binary(&file.path)));
    found.extend(faces(project));
    found
}

/// A file that no `mod` names is not compiled, so its tests never run.
fn orphan(project: &Project, path: &str) -> Option<Finding> {
    let (folder, file) = path.rsplit_once('/')?;
    let (_, inside) = path.split_once("/src/").or_else(|| path.split_once("/tests/it/"))?;
    if inside.starts_with("bin/") || matches!(file, "lib.rs" | "main.rs") {
        return None;
    }
    let stem = file.strip_suffix(".rs")?;
    let (parent, name) = if stem == "mod" { folder.rsplit_once('/')? } else { (folder, stem) };
    let places = [
        format!("{parent}/lib.rs"),
        format!("{parent}/main.rs"),
        format!("{parent}/mod.rs"),
        format!("{parent}.rs"),
    ];
    let declared = |text: &str| {
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        code.flat_map(|line| line.split(';')).any(|item| {
            let word = item.trim().rsplit_once("mod ").map(|(_, word)| word);
            word.is_some_and(|word| word.trim_start_matches("r#") == name)
        })
    };
    let known = places.iter().filter_map(|place| project.text(place)).any(declared);
    let message = format!("no `mod {name};` names this file: it is never compiled");
    (!known).then(|| Finding::new(path, 0, message))
}

/// Each test binary is linked with everything; one for each crate is enough.
fn second_test_binary(path: &str) -> Option<Finding> {
    let (_, rest) = path.strip_prefix("crates/")?.split_once('/')?;
    let name = rest.strip_prefix("tests/")?;
    let message = "a second test binary; make it a module of `tests/it/main.rs`";
    (!name.contains('/')).then(|| Finding::new(path, 0, message))
}

/// The command line and the HTTP server share the engine and never each other's code.
fn faces(project: &Project) -> Vec<Finding> {
    let mut found = Vec::new();
    for (own, other) in [("cli", "http"), ("http", "cli")] {
        let folder = format!("crates/whimbrel/src/{own}/");
        let module = format!("crates/whimbrel/src/{own}.rs");
        let words = [format!("crate::{other}"), format!("super::{other}::")];
        for file in project.rust() {
            if !file.path.starts_with(&folder) && file.path != module {
                continue;
            }
            for (index, line) in file.text.lines().enumerate() {
                if words.iter().any(|word| line.contains(word)) {
                    let message = format!("`{own}` must not use `{other}`");
                    found.push(Finding::new(&file.path, index + 1, message));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(files: &[(&str, &str)], want: &[&str]) {
        let got = check(&Project::of(files));
        let paths: Vec<&str> = got.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, want, "{got:?}");
    }

    #[test]
    fn forgotten_tests_are_found() {
        let main = ("crates/a/tests/it/main.rs", "mod known;\n// mod forgotten;\n");
        let known = ("crates/a/tests/it/known.rs", "");
        let forgotten = ("crates/a/tests/it/forgotten.rs", "");
        finds(&[main, known, forgotten], &["crates/a/tests/it/forgotten.rs"]);
    }

    #[test]
    fn forgotten_modules_are_found() {
        let lib = ("crates/a/src/lib.rs", "pub mod sql;\npub(crate) mod plan;\n");
        let sql = ("crates/a/src/sql/mod.rs", "mod lexer; mod split;\n");
        let lexer = ("crates/a/src/sql/lexer.rs", "");
        let split = ("crates/a/src/sql/split.rs", "#[cfg(test)]\nmod tests;\n");
        let tests = ("crates/a/src/sql/split/tests/mod.rs", "");
        let plan = ("crates/a/src/plan.rs", "mod order;\n");
        let order = ("crates/a/src/plan/order.rs", "");
        let lost = ("crates/a/src/plan/lost.rs", "");
        let known = [lib, sql, lexer, split, tests, plan, order];
        finds(&known, &[]);
        finds(&[&known[..], &[lost]].concat(), &["crates/a/src/plan/lost.rs"]);
    }

    #[test]
    fn a_second_test_binary_is_found() {
        finds(&[("crates/a/tests/more.rs", "")], &["crates/a/tests/more.rs"]);
    }

    #[test]
    fn faces_that_know_each_other_are_found() {
        let main = ("crates/whimbrel/src/main.rs", "mod cli;\nmod http;\n");
        let cli = ("crates/whimbrel/src/cli/mod.rs", "mod up;\n");
        let up = ("crates/whimbrel/src/cli/up.rs", "use crate::http::state;\n");
        let http = ("crates/whimbrel/src/http/mod.rs", "use crate::cli;\n");
        let want = ["crates/whimbrel/src/cli/up.rs", "crates/whimbrel/src/http/mod.rs"];
        finds(&[main, cli, up, http], &want);
    }
}
