//! The command line.

use std::path::PathBuf;

use analyzer::debug_file;
use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER: &str = "\
Exit status: 0 all instrumentable libraries present are ready; 1 one is partial or refused, or a required one is missing; \
2 not a Go binary, or unreadable; 3 nothing in it to instrument. Of several files the worst, in the order 2, 1, 3, 0. \
What a folder holds beside Go programs for 64-bit x86-64 and AArch64 is skipped and counted. Usage errors are 64.

Where 3 is no failure: `analyze FILE || [ $? -eq 3 ]`, also under `set -e`.";

/// Says what can be instrumented in Go binaries, stripped ones included.
#[derive(Debug, Parser)]
#[command(name = "analyze", version, after_help = AFTER, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Print the Plan as JSON, one object per line and file; one with an `error` for a file that has none.
    #[arg(long)]
    pub json: bool,
    /// Print all that is known of each library: functions, sites, fields, itabs, maps.
    #[arg(short, long, conflicts_with_all = ["json", "explain"])]
    pub verbose: bool,
    /// Print nothing on standard output: the exit status is the answer.
    #[arg(short, long, conflicts_with_all = ["json", "explain", "verbose"])]
    pub quiet: bool,
    /// A library that must be there and ready (`net/http.server`), in one of the files at least; may be repeated.
    #[arg(long, value_name = "ID")]
    pub require: Vec<String>,
    /// Argue the verdict on one library in plain words, and name the remedy.
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    pub explain: Option<String>,
    /// A folder of catalog entries of your own (`*.toml`), planned beside strobe's.
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// A folder of debug files, for binaries whose DWARF was moved into a file of its own; may be repeated.
    #[arg(long, value_name = "FOLDER", default_value = debug_file::DEFAULT_ROOT)]
    pub debug_root: Vec<PathBuf>,
    /// The executable of a running process.
    #[arg(long, value_name = "N")]
    pub pid: Option<u32>,
    /// Go binaries, or folders to look through; `-` is standard input, of which 1 GiB is read at most.
    #[arg(value_name = "FILE|FOLDER")]
    pub paths: Vec<PathBuf>,
    /// A look inside.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Other things than a Plan.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print one of a binary's tables, tab-separated.
    Inspect(Inspect),
    /// List the libraries that this version knows: id, status, versions.
    Libraries(Libraries),
}

/// How to list the libraries.
#[derive(Debug, Args)]
pub struct Libraries {
    /// Print one JSON object per line and library.
    #[arg(long)]
    pub json: bool,
    /// A folder of catalog entries of your own, listed too.
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
}

/// Which table of which file.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The table.
    pub what: What,
    /// The Go binary; `-` is standard input.
    pub file: PathBuf,
    /// Only names that contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
}

/// The tables.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum What {
    /// Address, size and name of every function.
    Functions,
    /// Every struct type with the offset, name and type of its fields.
    Types,
    /// The modules that it was built from.
    Modules,
    /// Go version, build identifiers and settings.
    Buildinfo,
    /// Where probes could stand, function by function.
    Sites,
    /// Every static itab: address, interface, concrete type.
    Itabs,
    /// Source file and line of every function's entry.
    Lines,
}
