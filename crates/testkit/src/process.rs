//! Starting other programs: as another account, tied to this process, and stopped by their pid.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Result};

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(25);

/// Whether this process may become another account, and must for servers that refuse root.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

/// The account that a server runs as: a system account when we are root, else our own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account(Option<&'static str>);

impl Account {
    /// For servers that run as whoever starts them.
    pub(crate) const OUR_OWN: Account = Account(None);

    pub(crate) fn for_server(name: &'static str) -> Account {
        Account(is_root().then_some(name))
    }

    /// A command that runs as this account and that the system ends with `death_signal` when the
    /// thread that started it ends, so that nothing is left behind even after `kill -9`.
    pub(crate) fn tied_command(self, program: &Path, death_signal: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", death_signal]);
        if let Some(name) = self.0 {
            command.arg(format!("--reuid={name}")).arg(format!("--regid={name}"));
            command.arg("--init-groups");
        }
        command.arg("--").arg(program);
        command
    }

    /// Makes a folder that only this account can enter.
    pub(crate) fn make_folder(self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
        self.own(folder, 0o700)
    }

    /// Hands a file or folder over to this account.
    pub(crate) fn own(self, path: &Path, mode: u32) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let what = format!("hand over {}", path.display());
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).doing(&what)?;
        let Some(name) = self.0 else { return Ok(()) };
        let user = number_of(name, "-u")?;
        let group = number_of(name, "-g")?;
        chown(path, Some(user), Some(group)).doing(&what)
    }

    /// Says early and clearly when the account cannot reach the folder that it shall work in.
    pub(crate) fn check_reaches(self, folder: &Path) -> Result<()> {
        let mut command = self.tied_command(Path::new("test"), "TERM");
        let status = command.arg("-x").arg(folder).status().doing("run setpriv")?;
        if status.success() {
            return Ok(());
        }
        let name = self.0.unwrap_or("this account");
        Err(Failure::new(format!(
            "The folder {} cannot be reached by {name}; choose one under the temporary folder",
            folder.display()
        )))
    }
}

fn number_of(account: &str, flag: &str) -> Result<u32> {
    let text = capture(Command::new("id").args([flag, account]), "")?;
    text.trim().parse().doing(format_args!("read the number of the account {account}"))
}

/// Looks for a program in the given folders, then in `PATH` and where system programs lie.
pub(crate) fn find_program(names: &[&str], folders: &[PathBuf]) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let mut all: Vec<PathBuf> = folders.to_vec();
    all.extend(std::env::split_paths(&path));
    all.extend(system);
    for name in names {
        if let Some(found) = all.iter().map(|folder| folder.join(name)).find(|p| p.is_file()) {
            return Ok(found);
        }
    }
    Err(Failure::new(format!("The program `{}` is not installed", names.join("` or `"))))
}

/// A port on loopback that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).doing("find a free port")?;
    Ok(listener.local_addr().doing("read the free port")?.port())
}

/// Runs a program to its end with `input` as its standard input and returns what it printed.
pub(crate) fn capture(command: &mut Command, input: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(format_args!("start `{name}`"))?;
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_owned();
        // A program that ends without reading closes the pipe; its status says what happened.
        std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
    }
    let output = child.wait_with_output().doing(format_args!("wait for `{name}`"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!(
        "`{name}` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// Sends a signal, by its short name, to one process.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    // The shell's own `kill`: the program of that name is missing on small systems.
    let script = format!("kill -{name} {pid}");
    capture(Command::new("sh").args(["-c", &script]), "").map(drop)
}

/// Waits until a child has ended, at most `limit`; `None` if it still runs.
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(POLL);
    }
}

/// A server process that this process started and ends.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
    stop_signal: &'static str,
}

impl Daemon {
    /// Starts `command` in its own process group, so that Ctrl-C reaches only us, with its output
    /// appended to `log`, and waits until `ready` says yes.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        stop_signal: &'static str,
        ready: impl Fn() -> bool,
    ) -> Result<Daemon> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.doing(format_args!("open {}", log.display()))?;
        let copy = file.try_clone().doing("share the log")?;
        command.stdin(Stdio::null()).stdout(copy).stderr(file).process_group(0);
        let child = command.spawn().doing(format_args!("start {name}"))?;
        let mut daemon = Daemon { name, child, log: log.to_owned(), stop_signal };
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = daemon.child.try_wait().doing("look at a server")? {
                return Err(Failure::new(format!("{name} ended with {status}\n{}", daemon.tail())));
            }
            if ready() {
                return Ok(daemon);
            }
            if Instant::now() >= deadline {
                return Err(Failure::new(format!("{name} does not answer\n{}", daemon.tail())));
            }
            sleep(POLL);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process in its own orderly way, or by force when that takes too long.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let orderly = self.stop_signal;
        self.end_with(orderly)
    }

    /// Ends the process with the given signal.
    pub(crate) fn end_with(&mut self, name: &str) -> Result<()> {
        if self.child.try_wait().doing("look at a server")?.is_some() {
            return Ok(());
        }
        signal(self.pid(), name)?;
        if wait_at_most(&mut self.child, STOP_MAX).is_some() {
            return Ok(());
        }
        self.child.kill().doing(format_args!("kill {}", self.name))?;
        self.child.wait().doing(format_args!("wait for {}", self.name))?;
        Err(Failure::new(format!("{} did not stop and was killed\n{}", self.name, self.tail())))
    }

    fn tail(&self) -> String {
        let mut text = String::new();
        let read = File::open(&self.log).and_then(|mut file| file.read_to_string(&mut text));
        if read.is_err() {
            return format!("(no log at {})", self.log.display());
        }
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(15)).copied().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nobody is left to hear about a failure here; `stop` is the call that reports it.
        let _ = self.stop();
    }
}
