//! A session of somebody else's that goes on: the application whose tables are migrated.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use super::TestDatabase;
use super::client::Client;
use crate::failure::{Doing, Failure, Result};

/// A session that runs one statement after the other. Dropping it ends it.
#[derive(Debug)]
pub struct Conversation {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What the client prints after each statement.
const DONE: &str = "whimbrel-done";

impl TestDatabase {
    /// Opens a session that waits at most a second for a lock.
    ///
    /// # Errors
    /// When the client does not start.
    pub fn converse(&self) -> Result<Conversation> {
        let mut command = self.client_command();
        if matches!(self.client, Client::Mariadb(_)) {
            command.arg("--unbuffered");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().doing("start the client")?;
        let (input, output) = (client.stdin.take(), client.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Failure::new("The client has no pipes"));
        };
        let mut conversation = Conversation { client, input, output: BufReader::new(output) };
        conversation.run(match self.client {
            Client::Sqlite(_) => ".timeout 1000\n",
            Client::Postgres(_) => "SET lock_timeout = '1s';",
            Client::Mariadb(_) | Client::MariadbRoot(_) => {
                "SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 1;"
            }
        })?;
        Ok(conversation)
    }
}

impl Conversation {
    /// Runs statements and says how long that took.
    ///
    /// # Errors
    /// With the client's own words, when one of them fails: the session is over then.
    pub fn run(&mut self, sql: &str) -> Result<Duration> {
        let began = Instant::now();
        let sent = writeln!(self.input, "{sql}\nSELECT '{DONE}';");
        // If it cannot be sent, the client has ended and has said why.
        let _ = sent.and_then(|()| self.input.flush());
        let mut line = String::new();
        loop {
            line.clear();
            let count = self.output.read_line(&mut line).doing("read what the client prints")?;
            if count == 0 {
                let mut words = String::new();
                if let Some(errors) = self.client.stderr.as_mut() {
                    errors.read_to_string(&mut words).doing("read the client's errors")?;
                }
                return Err(Failure::new(format!("{sql}: {}", words.trim())));
            }
            if line.trim() == DONE {
                return Ok(began.elapsed());
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // The server rolls back what is open when the client is gone.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
