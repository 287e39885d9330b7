//! A private object store that is compatible with S3: the program `s3s-fs`, which checks the
//! signature of every request and keeps each object as a file.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use crate::failure::{Doing, Result, must};
use crate::process::{Account, Daemon, free_port};
use crate::variables::{self, Backend, required};

/// The bucket that is there.
pub const S3_BUCKET: &str = "backups";
/// The key that it knows.
pub const S3_KEY: &str = "WHIMBRELTESTKEY";
/// That key's secret.
pub const S3_SECRET: &str = "not-to-be-shown-anywhere";

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct S3Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    daemon: Daemon,
}

impl S3Server {
    /// Starts a server that keeps its objects in `folder`; `None` if the run leaves the peers out
    /// by name.
    ///
    /// # Panics
    /// If the program is not installed and nobody asked to leave it out, or does not start.
    #[track_caller]
    pub fn start(folder: &Path) -> Option<S3Server> {
        let program = PathBuf::from(required(variables::S3_SERVER, Backend::Peers)?);
        let bucket = folder.join(S3_BUCKET);
        must(std::fs::create_dir_all(&bucket).doing("make the bucket"));
        let port = must(free_port());
        let daemon = must(run(&program, folder, port));
        Some(S3Server { program, folder: folder.to_owned(), port, daemon })
    }

    /// The address at which it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder in which the bucket's objects lie, each as a file.
    pub fn objects(&self) -> PathBuf {
        self.folder.join(S3_BUCKET)
    }

    /// Stops it; nobody listens any more.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.stop()
    }

    /// Starts it again at the same address.
    pub fn start_again(&mut self) -> Result<()> {
        self.daemon = run(&self.program, &self.folder, self.port)?;
        Ok(())
    }
}

fn run(program: &Path, folder: &Path, port: u16) -> Result<Daemon> {
    let mut command = Account::OUR_OWN.tied_command(program, "INT");
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--access-key", S3_KEY, "--secret-key", S3_SECRET]).arg(folder);
    command.env("RUST_LOG", "warn");
    let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    Daemon::start("s3s-fs", command, &folder.with_extension("log"), "KILL", ready)
}
