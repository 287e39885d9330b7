//! `whimbrel-core` decides and does nothing: no files, network, clock, environment or driver.

use super::{Finding, Project};

const MANIFEST: &str = "crates/core/Cargo.toml";

/// What core may depend on. Nothing here opens a file, a socket or a database.
const ALLOWED: [&str; 12] = [
    "hmac",
    "jsonc-parser",
    // Without its default features it resolves no reference outside the document.
    "jsonschema",
    "memchr",
    "percent-encoding",
    "serde",
    "serde_json",
    "sha2",
    "sqlparser",
    "squawk-syntax",
    "thiserror",
    "toml",
];

/// Parts of the standard library that reach outside. (An IP address does not.)
const OUTSIDE: [&str; 10] = [
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "ToSocketAddrs",
    "std::process",
    "std::env",
    "std::thread",
    "std::os::",
    "SystemTime::now",
    "Instant::now",
];

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let mut found = dependencies(project);
    found.extend(sources(project));
    found
}

fn dependencies(project: &Project) -> Vec<Finding> {
    let core = project.packages.iter().find(|package| package["name"] == "whimbrel-core");
    let all = core.and_then(|package| package["dependencies"].as_array()).into_iter().flatten();
    // Dependencies for tests only have the kind `dev`.
    let shipped = all.filter(|dependency| dependency["kind"] != "dev");
    let names = shipped.filter_map(|dependency| dependency["name"].as_str());
    let others = names.filter(|name| !ALLOWED.contains(name));
    let message = |name: &str| format!("core may not depend on `{name}` (see purity.rs)");
    others.map(|name| Finding::new(MANIFEST, 0, message(name))).collect()
}

fn sources(project: &Project) -> Vec<Finding> {
    let mut found = Vec::new();
    let core = project.rust().filter(|file| file.path.starts_with("crates/core/src/"));
    for file in core.filter(|file| !is_for_tests(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            let code = line.trim_start();
            if code == "#[cfg(test)]" {
                break;
            }
            let word = OUTSIDE.iter().find(|word| code.contains(*word));
            if let (Some(word), false) = (word, code.starts_with("//")) {
                let message = format!("`{word}` in core, which only decides");
                found.push(Finding::new(&file.path, index + 1, message));
            }
        }
    }
    found
}

fn is_for_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_in_core_is_found() {
        let mut project = Project::of(&[]);
        project.packages = vec![serde_json::json!({
            "name": "whimbrel-core",
            "dependencies": [
                {"name": "serde", "kind": null},
                {"name": "tokio", "kind": null},
                {"name": "proptest", "kind": "dev"}
            ]
        })];
        let found = check(&project);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("`tokio`"), "{found:?}");
    }

    #[test]
    fn a_file_opened_in_core_is_found() {
        let text = "//! Not std::fs.\nuse std::fs::File;\n#[cfg(test)]\nuse std::env;\n";
        let core = ("crates/core/src/files.rs", text);
        let found = check(&Project::of(&[core, ("crates/engine/src/files.rs", text)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].path.as_str()), (2, core.0));
    }
}
