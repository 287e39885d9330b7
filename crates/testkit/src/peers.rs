//! Other tools that tests compare Whimbrel with, from `tests/peers`.

use std::path::PathBuf;
use std::process::Command;

use crate::variables::{self, Backend, required};

/// A tool that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Cloudflare's `wrangler`, for local D1 databases.
    Wrangler,
    /// The Supabase CLI.
    Supabase,
    /// zod, by `tests/peers/zod.mjs`.
    Zod,
}

impl Peer {
    /// A command that runs the tool without asking, colouring or reporting. The caller adds the
    /// folder and a `HOME`. `None` if the run leaves the peers out by name.
    ///
    /// # Panics
    /// If the peers are not installed and nobody asked to leave them out.
    #[track_caller]
    pub fn command(self) -> Option<Command> {
        let folder = PathBuf::from(required(variables::PEERS, Backend::Peers)?);
        let program = match self {
            Peer::Wrangler => folder.join(".bin/wrangler"),
            Peer::Supabase => folder.join("@supabase/cli-linux-x64/bin/supabase"),
            Peer::Zod => PathBuf::from("node"),
        };
        let mut command = Command::new(program);
        if self == Peer::Zod {
            command.arg(folder.with_file_name("zod.mjs"));
        }
        command.env("CI", "1").env("NO_COLOR", "1").env("WRANGLER_SEND_METRICS", "false");
        command.env("DO_NOT_TRACK", "1").env("SUPABASE_TELEMETRY_DISABLED", "1");
        command.stdin(std::process::Stdio::null());
        Some(command)
    }
}
