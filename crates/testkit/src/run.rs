//! Running the built program as a user would, in a clean environment, and interfering with it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::failure::{Doing, must};
use crate::process::{signal, wait_at_most};

const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a pipe may stay open after its process ended (a grandchild may hold it).
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A way to run one program in one folder: `Whimbrel::new(env!("CARGO_BIN_EXE_whimbrel"), folder)`.
#[derive(Debug)]
pub struct Whimbrel {
    program: PathBuf,
    folder: PathBuf,
    home: Arc<TempDir>,
    variables: Vec<(String, String)>,
    input: Option<String>,
    timeout: Duration,
}

impl Whimbrel {
    /// The program at `program`, run in `folder`, with a home folder of its own and nothing of
    /// the environment but `PATH`.
    #[track_caller]
    pub fn new(program: impl AsRef<Path>, folder: impl AsRef<Path>) -> Whimbrel {
        Whimbrel {
            program: program.as_ref().to_owned(),
            folder: folder.as_ref().to_owned(),
            home: Arc::new(must(tempfile::Builder::new().prefix("whimbrel-home-").tempdir())),
            variables: Vec::new(),
            input: None,
            timeout: TIMEOUT,
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Whimbrel {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives the program a text as its standard input instead of none.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Whimbrel {
        self.input = Some(text.to_owned());
        self
    }

    /// Changes how long the program may take; 120 s if not set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Whimbrel {
        self.timeout = timeout;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// If it cannot be started or does not end in time; it is killed then.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.spawn(arguments).wait()
    }

    /// Starts the program and lets it run.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn spawn<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let what = format!("start {}", self.program.display());
        let mut child = must(command.spawn().doing(what));
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), self.input.clone()) {
            // The program may end without reading; that is its right.
            std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        }
        let stdout = Pipe::read(child.stdout.take());
        let stderr = Pipe::read(child.stderr.take());
        let deadline = Instant::now() + self.timeout;
        Running { child, stdout, stderr, deadline, _home: Arc::clone(&self.home) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("NO_COLOR", "1");
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("RUST_BACKTRACE", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What a program printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code, `None` if a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
}

impl Output {
    /// Returns the output if the program ended with this code.
    ///
    /// # Panics
    /// If it ended otherwise; the message shows everything that it printed.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Output {
        assert!(self.code == Some(code), "expected exit code {code}, got:\n{self}");
        self
    }

    /// Returns the output if the program ended with code 0.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn success(self) -> Output {
        self.expect_code(0)
    }
}

/// Standard output, standard error and the end, as a snapshot shows them.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.stdout.is_empty() {
            writeln!(f, "{}", self.stdout.trim_end())?;
        }
        if !self.stderr.is_empty() {
            writeln!(f, "--- stderr\n{}", self.stderr.trim_end())?;
        }
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "--- exit code {code}"),
            (None, Some(signal)) => write!(f, "--- ended by signal {signal}"),
            (None, None) => write!(f, "--- ended"),
        }
    }
}

/// A program that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
    deadline: Instant,
    _home: Arc<TempDir>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process has had at once so far, in KiB, where the system tells.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Whether it has not ended yet. A stopped process runs.
    #[track_caller]
    pub fn is_running(&mut self) -> bool {
        must(self.child.try_wait()).is_none()
    }

    /// Kills it with SIGKILL and returns what it had printed.
    #[track_caller]
    pub fn kill(mut self) -> Output {
        must(self.child.kill());
        self.wait()
    }

    /// Stops it with SIGSTOP, as a machine that hangs.
    #[track_caller]
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a stopped process go on.
    #[track_caller]
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Sends a signal by its short name, such as `INT` or `TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        must(signal(self.pid(), name));
    }

    /// What it has printed to standard output up to now.
    pub fn stdout_so_far(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to standard error up to now.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.text()
    }

    /// Waits until `condition` holds for what was printed so far (standard output, then error).
    ///
    /// # Panics
    /// If the program's time is over before.
    #[track_caller]
    pub fn wait_until(&self, condition: impl Fn(&str, &str) -> bool) {
        while !condition(&self.stdout.text(), &self.stderr.text()) {
            assert!(
                Instant::now() < self.deadline,
                "what was waited for did not happen:\n{}\n--- stderr\n{}",
                self.stdout.text(),
                self.stderr.text()
            );
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end in time; it is killed then.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match wait_at_most(&mut self.child, left) {
            Some(status) => self.output(status),
            None => {
                must(self.child.kill());
                let status = must(self.child.wait());
                panic!("the program did not end in time; it printed:\n{}", self.output(status))
            }
        }
    }

    fn output(&mut self, status: ExitStatus) -> Output {
        Output {
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            code: status.code(),
            signal: status.signal(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of a program's two outputs, read as it comes so that the program never waits for us.
#[derive(Debug)]
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Pipe {
    fn read(source: Option<impl Read + Send + 'static>) -> Pipe {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let target = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let Some(mut source) = source else { return };
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let part = buffer.get(..count).unwrap_or_default();
                target.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(part);
            }
        });
        Pipe { bytes, reader }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn finish(&self) -> String {
        let deadline = Instant::now() + DRAIN_MAX;
        while !self.reader.is_finished() && Instant::now() < deadline {
            sleep(Duration::from_millis(1));
        }
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Whimbrel {
        Whimbrel::new("/bin/sh", "/tmp")
    }

    #[test]
    fn outputs_codes_and_input_arrive() {
        let script = "read word; echo out-$word; echo err >&2; exit 3";
        let output = shell().stdin("hello\n").run(["-c", script]).expect_code(3);
        assert_eq!(output.to_string(), "out-hello\n--- stderr\nerr\n--- exit code 3");
    }

    #[test]
    fn the_environment_is_clean() {
        let output = shell().env("GIVEN", "yes").run(["-c", "env"]).success();
        assert!(output.stdout.contains("GIVEN=yes"), "{output}");
        assert!(output.stdout.contains("NO_COLOR=1"), "{output}");
        assert!(!output.stdout.contains("CARGO"), "{output}");
    }

    #[test]
    fn a_running_program_is_paused_resumed_and_killed() {
        let mut running = shell().spawn(["-c", "echo started; while :; do sleep 0.05; done"]);
        running.wait_until(|stdout, _| stdout.contains("started"));
        running.pause();
        running.resume();
        assert!(running.is_running());
        let output = running.kill();
        assert_eq!((output.code, output.signal), (None, Some(9)));
    }

    #[test]
    #[should_panic(expected = "did not end in time")]
    fn a_program_that_hangs_is_ended() {
        shell().timeout(Duration::from_millis(200)).run(["-c", "exec sleep 60"]);
    }
}
