//! What the user typed, as plain data. Nothing is decided here.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::{config::Propagation, planning::Own};

/// OpenTelemetry tracing for Go programs that nobody changed: attaches to stripped binaries, exports OTLP.
#[derive(Debug, Parser)]
#[command(name = "strobe", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Configured by the standard OTEL_* environment variables (docs/configuration.md).\n\
Exit status: 0 done; 1 nothing could be traced; 3 a privilege or kernel feature is missing; 64 usage;\n\
`exec`: the command's own, 125 strobe itself failed, 126 the command cannot be run, 127 it was not found.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace a running process, or every process of an executable.
    Run(Run),
    /// Start a command and trace it from its first request.
    Exec(Exec),
    /// Say what this kernel and these privileges allow.
    Features {
        /// One JSON object per line in place of the table.
        #[arg(long)]
        json: bool,
    },
    /// Holds the probes of this agent, which is at the other end of standard input; strobe runs it itself.
    #[command(name = "keep-child", hide = true)]
    KeepChild,
    /// Plans standard input without privileges; strobe runs it itself.
    #[command(name = "plan-child", hide = true)]
    PlanChild {
        /// The file's name, for messages.
        name: String,
    },
}

/// `strobe run`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").args(["pid", "exe"]).required(true)))]
pub struct Run {
    /// Trace this process until it ends.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Trace every process of this executable, those that start later too. May be given several times.
    #[arg(long, value_name = "PATH")]
    pub exe: Vec<PathBuf>,
    /// How a trace goes on in another service (STROBE_PROPAGATION).
    #[arg(long, value_name = "HOW", value_enum)]
    pub propagation: Option<Propagation>,
    /// Plan with the catalog entries of this folder (*.toml), too; no spans are made of them yet.
    #[arg(long, value_name = "DIR", value_parser = Own::read)]
    pub catalog: Option<Own>,
}

/// `strobe exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Do not start the command where it cannot be traced.
    #[arg(long)]
    pub strict: bool,
    /// Leave the agent's own credentials (OTEL_EXPORTER_OTLP_HEADERS and the like) in the command's environment.
    #[arg(long)]
    pub keep_credentials: bool,
    /// How a trace goes on in another service (STROBE_PROPAGATION).
    #[arg(long, value_name = "HOW", value_enum)]
    pub propagation: Option<Propagation>,
    /// Plan with the catalog entries of this folder (*.toml), too; no spans are made of them yet.
    #[arg(long, value_name = "DIR", value_parser = Own::read)]
    pub catalog: Option<Own>,
    /// Run the command as this user (a name or a number).
    #[arg(long, value_name = "U")]
    pub user: Option<String>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"strobe").chain(args))
    }

    #[test]
    fn a_target_is_required_and_only_one() {
        let usage = parse(&["run"]).expect_err("no target").to_string();
        assert!(usage.contains("--pid <N>") && usage.contains("--exe <PATH>"), "{usage}");
        assert!(parse(&["run", "--pid", "1", "--exe", "/bin/true"]).is_err());
        assert!(parse(&["run", "--pid", "0"]).is_err());
        assert!(parse(&["run", "--pid", "1"]).is_ok());
        assert!(parse(&["run", "--exe", "/bin/true", "--exe", "/bin/false"]).is_ok());
    }

    #[test]
    fn a_commands_own_options_are_its_own() {
        let cli = parse(&["exec", "--strict", "--", "./app", "--strict", "-v"]).expect("parsed");
        let Command::Exec(exec) = cli.command else { panic!("not exec") };
        assert!(exec.strict);
        assert_eq!(exec.command, ["./app", "--strict", "-v"]);
    }
}
