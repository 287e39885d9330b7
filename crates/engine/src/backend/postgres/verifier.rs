//! Whether a server's certificate is trusted, by libpq's rules.
//!
//! Three kinds of certificate that libpq accepts and webpki does not are judged here: one that is
//! itself in the file of trusted roots (self-made, often marked as an authority), one that has its
//! host in the common name only, and one of version 1 that a root has signed directly.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, RootCertStore, SignatureScheme,
};

use super::certificate::Certificate;

/// Certificates that are believed.
#[derive(Debug)]
pub(super) struct Roots {
    store: RootCertStore,
    whole: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Takes the certificates that can be authorities; those that cannot be read are left out.
    pub(super) fn new(whole: Vec<CertificateDer<'static>>) -> Roots {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(whole.iter().cloned());
        Roots { store, whole }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }
}

/// What is asked of the server's certificate.
#[derive(Debug)]
pub(super) enum Demand {
    /// Nothing: the connection is encrypted, and nobody knows to whom it leads.
    Nothing,
    /// It comes from one of the roots.
    Chain(Roots),
    /// It comes from one of the roots and names the host that was asked for.
    ChainAndName(Roots),
}

#[derive(Debug)]
pub(super) struct Verifier {
    demand: Demand,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(demand: Demand, algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier { demand, algorithms }
    }

    fn check_chain(
        &self,
        roots: &Roots,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let read = Certificate::read(der);
        if let Some(certificate) = read
            && (certificate.is_v1 || roots.whole.iter().any(|root| root == der))
        {
            return self.check_directly(roots, der, &certificate, now);
        }
        let parsed = ParsedCertificate::try_from(der)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &roots.store,
            intermediates,
            now,
            algorithms,
        )
    }

    /// A certificate that is a root, or that a root has signed without any other between them.
    fn check_directly(
        &self,
        roots: &Roots,
        der: &CertificateDer<'_>,
        certificate: &Certificate<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let (from, until) = certificate.validity;
        if seconds < from {
            return Err(CertificateError::NotValidYet.into());
        }
        if seconds > until {
            return Err(CertificateError::Expired.into());
        }
        let is_root = roots.whole.iter().any(|root| root == der);
        let signed = || {
            roots.whole.iter().filter_map(|root| Certificate::read(root)).any(|root| {
                root.subject == certificate.issuer
                    && certificate.is_signed_by(&root, self.algorithms.all)
            })
        };
        if is_root || signed() { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
    }

    /// The algorithms that a handshake's signature scheme may mean.
    fn schemes(
        &self,
        scheme: SignatureScheme,
    ) -> Result<&[&'static dyn SignatureVerificationAlgorithm], Error> {
        let found = self.algorithms.mapping.iter().find(|(known, _)| *known == scheme);
        found
            .map(|(_, algorithms)| *algorithms)
            .ok_or_else(|| PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.demand {
            Demand::Nothing => {}
            Demand::Chain(roots) => self.check_chain(roots, end_entity, intermediates, now)?,
            Demand::ChainAndName(roots) => {
                self.check_chain(roots, end_entity, intermediates, now)?;
                check_name(end_entity, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // Whoever shows a certificate must hold its key, even where the certificate itself is not
    // looked at: channel binding rests on it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match Certificate::read(cert).filter(|certificate| certificate.is_v1) {
            Some(certificate) => {
                check_signature(&certificate, message, dss, self.schemes(dss.scheme)?)
            }
            None => verify_tls12_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match Certificate::read(cert).filter(|certificate| certificate.is_v1) {
            Some(certificate) if allowed_in_tls13(dss.scheme) => {
                // The first algorithm of a scheme is the one that TLS 1.3 means.
                let schemes = self.schemes(dss.scheme)?;
                check_signature(&certificate, message, dss, schemes.get(..1).unwrap_or_default())
            }
            Some(_) => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
            None => verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn check_signature(
    certificate: &Certificate<'_>,
    message: &[u8],
    dss: &DigitallySignedStruct,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<HandshakeSignatureValid, Error> {
    if certificate.has_signed(message, dss.signature(), algorithms) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// RFC 8446 4.2.3: no PKCS#1 v1.5 and no SHA-1 in the handshake.
fn allowed_in_tls13(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::ED25519
            | SignatureScheme::ED448
    )
}

/// The common name counts only where the certificate names no host in an extension.
fn check_name(der: &CertificateDer<'_>, server_name: &ServerName<'_>) -> Result<(), Error> {
    let alone = Certificate::read(der).filter(|certificate| !certificate.names_hosts);
    let Some(certificate) = alone else {
        return verify_server_name(&ParsedCertificate::try_from(der)?, server_name);
    };
    let host = server_name.to_str();
    let name = certificate.common_name.unwrap_or_default();
    if common_name_matches(&name, &host) {
        return Ok(());
    }
    let expected = server_name.to_owned();
    Err(CertificateError::NotValidForNameContext { expected, presented: vec![name] }.into())
}

/// libpq's comparison: a star stands for the whole first label, and only there.
fn common_name_matches(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return !name.is_empty();
    }
    let Some(domain) = name.strip_prefix("*.").filter(|domain| !domain.is_empty()) else {
        return false;
    };
    host.split_once('.').is_some_and(|(label, rest)| {
        !label.is_empty()
            && rest.eq_ignore_ascii_case(domain)
            && host.parse::<std::net::IpAddr>().is_err()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_match_as_in_libpq() {
        for (name, host, same) in [
            ("db.example.com", "DB.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.0.0.1", "127.0.0.1", false),
            ("*", "localhost", false),
            ("", "", false),
        ] {
            assert_eq!(common_name_matches(name, host), same, "{name} {host}");
        }
    }
}
