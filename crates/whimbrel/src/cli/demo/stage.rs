//! Where the story is told: runs a verb as the command line would, and checks how it ends.

use std::path::{Path, PathBuf};

use serde_json::json;
use whimbrel_core::config::Variables;
use whimbrel_engine::Project;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::printer::{Format, Printer, Style};

/// The story's teller.
pub(super) struct Stage<'a> {
    folder: PathBuf,
    context: &'a mut Context,
    /// Results and messages of the verbs, in their order; silent in JSON.
    printer: Printer,
    scene: usize,
}

impl<'a> Stage<'a> {
    pub(super) fn new(folder: PathBuf, context: &'a mut Context) -> Stage<'a> {
        let printer = match context.printer.format() {
            Format::Human => context.printer.clone().into_one_stream(),
            Format::Json => Printer::silent(),
        };
        Stage { folder, context, printer, scene: 0 }
    }

    /// The demo's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The account's name.
    pub(super) fn user(&self) -> &str {
        &self.context.user
    }

    /// Begins the next part.
    pub(super) fn scene(&mut self, title: &str) {
        self.scene += 1;
        let head = format!("{}. {title}", self.scene);
        let head = self.printer.styled_out(Style::Bold, &head);
        self.printer.out("");
        self.printer.out(&head);
        self.event(&json!({ "event": "demo-scene", "scene": self.scene, "title": title }));
    }

    /// Says what was just seen.
    pub(super) fn tell(&mut self, text: &str) {
        self.printer.out(&format!("# {text}"));
        self.event(&json!({ "event": "demo-seen", "text": text }));
    }

    /// Shows a command that is run in another way than by [`Stage::whimbrel`].
    pub(super) fn show_command(&mut self, arguments: &[&str]) {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let line = format!("$ whimbrel {}", words.join(" "));
        let line = self.printer.styled_out(Style::Hint, &line);
        self.printer.out(&line);
    }

    /// Runs a verb in the demo's folder; it must end as `expected`.
    pub(super) async fn whimbrel(
        &mut self,
        arguments: &[&str],
        expected: Exit,
    ) -> Result<(), CommandError> {
        self.show_command(arguments);
        let line = std::iter::once("whimbrel").chain(arguments.iter().copied());
        let cli = Cli::read(line)
            .map_err(|error| CommandError::usage(format!("The demo's own command: {error}")))?;
        let mut context = self.inner();
        let exit = match Box::pin(crate::cli::run(cli, &mut context)).await {
            Ok(exit) => exit,
            Err(error) => {
                error.print(&mut context.printer);
                error.exit
            }
        };
        if exit != Exit::Done {
            self.printer.out(&format!("# exit code {}", exit.code()));
        }
        self.event(&json!({
            "event": "demo-command", "arguments": arguments, "exit_code": exit.code(),
        }));
        if exit == expected {
            return Ok(());
        }
        Err(CommandError {
            exit: if exit == Exit::Interrupted { exit } else { Exit::Failed },
            message: format!(
                "`whimbrel {}` ended with code {}, and the demo counts on {}",
                arguments.join(" "),
                exit.code(),
                expected.code()
            ),
            lines: vec![format!("The folder stays as it is: {}", self.folder.display())],
            hints: Vec::new(),
        })
    }

    /// The demo's project.
    pub(super) fn project(&self) -> Result<Project, CommandError> {
        self.inner().project()
    }

    /// Whether a command in the demo's folder would find the demo's database, in the environment
    /// in which the demo was started.
    pub(super) fn is_found_from_outside(&self) -> bool {
        let mut global = self.context.global.clone();
        global.project = Some(self.folder.clone());
        let variables = self.context.variables.clone();
        let user = self.context.user.clone();
        let stop = self.context.stop.clone();
        let found = Context::new(global, Printer::silent(), stop, variables, user).project();
        let own = self.project();
        matches!((found, own), (Ok(found), Ok(own)) if found.label() == own.label())
    }

    /// A context in which nothing from outside counts but how to print.
    fn inner(&self) -> Context {
        let mut global = self.context.global.clone();
        global.project = Some(self.folder.clone());
        (global.env, global.url, global.database, global.persist_to) = (None, None, None, None);
        (global.wait, global.lock_timeout, global.statement_timeout) = (None, None, None);
        let stop = self.context.stop.clone();
        let user = self.context.user.clone();
        Context::new(global, self.printer.clone(), stop, Variables::default(), user)
    }

    fn event(&mut self, event: &serde_json::Value) {
        if self.context.printer.format() == Format::Json {
            let mut event = event.clone();
            if let Some(object) = event.as_object_mut() {
                object.insert("schema_version".to_owned(), json!(1));
            }
            self.context.printer.json(&event, false);
        }
    }
}

/// A word as a shell wants it.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}
