//! Which paths are migrations, as a glob: `*` within a name, `?` one character, `**` any folders.

/// A pattern of paths below the folder of migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<String>,
}

impl Pattern {
    /// Folders below which nobody keeps migrations; bounds what `**` may cost.
    const DEPTH_MAX: usize = 8;

    /// Reads a pattern; `None` for one that is empty, leads upwards, or uses `[...]` or `{...}`.
    pub fn parse(text: &str) -> Option<Pattern> {
        let segments: Vec<String> = text.split('/').map(str::to_owned).collect();
        let strange = |segment: &String| {
            segment.is_empty()
                || segment == ".."
                || segment.contains(['[', ']', '{', '}', '!', '\\'])
                || (segment.contains("**") && segment != "**")
        };
        let valid = segments.len() <= Pattern::DEPTH_MAX && !segments.iter().any(strange);
        valid.then_some(Pattern { segments })
    }

    /// How many folders deep a match can lie; 1 is the folder itself.
    pub fn depth_max(&self) -> usize {
        let any = self.segments.iter().any(|segment| segment == "**");
        if any { Pattern::DEPTH_MAX } else { self.segments.len() }
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let matches = |pattern: &String, name: &&str| {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            wild(&characters(pattern), &characters(name), |c| *c == '*', |p, c| *p == '?' || p == c)
        };
        wild(&self.segments, &names, |segment| segment == "**", matches)
    }
}

/// Matches a list against a pattern in which `any` stands for any number of items.
///
/// Only the last wildcard is ever tried again, so this takes at most pattern times items steps.
fn wild<P, T>(
    pattern: &[P],
    items: &[T],
    any: impl Fn(&P) -> bool,
    one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut i) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), items.get(i)) {
            (None, None) => return true,
            (Some(wildcard), _) if any(wildcard) => {
                retry = Some((p, i));
                p += 1;
                continue;
            }
            (Some(single), Some(item)) if one(single, item) => {
                (p, i) = (p + 1, i + 1);
                continue;
            }
            _ => {}
        }
        match retry {
            Some((at, from)) if from < items.len() => {
                retry = Some((at, from + 1));
                (p, i) = (at + 1, from + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match() {
        for (pattern, path, want) in [
            ("*.sql", "0001_a.sql", true),
            ("*.sql", ".sql", true),
            ("*.sql", "a/b.sql", false),
            ("*/migration.sql", "0001_a/migration.sql", true),
            ("*/migration.sql", "migration.sql", false),
            ("**/*.sql", "a.sql", true),
            ("**/*.sql", "a/b/c.sql", true),
            ("**/x/*.sql", "a/x/x/c.sql", true),
            ("00??_*_*.sql", "0012_a_b.sql", true),
            ("00??_*_*.sql", "0012_a.sql", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(path), want, "{pattern} {path}");
        }
        for pattern in ["", "a//b", "../*.sql", "[0-9]*.sql", "{a,b}.sql", "a**.sql"] {
            assert_eq!(Pattern::parse(pattern), None, "{pattern}");
        }
        assert_eq!(Pattern::parse("*/migration.sql").unwrap().depth_max(), 2);
        assert_eq!(Pattern::parse("**/*.sql").unwrap().depth_max(), 8);
    }
}
