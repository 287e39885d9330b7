//! Questions that must be answered before something goes on.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, TryRecvError};

use whimbrel_engine::Answer;

use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::Printer;

/// How questions are answered: by options, else by whoever sits at the terminal.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Questions that lose nothing are answered with yes.
    yes: bool,
    /// Phrases that were given beforehand; each is good for one question.
    phrases: Vec<String>,
    typed: Option<Receiver<Option<String>>>,
}

impl Asking {
    /// `yes` answers what needs no phrase; `phrases` what needs one.
    pub(super) fn new(yes: bool, phrases: Vec<String>) -> Asking {
        Asking { yes, phrases, typed: None }
    }

    /// Whether to go on; nothing while somebody still thinks about it.
    pub(super) fn ask(&mut self, printer: &mut Printer, phrase: Option<&str>) -> Option<Answer> {
        if let Some(at) = self.phrases.iter().position(|one| Some(one.as_str()) == phrase) {
            self.phrases.remove(at);
            return Some(Answer::Yes);
        }
        if phrase.is_none() && self.yes {
            return Some(Answer::Yes);
        }
        if !std::io::stdin().is_terminal() {
            return Some(Answer::Missing);
        }
        let Some(typed) = &self.typed else {
            printer.err(&match phrase {
                Some(phrase) => format!("Type `{phrase}` to go on:"),
                None => "Type `yes` to go on:".to_owned(),
            });
            self.typed = Some(read_line());
            return None;
        };
        let line = match typed.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
            Ok(line) => line,
        };
        self.typed = None;
        let right = line.is_some_and(|line| line.trim() == phrase.unwrap_or("yes"));
        Some(if right { Answer::Yes } else { Answer::No })
    }

    /// As [`Asking::ask`], waiting for the answer; an interrupt ends the waiting.
    pub(super) fn wait(
        &mut self,
        context: &mut Context,
        phrase: Option<&str>,
    ) -> Result<Answer, CommandError> {
        loop {
            if let Some(answer) = self.ask(&mut context.printer, phrase) {
                return Ok(answer);
            }
            look_again(context)?;
        }
    }
}

/// Waits for a line that is typed, nothing when the input ends instead; an interrupt ends the
/// waiting.
pub(super) fn typed(context: &Context) -> Result<Option<String>, CommandError> {
    let typed = read_line();
    loop {
        match typed.try_recv() {
            Ok(line) => return Ok(line),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => look_again(context)?,
        }
    }
}

/// Lets a moment pass in which an answer may be given.
fn look_again(context: &Context) -> Result<(), CommandError> {
    std::thread::sleep(std::time::Duration::from_millis(ASK_LOOK_MS));
    if context.stop.is_set() {
        return Err(CommandError {
            exit: Exit::Interrupted,
            message: "Interrupted".to_owned(),
            lines: vec!["Nothing was changed".to_owned()],
            hints: Vec::new(),
        });
    }
    Ok(())
}

/// How often an answer is looked for, in milliseconds.
const ASK_LOOK_MS: u64 = 50;

/// Reads a line of standard input beside the run; nothing when the input ends instead.
pub(super) fn read_line() -> Receiver<Option<String>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        // Nobody may be waiting for it any more.
        let _ = sender.send(read.is_ok_and(|bytes| bytes > 0).then_some(line));
    });
    receiver
}
