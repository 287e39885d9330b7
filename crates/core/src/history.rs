//! The history tables of other tools that are kept true beside the ledger.

/// Where another tool remembers what it has applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryTable {
    /// `d1_migrations(id, name, applied_at)`, under whatever name the project gives it.
    Wrangler {
        /// The table's name.
        table: String,
    },
    /// `supabase_migrations.schema_migrations(version, name, statements)`.
    Supabase,
}
