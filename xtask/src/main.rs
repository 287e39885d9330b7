//! Whimbrel's own tooling: `cargo xtask COMMAND`. One command, one file, one row in [`COMMANDS`].

mod bench;
mod output;
mod prove;
mod servers;
mod tidy;
mod workspace;

use std::process::ExitCode;

use crate::output::{complain, say};

/// What a command returns: the exit code, or a sentence that says why it could not do its work.
type Outcome = Result<u8, String>;

/// One command of this tool.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "bench",
        arguments: "schema|data",
        about: "Measure beside the floor and the peers, in one interleaved run",
        run: bench::main,
    },
    Command {
        name: "prove",
        arguments: "crash|races|faults",
        about: "Run the long proofs and write what they found into docs/proofs.md",
        run: prove::main,
    },
    Command {
        name: "servers",
        arguments: "run -- COMMAND...",
        about: "Start private database servers, run a command with them, stop them",
        run: servers::main,
    },
    Command {
        name: "tidy",
        arguments: "",
        about: "Check what no compiler or linter checks",
        run: tidy::main,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    if matches!(name, "help" | "--help" | "-h") {
        usage().lines().for_each(say);
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        complain(&format!("error: there is no command `{name}`\n{}", usage()));
        return ExitCode::from(2);
    };
    match (command.run)(arguments.get(1..).unwrap_or_default()) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            complain(&format!("error: {message}"));
            ExitCode::from(2)
        }
    }
}

fn usage() -> String {
    let mut text = String::from("Commands of `cargo xtask`:\n");
    for command in COMMANDS {
        let call = format!("{} {}", command.name, command.arguments);
        text.push_str(&format!("  {call:<28} {}\n", command.about));
    }
    text
}
