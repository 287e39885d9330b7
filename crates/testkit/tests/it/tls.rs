//! The TLS clusters are what they say, judged by libpq.

use std::process::Command;

use whimbrel_testkit::database::TlsCluster;
use whimbrel_testkit::servers::{ENCRYPTED_ONLY_ROLE, PLAIN_ONLY_ROLE, ROLE, TlsKind};

/// Whether the session is encrypted, or the error.
fn psql(url: &str) -> Result<String, String> {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let output = Command::new("psql").args(["-X", "-A", "-t", "-d", url, "-c", sql]).output();
    let output = output.unwrap();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn refused(url: &str, reason: &str) {
    let error = psql(url).expect_err("libpq must refuse");
    assert!(error.contains(reason), "{error}");
}

#[test]
fn a_good_certificate_passes_every_check() {
    let Some(cluster) = TlsCluster::of(TlsKind::Good) else { return };
    assert_eq!(psql(&cluster.verify_full(&cluster.ca)).unwrap(), "t");
    assert_eq!(psql(&cluster.url_with("sslmode=disable")).unwrap(), "f");
    assert_eq!(psql(&cluster.url_with("sslmode=require&channel_binding=require")).unwrap(), "t");
    refused(&cluster.verify_full(&cluster.other_ca), "certificate verify failed");
}

#[test]
fn an_expired_certificate_is_refused_by_who_looks() {
    let Some(cluster) = TlsCluster::of(TlsKind::Expired) else { return };
    refused(&cluster.verify_full(&cluster.ca), "certificate verify failed");
    // libpq does not say why; the only thing wrong is the time.
    let certificate = cluster.ca.with_file_name("expired.pem");
    let verifies = |flag: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["verify", flag, "-CAfile"]).arg(&cluster.ca).arg(&certificate);
        openssl.output().unwrap().status.success()
    };
    assert!(verifies("-no_check_time") && !verifies("-x509_strict"));
    assert_eq!(psql(&cluster.url_with("sslmode=require&sslrootcert=/nowhere")).unwrap(), "t");
}

#[test]
fn a_wrong_name_is_refused_by_verify_full_only() {
    let Some(cluster) = TlsCluster::of(TlsKind::WrongName) else { return };
    refused(&cluster.verify_full(&cluster.ca), "does not match host name");
    let lesser = cluster.verify_full(&cluster.ca).replace("verify-full", "verify-ca");
    assert_eq!(psql(&lesser).unwrap(), "t");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(cluster) = TlsCluster::of(TlsKind::NoTls) else { return };
    refused(&cluster.url_with("sslmode=require"), "server does not support SSL");
    assert_eq!(psql(&cluster.url_with("sslmode=prefer")).unwrap(), "f");
}

#[test]
fn two_roles_make_allow_and_prefer_fall_back() {
    let Some(cluster) = TlsCluster::of(TlsKind::Good) else { return };
    let url = |role: &str, mode: &str| {
        let url = cluster.url_with(&format!("sslmode={mode}"));
        url.replacen(&format!("//{ROLE}:"), &format!("//{role}:"), 1)
    };
    assert_eq!(psql(&url(ENCRYPTED_ONLY_ROLE, "allow")).unwrap(), "t");
    assert_eq!(psql(&url(PLAIN_ONLY_ROLE, "prefer")).unwrap(), "f");
    assert!(psql(&url(ENCRYPTED_ONLY_ROLE, "disable")).is_err());
    assert!(psql(&url(PLAIN_ONLY_ROLE, "require")).is_err());
}
