//! How PostgreSQL's own programs are told the way to a database: by libpq's variables
//! (postgresql.org/docs/current/libpq-envars.html).

use whimbrel_core::database_url::{
    ChannelBinding, HostAddress, PgUrl, RootCertificate, TargetSession,
};
use whimbrel_core::secret::Secret;

use crate::backend::ProgramAccess;

pub(super) fn access(url: &PgUrl) -> Result<ProgramAccess, String> {
    if url.sslpassword.is_some() {
        return Err(
            "`sslpassword` cannot be handed to pg_dump: use a key without a password".to_owned()
        );
    }
    let mut variables: Vec<(&'static str, Option<String>)> = Vec::new();
    let list = |of: &dyn Fn(usize) -> String| {
        let all: Vec<String> = (0..url.hosts.len()).map(of).collect();
        let said = all.iter().any(|one| !one.is_empty());
        said.then(|| all.join(","))
    };
    let host = |at: usize| match url.hosts.get(at).map(|host| &host.address) {
        Some(HostAddress::Tcp(name) | HostAddress::Unix(name)) => name.clone(),
        Some(HostAddress::Default) | None => String::new(),
    };
    let address =
        |at: usize| url.hosts.get(at).and_then(|host| host.hostaddr.clone()).unwrap_or_default();
    let port = |at: usize| url.hosts.get(at).map(|host| host.port.to_string()).unwrap_or_default();
    variables.push(("PGHOST", list(&host)));
    variables.push(("PGHOSTADDR", list(&address)));
    variables.push(("PGPORT", list(&port)));
    variables.push(("PGUSER", url.user.clone()));
    variables.push(("PGDATABASE", url.database.clone()));
    variables.push(("PGSSLMODE", Some(url.sslmode.name().to_owned())));
    let root = url.sslrootcert.as_ref().map(|root| match root {
        RootCertificate::System => "system".to_owned(),
        RootCertificate::File(path) => path.clone(),
    });
    variables.push(("PGSSLROOTCERT", root));
    variables.push(("PGSSLCERT", url.sslcert.clone()));
    variables.push(("PGSSLKEY", url.sslkey.clone()));
    variables.push(("PGSSLNEGOTIATION", url.direct_tls.then(|| "direct".to_owned())));
    let binding = match url.channel_binding {
        ChannelBinding::Disable => "disable",
        ChannelBinding::Prefer => "prefer",
        ChannelBinding::Require => "require",
    };
    variables.push(("PGCHANNELBINDING", Some(binding.to_owned())));
    variables.push(("PGOPTIONS", url.options.clone()));
    let name = url.application_name.as_deref().unwrap_or("whimbrel");
    variables.push(("PGAPPNAME", Some(name.to_owned())));
    let timeout = url.connect_timeout_s.map(|seconds| seconds.to_string());
    variables.push(("PGCONNECT_TIMEOUT", timeout));
    let role = match url.target_session {
        TargetSession::Any => None,
        TargetSession::ReadWrite => Some("read-write"),
        TargetSession::ReadOnly => Some("read-only"),
        TargetSession::Primary => Some("primary"),
        TargetSession::Standby => Some("standby"),
        TargetSession::PreferStandby => Some("prefer-standby"),
    };
    variables.push(("PGTARGETSESSIONATTRS", role.map(str::to_owned)));
    let mut environment: Vec<(&'static str, Secret)> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name, Secret::new(value?))))
        .collect();
    environment.extend(url.password.clone().map(|password| ("PGPASSWORD", password)));
    Ok(ProgramAccess { arguments: Vec::new(), environment })
}
