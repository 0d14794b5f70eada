//! `strobe exec`: the command is started only when its probes are in place, so that its first request is traced.
//!
//! ```text
//!  fork ──► the child waits at its gate ─────────────────────► execve ──► runs ────────► ends
//!  strobe:  programs, Plan, probes (gate: a signal ends all) ──► opens ──► passes signals on, traces ──► its status
//!                 └── nothing can be traced: the child goes, strobe itself becomes the command
//! ```

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use nix::unistd::Pid;

use crate::{
    agent::Agent,
    cli,
    config::Config,
    discover::Target,
    export::Stream,
    log,
    planning::PlanError,
    start::{self, Refusal},
};

mod command;
mod environment;
mod gate;
mod signals;
mod status;
mod supervise;
mod watch;

use command::{Command, Gated};
use status::{STATUS_CANNOT_RUN, STATUS_FAILED, STATUS_NOT_FOUND};
use supervise::Child;

/// `strobe exec`.
pub fn exec(args: &cli::Exec) -> ExitCode {
    match run(args) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("strobe exec: {error:#}");
            ExitCode::from(STATUS_FAILED)
        }
    }
}

fn run(args: &cli::Exec) -> anyhow::Result<u8> {
    let command = Command::new(args)?;
    // First of all, while there is one thread and nothing open.
    let gated = command.fork()?;
    let gate = gate::Watch::start(signals::descriptor()?, gated.pid)?;
    let (mut config, warnings) = Config::from_process_env();
    config.propagation = args.propagation.unwrap_or(config.propagation);
    let _log = start::logging(&config, &warnings)?;
    say_what_is_kept_back(args);
    start::tokio_runtime()?.block_on(async {
        let (agent, reached) = match begin(args, gated.pid, &config) {
            Ok(begun) => begun,
            Err(reason) if args.strict => return refuse(gated, &reason),
            Err(reason) => return untraced(gated, &command, reason),
        };
        // All that can fail comes before the gate: afterwards there is a command that somebody has to wait for.
        let mut child = Child::new(gated.pid, gate.stop()?, reached)?;
        if let Some(status) = gated.open()? {
            return Ok(status);
        }
        let (status, traced) = child.supervise(agent).await?;
        if traced == 0 && ![STATUS_CANNOT_RUN, STATUS_NOT_FOUND].contains(&status) {
            log::say("strobe exec: nothing was traced: no Go program that strobe can trace was started");
        }
        Ok(status)
    })
}

/// The command is not told what lets the agent in at its collector, which may surprise one that exports by itself.
fn say_what_is_kept_back(args: &cli::Exec) {
    let kept = environment::credentials(std::env::vars_os());
    if !args.keep_credentials && !kept.is_empty() {
        tracing::info!(
            "not in the command's environment, since the agent uses it: {} (--keep-credentials leaves it there)",
            kept.join(", ")
        );
    }
}

/// What is needed beside the command: the agent, and the ring that tells which signals the command gets.
type Begun = (Agent, aya::maps::RingBuf<aya::maps::MapData>);

/// An agent with the command's probes in place, or the reason why nothing can be traced.
fn begin(args: &cli::Exec, pid: Pid, config: &Config) -> Result<Begun, String> {
    if let Some(why) = config.traces_nothing() {
        return Err(why);
    }
    let reason = |refusal: Refusal| refusal.reason;
    // The command is strobe's own child: it may look at that whatever it may of others.
    let mut programs = start::programs(Some(std::process::id()), config).map_err(reason)?;
    let reached = watch::watch(&mut programs, pid).map_err(|error| format!("{error:#}"))?;
    let tgid = pid.as_raw().unsigned_abs();
    let own = args.catalog.clone().unwrap_or_default();
    let mut agent =
        start::agent(Target::Tree(tgid), programs, config, own, Stream::Stderr).map_err(reason)?;
    // A command that is not there is the child's to report, with the status that `env` gives it.
    if let Some(program) = args.command.first()
        && let Ok(path) = command::resolve(program)
        && path.exists()
    {
        prepare(&mut agent, tgid, &path, args.strict)?;
    }
    Ok((agent, reached))
}

/// Puts the probes into the command's file. What is no Go program (a script, a wrapper) may start one.
fn prepare(agent: &mut Agent, tgid: u32, path: &Path, strict: bool) -> Result<(), String> {
    // As /proc/PID/exe will have it.
    let real = path.canonicalize();
    let name = real.as_deref().unwrap_or(path).to_string_lossy();
    let prepared = command::open(path).and_then(|file| agent.prepare(tgid, file, &name));
    match prepared {
        Ok(()) => {}
        Err(error) if matches!(error.downcast_ref(), Some(PlanError::NotGo(_))) => {
            tracing::info!("{name} is no Go program: whatever it starts is traced");
        }
        Err(error) if strict => return Err(format!("{error:#}")),
        Err(error) => log::say(&format!("strobe exec: warning: not traced: {error:#}")),
    }
    Ok(())
}

fn refuse(gated: Gated, reason: &str) -> anyhow::Result<u8> {
    gated.give_up()?;
    bail!("not started, since it cannot be traced: {reason}")
}

fn untraced(gated: Gated, command: &Command, reason: String) -> anyhow::Result<u8> {
    log::say(&format!("strobe exec: warning: starting it untraced: {reason}"));
    log::flush();
    gated.replace(command).context("starting the command")
}
