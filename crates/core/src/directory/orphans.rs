//! Companions whose migration is not there, and which one may have been meant.

use std::collections::{HashMap, HashSet};

use super::Directory;
use super::issue::{DirectoryIssue, IssueCode, shown};
use crate::config::nearest;
use crate::migration::{Kind, Number};

/// Stems compared letter by letter for one hint: thousands of orphans must not cost quadratic time.
const CANDIDATES_MAX: usize = 20;

/// Says of each companion in `lost` (its stem, kind and path) that it belongs to nothing.
pub(super) fn orphans(
    directory: &Directory,
    lost: Vec<((String, Kind), String)>,
) -> Vec<DirectoryIssue> {
    if lost.is_empty() {
        return Vec::new();
    }
    let known: HashSet<(&str, Kind)> = directory.ids().map(|id| (id.stem(), id.kind)).collect();
    // Only stems of the same number or of the same name are likely to be meant.
    let mut alike: HashMap<(String, Kind), Vec<&str>> = HashMap::new();
    for id in directory.ids() {
        for key in keys(id.stem()) {
            alike.entry((key, id.kind)).or_default().push(id.stem());
        }
    }
    lost.into_iter()
        // The companion of a file that cannot be read is no orphan.
        .filter(|((stem, kind), _)| !known.contains(&(stem.as_str(), *kind)))
        .map(|((stem, kind), path)| {
            let message = format!("`{}` belongs to no migration", shown(&path));
            let issue = DirectoryIssue::error(IssueCode::OrphanCompanion, &path, message);
            let (other_kind, what) = match kind {
                Kind::Schema => (Kind::Data, "a data migration: put `.data` before the last part"),
                Kind::Data => (Kind::Schema, "a schema migration: leave out `.data`"),
            };
            if known.contains(&(stem.as_str(), other_kind)) {
                return issue.hinted(format!("Its migration is {what}"));
            }
            let candidates: Vec<&str> = keys(&stem)
                .into_iter()
                .filter_map(|key| alike.get(&(key, kind)))
                .flatten()
                .take(CANDIDATES_MAX)
                .copied()
                .collect();
            match nearest(&stem, candidates.iter().copied()).or(candidates.first().copied()) {
                Some(near) => issue.hinted(format!("Did you mean `{}`?", shown(near))),
                None => issue.hinted("Name it like its migration, or move it out of the folder"),
            }
        })
        .collect()
}

/// The number by its value, and what follows it.
fn keys(stem: &str) -> Vec<String> {
    let number = Number::leading(stem);
    let name = stem.get(number.digits().len()..).unwrap_or("").to_owned();
    [number.value().to_owned(), name].into_iter().filter(|key| !key.is_empty()).collect()
}
