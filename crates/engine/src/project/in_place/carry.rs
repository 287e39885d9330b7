//! The rows of the ledger that a restore in place carries over, between two sessions.

use std::collections::BTreeSet;

use crate::backend::{Row, Session};
use crate::error::EngineError;
use crate::ledger::{Ledger, columns_of};

/// Ledger tables whose rows a restore carries over, with what tells two rows apart.
pub(super) const CARRIED: [(&str, &str); 3] = [
    ("runs", "run_id, event, at_ms"),
    ("audit", "run_id, action, detail, at_ms"),
    ("backups", "backup_id, event, at_ms"),
];
/// Rows that one statement writes.
const ROWS_AT_ONCE: usize = 100;

/// Copies the rows of the present ledger that the other one does not have. In the transaction that
/// is open in `to`.
pub(super) async fn carry(
    ledger: &Ledger,
    from: &mut dyn Session,
    to: &mut dyn Session,
) -> Result<(), EngineError> {
    for (name, key) in CARRIED {
        let (table, columns) = (ledger.table(name), columns_of(name));
        let key: Vec<&str> = key.split(", ").collect();
        let at: Vec<usize> =
            key.iter().filter_map(|one| columns.iter().position(|column| column == one)).collect();
        let key_of = |row: &Row| -> Row {
            at.iter().map(|index| row.get(*index).cloned().flatten()).collect()
        };
        let columns = columns.join(", ");
        let sql = format!("SELECT {columns} FROM {table} ORDER BY seq");
        let there: BTreeSet<Row> = to.query(&sql).await?.iter().map(key_of).collect();
        let mut missing = from.query(&sql).await?;
        missing.retain(|row| !there.contains(&key_of(row)));
        let literal = |value: &Option<String>| {
            value.as_ref().map_or_else(|| "NULL".to_owned(), |value| ledger.quote(value))
        };
        let values =
            |row: &Row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", "));
        for some in missing.chunks(ROWS_AT_ONCE) {
            let rows: Vec<String> = some.iter().map(values).collect();
            let sql = format!("INSERT INTO {table} ({columns}) VALUES {}", rows.join(", "));
            to.batch(&sql).await?;
        }
    }
    Ok(())
}
