//! Somebody else who holds locks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};

use super::TestDatabase;
use super::client::Client;
use crate::failure::{Doing, Failure, Result};

/// A session with an open transaction. Dropping it rolls the transaction back.
#[derive(Debug)]
pub struct Holder {
    client: Child,
    _input: ChildStdin,
}

impl TestDatabase {
    /// Runs statements in a transaction that stays open, and waits until the session says itself
    /// that they are done. The server's list of transactions would be no witness: MariaDB shows an
    /// old one to whoever asks often.
    ///
    /// # Errors
    /// When the client does not start or the statements fail.
    pub fn hold(&self, sql: &str) -> Result<Holder> {
        let mut command = self.client_command();
        if matches!(self.client, Client::Mariadb(_)) {
            command.arg("--unbuffered");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = command.spawn().doing("start the client")?;
        let input = client.stdin.take();
        let output = client.stdout.take();
        let (Some(mut input), Some(output)) = (input, output) else {
            return Err(Failure::new("The client has no pipes"));
        };
        let text = format!("BEGIN;\n{sql};\nSELECT 'held';\n");
        let sent = input.write_all(text.as_bytes()).and_then(|()| input.flush());
        let holder = Holder { client, _input: input };
        sent.doing("send the statements")?;
        let lines = BufReader::new(output).lines();
        let held = lines.map_while(std::result::Result::ok).any(|line| line.trim() == "held");
        if held { Ok(holder) } else { Err(Failure::new(format!("This failed: {sql}"))) }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The server rolls its transaction back when the client is gone.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
