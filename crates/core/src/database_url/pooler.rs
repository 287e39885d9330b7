//! Addresses of connection poolers, told by host and port alone.
//!
//! A pooler in transaction mode gives each transaction another server session: settings, locks and
//! prepared statements do not last. The direct address has none of these traps.

use super::postgres::{HostAddress, PgUrl};

/// A URL that leads to a pooler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolerHint {
    /// Whose pooler it is, for messages.
    pub pooler: &'static str,
    /// What a session is worth behind it.
    pub mode: PoolerMode,
    /// The database's own `host:port`, where it can be derived.
    pub direct: Option<String>,
    /// The user at the direct address, where it differs.
    pub direct_user: Option<String>,
}

/// How long a client keeps its server session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolerMode {
    /// For one transaction.
    Transaction,
    /// For the whole connection.
    Session,
}

/// The port on which Supabase's poolers speak transaction mode.
const TRANSACTION_PORT: u16 = 6543;

pub(super) fn hint(url: &PgUrl) -> Option<PoolerHint> {
    url.hosts.iter().find_map(|host| {
        let HostAddress::Tcp(name) = &host.address else { return None };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let transaction = host.port == TRANSACTION_PORT;
        if name.ends_with(".pooler.supabase.com") {
            return Some(supavisor(url, transaction));
        }
        if let Some(direct) = neon_direct(&name) {
            let direct = Some(format!("{direct}:{}", host.port));
            let mode = PoolerMode::Transaction;
            return Some(PoolerHint { pooler: "Neon's pooler", mode, direct, direct_user: None });
        }
        transaction.then(|| {
            let supabase = name.starts_with("db.") && name.ends_with(".supabase.co");
            let pooler = if supabase { "Supabase's PgBouncer" } else { "a pooler on port 6543" };
            let direct = supabase.then(|| format!("{name}:5432"));
            PoolerHint { pooler, mode: PoolerMode::Transaction, direct, direct_user: None }
        })
    })
}

/// The project's reference stands in the user name: `postgres.<ref>`.
fn supavisor(url: &PgUrl, transaction: bool) -> PoolerHint {
    let mode = if transaction { PoolerMode::Transaction } else { PoolerMode::Session };
    let named = url.user.as_deref().and_then(|user| user.rsplit_once('.'));
    let named = named.filter(|(user, reference)| {
        !user.is_empty()
            && !reference.is_empty()
            && reference.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    PoolerHint {
        pooler: "Supabase's Supavisor",
        mode,
        direct: named.map(|(_, reference)| format!("db.{reference}.supabase.co:5432")),
        direct_user: named.map(|(user, _)| user.to_owned()),
    }
}

/// Neon's pooled host has `-pooler` at the end of its first label.
fn neon_direct(host: &str) -> Option<String> {
    let (label, domain) = host.split_once('.')?;
    let label = label.strip_suffix("-pooler").filter(|label| !label.is_empty())?;
    Some(format!("{label}.{domain}"))
}
