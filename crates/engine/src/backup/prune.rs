//! What goes from a place of backups.

use std::collections::BTreeSet;

use whimbrel_core::backup::{BackupId, Keep, Kept, Manifest, expired};

use super::store::open;
use super::{BackupLine, BackupPlace};
use crate::error::EngineError;

/// Backups that may go, and what killed processes have left.
#[derive(Clone, Debug, Default)]
pub struct PrunePlan {
    /// Backups that have expired and are not kept in any case, oldest first.
    pub backups: Vec<Manifest>,
    /// Where unfinished work lies that no process holds.
    pub remains: Vec<String>,
}

impl PrunePlan {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.remains.is_empty()
    }

    /// Bytes of the backups that would go.
    pub fn bytes(&self) -> u64 {
        self.backups.iter().map(Manifest::stored_bytes).fold(0, u64::saturating_add)
    }
}

/// What may go at `now_ms`; `keep_count` of the newest verified backups of each database stay. A
/// damaged one stays: nobody can say whether it has expired.
pub(crate) fn plan(
    lines: &[BackupLine],
    place: &BackupPlace,
    keep_count: u64,
    now_ms: i64,
) -> Result<PrunePlan, EngineError> {
    let keep = Keep { count_min: usize::try_from(keep_count).unwrap_or(usize::MAX) };
    let manifest = |line: &BackupLine| line.manifest.as_ref().ok().cloned();
    let databases: BTreeSet<Option<String>> =
        lines.iter().filter_map(|line| manifest(line).map(|one| one.database_id)).collect();
    let mut backups = Vec::new();
    for database in databases {
        let of_it: Vec<(Manifest, bool)> = lines
            .iter()
            .filter_map(|line| Some((manifest(line)?, line.verified_ms.is_some())))
            .filter(|(one, _)| one.database_id == database)
            .collect();
        let facts: Vec<Kept> = of_it
            .iter()
            .map(|(one, verified)| Kept {
                created_ms: one.created_ms,
                expires_ms: one.expires_ms,
                verified: *verified,
            })
            .collect();
        let goes = expired(&facts, keep, now_ms);
        backups.extend(std::iter::zip(of_it, goes).filter(|(_, goes)| *goes).map(|(one, _)| one.0));
    }
    backups.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(PrunePlan { backups, remains: open(place)?.remains()? })
}

/// Removes one backup.
pub(crate) fn remove(place: &BackupPlace, id: &str) -> Result<(), EngineError> {
    let Some(id) = BackupId::parse(id) else {
        return Err(EngineError::NotFound(format!("There is no backup `{id}`")));
    };
    open(place)?.remove(&id)
}

/// Removes what killed processes have left, if nobody has come for it since.
pub(crate) fn clean(place: &BackupPlace, remains: &[String]) -> Result<(), EngineError> {
    let store = open(place)?;
    remains.iter().try_for_each(|one| store.clean(one))
}
