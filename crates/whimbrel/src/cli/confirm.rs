use std::io::IsTerminal;

use crate::context::Context;
use crate::error::{CommandError, Exit};

/// Whether the phrase was given: as a flag, by `--yes` where that is enough, or typed. Anything but
/// the phrase changes nothing. Without a phrase there is nothing to confirm.
pub(super) fn confirm(
    given: Option<&str>,
    phrase: Option<&str>,
    protected: bool,
    context: &mut Context,
) -> Result<bool, CommandError> {
    let Some(phrase) = phrase else { return Ok(true) };
    let wrong = || CommandError {
        exit: Exit::Unconfirmed,
        message: format!("The phrase is `{phrase}`, and something else was given"),
        lines: vec!["Nothing was changed".to_owned()],
        hints: Vec::new(),
    };
    if let Some(given) = given {
        return if given == phrase { Ok(true) } else { Err(wrong()) };
    }
    if context.global.yes && !protected {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    context.printer.err(&format!("Type `{phrase}` to go on:"));
    let typed = super::ask::typed(context)?;
    if typed.is_some_and(|typed| typed.trim_end_matches(['\r', '\n']) == phrase) {
        Ok(true)
    } else {
        Err(wrong())
    }
}
