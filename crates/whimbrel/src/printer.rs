//! The only place that writes: data to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON document, or one JSON object a line while something goes on.
    Json,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is said besides the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Errors only.
    Quiet,
    /// What happens.
    Normal,
    /// Each step, too.
    Verbose,
}

/// A colour or weight with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Something is wrong.
    Error,
    /// Something to look at.
    Warning,
    /// It went well.
    Good,
    /// Advice.
    Hint,
    /// Less important.
    Dim,
    /// A heading.
    Bold,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streams {
    /// Results to standard output, messages to standard error.
    Two,
    /// Both to standard output, so that their order is kept wherever it ends up.
    One,
    /// Nowhere.
    None,
}

/// Writes results and messages.
#[derive(Clone, Debug)]
pub struct Printer {
    streams: Streams,
    format: Format,
    loudness: Loudness,
    color_out: bool,
    color_err: bool,
    progress: bool,
    progress_shown: bool,
    closed: bool,
}

impl Printer {
    /// A printer for this process. `no_color` says that NO_COLOR is set.
    pub fn new(format: Format, loudness: Loudness, color: ColorChoice, no_color: bool) -> Printer {
        let wanted = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_color,
        };
        let err_terminal = io::stderr().is_terminal();
        Printer {
            streams: Streams::Two,
            format,
            loudness,
            color_out: wanted(io::stdout().is_terminal()),
            color_err: wanted(err_terminal),
            progress: err_terminal && loudness != Loudness::Quiet,
            progress_shown: false,
            closed: false,
        }
    }

    /// The same printer with everything on standard output: a story keeps its order in any log.
    pub fn into_one_stream(self) -> Printer {
        let color_err = self.color_out;
        Printer { streams: Streams::One, color_err, progress: false, ..self }
    }

    /// A printer that writes nothing.
    pub fn silent() -> Printer {
        let printer = Printer::new(Format::Human, Loudness::Quiet, ColorChoice::Never, true);
        Printer { streams: Streams::None, progress: false, ..printer }
    }

    /// How results are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether steps are told one by one.
    pub fn is_verbose(&self) -> bool {
        self.loudness == Loudness::Verbose
    }

    /// Whether the reader of the results has gone away.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes a line of the result.
    pub fn out(&mut self, line: &str) {
        self.clear_progress();
        if self.closed || self.streams == Streams::None {
            return;
        }
        let mut stdout = io::stdout().lock();
        // A reader that has seen enough (`whimbrel status | head`) is no error.
        if writeln!(stdout, "{}", clean(line)).and_then(|()| stdout.flush()).is_err() {
            self.closed = true;
        }
    }

    /// Writes a JSON value as (a line of) the result.
    pub fn json(&mut self, value: &serde_json::Value, pretty: bool) {
        let text =
            if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        if let Ok(text) = text {
            self.out(&text);
        }
    }

    /// Writes a message that is no result, unless it should be quiet.
    pub fn note(&mut self, line: &str) {
        if self.loudness != Loudness::Quiet {
            self.err(line);
        }
    }

    /// Writes a message that only `--verbose` shows.
    pub fn detail(&mut self, line: &str) {
        if self.loudness == Loudness::Verbose {
            self.err(line);
        }
    }

    /// Writes an error or a warning, always.
    pub fn err(&mut self, line: &str) {
        if self.streams != Streams::Two {
            return self.out(line);
        }
        self.clear_progress();
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{}", clean(line));
    }

    /// Shows where things stand, on a terminal only; the next message replaces it.
    pub fn progress(&mut self, line: &str) {
        if !self.progress || self.format == Format::Json {
            return;
        }
        let short: String = clean(line).chars().take(100).collect();
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[2K{short}");
        let _ = stderr.flush();
        self.progress_shown = true;
    }

    fn clear_progress(&mut self) {
        if self.progress_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K");
            self.progress_shown = false;
        }
    }

    /// `text` in a style, for standard error.
    pub fn styled(&self, style: Style, text: &str) -> String {
        paint(self.color_err, style, text)
    }

    /// `text` in a style, for standard output.
    pub fn styled_out(&self, style: Style, text: &str) -> String {
        paint(self.color_out, style, text)
    }
}

fn paint(color: bool, style: Style, text: &str) -> String {
    if !color {
        return text.to_owned();
    }
    let code = match style {
        Style::Error => "1;31",
        Style::Warning => "1;33",
        Style::Good => "32",
        Style::Hint => "36",
        Style::Dim => "2",
        Style::Bold => "1",
    };
    format!("{START}{code}m{text}{START}0m")
}

/// Our own colours begin with this; every other control character is made visible, because names,
/// texts and database messages are not ours and must not steer the terminal.
const START: &str = "\x1b[";

fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(position) = rest.find(|c: char| c.is_control() && c != '\n' && c != '\t') {
        let (before, at) = rest.split_at(position);
        out.push_str(before);
        if let Some(length) = own_color(at) {
            out.push_str(at.get(..length).unwrap_or_default());
            rest = at.get(length..).unwrap_or_default();
            continue;
        }
        let mut chars = at.chars();
        if let Some(control) = chars.next() {
            out.extend(control.escape_default());
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// The length of one of our own colour codes at the start of `text`.
fn own_color(text: &str) -> Option<usize> {
    let codes = ["1;31m", "1;33m", "32m", "36m", "2m", "1m", "0m"];
    let rest = text.strip_prefix(START)?;
    let code = codes.iter().find(|code| rest.starts_with(**code))?;
    Some(START.len() + code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_others_are_made_visible() {
        assert_eq!(clean("a\x1b[2Jb\r\u{7}"), "a\\u{1b}[2Jb\\r\\u{7}");
        assert_eq!(clean("tab\tline\nend"), "tab\tline\nend");
        let ours = paint(true, Style::Error, "no");
        assert_eq!(clean(&ours), ours);
    }
}
