//! The project is the same everywhere: no file names a folder of one machine or the host that
//! packages came from there.

use super::{Finding, Project};

/// Put together here so that this file does not contain them.
const FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
const HOSTS: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("registry.npm", "js.org"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("deb.debian", ".org"),
    concat!("proxy.go", "lang.org"),
    concat!("arti", "factory"),
];

/// The name under which cargo itself knows where packages come from; every lock file holds it.
const CARGO_SOURCE: &str = concat!("registry+https://github.com/rust-lang/", "crates", ".io-index");

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &project.files {
        let is_lock = file.path == "Cargo.lock" || file.path.ends_with("/Cargo.lock");
        for (index, line) in file.text.lines().enumerate() {
            let line = if is_lock { line.replace(CARGO_SOURCE, "") } else { line.to_owned() };
            let lower = line.to_ascii_lowercase();
            let host = HOSTS.iter().find(|host| lower.contains(*host));
            let folder = FOLDERS.iter().find(|folder| names_folder(&line, folder));
            let mut report = |message| found.push(Finding::new(&file.path, index + 1, message));
            host.into_iter().for_each(|host| report(format!("names the package host `{host}`")));
            folder.into_iter().for_each(|folder| {
                report(format!("names `{folder}`, a folder of one machine"));
            });
        }
    }
    found
}

/// Whether the line holds an absolute path into the folder, not a part of a longer path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(path: &str, text: &str, want: usize) {
        let found = check(&Project::of(&[(path, text)]));
        assert_eq!(found.len(), want, "{found:?}");
    }

    #[test]
    fn machine_folders_are_found() {
        for folder in FOLDERS {
            finds("a.md", &format!("see {folder}main"), 1);
            finds("a.md", &format!("`{folder}main`"), 1);
            finds("a.md", &format!("https://example.com{folder}"), 0);
        }
    }

    #[test]
    fn package_hosts_are_found() {
        for host in HOSTS {
            finds("package-lock.json", &format!("\"resolved\": \"https://{host}/a\""), 1);
        }
    }

    #[test]
    fn cargo_may_name_its_own_source_in_lock_files_only() {
        let line = format!("source = \"{CARGO_SOURCE}\"");
        finds("Cargo.lock", &line, 0);
        finds("README.md", &line, 1);
    }
}
