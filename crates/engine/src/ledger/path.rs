//! Keeping the ledger's schema off PostgreSQL's search path.
//!
//! `"$user"` is the first entry of the path, so a role that is named `whimbrel` would make the
//! tables of the migrations in the schema of that name, among those of the ledger, as soon as the
//! ledger is there.

macro_rules! without_own_schema {
    ($local:literal) => {
        concat!(
            "SELECT pg_catalog.set_config('search_path', pg_catalog.regexp_replace(\
             pg_catalog.current_setting('search_path'), '\"[$]user\"(, *)?', ''), ",
            $local,
            ") WHERE current_user = 'whimbrel'"
        )
    };
}

/// For the session, until its settings are reset.
#[cfg(feature = "postgres")]
pub(crate) const FOR_SESSION: &str = without_own_schema!("false");
/// For the transaction; this is all that a pooler leaves.
pub(crate) const FOR_TRANSACTION: &str = without_own_schema!("true");
/// Opens the transaction of a batch.
pub(super) const BEGIN_BATCH: &str =
    concat!("BEGIN ISOLATION LEVEL READ COMMITTED; ", without_own_schema!("true"));
/// Opens a transaction of ours.
pub(super) const BEGIN: &str = concat!("BEGIN; ", without_own_schema!("true"));
