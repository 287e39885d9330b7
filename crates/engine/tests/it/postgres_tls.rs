//! `sslmode` and its companions mean what they mean to libpq.

use std::path::Path;
use std::process::Command;

use whimbrel_engine::backend::Backend;
use whimbrel_testkit::database::TlsCluster;
use whimbrel_testkit::servers::{
    ENCRYPTED_ONLY_ROLE, PLAIN_ONLY_ROLE, Postgres, ROLE, ServerCertificate, TlsKind,
};

use super::postgres::{backend, parsed, value};

const TLS_OF_SESSION: &str =
    "SELECT ssl || ' ' || coalesce(version, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// `tls`, `plain`, or the words of the refusal.
async fn outcome(url: &str) -> String {
    outcome_at_home(url, Path::new("/nonexistent")).await
}

async fn outcome_at_home(url: &str, home: &Path) -> String {
    match backend(url).with_home(home).connect().await {
        Ok(mut session) => {
            let facts = session.facts().await.unwrap();
            let (_, own) = facts.settings.iter().find(|(name, _)| name == "TLS").unwrap();
            let seen = value(&mut session, TLS_OF_SESSION).await;
            match seen.as_str() {
                "true TLSv1.3" => {
                    assert!(own.starts_with("TLS 1.3, TLS13_"), "{own}");
                    "tls".to_owned()
                }
                "false " => {
                    assert_eq!(own, "off");
                    "plain".to_owned()
                }
                other => other.to_owned(),
            }
        }
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn every_mode_with_every_certificate() {
    let kinds = [TlsKind::Good, TlsKind::Expired, TlsKind::WrongName, TlsKind::NoTls];
    const EXPIRED: &str = "certificate expired";
    const NAME: &str = "not valid for name";
    const NONE: &str = "does not offer TLS";
    let matrix = [
        ("disable", ["plain", "plain", "plain", "plain"]),
        ("allow", ["plain", "plain", "plain", "plain"]),
        ("prefer", ["tls", "tls", "tls", "plain"]),
        ("require", ["tls", "tls", "tls", NONE]),
        // With a root certificate `require` is as strict as `verify-ca`.
        ("require&ca", ["tls", EXPIRED, "tls", NONE]),
        ("verify-ca&ca", ["tls", EXPIRED, "tls", NONE]),
        ("verify-full&ca", ["tls", EXPIRED, NAME, NONE]),
    ];
    for (mode, wants) in matrix {
        for (kind, want) in kinds.into_iter().zip(wants) {
            let Some(cluster) = TlsCluster::of(kind) else { return };
            let root = format!("&sslrootcert={}", cluster.ca.display());
            let url = cluster.url_with(&format!("sslmode={}", mode.replace("&ca", &root)));
            let got = outcome(&url).await;
            assert!(got.contains(want), "{mode} {kind:?}: {got}");
            assert_eq!(got == "tls" || got == "plain", want == got, "{mode} {kind:?}: {got}");
        }
    }
}

#[tokio::test]
async fn trust_is_only_in_the_named_authority() {
    let Some(cluster) = TlsCluster::of(TlsKind::Good) else { return };
    for mode in ["require", "verify-ca", "verify-full"] {
        let root = cluster.other_ca.display();
        let got = outcome(&cluster.url_with(&format!("sslmode={mode}&sslrootcert={root}"))).await;
        assert!(got.contains("invalid peer certificate"), "{mode}: {got}");
    }
    for mode in ["verify-ca", "verify-full"] {
        let got = outcome(&cluster.url_with(&format!("sslmode={mode}"))).await;
        assert!(got.contains("does not exist") && got.contains("root.crt"), "{got}");
    }
    let got = outcome(&cluster.url_with("sslmode=verify-full&sslrootcert=system")).await;
    assert!(got.contains("invalid peer certificate") || got.contains("no root"), "{got}");
    let not_pem = cluster.url_with("sslmode=verify-ca&sslrootcert=/etc/hostname");
    assert!(outcome(&not_pem).await.contains("holds no certificate"));
    // The address is in the certificate too, but another host's name is not.
    let by_address = cluster.verify_full(&cluster.ca).replacen("@localhost:", "@127.0.0.1:", 1);
    assert_eq!(outcome(&by_address).await, "tls");
    let other = cluster.verify_full(&cluster.ca).replacen("@localhost:", "@db.example.com:", 1);
    let got = outcome(&format!("{other}&hostaddr=127.0.0.1")).await;
    assert!(got.contains("db.example.com"), "{got}");
}

#[tokio::test]
async fn the_default_root_certificate_counts() {
    let Some(cluster) = TlsCluster::of(TlsKind::Good) else { return };
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&cluster.ca, folder.join("root.crt")).unwrap();
    let full = cluster.url_with("sslmode=verify-full");
    assert_eq!(outcome_at_home(&full, home.path()).await, "tls");
    std::fs::copy(&cluster.other_ca, folder.join("root.crt")).unwrap();
    let got = outcome_at_home(&cluster.url_with("sslmode=require"), home.path()).await;
    assert!(got.contains("invalid peer certificate"), "{got}");
    assert_eq!(outcome_at_home(&cluster.url_with("sslmode=prefer"), home.path()).await, "tls");
}

#[tokio::test]
async fn the_password_exchange_is_bound_to_the_channel() {
    let Some(cluster) = TlsCluster::of(TlsKind::Good) else { return };
    for (parameters, want) in [
        ("sslmode=require&channel_binding=require", "tls"),
        ("sslmode=prefer&channel_binding=require", "tls"),
        ("sslmode=require&channel_binding=disable", "tls"),
        ("sslmode=disable&channel_binding=require", "channel_binding=require"),
    ] {
        let got = outcome(&cluster.url_with(parameters)).await;
        assert!(got.contains(want), "{parameters}: {got}");
    }
    let Some(none) = TlsCluster::of(TlsKind::NoTls) else { return };
    let got = outcome(&none.url_with("sslmode=prefer&channel_binding=require")).await;
    assert!(got.contains("did not bind"), "{got}");
}

#[tokio::test]
async fn allow_and_prefer_try_twice() {
    let Some(cluster) = TlsCluster::of(TlsKind::Good) else { return };
    let url = |role: &str, mode: &str| {
        let url = cluster.url_with(&format!("sslmode={mode}"));
        url.replacen(&format!("//{ROLE}:"), &format!("//{role}:"), 1)
            .replace(&format!("/{ROLE}?"), "/postgres?")
    };
    assert_eq!(outcome(&url(ENCRYPTED_ONLY_ROLE, "allow")).await, "tls");
    assert_eq!(outcome(&url(PLAIN_ONLY_ROLE, "prefer")).await, "plain");
    let got = outcome(&url(ENCRYPTED_ONLY_ROLE, "disable")).await;
    assert!(got.contains("pg_hba.conf") && got.contains("28000"), "{got}");
    assert!(outcome(&url(PLAIN_ONLY_ROLE, "require")).await.contains("pg_hba.conf"));
    // A wrong password is said once.
    let wrong = url(ROLE, "prefer").replace("correct-horse-9", "wrong");
    assert_eq!(outcome(&wrong).await.matches("password authentication failed").count(), 1);
    let Some(none) = TlsCluster::of(TlsKind::NoTls) else { return };
    let url = none.url_with("sslmode=allow").replacen(ROLE, ENCRYPTED_ONLY_ROLE, 1);
    let got = outcome(&url).await;
    assert!(got.contains("pg_hba.conf") && got.contains("does not offer TLS"), "{got}");
}

#[tokio::test]
async fn sockets_are_never_encrypted_whatever_is_asked() {
    if TlsCluster::of(TlsKind::Good).is_none() {
        return;
    }
    let admin = std::env::var("WHIMBREL_TEST_POSTGRES_ADMIN").unwrap();
    for mode in ["require", "verify-full&sslrootcert=/nonexistent"] {
        assert_eq!(outcome(&format!("{admin}?sslmode={mode}")).await, "plain", "{mode}");
    }
}

/// Certificates as PostgreSQL's documentation makes them, and clients that show their own.
struct Homemade {
    folder: tempfile::TempDir,
}

impl Homemade {
    fn new() -> Homemade {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::Builder::new().prefix("whimbrel-tls-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Homemade { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(&self.folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {text}");
    }

    /// A certificate that signed itself, and so calls itself an authority.
    fn self_signed(&self, name: &str, host: &str, hash: &str) {
        self.openssl(&format!(
            "req -new -x509 -days 30 -nodes -{hash} -newkey rsa:2048 -subj /CN={host} \
             -keyout {name}.key -out {name}.crt"
        ));
    }

    /// A certificate of version 1, signed by `ca`.
    fn version_1(&self, name: &str, ca: &str, hash: &str) {
        self.openssl(&format!(
            "req -new -nodes -newkey rsa:2048 -subj /CN=localhost -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -days 30 -{hash} -CA {ca}.crt -CAkey {ca}.key \
             -CAcreateserial -out {name}.crt"
        ));
    }

    fn server(&self, name: &str, settings: &[(&str, &str)]) -> Postgres {
        let certificate = ServerCertificate {
            certificate: self.path(&format!("{name}.crt")).into(),
            key: self.path(&format!("{name}.key")).into(),
        };
        let place = self.folder.path().join(format!("server-{name}"));
        Postgres::start(&place, settings, Some(&certificate)).unwrap()
    }

    async fn outcome(&self, server: &Postgres, host: &str, parameters: &str) -> String {
        let url = server.url().replacen("@127.0.0.1:", &format!("@{host}:"), 1);
        let parameters = parameters.replace("DIR", &self.path(""));
        outcome(&format!("{url}?hostaddr=127.0.0.1&{parameters}")).await
    }
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_its_own_root() {
    if TlsCluster::of(TlsKind::Good).is_none() {
        return;
    }
    let made = Homemade::new();
    made.self_signed("own", "localhost", "sha384");
    made.self_signed("other", "other", "sha256");
    let server = made.server("own", &[]);
    for (host, parameters, want) in [
        ("localhost", "sslmode=require&channel_binding=require", "tls"),
        ("localhost", "sslmode=verify-full&sslrootcert=DIRown.crt&channel_binding=require", "tls"),
        ("elsewhere", "sslmode=verify-ca&sslrootcert=DIRown.crt", "tls"),
        ("elsewhere", "sslmode=verify-full&sslrootcert=DIRown.crt", "not valid for name"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=DIRown.crt", "not valid for name"),
        ("localhost", "sslmode=verify-ca&sslrootcert=DIRother.crt", "invalid peer certificate"),
    ] {
        let got = made.outcome(&server, host, parameters).await;
        assert!(got.contains(want), "{host} {parameters}: {got}");
    }
}

#[tokio::test]
async fn old_certificates_and_those_of_clients_are_understood() {
    if TlsCluster::of(TlsKind::Good).is_none() {
        return;
    }
    let made = Homemade::new();
    made.self_signed("ca", "authority", "sha256");
    made.self_signed("other", "other", "sha256");
    made.version_1("server", "ca", "sha512");
    made.version_1("client", "ca", "sha256");
    let ca = made.path("ca.crt");
    let server = made.server("server", &[("ssl_ca_file", ca.as_str())]);
    for (host, parameters, want) in [
        ("localhost", "sslmode=require&channel_binding=require", "tls"),
        ("localhost", "sslmode=verify-full&sslrootcert=DIRca.crt", "tls"),
        ("elsewhere", "sslmode=verify-full&sslrootcert=DIRca.crt", "not valid for name"),
        ("localhost", "sslmode=verify-ca&sslrootcert=DIRother.crt", "invalid peer certificate"),
    ] {
        let got = made.outcome(&server, host, parameters).await;
        assert!(got.contains(want), "{host} {parameters}: {got}");
    }
    // From now on the server wants a certificate of the client's.
    let access = made.path("server-server/data/pg_hba.conf");
    let text =
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    std::fs::write(access, text).unwrap();
    server.admin("SELECT pg_reload_conf();").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    client_certificates(&made, &server).await;
    // TLS 1.2 has other signatures.
    server.admin("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'; ").unwrap();
    server.admin("SELECT pg_reload_conf();").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let parameters = "sslmode=verify-full&sslrootcert=DIRca.crt&channel_binding=require\
                      &sslcert=DIRclient.crt&sslkey=DIRclient.key";
    assert_eq!(made.outcome(&server, "localhost", parameters).await, "true TLSv1.2");
}

async fn client_certificates(made: &Homemade, server: &Postgres) {
    use std::os::unix::fs::PermissionsExt;
    let got = made.outcome(server, "localhost", "sslmode=require").await;
    assert!(got.contains("certificate"), "{got}");
    let shown = "sslmode=require&sslcert=DIRclient.crt&sslkey=DIRclient.key";
    assert_eq!(made.outcome(server, "localhost", shown).await, "tls");
    made.openssl("rsa -aes128 -passout pass:secret -in client.key -out locked.key");
    let locked = shown.replace("client.key", "locked.key");
    let got = made.outcome(server, "localhost", &locked).await;
    assert!(got.contains("has a password"), "{got}");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(made.path("client.key"), open).unwrap();
    let got = made.outcome(server, "localhost", shown).await;
    assert!(got.contains("chmod 600"), "{got}");
    std::fs::set_permissions(made.path("client.key"), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    let missing = shown.replace("client.key", "nowhere.key");
    assert!(made.outcome(server, "localhost", &missing).await.contains("nowhere.key"));
    assert!(parsed("postgres://u@h/d?sslcert=a").sslcert.is_some());
}
