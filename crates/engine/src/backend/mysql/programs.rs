//! How MariaDB's own programs are told the way to a database.

use whimbrel_core::database_url::{MyHost, MySslMode, MyUrl};

use crate::backend::ProgramAccess;

pub(super) fn access(url: &MyUrl) -> ProgramAccess {
    // Option files of this account are meant for others.
    let mut arguments = vec!["--no-defaults".to_owned()];
    match &url.host {
        MyHost::Tcp(host) => {
            arguments.push("--protocol=tcp".to_owned());
            arguments.push(format!("--host={host}"));
            arguments.push(format!("--port={}", url.port));
        }
        MyHost::Unix(path) => arguments.push(format!("--socket={path}")),
    }
    arguments.extend(url.user.as_ref().map(|user| format!("--user={user}")));
    let words: &[&str] = match (url.ssl_mode, &url.host) {
        (_, MyHost::Unix(_)) => &[],
        (MySslMode::Disabled, _) => &["--skip-ssl"],
        (MySslMode::Preferred, _) if url.ssl_ca.is_none() => &["--skip-ssl-verify-server-cert"],
        (MySslMode::Required, _) => &["--ssl", "--skip-ssl-verify-server-cert"],
        _ => &["--ssl", "--ssl-verify-server-cert"],
    };
    arguments.extend(words.iter().map(|word| (*word).to_owned()));
    let files =
        [("--ssl-ca", &url.ssl_ca), ("--ssl-cert", &url.ssl_cert), ("--ssl-key", &url.ssl_key)];
    for (name, path) in files {
        arguments.extend(path.as_ref().map(|path| format!("{name}={path}")));
    }
    let environment = url.password.clone().map(|password| ("MYSQL_PWD", password));
    ProgramAccess { arguments, environment: environment.into_iter().collect() }
}
