//! `analyze`: says what can be instrumented in Go binaries, and why not.
//!
//! This file is the only one that knows exit statuses. What was typed becomes a list of files ([`targets`]) before any
//! work; each file becomes a Plan or an error; [`format`] prints them.

mod cli;
mod explain;
mod format;
#[cfg(test)]
mod golden;
mod ids;
mod input;
mod inspect;
mod json;
mod kernel_files;
mod libraries;
mod outcome;
mod output;
mod shrinking;
mod tally;
mod targets;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use analyzer::own;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use offsets::catalog::{self, Entry};
use rayon::prelude::*;

use cli::{Cli, Command};
use format::{Width, details, lines, text};
use outcome::{Outcome, Status};
use output::{Output, clean, complain};
use tally::Tally;
use targets::Found;

fn main() -> ExitCode {
    let (cli, entries) = match Cli::try_parse().and_then(sound).and_then(known) {
        Ok(read) => read,
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
        Some(Command::Libraries(how)) => libraries::run(how, entries),
        None => analyze(&cli, entries),
    };
    match result {
        Ok(status) => ExitCode::from(status.code()),
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::from(Status::Unreadable.code())
        }
    }
}

/// Something is named, and what is named can be done.
fn sound(cli: Cli) -> Result<Cli, clap::Error> {
    if cli.command.is_none() && cli.paths.is_empty() && cli.pid.is_none() {
        let what = "name Go binaries or folders, or with --pid a process";
        return Err(Cli::command().error(ErrorKind::MissingRequiredArgument, what));
    }
    if let Some(name) = cli.paths.iter().find_map(|path| is_command(path)) {
        let what = format!(
            "`{name}` is a subcommand: write it first, and its options behind it (a file of that name is ./{name})"
        );
        return Err(Cli::command().error(ErrorKind::ValueValidation, what));
    }
    // Standard input can be read once.
    match cli.paths.iter().filter(|path| path.as_path() == Path::new(input::STDIN)).count() {
        0 | 1 => Ok(cli),
        _ => {
            Err(Cli::command().error(ErrorKind::ValueValidation, "standard input (-) can be named once only"))
        }
    }
}

/// The subcommand's name, if a path is one and nothing else.
fn is_command(path: &Path) -> Option<String> {
    let command = Cli::command();
    let mut names = command.get_subcommands().map(|sub| sub.get_name().to_owned());
    names.find(|name| path == Path::new(name) && !path.exists())
}

/// Reads the catalog, and looks in it for the ids that were typed.
fn known(cli: Cli) -> Result<(Cli, &'static [Entry]), clap::Error> {
    let wrong = |what: String| Cli::command().error(ErrorKind::ValueValidation, clean(&what));
    let folder = match &cli.command {
        Some(Command::Libraries(how)) => &how.catalog,
        _ => &cli.catalog,
    };
    let entries = match folder {
        None => catalog::entries(),
        Some(folder) => own::read(folder)
            .and_then(|files| own::entries(&files))
            .map_err(|error| wrong(format!("--catalog: {error}")))?,
    };
    let required = cli.require.iter().map(|id| ("--require", id));
    for (option, id) in required.chain(cli.explain.iter().map(|id| ("--explain", id))) {
        ids::must_be_known(entries, id)
            .map_err(|why| wrong(format!("invalid value '{id}' for '{option} <ID>': {why}")))?;
    }
    Ok((cli, entries))
}

fn analyze(cli: &Cli, entries: &'static [Entry]) -> anyhow::Result<Status> {
    let found = targets::find(cli);
    let to: Box<dyn Write> = if cli.quiet {
        Box::new(io::sink())
    } else if cli.json {
        // It has no colours that would have to be taken out.
        Box::new(io::stdout().lock())
    } else {
        Box::new(anstream::AutoStream::auto(io::stdout().lock()))
    };
    let mut out = Output::new(to);
    let width = Width::of_stdout();
    let mut worst: Option<Status> = None;
    let mut tally = Tally::new(&found);
    let mut printed = 0;
    // In parts, so that a folder of thousands of files prints as it goes and holds few Plans at a time.
    for part in found.files.chunks(64) {
        let outcome = |target| Outcome::of(target, cli, entries);
        let outcomes: Vec<Outcome> = match part {
            // Starting the threads takes a millisecond, a tenth of what a Plan does.
            [only] => vec![outcome(only)],
            _ => part.par_iter().map(outcome).collect(),
        };
        for outcome in &outcomes {
            tally.add(outcome);
            if outcome.skipped.is_some() {
                continue;
            }
            let status = match &cli.explain {
                Some(id) => Some(explain::print(&mut out, outcome, id, entries, width)?),
                None => {
                    printed += print(&mut out, outcome, cli, width, printed > 0)?;
                    outcome.status()
                }
            };
            worst = worst.max(status);
        }
    }
    for error in &found.errors {
        complain(error);
        if cli.json {
            writeln!(out, "{}", json::failed(error)?)?;
        }
        worst = worst.max(Some(Status::Unreadable));
    }
    for why in cli.require.iter().filter_map(|id| tally.missing(id)) {
        complain(why);
        worst = worst.max(Some(Status::NotReady));
    }
    conclude(&mut out, cli, &found, &tally, width)?;
    out.flush()?;
    Ok(worst.unwrap_or(Status::Nothing))
}

/// Prints one file's outcome; errors go to stderr. Says how many files were printed.
fn print(
    out: &mut impl Write,
    outcome: &Outcome,
    cli: &Cli,
    width: Width,
    more: bool,
) -> anyhow::Result<usize> {
    if let Err(error) = &outcome.result {
        complain(error);
    }
    if cli.json {
        writeln!(out, "{}", json::line(outcome)?)?;
        return Ok(1);
    }
    let Ok(plan) = &outcome.result else { return Ok(0) };
    if more {
        writeln!(out)?;
    }
    if cli.verbose {
        details::print(out, plan, width)?
    } else {
        lines::print(out, plan, width)?
    }
    Ok(1)
}

/// What comes behind the last file.
fn conclude(
    out: &mut impl Write,
    cli: &Cli,
    found: &Found,
    tally: &Tally,
    width: Width,
) -> anyhow::Result<()> {
    if cli.json {
        return Ok(());
    }
    if cli.explain.is_none() && !cli.verbose && tally.has_doubts() {
        let hint =
            "`analyze --explain ID FILE` says why, and what to do; `analyze -v FILE` shows everything.";
        writeln!(out)?;
        text::wrap(hint, width).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    if found.folders > 0 || found.files.len() > 1 {
        writeln!(out)?;
        tally.print(out, found, width)?;
    }
    Ok(())
}
