//! The program `whimbrel`.

use std::process::ExitCode;

use whimbrel::account;
use whimbrel::cli::{self, Cli};
use whimbrel::context::Context;
use whimbrel::printer::{Format, Loudness, Printer};
use whimbrel_core::config::Variables;
use whimbrel_engine::StopFlag;

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let get = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, v)| v);
    let no_color = get("NO_COLOR").is_some_and(|value| !value.is_empty());
    let user = account::name(&get);
    let global = &cli.global;
    let format = if global.json { Format::Json } else { Format::Human };
    let loudness = match (global.quiet, global.verbose) {
        (true, _) => Loudness::Quiet,
        (false, true) => Loudness::Verbose,
        (false, false) => Loudness::Normal,
    };
    let mut printer = Printer::new(format, loudness, global.color, no_color);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.err(&format!("error: Cannot start: {error}"));
            return ExitCode::from(1);
        }
    };
    let stop = StopFlag::default();
    let variables = Variables::new(variables);
    let mut context = Context::new(global.clone(), printer, stop.clone(), variables, user);
    // Before the verb: what that spawns itself waits until the verb waits for something.
    runtime.spawn(stop_on_interrupt(stop));
    let verb = runtime.spawn(async move {
        let result = cli::run(cli, &mut context).await;
        (result, context)
    });
    let (result, mut context) = match runtime.block_on(verb) {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    match result {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            if format == Format::Json {
                context.printer.json(&error.to_json(), false);
            }
            error.print(&mut context.printer);
            ExitCode::from(error.exit.code())
        }
    }
}

/// The first interrupt asks for a clean stop; the second one ends the process as usual.
async fn stop_on_interrupt(stop: StopFlag) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.stop();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}
