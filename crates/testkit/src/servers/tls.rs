//! Certificates made for one test run, and the PostgreSQL clusters that show them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::postgres::{Postgres, ServerCertificate};
use crate::failure::{Doing, Result};
use crate::process::{capture, find_program};

/// What a server shows to a client that wants TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsKind {
    /// A valid certificate for `localhost` and 127.0.0.1, signed by `ca.pem`.
    Good,
    /// The same, but it ended years ago.
    Expired,
    /// A valid certificate, signed by `ca.pem`, for another host's name.
    WrongName,
    /// The server does not speak TLS.
    NoTls,
}

impl TlsKind {
    /// Every kind.
    pub const ALL: [TlsKind; 4] =
        [TlsKind::Good, TlsKind::Expired, TlsKind::WrongName, TlsKind::NoTls];

    /// The variable that holds the URL of the cluster of this kind.
    pub fn variable(self) -> &'static str {
        match self {
            TlsKind::Good => "WHIMBREL_TEST_TLS_GOOD",
            TlsKind::Expired => "WHIMBREL_TEST_TLS_EXPIRED",
            TlsKind::WrongName => "WHIMBREL_TEST_TLS_WRONG_NAME",
            TlsKind::NoTls => "WHIMBREL_TEST_TLS_NONE",
        }
    }

    fn file(self) -> &'static str {
        match self {
            TlsKind::Good => "good",
            TlsKind::Expired => "expired",
            TlsKind::WrongName => "wrong-name",
            TlsKind::NoTls => "none",
        }
    }

    fn common_name(self) -> &'static str {
        if self == TlsKind::WrongName { "/CN=elsewhere.test" } else { "/CN=localhost" }
    }
}

/// A folder with an authority of our own and the certificates that it signed: `ca.pem`,
/// `other-ca.pem` (signed nothing here), and for each kind a certificate and a key.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them with the `openssl` program.
    pub fn make(folder: &Path) -> Result<Certificates> {
        find_program(&["openssl"], &[])?;
        std::fs::create_dir_all(folder).doing("make the folder of certificates")?;
        let made = Certificates { folder: folder.to_owned() };
        made.write("openssl.cnf", &configuration(folder))?;
        made.write("index.txt", "")?;
        made.write("serial", "01\n")?;
        for name in ["ca", "other-ca"] {
            let mut command =
                made.openssl(&["req", "-x509", "-days", "30", "-extensions", "authority"]);
            made.with_new_key(&mut command, name);
            command.arg("-out").arg(made.path(name, "pem"));
            capture(command.args(["-subj", &format!("/CN=Whimbrel test {name}")]), "")?;
        }
        for kind in [TlsKind::Good, TlsKind::Expired, TlsKind::WrongName] {
            made.sign(kind)?;
        }
        Ok(made)
    }

    /// What a server of this kind shows; `None` for [`TlsKind::NoTls`].
    pub fn server(&self, kind: TlsKind) -> Option<ServerCertificate> {
        (kind != TlsKind::NoTls).then(|| ServerCertificate {
            certificate: self.path(kind.file(), "pem"),
            key: self.path(kind.file(), "key"),
        })
    }

    fn sign(&self, kind: TlsKind) -> Result<()> {
        let name = kind.file();
        let request = self.path(name, "csr");
        let mut command = self.openssl(&["req", "-new"]);
        self.with_new_key(&mut command, name);
        command.arg("-out").arg(&request).args(["-subj", kind.common_name()]);
        capture(&mut command, "")?;
        let mut command = self.openssl(&["ca", "-batch", "-notext"]);
        command.args(["-extensions", name, "-in"]).arg(&request);
        command.arg("-out").arg(self.path(name, "pem"));
        if kind == TlsKind::Expired {
            command.args(["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]);
        }
        capture(&mut command, "").map(drop)
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments).arg("-config").arg(self.folder.join("openssl.cnf"));
        command
    }

    fn with_new_key(&self, command: &mut Command, name: &str) {
        command.args(["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.arg("-keyout").arg(self.path(name, "key"));
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.folder.join(name), text).doing(format_args!("write {name}"))
    }
}

/// The three clusters that speak TLS, each small.
#[derive(Debug)]
pub struct TlsServers {
    clusters: Vec<(TlsKind, Postgres)>,
}

impl TlsServers {
    /// Starts one cluster for each kind of certificate under `folder`.
    pub fn start(folder: &Path, certificates: &Certificates) -> Result<TlsServers> {
        let small = [("max_connections", "30"), ("shared_buffers", "16MB")];
        let mut clusters = Vec::new();
        for kind in [TlsKind::Good, TlsKind::Expired, TlsKind::WrongName] {
            let place = folder.join(format!("postgres-{}", kind.file()));
            let certificate = certificates.server(kind);
            clusters.push((kind, Postgres::start(&place, &small, certificate.as_ref())?));
        }
        Ok(TlsServers { clusters })
    }

    /// The running clusters.
    pub fn clusters(&self) -> impl Iterator<Item = (TlsKind, &Postgres)> {
        self.clusters.iter().map(|(kind, server)| (*kind, server))
    }

    /// Stops all of them; the first failure is returned after all were tried.
    pub fn stop(&mut self) -> Result<()> {
        let results: Vec<Result<()>> =
            self.clusters.iter_mut().map(|(_, server)| server.stop()).collect();
        results.into_iter().collect()
    }
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    let leaf = "basicConstraints = critical,CA:false\n\
                keyUsage = critical,digitalSignature\n\
                extendedKeyUsage = serverAuth\n";
    let here = "subjectAltName = DNS:localhost,IP:127.0.0.1\n";
    format!(
        "[req]\ndistinguished_name = name\n[name]\n\
         [own_ca]\ndatabase = {folder}/index.txt\nserial = {folder}/serial\n\
         new_certs_dir = {folder}\n\
         certificate = {folder}/ca.pem\nprivate_key = {folder}/ca.key\n\
         default_md = sha256\ndefault_days = 30\npolicy = any\nunique_subject = no\n\
         [any]\ncommonName = supplied\n\
         [ca]\ndefault_ca = own_ca\n\
         [authority]\nbasicConstraints = critical,CA:true\n\
         keyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n\
         [good]\n{leaf}{here}[expired]\n{leaf}{here}\
         [wrong-name]\n{leaf}subjectAltName = DNS:elsewhere.test\n"
    )
}
