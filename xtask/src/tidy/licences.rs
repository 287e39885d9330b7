//! Dependencies: each may be used under a licence that `deny.toml` allows.

use super::{Finding, Project};

const LIST: &str = "deny.toml";

pub(super) fn check(project: &Project) -> Vec<Finding> {
    let allowed = allowed(project.text(LIST).unwrap_or_default());
    let mut found = Vec::new();
    for package in &project.packages {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        let message = match package["license"].as_str() {
            Some(licence) if permits(licence, &allowed) => continue,
            Some(licence) => format!("`{name}` {version} has the licence `{licence}`"),
            None => format!("`{name}` {version} names no licence"),
        };
        found.push(Finding::new("Cargo.lock", 0, message));
    }
    found
}

/// The licences between `allow = [` and `]`.
fn allowed(list: &str) -> Vec<&str> {
    let (_, rest) = list.split_once("\nallow = [").unwrap_or_default();
    let (inside, _) = rest.split_once(']').unwrap_or_default();
    inside.split('"').skip(1).step_by(2).collect()
}

/// Whether the expression (`A OR B`, `A AND B`, brackets, the old `A/B`) can be met with the
/// allowed licences.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { tokens: &tokens, allowed };
    reader.any().unwrap_or(false) && reader.tokens.is_empty()
}

/// Reads an expression from its front; `None` if it is not one.
struct Reader<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl Reader<'_> {
    fn any(&mut self) -> Option<bool> {
        let mut result = self.all()?;
        while self.accept("OR") {
            result |= self.all()?;
        }
        Some(result)
    }

    fn all(&mut self) -> Option<bool> {
        let mut result = self.one()?;
        while self.accept("AND") {
            result &= self.one()?;
        }
        Some(result)
    }

    fn one(&mut self) -> Option<bool> {
        if self.accept("(") {
            let result = self.any()?;
            return self.accept(")").then_some(result);
        }
        let (name, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        let mut licence = (*name).to_owned();
        if self.accept("WITH") {
            let (exception, rest) = self.tokens.split_first()?;
            self.tokens = rest;
            licence = format!("{licence} WITH {exception}");
        }
        Some(self.allowed.contains(&licence.as_str()))
    }

    fn accept(&mut self, word: &str) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if *first == word => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_understood() {
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        let permitted = |expression| permits(expression, &allowed);
        assert!(permitted("MIT"));
        assert!(permitted("GPL-3.0 OR MIT"));
        assert!(permitted("GPL-3.0/MIT"));
        assert!(permitted("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(permitted("Apache-2.0 WITH LLVM-exception"));
        assert!(!permitted("GPL-3.0"));
        assert!(!permitted("MIT AND GPL-3.0"));
        assert!(!permitted("(MIT OR GPL-3.0"));
        assert!(!permitted(""));
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_found() {
        let mut project = Project::of(&[(LIST, "[licenses]\nallow = [\n  \"MIT\",\n]\n")]);
        project.packages = vec![
            serde_json::json!({"name": "a", "version": "1.0.0", "license": "MIT"}),
            serde_json::json!({"name": "b", "version": "1.0.0", "license": "GPL-3.0"}),
            serde_json::json!({"name": "c", "version": "1.0.0", "license": null}),
        ];
        let messages: Vec<String> = check(&project).into_iter().map(|f| f.message).collect();
        assert_eq!(messages, ["`b` 1.0.0 has the licence `GPL-3.0`", "`c` 1.0.0 names no licence"]);
    }
}
