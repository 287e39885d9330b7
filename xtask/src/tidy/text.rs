//! Lines: not too long, no white space at their end, no test that is left out, no unfinished code.

use super::{Finding, Project};
use crate::workspace::SourceFile;

const LINE_MAX: usize = 100;
/// A text in quotes is not torn apart for a few characters.
const LINE_WITH_TEXT_MAX: usize = 120;
const UNFINISHED: [&str; 2] = [concat!("todo", "!("), concat!("unimplemented", "!(")];

/// Files of these kinds are written by hand here; SQL may contain what it likes.
const KINDS: [&str; 5] = [".rs", ".toml", ".md", ".sh", ".txt"];
const SCRIPTS: [&str; 2] = ["test", ".ci/run"];
/// Other people's text.
const FOREIGN: [&str; 2] = ["fixtures/", "examples/"];
/// Text that is there for its odd white space.
const CORPUS: &str = "/corpus/";

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let ours = project.files.iter().filter(|file| is_ours(&file.path));
    ours.flat_map(check_file).collect()
}

fn is_ours(path: &str) -> bool {
    let kind = KINDS.iter().any(|kind| path.ends_with(kind)) || SCRIPTS.contains(&path);
    let foreign = FOREIGN.iter().any(|folder| path.starts_with(folder)) || path.contains(CORPUS);
    kind && !foreign
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut in_tests = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    for (index, line) in file.text.lines().enumerate() {
        in_tests |= line.trim_start() == "#[cfg(test)]";
        let mut report = |message: String| found.push(Finding::new(&file.path, index + 1, message));
        if line.ends_with([' ', '\t', '\r']) {
            report("white space at the end of the line".to_owned());
        }
        if !file.is_rust() {
            continue;
        }
        let length = line.chars().count();
        // A table of inputs and expected texts reads better with one case on a line.
        let has_text =
            !line.trim_start().starts_with("//") && (line.contains('"') || line.ends_with('\\'));
        let max = if has_text { LINE_WITH_TEXT_MAX } else { LINE_MAX };
        if length > max && !(in_tests && has_text) {
            report(format!("{length} characters; {max} are allowed"));
        }
        let code = line.trim_start();
        if code.starts_with("#[ignore") {
            report("a test that never runs; repair it or remove it".to_owned());
        }
        if !code.starts_with("//") && UNFINISHED.iter().any(|word| code.contains(word)) {
            report("unfinished code".to_owned());
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        found.push(Finding::new(&file.path, 0, "no line end at the end of the file"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(path: &str, text: &str, want: &[&str]) {
        let got = check(&Project::of(&[(path, text)]));
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (finding, want) in got.iter().zip(want) {
            assert!(finding.message.contains(want), "{finding}");
        }
    }

    #[test]
    fn long_lines_are_found() {
        let line = format!("// {}\n", "ä".repeat(98));
        finds("crates/a/src/lib.rs", &line, &["101 characters"]);
        finds("crates/a/src/lib.rs", &line.replace("ää", "ä"), &[]);
        finds("README.md", &line, &[]);
    }

    #[test]
    fn texts_in_tests_may_be_long() {
        let line = format!("    check(\"{}\");\n", "a".repeat(110));
        finds("crates/a/src/lib.rs", &line, &["124 characters"]);
        finds("crates/a/src/lib.rs", &line.replace("aaaa", "a"), &[]);
        finds("crates/a/src/lib.rs", &format!("#[cfg(test)]\n{line}"), &[]);
        finds("crates/a/tests/it/a.rs", &line, &[]);
    }

    #[test]
    fn white_space_is_found() {
        finds("README.md", "a \nb\n", &["white space"]);
        finds("test", "a\t\n", &["white space"]);
        finds("a.sql", "a \n", &[]);
        finds("fixtures/a.toml", "a \n", &[]);
    }

    #[test]
    fn ignored_tests_are_found() {
        finds("a.rs", "    #[ignore = \"slow\"]\n", &["never runs"]);
    }

    #[test]
    fn unfinished_code_is_found() {
        for word in UNFINISHED {
            finds("a.rs", &format!("    {word})\n"), &["unfinished"]);
            finds("a.rs", &format!("    // {word})\n"), &[]);
        }
    }

    #[test]
    fn a_missing_line_end_is_found() {
        finds("a.rs", "fn a() {}", &["no line end"]);
    }
}
