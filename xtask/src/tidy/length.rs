//! Files: at most 500 lines. Longer ones are listed with their length and may only shrink.

use std::collections::BTreeMap;

use super::{Finding, Project};

const LINES_MAX: usize = 500;
const LIST: &str = "xtask/tidy-long-files.txt";

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let mut listed = BTreeMap::new();
    let mut found = Vec::new();
    for (index, line) in project.text(LIST).unwrap_or_default().lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry =
            line.split_once(' ').and_then(|(count, path)| Some((path, count.parse().ok()?)));
        match entry {
            Some((path, count)) => drop(listed.insert(path, (count, index + 1))),
            None => found.push(Finding::new(LIST, index + 1, "expected `LINES PATH`")),
        }
    }
    for file in project.rust() {
        let lines = file.text.lines().count();
        let entry: Option<(usize, usize)> = listed.remove(file.path.as_str());
        found.extend(judge(&file.path, lines, entry));
    }
    let gone = listed.into_iter();
    found.extend(gone.map(|(path, (_, line))| {
        Finding::new(LIST, line, format!("`{path}` is gone; remove the line"))
    }));
    found
}

fn judge(path: &str, lines: usize, entry: Option<(usize, usize)>) -> Option<Finding> {
    match entry {
        None if lines > LINES_MAX => {
            let message = format!("{lines} lines; {LINES_MAX} are allowed, split it");
            Some(Finding::new(path, 0, message))
        }
        Some((count, _)) if lines > count => {
            Some(Finding::new(path, 0, format!("grew from {count} to {lines} lines, split it")))
        }
        Some((_, line)) if lines <= LINES_MAX => {
            Some(Finding::new(LIST, line, format!("`{path}` is short now; remove the line")))
        }
        Some((count, line)) if lines < count => {
            Some(Finding::new(LIST, line, format!("`{path}` shrank; write {lines}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(lines: usize, list: &str, want: Option<&str>) {
        let text = "//\n".repeat(lines);
        let found = check(&Project::of(&[("a.rs", text.as_str()), (LIST, list)]));
        let messages: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages.len(), usize::from(want.is_some()), "{messages:?}");
        assert!(messages.iter().all(|m| want.is_some_and(|want| m.contains(want))), "{messages:?}");
    }

    #[test]
    fn long_files_are_found() {
        finds(500, "", None);
        finds(501, "", Some("501 lines"));
    }

    #[test]
    fn listed_files_may_only_shrink() {
        finds(600, "# comment\n600 a.rs\n", None);
        finds(601, "600 a.rs\n", Some("grew from 600"));
        finds(599, "600 a.rs\n", Some("write 599"));
        finds(400, "600 a.rs\n", Some("short now"));
    }

    #[test]
    fn a_list_that_is_wrong_is_found() {
        finds(1, "many a.rs\n", Some("LINES PATH"));
        finds(1, "600 b.rs\n", Some("gone"));
    }
}
