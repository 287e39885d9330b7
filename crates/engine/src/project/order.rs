//! Whether a migration may be applied behind others that come after it.

use whimbrel_core::plan::PlannedMigration;

use super::Project;
use super::load::Picture;
use crate::error::{EngineError, Problem};

impl Project {
    /// A pending migration may come before applied ones only if they touch nothing in common.
    pub(super) fn check_order(
        &self,
        picture: &Picture,
        plan: &[PlannedMigration],
    ) -> Result<(), EngineError> {
        let dialect = self.ledger.dialect;
        for planned in plan {
            let index = picture.compared.iter().position(|one| one.name == planned.name);
            let later = picture.compared.iter().skip(index.unwrap_or(usize::MAX).saturating_add(1));
            for other in later.filter(|one| one.state.is_applied()) {
                let Some(file) = picture.files.directory.get(&other.name) else { continue };
                let Ok(applied) = self.plan_up(file) else { continue };
                let Some(object) = common_object(planned, &applied, dialect) else { continue };
                return Err(EngineError::Files(vec![Problem {
                    path: planned.path.clone(),
                    place: None,
                    message: format!(
                        "`{}` is pending, comes before `{}`, which is applied, and both touch `{object}`",
                        planned.name, other.name
                    ),
                    hint: Some(
                        "Give it a number after the applied ones, or run `whimbrel up \
                         --out-of-order` if the order does not matter"
                            .to_owned(),
                    ),
                }]));
            }
        }
        Ok(())
    }
}

/// An object that both migrations touch.
fn common_object(
    one: &PlannedMigration,
    other: &PlannedMigration,
    dialect: whimbrel_core::sql::dialect::Dialect,
) -> Option<String> {
    let theirs: Vec<_> =
        other.changes.iter().flatten().flat_map(whimbrel_core::ddl::Change::touches).collect();
    one.changes.iter().flatten().flat_map(whimbrel_core::ddl::Change::touches).find_map(
        |(_, name)| {
            theirs.iter().any(|(_, their)| name.matches(their, dialect)).then(|| name.to_string())
        },
    )
}
