//! `offsetgen`: builds strobe's offset database from versions, toolchains, probe targets and DWARF.
//!
//! This file is the only place that knows exit statuses. What the user typed becomes plain configuration in [`cli`];
//! each command is a module.

mod catalog;
mod cli;
mod commands;
mod data;
mod effort;
mod failure;
mod files;
mod go;
mod hex;
mod memory;
mod net;
mod output;
mod probe;
mod progress;
mod record;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use cli::{Cli, Command};

/// `EX_USAGE` of sysexits.h: the command line is wrong.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if shown { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    let result = match cli.command {
        Command::Build(options) => commands::build::run(&options),
        Command::Update(options) => commands::build::run(&options.into_build()),
        Command::Verify(options) => commands::verify::run(&options),
        Command::Merge(options) => commands::merge::run(&options),
        Command::Diff(options) => commands::diff::run(&options),
        Command::Report(options) => commands::report::run(&options),
        Command::Toolchain(options) => commands::toolchain::run(&options),
        Command::Lookup(options) => commands::lookup::run(&options),
        Command::Export(options) => commands::export::run(&options),
        Command::Compare(options) => commands::compare::run(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("offsetgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
