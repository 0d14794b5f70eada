//! strobe: the command line. What was typed becomes plain data here, and results become exit statuses, nowhere else.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use runtime::{
    cli::{Cli, Command},
    exec, features, guard, planning, run,
};

/// Usage errors, as sysexits(3) has it.
const STATUS_USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { STATUS_USAGE } else { 0 };
            return if error.print().is_ok() { ExitCode::from(status) } else { ExitCode::FAILURE };
        }
    };
    match cli.command {
        Command::Run(args) => run::run(args),
        Command::Exec(args) => exec::exec(&args),
        Command::Features { json } => report(print_features(json)),
        Command::KeepChild => report(guard::keeper::child::run().map(|()| 0)),
        Command::PlanChild { name } => planning::child(&name),
    }
}

fn report(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Exit status 3 when something required is missing, like `strobe run`.
fn print_features(json: bool) -> anyhow::Result<u8> {
    let features = features::report(&features::Facts::gather(None)?);
    let mut out = anstream::stdout().lock();
    for feature in &features {
        if json {
            writeln!(out, "{}", serde_json::to_string(feature)?)?;
            continue;
        }
        let (word, colour) = match (feature.available, feature.required) {
            (true, _) => ("yes", anstyle::AnsiColor::Green),
            (false, true) => ("missing", anstyle::AnsiColor::Red),
            (false, false) => ("no", anstyle::AnsiColor::Yellow),
        };
        let style = colour.on_default();
        writeln!(out, "{:<24}{style}{word:<9}{style:#}{}", feature.name, feature.detail)?;
        if !feature.available {
            writeln!(out, "{:<24}{:<9}without it: {}", "", "", feature.without)?;
        }
    }
    Ok(if features.iter().any(|feature| feature.required && !feature.available) { 3 } else { 0 })
}
