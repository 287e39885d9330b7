//! The parameters of a PostgreSQL URL: one table, libpq's names.

use super::UrlError;
use super::postgres::{ChannelBinding, PgSslMode, RawPg, RootCertificate, TargetSession};
use crate::secret::Secret;

/// What a parameter does.
pub(super) enum Effect {
    /// Its value is kept as it is.
    Keep(fn(&mut RawPg, &str)),
    /// Its value is read and kept.
    Set(fn(&mut RawPg, &str) -> Result<(), UrlError>),
    /// It has no meaning here, and leaving it out changes nothing.
    Ignored,
    /// It would change what is asked for; the text says what to do instead.
    Refused(&'static str),
}

use Effect::{Ignored, Keep, Refused, Set};

const PRISMA: &str = "It is a parameter of Prisma: remove it, and use the direct URL";
const SERVICE: &str = "Service and password files are not read: write the values into the URL";
const KERBEROS: &str = "Kerberos is not supported: use a password or a client certificate";

/// Every parameter that is known, with what it does.
pub(super) const PARAMETERS: &[(&str, Effect)] = &[
    ("host", Keep(|url, value| url.host = value.to_owned())),
    ("hostaddr", Keep(|url, value| url.hostaddr = value.to_owned())),
    ("port", Keep(|url, value| url.port = value.to_owned())),
    ("dbname", Keep(|url, value| url.url.database = text(value))),
    ("user", Keep(|url, value| url.url.user = text(value))),
    ("password", Keep(|url, value| url.url.password = text(value).map(Secret::new))),
    ("sslmode", Set(set_sslmode)),
    ("ssl", Set(set_ssl)),
    ("sslrootcert", Set(set_sslrootcert)),
    ("sslcert", Keep(|url, value| url.url.sslcert = text(value))),
    ("sslkey", Keep(|url, value| url.url.sslkey = text(value))),
    ("sslpassword", Keep(|url, value| url.url.sslpassword = text(value).map(Secret::new))),
    ("channel_binding", Set(set_channel_binding)),
    ("options", Keep(|url, value| url.url.options = text(value))),
    ("application_name", Keep(|url, value| url.url.application_name = text(value))),
    ("fallback_application_name", Ignored),
    ("connect_timeout", Set(set_connect_timeout)),
    ("target_session_attrs", Set(set_target_session)),
    ("load_balance_hosts", Set(set_load_balance)),
    ("keepalives", Set(set_keepalives)),
    ("keepalives_idle", Set(set_keepalives_idle)),
    ("keepalives_interval", Set(set_keepalives_interval)),
    ("keepalives_count", Set(set_keepalives_count)),
    ("tcp_user_timeout", Set(set_tcp_user_timeout)),
    ("client_encoding", Set(set_client_encoding)),
    ("gssencmode", Ignored),
    ("gssdelegation", Ignored),
    ("gsslib", Ignored),
    ("krbsrvname", Ignored),
    ("sslsni", Ignored),
    ("sslcompression", Ignored),
    ("sslnegotiation", Set(set_sslnegotiation)),
    ("sslcrl", Refused("Revocation lists are not read: remove it")),
    ("sslcrldir", Refused("Revocation lists are not read: remove it")),
    ("ssl_min_protocol_version", Set(set_tls_minimum)),
    ("ssl_max_protocol_version", Refused("TLS 1.2 and 1.3 are always offered: remove it")),
    ("requirepeer", Refused("The owner of a socket is not looked at: remove it")),
    ("require_auth", Refused("The way of authentication cannot be pinned: remove it")),
    ("requiressl", Refused("Write `sslmode=require`")),
    ("replication", Refused("A replication connection cannot run migrations: remove it")),
    ("service", Refused(SERVICE)),
    ("servicefile", Refused(SERVICE)),
    ("passfile", Refused(SERVICE)),
    ("gssapi", Refused(KERBEROS)),
    ("schema", Refused("It is a parameter of Prisma: write `options=-c%20search_path%3Dname`")),
    ("pgbouncer", Refused(PRISMA)),
    ("connection_limit", Refused(PRISMA)),
    ("pool_timeout", Refused(PRISMA)),
    ("sslaccept", Refused("It is a parameter of Prisma: write `sslmode`")),
    ("sslidentity", Refused("It is a parameter of Prisma: write `sslcert` and `sslkey`")),
    ("search_path", Refused("Write `options=-c%20search_path%3Dname`")),
    ("statement_timeout", Refused("Set `statement-timeout` in whimbrel.toml")),
    ("lock_timeout", Refused("Set `lock-timeout` in whimbrel.toml")),
    ("pool", Refused("It is a parameter of Rails: remove it")),
    ("encoding", Refused("The client's encoding is always UTF-8: remove it")),
];

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn invalid<T>(name: &'static str, allowed: &'static str) -> Result<T, UrlError> {
    Err(UrlError::InvalidValue { name, allowed })
}

fn set_sslmode(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match PgSslMode::ALL.iter().find(|mode| mode.name() == value) {
        Some(mode) => url.sslmode = Some(*mode),
        None => {
            return invalid(
                "sslmode",
                "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`",
            );
        }
    }
    Ok(())
}

/// JDBC's `ssl=true`, which libpq takes for `sslmode=require`.
fn set_ssl(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match value {
        "true" => url.sslmode = Some(PgSslMode::Require),
        _ => return invalid("ssl", "`true`; `sslmode` has the other choices"),
    }
    Ok(())
}

fn set_sslrootcert(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.sslrootcert = match value {
        "" => None,
        "system" => Some(RootCertificate::System),
        path => Some(RootCertificate::File(path.to_owned())),
    };
    Ok(())
}

fn set_channel_binding(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.channel_binding = match value {
        "disable" => ChannelBinding::Disable,
        "prefer" => ChannelBinding::Prefer,
        "require" => ChannelBinding::Require,
        _ => return invalid("channel_binding", "`disable`, `prefer` or `require`"),
    };
    Ok(())
}

fn set_connect_timeout(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.connect_timeout_s = match value.trim().parse::<i32>() {
        // Zero and less mean "no limit", as in libpq.
        Ok(seconds) => u32::try_from(seconds).ok().filter(|seconds| *seconds > 0),
        Err(_) => return invalid("connect_timeout", "a number of seconds"),
    };
    Ok(())
}

fn set_target_session(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.target_session = match value {
        "any" => TargetSession::Any,
        "read-write" => TargetSession::ReadWrite,
        "read-only" => TargetSession::ReadOnly,
        "primary" => TargetSession::Primary,
        "standby" => TargetSession::Standby,
        "prefer-standby" => TargetSession::PreferStandby,
        _ => {
            return invalid(
                "target_session_attrs",
                "`any`, `read-write`, `read-only`, `primary`, `standby` or `prefer-standby`",
            );
        }
    };
    Ok(())
}

fn set_load_balance(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match value {
        "disable" => url.url.load_balance_hosts = false,
        "random" => url.url.load_balance_hosts = true,
        _ => return invalid("load_balance_hosts", "`disable` or `random`"),
    }
    Ok(())
}

fn set_keepalives(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match value {
        "0" => url.url.keepalives = false,
        "1" => url.url.keepalives = true,
        _ => return invalid("keepalives", "`0` or `1`"),
    }
    Ok(())
}

fn seconds(name: &'static str, value: &str) -> Result<Option<u32>, UrlError> {
    match value.parse::<u32>() {
        Ok(number) => Ok(Some(number).filter(|number| *number > 0)),
        Err(_) => invalid(name, "a whole number"),
    }
}

fn set_keepalives_idle(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.keepalives_idle_s = seconds("keepalives_idle", value)?;
    Ok(())
}

fn set_keepalives_interval(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.keepalives_interval_s = seconds("keepalives_interval", value)?;
    Ok(())
}

fn set_keepalives_count(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.keepalives_count = seconds("keepalives_count", value)?;
    Ok(())
}

fn set_tcp_user_timeout(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    url.url.tcp_user_timeout_ms = seconds("tcp_user_timeout", value)?;
    Ok(())
}

fn set_client_encoding(_: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match value.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "auto" | "utf8" | "unicode" => Ok(()),
        _ => invalid("client_encoding", "`UTF8`: migrations are read as UTF-8"),
    }
}

fn set_sslnegotiation(url: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match value {
        "postgres" => url.url.direct_tls = false,
        "direct" => url.url.direct_tls = true,
        _ => return invalid("sslnegotiation", "`postgres` or `direct`"),
    }
    Ok(())
}

fn set_tls_minimum(_: &mut RawPg, value: &str) -> Result<(), UrlError> {
    match value {
        "TLSv1" | "TLSv1.1" | "TLSv1.2" => Ok(()),
        "TLSv1.3" => {
            let instead = "TLS 1.2 and 1.3 are always offered: remove it";
            Err(UrlError::RefusedParameter { name: "ssl_min_protocol_version", instead })
        }
        _ => invalid("ssl_min_protocol_version", "`TLSv1`, `TLSv1.1` or `TLSv1.2`"),
    }
}
