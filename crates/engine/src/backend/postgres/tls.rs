//! TLS by libpq's rules, with rustls and ring.
//!
//! Where this differs from libpq: TLS 1.2 and 1.3 only; no revocation lists; keys with a password
//! are refused; a certificate of version 1 is believed only if a root has signed it directly; a
//! root's own expiry is not looked at.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, ProtocolVersion};
use tokio_rustls::TlsConnector;
use whimbrel_core::database_url::{PgSslMode, PgUrl, RootCertificate};

use super::certificate::end_point;
use super::verifier::{Demand, Roots, Verifier};
use super::wire::Duplex;

/// What the two sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFacts {
    pub(super) version: String,
    pub(super) cipher: String,
}

/// An encrypted connection.
pub(super) struct Encrypted {
    pub(super) stream: Box<dyn Duplex>,
    pub(super) facts: TlsFacts,
    /// What the password exchange is bound to.
    pub(super) end_point: Option<Vec<u8>>,
}

/// Makes encrypted connections as a URL says.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name_counts: bool,
}

impl Tls {
    /// Reads the certificates. `home` is where libpq's default files lie.
    ///
    /// # Errors
    /// In words, if a file is missing or cannot be used.
    pub(super) fn new(url: &PgUrl, home: Option<&Path>) -> Result<Tls, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Arc::new(Verifier::new(demand(url, home)?, algorithms));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match client_certificate(url, home, &provider)? {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        if url.direct_tls {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        let name_counts = url.sslmode == PgSslMode::VerifyFull;
        Ok(Tls { config: Arc::new(config), name_counts })
    }

    /// Shakes hands with the server called `host`, which has agreed to TLS.
    pub(super) async fn encrypt(
        &self,
        socket: Box<dyn Duplex>,
        host: &str,
    ) -> io::Result<Encrypted> {
        let name = self.server_name(host)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, socket).await?;
        let (_, connection) = stream.get_ref();
        let facts = TlsFacts {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
                other => format!("{other:?}"),
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
        };
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let end_point = certificate.and_then(|der| end_point(der));
        Ok(Encrypted { stream: Box::new(stream), facts, end_point })
    }

    fn server_name(&self, host: &str) -> io::Result<ServerName<'static>> {
        match ServerName::try_from(host.trim_end_matches('.').to_owned()) {
            Ok(name) => Ok(name),
            // A name that no certificate can hold is no obstacle where names are not compared;
            // an address is never sent as SNI.
            Err(_) if !self.name_counts => Ok(ServerName::from(Ipv4Addr::UNSPECIFIED)),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// What libpq would ask of the server's certificate.
fn demand(url: &PgUrl, home: Option<&Path>) -> Result<Demand, String> {
    let asked = url.sslmode >= PgSslMode::VerifyCa;
    let file = match &url.sslrootcert {
        Some(RootCertificate::System) => {
            let found = rustls_native_certs::load_native_certs();
            let roots = Roots::new(found.certs);
            if roots.is_empty() {
                return Err("The system has no root certificates".to_owned());
            }
            return Ok(Demand::ChainAndName(roots));
        }
        Some(RootCertificate::File(path)) => Some(PathBuf::from(path)),
        None => default_file(home, "root.crt"),
    };
    let Some(file) = file.filter(|file| file.exists()) else {
        return if asked { Err(no_roots(url, home)) } else { Ok(Demand::Nothing) };
    };
    if url.sslmode < PgSslMode::Require {
        return Ok(Demand::Nothing);
    }
    let roots = Roots::new(certificates(&file)?);
    Ok(match url.sslmode {
        PgSslMode::VerifyFull => Demand::ChainAndName(roots),
        _ => Demand::Chain(roots),
    })
}

fn no_roots(url: &PgUrl, home: Option<&Path>) -> String {
    let file = match &url.sslrootcert {
        Some(RootCertificate::File(path)) => path.clone(),
        Some(RootCertificate::System) | None => default_path(home, "root.crt")
            .map_or_else(|| "~/.postgresql/root.crt".to_owned(), |path| path.display().to_string()),
    };
    format!(
        "`sslmode={}` needs a root certificate, and `{file}` does not exist; name one by \
         `sslrootcert=PATH`, or write `sslmode=verify-full&sslrootcert=system`",
        url.sslmode.name()
    )
}

fn default_path(home: Option<&Path>, name: &str) -> Option<PathBuf> {
    Some(home?.join(".postgresql").join(name))
}

fn default_file(home: Option<&Path>, name: &str) -> Option<PathBuf> {
    default_path(home, name).filter(|path| path.exists())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let read = |error: rustls::pki_types::pem::Error| format!("Cannot read `{shown}`: {error}");
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(read)?.collect();
    let found = found.map_err(read)?;
    if found.is_empty() {
        return Err(format!("`{shown}` holds no certificate in PEM"));
    }
    Ok(found)
}

/// The client's own certificate: what the URL names, else libpq's default files if both are there.
fn client_certificate(
    url: &PgUrl,
    home: Option<&Path>,
    provider: &CryptoProvider,
) -> Result<Option<CertifiedKey>, String> {
    let named = url.sslcert.as_ref().map(PathBuf::from);
    let Some(certificate) = named.or_else(|| default_file(home, "postgresql.crt")) else {
        return Ok(None);
    };
    let key = match url.sslkey.as_ref().map(PathBuf::from) {
        Some(key) => key,
        None => default_path(home, "postgresql.key").ok_or("`sslcert` needs `sslkey`")?,
    };
    check_private(&key)?;
    let shown = key.display();
    let pem = std::fs::read(&key).map_err(|error| format!("Cannot read `{shown}`: {error}"))?;
    if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
        return Err(format!(
            "The key `{shown}` has a password, which is not supported: write a copy without one by \
             `openssl pkey -in KEY -out COPY`"
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| format!("`{shown}` is no private key in PEM: {error}"))?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| format!("The key `{shown}` cannot be used: {error}"))?;
    let own = CertifiedKey::new(certificates(&certificate)?, key);
    match own.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(format!("The key `{shown}` does not belong to `{}`", certificate.display()))
        }
        // Version 1 cannot be compared here; the server does it.
        Ok(()) | Err(_) => Ok(Some(own)),
    }
}

/// As libpq: a key that others may read is no secret. Root's may be read by its group.
#[cfg(unix)]
fn check_private(key: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let shown = key.display();
    let facts = std::fs::metadata(key)
        .map_err(|error| format!("Cannot read the key `{shown}`: {error}"))?;
    let allowed = if facts.uid() == 0 { 0o640 } else { 0o600 };
    if facts.mode() & 0o777 & !allowed == 0 {
        return Ok(());
    }
    Err(format!("The key `{shown}` may be read by others: run `chmod 600 {shown}`"))
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), String> {
    Ok(())
}
