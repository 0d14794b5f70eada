//! `offsetgen`: builds strobe's offset database from versions, toolchains, probe targets and DWARF.
//!
//! This file is the only place that knows exit statuses. What the user typed becomes plain configuration in [`cli`];
//! each command is a module.

mod build;
mod cli;
mod commands;
mod data;
mod diff;
mod effort;
mod failure;
mod index;
mod lookup;
mod merge;
mod net;
mod output;
mod progress;
mod report;
mod store;
mod toolchain;
mod versions;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use cli::{Cli, Command};

/// `EX_USAGE` of sysexits.h: the command line is wrong.
const EXIT_USAGE: u8 = 64;

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

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
        Command::Build(options) => build::run(&options),
        Command::Update(options) => build::run(&options.into_build()),
        Command::Verify(options) => build::verify::run(&options),
        Command::Merge(options) => merge::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Toolchain(options) => toolchain::run(&options),
        Command::Lookup(options) => lookup::run(&options),
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
