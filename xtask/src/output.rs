//! The only place that writes to the terminal. A closed pipe is not an error of ours.

use std::io::Write;

/// Writes a line of results to standard output.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line of progress or an error to standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
