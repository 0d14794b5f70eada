//! `analyze`: says what can be instrumented in Go binaries, and why not.
//!
//! This file is the only one that knows exit statuses. What was typed becomes a list of files ([`targets`]) before any
//! work; each file becomes a Plan or an error; [`report`] prints them.

mod cli;
mod explain;
mod inspect;
mod outcome;
mod output;
mod report;
mod shrinking;
mod tally;
mod targets;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use rayon::prelude::*;

use cli::{Cli, Command};
use outcome::{Outcome, Status};
use output::{Output, complain};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed stdout or stderr here.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    if let Err(error) = shrinking::survive() {
        complain(format_args!("a file that shrinks while it is read will end this run: {error}"));
    }
    let result = match &cli.command {
        Some(Command::Inspect(what)) => inspect::run(what),
        None => analyze(&cli),
    };
    match result {
        Ok(status) => ExitCode::from(status.code()),
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::from(Status::Unreadable.code())
        }
    }
}

fn analyze(cli: &Cli) -> anyhow::Result<Status> {
    let found = targets::find(cli);
    let mut out = Output::new(anstream::AutoStream::auto(io::stdout().lock()));
    let mut worst: Option<Status> = None;
    let mut tally = tally::Tally::default();
    // In parts, so that a folder of thousands of files prints as it goes and holds few Plans at a time.
    for part in found.files.chunks(64) {
        let outcome = |target| Outcome::of(target, cli);
        let outcomes: Vec<Outcome> = match part {
            // Starting the threads takes a millisecond, a tenth of what a Plan does.
            [only] => vec![outcome(only)],
            _ => part.par_iter().map(outcome).collect(),
        };
        for outcome in &outcomes {
            let status = match &cli.explain {
                Some(id) => explain::print(&mut out, outcome, id)?,
                None => {
                    report::print(&mut out, outcome, cli.json)?;
                    outcome.status()
                }
            };
            worst = worst.max(Some(status));
            tally.add(outcome);
        }
    }
    for error in &found.errors {
        complain(error);
        worst = worst.max(Some(Status::Unreadable));
    }
    if !cli.json && (found.folders > 0 || found.files.len() > 1) {
        tally.print(&mut out, &found)?;
    }
    out.flush()?;
    Ok(worst.unwrap_or(Status::Nothing))
}
